// SPDX-License-Identifier: MIT
// reconnection_time.hpp - how long a client waits before it reconnects: the field `retry`.
// Source: WHATWG HTML, 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// A duration of <chrono>, recognized by its members: this header does not pay for <chrono>.
template <class T> concept duration_like = requires(T const& d) {
  typename T::rep;
  typename T::period;
  T::period::num;
  T::period::den;
  d.count();
};

}  // namespace detail

/// How long a client waits before it reconnects, in milliseconds. Any std::chrono duration converts to it
/// without a cast.
struct reconnection_time {
  /// The time in milliseconds.
  std::uint64_t milliseconds = 0;

  constexpr reconnection_time() noexcept = default;
  /// So many milliseconds.
  constexpr explicit reconnection_time(std::uint64_t ms) noexcept : milliseconds(ms) {}

  /// Any std::chrono duration. A negative one becomes 0, a fraction of a millisecond is rounded up, and one
  /// beyond 64 bits becomes the largest number.
  template <detail::duration_like Duration>
  constexpr reconnection_time(Duration const& length) noexcept : milliseconds(convert(length)) {}

  friend constexpr bool operator==(reconnection_time, reconnection_time) noexcept = default;

 private:
  template <class Rep> static constexpr bool counts_whole = requires(Rep count) { count % 2; };

  template <class Duration> static constexpr std::uint64_t convert(Duration const& length) noexcept {
    using period = typename Duration::period;
    constexpr auto most = static_cast<std::uint64_t>(-1);
    auto const count = length.count();
    if (!(count > 0)) return 0;  // negative, zero, and a NaN
    constexpr auto num = static_cast<std::uint64_t>(period::num);
    constexpr auto den = static_cast<std::uint64_t>(period::den);
    // Exact where num * 1000 * den fits into 64 bits: for every unit that <chrono> names, and most others.
    if constexpr (counts_whole<typename Duration::rep> && num <= most / 1000 / den) {
      auto const ticks = static_cast<std::uint64_t>(count);
      constexpr auto common = gcd(num * 1000, den);
      constexpr auto up = num * 1000 / common;
      constexpr auto down = den / common;
      auto const whole = ticks / down;
      auto const rest = ticks % down;
      auto const part = (rest * up + down - 1) / down;
      if (whole > (most - part) / up) return most;
      return whole * up + part;
    } else {
      auto const ms = static_cast<long double>(count) * 1000 * static_cast<long double>(period::num) /
                      static_cast<long double>(period::den);
      if (ms >= 18446744073709551615.0L) return most;
      auto const floor = static_cast<std::uint64_t>(ms);
      return static_cast<long double>(floor) < ms ? floor + 1 : floor;
    }
  }

  static constexpr std::uint64_t gcd(std::uint64_t a, std::uint64_t b) noexcept {
    while (b != 0) {
      auto const rest = a % b;
      a = b;
      b = rest;
    }
    return a;
  }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
