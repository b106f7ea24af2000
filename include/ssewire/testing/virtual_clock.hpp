// SPDX-License-Identifier: MIT
// virtual_clock.hpp - time that a test controls: it stands still until the test moves it, and jumps from
// deadline to deadline.
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

/// How run_until() went. It is true when the run did not spin.
struct run_result {
  /// How many polls there were.
  std::size_t polls = 0;
  /// Each poll asked for the next one at once, and no time passed: a program would use a processor for
  /// nothing.
  bool spun = false;

  /// Whether it did not spin.
  constexpr explicit operator bool() const noexcept { return !spun; }
};

/// A clock for calls that take the time as an argument: poll(now) of the drivers, tick(now) and drain(now) of
/// the broker.
///
/// @par Threads  One thread at a time.
class virtual_clock {
 public:
  constexpr virtual_clock() noexcept = default;
  /// A clock that stands at `start`.
  constexpr explicit virtual_clock(steady_time start) noexcept : now_(start) {}

  /// The time now.
  [[nodiscard]] constexpr steady_time now() const noexcept { return now_; }
  /// Moves the clock by `by`, but never back. Returns the time now.
  constexpr steady_time advance(steady_duration by) noexcept {
    return now_ += (std::max)(by, steady_duration::zero());
  }
  /// Moves the clock to `to`, but never back. Returns the time now.
  constexpr steady_time advance_to(steady_time to) noexcept { return now_ = (std::max)(now_, to); }

  /// Polls now and at each time that a poll asks for, up to and including `end`, where the clock then stands.
  ///
  /// @param end           The last time.
  /// @param poll          `poll(now)` returns {bool more, optional<steady_time> next}, as basic_reactor::poll
  ///   does. Wrap it to see what happens at which time.
  /// @param most_at_once  So many polls at one time are too many: the run has spun.
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

  /// The same, for a length of time from now.
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
