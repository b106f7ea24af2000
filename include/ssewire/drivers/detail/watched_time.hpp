// SPDX-License-Identifier: MIT
// watched_time.hpp - how long a peer has been silent while somebody looked. A driver that was not polled,
// because its process, its machine or its loop stood still, has not seen what peers did meanwhile, and holds
// nothing against them.
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

// While a peer is waited for, a look is asked for at least each eighth of the stall time. Where more than
// three eighths pass between two looks, that was a pause, and from the second one on everybody has the whole
// stall time again. So looks that come late, by a quarter of the stall time each, still find the dead; and
// after a pause, however long, nobody looks dead.
class watched_time {
 public:
  explicit watched_time(steady_duration stall_time) noexcept : stall_time_(stall_time) {}

  // A clock that goes back stands still.
  void look(steady_time now) noexcept {
    now = (std::max)(now, now_);
    if (now - now_ > stall_time_ / 8 * 3) since_ = now;
    now_ = now;
  }

  // When it was looked last.
  [[nodiscard]] steady_time now() const noexcept { return now_; }

  // When a peer that has been silent since `then` has stalled.
  [[nodiscard]] std::optional<steady_time> stall_of(steady_time then) const noexcept {
    return deadline((std::max)(then, since_), stall_time_);
  }
  [[nodiscard]] bool has_stalled(steady_time then) const noexcept {
    auto const at = stall_of(then);
    return at && now_ >= *at;
  }

  // When to look again, if a peer is waited for.
  [[nodiscard]] std::optional<steady_time> next_look() const noexcept {
    return deadline(now_, stall_time_ / 8);
  }

 private:
  steady_duration stall_time_;
  steady_time now_ = {};
  steady_time since_ = {};  // no pause since then
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
