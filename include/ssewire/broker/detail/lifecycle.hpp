// SPDX-License-Identifier: MIT
// lifecycle.hpp - what time does to a broker, and how it ends: trims by age, drains, closes, and ends
// streams that lag or hold too much memory.
#pragma once

#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/detail/cursor_reader.hpp>
#include <ssewire/broker/detail/drain_schedule.hpp>
#include <ssewire/broker/detail/hook_runner.hpp>
#include <ssewire/broker/detail/state.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/detail/watermarks.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

enum class lifetime : unsigned char { open, draining, closed };

// Threads: tick(), drain(), drain_retry_ms() and the closes take the broker's lock. tick_if_due() takes it to
// tick. All other functions are called under the lock.
template <class Traits> class lifecycle {
 public:
  using lock = typename broker_state<Traits>::lock;
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  explicit lifecycle(broker_state<Traits>& state) noexcept
      : state_(state), between_ticks_(usual_ticks(state.options.replay.max_age).count()) {}

  // Whether the broker takes new subscribers and events.
  [[nodiscard]] bool is_open() const noexcept { return lifetime_ == lifetime::open; }
  [[nodiscard]] bool is_draining() const noexcept { return lifetime_ == lifetime::draining; }
  [[nodiscard]] bool is_closed() const noexcept { return lifetime_ == lifetime::closed; }

  // Ticks if a driver is the first to notice that it is time, and nobody else has since. Returns when it is
  // time again; nothing: the program ticks. Takes the lock only to tick.
  std::optional<steady_time> tick_if_due(steady_time now) noexcept {
    if (state_.options.ticks == ticked_by::program) return std::nullopt;
    auto next = next_tick_.load(std::memory_order_relaxed);
    steady_time const due{steady_duration(next)};
    // A time a little further ahead comes from a driver that read the clock later than this one; a time much
    // further ahead, from a clock that was wrong.
    if (now < due && due <= later(now, 2 * longest_between_ticks)) return due;
    auto const after = later(now, steady_duration(between_ticks_.load(std::memory_order_relaxed)));
    auto const then = after.time_since_epoch().count();
    if (!next_tick_.compare_exchange_strong(next, then, std::memory_order_relaxed))
      return steady_time(steady_duration(next));  // another thread ticks
    if (next != not_begun && !ticked_by_program_.exchange(false, std::memory_order_relaxed)) pass(now);
    return after;
  }

  // The same for one stream of many. Looks of a hundred thousand streams each second would cost more than the
  // ticks. So the looks of each thousand are spread over one more second: enough streams look in time. Those
  // that a drain ends last look most often.
  std::optional<steady_time> tick_if_due(steady_time now, std::uint64_t number) noexcept {
    constexpr double streams_a_second = 1000;
    auto const next = tick_if_due(now);
    if (!next) return next;
    auto const seconds = static_cast<double>(streams_.load(std::memory_order_relaxed)) / streams_a_second;
    if (seconds <= 1) return next;
    constexpr auto second = static_cast<double>(longest_between_ticks.count());
    auto const part = 1 - departure_of(number);
    return later(*next, steady_duration(static_cast<std::int64_t>(seconds * second * part)));
  }

  void tick(steady_time now) noexcept {
    ticked_by_program_.store(true, std::memory_order_relaxed);
    pass(now);
  }

  void drain(steady_time now, steady_time deadline, std::uint64_t spread_ms) noexcept {
    lock held(state_.guard);
    if (is_open()) lifetime_ = lifetime::draining;
    spread_ms_ = spread_ms;
    schedule_.begin(now, deadline);
    between_ticks_.store(
        smaller(between_ticks_.load(std::memory_order_relaxed), ticks_until(now, deadline).count()),
        std::memory_order_relaxed);
    for_each_subscriber(held, [&](subscriber& s) { wake_if_due(held, s); });
  }

  // ---- from outside ----

  using farewell = std::shared_ptr<std::string const>;

  // Ends the streams that the user has now. Returns how many.
  std::uint64_t close_user(std::string_view key, farewell const& last_words) noexcept {
    if (key.empty() || key.size() > user_table<Traits>::max_key_bytes) return 0;  // nobody has this key
    auto const hash = state_.hash_of_user(key);
    lock held(state_.guard);
    state_.closes.add(hash);
    auto const newest = state_.joined;
    std::uint64_t ended = 0;
    for (;; breathe(held, ended++)) {
      auto const* const user = state_.users.find(key);  // each time: the lock was released
      if (user == nullptr || user->oldest == nullptr || user->oldest->number > newest) return ended;
      evict(held, *user->oldest, close_reason::revoked, last_words);
    }
  }

  // Ends the streams that follow the channel now. Returns how many subscriptions it had.
  std::uint64_t close_channel(std::string_view name, farewell const& last_words) noexcept {
    if (!state_.logs.takes_name(name)) return 0;
    auto const hash = state_.hash_of_channel(name);
    lock held(state_.guard);
    state_.closes.add(hash);
    auto* const c = state_.logs.find(name);
    auto const members = c == nullptr ? 0 : c->members;
    if (members == 0) return 0;
    // The walk releases the lock. A stream that falls out of step meanwhile gets a new subscriber, which the
    // walk does not visit: the subscriber copies the end from its leader. `closed_through` keeps the streams
    // that the walk has not visited yet from coming in step.
    c->closed_through = state_.joined;
    for (auto* leader = c->leaders; leader != nullptr; leader = leader->next_leader) {
      if (leader->evicted != close_reason::none) continue;
      leader->evicted = close_reason::channel_closed;
      leader->farewell = last_words;
      (void)leader->unpark();
    }
    for_each_subscriber(held, [&](subscriber& s) {
      if (!s.any([&](membership const& m) { return m.of->name == name; })) return;
      if (s.number == 0) {
        state_.hooks.fire(held, s, wake::evicted);
      } else {
        evict(held, s, close_reason::channel_closed, last_words);
      }
    });
    return members;
  }

  // Ends the stream with this number. False: it has ended already, or nobody has asked for its ID.
  bool close_one(std::uint64_t number, close_reason why, farewell const& last_words) noexcept {
    lock held(state_.guard);
    auto const at = state_.with_id.find(number);
    if (at == state_.with_id.end()) return false;
    evict(held, *at->second, why, last_words);
    return true;
  }

  // A newer stream takes the place of this one.
  void replace(lock& held, subscriber& s) noexcept { evict(held, s, close_reason::replaced); }

  // When a stream that begins at `now` has to end, if it has to.
  [[nodiscard]] std::optional<steady_time>
  end_of_life(std::uint64_t number, std::optional<steady_time> expires, steady_time now) const noexcept {
    auto const longest = state_.options.longest_life;
    if (longest <= steady_duration(0) || now > (steady_time::max)() - longest) return expires;
    auto const fifth = static_cast<double>((longest / 5).count()) * departure_of(number);
    auto const end = now + longest - steady_duration(static_cast<steady_duration::rep>(fifth));
    return expires ? smaller(*expires, end) : end;
  }

  void close_all() noexcept {
    lock held(state_.guard);
    lifetime_ = lifetime::closed;
    for_each_subscriber(held, [&](subscriber& s) { evict(held, s, close_reason::drained); });
    state_.hooks.end_presence(held);
  }

  // The reconnection time of this subscriber: the least one, plus its part of the spread.
  [[nodiscard]] std::uint64_t drain_retry_ms(subscriber const& s) noexcept {
    lock const held(state_.guard);
    if (!is_draining()) return 0;
    auto const part = static_cast<std::uint64_t>(departure_of(s.number) * static_cast<double>(spread_ms_));
    auto const most = (std::numeric_limits<std::uint64_t>::max)() - part;
    return part + smaller(state_.options.least_retry.milliseconds, most);
  }

  // Whether a drain ends this subscriber now. A leader (in_step.hpp) has no number and leaves at once: the
  // streams in step with it fall out, and each leaves at its own time.
  [[nodiscard]] bool is_due(subscriber const& s) const noexcept {
    return is_draining() && (s.number == 0 || schedule_.has_come(departure_of(s.number)));
  }

  // The log has moved past the subscriber, and its policy is to close then. A loss by age alone, in a tick
  // that came late because the process stood still, is reported instead.
  [[nodiscard]] bool is_outrun(subscriber const& s) const noexcept {
    return s.opened && s.policy == lag_policy::close && s.any([&](membership const& m) {
      return m.lags() && m.of->history.lost_through() > excused_through_;
    });
  }

  // Ends subscribers that hold trimmed log memory until the ended ones hold the excess. Their writers free
  // this memory when they release it. If the next publish comes first, it ends more subscribers.
  void end_holders(lock& held) noexcept {
    auto const most = state_.options.max_pinned_bytes;
    for (std::size_t ended = 0; state_.logs.pinned() > most + ended;) {
      auto* const s = state_.reader.find_guilty();
      if (s == nullptr) return;
      ended += s->held_bytes;
      evict(held, *s, close_reason::pinned_too_much);
      if (state_.logs.pinned() <= most) return;
    }
  }

 private:
  static constexpr steady_duration longest_between_ticks = std::chrono::seconds(1);
  static constexpr steady_duration shortest_between_ticks = std::chrono::milliseconds(10);
  static constexpr auto not_begun = (std::numeric_limits<steady_duration::rep>::min)();

  [[nodiscard]] static constexpr steady_duration in_range(steady_duration time) noexcept {
    return smaller(larger(time, shortest_between_ticks), longest_between_ticks);
  }
  [[nodiscard]] static constexpr steady_duration usual_ticks(steady_duration max_age) noexcept {
    return max_age > steady_duration(0) ? in_range(max_age / 10) : longest_between_ticks;
  }
  // Of a drain. The two times may be further apart than a steady_duration can hold.
  [[nodiscard]] static constexpr steady_duration ticks_until(steady_time now, steady_time deadline) noexcept {
    constexpr int steps = 50;
    if (deadline <= now) return shortest_between_ticks;
    return deadline > later(now, longest_between_ticks * steps) ? longest_between_ticks
                                                                : in_range((deadline - now) / steps);
  }
  void pass(steady_time now) noexcept {
    auto const& options = state_.options;
    lock held(state_.guard);
    streams_.store(state_.counts.subscribers, std::memory_order_relaxed);
    auto const too_old = ages_.pass(now, options.replay.max_age, state_.sequence);
    if (ages_.came_late()) excused_through_ = larger(excused_through_, too_old);
    state_.logs.trim_old(held, too_old);
    state_.logs.expire(held, quiet_ages_.pass(now, options.channel_expiry, state_.sequence));
    end_holders(held);
    auto const half_old = ages_.reached(now, options.replay.max_age / 2);
    for (std::size_t step = 0; state_.users.drop_full(now);) breathe(held, step++);
    end_expired(held, now);
    if (is_draining()) schedule_.pass(now);
    bool const overdue = is_draining() && schedule_.deadline_has_come(now);
    if (overdue) between_ticks_.store(usual_ticks(options.replay.max_age).count(), std::memory_order_relaxed);
    for_each_subscriber(held, [&](subscriber& s) {
      if (overdue) {
        evict(held, s, close_reason::drain_forced);
      } else if (is_outrun(s) && !may_be_excused(s)) {
        evict(held, s, close_reason::lagged);
      } else if (s.now == phase::parked && s.skipped != 0 && s.said < half_old) {
        // The client's last ID is about to fall out of the log. A position event gives it a newer one,
        // although the filter admitted nothing.
        state_.say_position(held, s);
      } else {
        wake_if_due(held, s);
      }
    });
  }

  // Whether the next pull can ask the filter about all lost events: perhaps it would have admitted none.
  [[nodiscard]] static bool may_be_excused(subscriber const& s) noexcept {
    return !s.any([&](membership const& m) { return m.lags() && !cursor_reader<Traits>::can_ask(s, m); });
  }

  void wake_if_due(lock& held, subscriber& s) noexcept {
    if (is_due(s) && s.unpark()) state_.hooks.fire(held, s, wake::ready);
  }

  // A drain that has passed its deadline calls the hook again of a subscriber that was ended before and is
  // still sending its last bytes. The first reason stays.
  void evict(lock& held, subscriber& s, close_reason why, farewell const& last_words = {}) noexcept {
    bool const forces = why == close_reason::drain_forced;
    if (s.evicted != close_reason::none && (!forces || s.forced)) return;
    s.forced = s.forced || forces;
    if (s.evicted == close_reason::none) {
      s.evicted = why;
      s.farewell = last_words;
      state_.retire(s);
    }
    (void)s.unpark();
    state_.reader.let_go(s);
    state_.hooks.fire(held, s, wake::evicted);
  }

  void end_expired(lock& held, steady_time now) noexcept {
    // No more than there are now: a hook may subscribe again with a time that has passed.
    auto const most = state_.expiries.size();
    for (std::size_t step = 0; step != most && !state_.expiries.empty() && state_.expiries.first().key <= now;
         breathe(held, step++))
      evict(held, *state_.expiries.first().of, close_reason::expired);
  }

  template <class Visit> void for_each_subscriber(lock& held, Visit visit) {
    std::size_t step = 0;
    state_.subscribers.for_each([&](subscriber& s) {
      visit(s);
      breathe(held, step++);
    });
  }

  broker_state<Traits>& state_;
  // Not guarded: a driver looks at each turn.
  std::atomic<steady_duration::rep> next_tick_{not_begun};  // a time
  std::atomic<steady_duration::rep> between_ticks_;         // a duration
  std::atomic<bool> ticked_by_program_{false};              // since a driver looked last
  std::atomic<std::uint64_t> streams_{0};                   // at the last tick
  // Guarded by the lock of state_.
  watermarks ages_;
  std::uint64_t excused_through_ = 0;  // a position: what a late tick trimmed up to here closes no stream
  watermarks quiet_ages_;
  drain_schedule schedule_;
  std::uint64_t spread_ms_ = 0;  // of the drain's reconnection times
  lifetime lifetime_ = lifetime::open;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
