// SPDX-License-Identifier: MIT
// subscriber.hpp - what the broker keeps of a subscriber: a cursor into each of its channels' logs, and how
// to wake it. It is no queue: nothing here grows when the subscriber is slow.
#pragma once

#include <ssewire/broker/detail/control_events.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/detail/log.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

template <class Traits> struct broker_core;
template <class Traits> struct channel;
template <class Traits> struct subscriber;

// A subscriber's place in one channel. Guarded by the broker's lock.
template <class Traits> struct membership {
  channel<Traits>* of = nullptr;
  subscriber<Traits>* owner = nullptr;
  std::uint64_t next_ordinal = 0;  // the entry it gets next; below the log's first one: it has missed some
  std::uint64_t held_from =
      never;  // the oldest entry in the batch it pulled last, while it may still send from that
  // The entry the batch pulled last began with; never: there was none yet.
  std::uint64_t pulled_from = never;
  std::uint32_t key = 0;             // names it among those of its owner, also when they change
  bool resumed_past_loss = false;    // it came back too late; how many it missed meanwhile nobody knows
  bool lost_unknown_number = false;  // it lags, and how many events it has missed cannot be told
  std::uint64_t missing_after = 0;   // then: a position; what it has missed lies after that
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

template <class Traits> struct channel {
  channel(std::string_view called, keyed_hash hash, std::size_t max_bytes, pin_ledger const& pins)
      : name(called), history(hash, max_bytes, pins) {}

  std::string name;
  entry_log<Traits> history;
  parked_list<Traits> parked;
  subscriber<Traits>* leaders = nullptr;  // see in_step.hpp
  std::size_t members = 0;
  std::size_t told_members = 0;                          // what the presence hook was told last
  bool telling = false;                                  // the presence hook is being called
  std::size_t index = 0;                                 // in the broker's list of channels
  std::size_t age_index = static_cast<std::size_t>(-1);  // in the order of their oldest events

  [[nodiscard]] bool is_used() const noexcept {
    return members != 0 || telling || history.events() != 0 ||
           (history.lost() != nullptr && history.lost()->has_lost());
  }
};

// A hook that is being called right now; it lives on the stack of the thread that calls it.
template <class Traits> struct firing {
  decltype(Traits::this_thread()) thread;
  bool again_ready = false;
  bool again_evicted = false;
  bool orphaned = false;  // closed from inside the hook: whoever called it destroys the subscriber
};

template <class Traits> struct subscriber {
  std::unique_ptr<membership<Traits>[]> memberships;
  std::size_t channels = 0;
  std::uint32_t next_key = 0;
  std::uint64_t joined_at = 0;    // what lies at or before this position was there first: it is replayed
  std::uint64_t say_behind = 0;   // a position: nothing behind it comes before where it stands is said
  std::uint64_t said = 0;         // the position that its client will present, of a filtered one
  std::uint64_t skipped = 0;      // events behind that one which its filter kept from it
  std::uint64_t said_before = 0;  // what these two were before the batch pulled last
  std::uint64_t skipped_before = 0;
  std::uint64_t admitted =
      0;  // the position of an event that its filter admits: the last one, or one it was asked about
  std::uint64_t refused = 0;  // of one that it was asked about, and does not admit
  event_filter filter;
  wake_hook hook;
  firing<Traits>* now_firing = nullptr;
  subscriber* next = nullptr;
  subscriber** link = nullptr;
  subscriber* next_leader = nullptr;  // of its channel, if it is one
  subscriber** leader_link = nullptr;
  subscriber* next_holder = nullptr;
  subscriber* previous_holder = nullptr;
  std::size_t held_bytes = 0;  // of the pages of the batch it pulled last
  std::uint64_t number = 0;
  std::uint64_t user = 0;  // the hash of its user's key; 0: it is nobody's
  lag_policy policy = lag_policy::tell;
  resume_outcome outcome = resume_outcome::fresh;
  gap_cause unplaced = gap_cause::none;  // its last event ID says nothing about where it stood
  close_reason evicted = close_reason::none;
  bool says_position = true;  // subscribe_options::position
  bool opened = false;
  bool filter_is_new = false;  // and its client has not been told where
  bool must_say = false;  // its channels or filter have changed: where it stands is said behind `say_behind`
  bool armed = false;
  bool closed = false;
  bool close_waits = false;
  // Its filter is being called; who closes it meanwhile leaves the rest to that pull.
  bool filtering = false;
  bool holds = false;                          // among the holders
  bool holds_left = false;                     // also events of a channel that it has left
  std::shared_ptr<broker_core<Traits>> keeps;  // what that pull is a part of, when nobody else may

  [[nodiscard]] membership<Traits>* begin() const noexcept { return memberships.get(); }
  [[nodiscard]] membership<Traits>* end() const noexcept { return memberships.get() + channels; }

  [[nodiscard]] bool lags() const noexcept {
    return std::any_of(begin(), end(), [](membership<Traits> const& m) { return m.lags(); });
  }
  [[nodiscard]] bool holds_forgotten() const noexcept {
    return holds_left ||
           std::any_of(begin(), end(), [](membership<Traits> const& m) { return m.holds_forgotten(); });
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
