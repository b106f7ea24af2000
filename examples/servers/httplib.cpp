// SPDX-License-Identifier: MIT
// httplib.cpp - the program of app.hpp on cpp-httplib: each stream takes a thread of the server's pool.
#include <ssewire/adapters/httplib.hpp>
#include <ssewire/drivers/socket_options.hpp>

#include "app.hpp"

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <thread>

int main(int argc, char** argv) {
  std::size_t const most_streams = argc > 1 ? std::stoul(argv[1]) : 64;
  ssewire::broker broker(app::limits());
  httplib::Server server;
  server.new_task_queue = [=] { return new httplib::ThreadPool(most_streams + 1); };
  server.set_write_timeout(
      std::chrono::seconds(5));  // nothing else ends a write to a client that does not read
  server.set_tcp_nodelay(true);
  server.set_socket_options([](socket_t listens) {
    httplib::default_socket_options(listens);
    ssewire::set_socket_options(listens);  // and so those of all that it accepts
  });

  auto const who = [](ssewire::stream_request const& asked, httplib::Request const&) {
    return app::who(asked);
  };
  auto const events = ssewire::httplib_events(broker, app::streams(), who, {.most_streams = most_streams});
  server.Get("/events", events);
  server.Options("/events", events);
  server.Post("/say", [&](httplib::Request const& request, httplib::Response& response) {
    response.status = app::say(broker, request.target, request.body);
  });
  server.Post("/sign-out", [&](httplib::Request const& request, httplib::Response& response) {
    response.status = app::sign_out(broker, request.target);
  });

  int const port = server.bind_to_any_port("127.0.0.1");
  std::thread serving([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  std::cout << "http://127.0.0.1:" << port << std::endl;
  app::wait_for_the_end();
  events.drain(std::chrono::seconds(3));
  server.stop();
  serving.join();
}
