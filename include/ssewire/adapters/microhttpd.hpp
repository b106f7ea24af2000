// SPDX-License-Identifier: MIT
// microhttpd.hpp - event streams on a server of libmicrohttpd, from version 0.9.71: `events.answer(...)` in
// the handler of requests. The daemon needs MHD_ALLOW_SUSPEND_RESUME and a thread of its own.
#pragma once

#include <ssewire/adapters/microhttpd_stream.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/request.hpp>
#include <ssewire/http/response_fields.hpp>

#include <microhttpd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Answers the requests of one endpoint on libmicrohttpd.
///
/// @par Lifetime  It must outlive the daemon: drain() it, stop the daemon, and then destroy it.
template <class Traits = default_traits> class microhttpd_events {
 public:
  /// What it serves.
  using service = event_service<MHD_Connection*, Traits>;

  /// @param events        The broker. It must outlive this.
  /// @param at            What the endpoint takes.
  /// @param who           `who(asked, connection)` returns an ssewire::verdict; empty: everybody may have a
  ///   stream.
  /// @param most_streams  Streams open at the same time.
  explicit microhttpd_events(basic_broker<Traits>& events, endpoint_options at,
                             typename service::authenticate who = {}, std::size_t most_streams = 1000)
      : all_(events, std::move(at), std::move(who), most_streams) {}
  /// For one channel.
  microhttpd_events(basic_broker<Traits>& events, char const* channel)
      : microhttpd_events(events, endpoint_options{.channels = {channel}}) {}

  /// Answers a request: call it in the handler, with what the handler was given.
  MHD_Result answer(MHD_Connection* to, char const* method, char const* version) {
    bool const is_1_0 = std::string_view(version) == MHD_HTTP_VERSION_1_0;
    auto const field = [&](char const* name) {
      return MHD_lookup_connection_value(to, MHD_HEADER_KIND, name);
    };
    auto const asked = all_.at().read(method, "?" + query(to),
                                      is_1_0 ? http_version::http_1_0 : http_version::http_1_1, field);
    auto const made = all_.open(asked, to);
    auto const& body = made.response.body;
    auto* const response = made.stream
                               ? streams_.response(to, std::move(made.stream->from), made.stream)
                               : MHD_create_response_from_buffer(body.size(), const_cast<char*>(body.data()),
                                                                 MHD_RESPMEM_MUST_COPY);
    for (auto const& [name, value] : made.response.fields) {
      // libmicrohttpd writes the fields of the connection itself.
      if (name != "Connection") MHD_add_response_header(response, std::string(name).c_str(), value.c_str());
    }
    auto const queued = MHD_queue_response(to, static_cast<unsigned>(made.response.status), response);
    MHD_destroy_response(response);
    return queued;
  }

  /// Ends all streams; see event_service::drain(). Then stop the daemon.
  void drain(steady_duration time) { all_.drain(time); }

 private:
  // libmicrohttpd gives a query's names and values, but not the query.
  static std::string query(MHD_Connection* to) {
    std::string all;
    auto const add = [](void* of, MHD_ValueKind, char const* name, char const* value) {
      auto const encoded = [](char const* text) {
        return detail::percent_encoded(text == nullptr ? "" : text);
      };
      static_cast<std::string*>(of)->append(encoded(name) + '=' + encoded(value) + '&');
      return MHD_YES;
    };
    MHD_get_connection_values(to, MHD_GET_ARGUMENT_KIND, add, &all);
    return all;
  }

  service all_;
  microhttpd_streams<Traits> streams_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
