// SPDX-License-Identifier: MIT
// core.hpp - one order of events over its channels, and the one lock that makes it: append, wake, pull.
//
// What runs under the lock is ours and short: no writer, no hook, no other user code. Publish appends and
// takes the channel's parked list in one step; it looks at no cursor. Everything about a slow subscriber is
// paid by its own pull.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/detail/channel_store.hpp>
#include <ssewire/broker/detail/cursor_reader.hpp>
#include <ssewire/broker/detail/drain_schedule.hpp>
#include <ssewire/broker/detail/hook_runner.hpp>
#include <ssewire/broker/detail/resume.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/detail/subscriber_list.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/identity.hpp>
#include <ssewire/log/detail/prepared_event.hpp>
#include <ssewire/log/detail/siphash.hpp>
#include <ssewire/log/detail/watermarks.hpp>
#include <ssewire/log/replay_buffer.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

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
      : options(o), hash{Traits::epoch()}, logs(options, hash, counts), hooks(o.on_presence),
        cursors(options, ids.unset(), sequence, hash, hooks, counts) {}

  // ---- publish
  // -------------------------------------------------------------------------------------------------

  result<position_id> publish(std::string_view name, event const& e, std::uint64_t tag) noexcept {
    if (!good_name(name)) return {{}, errc::channel_name_refused};
    prepared_event<Traits> prepared;
    std::array<char, largest_copied_frame> room;
    if (is_reserved(e.type)) return {{}, errc::type_reserved};
    auto const error = prepared.prepare(e, tag, hash, options.replay.max_bytes, room);
    if (error != errc::ok) return {{}, error};
    parked_list<Traits> woken;
    channel* to = nullptr;
    lock held(guard);
    return commit(held, {&name, 1}, {&to, 1}, {&prepared, 1}, {&woken, 1});
  }

  // Several events on several channels, or nothing. Throws std::bad_alloc; then nothing has changed.
  result<position_id> publish(std::span<std::string_view const> names, std::span<event const> events,
                              std::uint64_t tag) {
    std::vector<std::string_view> distinct;
    if (auto const error = take_names(names, distinct); error != errc::ok) return {{}, error};
    if (events.empty()) return {{}, errc::ok};

    std::vector<prepared_event<Traits>> prepared(distinct.size() * events.size());
    std::size_t all = 0;
    std::size_t copied = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (is_reserved(events[i].type)) return {{}, errc::type_reserved};
      auto const error = prepared[i].measure(events[i], options.replay.max_bytes);
      if (error != errc::ok) return {{}, error};
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
    return commit(held, distinct, to, prepared, {woken.get(), distinct.size()});
  }

  // ---- subscribe and close
  // -------------------------------------------------------------------------------------

  // Null, and the reason, if the newcomer is refused. Throws std::bad_alloc; then nothing has changed.
  std::pair<subscriber*, errc> subscribe(std::span<std::string_view const> names,
                                         subscribe_options const& how) {
    auto const last_event_id = how.last_event_id.value();
    std::vector<std::string_view> distinct;
    if (auto const error = take_names(names, distinct); error != errc::ok) return {nullptr, error};
    auto s = std::make_unique<subscriber>();
    s->memberships = std::make_unique<membership[]>(distinct.size());
    s->policy = how.lag;
    s->filter = how.filter;
    s->says_position = how.position == position_events::sent;
    if (auto const user = how.user.value(); !user.empty()) s->user = hash(user) | 1;
    std::optional<std::uint64_t> own_id;  // its hash
    if (good_own_id(last_event_id)) own_id = hash(last_event_id);

    lock held(guard);
    if (!is_of_this_process()) return {nullptr, errc::no_memory};
    if (auto const error = admit(*s, distinct); error != errc::ok) return {nullptr, error};
    auto const resumes_after = place(*s, last_event_id, own_id, how.start, sequence, ids.unset());
    s->joined_at = s->said = sequence;
    s->number = ++joined;
    subscribers.add(*s);
    ++counts.subscribers;
    if (s->filter && s->outcome == resume_outcome::gap) ask_about_losses(held, *s, *resumes_after);
    ++counts.resumes[static_cast<std::size_t>(s->outcome)];
    for (auto& m : *s) hooks.tell_presence(held, *m.of);
    return {s.release(), errc::ok};
  }

  // Ends a subscription and destroys it: when this returns its hook neither runs nor will, unless this was
  // called from inside it, or its filter: then it is destroyed after that. `self` is what keeps this core.
  // Returns what it is counted as.
  close_reason close(subscriber* s, close_reason why, std::shared_ptr<broker_core>&& self) noexcept {
    auto const keep = std::move(self);
    lock held(guard);
    if (s->evicted != close_reason::none) why = s->evicted;
    subscribers.remove(*s);
    cursors.let_go(*s);
    s->armed = false;
    s->closed = true;
    for (auto& m : *s) m.unlink();
    count_out(why, s->user);
    for (auto& m : *s) leave(held, m);
    s->channels = 0;
    if (s->filtering) {
      s->keeps = keep;
    } else {
      hooks.destroy(held, s);
    }
    return why;
  }

  // ---- changes while it is open
  // ----------------------------------------------------------------------------------

  // Throws std::bad_alloc; then nothing has changed.
  errc join(subscriber& s, std::string_view name) {
    if (!good_name(name)) return errc::channel_name_refused;
    auto grown = std::make_unique<membership[]>(s.channels + 1);  // only its own thread changes the number
    lock held(guard);
    if (closed || draining || s.evicted != close_reason::none) return errc::closed;
    if (s.filtering) return errc::called_from_inside;
    if (member_of(s, name) != nullptr) return errc::ok;
    if (s.channels == options.max_channels_per_stream) return errc::too_many_channels;
    if (auto const error = enter(s, grown[s.channels], name); error != errc::ok) return error;
    auto& into = *grown[s.channels].of;
    if (s.filter && !keep_lost_headers(into)) {
      --into.members;
      logs.drop_if_unused(into);
      return errc::no_memory;
    }
    grown[s.channels].next_ordinal = into.history.end_ordinal();
    for (std::size_t i = 0; i < s.channels; ++i) {
      s.memberships[i].unlink();
      grown[i] = s.memberships[i];
    }
    s.memberships = std::move(grown);
    ++s.channels;
    s.say_behind = sequence;
    say_position(held, s);  // its hook may have closed it, and so the channel may be gone
    if (auto* const c = logs.find(name)) {
      hooks.tell_presence(held, *c);
      logs.drop_if_unused(*c);  // the hook may have closed it
    }
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
    s.holds_left = s.holds_left || (s.holds && left.held_from != never);
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
    s.admitted = s.refused = 0;
    s.filter_is_new = true;  // what was lost before that is said is told, whichever filter it was for
    if (s.filter) {
      for (auto& m : s)
        (void)keep_lost_headers(*m.of);  // without memory it may be told a gap that was none for it
    }
    say_position(held, s);
    return errc::ok;
  }

  // ---- pull and park
  // -------------------------------------------------------------------------------------------

  pull_status pull(subscriber& s, batch& out, std::size_t room) {
    constexpr std::uint64_t most_asked = 4096;  // events of a filter; then others have their turn
    // From inside its filter, and so on the thread that set this: `out` may be the batch that is being
    // filled.
    if (s.filtering) return pull_status::nothing;
    out.clear();
    typename puller<Traits>::ending end;
    lock held(guard);
    cursors.let_go(s);
    int questions = 2;       // about IDs; what others do meanwhile may raise another one
    int loss_questions = 8;  // about what is lost; what is published meanwhile may raise another one
    for (std::uint64_t asked = 0;;) {
      if (s.evicted != close_reason::none) return pull_status::closed;
      bool const lags = s.lags();
      if (lags && s.filter && loss_questions > 0) {
        --loss_questions;
        bool const passed = cursors.pass_losses(held, s, end);
        if (end.has_come) return pull_status::closed;
        if (!passed) loss_questions = 0;
        continue;
      }
      if (is_outrun(s)) {
        s.evicted = close_reason::lagged;
        return pull_status::closed;
      }
      if (lags || !s.opened || puller<Traits>::may_say_position(s)) {
        if (questions != 0 && cursors.wants_to_know(s)) {
          --questions;
          cursors.ask_about_own_id(held, s, end);
          if (end.has_come) return pull_status::closed;
          continue;
        }
        cursors.tell(s, out);
      }
      if (!s.filter) {
        cursors.begin_pull(s);
        cursors.merge(s, out, room);
        break;
      }
      if (!out.empty()) break;  // a filter may throw, and then what was told must not be lost
      auto const more = cursors.pull_filtered(held, s, out, room, end);
      if (end.has_come) return pull_status::closed;
      asked += more;
      if (!out.empty()) break;
      if (more == 0 && s.must_say) continue;
      if (more == 0 || asked >= most_asked) {
        if (asked >= most_asked || (is_due(s) && s.skipped != 0) || puller<Traits>::must_say_position(s))
          cursors.tell(s, out);
        break;
      }
    }
    cursors.hold(s, out);
    if (!out.empty()) return pull_status::frames;
    return is_due(s) ? pull_status::draining : pull_status::nothing;
  }

  // See puller.
  std::string_view give_back(subscriber& s, batch& out, std::size_t taken) noexcept {
    lock const held(guard);
    return cursors.give_back(s, out, taken);
  }

  void let_go(subscriber& s) noexcept {
    lock const held(guard);
    cursors.let_go(s);
  }

  // True: the hook will be called when there is something to pull. False: there is already, or there will be
  // nothing.
  bool park(subscriber& s) noexcept {
    lock const held(guard);
    cursors.let_go(s);
    if (!may_park(s)) return false;
    arm(s);
    return true;
  }

  // The two halves of park(), for in_step.
  [[nodiscard]] bool may_park(subscriber const& s) const noexcept {
    return s.evicted == close_reason::none && !is_due(s) && s.opened && !s.must_say && !s.filtering &&
           std::none_of(s.begin(), s.end(), [](membership const& m) { return m.has_news() || m.lags(); });
  }
  void arm(subscriber& s) noexcept {
    for (auto& m : s) m.of->parked.push(m);
    s.armed = true;
  }

  // Of close(), for in_step: one that was counted is gone, and a membership is. The channel may be gone,
  // too, when leave() returns.
  void count_out(close_reason why, std::uint64_t user) noexcept {
    --counts.subscribers;
    ++counts.closes[static_cast<std::size_t>(why)];
    if (user != 0) leave_user(user);
  }
  void leave(lock& held, membership& m) noexcept {
    --m.of->members;
    hooks.tell_presence(held, *m.of);
    logs.drop_if_unused(*m.of);
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
    if (!good_name(name)) return 0;
    lock const held(guard);
    auto const* const c = logs.find(name);
    return c == nullptr ? 0 : c->members;
  }

  [[nodiscard]] close_reason reason(subscriber const& s) noexcept {
    lock const held(guard);
    return s.evicted;
  }

  // ---- time and the end
  // ----------------------------------------------------------------------------------------

  void tick(steady_time now) noexcept {
    lock held(guard);
    auto const too_old = ages.pass(now, options.replay.max_age, sequence);
    if (ages.came_late()) excused_through = (std::max)(excused_through, too_old);
    logs.trim_old(held, too_old);
    logs.expire(held, quiet_ages.pass(now, options.channel_expiry, sequence));
    end_holders(held);
    auto const half_old = ages.reached(now, options.replay.max_age / 2);
    if (draining) turns.pass(now);
    bool const overdue = draining && turns.deadline_has_come(now);
    for_each_subscriber(held, [&](subscriber& s) {
      if (overdue) {
        evict(held, s, close_reason::drain_forced);
      } else if (is_outrun(s) && !may_be_excused(s)) {
        evict(held, s, close_reason::lagged);
      } else if (s.armed && s.skipped != 0 && s.said < half_old) {
        say_position(held, s);  // or its client would come back from behind events that it never was to get
      } else {
        wake_if_due(held, s);
      }
    });
  }

  void drain(steady_time now, steady_time deadline, std::uint64_t spread_ms) noexcept {
    lock held(guard);
    draining = true;
    drain_spread_ms = spread_ms;
    turns.begin(now, deadline);
    for_each_subscriber(held, [&](subscriber& s) { wake_if_due(held, s); });
  }

  void close_all() noexcept {
    lock held(guard);
    closed = true;
    for_each_subscriber(held, [&](subscriber& s) { evict(held, s, close_reason::drained); });
    hooks.end_presence(held);
  }

  // As far into the spread as its turn is into the turns, after what everybody waits for.
  [[nodiscard]] std::uint64_t drain_retry_ms(subscriber const& s) noexcept {
    lock const held(guard);
    if (!draining) return 0;
    auto const part = static_cast<std::uint64_t>(turn_of(s.number) * static_cast<double>(drain_spread_ms));
    return part +
           (std::min)(options.least_retry.milliseconds, (std::numeric_limits<std::uint64_t>::max)() - part);
  }

  [[nodiscard]] broker_stats stats() noexcept {
    lock const held(guard);
    auto all = counts;
    all.channels = logs.channels();
    all.expired_channels = logs.expired_channels();
    all.pinned_bytes = logs.pinned_bytes();
    return all;
  }

  // Each call that may be refused ends with this, whatever has refused it, a failed allocation too: so each
  // refusal is counted, and once.
  errc count_refusal(errc error) noexcept {
    if (error == errc::ok) return error;
    lock const held(guard);
    ++counts.refusals[static_cast<std::size_t>(error)];
    return error;
  }

  // ---- state
  // ---------------------------------------------------------------------------------------------------

  broker_options const options;
  keyed_hash const hash;

  mutex guard;  // of all that follows
  identity<Traits> ids;
  std::uint64_t sequence = 0;
  broker_stats counts;
  histories<Traits> logs;
  hook_calls<Traits> hooks;
  puller<Traits> cursors;
  subscriber_list<Traits> subscribers;
  std::unordered_map<std::uint64_t, std::size_t> users;  // by the hash of their keys: how many subscriptions
  std::uint64_t joined = 0;
  age_marks ages;
  std::uint64_t excused_through = 0;  // a position: a late tick took what lies before it, whoever was slow
  age_marks quiet_ages;
  drain_turns turns;
  std::uint64_t drain_spread_ms = 0;
  bool draining = false;
  bool closed = false;

 private:
  // In a process that was cloned by fork() it is another broker, and begins anew. False: it cannot.
  [[nodiscard]] bool is_of_this_process() noexcept { return !ids.is_cloned() || begin_anew(); }

  // It holds nothing of what the other one published, and gives IDs of its own. Positions go on, so the
  // cursors of streams that were open stay right: what they had still to pull they have missed. A broker
  // that is ending takes nothing new, and its streams read to the end. False: no epoch could be drawn, and
  // nothing has changed.
  [[nodiscard, gnu::noinline]] bool begin_anew() noexcept {
    if (closed || draining) return true;
    if (!ids.renew()) return false;
    logs.forget_all();
    return true;
  }

  // ---- publish
  // -------------------------------------------------------------------------------------------------

  // The moment of a publish; see histories::append. `woken`: an empty list for each channel.
  result<position_id> commit(lock& held, std::span<std::string_view const> names, std::span<channel*> to,
                             std::span<prepared_event<Traits>> prepared,
                             std::span<parked_list<Traits>> woken) noexcept {
    if (closed || draining) return {{}, errc::closed};
    if (!is_of_this_process()) return {{}, errc::no_memory};
    if (auto const error = logs.append(names, to, prepared, ids.unset(), sequence); error != errc::ok)
      return {{}, error};
    auto const events = prepared.size() / names.size();
    sequence += events;
    auto const* const given = prepared[events - 1].given_id();
    auto const id = given != nullptr ? position_id::from(given) : ids.unset().at(sequence);
    counts.published += events;
    for (auto const& one : prepared.first(events)) counts.published_bytes += one.size();
    for (std::size_t i = 0; i < to.size(); ++i) {
      logs.trim(*to[i]);
      woken[i].take(to[i]->parked);
    }
    logs.trim_all(sequence - 1);
    for (auto& list : woken) hooks.wake_all(held, list);
    end_holders(held);
    return {id, errc::ok};
  }

  // ---- channels
  // ------------------------------------------------------------------------------------------------

  [[nodiscard]] bool good_name(std::string_view name) const noexcept {
    return !name.empty() && name.size() <= options.max_channel_name_bytes &&
           std::none_of(name.begin(), name.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  }

  // What the library says must not be taken for a publisher's, unless the program wants it to come as events
  // of no type do.
  [[nodiscard]] bool is_reserved(event_type type) const noexcept {
    bool const ours = type == options.gap_type || type == options.position_type;  // mostly of another size
    return ours && type.name() != event_type().name();
  }

  // Each name once, in the order of their first places. Expected O(names), whoever chooses them: a few are
  // compared with each other, of more there is an index.
  errc take_names(std::span<std::string_view const> names, std::vector<std::string_view>& distinct) const {
    constexpr std::size_t few = 16;
    auto const hash_of = [this](std::string_view name) -> std::size_t {
      return hash(name) & (std::numeric_limits<std::size_t>::max)();
    };
    std::unordered_set<std::string_view, decltype(hash_of)> many(0, hash_of);
    if (names.empty()) return errc::no_channel;
    for (auto const name : names) {
      if (!good_name(name)) return errc::channel_name_refused;
      bool const known = distinct.size() < few
                             ? std::find(distinct.begin(), distinct.end(), name) != distinct.end()
                             : many.contains(name);
      if (known) continue;
      if (distinct.size() == options.max_channels_per_stream) return errc::too_many_channels;
      distinct.push_back(name);
      if (distinct.size() == few) {
        many.insert(distinct.begin(), distinct.end());
      } else if (distinct.size() > few) {
        many.insert(name);
      }
    }
    return errc::ok;
  }

  // Lets a newcomer in everywhere, or nowhere. Throws std::bad_alloc, and then it is nowhere, too.
  errc admit(subscriber& s, std::span<std::string_view const> names) {
    if (closed || draining) return errc::closed;
    if (counts.subscribers >= options.max_subscribers) return errc::too_many_subscribers;
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
    for (auto& m : s) {
      if (error == errc::ok && s.filter && !keep_lost_headers(*m.of)) error = errc::no_memory;
    }
    if (error == errc::ok) return error;
    for (auto& m : s) {
      --m.of->members;
      logs.drop_if_unused(*m.of);
    }
    if (s.user != 0) leave_user(s.user);
    return error;
  }

  // Leaves nothing behind if it is refused.
  errc enter(subscriber& s, membership& m, std::string_view name) noexcept {
    auto const [c, error] = logs.find_or_make(name);
    if (c == nullptr) return error;
    if (c->members >= options.max_subscribers_per_channel) {
      logs.drop_if_unused(*c);
      return errc::channel_full;
    }
    m.of = c;
    m.owner = &s;
    m.key = s.next_key++;
    ++c->members;
    return errc::ok;
  }

  // From now on its filters can be asked about what it loses. False: there is no memory.
  [[nodiscard]] bool keep_lost_headers(channel& c) const noexcept {
    auto const max_events = (std::min)(options.replay.max_events, std::uint64_t{1} << 62) / 2 + 1;
    return attempt([&] { c.history.keep_lost_headers(max_events, options.replay.max_bytes / 4); });
  }

  // Events after the one it resumes from are lost. Were they for it? Asks its filter, with the lock let go.
  // Where that is not known, or the filter throws, they count as missing.
  void ask_about_losses(lock& held, subscriber& s, std::uint64_t after) noexcept {
    for (auto& m : s) {
      if (!m.resumed_past_loss) continue;
      std::optional<lost_headers::copy> known;
      if (auto const* const lost = m.of->history.lost()) attempt([&] { known = lost->copy_after(after); });
      if (!known) continue;
      auto const unset = ids.unset();  // the lock guards it
      held.unlock();
      bool missing = true;
      attempt([&] { missing = lost_headers::any_admitted(*known, after, unset, s.filter); });
      held.lock();
      m.resumed_past_loss = missing;
    }
    s.outcome = outcome_of_resuming(s);
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
  // Its channels or its filter are others now: its client is told where that was.
  void say_position(lock& held, subscriber& s) noexcept {
    s.must_say = true;
    if (std::exchange(s.armed, false)) hooks.fire(held, s, wake::ready);
  }

  // The log has moved past it, and it is to end then. Not where time alone has done that while the process
  // stood still: that is told.
  [[nodiscard]] bool is_outrun(subscriber const& s) const noexcept {
    return s.opened && s.policy == lag_policy::close &&
           std::any_of(s.begin(), s.end(), [&](membership const& m) {
             return m.lags() && m.of->history.lost_through() > excused_through;
           });
  }

  // Its next pull asks its filter whether anything of what it has missed was for it.
  [[nodiscard]] static bool may_be_excused(subscriber const& s) noexcept {
    return std::none_of(s.begin(), s.end(),
                        [&](membership const& m) { return m.lags() && !puller<Traits>::can_ask(s, m); });
  }

  // ---- the subscribers
  // ---------------------------------------------------------------------------------------------

  // Too much memory is held that the logs have forgotten: of who holds some, as many go as hold what is too
  // much. It comes back when their writers have let go of it; where that takes longer than until the next
  // publish, more go then.
  void end_holders(lock& held) noexcept {
    for (std::size_t ended = 0; logs.pinned_bytes() > options.max_pinned_bytes + ended;) {
      auto* const s = cursors.find_guilty();
      if (s == nullptr) return;
      ended += s->held_bytes;
      evict(held, *s, close_reason::held_too_much);
      if (logs.pinned_bytes() <= options.max_pinned_bytes) return;
    }
  }

  // Whether its turn to end has come. That of a leader (in_step.hpp), which has no number, comes at once:
  // who is in step with it falls out, for each of them has a turn.
  [[nodiscard]] bool is_due(subscriber const& s) const noexcept {
    return draining && (s.number == 0 || turns.has_come(turn_of(s.number)));
  }

  void wake_if_due(lock& held, subscriber& s) noexcept {
    if (is_due(s) && std::exchange(s.armed, false)) hooks.fire(held, s, wake::ready);
  }

  // One that was ended before, in order, may be waiting for its last bytes to go: force ends that, too.
  void evict(lock& held, subscriber& s, close_reason why) noexcept {
    if (s.evicted != close_reason::none && (why != close_reason::drain_forced || s.evicted == why)) return;
    s.evicted = why;
    s.armed = false;
    cursors.let_go(s);
    hooks.fire(held, s, wake::evicted);
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

#include <ssewire/core/end.hpp>
