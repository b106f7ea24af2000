// SPDX-License-Identifier: MIT
// beast.cpp - the program of app.hpp on Boost.Beast: each connection has a strand, on two threads.
#include <ssewire/adapters/beast.hpp>

#include "app.hpp"
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::beast_events<> events;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}
};

// One connection until its request is a stream's, or it ends.
struct session : std::enable_shared_from_this<session> {
  server& of;
  beast::tcp_stream connection;
  beast::flat_buffer bytes;
  http::request<http::string_body> request;
  http::response<http::empty_body> response;

  session(server& s, asio::ip::tcp::socket socket) : of(s), connection(std::move(socket)) {}

  void read() {
    request = {};
    http::async_read(connection, bytes, request, [self = shared_from_this()](auto error, std::size_t) {
      if (!error) self->serve();
    });
  }
  void serve() {
    std::string_view const target(request.target().data(), request.target().size());
    if (target.starts_with("/events")) return of.events.answer(request.base(), std::move(connection));
    int const status = target.starts_with("/say")        ? app::say(of.broker, target, request.body())
                       : target.starts_with("/sign-out") ? app::sign_out(of.broker, target)
                                                         : 404;
    response = http::response<http::empty_body>(http::int_to_status(static_cast<unsigned>(status)),
                                                request.version());
    response.keep_alive(request.keep_alive());
    response.prepare_payload();
    http::async_write(connection, response, [self = shared_from_this()](auto error, std::size_t) {
      if (!error && self->response.keep_alive()) self->read();
    });
  }
};

void accept(asio::io_context& io, asio::ip::tcp::acceptor& from, server& of) {
  from.async_accept(asio::make_strand(io), [&](auto error, asio::ip::tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) std::make_shared<session>(of, std::move(socket))->read();
    accept(io, from, of);  // also when there was no descriptor left
  });
}

}  // namespace

int main(int argc, char** argv) {
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  accept(io, acceptor, s);
  std::cout << "http://127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  std::thread threads[2];
  for (auto& each : threads) each = std::thread([&] { io.run(); });
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  io.stop();
  for (auto& each : threads) each.join();
}
