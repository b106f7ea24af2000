// SPDX-License-Identifier: MIT
// subscriber.hpp - what the broker keeps for a subscriber: a cursor into the log of each of its channels,
// and how to wake it. Nothing here grows when the subscriber is slow.
#pragma once

#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/detail/users.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/detail/indexed_heap.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Why a stream's last event ID could not be used; none: it could, or there was none.
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

// From subscribe() to the end.
enum class phase : unsigned char {
  awake,
  parked,         // its hook is to be called when there is something to pull
  closed,         // by its owner
  closing_waits,  // closed, and its owner waits until the hook has returned on another thread
};

// Whether a position event is due, once everything up to `say_after` has been pulled.
enum class position_due : unsigned char {
  no,
  yes,           // the channels or the filter have changed
  yes_refilter,  // the filter has changed, and no position event has been sent since
};

// What the subscriber may still be sending of its last batch.
enum class held : unsigned char {
  nothing,
  pages,
  pages_of_left_channel,  // pages, some of them of a channel that it has left
};

// A hook that is being called. The object is on the stack of the thread that calls it.
template <class Traits> struct firing {
  decltype(Traits::this_thread()) thread;
  bool again_ready = false;
  bool again_evicted = false;
  bool orphaned = false;  // closed from inside the hook: the caller of the hook destroys the subscriber
};

template <class Traits> struct subscriber {
  std::unique_ptr<membership<Traits>[]> memberships;
  std::size_t channels = 0;
  std::uint32_t next_key = 0;
  // A position: an event at or before it is a replayed one.
  std::uint64_t joined_at = 0;
  // A position: no event after it is pulled until the position event that is due has been.
  std::uint64_t say_after = 0;
  // With a filter: the position that the client will present, how many events after it the filter has
  // refused, and what both were before the last batch.
  std::uint64_t said = 0;
  std::uint64_t skipped = 0;
  std::uint64_t said_before = 0;
  std::uint64_t skipped_before = 0;
  // The position of an event that the filter admits, and of one that it refuses: the last ones asked about.
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;
  event_filter filter;
  wake_hook hook;
  firing<Traits>* now_firing = nullptr;
  subscriber* next = nullptr;
  subscriber** link = nullptr;
  subscriber* next_leader = nullptr;  // of its channel, if it is one
  subscriber** leader_link = nullptr;
  subscriber* next_holder = nullptr;
  subscriber* previous_holder = nullptr;
  std::size_t held_bytes = 0;  // size of the pages of its last batch
  std::uint64_t number = 0;    // counts subscribers in the order of joining; 0: a leader (in_step.hpp)
  // Its user's record, and its neighbours there. Null: no user, or it has been ended.
  user_record<Traits>* user = nullptr;
  subscriber* next_of_user = nullptr;
  subscriber* previous_of_user = nullptr;
  std::size_t expiry_index = not_in_heap;  // in the order of expiry
  // What its client gets before the end, if the broker has ended it.
  std::shared_ptr<std::string const> farewell;
  lag_policy policy = lag_policy::tell;
  resume_outcome outcome = resume_outcome::fresh;
  gap_cause unplaced = gap_cause::none;  // why its last event ID could not be used
  close_reason evicted = close_reason::none;
  position_events position = position_events::sent;
  phase now = phase::awake;
  position_due due = position_due::no;
  detail::held holds = detail::held::nothing;
  bool forced = false;     // a drain that has passed its deadline has ended it
  bool has_id = false;     // the program has asked for its ID
  bool opened = false;     // its first pull has brought the first control events
  bool filtering = false;  // its filter is being called: a close() meanwhile leaves the rest to that pull
  std::shared_ptr<void> keeps;  // the broker's core, if the filter has closed its own subscription

  [[nodiscard]] membership<Traits>* begin() const noexcept { return memberships.get(); }
  [[nodiscard]] membership<Traits>* end() const noexcept { return memberships.get() + channels; }

  // The first membership for which `is_it` is true, or end().
  template <class Predicate> [[nodiscard]] membership<Traits>* find(Predicate is_it) const noexcept {
    auto* at = begin();
    while (at != end() && !is_it(*at)) ++at;
    return at;
  }
  template <class Predicate> [[nodiscard]] bool any(Predicate is_it) const noexcept {
    return find(is_it) != end();
  }

  [[nodiscard]] bool is_closed() const noexcept { return now >= phase::closed; }
  // True: it was parked, and is not any more. So the hook is called at most once for each park().
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

  // Visits the subscribers of this moment: newer ones are added in front and not visited. visit() may remove
  // the subscriber that it is given.
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
  // Where a walk goes next. remove() corrects it when that subscriber leaves.
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
