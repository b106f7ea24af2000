// SPDX-License-Identifier: MIT
// virtual_clock.hpp - time that a test owns: it stands still until it is moved, and jumps from deadline to
// deadline.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/traits.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// How run_until() went.
struct run_result {
  std::size_t polls = 0;
  /// It was asked for poll after poll and no time passed: a program would use a processor for nothing.
  bool spun = false;

  constexpr explicit operator bool() const noexcept { return !spun; }
};

/// A clock for whatever takes the time as an argument: drivers' poll(now), the broker's tick(now) and
/// drain(now).
/// Threads     one at a time.
class virtual_clock {
 public:
  constexpr virtual_clock() noexcept = default;
  constexpr explicit virtual_clock(steady_time start) noexcept : now_(start) {}

  [[nodiscard]] constexpr steady_time now() const noexcept { return now_; }
  constexpr steady_time advance(steady_duration by) noexcept {
    return now_ += (std::max)(by, steady_duration::zero());
  }
  /// Never back.
  constexpr steady_time advance_to(steady_time to) noexcept { return now_ = (std::max)(now_, to); }

  /// Polls now and at each time it is asked to, up to and including `end`, where the clock then stands.
  /// Input       `poll(now)`: answers {bool more, optional<steady_time> next}, as basic_reactor::poll does;
  ///             wrap it to look at what happened at which time. `most_at_once`: so many polls at one time
  ///             are too many.
  template <class Poll> run_result run_until(steady_time end, Poll poll, std::size_t most_at_once = 100'000) {
    run_result result;
    std::size_t at_once = 0;
    for (;;) {
      auto const asked = poll(now_);
      ++result.polls;
      std::optional<steady_time> const next = asked.more ? now_ : asked.next;
      if (next && *next <= now_) {
        result.spun = ++at_once >= most_at_once;
        if (!result.spun) continue;
      } else if (next && *next <= end) {
        now_ = *next;
        at_once = 0;
        continue;
      }
      advance_to(end);
      return result;
    }
  }

  template <class Poll>
  run_result run_for(steady_duration time, Poll poll, std::size_t most_at_once = 100'000) {
    return run_until(now_ + time, poll, most_at_once);
  }

 private:
  // Not 0, so that a steady_time that nobody set is long ago.
  steady_time now_ = steady_time(std::chrono::hours(1));
};

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
