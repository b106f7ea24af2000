// SPDX-License-Identifier: MIT
// timing.hpp - when a driver acts without being asked.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <optional>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// When a driver acts without being asked. Zero switches an action off.
struct timing_options {
  /// A comment is sent after this time without a byte, because proxies cut idle streams at 30 to 60 s.
  steady_duration heartbeat = std::chrono::seconds(15);
  /// A peer that takes no byte for this time is dead, whatever its socket says. The time counts only while
  /// the driver is polled when it asked to be: after a pause of the process every peer has all of it again.
  /// It is not used by serve_blocking, which is inside the writer meanwhile: there only the socket's send
  /// timeout ends the wait.
  steady_duration stall_time = std::chrono::seconds(60);
};

namespace detail {

// When `after` has passed since `start`. Zero means never, and so does a time beyond the clock's range.
constexpr std::optional<steady_time> deadline(steady_time start, steady_duration after) noexcept {
  if (after <= steady_duration::zero() || after > (steady_time::max)() - (std::max)(start, steady_time{}))
    return std::nullopt;
  return start + after;
}

// The earlier of two times, of which each may be never.
constexpr std::optional<steady_time> earlier(std::optional<steady_time> a,
                                             std::optional<steady_time> b) noexcept {
  return a && b ? (std::min)(*a, *b) : a ? a : b;
}

// The ticker of a source (see stream/source.hpp), or one that has nothing to do.
template <class Source> [[nodiscard]] auto ticker_of(Source& from) noexcept {
  if constexpr (requires(steady_time now) {
                  { from.ticker()(now) } -> std::same_as<std::optional<steady_time>>;
                }) {
    return from.ticker();
  } else {
    return [](steady_time) noexcept -> std::optional<steady_time> { return std::nullopt; };
  }
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
