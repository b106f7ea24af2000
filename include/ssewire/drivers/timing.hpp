// SPDX-License-Identifier: MIT
// timing.hpp - when a driver acts without being asked.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// When a driver acts without being asked. Zero switches it off.
struct timing_options {
  /// A comment after so long without a byte: proxies cut idle streams at 30 to 60 s.
  steady_duration heartbeat = std::chrono::seconds(15);
  /// A peer that takes no byte for so long is dead, whatever its socket says. Only time counts in which the
  /// driver was polled when it asked to be: after a pause of the process everybody has all of it again. Not
  /// of serve_blocking, which is inside the writer meanwhile: only the socket's send timeout ends that.
  steady_duration stall_time = std::chrono::seconds(60);
};

namespace detail {

// When `after` has passed since `start`. Zero is never, and so is what the clock cannot say.
constexpr std::optional<steady_time> deadline(steady_time start, steady_duration after) noexcept {
  if (after <= steady_duration::zero() || after > (steady_time::max)() - (std::max)(start, steady_time{}))
    return std::nullopt;
  return start + after;
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
