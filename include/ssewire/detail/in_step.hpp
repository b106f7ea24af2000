// SPDX-License-Identifier: MIT
// in_step.hpp - the broker's side of streams that stand at the same place of the same channel: one of them, their
// leader, parks and pulls for all.
//
// A leader is a subscriber that nobody counts: it is in no list but its channel's list of leaders and the parked list, it
// keeps no channel alive, and the broker neither evicts it nor tells it anything. Who is in step with it is not parked:
// its own cursor says nothing until it falls out, and then gets the leader's.
#pragma once

#include <ssewire/broker.hpp>
#include <ssewire/framing.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Whose leader it is, and what for. The leader's hook has it as its context.
struct leader_key {
  void* driver;
  framing body;
  std::size_t room;  // of a pull

  friend bool operator==(leader_key const&, leader_key const&) noexcept = default;
};

// Threads: those of broker_core. A leader and who is in step with it belong to one thread; others look at them under the
// lock alone.
template <class Traits> struct in_step {
  using core = broker_core<Traits>;
  using lock = typename core::lock;
  using batch = typename core::batch;
  using channel = typename core::channel;
  using membership = typename core::membership;
  using subscriber = typename core::subscriber;
  using subscription = basic_subscription<Traits>;

  // Drivers beyond this many go alone: finding one's leader is a walk under the lock.
  static constexpr std::size_t max_leaders = 16;

  [[nodiscard]] static std::shared_ptr<core> const& core_of(subscription const& s) noexcept {
    return s.core_;
  }
  [[nodiscard]] static subscriber* state_of(subscription const& s) noexcept { return s.state_; }

  // ---- leaders -------------------------------------------------------------------------------------------------

  // Throws std::bad_alloc.
  [[nodiscard]] static std::unique_ptr<subscriber> make_leader(wake_hook hook) {
    auto leader = std::make_unique<subscriber>();
    leader->memberships = std::make_unique<membership[]>(1);
    leader->hook = hook;
    leader->opened = true;  // it has nothing to be told
    return leader;
  }

  // The context of the leader that `s` may follow, or null. `room_for_one`: whether there may be one more.
  static void* find(core& at, subscriber const& s, leader_key const& key, bool& room_for_one) noexcept {
    lock const held(at.guard);
    std::size_t count = 0;
    for (auto* leader = s.begin()->of->leaders; leader != nullptr; leader = leader->next, ++count) {
      if (*static_cast<leader_key const*>(leader->hook.context) == key) return leader->hook.context;
    }
    room_for_one = count < max_leaders;
    return nullptr;
  }

  // Makes it a leader for the channel of `s`.
  static void appoint(core& at, subscriber& leader, subscriber const& s) noexcept {
    lock const held(at.guard);
    auto& c = *s.begin()->of;
    leader.channels = 1;
    leader.begin()->of = &c;
    leader.begin()->owner = &leader;
    leader.begin()->key = leaders_key;
    leader.next = c.leaders;
    leader.link = &c.leaders;
    if (leader.next != nullptr) leader.next->link = &leader.next;
    c.leaders = &leader;
  }

  // Nobody is in step with it. When this returns its hook neither runs nor will; see broker_core::close.
  static void dismiss(core& at, subscriber* leader) noexcept {
    lock held(at.guard);
    if (leader->channels != 0) {
      leader->begin()->unlink();
      *leader->link = leader->next;
      if (leader->next != nullptr) leader->next->link = leader->link;
    }
    leader->armed = false;
    leader->closed = true;
    at.hooks.destroy(held, leader);
  }

  // ---- who is in step ------------------------------------------------------------------------------------------

  enum class parked : unsigned char {
    no,         // there is something to pull
    alone,      // as by broker_core::park
    together,   // in step with the leader, whose hook will be called
    leaderless  // it could be: others follow its channel. Not parked
  };

  // Parks `s`, in step with the leader if it stands where the leader does. `first`: nobody else is in step with it, so it
  // can come to `s`.
  static parked park(core& at, subscriber& s, subscriber* leader, bool first) noexcept {
    lock const held(at.guard);
    at.cursors.let_go(s);
    if (!at.may_park(s)) return parked::no;
    auto& m = *s.begin();
    bool const is_plain = s.channels == 1 && m.key == leaders_key && !s.filter;
    if (leader == nullptr && is_plain && m.of->members > 1) return parked::leaderless;
    if (leader == nullptr || !is_plain || leader->begin()->of != m.of ||
        (!first && leader->begin()->next_ordinal != m.next_ordinal)) {
      at.arm(s);
      return parked::alone;
    }
    if (first) {
      leader->begin()->next_ordinal = m.next_ordinal;
      at.arm(*leader);
    }
    m.unlink();  // it may have been parked alone until now
    s.leader = leader;
    s.armed = true;  // a drain calls its own hook
    return parked::together;
  }

  // Gives it its own cursor, `behind` events behind the leader.
  static void fall_out(core& at, subscriber& s, std::uint64_t behind) noexcept {
    lock const held(at.guard);
    stand_alone(s, behind);
  }

  // The same for one that was handed what the leader pulled last, as if it had pulled that by itself. `sends`: it may still
  // send from it.
  static void fall_out_with(core& at, subscriber& s, batch const& its, std::uint64_t events,
                            bool sends) noexcept {
    lock const held(at.guard);
    stand_alone(s, 0);
    add(at, {events, its.bytes()});
    if (sends && s.evicted == close_reason::none) at.cursors.hold(s, its);
  }

  // ---- pull and park for all of them ---------------------------------------------------------------------------

  struct pulled {
    bool for_all = false;      // what is in the batch goes to all
    std::uint64_t events = 0;  // how far the leader has moved
  };
  struct delivered {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
  };

  // Moves the leader on. Without a batch, or if they must be told something, each has to pull for itself: then it moves to
  // the end, and all the others stand `events` behind it.
  static pulled pull(core& at, subscriber& leader, batch* out, std::size_t room) noexcept {
    if (out != nullptr) out->clear();
    lock const held(at.guard);
    auto& m = *leader.begin();
    auto const before = m.next_ordinal;
    bool const for_all = out != nullptr && !at.draining && !at.closed && !m.lags();
    if (for_all) {
      delivered const until_now{at.counts.delivered, at.counts.delivered_bytes};
      at.cursors.merge(leader, *out, room);
      at.counts.delivered = until_now.events;  // to nobody yet
      at.counts.delivered_bytes = until_now.bytes;
    } else {
      m.next_ordinal = m.of->history.end_ordinal();
    }
    return {for_all, m.next_ordinal - before};
  }

  static void count(core& at, delivered more) noexcept {
    lock const held(at.guard);
    add(at, more);
  }

  // As broker_core::park, for all who are in step.
  static bool park(core& at, subscriber& leader, delivered more) noexcept {
    lock const held(at.guard);
    add(at, more);
    if (!at.may_park(leader)) return false;
    at.arm(leader);
    return true;
  }

 private:
  // Of the membership of a leader, and so in its batches: give_back() finds by it whose cursor it moves.
  static constexpr std::uint32_t leaders_key = 0;

  static void stand_alone(subscriber& s, std::uint64_t behind) noexcept {
    s.begin()->next_ordinal = s.leader->begin()->next_ordinal - behind;
    s.leader = nullptr;
    s.armed = false;
  }

  static void add(core& at, delivered more) noexcept {
    at.counts.delivered += more.events;
    at.counts.delivered_bytes += more.bytes;
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
