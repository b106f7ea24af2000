// SPDX-License-Identifier: MIT
// httplib.hpp - event streams on a server of cpp-httplib, from version 0.11: `server.Get("/events", events)`.
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/core/callback.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/response_fields.hpp>

#include <httplib.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Writes a stream to a response of cpp-httplib.
struct httplib_writer {
  /// Where to write. It outlives the writer.
  httplib::DataSink& to;
  /// The stream has ended in order: what a content provider returns.
  bool is_complete = false;
  /// Blocks until the bytes are taken, or the server's write timeout has passed.
  write_result write(buffers pieces) {
    auto const piece = pieces.front();  // the others are offered again
    if (!to.write(piece.data(), piece.size())) return {write_status::closed, 0};
    return {write_status::ok, piece.size()};
  }
  /// Ends the response.
  void on_closed(close_reason, ending how) {
    is_complete = how == ending::complete;
    if (is_complete) to.done();
  }
};

/// How httplib_events() serves.
struct httplib_options {
  /// Streams open at the same time; a request beyond that is refused. cpp-httplib gives each a thread of its
  /// pool, and the last one is for other requests. If you set `server.new_task_queue`, set this too.
  std::size_t most_streams = CPPHTTPLIB_THREAD_POOL_COUNT - 1;
  /// See blocking_options.
  steady_duration heartbeat = std::chrono::seconds(15);
};

/// A handler of cpp-httplib that answers with event streams. Copies share all.
template <class Traits = default_traits> class httplib_handler {
 public:
  /// What it serves.
  using service = event_service<httplib::Request, Traits>;

  /// See httplib_events().
  httplib_handler(basic_broker<Traits>& events, endpoint_options at, typename service::authenticate who,
                  httplib_options how)
      : all_(std::make_shared<service>(events, std::move(at), std::move(who), how.most_streams)), how_(how) {}

  /// Answers a request.
  void operator()(httplib::Request const& request, httplib::Response& response) const {
    // As for HTTP/2: cpp-httplib writes the fields of the connection itself.
    auto const asked = all_->at().read(request.method, request.target, http_version::http_2,
                                       [&](char const* name) { return request.get_header_value(name); });
    auto const answer = all_->open(asked, request);
    response.status = answer.response.status;
    std::string type;
    for (auto const& [name, value] : answer.response.fields) {
      if (name == "Content-Type") type = value;
      if (name != "Content-Type") response.set_header(std::string(name), value);
    }
    if (!answer.response.opens_stream) {
      if (!type.empty()) response.set_content(answer.response.body, type);
      return;
    }
    auto const stream = [its = answer.stream, beat = how_.heartbeat](std::size_t, httplib::DataSink& sink) {
      httplib_writer to{sink};
      serve_blocking(std::move(its->from), to, {},
                     {.heartbeat = beat, .alive = callback<bool()>::of(sink.is_writable)});
      return to.is_complete;
    };
    response.set_chunked_content_provider(type, stream);
  }

  /// Ends all streams; see event_service::drain(). Then stop the server.
  void drain(steady_duration time) const { all_->drain(time); }

 private:
  std::shared_ptr<service> all_;
  httplib_options how_;
};

/// A handler for `server.Get()`, and for `server.Post()` if the endpoint takes POST.
///
/// @param events  The broker. It must outlive the server.
/// @param at      What the endpoint takes.
/// @param who     `who(asked, request)` returns an ssewire::verdict; empty: everybody may have a stream.
/// @param how     How it serves.
template <class Traits>
[[nodiscard]] httplib_handler<Traits>
httplib_events(basic_broker<Traits>& events, endpoint_options at,
               typename httplib_handler<Traits>::service::authenticate who = {}, httplib_options how = {}) {
  return httplib_handler<Traits>(events, std::move(at), std::move(who), how);
}
/// The same for one channel: `httplib_events(broker, "news")`.
template <class Traits>
[[nodiscard]] httplib_handler<Traits> httplib_events(basic_broker<Traits>& events, char const* channel) {
  return httplib_events(events, endpoint_options{.channels = {channel}});
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
