// SPDX-License-Identifier: MIT
// admission.hpp - lets subscribers in and out, and changes which channels and which filter one has.
#pragma once

#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/detail/lifecycle.hpp>
#include <ssewire/broker/detail/resume.hpp>
#include <ssewire/broker/detail/state.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/detail/users.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/lost_headers.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: any. subscribe(), close(), join(), leave() and set_filter() take the broker's lock; the other
// functions are called under it.
template <class Traits> class admission {
 public:
  using lock = typename broker_state<Traits>::lock;
  using channel = detail::channel<Traits>;
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  admission(broker_state<Traits>& state, lifecycle<Traits>& life) noexcept : state_(state), life_(life) {}

  // Returns null and the reason if the subscriber is refused. Throws std::bad_alloc; then nothing has
  // changed.
  std::pair<subscriber*, errc> subscribe(std::span<std::string_view const> names,
                                         subscribe_options const& how) {
    auto const last_event_id = how.last_event_id.value();
    if (how.user.value().size() > user_table<Traits>::max_key_bytes) return {nullptr, errc::user_key_refused};
    std::vector<std::string_view> distinct;
    if (auto const error = state_.logs.take_names(names, distinct); error != errc::ok)
      return {nullptr, error};
    auto s = std::make_unique<subscriber>();
    s->memberships = std::make_unique<membership[]>(distinct.size());
    s->policy = how.lag;
    s->filter = how.filter;
    s->position = how.position;
    std::optional<std::uint64_t> own_id;  // its hash
    if (good_own_id(last_event_id)) own_id = state_.hash(last_event_id);
    if (how.now) (void)life_.tick_if_due(*how.now);
    auto const now = needs_time(how) ? how.now.value_or(std::chrono::steady_clock::now()) : steady_time();

    lock held(state_.guard);
    if (!life_.is_open()) return {nullptr, errc::closed};
    if (!state_.is_of_this_process()) return {nullptr, errc::no_memory};
    auto const expires = life_.end_of_life(state_.joined + 1, how.expires, now);
    if (expires) state_.expiries.reserve_one_more();
    subscriber* replaced = nullptr;
    if (auto const error = admit(*s, distinct, how, now, replaced); error != errc::ok)
      return {nullptr, error};
    auto const resumes_after =
        resume(*s, last_event_id, own_id, how.start, state_.sequence, state_.ids.unset());
    s->joined_at = s->said = state_.sequence;
    state_.subscribers.add(*s);
    if (expires) state_.expiries.add(*expires, *s);
    ++state_.counts.subscribers;
    if (replaced != nullptr) life_.replace(held, *replaced);
    if (s->filter && s->outcome == resume_outcome::gap) ask_about_losses(held, *s, *resumes_after);
    ++state_.counts.resumes[static_cast<std::size_t>(s->outcome)];
    for (auto& m : *s) {
      state_.hooks.note(*m.of, m.who);
      state_.hooks.tell_presence(held, *m.of);
    }
    return {s.release(), errc::ok};
  }

  // Ends a subscription and destroys the subscriber. When this returns, the hook does not run and never
  // will. The exception is a call from inside the hook or the filter: then the subscriber is destroyed when
  // that has returned. `self` keeps the broker's core alive. Returns the reason that was counted.
  close_reason close(subscriber* s, close_reason why, std::shared_ptr<void> const& self) noexcept {
    lock held(state_.guard);
    if (s->evicted != close_reason::none) why = s->evicted;
    state_.subscribers.remove(*s);
    state_.reader.let_go(*s);
    s->now = phase::closed;
    for (auto& m : *s) m.unlink();
    state_.retire(*s);
    count_out(why);
    for (auto& m : *s) leave_channel(held, m);
    s->channels = 0;
    if (s->filtering) {
      s->keeps = self;
    } else {
      state_.hooks.destroy(held, s);
    }
    return why;
  }

  // Throws std::bad_alloc; then nothing has changed.
  errc join(subscriber& s, std::string_view name) {
    if (!state_.logs.takes_name(name)) return errc::channel_name_refused;
    // Without the lock: only the subscriber's own thread changes `channels`.
    auto grown = std::make_unique<membership[]>(s.channels + 1);
    lock held(state_.guard);
    if (!life_.is_open() || s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    if (member_of(s, name) != nullptr) return errc::ok;
    if (s.channels == state_.options.max_channels_per_stream) return errc::too_many_channels;
    auto& added = grown[s.channels];
    auto const user = s.user == nullptr ? std::string_view() : std::string_view(s.user->key);
    if (auto const error = enter(s, added, name, user); error != errc::ok) return error;
    if (s.filter && !keep_lost_headers(*added.of)) {
      undo_enter(added);
      return errc::no_memory;
    }
    added.next_ordinal = added.of->history.end_ordinal();
    state_.hooks.note(*added.of, added.who);
    for (std::size_t i = 0; i < s.channels; ++i) {
      s.memberships[i].unlink();
      grown[i] = s.memberships[i];
    }
    s.memberships = std::move(grown);
    ++s.channels;
    s.say_after = state_.sequence;
    state_.say_position(held, s);  // calls the hook, which may close the subscriber and so drop the channel
    if (auto* const c = state_.logs.find(name)) {
      state_.hooks.tell_presence(held, *c);
      state_.logs.drop_if_unused(*c);  // the hook may have closed the last subscriber
    }
    return errc::ok;
  }

  errc leave(subscriber& s, std::string_view name) noexcept {
    lock held(state_.guard);
    if (s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    auto* const m = member_of(s, name);
    if (m == nullptr) return errc::ok;
    if (s.channels == 1) return errc::no_channel;
    for (auto& each : s) each.unlink();
    membership left = *m;
    if (s.holds == held::pages && left.held_from != never) s.holds = held::pages_of_left_channel;
    *m = s.memberships[--s.channels];
    state_.say_position(held, s);
    leave_channel(held, left);
    return errc::ok;
  }

  // Swaps the filters: the caller destroys the old one, without the lock.
  errc set_filter(subscriber& s, event_filter& filter) noexcept {
    lock held(state_.guard);
    if (s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    std::swap(s.filter, filter);
    s.admitted = s.refused = 0;
    // Until the position event has been sent every loss is reported: the old filter may have admitted it.
    s.due = position_due::yes_refilter;
    if (s.filter) {
      for (auto& m : s)
        (void)keep_lost_headers(*m.of);  // if it fails, a gap may be reported that the filter would refuse
    }
    state_.say_position(held, s);
    return errc::ok;
  }

  // Two parts of close(), which in_step.hpp needs apart: a counted subscriber is gone; a membership is gone.
  // leave_channel() may drop the channel.
  void count_out(close_reason why) noexcept {
    --state_.counts.subscribers;
    auto const index = static_cast<std::size_t>(why);
    if (index < close_reason_count) ++state_.counts.closes[index];
  }
  void leave_channel(lock& held, membership& m) noexcept {
    state_.followers.remove(m);
    state_.hooks.note(*m.of, m.who);
    state_.hooks.tell_presence(held, *m.of);
    state_.logs.drop_if_unused(*m.of);
  }

 private:
  // Whether subscribe() has to know the time.
  [[nodiscard]] bool needs_time(subscribe_options const& how) const noexcept {
    return state_.options.longest_life > steady_duration(0) ||
           (state_.users.limits_connects() && !how.user.value().empty());
  }

  // Adds the subscriber to its user and to all of its channels, or to none, also when this throws
  // std::bad_alloc. `replaced` gets the stream that it replaces, if any.
  errc admit(subscriber& s, std::span<std::string_view const> names, subscribe_options const& how,
             steady_time now, subscriber*& replaced) {
    if (state_.counts.subscribers >= state_.options.max_subscribers) return errc::too_many_subscribers;
    auto const key = how.user.value();
    if (how.as_of && was_closed_since(*how.as_of, key, names)) return errc::revoked;
    user_record<Traits>* user = nullptr;
    if (!key.empty()) {
      auto error = errc::ok;
      std::tie(user, error) = state_.users.find_or_make(key);
      if (user == nullptr) return error;
      error = admit_to(*user, now, replaced);
      if (error == errc::ok) error = enter_all(s, names, key);
      if (error != errc::ok) {
        state_.users.drop_if_unused(*user);
        return error;
      }
    } else if (auto const error = enter_all(s, names, {}); error != errc::ok) {
      return error;
    }
    s.number = ++state_.joined;
    if (user != nullptr) state_.users.add(*user, s);
    return errc::ok;
  }

  [[nodiscard]] bool was_closed_since(std::uint64_t as_of, std::string_view key,
                                      std::span<std::string_view const> names) const noexcept {
    auto const& closes = state_.closes;
    if (!key.empty() && closes.may_be_closed_since(as_of, state_.hash_of_user(key))) return true;
    for (auto const name : names) {
      if (closes.may_be_closed_since(as_of, state_.hash_of_channel(name))) return true;
    }
    return false;
  }

  // Whether one more stream of this user may begin, and which one it replaces.
  errc admit_to(user_record<Traits>& user, steady_time now, subscriber*& replaced) noexcept {
    auto const most = state_.options.max_subscribers_per_user;
    bool const full = user.streams >= most;
    if (full && (most == 0 || state_.options.at_user_limit == user_limit::refuse_newest))
      return errc::user_full;
    if (!state_.users.take_token(user, now)) return errc::connects_too_often;
    if (full) replaced = user.oldest;
    return errc::ok;
  }

  // Adds the subscriber to all of its channels, or to none.
  errc enter_all(subscriber& s, std::span<std::string_view const> names, std::string_view user) noexcept {
    auto error = errc::ok;
    for (auto const name : names) {
      error = enter(s, s.memberships[s.channels], name, user);
      if (error != errc::ok) break;
      ++s.channels;
    }
    for (auto& m : s) {
      if (error == errc::ok && s.filter && !keep_lost_headers(*m.of)) error = errc::no_memory;
    }
    if (error == errc::ok) return error;
    for (auto& m : s) undo_enter(m);
    s.channels = 0;
    return error;
  }

  // If this refuses, nothing has changed.
  errc enter(subscriber& s, membership& m, std::string_view name, std::string_view user) noexcept {
    auto const [c, error] = state_.logs.find_or_make(name);
    if (c == nullptr) return error;
    if (c->members >= state_.options.max_subscribers_per_channel) {
      state_.logs.drop_if_unused(*c);
      return errc::channel_full;
    }
    m.of = c;
    m.owner = &s;
    if (!try_call([&] { state_.followers.add(m, user); })) {
      state_.logs.drop_if_unused(*c);
      return errc::no_memory;
    }
    m.key = s.next_key++;
    return errc::ok;
  }

  // Nobody has been told yet.
  void undo_enter(membership& m) noexcept {
    state_.followers.remove(m);
    state_.followers.drop_if_unused(m.who);
    state_.logs.drop_if_unused(*m.of);
  }

  // From now on the log keeps the headers of lost events, so that filters can be asked about them. False: no
  // memory.
  [[nodiscard]] bool keep_lost_headers(channel& c) const noexcept {
    auto const max_events = smaller(state_.options.replay.max_events, std::uint64_t{1} << 62) / 2 + 1;
    return try_call([&] { c.history.keep_lost_headers(max_events, state_.options.replay.max_bytes / 4); });
  }

  // Events after the resumed position are lost. Asks the filter, without the lock, whether it would have
  // admitted one. If the headers are not known, or the filter throws, they count as missing.
  void ask_about_losses(lock& held, subscriber& s, std::uint64_t after) noexcept {
    for (auto& m : s) {
      if (m.missed != loss::before_resume) continue;
      std::optional<lost_headers::copy> known;
      if (auto const* const lost = m.of->history.lost()) try_call([&] { known = lost->copy_after(after); });
      if (!known) continue;
      auto const unset = state_.ids.unset();  // copied under the lock
      held.unlock();
      bool missing = true;
      try_call([&] { missing = lost_headers::any_admitted(*known, after, unset, s.filter); });
      held.lock();
      if (!missing) m.missed = loss::counted;
    }
    s.outcome = outcome_of_resuming(s);
  }

  [[nodiscard]] membership* member_of(subscriber const& s, std::string_view name) const noexcept {
    auto* const m = s.find([&](membership const& each) { return each.of->name == name; });
    return m == s.end() ? nullptr : m;
  }

  broker_state<Traits>& state_;  // its lock guards what follows
  lifecycle<Traits>& life_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
