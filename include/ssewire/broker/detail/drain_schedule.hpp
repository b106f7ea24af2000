// SPDX-License-Identifier: MIT
// drain_schedule.hpp - when each stream of a draining broker ends: spread evenly over the first half of the
// time until the deadline.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/traits.hpp>

#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// The moment at which this subscriber leaves, in [0, 1) of the schedule. Multiples of the golden ratio
// spread any number of subscribers evenly, and no two lie close together.
[[nodiscard]] constexpr double departure_of(std::uint64_t number) noexcept {
  return static_cast<double>(static_cast<std::uint32_t>(number * 0x9E3779B9u)) / 0x1p32;
}

// The part of the schedule that has passed. It only grows, also if the clock moves back.
class drain_schedule {
 public:
  // A second call spreads the remaining subscribers anew; none leaves later than before.
  void begin(steady_time now, steady_time deadline) noexcept {
    pass(now);
    deadline_ = smaller(deadline_, deadline);
    auto const from = now.time_since_epoch().count();
    auto const to = deadline_.time_since_epoch().count();
    auto const half = from / 2 + to / 2 + (from % 2 + to % 2) / 2;  // to - from could overflow
    last_departure_ = smaller(last_departure_, steady_time(steady_duration(half)));
    began_ = now;
    past_before_ = past_;
    pass(now);
  }

  void pass(steady_time now) noexcept {
    if (now >= last_departure_) {
      past_ = 1;
    } else if (now > began_) {
      auto const part = between(began_, now) / between(began_, last_departure_);
      past_ = larger(past_, past_before_ + (1 - past_before_) * part);
    }
  }

  [[nodiscard]] bool has_come(double departure) const noexcept { return departure < past_; }
  [[nodiscard]] bool deadline_has_come(steady_time now) const noexcept { return now >= deadline_; }

 private:
  // In unsigned arithmetic, because the two may be further apart than a steady_duration can hold.
  static double between(steady_time from, steady_time to) noexcept {
    auto const ticks = [](steady_time t) { return static_cast<std::uint64_t>(t.time_since_epoch().count()); };
    return static_cast<double>(ticks(to) - ticks(from));
  }

  steady_time began_ = (steady_time::max)();
  steady_time last_departure_ = (steady_time::max)();
  steady_time deadline_ = (steady_time::max)();
  double past_before_ = 0;  // the value of past_ when begin() was called last
  double past_ = 0;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
