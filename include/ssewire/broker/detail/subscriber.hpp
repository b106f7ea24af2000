// SPDX-License-Identifier: MIT
// subscriber.hpp - what the broker keeps of a subscriber: a cursor into each of its channels' logs, and how
// to wake it. It is no queue: nothing here grows when the subscriber is slow.
#pragma once

#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/detail/membership.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Why a stream's client is missing something; none: it is not, or not for this.
enum class gap_cause : unsigned char { none, trimmed, restart, unknown };

constexpr std::string_view name(gap_cause cause) noexcept {
  switch (cause) {
  case gap_cause::none: break;
  case gap_cause::trimmed: return "trimmed";
  case gap_cause::restart: return "restart";
  case gap_cause::unknown: return "unknown";
  }
  return "";
}

// From subscribe() to the end; only one that is awake can be parked or closed.
enum class phase : unsigned char {
  awake,
  parked,         // its hook is to be called when there is something to pull
  closed,         // by its owner
  closing_waits,  // and the owner waits until the hook, which runs on another thread, has returned
};

// Whether its client must be told where the stream stands, after `say_behind`.
enum class position_due : unsigned char {
  no,
  yes,           // its channels or its filter are others now
  yes_refilter,  // and the client has had no position since the filter changed
};

// What it may still be sending of the batch that it pulled last.
enum class held : unsigned char {
  nothing,
  pages,
  pages_of_left_channel,  // among others
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
  position_events position = position_events::sent;
  phase now = phase::awake;
  position_due due = position_due::no;
  detail::held holds = detail::held::nothing;
  bool opened = false;     // its first pull has said what it had to say
  bool filtering = false;  // its filter is being called; who closes it meanwhile leaves the rest to that pull
  std::shared_ptr<void> keeps;  // what that pull is a part of, when nobody else may

  [[nodiscard]] membership<Traits>* begin() const noexcept { return memberships.get(); }
  [[nodiscard]] membership<Traits>* end() const noexcept { return memberships.get() + channels; }

  // Its first membership for which `is_it` is true, or end().
  template <class Predicate> [[nodiscard]] membership<Traits>* find(Predicate is_it) const noexcept {
    auto* at = begin();
    while (at != end() && !is_it(*at)) ++at;
    return at;
  }
  template <class Predicate> [[nodiscard]] bool any(Predicate is_it) const noexcept {
    return find(is_it) != end();
  }

  [[nodiscard]] bool is_closed() const noexcept { return now >= phase::closed; }
  // True: it was parked, and is not any more. So its hook is called once for each park().
  [[nodiscard]] bool unpark() noexcept {
    if (now != phase::parked) return false;
    now = phase::awake;
    return true;
  }

  [[nodiscard]] bool lags() const noexcept {
    return any([](membership<Traits> const& m) { return m.lags(); });
  }
  [[nodiscard]] bool holds_forgotten() const noexcept {
    return holds == held::pages_of_left_channel ||
           any([](membership<Traits> const& m) { return m.holds_forgotten(); });
  }
};

// A broker's subscribers, in a list that may be walked while they come and go.
// Threads: one at a time; the broker's lock sees to it. A walk may let go of that lock between two visits.
template <class Traits> class subscriber_list {
 public:
  using subscriber = detail::subscriber<Traits>;

  subscriber_list() noexcept = default;
  subscriber_list(subscriber_list const&) = delete;
  subscriber_list& operator=(subscriber_list const&) = delete;

  void add(subscriber& s) noexcept {
    s.next = first_;
    s.link = &first_;
    if (s.next != nullptr) s.next->link = &s.next;
    first_ = &s;
  }

  void remove(subscriber& s) noexcept {
    for (auto* w = walkers_; w != nullptr; w = w->outer) {
      if (w->next == &s) w->next = s.next;
    }
    *s.link = s.next;
    if (s.next != nullptr) s.next->link = s.link;
  }

  // Visits who is there now: new ones come in front and are not met. The visited one may be gone when visit()
  // returns.
  template <class Visit> void for_each(Visit visit) {
    walker here{first_, walkers_};
    walkers_ = &here;
    while (here.next != nullptr) {
      auto& s = *here.next;
      here.next = s.next;
      visit(s);
    }
    auto** at = &walkers_;
    while (*at != &here) at = &(*at)->outer;
    *at = here.outer;
  }

 private:
  // Where a walk goes next; who leaves meanwhile corrects it.
  struct walker {
    subscriber* next;
    walker* outer;
  };

  subscriber* first_ = nullptr;
  walker* walkers_ = nullptr;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
