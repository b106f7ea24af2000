// SPDX-License-Identifier: MIT
// fanout_server.cpp - what a fan-out costs a server: the library's reactor, or the least that can be done.
//   fanout_server ours [LOG-EVENTS]   broker, reactor, one sendmsg a write
//   fanout_server bare                one send for each event and subscriber, of one buffer that all share
//   fanout_server merged              as bare, but one sendmsg for all events of a turn
// Prints `port NUMBER`. Who begins with CTL is the control connection, whose end is the server's; others
// subscribe.
#include <fanout_loop.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr unsigned longest_life = 300;  // seconds; nobody waits for a bench that hangs

constexpr std::string_view head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\nConnection: close\r\n\r\n";

int listen_on_loopback() {
  int const listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  socklen_t size = sizeof at;
  bench::must(::bind(listener, address, size) == 0 && ::listen(listener, 4096) == 0 &&
                  ::getsockname(listener, address, &size) == 0,
              "listen");
  std::printf("port %d\n", ntohs(at.sin_port));
  std::fflush(stdout);
  return listener;
}

template <class Sender, class... Options> int serve(Options... options) {
  bench::fanout_loop<Sender> loop(options...);
  int const listener = listen_on_loopback();
  loop.listen(listener);
  // A newcomer has sent its request already, or soon will: this waits for it.
  auto const arrived = [&] {
    int const socket = ::accept(listener, nullptr, nullptr);
    bench::must(socket >= 0, "accept");
    int const on = 1;
    timeval const patience = {5, 0};
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char begins[4];  // and no more: the first command may follow
    bench::must(::read(socket, begins, sizeof begins) == sizeof begins, "request");
    if (std::string_view(begins, sizeof begins) == "CTL\n") {
      loop.obey(socket);
    } else {
      loop.add(socket, loop.all, std::string(head));
    }
  };
  while (loop.turn(arrived)) {
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::string_view const how = count > 1 ? arguments[1] : "";
  ::alarm(longest_life);
  bench::raise_file_limit();
  if (how == "ours") {
    ssewire::broker_options options;
    if (count > 2) options.replay = {std::strtoull(arguments[2], nullptr, 10), std::size_t{1} << 30};
    return serve<bench::through_reactor<>>(options);
  }
  if (how == "bare") return serve<bench::bare>(bench::bare::way::send_each);
  if (how == "merged") return serve<bench::bare>(bench::bare::way::all_pending);
  std::fprintf(stderr, "usage: fanout_server ours [LOG-EVENTS] | bare | merged\n");
  return 2;
}
