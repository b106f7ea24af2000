// SPDX-License-Identifier: MIT
// subscriber.hpp - what the broker keeps of a subscriber: a cursor into each of its channels' logs, and how to wake it.
// It is no queue: nothing here grows when the subscriber is slow.
#pragma once

#include <ssewire/detail/log.hpp>
#include <ssewire/detail/notices.hpp>
#include <ssewire/detail/wake.hpp>
#include <ssewire/replay_buffer.hpp>
#include <ssewire/writer.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What happens to a stream that the log has moved past while it was open.
enum class lag_policy : unsigned char {
  tell,   ///< it gets a gap event that says what is missing, and goes on
  close,  ///< it is closed, with close_reason::lagged; its client comes back and is told then
};

namespace detail {

template <class Traits> struct channel;
template <class Traits> struct subscriber;

// A subscriber's place in one channel. Guarded by the broker's lock.
template <class Traits> struct membership {
  channel<Traits>* of = nullptr;
  subscriber<Traits>* owner = nullptr;
  std::uint64_t next_ordinal = 0;  // the entry it gets next; below the log's first one: it has missed some
  bool resumed_past_loss = false;  // it came back too late; how many it missed meanwhile nobody knows
  membership* next_parked = nullptr;
  membership** parked_link = nullptr;  // what points to this, or null: not in a list

  [[nodiscard]] bool lags() const noexcept { return next_ordinal < of->history.first_ordinal(); }
  [[nodiscard]] bool has_news() const noexcept { return next_ordinal < of->history.end_ordinal(); }

  void unlink() noexcept {
    if (parked_link == nullptr) return;
    *parked_link = next_parked;
    if (next_parked != nullptr) next_parked->parked_link = parked_link;
    next_parked = nullptr;
    parked_link = nullptr;
  }
};

// Who waits for a channel's next event. Taking the whole list is one step, and who is in it can leave it at any time,
// also when a publisher has already taken it.
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
  std::string name;
  log<Traits> history;
  parked_list<Traits> parked;
  std::size_t members = 0;
  std::size_t index = 0;  // in the broker's list of channels
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
  std::uint64_t joined_at = 0;  // what lies at or before this position was there first: it is replayed
  wake_hook hook;
  firing<Traits>* now_firing = nullptr;
  subscriber* next = nullptr;
  subscriber** link = nullptr;
  std::uint64_t number = 0;
  lag_policy policy = lag_policy::tell;
  resume_outcome outcome = resume_outcome::fresh;
  gap_cause unplaced = gap_cause::none;  // its last event ID says nothing about where it stood
  close_reason evicted = close_reason::none;
  bool opened = false;
  bool armed = false;
  bool closed = false;
  bool close_waits = false;

  [[nodiscard]] membership<Traits>* begin() const noexcept { return memberships.get(); }
  [[nodiscard]] membership<Traits>* end() const noexcept { return memberships.get() + channels; }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
