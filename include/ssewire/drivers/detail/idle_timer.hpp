// SPDX-License-Identifier: MIT
// idle_timer.hpp - how long a stream has been quiet, which says when its heartbeat is due or its peer has
// stalled. For drivers that have no clock of their own and look now and then.
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

  // `progress`: any number that differs from the last one if bytes have gone since the last look. `waits`:
  // whether the stream waits for its peer; otherwise it waits for news.
  void look(std::uint64_t progress, bool waits, steady_time now) noexcept {
    watched_.look(now);
    if (progress != progress_ || waits != waits_) since_ = watched_.now();
    progress_ = progress;
    waits_ = waits;
  }

  // The heartbeat is due; or, for a stream that waits for its peer, its end.
  [[nodiscard]] bool is_due() const noexcept {
    auto const due = deadline();
    return due && watched_.now() >= *due;
  }

  // When to look again. That is twice in each interval, because what happens between two looks is noticed at
  // the second. It is more often while the stream waits for its peer.
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
  // Makes the first look begin the time: no progress has this number.
  std::uint64_t progress_ = (std::numeric_limits<std::uint64_t>::max)();
  bool waits_ = false;
  steady_time since_ = {};
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
