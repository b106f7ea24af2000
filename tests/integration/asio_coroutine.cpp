// SPDX-License-Identifier: MIT
// A coroutine type of one's own that waits for a stream on Asio, by the awaitable of docs/servers.md,
// which asio_coroutine_test.py puts beside this file. A client in the same thread reads the stream, and
// closes. Prints what the coroutine got.
#include "asio_awaitable.hpp"

#include <coroutine>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

namespace {

using asio::ip::tcp;

struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

task serve(ssewire::asio_events<>& events, std::string target, tcp::socket socket) {
  auto const why = co_await until_it_has_ended(events, std::move(target), std::move(socket));
  std::cout << "ended: " << name(why) << '\n';
}

struct client {
  tcp::socket socket;
  std::string got = {};
  char bytes[1024] = {};

  void read(ssewire::broker& broker) {
    socket.async_read_some(asio::buffer(bytes), [this, &broker](auto error, std::size_t count) {
      if (error) return;
      bool const had_begun = got.find("ssewire.position") != std::string::npos;
      got.append(bytes, count);
      bool const has_begun = got.find("ssewire.position") != std::string::npos;
      if (!had_begun && has_begun) (void)broker.publish("news", "hello");
      if (got.find("data: hello") != std::string::npos) return socket.close();
      read(broker);
    });
  }
};

}  // namespace

int main() {
  ssewire::broker broker;
  ssewire::asio_events<> events(broker, "news");
  asio::io_context io;
  for (int i = 0; i < 2; ++i) {
    tcp::acceptor listens(io, {asio::ip::address_v4::loopback(), 0});
    client reads{tcp::socket(io)};
    reads.socket.connect(listens.local_endpoint());
    serve(events, "/events", listens.accept());
    reads.read(broker);
    io.restart();
    io.run();
    std::cout << (reads.got.find("data: hello") != std::string::npos ? "got it\n" : "got nothing\n");
  }
}
