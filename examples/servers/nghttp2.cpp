// SPDX-License-Identifier: MIT
// nghttp2.cpp - the program of app.hpp on nghttp2 and standalone Asio: HTTP/2 alone, for clients that know it
// (`curl --http2-prior-knowledge`). One thread serves all connections.
#include <ssewire/adapters/nghttp2.hpp>
#include <ssewire/drivers/socket_options.hpp>

#include "app.hpp"
#include <asio.hpp>
#include <nghttp2/nghttp2.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace {

struct connection;

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::nghttp2_events<> events;
  std::set<connection*> connections;
  asio::io_context io;  // goes before what its handlers need
  bool is_ending = false;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}
};

// It lives as long as Asio has something to tell it.
struct connection : std::enable_shared_from_this<connection> {
  struct request {
    ssewire::nghttp2_request fields;
    std::string body;
  };

  server& of;
  asio::ip::tcp::socket socket;
  asio::steady_timer timer{of.io};
  std::map<std::int32_t, request> requests;
  std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)> session{open(), &nghttp2_session_del};
  ssewire::nghttp2_streams<> streams{session.get(), [&io = of.io](auto task) { asio::post(io, task); },
                                     [this] { flush(); }};
  std::array<std::uint8_t, 16 * 1024> input;
  std::string output;
  bool is_sending = false;

  connection(server& s, asio::ip::tcp::socket from) : of(s), socket(std::move(from)) {
    of.connections.insert(this);
  }
  ~connection() { of.connections.erase(this); }

  nghttp2_session* open() {
    nghttp2_session_callbacks* on = nullptr;
    nghttp2_session_callbacks_new(&on);
    nghttp2_session_callbacks_set_on_header_callback(
        on, [](auto, auto frame, auto name, auto size, auto value, auto value_size, auto, void* self) {
          auto& fields = static_cast<connection*>(self)->requests[frame->hd.stream_id].fields;
          return fields.add(name, size, value, value_size);
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        on, [](auto, auto, auto id, auto bytes, auto size, void* self) {
          auto& body = static_cast<connection*>(self)->requests[id].body;
          body.append(bytes, bytes + size);
          return body.size() > 1024 * 1024 ? int(NGHTTP2_ERR_CALLBACK_FAILURE) : 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(on, [](auto, auto frame, void* self) {
      bool const is_request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
      bool const is_complete = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
      if (is_request && is_complete) static_cast<connection*>(self)->serve(frame->hd.stream_id);
      return 0;
    });
    nghttp2_session_callbacks_set_on_stream_close_callback(on, [](auto, auto id, auto, void* self) {
      static_cast<connection*>(self)->requests.erase(id);
      static_cast<connection*>(self)->streams.closed(id);
      return 0;
    });
    nghttp2_session* made = nullptr;
    nghttp2_session_server_new(&made, on, this);
    nghttp2_session_callbacks_del(on);
    nghttp2_settings_entry const most = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100};
    nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, &most, 1);
    return made;
  }
  void serve(std::int32_t id) {
    auto const& [fields, body] = requests[id];
    auto const target = fields[":path"];
    if (target.starts_with("/events")) return of.events.answer(streams, id, fields);
    int const status = target.starts_with("/say")        ? app::say(of.broker, target, body)
                       : target.starts_with("/sign-out") ? app::sign_out(of.broker, target)
                                                         : 404;
    streams.respond(id, {.status = status});
  }

  void read() {
    socket.async_read_some(asio::buffer(input), [self = shared_from_this()](auto error, std::size_t size) {
      // A client that has ended its side could not open its windows any more: it is taken for gone.
      if (error || nghttp2_session_mem_recv(self->session.get(), self->input.data(), size) < 0)
        return self->close();
      self->flush();
      self->read();
    });
  }
  void flush() {
    if (is_sending) return;
    for (output.clear(); output.size() < 64 * 1024;) {
      std::uint8_t const* bytes = nullptr;
      auto const size = nghttp2_session_mem_send(session.get(), &bytes);
      if (size < 0) return close();
      if (size == 0) break;
      output.append(bytes, bytes + size);
    }
    if (output.empty()) {
      asio::error_code ignored;  // after GOAWAY the client closes
      if (!nghttp2_session_want_read(session.get())) socket.shutdown(socket.shutdown_send, ignored);
      return;
    }
    is_sending = true;
    asio::async_write(socket, asio::buffer(output), [self = shared_from_this()](auto error, std::size_t) {
      self->is_sending = false;
      error ? self->close() : self->flush();
    });
  }
  // Once a second for all streams of the connection.
  void tick() {
    timer.expires_after(std::chrono::seconds(1));
    timer.async_wait([self = shared_from_this()](auto error) {
      if (error || !self->socket.is_open()) return;
      if (self->of.is_ending) return self->close();
      self->streams.poll(ssewire::steady_time::clock::now());
      self->tick();
    });
  }
  void end() {
    nghttp2_session_terminate_session(session.get(), NGHTTP2_NO_ERROR);
    flush();
    tick();
  }
  void close() {
    asio::error_code ignored;
    socket.close(ignored);
    timer.cancel();
  }
};

void accept(asio::ip::tcp::acceptor& from, server& of) {
  from.async_accept([&](auto error, asio::ip::tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    accept(from, of);
    if (error) return;
    ssewire::set_socket_options(socket.native_handle());
    auto const made = std::make_shared<connection>(of, std::move(socket));
    made->flush();
    made->read();
    made->tick();
  });
}

}  // namespace

int main(int argc, char** argv) {
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  asio::ip::tcp::acceptor acceptor(s.io, {asio::ip::make_address("127.0.0.1"), 0});
  accept(acceptor, s);
  std::cout << "http://127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  std::thread serving([&] { s.io.run(); });
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  asio::post(s.io, [&] {
    s.is_ending = true;
    acceptor.close();
    for (auto* const each : s.connections) each->end();
  });
  serving.join();
}
