// SPDX-License-Identifier: MIT
// restinio.cpp - the program of app.hpp on RESTinio, from 0.6.16, with two threads: each stream has a strand.
#include <ssewire/drivers/event_service.hpp>

#include "app.hpp"
#include <netinet/tcp.h>
#include <restinio/all.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace asio = restinio::asio_ns;

namespace {

using service = ssewire::event_service<restinio::request_handle_t>;

struct post {
  asio::strand<asio::io_context::executor_type> to;
  template <class Task> void operator()(Task task) const { asio::post(to, std::move(task)); }
};

struct writer {
  using stream = ssewire::posted_stream<writer, post, ssewire::subscription>;

  restinio::response_builder_t<restinio::chunked_output_t> to;
  post strand;
  asio::steady_timer timer;
  std::shared_ptr<service::place> place;
  stream* of = nullptr;

  // RESTinio reads the bytes until it calls back, which it does on the connection's strand, or at once.
  ssewire::write_result write(ssewire::buffers pieces) {
    for (auto const piece : pieces) to.append_chunk(restinio::const_buffer(piece.data(), piece.size()));
    to.flush([s = of->shared_from_this()](auto const& error) mutable {
      auto const its = s->writer().strand;
      its([s = std::move(s), good = !error] { s->written(good); });
    });
    return {ssewire::write_status::pending, 0};
  }
  // RESTinio cannot drop a connection. One that is cut ends after what is on its way, or by the limit of a
  // write's time, but its place is free at once.
  void on_closed(ssewire::close_reason, ssewire::ending how) {
    timer.cancel();
    if (how == ssewire::ending::cut) place.reset();
    to.done([kept = std::move(place)](auto const&) {});
  }

  static void tick(std::shared_ptr<stream> const& s) {
    auto const next = s->poll(ssewire::steady_time::clock::now());
    if (!next) return;
    s->writer().timer.expires_at(*next);
    s->writer().timer.async_wait([s](auto error) {
      if (!error) tick(s);
    });
  }
};

restinio::http_status_line_t line(int status) {
  return {restinio::http_status_code_t(static_cast<std::uint16_t>(status)), ""};
}

struct server {
  ssewire::broker broker{app::limits()};
  service events;
  std::mutex guard;
  std::unordered_map<restinio::connection_id_t, std::weak_ptr<writer::stream>> open;
  asio::io_context io;  // last: what it still holds ends before what that needs

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}

  restinio::request_handling_status_t serve(restinio::request_handle_t const& request) {
    auto const& head = request->header();
    std::string_view const target = head.request_target();
    if (target.starts_with("/events")) return serve_events(request, target);
    int const status = target.starts_with("/say")        ? app::say(broker, target, request->body())
                       : target.starts_with("/sign-out") ? app::sign_out(broker, target)
                                                         : 404;
    return request->create_response(line(status)).done();
  }

  restinio::request_handling_status_t serve_events(restinio::request_handle_t const& request,
                                                   std::string_view target) {
    auto const& head = request->header();
    // As for HTTP/2: RESTinio writes the fields of the connection itself.
    auto const asked = events.at().read(head.method().c_str(), target, ssewire::http_version::http_2,
                                        [&](char const* name) { return head.opt_value_of(name); });
    auto made = events.open(asked, request);
    auto const& said = made.response;
    auto const begin = [&](auto reply) {
      for (auto const& [name, value] : said.fields) reply.append_header(std::string(name), value);
      return reply;
    };
    if (!made.stream) return begin(request->create_response(line(said.status))).set_body(said.body).done();
    auto reply = begin(request->create_response<restinio::chunked_output_t>());
    reply.connection_close();
    post const strand{asio::make_strand(io)};
    auto from = std::move(made.stream->from);
    auto const s = ssewire::post_stream(
        writer{std::move(reply), strand, asio::steady_timer(strand.to), std::move(made.stream)}, strand,
        std::move(from));
    s->writer().of = s.get();
    strand([s] { writer::tick(s); });
    std::lock_guard const held(guard);
    open[request->connection_id()] = s;
    return restinio::request_accepted();
  }

  // RESTinio says here that a connection has been closed.
  void state_changed(restinio::connection_state::notice_t const& what) noexcept {
    if (!std::holds_alternative<restinio::connection_state::closed_t>(what.cause())) return;
    std::lock_guard const held(guard);
    auto const its = open.extract(what.connection_id());
    if (auto s = its ? its.mapped().lock() : nullptr) {
      auto const strand = s->writer().strand;
      strand([s = std::move(s)] { s->close(ssewire::close_reason::peer_gone); });
    }
  }
};

struct traits : restinio::default_traits_t {
  using connection_state_listener_t = server;
};

}  // namespace

int main(int argc, char** argv) {
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  int port = 0;
  restinio::server_settings_t<traits> settings;
  settings.address("127.0.0.1").port(0);
  settings.acceptor_post_bind_hook([&](auto& at) { port = at.local_endpoint().port(); });
  settings.request_handler([&](auto const& request) { return s.serve(request); });
  settings.connection_state_listener({std::shared_ptr<void>(), &s});
  settings.max_pipelined_requests(2);  // with one it does not read during a response, and no closed tab shows
  settings.handle_request_timeout(
      std::chrono::minutes(1));  // of a stream's silence, so more than a heartbeat
  settings.write_http_response_timelimit(std::chrono::minutes(1));
  settings.socket_options_setter([](auto& socket) {
    socket.set_option(asio::ip::tcp::no_delay(true));
    socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(60'000));
  });
  auto const running =
      restinio::run_async<traits>(restinio::external_io_context(s.io), std::move(settings), 2);
  std::cout << "http://127.0.0.1:" << port << std::endl;  // not in the hook: it does not listen yet
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  running->stop();
  running->wait();
}
