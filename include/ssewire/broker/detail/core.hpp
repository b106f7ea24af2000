// SPDX-License-Identifier: MIT
// core.hpp - one order of events over its channels, and the one lock that makes it.
//
// No writer, hook, filter or other user code runs under the lock. publisher.hpp has a publish. A read is
// pull() below: cursor_reader.hpp moves the cursors, control_events.hpp writes position and gap events.
// admission.hpp lets subscribers in and out; lifecycle.hpp has what time does, and the end.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/detail/admission.hpp>
#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/detail/control_events.hpp>
#include <ssewire/broker/detail/cursor_reader.hpp>
#include <ssewire/broker/detail/lifecycle.hpp>
#include <ssewire/broker/detail/publisher.hpp>
#include <ssewire/broker/detail/state.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/wake.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> struct in_step;

// Threads: any; each call takes the lock.
template <class Traits> class broker_core {
 public:
  using lock = typename broker_state<Traits>::lock;
  using batch = basic_batch<Traits>;
  using channel = detail::channel<Traits>;
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  explicit broker_core(broker_options const& o) : state_(o) {}

  // ---- publish ----

  result<position_id> publish(std::string_view name, event const& e, std::uint64_t tag) noexcept {
    return publisher_.publish(name, e, tag);
  }
  result<position_id> publish(std::span<std::string_view const> names, std::span<event const> events,
                              std::uint64_t tag) {
    return publisher_.publish(names, events, tag);
  }

  // ---- who follows what ----

  std::pair<subscriber*, errc> subscribe(std::span<std::string_view const> names,
                                         subscribe_options const& how) {
    return admission_.subscribe(names, how);
  }
  // `self` keeps this core alive.
  close_reason close(subscriber* s, close_reason why, std::shared_ptr<broker_core>&& self) noexcept {
    std::shared_ptr<void> const keep = std::move(self);
    return admission_.close(s, why, keep);
  }
  errc join(subscriber& s, std::string_view name) { return admission_.join(s, name); }
  errc leave(subscriber& s, std::string_view name) noexcept { return admission_.leave(s, name); }
  errc set_filter(subscriber& s, event_filter& filter) noexcept { return admission_.set_filter(s, filter); }

  // ---- pull and park ----

  pull_status pull(subscriber& s, batch& out, std::size_t room) {
    constexpr std::uint64_t most_asked = 4096;  // of a filter in one pull; then others get the thread
    // This is a call from inside the subscriber's filter, on the thread that set the flag: `out` may be the
    // batch that is being filled.
    if (s.filtering) return pull_status::nothing;
    out.clear();
    typename cursor_reader<Traits>::ending end;
    lock held(state_.guard);
    state_.reader.let_go(s);
    // Each question releases the lock. Events that are published meanwhile may need another question.
    int questions = 2;       // about own IDs
    int loss_questions = 8;  // about lost events
    for (std::uint64_t asked = 0;;) {
      if (s.evicted != close_reason::none) return state_.reader.say_farewell(s, out);
      bool const lags = s.lags();
      if (lags && s.filter && loss_questions > 0) {
        --loss_questions;
        bool const passed = state_.reader.pass_losses(held, s, end);
        if (end.has_come) return end.keeps ? pull_status::closed : state_.reader.say_farewell(s, out);
        if (!passed) loss_questions = 0;
        continue;
      }
      if (life_.is_outrun(s)) {
        s.evicted = close_reason::lagged;
        state_.retire(s);
        return pull_status::closed;
      }
      if (lags || !s.opened || control_events<Traits>::may_say_position(s)) {
        if (questions != 0 && state_.told.wants_to_know(s)) {
          --questions;
          state_.reader.ask_about_own_id(held, s, end);
          if (end.has_come) return end.keeps ? pull_status::closed : state_.reader.say_farewell(s, out);
          continue;
        }
        state_.reader.tell(s, out);
      }
      if (!s.filter) {
        state_.reader.begin_pull(s);
        state_.reader.merge(s, out, room);
        break;
      }
      if (!out.empty()) break;  // a filter may throw, and must not take these control events along
      auto const more = state_.reader.pull_filtered(held, s, out, room, end);
      if (end.has_come) return end.keeps ? pull_status::closed : state_.reader.say_farewell(s, out);
      asked += more;
      if (!out.empty()) break;
      if (more == 0 && s.due != position_due::no) continue;
      if (more == 0 || asked >= most_asked) {
        if (asked >= most_asked || (life_.is_due(s) && s.skipped != 0) ||
            control_events<Traits>::must_say_position(s))
          state_.reader.tell(s, out);
        break;
      }
    }
    state_.reader.hold(s, out);
    if (!out.empty()) return pull_status::ready;
    return life_.is_due(s) ? pull_status::draining : pull_status::nothing;
  }

  // See cursor_reader.
  std::string_view give_back(subscriber& s, batch& out, std::size_t taken) noexcept {
    lock const held(state_.guard);
    return state_.reader.give_back(s, out, taken);
  }

  void let_go(subscriber& s) noexcept {
    lock const held(state_.guard);
    state_.reader.let_go(s);
  }

  // True: the hook will be called when there is something to pull. False: there is something already, or the
  // stream has ended.
  bool park(subscriber& s) noexcept {
    lock const held(state_.guard);
    state_.reader.let_go(s);
    if (!may_park(s)) return false;
    arm(s);
    return true;
  }

  // The two halves of park(), for in_step.
  [[nodiscard]] bool may_park(subscriber const& s) const noexcept {
    return s.evicted == close_reason::none && !life_.is_due(s) && s.opened && s.due == position_due::no &&
           !s.filtering && !s.any([](membership const& m) { return m.has_news() || m.lags(); });
  }
  void arm(subscriber& s) noexcept {
    for (auto& m : s) m.of->parked.push(m);
    s.now = phase::parked;
  }

  void set_hook(subscriber& s, wake_hook hook) noexcept {
    lock const held(state_.guard);
    s.hook = hook;
  }

  [[nodiscard]] std::uint64_t backlog(subscriber const& s) noexcept {
    lock const held(state_.guard);
    std::uint64_t events = 0;
    for (auto const& m : s) {
      auto const& h = m.of->history;
      events += h.end_ordinal() - larger(m.next_ordinal, h.first_ordinal());
    }
    return events;
  }

  [[nodiscard]] std::uint64_t subscribers_of(std::string_view name) noexcept {
    if (!state_.logs.takes_name(name)) return 0;
    lock const held(state_.guard);
    auto const* const c = state_.logs.find(name);
    return c == nullptr ? 0 : c->members;
  }

  [[nodiscard]] std::uint64_t users_of(std::string_view name) noexcept {
    if (!state_.logs.takes_name(name)) return 0;
    lock const held(state_.guard);
    auto const* const c = state_.logs.find(name);
    return c == nullptr ? 0 : c->users;
  }

  [[nodiscard]] close_reason reason(subscriber const& s) noexcept {
    lock const held(state_.guard);
    return s.evicted;
  }

  // ---- time and the end ----

  void tick(steady_time now) noexcept { life_.tick(now); }
  std::optional<steady_time> tick_if_due(steady_time now) noexcept { return life_.tick_if_due(now); }
  std::optional<steady_time> tick_if_due(steady_time now, std::uint64_t number) noexcept {
    return life_.tick_if_due(now, number);
  }
  void drain(steady_time now, steady_time deadline, std::uint64_t spread_ms) noexcept {
    life_.drain(now, deadline, spread_ms);
  }
  void close_all() noexcept { life_.close_all(); }

  // ---- ends from outside ----

  using farewell = std::shared_ptr<std::string const>;

  std::uint64_t close_user(std::string_view key, farewell const& last_words) noexcept {
    return life_.close_user(key, last_words);
  }
  std::uint64_t close_channel(std::string_view name, farewell const& last_words) noexcept {
    return life_.close_channel(name, last_words);
  }
  bool close_one(subscription_id one, close_reason why, farewell const& last_words) noexcept {
    return one.of == state_.own_name && life_.close_one(one.number, why, last_words);
  }
  [[nodiscard]] bool is_reserved(event_type type) const noexcept {
    return has_reserved_prefix(type) || publisher_.is_reserved(type);
  }
  [[nodiscard]] std::size_t max_event_bytes() const noexcept { return state_.options.replay.max_bytes; }
  [[nodiscard]] std::uint64_t closes() noexcept {
    lock const held(state_.guard);
    return state_.closes.count();
  }
  // Throws std::bad_alloc; then nothing has changed. None if it has ended.
  subscription_id identify(subscriber& s) {
    lock const held(state_.guard);
    if (s.evicted != close_reason::none) return {};
    state_.with_id.emplace(s.number, &s);
    s.has_id = true;
    return {s.number, state_.own_name};
  }
  [[nodiscard]] std::uint64_t drain_retry_ms(subscriber const& s) noexcept { return life_.drain_retry_ms(s); }

  // ---- counters ----

  [[nodiscard]] broker_stats stats() noexcept {
    lock const held(state_.guard);
    auto all = state_.counts;
    all.channels = state_.logs.channels();
    all.expired_channels = state_.logs.expired_channels();
    all.pinned_bytes = state_.logs.pinned();
    all.users = state_.users.size();
    return all;
  }

  // Every call that can be refused ends here, also after a failed allocation, so each refusal is counted
  // once.
  errc count_refusal(errc error) noexcept {
    if (error == errc::ok) return error;
    lock const held(state_.guard);
    ++state_.counts.refusals[static_cast<std::size_t>(error)];
    return error;
  }

 private:
  friend struct in_step<Traits>;  // the reactor's streams in step: until its feeds come

  broker_state<Traits> state_;
  lifecycle<Traits> life_{state_};
  publisher<Traits> publisher_{state_, life_};
  admission<Traits> admission_{state_, life_};
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
