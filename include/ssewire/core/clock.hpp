// SPDX-License-Identifier: MIT
// clock.hpp - the clock of every deadline.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <chrono>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The clock of every deadline in the library. Time is an argument: only serve_blocking reads the clock
/// itself.
using steady_time = std::chrono::steady_clock::time_point;
using steady_duration = std::chrono::steady_clock::duration;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
