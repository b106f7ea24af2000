// SPDX-License-Identifier: MIT
// libuv.cpp - the program of app.hpp on libuv, which has sockets and no HTTP: one loop serves all streams.
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/drivers/socket_options.hpp>
#include <ssewire/ssewire.hpp>

#include "app.hpp"
#include "request_reader.hpp"
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

struct connection;

struct writer {
  connection* to;
  ssewire::write_result write(ssewire::buffers pieces);
  void on_closed(ssewire::close_reason, ssewire::ending how);
};

struct server {
  struct bell {
    uv_async_t handle = {};
    void operator()() noexcept { uv_async_send(&handle); }  // on a publisher's thread
  };
  uv_loop_t loop = {};
  bell wakes, ends;
  uv_prepare_t each_turn = {};
  uv_timer_t timer = {};
  uv_tcp_t listens = {};
  char bytes[64 * 1024];  // what was read last
  ssewire::broker broker{app::limits()};
  ssewire::event_service<app::request> events;
  ssewire::reactor<writer> streams{ssewire::loop_signal::of(wakes)};

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {
    uv_loop_init(&loop);
    uv_async_init(&loop, &wakes.handle, nullptr);  // the loop turns, and that is all
    uv_async_init(&loop, &ends.handle, &server::end);
    uv_timer_init(&loop, &timer);
    uv_prepare_init(&loop, &each_turn);
    each_turn.data = this;
    uv_prepare_start(&each_turn, &server::turn);
  }

  // Before the loop waits, and so after all that has happened.
  static void turn(uv_prepare_t* of) {
    auto& s = *static_cast<server*>(of->data);
    auto const now = ssewire::steady_time::clock::now();
    auto const asked = s.streams.poll(now);
    if (!asked.more && !asked.next) return;
    using ms = std::chrono::milliseconds;
    auto const left = asked.more ? ms(0) : (std::max)(std::chrono::ceil<ms>(*asked.next - now), ms(0));
    uv_update_time(&s.loop);
    uv_timer_start(
        &s.timer, [](uv_timer_t*) {}, static_cast<std::uint64_t>(left.count()), 0);
  }

  int listen();
  static void end(uv_async_t* of);
};

// Its requests, and then perhaps a stream.
struct connection {
  enum class phase { requests, responds, streams, ends } now = phase::requests;
  server& of;
  uv_tcp_t socket = {};
  uv_timer_t patience = {};
  int open_handles = 2;
  uv_write_t sending = {};
  uv_shutdown_t ending = {};
  app::request_reader reader;
  std::string response;
  std::shared_ptr<ssewire::event_service<app::request>::place> place;
  ssewire::stream_id id;

