// SPDX-License-Identifier: MIT
// membership.hpp - a subscriber's place in one channel: its cursor into the log, and its link in the
// channel's list of parked subscribers.
#pragma once

#include <ssewire/log/detail/entry_log.hpp>

#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> struct channel;
template <class Traits> struct subscriber;

// Whether the number of events that a subscriber has missed on a channel is known.
enum class loss : unsigned char {
  counted,        // none, or those between its ordinal and the log's first one
  uncounted,      // it has missed some; the number is unknown
  before_resume,  // the events after its last event ID were trimmed before it came back; number unknown
};

// A subscriber's place in one channel. Guarded by the broker's lock.
template <class Traits> struct membership {
  channel<Traits>* of = nullptr;
  subscriber<Traits>* owner = nullptr;
  // The entry to pull next. Below the log's first one: the subscriber has missed some.
  std::uint64_t next_ordinal = 0;
  // The oldest entry of the last batch, while the subscriber may still send from that batch.
  std::uint64_t held_from = never;
  // Where the last batch began; never: there was none yet.
  std::uint64_t pulled_from = never;
  // Names this membership among those of its owner; joins and leaves do not change it.
  std::uint32_t key = 0;
  loss missed = loss::counted;
  // For loss::uncounted, a position: the missed events lie after it.
  std::uint64_t missing_after = 0;
  membership* next_parked = nullptr;
  // The pointer that points to this membership, or null if it is in no list.
  membership** parked_link = nullptr;

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

// The memberships that wait for a channel's next event. Taking the whole list is one step. A membership can
// leave at any time, also after a publisher has taken the list.
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
