// SPDX-License-Identifier: MIT
// membership.hpp - a subscriber's place in one channel: its cursor into the log, and a link of who is parked
// there.
#pragma once

#include <ssewire/log/detail/entry_log.hpp>

#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> struct channel;
template <class Traits> struct subscriber;

// What a subscriber has missed on a channel, and whether the number is known.
enum class loss : unsigned char {
  counted,        // nothing, or, if it lags, as many events as its ordinal says
  uncounted,      // it lags, and the number cannot be told
  before_resume,  // it came back too late; the number of what it missed meanwhile nobody knows
};

// A subscriber's place in one channel. Guarded by the broker's lock.
template <class Traits> struct membership {
  channel<Traits>* of = nullptr;
  subscriber<Traits>* owner = nullptr;
  std::uint64_t next_ordinal = 0;  // the entry it gets next; below the log's first one: it has missed some
  // The oldest entry in the batch it pulled last, while it may still send from that.
  std::uint64_t held_from = never;
  std::uint64_t pulled_from = never;  // the entry the batch pulled last began with; never: there was none yet
  std::uint32_t key = 0;              // names it among those of its owner, also when they change
  loss missed = loss::counted;
  std::uint64_t missing_after = 0;  // of `uncounted`: a position; what it has missed lies after that
  membership* next_parked = nullptr;
  membership** parked_link = nullptr;  // what points to this, or null: not in a list

  [[nodiscard]] bool lags() const noexcept { return next_ordinal < of->history.first_ordinal(); }
  [[nodiscard]] bool has_news() const noexcept { return next_ordinal < of->history.end_ordinal(); }
  [[nodiscard]] bool holds_forgotten() const noexcept { return held_from < of->history.first_ordinal(); }

  void unlink() noexcept {
    if (parked_link == nullptr) return;
    *parked_link = next_parked;
    if (next_parked != nullptr) next_parked->parked_link = parked_link;
    next_parked = nullptr;
    parked_link = nullptr;
  }
};

// Who waits for a channel's next event. Taking the whole list is one step, and who is in it can leave it at
// any time, also when a publisher has already taken it.
template <class Traits> struct parked_list {
  membership<Traits>* first = nullptr;

  parked_list() noexcept = default;
  parked_list(parked_list const&) = delete;
  parked_list& operator=(parked_list const&) = delete;

  void push(membership<Traits>& m) noexcept {
    m.unlink();
    m.next_parked = first;
    m.parked_link = &first;
    if (first != nullptr) first->parked_link = &m.next_parked;
    first = &m;
  }

  void take(parked_list& from) noexcept {
    first = from.first;
    from.first = nullptr;
    if (first != nullptr) first->parked_link = &first;
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