  explicit connection(server& s) : of(s) {
    uv_tcp_init(&of.loop, &socket);
    uv_timer_init(&of.loop, &patience);
    socket.data = patience.data = sending.data = this;
    uv_accept(reinterpret_cast<uv_stream_t*>(&of.listens), stream());
    int fd = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(&socket), &fd);
    ssewire::set_socket_options(fd);
    read_on(10'000);
  }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&socket); }

  // After `ms` without a change of phase, it is closed.
  void wait(std::uint64_t ms) {
    uv_timer_start(
        &patience, [](uv_timer_t* t) { static_cast<connection*>(t->data)->close(); }, ms, 0);
  }
  void read_on(std::uint64_t ms) {
    wait(ms);
    uv_read_start(
        stream(),
        [](uv_handle_t* from, std::size_t, uv_buf_t* into) {
          auto& bytes = static_cast<connection*>(from->data)->of.bytes;
          *into = uv_buf_init(bytes, sizeof bytes);
        },
        [](uv_stream_t* from, ssize_t n, uv_buf_t const* bytes) {
          auto& c = *static_cast<connection*>(from->data);
          if (n < 0) return c.close();  // the end of what it sends, or an error
          // What is sent to a stream is thrown away: unread bytes would make a close a reset.
          if (c.now == phase::requests) c.serve(c.reader.read({bytes->base, static_cast<std::size_t>(n)}));
        });
  }

  void serve(app::request_reader::state got) {
    if (got == app::request_reader::state::needs_more) return;
    if (got == app::request_reader::state::refused)
      return respond(app::empty_response(reader.refused_status(), false), false);
    auto const& request = reader.current();
    std::string_view const target = request.target;
    if (target.starts_with("/events")) return open(request);
    int const status = target.starts_with("/say")        ? app::say(of.broker, target, request.body)
                       : target.starts_with("/sign-out") ? app::sign_out(of.broker, target)
                                                         : 404;
    respond(app::empty_response(status, request.keep_alive()), request.keep_alive());
  }

  void open(app::request const& request) {
    auto const field = [&](char const* name) { return request.field(name); };
    auto made = of.events.open_raw(request.method, request.target, request.version, field, request);
    if (!made.stream) return respond(std::move(made.bytes), false);
    now = phase::streams;
    uv_timer_stop(&patience);
    place = std::move(made.stream);
    auto const added = of.streams.add(writer{this}, std::move(place->from),
                                      {.body = made.body, .preamble = std::move(made.bytes)});
    if (!added) return close();  // no memory
    id = *added;
  }

  void respond(std::string with, bool keep_alive) {
    now = phase::responds;
    uv_read_stop(stream());
    wait(10'000);
    response = std::move(with);
    auto const text = uv_buf_init(response.data(), static_cast<unsigned>(response.size()));
    uv_write(&sending, stream(), &text, 1, keep_alive ? &then<&connection::go_on> : &then<&connection::end>);
  }
  template <void (connection::*Next)()> static void then(uv_write_t* done, int error) {
    auto& c = *static_cast<connection*>(done->data);
    error == 0 ? (c.*Next)() : c.close();
  }
  void go_on() {
    now = phase::requests;
    read_on(10'000);
    serve(reader.next());
  }
  // A close with bytes unread would be a reset, and the client would lose the last event. So it closes first.
  void end() {
    now = phase::ends;
    uv_shutdown(&ending, stream(), [](uv_shutdown_t*, int) {});
    read_on(2'000);
  }
  void close() {
    if (std::exchange(now, phase::ends) == phase::streams)
      of.streams.close(id, ssewire::close_reason::peer_gone);  // which calls this again
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&socket))) return;
    auto const closed = [](uv_handle_t* h) {
      auto* const c = static_cast<connection*>(h->data);
      if (--c->open_handles == 0) delete c;
    };
    uv_close(reinterpret_cast<uv_handle_t*>(&socket), closed);
    uv_close(reinterpret_cast<uv_handle_t*>(&patience), closed);
  }
};

// libuv does not say when a socket could take bytes, but when it has taken them.
ssewire::write_result writer::write(ssewire::buffers pieces) {
  std::vector<uv_buf_t> parts;
  for (auto const piece : pieces)
    parts.push_back(uv_buf_init(const_cast<char*>(piece.data()), static_cast<unsigned>(piece.size())));
  auto const count = static_cast<unsigned>(parts.size());
  int const sent = uv_try_write(to->stream(), parts.data(), count);
  if (sent > 0) return {ssewire::write_status::ok, static_cast<std::size_t>(sent)};
  if (sent != UV_EAGAIN) return {ssewire::write_status::closed, 0};
  auto const done = [](uv_write_t* of, int error) {  // also, with an error, after the connection is closed
    auto& c = *static_cast<connection*>(of->data);
    c.of.streams.written(c.id, error == 0);
  };
  if (uv_write(&to->sending, to->stream(), parts.data(), count, done) != 0)
    return {ssewire::write_status::closed, 0};
  return {ssewire::write_status::pending, 0};
}

void writer::on_closed(ssewire::close_reason, ssewire::ending how) {
  to->now = connection::phase::ends;
  to->place.reset();
  how == ssewire::ending::complete ? to->end() : to->close();
}

int server::listen() {
  sockaddr_in at = {};
  int size = sizeof at;
  auto* const any = reinterpret_cast<sockaddr*>(&at);
  uv_ip4_addr("127.0.0.1", 0, &at);
  uv_tcp_init(&loop, &listens);
  uv_tcp_bind(&listens, any, 0);
  listens.data = this;
  uv_listen(reinterpret_cast<uv_stream_t*>(&listens), SOMAXCONN, [](uv_stream_t* l, int error) {
    if (error == 0) new connection(*static_cast<server*>(l->data));
  });
  uv_tcp_getsockname(&listens, any, &size);
  return ntohs(at.sin_port);
}

void server::end(uv_async_t* of) {
  uv_walk(
      of->loop,
      [](uv_handle_t* h, void* s) {
        if (h->data != nullptr && h->data != s)
          static_cast<connection*>(h->data)->close();
        else
          uv_close(h, nullptr);
      },
      of->data);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // libuv writes to sockets that may be reset
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  s.ends.handle.data = &s;
  std::cout << "http://127.0.0.1:" << s.listen() << std::endl;
  std::thread serving([&] { uv_run(&s.loop, UV_RUN_DEFAULT); });
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  uv_async_send(&s.ends.handle);
  serving.join();
  return uv_loop_close(&s.loop) == 0 ? 0 : 1;
}
