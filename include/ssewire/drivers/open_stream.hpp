// SPDX-License-Identifier: MIT
// open_stream.hpp - from a request that an endpoint has read to a subscription and the answer.
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/refuse.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What your program says of a request: whose it is, or that it may not have a stream. The other members are
/// those of subscribe_options.
struct verdict {
  /// Whose stream it is; empty: nobody's.
  std::string user = {};
  /// When it ends: when the client's token does.
  std::optional<steady_time> expires = {};
  /// Where it starts without a last event ID.
  start_at start = {};
  /// Which events of its channels it gets; empty: all.
  event_filter filter = {};
  /// errc::not_authenticated or not_allowed: it gets no stream.
  errc refused = errc::ok;
};

/// The answer to a request, and the stream's subscription if the answer opens one.
template <class Traits = default_traits> struct opened_stream {
  /// What to send.
  http_response response = {};
  /// Empty unless the response opens a stream.
  basic_subscription<Traits> from = {};
};

/// Subscribes a request, if it may have a stream.
///
/// @param at      The endpoint that has read the request.
/// @param events  The broker.
/// @param asked   What the endpoint has read.
/// @param who     What your program says of the request. It is not looked at if `asked` is false.
/// @param as_of   What events.closes() returned before your program looked at the request.
/// @param now     The time now. The broker may tick by it.
/// @param body    Who frames the stream; see response_fields().
/// @throws        std::bad_alloc; then there is no subscription.
/// @par Threads   Any.
template <class Traits>
[[nodiscard]] opened_stream<Traits>
open_stream(endpoint const& at, basic_broker<Traits>& events, stream_request const& asked, verdict const& who,
            std::uint64_t as_of, steady_time now, framing body = framing::raw) {
  if (!asked) return {at.answer(asked), {}};
  if (who.refused != errc::ok || asked.kind == request_kind::head)
    return {at.answer(asked, who.refused, body), {}};
  auto made = events.subscribe(asked.channels, {.last_event_id = asked.last_event_id,
                                                .start = who.start,
                                                .filter = who.filter,
                                                .user = who.user,
                                                .expires = who.expires,
                                                .as_of = as_of,
                                                .now = now});
  return {at.answer(asked, made.error, body), std::move(made.value)};
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
