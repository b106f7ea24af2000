// SPDX-License-Identifier: MIT
// watermarks.hpp - notes which position had been reached at which time. "Older than" is then a comparison of
// positions, and costs nothing for each event.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Marks lie an eighth of the age apart. So an event reported as too old has between 1 and 1.125 times the age
// limit, if pass() is called at least every eighth of the age.
class watermarks {
 public:
  // Notes that `sequence` is reached now. Returns the last position that is too old; 0 if there is none.
  std::uint64_t pass(steady_time now, steady_duration max_age, std::uint64_t sequence) noexcept {
    if (max_age <= steady_duration::zero()) return 0;
    came_late_ = is_old(passed_, now, max_age / 2 + steady_duration(1));
    passed_ = now;
    while (count_ != 0 && marks_[count_ - 1].when > now) --count_;  // from a clock that was wrong
    auto const too_old = reached(now, max_age);
    if (count_ == 0 || is_old(marks_[count_ - 1].when, now, max_age / 8)) {
      if (count_ == marks_.size()) {
        --count_;
        for (std::size_t i = 0; i < count_; ++i) marks_[i] = marks_[i + 1];
      }
      marks_[count_++] = {now, sequence};
    }
    return too_old;
  }

  // The last position that had been reached `age` ago; 0 if none had, or if `age` is zero.
  [[nodiscard]] std::uint64_t reached(steady_time now, steady_duration age) const noexcept {
    std::uint64_t position = 0;
    for (std::size_t i = 0; age > steady_duration::zero() && i < count_ && is_old(marks_[i].when, now, age);
         ++i)
      position = marks_[i].sequence;
    return position;
  }

  // Whether the last two calls of pass() were more than half of the age apart. Then what the last call found
  // too old may have been young when streams could last act on it.
  [[nodiscard]] bool came_late() const noexcept { return came_late_; }

 private:
  struct mark {
    steady_time when;
    std::uint64_t sequence;
  };

  // Also right for two times that are further apart than a steady_duration can hold.
  static bool is_old(steady_time when, steady_time now, steady_duration age) noexcept {
    auto const ticks = [](steady_time t) { return static_cast<std::uint64_t>(t.time_since_epoch().count()); };
    return now >= when && ticks(now) - ticks(when) >= static_cast<std::uint64_t>(age.count());
  }

  // Oldest first. Eight marks span the age.
  std::array<mark, 16> marks_ = {};
  std::size_t count_ = 0;
  // The time of the last pass(). The first pass() finds nothing too old.
  steady_time passed_ = {};
  bool came_late_ = false;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
