// SPDX-License-Identifier: MIT
// channel.hpp - a channel: a name, the log of its events, and its subscribers' places in it.
#pragma once

#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/indexed_heap.hpp>
#include <ssewire/log/detail/pinned_bytes.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> struct channel;
template <class Traits> struct follower;
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
  follower<Traits>* who = nullptr;  // its user on this channel, if it has a user
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

template <class Traits> struct channel {
  channel(std::string_view called, siphash hash, std::size_t max_bytes, pinned_bytes const& pins)
      : name(called), history(hash, max_bytes, pins) {}

  std::string name;
  entry_log<Traits> history;
  parked_list<Traits> parked;
  subscriber<Traits>* leaders = nullptr;  // see in_step.hpp
  // A number of a subscriber: close_channel() ends those up to this one that follow the channel.
  std::uint64_t closed_through = 0;
  std::size_t members = 0;
  std::size_t members_of_users = 0;  // how many of them have a user
  std::size_t users = 0;             // how many users these are
  // What the presence hook got last of the first two.
  std::size_t told_members = 0;
  std::size_t told_members_of_users = 0;
  follower<Traits>* changed = nullptr;  // users to report to the hook: the last of a ring
  bool telling = false;                 // the presence hook is being called
  std::size_t index = 0;                // in channel_table's list
  std::size_t age_index = not_in_heap;  // in channel_table's heap of oldest events

  [[nodiscard]] bool is_used() const noexcept {
    return members != 0 || telling || history.events() != 0 ||
           (history.lost() != nullptr && history.lost()->has_lost());
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
