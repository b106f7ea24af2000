// SPDX-License-Identifier: MIT
// nghttp2.hpp - event streams on a server of nghttp2, HTTP/2 alone: `events.answer(...)` in
// on_frame_recv_callback, when a request is complete. The loop, and what it sends, stay your program's.
#pragma once

#include <ssewire/adapters/nghttp2_session.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/response_fields.hpp>

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The fields of a request.
class nghttp2_request {
 public:
  /// All names and values together; more are refused. A few bytes of HPACK can stand for megabytes.
  static constexpr std::size_t most_bytes = 64 * 1024;

  /// Takes a field; call it in on_header_callback. A cookie comes in several fields, and is put together.
  ///
  /// @return  What the callback returns.
  /// @throws  std::bad_alloc.
  int add(std::uint8_t const* name, std::size_t name_size, std::uint8_t const* value,
          std::size_t value_size) {
    bytes_ += name_size + value_size;
    if (bytes_ > most_bytes) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
    std::string const key(reinterpret_cast<char const*>(name), name_size);
    auto const [its, is_new] = fields_.try_emplace(key);
    if (!is_new) its->second += key == "cookie" ? "; " : ", ";
    its->second.append(reinterpret_cast<char const*>(value), value_size);
    return 0;
  }

  /// A field's value; empty: there is none. The name is in lower case, or as `:path`.
  [[nodiscard]] std::string_view operator[](std::string_view name) const noexcept {
    auto const its = fields_.find(name);
    return its == fields_.end() ? std::string_view() : its->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> fields_;
  std::size_t bytes_ = 0;
};

/// Answers the requests of one endpoint, on any number of sessions.
///
/// @par Lifetime  It must outlive all their streams.
/// @par Threads   Any thread may make any call at any time; a session has one at a time.
template <class Traits = default_traits> class nghttp2_events {
 public:
  /// What it serves.
  using service = event_service<nghttp2_request, Traits>;

  /// @param events        The broker. It must outlive this.
  /// @param at            What the endpoint takes.
  /// @param who           `who(asked, request)` returns an ssewire::verdict; empty: everybody may have a
  ///   stream.
  /// @param most_streams  Streams open at the same time, on all sessions. Set the most of a session by
  ///   SETTINGS_MAX_CONCURRENT_STREAMS.
  explicit nghttp2_events(basic_broker<Traits>& events, endpoint_options at,
                          typename service::authenticate who = {}, std::size_t most_streams = 100'000)
      : all_(events, std::move(at), std::move(who), most_streams) {}
  /// For one channel.
  nghttp2_events(basic_broker<Traits>& events, char const* channel)
      : nghttp2_events(events, endpoint_options{.channels = {channel}}) {}

  /// Answers a request. If memory is short or `who` throws, the status is 500.
  ///
  /// @param on       The streams of the session.
  /// @param id       The request's stream. If it has ended meanwhile, nothing is sent.
  /// @param request  The request's fields.
  void answer(nghttp2_streams<Traits>& on, std::int32_t id, nghttp2_request const& request) noexcept {
    bool const answered = detail::try_call([&] {
      auto const field = [&](std::string_view name) {
        if (name == "Host" && !request[":authority"].empty()) return request[":authority"];
        std::string lower(name);
        for (auto& c : lower) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        return request[lower];
      };
      auto const asked = all_.at().read(request[":method"], request[":path"], http_version::http_2, field);
      auto const made = all_.open(asked, request);
      on.respond(id, made.response, made.stream ? std::move(made.stream->from) : basic_subscription<Traits>(),
                 made.stream);
    });
    if (!answered) on.respond(id, {.status = 500});
  }

  /// Ends all streams, on another thread than those of the sessions; see event_service::drain(). Then submit
  /// GOAWAY, by nghttp2_session_terminate_session(), send it, and close the connections.
  void drain(steady_duration time) { all_.drain(time); }

 private:
  service all_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
