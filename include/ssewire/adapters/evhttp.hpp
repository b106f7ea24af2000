// SPDX-License-Identifier: MIT
// evhttp.hpp - event streams on the HTTP server of libevent, from 2.1; all of a loop share one reactor:
// `evhttp_set_cb(http, "/events", events.answer, &events)`.
#pragma once

#include <ssewire/adapters/evhttp_writer.hpp>
#include <ssewire/adapters/libevent_reactor.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include <cstddef>
#include <string>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Answers the requests of one endpoint on one loop of libevent.
///
/// @par Lifetime  Destroy it after drain() and before evhttp_free().
/// @par Threads   The loop's, except for drain(), which is for another thread. Publishers may be on any.
template <class Traits = default_traits> class evhttp_events {
 public:
  /// What it serves.
  using service = event_service<evhttp_request*, Traits>;

  /// @param loop          The loop of the server.
  /// @param events        The broker. It must outlive this.
  /// @param at            What the endpoint takes. For POST and OPTIONS see evhttp_set_allowed_methods().
  /// @param who           `who(asked, request)` returns an ssewire::verdict; empty: everybody may have a
  ///   stream.
  /// @param most_streams  Streams open at the same time.
  /// @throws              std::bad_alloc, also if there are no sockets left.
  evhttp_events(event_base* loop, basic_broker<Traits>& events, endpoint_options at,
                typename service::authenticate who = {}, std::size_t most_streams = 100'000)
      : all_(events, std::move(at), std::move(who), most_streams), loop_(loop) {}

  /// For one channel.
  evhttp_events(event_base* loop, basic_broker<Traits>& events, char const* channel)
      : evhttp_events(loop, events, endpoint_options{.channels = {channel}}) {}

  /// Answers a request; `self` is this object.
  static void answer(evhttp_request* request, void* self) {
    static_cast<evhttp_events*>(self)->open(request);
  }

  /// Ends all streams, on another thread than the loop's, which runs on; see event_service::drain().
  void drain(steady_duration time) { all_.drain(time); }

 private:
  void open(evhttp_request* request) {
    auto* const given = evhttp_request_get_input_headers(request);
    // As for HTTP/2: evhttp writes the fields of the connection itself.
    auto const asked =
        all_.at().read(method_of(request), evhttp_request_get_uri(request), http_version::http_2,
                       [&](char const* name) { return evhttp_find_header(given, name); });
    auto const made = all_.open(asked, request);
    for (auto const& [name, value] : made.response.fields)
      evhttp_add_header(evhttp_request_get_output_headers(request), std::string(name).c_str(), value.c_str());
    if (!made.stream) {
      auto const& body = made.response.body;
      evbuffer_add(evhttp_request_get_output_buffer(request), body.data(), body.size());
      evhttp_send_reply(request, made.response.status, nullptr, nullptr);
      return;
    }
    auto& streams = loop_.streams();
    auto const added = streams.add(evhttp_writer(request), std::move(made.stream->from));
    if (!added) return;  // no memory: its writer was destroyed
    streams.writer(*added)->on() = {
        [this, id = *added] {
          loop_.streams().writable(id);
          loop_.ask_for_a_turn();
        },
        [this, id = *added] { loop_.streams().close(id, close_reason::peer_gone); }, made.stream};
    loop_.ask_for_a_turn();
  }

  static char const* method_of(evhttp_request* request) {
    switch (evhttp_request_get_command(request)) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_OPTIONS: return "OPTIONS";
    default: return "other";
    }
  }

  service all_;
  libevent_reactor<evhttp_writer, Traits> loop_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
