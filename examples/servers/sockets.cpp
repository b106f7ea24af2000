// SPDX-License-Identifier: MIT
// sockets.cpp - the program of app.hpp on plain sockets: one thread and one poll() for requests and streams.
#include <ssewire/adapters/sockets.hpp>

#include "app.hpp"
#include "loopback.hpp"
#include "request_reader.hpp"
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using ssewire::plain_socket;

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::socket_events<> events;
  std::map<int, app::request_reader> requests;  // of connections that have no stream

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}

  // Reads from a connection. Returns whether it is still one of ours.
  bool read(int socket, app::request_reader& from) {
    char bytes[4096];
    auto const got = ::recv(socket, bytes, sizeof bytes, 0);
    if (got <= 0) return ::close(socket), false;
    auto is = from.read({bytes, static_cast<std::size_t>(got)});
    for (; is == app::request_reader::state::complete; is = from.next()) {
      auto const& r = from.current();
      if (r.target.starts_with("/events")) {
        events.answer(
            r.method, r.target, r.version, [&](char const* name) { return r.field(name); },
            plain_socket(socket));
        return false;
      }
      int const status = r.target.starts_with("/say")        ? app::say(broker, r.target, r.body)
                         : r.target.starts_with("/sign-out") ? app::sign_out(broker, r.target)
                                                             : 404;
      auto const text = app::empty_response(status, r.keep_alive());
      (void)!::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
      if (!r.keep_alive()) return ::close(socket), false;
    }
    return is == app::request_reader::state::needs_more || (::close(socket), false);
  }
};

}  // namespace

int main(int argc, char** argv) {
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  app::loopback const here;
  std::cout << "http://127.0.0.1:" << here.port << std::endl;

  std::atomic<bool> ended = false;
  std::thread ends([&] {
    app::wait_for_the_end();
    s.events.drain(std::chrono::seconds(3));
    ended = true;
  });
  while (!ended) {
    std::vector<pollfd> all = {{here.socket, POLLIN, 0}, {s.events.fd(), POLLIN, 0}};
    for (auto const& [socket, its] : s.requests) all.push_back({socket, POLLIN, 0});
    ::poll(all.data(), all.size(), 100);
    for (std::size_t i = 2; i < all.size(); ++i) {
      if (all[i].revents != 0 && !s.read(all[i].fd, s.requests[all[i].fd])) s.requests.erase(all[i].fd);
    }
    if (all[0].revents != 0) {
      int const next = ::accept(here.socket, nullptr, nullptr);
      if (next >= 0) s.requests[next];
    }
    if (all[1].revents != 0) s.events.turn();
  }
  ends.join();
}
