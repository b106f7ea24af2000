// SPDX-License-Identifier: MIT
// A server on bare sockets. Its adapters are those of docs/writer.md, which socket_test.py puts beside this
// file: "loop", the event loop on epoll, and "waiting", a thread for each connection. Every GET follows one
// channel. A number on standard input publishes so many events; the end of standard input shuts the server
// down. A second argument limits users: see user_limits.hpp.
#include "loop_adapter.hpp"
#include "numbers.hpp"
#include "waiting_adapter.hpp"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct client {
  int socket;
  ssewire::subscription from;
};

void must(bool good) {
  if (!good) std::abort();
}

class listener {
 public:
  listener() {
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* const name = reinterpret_cast<sockaddr*>(&at);
    must(::bind(socket_, name, size) == 0 && ::listen(socket_, 128) == 0 &&
         ::getsockname(socket_, name, &size) == 0);
    std::printf("%d\n", static_cast<int>(ntohs(at.sin_port)));
    std::fflush(stdout);
  }
  ~listener() { ::close(socket_); }

  /// Any thread: ends accept().
  void stop() { ::shutdown(socket_, SHUT_RDWR); }

  /// The next client that has asked, and has the head of its response. False at the end.
  bool accept(numbers& of, client& next) {
    for (;;) {
      int const s = ::accept(socket_, nullptr, nullptr);
      if (s < 0) return false;
      int const on = 1;
      ::setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      // Byte by byte, for what comes after the request is left in the socket.
      std::string request;
      for (char byte; !request.ends_with("\r\n\r\n") && ::recv(s, &byte, 1, 0) == 1;) request += byte;
      auto answer = of.follow(request);
      auto const& head = answer.head;
      if (::send(s, head.data(), head.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(head.size()) &&
          answer.from) {
        next = {s, std::move(answer.from)};
        return true;
      }
      ::close(s);
    }
  }

 private:
  int socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
};

void run_loop(numbers& of, listener& door) {
  event_loop loop;
  std::mutex guard;
  std::vector<client> arrived;
  std::atomic<bool> over = false;
  std::thread accepting([&] {
    for (client next = {}; door.accept(of, next);) {
      ::fcntl(next.socket, F_SETFL, O_NONBLOCK);
      std::unique_lock const held(guard);
      arrived.push_back(std::move(next));
      event_loop::wake(&loop);
    }
    over = true;
    event_loop::wake(&loop);
  });
  while (!over) {
    {
      std::unique_lock const held(guard);
      for (auto& c : arrived) loop.add(c.socket, std::move(c.from));
      arrived.clear();
    }
    loop.turn();
  }
  accepting.join();
}

void run_waiting(numbers& of, listener& door) {
  std::vector<std::thread> threads;
  for (client next = {}; door.accept(of, next);) {
    timeval const timeout = {2, 0};
    ::setsockopt(next.socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    threads.emplace_back([c = std::move(next)]() mutable {
      waiting_writer to{c.socket};
      auto const alive = [&] { return is_there(c.socket); };
      ssewire::serve_blocking(std::move(c.from), to, {}, {.alive = ssewire::callback<bool()>::of(alive)});
      end_response(c.socket);
    });
  }
  for (auto& t : threads) t.join();
}

}  // namespace

int main(int count, char** arguments) {
  bool const looping = std::string_view(arguments[1]) == "loop";
  numbers of(count > 2 ? arguments[2] : "");
  listener door;
  std::thread serving([&] { looping ? run_loop(of, door) : run_waiting(of, door); });
  of.publish_what_is_ordered();
  of.drain();
  door.stop();
  serving.join();
  say_reasons(of.broker);
}
