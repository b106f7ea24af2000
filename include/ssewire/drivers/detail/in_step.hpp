// SPDX-License-Identifier: MIT
// in_step.hpp - the broker's side of streams that stand at the same place of the same channel. One
// subscriber, their leader, parks and pulls for all of them.
//
// The broker does not count a leader: a leader keeps no channel alive, and nothing is reported to it. A
// stream in step with a leader has no subscriber of its own; a sleeper is what is left of that subscriber.
// The stream gets a subscriber again when it falls out.
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Whose leader a leader is, and for which streams: all its followers are alike in these members. The context
// of the leader's hook points to the key.
struct leader_key {
  void* driver;
  framing body;
  std::size_t room;        // of one pull, in bytes
  std::size_t max_outbox;  // see stream_options

  friend bool operator==(leader_key const&, leader_key const&) noexcept = default;
};

// Threads: those of broker_core. A leader and the streams in step with it belong to one thread. Other threads
// look at the leader only under the lock.
template <class Traits> struct in_step {
  using core = broker_core<Traits>;
  using lock = typename core::lock;
  using batch = typename core::batch;
  using channel = typename core::channel;
  using membership = typename core::membership;
  using subscriber = typename core::subscriber;
  using subscription = basic_subscription<Traits>;

  // The most leaders of one channel. Streams of further drivers go alone, because finding a leader is a walk
  // under the lock.
  static constexpr std::size_t max_leaders = 16;

  // What is left of the subscriber of a stream in step. The leader's cursor stands for the stream's.
  struct sleeper {
    std::uint64_t number = 0;
    lag_policy policy = lag_policy::tell;
    resume_outcome outcome = resume_outcome::fresh;
    position_events position = position_events::sent;
  };

  [[nodiscard]] static std::shared_ptr<core> const& core_of(subscription const& s) noexcept {
    return s.core_;
  }

  // Makes a subscriber for appoint() or wake(). It is made before those calls, because they must not fail.
  // Throws std::bad_alloc.
  [[nodiscard]] static std::unique_ptr<subscriber> make() {
    auto fresh = std::make_unique<subscriber>();
    fresh->memberships = std::make_unique<membership[]>(1);
    fresh->opened = true;  // nothing is reported at its first pull
    return fresh;
  }

  // ---- leaders ----

  // The context of the leader that `s` may follow. Null: there is none, and `try_again` says whether the
  // channel may have another leader.
  static void* find(subscription const& s, leader_key const& key, bool& try_again) noexcept {
    lock const held(s.core_->state_.guard);
    std::size_t count = 0;
    for (auto* leader = s.state_->begin()->of->leaders; leader != nullptr;
         leader = leader->next_leader, ++count) {
      if (leader->evicted == close_reason::none &&
          *static_cast<leader_key const*>(leader->hook.context) == key)
        return leader->hook.context;
    }
    try_again = count < max_leaders;
    return nullptr;
  }

  // Makes `leader` a leader for the channel of `s`.
  static void appoint(subscriber& leader, wake_hook hook, subscription const& s) noexcept {
    auto& at = *s.core_;
    lock const held(at.state_.guard);
    auto& c = *s.state_->begin()->of;
    place_in(leader, c);
    leader.hook = hook;
    leader.next_leader = c.leaders;
    leader.leader_link = &c.leaders;
    if (leader.next_leader != nullptr) leader.next_leader->leader_link = &leader.next_leader;
    c.leaders = &leader;
    at.state_.subscribers.add(leader);  // so that a drain and the broker's end reach the leader
  }

  // Removes a leader with which no stream is in step. When this returns, its hook does not run and will not
  // run; see broker_core::close.
  static void dismiss(core& at, subscriber* leader) noexcept {
    lock held(at.state_.guard);
    if (leader->channels != 0) {
      leader->begin()->unlink();
      *leader->leader_link = leader->next_leader;
      if (leader->next_leader != nullptr) leader->next_leader->leader_link = leader->leader_link;
    }
    at.state_.subscribers.remove(*leader);
    leader->now = phase::closed;
    at.state_.hooks.destroy(held, leader);
  }

  // ---- streams in step ----

  enum class parked : unsigned char {
    // Not parked: there is something to pull.
    no,
    // Parked by itself, as by broker_core::park.
    alone,
    // Parked in step with the leader, whose hook will be called. The subscriber of the stream is gone.
    together,
    // Not parked, but could be in step: the channel has other members.
    leaderless
  };

  // Parks `from`, in step with the leader if it stands where the leader does. `first`: no stream is in step
  // with the leader, so the leader can move to where `from` stands. `is_called()`: whether the stream must
  // still answer a call of its hook; it needs its subscriber for that.
  template <class IsCalled>
  static parked park(subscription& from, subscriber* leader, bool first, sleeper& left,
                     IsCalled is_called) noexcept {
    auto& at = *from.core_;
    auto& s = *from.state_;
    std::unique_ptr<subscriber> gone;
    lock const held(at.state_.guard);
    at.state_.reader.let_go(s);
    if (!at.may_park(s)) return parked::no;
    auto& m = *s.begin();
    // What the broker must be able to end by itself keeps its subscriber.
    bool const is_plain = s.channels == 1 && m.key == leaders_key && !s.filter && s.user == nullptr &&
                          s.expiry_index == not_in_heap && !s.has_id && s.number > m.of->closed_through &&
                          at.life_.is_open();
    if (leader == nullptr && is_plain && m.of->members > 1) return parked::leaderless;
    if (leader == nullptr || !is_plain || leader->evicted != close_reason::none ||
        leader->begin()->of != m.of || (!first && leader->begin()->next_ordinal != m.next_ordinal) ||
        s.now_firing != nullptr || is_called()) {
      at.arm(s);
      return parked::alone;
    }
    if (first) {
      leader->begin()->next_ordinal = m.next_ordinal;
      at.arm(*leader);
    }
    left = {s.number, s.policy, s.outcome, s.position};
    m.unlink();  // the subscriber may have been parked alone until now
    at.state_.subscribers.remove(s);
    gone.reset(std::exchange(from.state_, nullptr));
    return parked::together;
  }

  // Makes a subscriber again for a stream that was in step, `behind` events before the leader. `evicted` is
  // set if the broker has ended it.
  [[nodiscard]] static subscription wake(std::shared_ptr<core> const& of, subscriber const& leader,
                                         std::uint64_t behind, std::unique_ptr<subscriber> fresh,
                                         wake_hook hook, sleeper const& was,
                                         std::atomic<bool>& evicted) noexcept {
    auto& at = *of;
    auto& s = *fresh.release();
    lock const held(at.state_.guard);
    place_in(s, *leader.begin()->of);
    auto& m = *s.begin();
    m.next_ordinal = leader.begin()->next_ordinal - behind;
    s.next_key = leaders_key + 1;
    s.hook = hook;
    s.number = was.number;
    s.policy = was.policy;
    s.outcome = was.outcome;
    s.position = was.position;
    s.evicted = leader.evicted;
    // The broker's end may be on its way to the leader.
    if (s.evicted == close_reason::none && at.life_.is_closed()) s.evicted = close_reason::drained;
    s.farewell = leader.farewell;
    if (s.evicted != close_reason::none)
      evicted.store(true, std::memory_order_release);  // it had no hook yet
    at.state_.subscribers.add(s);
    return subscription(of, &s);
  }

  // Ends a stream in step, as broker_core::close ends a subscriber. The channel may be gone when this
  // returns.
  static close_reason close(core& at, subscriber const& leader, close_reason why) noexcept {
    lock held(at.state_.guard);
    if (leader.evicted != close_reason::none) {
      why = leader.evicted;
    } else if (at.life_.is_closed()) {
      why = close_reason::drained;  // the broker's end has not reached the leader yet
    }
    at.admission_.count_out(why);
    membership left;
    left.of = leader.begin()->of;
    at.admission_.leave_channel(held, left);
    return why;
  }

  // Notes that `to` was handed what the leader pulled last, as if `to` had pulled it. `sends`: the stream may
  // still send from the batch. False: the stream has been ended meanwhile.
  static bool hand_over(subscription& to, subscriber const& leader, batch const& its, std::uint64_t events,
                        bool sends) noexcept {
    auto& at = *to.core_;
    auto& s = *to.state_;
    lock const held(at.state_.guard);
    s.begin()->pulled_from = s.begin()->next_ordinal;
    s.begin()->next_ordinal = leader.begin()->next_ordinal;
    add(at, {events, its.bytes()});
    bool const open = s.evicted == close_reason::none;
    if (sends && open) at.state_.reader.hold(s, its);
    return open;
  }

  // ---- pull and park for all streams in step ----

  struct pulled {
    bool for_all = false;      // the batch goes to all streams in step
    std::uint64_t events = 0;  // how far the leader has moved
  };
  struct delivered {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
  };

  // Moves the leader on. Without a batch, or if something must be reported to the streams, every stream must
  // pull for itself: the leader moves to the end, and all streams stand `events` behind it.
  static pulled pull(core& at, subscriber& leader, batch* out, std::size_t room) noexcept {
    if (out != nullptr) out->clear();
    lock const held(at.state_.guard);
    auto& m = *leader.begin();
    auto const before = m.next_ordinal;
    bool const for_all =
        out != nullptr && !at.life_.is_draining() && leader.evicted == close_reason::none && !m.lags();
    if (for_all) {
      delivered const until_now{at.state_.counts.delivered, at.state_.counts.delivered_bytes};
      at.state_.reader.merge(leader, *out, room);
      at.state_.counts.delivered = until_now.events;  // nothing is delivered yet
      at.state_.counts.delivered_bytes = until_now.bytes;
    } else {
      m.next_ordinal = m.of->history.end_ordinal();
    }
    return {for_all, m.next_ordinal - before};
  }

  static void count(core& at, delivered more) noexcept {
    lock const held(at.state_.guard);
    add(at, more);
  }

  // As broker_core::park, for all streams in step.
  static bool park(core& at, subscriber& leader, delivered more) noexcept {
    lock const held(at.state_.guard);
    add(at, more);
    if (!at.may_park(leader)) return false;
    at.arm(leader);
    return true;
  }

 private:
  // The key of a leader's membership, and so of the leader's batches. give_back() finds by the key whose
  // cursor to move.
  static constexpr std::uint32_t leaders_key = 0;

  static void place_in(subscriber& s, channel& c) noexcept {
    s.channels = 1;
    s.begin()->of = &c;
    s.begin()->owner = &s;
    s.begin()->key = leaders_key;
  }

  static void add(core& at, delivered more) noexcept {
    at.state_.counts.delivered += more.events;
    at.state_.counts.delivered_bytes += more.bytes;
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
