// SPDX-License-Identifier: MIT
// idle_timer.hpp - for how long a stream has been quiet: when its heartbeat is due, or its peer has stalled.
// For drivers that have no clock and look now and then.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/detail/watched_time.hpp>
#include <ssewire/drivers/timing.hpp>

#include <cstdint>
#include <limits>
#include <optional>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

class idle_timer {
 public:
  explicit idle_timer(timing_options timing) noexcept : timing_(timing), watched_(timing.stall_time) {}

  // `progress`: another number than before if something has gone since. `waits`: for its peer, else for
  // news.
  void look(std::uint64_t progress, bool waits, steady_time now) noexcept {
    watched_.look(now);
    if (progress != progress_ || waits != waits_) since_ = watched_.now();
    progress_ = progress;
    waits_ = waits;
  }

  // The heartbeat, or, of one that waits, the end.
  [[nodiscard]] bool is_due() const noexcept {
    auto const due = deadline();
    return due && watched_.now() >= *due;
  }

  // When to look again: twice in each interval, for what happens between two looks is seen by the second;
  // and more often while it waits for its peer.
  [[nodiscard]] std::optional<steady_time> next_look() const noexcept {
    std::optional<steady_time> next;
    auto const now = watched_.now();
    for (auto const at :
         {detail::deadline(now, timing_.heartbeat / 2),
          waits_ ? watched_.next_look() : detail::deadline(now, timing_.stall_time / 2), deadline()}) {
      if (at && *at > now && (!next || *at < *next)) next = at;
    }
    return next;
  }

 private:
  [[nodiscard]] std::optional<steady_time> deadline() const noexcept {
    return waits_ ? watched_.stall_of(since_) : detail::deadline(since_, timing_.heartbeat);
  }

  timing_options timing_;
  watched_time watched_;
  std::uint64_t progress_ =
      (std::numeric_limits<std::uint64_t>::max)();  // so that the first look begins the time
  bool waits_ = false;
  steady_time since_ = {};
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
