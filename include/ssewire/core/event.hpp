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

/// One event. Write it where it is used: `publish("c", {.data = j.dump()})`. An `event` variable that views a
/// temporary string dangles on the next line, and no compiler warns.
///
/// @par Lifetime  Every member is a view of the caller's bytes, or of the parser's. They must not change
///   until the call that takes the event returns.
struct event {
  /// Empty: "message".
  event_type type = {};
  /// Any bytes, with any line ends. Absent: no event fires in the client.
  optional_text data = {};
  /// Absent: the client keeps the last event ID it has.
  event_id id = {};
  /// How long the client waits before it reconnects, from now on. Absent: as before.
  std::optional<reconnection_time> retry = {};

  friend constexpr bool operator==(event const&, event const&) noexcept = default;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
