// SPDX-License-Identifier: MIT
// A server on standalone Asio, two threads and a strand for each connection. Its adapter is the one of docs/writer.md, which
// asio_test.py puts beside it. Every GET follows one channel. A number on standard input: publish so many events; its end:
// shut down.
#include "asio_adapter.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using clock_type = ssewire::time_point::clock;

void say_followers(void*, ssewire::presence const& now) noexcept {
  std::printf("followers %d\n", static_cast<int>(now.now));
  std::fflush(stdout);
}

struct server {
  asio::io_context io{2};
  tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
  ssewire::broker broker{{.replay = {.max_events = 400, .max_bytes = 64u << 20},
                          .on_presence = {&say_followers, nullptr}}};

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
    constexpr std::string_view field = "Last-Event-ID: ";
    std::string_view last = r->bytes;
    auto const at = last.find(field);
    last = at == last.npos ? "" : last.substr(at + field.size());
    last = last.substr(0, last.find('\r'));
    auto joined = broker.subscribe("numbers", last, {.lag = ssewire::lag_policy::close});
    r->response = "HTTP/1.0 200 OK\r\n";
    for (auto const& f : ssewire::response_fields(ssewire::http_version::http_1_0, ssewire::framing::raw, {}))
      r->response += std::string(f.name) + ": " + std::string(f.value) + "\r\n";
    r->response += "\r\n";
    asio::async_write(r->socket, asio::buffer(r->response),
                      [r, from = std::move(joined.subscription)](asio::error_code error, std::size_t) mutable {
                        if (!error) serve(std::move(r->socket), std::move(from));
                      });
  }
};

}  // namespace

int main() {
  server s;
  s.accept();
  std::printf("%d\n", static_cast<int>(s.acceptor.local_endpoint().port()));
  std::fflush(stdout);

  std::thread loops[2];
  for (auto& loop : loops) loop = std::thread([&] { s.io.run(); });

  int published = 0;
  for (int more = 0; std::scanf("%d", &more) == 1;) {  // this thread is the publisher
    while (more-- > 0) {
      auto const data = std::to_string(++published) + ' ' + std::string(8000, 'x');
      s.broker.publish("numbers", {.data = data});
    }
    s.broker.tick(clock_type::now());
  }
  asio::post(s.acceptor.get_executor(), [&] { s.acceptor.close(); });
  auto const now = clock_type::now();
  s.broker.drain(now, now + 2s);
  while (s.broker.stats().subscribers != 0) {
    s.broker.tick(clock_type::now());
    std::this_thread::sleep_for(1ms);
  }
  s.io.stop();
  for (auto& loop : loops) loop.join();
  auto const stats = s.broker.stats();
  for (std::size_t i = 0; i < stats.closes.size(); ++i) {
    if (stats.closes[i] != 0)
      std::printf("%s %d\n", std::string(name(static_cast<ssewire::close_reason>(i))).c_str(),
                  static_cast<int>(stats.closes[i]));
  }
}
