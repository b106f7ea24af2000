// SPDX-License-Identifier: MIT
// broker_core.hpp - one order of events over its channels, and the one lock that makes it: append, wake, pull.
//
// What runs under the lock is ours and short: no writer, no hook, no other user code. Publish appends and takes the
// channel's parked list in one step; it looks at no cursor. Everything about a slow subscriber is paid by its own pull.
#pragma once

#include <ssewire/detail/age_marks.hpp>
#include <ssewire/detail/batch.hpp>
#include <ssewire/detail/broker_types.hpp>
#include <ssewire/detail/channel_table.hpp>
#include <ssewire/detail/holder_list.hpp>
#include <ssewire/detail/keyed_hash.hpp>
#include <ssewire/detail/placement.hpp>
#include <ssewire/detail/prepared_event.hpp>
#include <ssewire/detail/subscriber.hpp>
#include <ssewire/detail/subscriber_list.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/replay_buffer.hpp>
#include <ssewire/traits.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

template <class Traits> struct broker_core {
  using mutex = typename Traits::mutex;
  using lock = std::unique_lock<mutex>;
  using batch = basic_batch<Traits>;
  using channel = detail::channel<Traits>;
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  explicit broker_core(broker_options const& o)
      : options(o), epoch(Traits::epoch()), hash(Traits::epoch()), pins(pin_ledger::make()),
        channels(hash, o.max_expired_channels, pins) {}

  // ---- publish -------------------------------------------------------------------------------------------------

  publish_result publish(std::string_view name, event const& e, std::uint64_t tag) noexcept {
    if (!good_name(name)) return {{}, errc::channel_name_refused};
    prepared_event<Traits> prepared;
    std::array<char, largest_copied_frame> room;
    if (auto const error = measure(prepared, e); error != errc::ok) return {{}, error};
    if (!prepared.build(e, tag, hash, room.data())) return {{}, errc::no_memory};
    parked_list<Traits> woken;
    channel* to = nullptr;
    lock held(guard);
    return append(held, {&name, 1}, {&to, 1}, {&prepared, 1}, {&woken, 1});
  }

  // Several events on several channels, or nothing. Throws std::bad_alloc; then nothing has changed.
  publish_result publish(std::span<std::string_view const> names, std::span<event const> events,
                         std::uint64_t tag) {
    std::vector<std::string_view> distinct;
    if (auto const error = take_names(names, distinct); error != errc::ok) return {{}, error};
    if (events.empty()) return {{}, errc::ok};

    std::vector<prepared_event<Traits>> prepared(distinct.size() * events.size());
    std::size_t all = 0;
    std::size_t copied = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (auto const error = measure(prepared[i], events[i]); error != errc::ok) return {{}, error};
      all += prepared[i].size();
      if (all > options.replay.max_bytes) return {{}, errc::event_too_large};
      if (!prepared[i].is_large()) copied += prepared[i].size();
    }
    auto const room = std::make_unique<char[]>(copied);
    auto* at = room.get();
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (!prepared[i].build(events[i], tag, hash, at)) return {{}, errc::no_memory};
      if (!prepared[i].is_large()) at += prepared[i].size();
    }
    for (auto i = events.size(); i < prepared.size(); ++i) {
      if (!prepared[i % events.size()].copy_to(prepared[i])) return {{}, errc::no_memory};
    }
    auto const woken = std::make_unique<parked_list<Traits>[]>(distinct.size());
    std::vector<channel*> to(distinct.size());
    lock held(guard);
    return append(held, distinct, to, prepared, {woken.get(), distinct.size()});
  }

  // ---- subscribe and close -------------------------------------------------------------------------------------

  // Null, and the reason, if the newcomer is refused. Throws std::bad_alloc; then nothing has changed.
  std::pair<subscriber*, errc> subscribe(std::span<std::string_view const> names,
                                         std::string_view last_event_id, subscribe_options const& how) {
    std::vector<std::string_view> distinct;
    if (auto const error = take_names(names, distinct); error != errc::ok) return {nullptr, error};
    auto s = std::make_unique<subscriber>();
    s->memberships = std::make_unique<membership[]>(distinct.size());
    s->policy = how.lag;
    s->filter = how.filter;
    if (!how.user.empty()) s->user = hash(how.user) | 1;
    auto const own_id = good_own_id(last_event_id) ? std::optional(hash(last_event_id)) : std::nullopt;

    lock held(guard);
    if (auto const error = admit(*s, distinct); error != errc::ok) return {nullptr, refuse(error)};
    place(*s, last_event_id, own_id, how.start, sequence, epoch);
    s->joined_at = s->said = sequence;
    s->number = ++joined;
    subscribers.add(*s);
    ++counts.resumes[static_cast<std::size_t>(s->outcome)];
    for (auto& m : *s) tell_presence(held, *m.of);
    return {s.release(), errc::ok};
  }

  // Ends a subscription and destroys it: when this returns its hook neither runs nor will, unless this was called from
  // inside it, or its filter: then it is destroyed after that. `self` is what keeps this core.
  void close(subscriber* s, close_reason why, std::shared_ptr<broker_core>&& self) noexcept {
    auto const keep = std::move(self);
    lock held(guard);
    subscribers.remove(*s);
    holders.remove(*s);
    s->armed = false;
    s->closed = true;
    ++counts.closes[static_cast<std::size_t>(s->evicted != close_reason::none ? s->evicted : why)];
    if (s->user != 0) leave_user(s->user);
    for (auto& m : *s) m.unlink();
    for (auto& m : *s) leave(held, m);
    s->channels = 0;
    if (s->filtering) {
      s->keeps = keep;
    } else {
      destroy(held, s);
    }
  }

  // ---- changes while it is open ----------------------------------------------------------------------------------

  // Throws std::bad_alloc; then nothing has changed.
  errc join(subscriber& s, std::string_view name) {
    if (!good_name(name)) return errc::channel_name_refused;
    auto grown = std::make_unique<membership[]>(s.channels + 1);  // only its own thread changes the number
    lock held(guard);
    if (closed || draining || s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    if (member_of(s, name) != nullptr) return errc::ok;
    if (s.channels == options.max_channels_per_stream) return refuse(errc::too_many_channels);
    if (auto const error = enter(s, grown[s.channels], name); error != errc::ok) return refuse(error);
    auto& c = *grown[s.channels].of;
    grown[s.channels].next_ordinal = c.history.end_ordinal();
    for (std::size_t i = 0; i < s.channels; ++i) {
      s.memberships[i].unlink();
      grown[i] = s.memberships[i];
    }
    s.memberships = std::move(grown);
    ++s.channels;
    say_position(held, s);
    tell_presence(held, c);
    return errc::ok;
  }

  errc leave(subscriber& s, std::string_view name) noexcept {
    lock held(guard);
    if (s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    auto* const m = member_of(s, name);
    if (m == nullptr) return errc::ok;
    if (s.channels == 1) return errc::no_channel;
    for (auto& each : s) each.unlink();
    membership left = *m;
    *m = s.memberships[--s.channels];
    say_position(held, s);
    leave(held, left);
    return errc::ok;
  }

  // The old filter is destroyed when this has returned.
  errc set_filter(subscriber& s, event_filter& filter) noexcept {
    lock held(guard);
    if (s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    std::swap(s.filter, filter);
    say_position(held, s);
    return errc::ok;
  }

  // ---- pull and park -------------------------------------------------------------------------------------------

  pull_status pull(subscriber& s, batch& out, std::size_t room) {
    out.clear();
    std::shared_ptr<broker_core> keep;  // if the filter closes the subscription: until the lock is let go
    lock held(guard);
    if (s.filtering) return pull_status::nothing;
    let_go_now(s);
    if (s.evicted != close_reason::none) return pull_status::closed;
    bool const lags = s.lags();
    if (lags && s.opened && s.policy == lag_policy::close) {
      s.evicted = close_reason::lagged;
      return pull_status::closed;
    }
    if (lags || !s.opened || s.must_say) tell(s, out);
    if (!s.filter) {
      merge(s, out, room);
    } else if (out.empty()) {  // a filter may throw, and then what was told must not be lost
      if (!pull_filtered(held, s, out, room, keep)) return pull_status::closed;
    }
    hold(s, out);
    if (!out.empty()) return pull_status::frames;
    return draining ? pull_status::draining : pull_status::nothing;
  }

  // Of a batch just pulled, only `taken` bytes went out. Frames of which nothing went are pulled again. Returns the
  // rest of the frame that went in part, a view of the batch; from here on the caller owes it to the peer.
  std::string_view give_back(subscriber& s, batch& out, std::size_t taken) noexcept {
    lock const held(guard);
    std::string_view rest;
    if (taken < out.notices_.size()) {
      // A notice cannot be told twice: it holds where the stream stands. So all of them are owed.
      rest = std::string_view(out.notices_).substr(taken);
      taken = 0;
    } else {
      taken -= out.notices_.size();
    }
    auto cut = never;  // the position of the first frame of which nothing went
    for (std::size_t i = 0; i < out.runs_; ++i) {
      auto const& run = out.pinned_[i];
      auto const size = run.bytes().size();
      if (taken >= size) {
        taken -= size;
        continue;
      }
      auto const begin = run.pin->begin_of(run.first);
      auto kept = run.first;  // the first entry of which nothing went
      while (run.pin->begin_of(kept) - begin < taken) ++kept;
      if (taken != 0) rest = run.pin->frames(run.first, kept).substr(taken);
      taken = 0;
      if (kept == run.last) continue;
      if (auto* const m = member_of(s, run.membership))
        m->next_ordinal = (std::min)(m->next_ordinal, run.pin->base_ordinal() + kept);
      cut = (std::min)(cut, run.pin->position(kept));
      count_delivered(s, *run.pin.get(), kept, run.last, false);
    }
    go_back(s, cut);
    if (rest.size() <= largest_copied_rest) let_go_now(s);
    return rest;
  }

  // Nothing of the batch pulled last is being sent any more.
  void let_go(subscriber& s) noexcept {
    lock const held(guard);
    let_go_now(s);
  }

  // True: the hook will be called when there is something to pull. False: there is already, or there will be nothing.
  bool park(subscriber& s) noexcept {
    lock const held(guard);
    let_go_now(s);
    if (s.evicted != close_reason::none || draining || !s.opened || s.must_say || s.filtering) return false;
    for (auto& m : s) {
      if (m.has_news() || m.lags()) return false;
    }
    for (auto& m : s) m.of->parked.push(m);
    s.armed = true;
    return true;
  }

  void set_hook(subscriber& s, wake_hook hook) noexcept {
    lock const held(guard);
    s.hook = hook;
  }

  [[nodiscard]] std::uint64_t backlog(subscriber const& s) noexcept {
    lock const held(guard);
    std::uint64_t events = 0;
    for (auto const& m : s) {
      auto const& h = m.of->history;
      events += h.end_ordinal() - (std::max)(m.next_ordinal, h.first_ordinal());
    }
    return events;
  }

  [[nodiscard]] std::uint64_t subscribers_of(std::string_view name) noexcept {
    lock const held(guard);
    auto const* const c = channels.find(name);
    return c == nullptr ? 0 : c->members;
  }

  [[nodiscard]] close_reason reason(subscriber const& s) noexcept {
    lock const held(guard);
    return s.evicted;
  }

  // ---- time and the end ----------------------------------------------------------------------------------------

  void tick(time_point now) noexcept {
    lock held(guard);
    trim_old(held, ages.pass(now, options.replay.max_age, sequence));
    expire(held, quiet_ages.pass(now, options.channel_expiry, sequence));
    end_a_holder(held);
    auto const half_old = ages.reached(now, options.replay.max_age / 2);
    bool const overdue = draining && now >= drain_deadline;
    for_each_subscriber(held, [&](subscriber& s) {
      if (overdue) {
        evict(held, s, close_reason::drain_forced);
      } else if (s.opened && s.policy == lag_policy::close && s.lags()) {
        evict(held, s, close_reason::lagged);
      } else if (s.armed && s.skipped != 0 && s.said < half_old) {
        say_position(held, s);  // or its client would come back from behind events that it never was to get
      }
    });
  }

  void drain(time_point deadline, std::uint64_t spread_ms) noexcept {
    lock held(guard);
    draining = true;
    drain_deadline = deadline;
    drain_spread_ms = spread_ms;
    for_each_subscriber(held, [&](subscriber& s) {
      if (!std::exchange(s.armed, false)) return;
      fire(held, s, wake::ready);
    });
  }

  void close_all() noexcept {
    lock held(guard);
    closed = true;
    for_each_subscriber(held, [&](subscriber& s) { evict(held, s, close_reason::drained); });
    while (telling != 0) hook_returned.wait(held);
  }

  // Each subscriber its own, spread evenly: multiples of the golden ratio leave no two near each other.
  [[nodiscard]] std::uint64_t drain_retry_ms(subscriber const& s) noexcept {
    lock const held(guard);
    auto const turn = static_cast<std::uint32_t>(s.number * 0x9E3779B9u);
    return drain_spread_ms / 0xFFFFFFFFu * turn + drain_spread_ms % 0xFFFFFFFFu * turn / 0xFFFFFFFFu;
  }

  [[nodiscard]] broker_stats stats() noexcept {
    lock const held(guard);
    auto all = counts;
    all.subscribers = subscribers.size();
    all.channels = channels.size();
    all.expired_channels = channels.forgotten();
    all.pinned_bytes = pins.bytes();
    return all;
  }

  // ---- state ---------------------------------------------------------------------------------------------------

  broker_options const options;
  std::uint64_t const epoch;
  keyed_hash const hash;
  pin_ledger const pins;  // how much of what the logs have forgotten is still being sent

  mutex guard;
  typename Traits::condition_variable hook_returned;
  std::uint64_t sequence = 0;
  channel_table<Traits> channels;
  subscriber_list<Traits> subscribers;
  holder_list<Traits> holders;
  std::unordered_map<std::uint64_t, std::size_t> users;  // by the hash of their keys: how many subscriptions
  std::size_t telling = 0;                               // calls of the presence hook under way
  std::uint64_t joined = 0;
  broker_stats counts;
  age_marks ages;
  age_marks quiet_ages;
  time_point drain_deadline = {};
  std::uint64_t drain_spread_ms = 0;
  bool draining = false;
  bool closed = false;

 private:
  // A rest of a frame beyond this is not copied by streams, but sent from the log's page.
  static constexpr std::size_t largest_copied_rest = 16 * 1024;

  static constexpr std::uint64_t events_a_step = 64;

  // Changes a log and keeps the totals.
  template <class Change> void counting(log<Traits>& history, Change change) noexcept {
    counts.events -= history.events();
    counts.frame_bytes -= history.frame_bytes();
    counts.log_bytes -= history.allocated_bytes();
    change(history);
    counts.events += history.events();
    counts.frame_bytes += history.frame_bytes();
    counts.log_bytes += history.allocated_bytes();
  }

  errc refuse(errc error) noexcept {
    ++counts.refusals[static_cast<std::size_t>(error)];
    return error;
  }

  // ---- publish -------------------------------------------------------------------------------------------------

  [[nodiscard]] errc measure(prepared_event<Traits>& prepared, event const& e) const noexcept {
    if (e.type == options.gap_type) return errc::type_reserved;
    return prepared.measure(e, epoch, options.replay.max_bytes);
  }

  // The moment of a publish. `prepared` holds the events for the first channel, then those for the second, ...
  publish_result append(lock& held, std::span<std::string_view const> names, std::span<channel*> to,
                        std::span<prepared_event<Traits>> prepared,
                        std::span<parked_list<Traits>> woken) noexcept {
    auto const events = prepared.size() / names.size();
    auto error = closed || draining ? errc::closed : errc::ok;
    std::size_t found = 0;
    for (; error == errc::ok && found < names.size(); ++found) {
      std::tie(to[found], error) = channels.find_or_make(names[found], options.max_channels);
      if (error != errc::ok) break;
    }
    std::size_t done = 0;
    for (; error == errc::ok && done < prepared.size(); ++done) {
      counting(to[done / events]->history, [&](log<Traits>& history) {
        error = prepared[done].append_to(history, sequence + 1 + done % events);
      });
      if (error != errc::ok) break;
    }
    if (error != errc::ok) {
      while (done-- != 0) counting(to[done / events]->history, [](log<Traits>& h) { h.take_back(); });
      while (found-- != 0) drop_if_unused(*to[found]);
      return {{}, refuse(error)};
    }

    auto const before = sequence;
    sequence += events;
    auto const id = position_id(epoch, sequence);
    counts.published += events;
    for (std::size_t i = 0; i < events; ++i) counts.published_bytes += prepared[i].size();
    for (std::size_t i = 0; i < to.size(); ++i) {
      channels.add_events(*to[i]);
      counting(to[i]->history, [&](log<Traits>& h) {
        count_trims(trim_cause::events, h.trim_to_events(options.replay.max_events));
        count_trims(trim_cause::bytes, h.trim_to_bytes(options.replay.max_bytes));
      });
      woken[i].take(to[i]->parked);
    }
    trim_all(before);
    for (auto& list : woken) wake_all(held, list);
    end_a_holder(held);
    return {id, errc::ok};
  }

  // ---- forgetting ----------------------------------------------------------------------------------------------

  void count_trims(trim_cause why, std::uint64_t events) noexcept {
    counts.trimmed += events;
    counts.trims[static_cast<std::size_t>(why)] += events;
  }

  // To the limits of all channels together, the oldest first, but nothing behind `newest`.
  void trim_all(std::uint64_t newest) noexcept {
    while (counts.log_bytes > options.max_log_bytes || counts.events > options.max_events_in_all) {
      auto* const c = channels.oldest();
      if (c == nullptr) return;
      std::uint64_t trimmed = 0;
      counting(c->history, [&](log<Traits>& h) { trimmed = h.trim_through(newest, 1); });
      if (trimmed == 0) return;
      count_trims(trim_cause::all_together, trimmed);
      drop_if_unused(*c);
    }
  }

  // What lies at or before this position is too old.
  void trim_old(lock& held, std::uint64_t position) noexcept {
    for (std::size_t step = 0; position != 0; breathe(held, step++)) {
      auto* const c = channels.oldest();
      if (c == nullptr) return;
      std::uint64_t trimmed = 0;
      counting(c->history, [&](log<Traits>& h) { trimmed = h.trim_through(position, events_a_step); });
      if (trimmed == 0) return;
      count_trims(trim_cause::age, trimmed);
      drop_if_unused(*c);
    }
  }

  // Channels that nobody follows go, if nothing was published to them behind this position.
  void expire(lock& held, std::uint64_t quiet) noexcept {
    if (quiet == 0) return;
    for (std::size_t i = 0, step = 0; i < channels.size(); breathe(held, step++)) {
      auto& c = channels[i];
      std::uint64_t trimmed = 0;
      if (c.members == 0 && c.history.last_position() <= quiet)
        counting(c.history, [&](log<Traits>& h) { trimmed = h.trim_through(quiet, events_a_step); });
      count_trims(trim_cause::expiry, trimmed);
      if (c.is_used()) {
        i += trimmed == events_a_step ? 0 : 1;
      } else {
        drop_if_unused(c);  // another one takes its place in the list
      }
    }
  }

  // Too much memory is held that the logs have forgotten: one that holds some must go. Its memory comes back when its
  // writer has let go of it, which may take a while; the next publish looks again.
  void end_a_holder(lock& held) noexcept {
    if (pins.bytes() <= options.max_pinned_bytes) return;
    if (auto* const s = holders.find_guilty()) evict(held, *s, close_reason::held_too_much);
  }

  // ---- channels ------------------------------------------------------------------------------------------------

  [[nodiscard]] bool good_name(std::string_view name) const noexcept {
    return !name.empty() && name.size() <= options.max_channel_name_bytes &&
           std::none_of(name.begin(), name.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  }

  // Each name once.
  errc take_names(std::span<std::string_view const> names, std::vector<std::string_view>& distinct) const {
    if (names.empty()) return errc::no_channel;
    for (auto const name : names) {
      if (!good_name(name)) return errc::channel_name_refused;
      if (std::find(distinct.begin(), distinct.end(), name) != distinct.end()) continue;
      if (distinct.size() == options.max_channels_per_stream) return errc::too_many_channels;
      distinct.push_back(name);
    }
    return errc::ok;
  }

  // Lets a newcomer in everywhere, or nowhere. Throws std::bad_alloc, and then it is nowhere, too.
  errc admit(subscriber& s, std::span<std::string_view const> names) {
    if (closed || draining) return errc::closed;
    if (subscribers.size() >= options.max_subscribers) return errc::too_many_subscribers;
    if (s.user != 0) {
      auto const at = users.find(s.user);
      if ((at == users.end() ? 0 : at->second) >= options.max_subscribers_per_user) return errc::user_full;
      ++users[s.user];
    }
    auto error = errc::ok;
    for (auto const name : names) {
      error = enter(s, s.memberships[s.channels], name);
      if (error != errc::ok) break;
      ++s.channels;
    }
    if (error == errc::ok) return error;
    for (auto& m : s) {
      --m.of->members;
      drop_if_unused(*m.of);
    }
    if (s.user != 0) leave_user(s.user);
    return error;
  }

  // Leaves nothing behind if it is refused.
  errc enter(subscriber& s, membership& m, std::string_view name) noexcept {
    auto const [c, error] = channels.find_or_make(name, options.max_channels);
    if (c == nullptr) return error;
    if (c->members >= options.max_subscribers_per_channel) {
      drop_if_unused(*c);
      return errc::channel_full;
    }
    m.of = c;
    m.owner = &s;
    m.key = s.next_key++;
    ++c->members;
    return errc::ok;
  }

  // The channel may be gone when this returns.
  void leave(lock& held, membership& m) noexcept {
    --m.of->members;
    tell_presence(held, *m.of);
    drop_if_unused(*m.of);
  }

  void leave_user(std::uint64_t user) noexcept {
    auto const at = users.find(user);
    if (--at->second == 0) users.erase(at);
  }

  [[nodiscard]] membership* member_of(subscriber const& s, std::string_view name) const noexcept {
    auto* const m =
        std::find_if(s.begin(), s.end(), [&](membership const& each) { return each.of->name == name; });
    return m == s.end() ? nullptr : m;
  }
  [[nodiscard]] static membership* member_of(subscriber const& s, std::uint32_t key) noexcept {
    auto* const m = std::find_if(s.begin(), s.end(), [&](membership const& each) { return each.key == key; });
    return m == s.end() ? nullptr : m;
  }

  void drop_if_unused(channel& c) noexcept {
    if (c.is_used()) return;
    counts.log_bytes -= c.history.allocated_bytes();
    channels.drop(c);
  }

  // Calls the presence hook with the lock let go, until it has heard how many there are. One thread does so for a channel:
  // who comes meanwhile leaves it to that one. The channel stays as long as somebody is in it, or until this returns.
  void tell_presence(lock& held, channel& c) noexcept {
    auto const hook = options.on_presence;
    if (hook.call == nullptr || c.telling) return;
    c.telling = true;
    while (c.told_members != c.members && !closed) {
      presence const now{c.name, c.told_members, c.members};
      c.told_members = c.members;
      ++telling;
      held.unlock();
      hook.call(hook.context, now);
      held.lock();
      if (--telling == 0) hook_returned.notify_all();
    }
    c.telling = false;
  }

  // Its channels or its filter are others now: its client is told where that was.
  void say_position(lock& held, subscriber& s) noexcept {
    s.must_say = true;
    if (std::exchange(s.armed, false)) fire(held, s, wake::ready);
  }

  // ---- pull ----------------------------------------------------------------------------------------------------

  // Writes what the stream must be told before its next event. All of it is made before the cursors move: if memory
  // fails, nothing has been told.
  void tell(subscriber& s, batch& out) {
    auto next = never;
    for (auto const& m : s) {
      auto const& h = m.of->history;
      auto const first = (std::max)(m.next_ordinal, h.first_ordinal());
      if (first < h.end_ordinal()) next = (std::min)(next, h.position_of(first));
    }
    auto const position = next == never ? sequence : next - 1;
    auto const here = position_id(epoch, position);

    std::string notices = std::exchange(out.notices_, {});  // if memory fails, the batch stays empty
    notices.clear();
    std::uint64_t gaps = 0;
    std::uint64_t lags = 0;
    std::uint64_t missed = 0;
    auto const gap = [&](gap_cause cause, std::string_view name, std::optional<std::uint64_t> lost,
                         bool last) {
      auto const data = gap_data(cause, name, lost);
      serialize({.type = options.gap_type, .data = data, .id = last ? event_id(here) : event_id()}, notices);
      ++gaps;
    };
    // Only the last one carries the ID. If the connection is cut between two, the client must not come back from
    // behind a gap that it was not told of.
    auto left =
        std::count_if(s.begin(), s.end(), [](auto const& m) { return m.resumed_past_loss || m.lags(); });
    if (s.unplaced != gap_cause::none) gap(s.unplaced, {}, std::nullopt, left == 0);
    for (auto const& m : s) {
      if (m.resumed_past_loss) {
        gap(gap_cause::trimmed, m.of->name, std::nullopt, --left == 0);
      } else if (m.lags()) {
        auto const lost = m.of->history.first_ordinal() - m.next_ordinal;
        ++lags;
        missed += lost;
        // How many of them a filter would have admitted nobody knows.
        gap(gap_cause::trimmed, m.of->name, s.filter ? std::nullopt : std::optional(lost), --left == 0);
      }
    }
    if (!s.opened || gaps == 0) append_position(notices, here);

    out.bytes_ += notices.size() - out.notices_.size();
    out.notices_ = std::move(notices);
    for (auto& m : s) {
      m.next_ordinal = (std::max)(m.next_ordinal, m.of->history.first_ordinal());
      m.resumed_past_loss = false;
    }
    s.unplaced = gap_cause::none;
    s.opened = true;
    s.must_say = false;
    s.said = position;
    s.skipped = 0;
    counts.gaps += gaps;
    counts.lags += lags;
    counts.missed += missed;
  }

  // The next events of all channels in the broker's order, as runs that lie together.
  void merge(subscriber& s, batch& out, std::size_t room) noexcept {
    while (!out.full()) {
      membership* first = nullptr;
      auto next = never;   // position of the next event of all
      auto after = never;  // position of the next event of another channel: the same, if one event is on both
      for (auto& m : s) {
        if (!m.has_news()) continue;
        // A stream on one channel need not know the position.
        auto const position = s.channels == 1 ? 0 : m.of->history.position_of(m.next_ordinal);
        if (position < next) {
          after = std::exchange(next, position);
          first = &m;
        } else {
          after = (std::min)(after, position);
        }
      }
      if (first == nullptr) return;
      auto const left = out.bytes() < room ? room - out.bytes() : 0;
      auto const run = first->of->history.run(first->next_ordinal, after, left);
      if (!out.empty() && run.bytes().size() > left) return;
      out.add(run, first->key);
      first->next_ordinal += run.count();
      if (!s.filter) count_delivered(s, *run.page, run.first, run.last, true);
      if (after != next) continue;
      for (auto& m : s) {
        if (m.has_news() && m.of->history.position_of(m.next_ordinal) == next) ++m.next_ordinal;
      }
    }
  }

  // While this exists a filter is being asked, with the lock let go.
  struct asking {
    broker_core& core;
    lock& held;
    subscriber& s;
    std::shared_ptr<broker_core>& keep;
    std::uint64_t from;  // position of the first event it is asked about
    bool& ended;         // the subscription, meanwhile
    bool answered = false;

    asking(broker_core& of, lock& let_go, subscriber& whose, std::shared_ptr<broker_core>& kept,
           std::uint64_t first, bool& is_over) noexcept
        : core(of), held(let_go), s(whose), keep(kept), from(first), ended(is_over) {
      s.filtering = true;
      held.unlock();
    }
    asking(asking const&) = delete;
    asking& operator=(asking const&) = delete;
    ~asking() {
      held.lock();
      s.filtering = false;
      ended = s.closed || s.evicted != close_reason::none;
      if (s.closed) {
        keep = std::move(s.keeps);
        core.destroy(held, &s);
      } else if (!answered) {
        go_back(s, from);
      }
    }
  };

  // Of the next events those that the filter admits. It is called with the lock let go, and may do anything; false: the
  // subscription has ended meanwhile. What it throws leaves the cursor where it was.
  bool pull_filtered(lock& held, subscriber& s, batch& out, std::size_t room,
                     std::shared_ptr<broker_core>& keep) {
    constexpr std::uint64_t most_skipped =
        4096;  // events; then the stream says where it is, and others have their turn
    std::uint64_t skipped = 0;
    while (out.empty() && skipped < most_skipped) {
      batch next;
      merge(s, next, room);
      if (next.empty()) break;
      typename batch::picking picked;
      bool ended = false;
      {
        asking question{*this, held, s, keep, next.first_position(), ended};
        picked = out.add_admitted(next, s.filter);
        question.answered = true;
      }
      if (ended) {
        out.clear();
        return false;
      }
      go_back(s, picked.cut);
      for (std::size_t i = 0; i < out.runs_; ++i)
        count_delivered(s, *out.pinned_[i].pin.get(), out.pinned_[i].first, out.pinned_[i].last, true);
      if (picked.last_admitted != 0) {
        s.said = picked.last_admitted;
        s.skipped = 0;
      }
      s.skipped += picked.skipped_since;
      skipped += picked.skipped;
      counts.filtered += picked.skipped;
    }
    if (out.empty() && s.skipped != 0 && (draining || skipped >= most_skipped || may_be_forgotten(s)))
      tell(s, out);
    return true;
  }

  // The position its client will present lies in the older half of a log: what follows it may soon be gone, and then it
  // could not be told whether it missed something.
  static bool may_be_forgotten(subscriber const& s) noexcept {
    return std::any_of(s.begin(), s.end(), [&](membership const& m) {
      auto const& h = m.of->history;
      return h.ordinal_after(s.said) - h.first_ordinal() < (h.events() + 1) / 2;
    });
  }

  // What lies at or behind this position is pulled again, where it is still held.
  static void go_back(subscriber& s, std::uint64_t position) noexcept {
    if (position == never) return;
    for (auto& m : s) {
      auto const& h = m.of->history;
      while (m.next_ordinal > h.first_ordinal() && h.position_of(m.next_ordinal - 1) >= position)
        --m.next_ordinal;
    }
    if (s.said < position) return;
    s.said = position - 1;
    s.skipped = 0;
  }

  // Events [first, last) of a page were handed to a stream, or, if not `more`, came back.
  void count_delivered(subscriber const& s, segment<Traits> const& page, std::size_t first, std::size_t last,
                       bool more) noexcept {
    auto const replayed = [&] {  // those that were there before the subscriber was
      auto end = first;
      while (end < last && page.position(end) <= s.joined_at) ++end;
      return end - first;
    }();
    auto const bytes = page.frames(first, last).size();
    counts.delivered += more ? last - first : first - last;
    counts.delivered_bytes += more ? bytes : 0 - bytes;
    counts.replayed += more ? replayed : 0 - replayed;
  }

  // It may send from this batch until it pulls again, parks or says that it does not.
  void hold(subscriber& s, batch const& out) noexcept {
    if (out.runs_ == 0) return;
    for (std::size_t i = 0; i < out.runs_; ++i) {
      auto& from = s.memberships[out.pinned_[i].membership].held_from;
      from = (std::min)(from, out.pinned_[i].pin->base_ordinal() + out.pinned_[i].first);
    }
    holders.add(s);
  }

  void let_go_now(subscriber& s) noexcept {
    if (!s.holds) return;
    holders.remove(s);
    for (auto& m : s) m.held_from = never;
  }

  // ---- the end of a subscription ---------------------------------------------------------------------------------

  // It is in no list any more. Lets go of the lock, unless the hook is running on this thread and must do it.
  void destroy(lock& held, subscriber* s) noexcept {
    if (s->now_firing != nullptr && s->now_firing->thread == Traits::this_thread()) {
      s->now_firing->orphaned = true;
      return;
    }
    s->close_waits = true;
    while (s->now_firing != nullptr) hook_returned.wait(held);
    held.unlock();  // its filter is destroyed with it
    delete s;
  }

  // ---- waking --------------------------------------------------------------------------------------------------

  void wake_all(lock& held, parked_list<Traits>& taken) noexcept {
    for (std::size_t step = 0; taken.first != nullptr; breathe(held, step++)) {
      auto& m = *taken.first;
      auto& s = *m.owner;
      m.unlink();
      if (std::exchange(s.armed, false)) fire(held, s, wake::ready);
    }
  }

  void evict(lock& held, subscriber& s, close_reason why) noexcept {
    if (s.evicted != close_reason::none) return;
    s.evicted = why;
    s.armed = false;
    holders.remove(s);
    fire(held, s, wake::evicted);
  }

  // Calls the hook with the lock let go. One thread at a time does so for a subscriber: who comes meanwhile leaves word
  // with it. The subscriber may be gone when this returns.
  void fire(lock& held, subscriber& s, wake why) noexcept {
    if (s.hook.call == nullptr) return;
    if (s.now_firing != nullptr) {
      (why == wake::ready ? s.now_firing->again_ready : s.now_firing->again_evicted) = true;
      return;
    }
    firing<Traits> here{Traits::this_thread()};
    s.now_firing = &here;
    for (bool again = true; again;) {
      auto const hook = s.hook;
      if (hook.call == nullptr) break;  // taken away meanwhile
      held.unlock();
      hook.call(hook.context, why);
      held.lock();
      if (here.orphaned) {
        held.unlock();  // as in destroy()
        delete &s;
        held.lock();
        return;
      }
      again = !s.closed && (here.again_evicted || here.again_ready);
      why = here.again_evicted ? wake::evicted : wake::ready;
      here.again_evicted = here.again_ready = false;  // behind `evicted` nothing is ready
    }
    s.now_firing = nullptr;
    if (s.close_waits) hook_returned.notify_all();
  }

  // Lets go of the lock now and then, so that nobody waits for a long walk.
  static void breathe(lock& held, std::size_t step) noexcept {
    constexpr std::size_t steps_a_hold = 64;
    if (step % steps_a_hold != steps_a_hold - 1) return;
    held.unlock();
    held.lock();
  }

  template <class Visit> void for_each_subscriber(lock& held, Visit visit) {
    std::size_t step = 0;
    subscribers.for_each([&](subscriber& s) {
      visit(s);
      breathe(held, step++);
    });
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
