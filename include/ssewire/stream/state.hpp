// SPDX-License-Identifier: MIT
// state.hpp - what a stream is waiting for.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What a stream waits for.
enum class stream_state : unsigned char {
  /// Nothing to send; its source, if any, is parked.
  idle,
  /// There is more to send: pump again soon, after others had their turn.
  more,
  /// The writer said `again`: the stream waits for writable().
  blocked,
  /// The writer said `pending`: the stream waits for written().
  pending,
  /// The stream is over; see reason().
  closed,
};

/// The state in a word, for logs and counters. A static string.
constexpr std::string_view name(stream_state e) noexcept {
  switch (e) {
  case stream_state::idle: return "idle";
  case stream_state::more: return "more";
  case stream_state::blocked: return "blocked";
  case stream_state::pending: return "pending";
  case stream_state::closed: return "closed";
  }
  return "unknown";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
