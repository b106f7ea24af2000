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

/// How much history is kept. Whatever is reached first makes the oldest go. Count and bytes never take the
/// newest event; age does.
struct replay_limits {
  /// 0 means 1. The default rides out a minute at 17 events a second.
  std::uint64_t max_events = 1024;
  /// Of serialized events. Memory taken: at most 2.25 times it, plus 1 KiB; and 18 bytes for each event
  /// whose publisher gave it an ID, 8 for each where there are tags. That is kept whatever the events are:
  /// where it would be exceeded (it takes 2^32 events on other channels between two of this one), the oldest
  /// go earlier.
  std::size_t max_bytes = 1024 * 1024;
  /// Since the event was published; 0: no limit by age. Kept by tick().
  steady_duration max_age = steady_duration::zero();
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
