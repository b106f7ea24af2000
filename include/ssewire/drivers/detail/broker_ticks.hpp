// SPDX-License-Identifier: MIT
// broker_ticks.hpp - lets time pass for the brokers of a reactor's streams, also while no stream is left.
#pragma once

#include <ssewire/broker/detail/core.hpp>
#include <ssewire/core/clock.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Keeps no broker alive.
template <class Traits> class broker_ticks {
 public:
  using core = broker_core<Traits>;

  // Throws std::bad_alloc. Complexity: O(brokers); the newest is looked at first.
  void add(std::shared_ptr<core> const& of) {
    auto const is_it = [&](std::weak_ptr<core> const& b) {
      return !b.owner_before(of) && !of.owner_before(b);
    };
    if (std::find_if(all_.rbegin(), all_.rend(), is_it) != all_.rend()) return;
    all_.emplace_back(of);
    next_ = (steady_time::min)();
  }

  // May call hooks, which may call add().
  void tick_if_due(steady_time now) noexcept {
    if (now < next_ && now >= looked_) return;
    next_ = never;
    looked_ = now;
    for (std::size_t i = 0; i < all_.size();) {
      if (auto const of = all_[i].lock()) {
        if (auto const next = of->tick_if_due(now); next && *next < next_) next_ = *next;
        ++i;
      } else {
        std::swap(all_[i], all_.back());
        all_.pop_back();
      }
    }
  }

  // By the time that the loop gives: if that has gone back, the reactor's own stands still.
  [[nodiscard]] bool is_due(steady_time now) const noexcept { return now >= next_ && next_ != never; }
  [[nodiscard]] std::optional<steady_time> next_tick() const noexcept {
    return next_ == never ? std::nullopt : std::optional(next_);
  }

 private:
  static constexpr auto never = (steady_time::max)();

  std::vector<std::weak_ptr<core>> all_;
  steady_time next_ = never;
  steady_time looked_ = (steady_time::min)();  // a time before it: then the clock was wrong
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
