// SPDX-License-Identifier: MIT
// asio.cpp - the program of app.hpp on standalone Asio: a coroutine for each connection, on two threads.
#include <ssewire/adapters/asio.hpp>

#include "app.hpp"
#include "request_reader.hpp"
#include <asio.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

namespace {

using asio::ip::tcp;

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::asio_events<> events;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}

  // The requests of a connection, until one is a stream's.
  asio::awaitable<void> serve(tcp::socket connection) {
    app::request_reader from;
    char bytes[4096];
    for (;;) {
      auto const got = co_await connection.async_read_some(asio::buffer(bytes), asio::use_awaitable);
      auto is = from.read({bytes, got});
      for (; is == app::request_reader::state::complete; is = from.next()) {
        auto const& r = from.current();
        if (r.target.starts_with("/events")) {
          co_await events.async_answer(
              r.method, r.target, r.version, [&](char const* name) { return r.field(name); },
              std::move(connection), asio::use_awaitable);
          co_return;  // the stream has ended
        }
        int const status = r.target.starts_with("/say")        ? app::say(broker, r.target, r.body)
                           : r.target.starts_with("/sign-out") ? app::sign_out(broker, r.target)
                                                               : 404;
        auto const text = app::empty_response(status, r.keep_alive());
        co_await asio::async_write(connection, asio::buffer(text), asio::use_awaitable);
        if (!r.keep_alive()) co_return;
      }
      if (is == app::request_reader::state::refused) co_return;
    }
  }
};

asio::awaitable<void> accept(asio::io_context& io, tcp::acceptor& from, server& of) {
  for (;;) {
    auto const strand = asio::make_strand(io);
    asio::error_code error;  // there may be no descriptor left, for a while
    auto connection = co_await from.async_accept(strand, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (!error) asio::co_spawn(strand, of.serve(std::move(connection)), [](std::exception_ptr) {});
  }
}

}  // namespace

int main(int argc, char** argv) {
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  asio::co_spawn(io, accept(io, acceptor, s), asio::detached);
  std::cout << "http://127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  std::thread threads[2];
  for (auto& each : threads) each = std::thread([&] { io.run(); });
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  io.stop();
  for (auto& each : threads) each.join();
}
