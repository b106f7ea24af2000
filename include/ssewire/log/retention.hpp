// SPDX-License-Identifier: MIT
// retention.hpp - how much history a log keeps.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// How much history a log keeps. The limit that is reached first trims the oldest events. The limits by
/// number and by bytes never trim the newest event; the limit by age does.
struct replay_limits {
  /// The number of events; 0 means 1. The default is a minute at 17 events a second.
  std::uint64_t max_events = 1024;
  /// The bytes of the serialized events. The log takes at most 2.25 times as much memory, plus 1 KiB; and 18
  /// bytes for each event with an ID of its publisher, 8 for each event where there are tags. This bound
  /// holds for all events: where they would exceed it (it takes 2^32 events on other channels between two of
  /// this one), the oldest are trimmed earlier.
  std::size_t max_bytes = 1024 * 1024;
  /// The time since the event was published; 0: no limit by age. tick() enforces it.
  steady_duration max_age = steady_duration::zero();
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
