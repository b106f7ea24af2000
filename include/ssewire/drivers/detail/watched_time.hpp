// SPDX-License-Identifier: MIT
// watched_time.hpp - how long a peer has been silent while a driver was looking. A driver is not polled while
// its process, its machine or its loop stands still. It has not seen what peers did meanwhile, so that time
// does not count against them.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/timing.hpp>

#include <algorithm>
#include <optional>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// While a driver waits for a peer, next_look() asks for a look at least each eighth of the stall time. More
// than three eighths between two looks are a pause, and from the second look on every peer has the whole
// stall time again. So looks that each come late, by up to a quarter of the stall time, still find dead
// peers. After a pause of any length no peer looks dead.
class watched_time {
 public:
  explicit watched_time(steady_duration stall_time) noexcept : stall_time_(stall_time) {}

  // A clock that goes back counts as standing still.
  void look(steady_time now) noexcept {
    now = (std::max)(now, now_);
    if (now - now_ > stall_time_ / 8 * 3) since_ = now;
    now_ = now;
  }

  // The time of the last look.
  [[nodiscard]] steady_time now() const noexcept { return now_; }

  // When a peer that has been silent since `then` counts as stalled.
  [[nodiscard]] std::optional<steady_time> stall_of(steady_time then) const noexcept {
    return deadline((std::max)(then, since_), stall_time_);
  }
  [[nodiscard]] bool has_stalled(steady_time then) const noexcept {
    auto const at = stall_of(then);
    return at && now_ >= *at;
  }

  // When to look again while a driver waits for a peer.
  [[nodiscard]] std::optional<steady_time> next_look() const noexcept {
    return deadline(now_, stall_time_ / 8);
  }

 private:
  steady_duration stall_time_;
  steady_time now_ = {};
  steady_time since_ = {};  // no pause has been seen since this time
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
