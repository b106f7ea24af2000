// SPDX-License-Identifier: MIT
// beast_tls.cpp - the program of app.hpp on Boost.Beast over TLS: a coroutine for each connection. The second
// argument is a file with a certificate and its key.
#include <ssewire/adapters/beast.hpp>

#include "app.hpp"
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

using connection = beast::ssl_stream<beast::tcp_stream>;

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::beast_events<> events;
  asio::ssl::context tls{asio::ssl::context::tls_server};

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}

  // The requests of a connection, until one is a stream's.
  asio::awaitable<void> serve(connection from) {
    beast::get_lowest_layer(from).expires_after(std::chrono::seconds(30));
    co_await from.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
    beast::flat_buffer bytes;
    for (bool alive = true; alive;) {
      beast::get_lowest_layer(from).expires_after(std::chrono::seconds(30));
      http::request<http::string_body> request;
      co_await http::async_read(from, bytes, request, asio::use_awaitable);
      std::string_view const target(request.target().data(), request.target().size());
      if (target.starts_with("/events")) {
        co_await events.async_answer(request.base(), std::move(from), asio::use_awaitable);
        co_return;  // the stream has ended
      }
      int const status = target.starts_with("/say")        ? app::say(broker, target, request.body())
                         : target.starts_with("/sign-out") ? app::sign_out(broker, target)
                                                           : 404;
      http::response<http::empty_body> response(http::int_to_status(static_cast<unsigned>(status)),
                                                request.version());
      alive = request.keep_alive();
      response.keep_alive(alive);
      response.prepare_payload();
      co_await http::async_write(from, response, asio::use_awaitable);
    }
    co_await from.async_shutdown(asio::use_awaitable);
  }
};

asio::awaitable<void> accept(asio::io_context& io, asio::ip::tcp::acceptor& from, server& of) {
  for (;;) {
    auto const strand = asio::make_strand(io);
    boost::system::error_code error;  // there may be no descriptor left, for a while
    auto socket = co_await from.async_accept(strand, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (error) continue;
    connection to(beast::tcp_stream(std::move(socket)), of.tls);
    asio::co_spawn(strand, of.serve(std::move(to)), [](std::exception_ptr) {});
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  server s(std::stoul(argv[1]));
  s.tls.use_certificate_file(argv[2], asio::ssl::context::pem);
  s.tls.use_private_key_file(argv[2], asio::ssl::context::pem);
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  asio::co_spawn(io, accept(io, acceptor, s), asio::detached);
  std::cout << "https://127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  std::thread threads[2];
  for (auto& each : threads) each = std::thread([&] { io.run(); });
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  io.stop();
  for (auto& each : threads) each.join();
}
