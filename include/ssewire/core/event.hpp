// SPDX-License-Identifier: MIT
// event.hpp - the event: what the serializer takes and the parser yields.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event_text.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/reconnection_time.hpp>

#include <optional>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// One event. Every member is a view of the caller's bytes, or of the parser's: they must not change until
/// the call that takes the event returns. So write it where it is used, `publish("c", {.data = j.dump()})`:
/// an `event` with a name, made over a temporary string, dangles on the next line, and no compiler warns.
struct event {
  /// empty: "message".
  event_type type = {};
  /// Any bytes, any line ends. Absent: no event fires in the client.
  optional_text data = {};
  /// absent: the client keeps the last event ID it has.
  event_id id = {};
  /// How long to wait before reconnecting, from now on.
  std::optional<reconnection_time> retry = {};

  friend constexpr bool operator==(event const&, event const&) noexcept = default;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
