// SPDX-License-Identifier: MIT
// A server on standalone Asio, with two threads and a strand for each connection. Its adapter is the one of
// docs/writer.md, which asio_test.py puts beside this file. Every GET follows one channel. A number on
// standard input publishes so many events; the end of standard input shuts the server down. Its argument, if
// there is one, limits users: see user_limits.hpp.
#include "asio_adapter.hpp"
#include "numbers.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

using asio::ip::tcp;

struct server {
  asio::io_context io{2};
  tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
  numbers of;

  explicit server(std::string_view mode) : of(mode) {}

  struct request {
    tcp::socket socket;
    std::string bytes = {};
    std::string response = {};
  };

  void accept() {
    acceptor.async_accept(asio::make_strand(io), [this](asio::error_code error, tcp::socket socket) {
      if (error) return;
      socket.set_option(tcp::no_delay(true));
      answer(std::make_shared<request>(request{std::move(socket)}));
      accept();
    });
  }

  void answer(std::shared_ptr<request> const& r) {
    asio::async_read_until(r->socket, asio::dynamic_buffer(r->bytes, 8192), "\r\n\r\n",
                           [this, r](asio::error_code error, std::size_t) {
                             if (!error) begin(r);
                           });
  }

  void begin(std::shared_ptr<request> const& r) {
    auto answer = of.follow(r->bytes);
    r->response = std::move(answer.head);
    asio::async_write(r->socket, asio::buffer(r->response),
                      [r, from = std::move(answer.from)](asio::error_code error, std::size_t) mutable {
                        if (!error && from) serve(std::move(r->socket), std::move(from));
                      });
  }
};

}  // namespace

int main(int count, char** arguments) {
  server s(count > 1 ? arguments[1] : "");
  s.accept();
  std::printf("%d\n", static_cast<int>(s.acceptor.local_endpoint().port()));
  std::fflush(stdout);

  std::thread loops[2];
  for (auto& loop : loops) loop = std::thread([&] { s.io.run(); });

  s.of.publish_what_is_ordered();  // this thread is the publisher
  asio::post(s.acceptor.get_executor(), [&] { s.acceptor.close(); });
  s.of.drain();
  s.io.stop();
  for (auto& loop : loops) loop.join();
  say_reasons(s.of.broker);
}
