// SPDX-License-Identifier: MIT
// clock.hpp - the clock of every deadline.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <version>

// <chrono> also has calendars, time zones and text, which cost more than all that this library needs of it.
// Only the releases of libstdc++ that are known to keep the clocks apart are named; others get all of it.
#if defined(_GLIBCXX_RELEASE) && __has_include(<bits/chrono.h>)
#if _GLIBCXX_RELEASE >= 12 && _GLIBCXX_RELEASE <= 15
#define SSEWIRE_DETAIL_CLOCKS_ALONE
#endif
#endif
#if defined(SSEWIRE_DETAIL_CLOCKS_ALONE)
#include <bits/chrono.h>
#undef SSEWIRE_DETAIL_CLOCKS_ALONE
#else
#include <chrono>
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The clock of every deadline in the library. Time is an argument: only serve_blocking reads the clock
/// itself.
using steady_time = std::chrono::steady_clock::time_point;
/// A length of time on that clock.
using steady_duration = std::chrono::steady_clock::duration;

namespace detail {

// The last time of the clock, if that comes first. `more` is not negative.
constexpr steady_time later(steady_time from, steady_duration more) noexcept {
  return from > (steady_time::max)() - more ? (steady_time::max)() : from + more;
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
