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
#include <ssewire/detail/placement.hpp>
#include <ssewire/detail/subscriber.hpp>
#include <ssewire/detail/subscriber_list.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/replay_buffer.hpp>
#include <ssewire/traits.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
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

  static constexpr std::uint64_t never = (std::numeric_limits<std::uint64_t>::max)();

  explicit broker_core(broker_options const& o)
      : options(o), epoch(Traits::epoch()), channels(Traits::epoch(), o.max_expired_channels) {}

  // ---- publish -------------------------------------------------------------------------------------------------

  publish_result publish(std::string_view name, event const& e) noexcept {
    if (!good_name(name)) return {{}, errc::channel_name_refused};
    if (auto const error = refuse_event(e); error != errc::ok) return {{}, error};
    if (e.type == options.gap_type) return {{}, errc::type_reserved};
    frame_builder<Traits> frame;
    if (auto const error = frame.build(e, epoch, options.replay.max_bytes); error != errc::ok)
      return {{}, error};

    lock held(guard);
    if (closed || draining) return {{}, errc::closed};
    auto const [to, error] = channels.find_or_make(name, options.max_channels);
    if (to == nullptr) return {{}, error};
    bool appended = false;
    counting(to->history, [&](log<Traits>& history) {
      appended = frame.append_to(history, sequence + 1);
      if (appended) counts.trimmed += history.trim_to(options.replay.max_events, options.replay.max_bytes);
    });
    if (!appended) {
      drop_if_unused(*to);
      return {{}, errc::no_memory};
    }
    ++sequence;
    ++counts.published;
    auto const id = position_id(epoch, sequence);

    parked_list<Traits> taken;
    taken.take(to->parked);
    wake_all(held, taken);
    return {id, errc::ok};
  }

  // ---- subscribe and close -------------------------------------------------------------------------------------

  // Null, and the reason, if the newcomer is refused. Throws std::bad_alloc; then nothing has changed.
  std::pair<subscriber*, errc> subscribe(std::span<std::string_view const> names,
                                         std::string_view last_event_id, subscribe_options const& how) {
    if (names.empty()) return {nullptr, errc::no_channel};
    std::vector<std::string_view> distinct;
    for (auto const name : names) {
      if (!good_name(name)) return {nullptr, errc::channel_name_refused};
      if (std::find(distinct.begin(), distinct.end(), name) != distinct.end()) continue;
      if (distinct.size() == options.max_channels_per_stream) return {nullptr, errc::too_many_channels};
      distinct.push_back(name);
    }
    auto s = std::make_unique<subscriber>();
    s->memberships = std::make_unique<membership[]>(distinct.size());
    s->policy = how.lag;

    lock const held(guard);
    if (closed || draining) return {nullptr, errc::closed};
    if (subscribers.size() >= options.max_subscribers) return {nullptr, errc::too_many_subscribers};
    auto const error = join_all(*s, distinct);
    if (error != errc::ok) {
      leave_all(*s);
      return {nullptr, error};
    }
    place(*s, last_event_id, how.start, sequence, epoch);
    s->joined_at = sequence;
    s->number = ++joined;
    subscribers.add(*s);
    ++counts.resumes[static_cast<std::size_t>(s->outcome)];
    return {s.release(), errc::ok};
  }

  // Ends a subscription and destroys it: when this returns its hook neither runs nor will, unless this was called from
  // inside it; then it is destroyed after the hook.
  void close(subscriber* s, close_reason why) noexcept {
    lock held(guard);
    subscribers.remove(*s);
    leave_all(*s);
    s->armed = false;
    s->closed = true;
    ++counts.closes[static_cast<std::size_t>(s->evicted != close_reason::none ? s->evicted : why)];
    if (s->now_firing != nullptr && s->now_firing->thread == Traits::this_thread()) {
      s->now_firing->orphaned = true;
      return;
    }
    s->close_waits = true;
    while (s->now_firing != nullptr) hook_returned.wait(held);
    held.unlock();
    delete s;
  }

  // ---- pull and park -------------------------------------------------------------------------------------------

  pull_status pull(subscriber& s, batch& out, std::size_t room) {
    out.clear();
    lock const held(guard);
    if (s.evicted != close_reason::none) return pull_status::closed;
    bool const lags = std::any_of(s.begin(), s.end(), [](membership const& m) { return m.lags(); });
    if (lags && s.opened && s.policy == lag_policy::close) {
      s.evicted = close_reason::lagged;
      return pull_status::closed;
    }
    if (lags || !s.opened) tell(s, out);
    merge(s, out, room);
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
      s.memberships[run.membership].next_ordinal -= run.last - kept;
      counts.delivered -= run.last - kept;
      counts.replayed -= replayed_in(s, *run.pin.get(), kept, run.last);
    }
    return rest;
  }

  // True: the hook will be called when there is something to pull. False: there is already, or there will be nothing.
  bool park(subscriber& s) noexcept {
    lock const held(guard);
    if (s.evicted != close_reason::none || draining || !s.opened) return false;
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

  [[nodiscard]] close_reason reason(subscriber const& s) noexcept {
    lock const held(guard);
    return s.evicted;
  }

  // ---- time and the end ----------------------------------------------------------------------------------------

  void tick(time_point now) noexcept {
    lock held(guard);
    auto const too_old = ages.pass(now, options.replay.max_age, sequence);
    auto const quiet = quiet_ages.pass(now, options.channel_expiry, sequence);
    if (too_old != 0 || quiet != 0) {
      for (std::size_t i = 0, step = 0; i < channels.size(); breathe(held, step++)) {
        constexpr std::uint64_t events_a_step = 64;
        auto& c = channels[i];
        bool const expires = c.members == 0 && c.history.last_position() <= quiet;
        std::uint64_t trimmed = 0;
        counting(c.history, [&](log<Traits>& h) {
          trimmed = h.trim_through((std::max)(too_old, expires ? quiet : 0), events_a_step);
        });
        counts.trimmed += trimmed;
        if (trimmed == events_a_step) continue;
        if (c.members == 0 && c.history.events() == 0) {
          drop_if_unused(c);  // another one takes its place in the list
        } else {
          ++i;
        }
      }
    }
    bool const overdue = draining && now >= drain_deadline;
    for_each_subscriber(held, [&](subscriber& s) {
      if (overdue) {
        evict(held, s, close_reason::drain_forced);
      } else if (s.opened && s.policy == lag_policy::close &&
                 std::any_of(s.begin(), s.end(), [](membership const& m) { return m.lags(); })) {
        evict(held, s, close_reason::lagged);
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
    return all;
  }

  // ---- state ---------------------------------------------------------------------------------------------------

  broker_options const options;
  std::uint64_t const epoch;

  mutex guard;
  typename Traits::condition_variable hook_returned;
  std::uint64_t sequence = 0;
  channel_table<Traits> channels;
  subscriber_list<Traits> subscribers;
  std::uint64_t joined = 0;
  broker_stats counts;
  age_marks ages;
  age_marks quiet_ages;
  time_point drain_deadline = {};
  std::uint64_t drain_spread_ms = 0;
  bool draining = false;
  bool closed = false;

 private:
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

  // ---- channels ------------------------------------------------------------------------------------------------

  [[nodiscard]] bool good_name(std::string_view name) const noexcept {
    return !name.empty() && name.size() <= options.max_channel_name_bytes &&
           std::none_of(name.begin(), name.end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  }

  errc join_all(subscriber& s, std::span<std::string_view const> names) noexcept {
    for (auto const name : names) {
      auto const [c, error] = channels.find_or_make(name, options.max_channels);
      if (c == nullptr) return error;
      auto& m = s.memberships[s.channels++];
      m.of = c;
      m.owner = &s;
      ++c->members;
    }
    return errc::ok;
  }

  void drop_if_unused(channel& c) noexcept {
    if (c.members != 0 || c.history.events() != 0) return;
    counts.log_bytes -= c.history.allocated_bytes();
    channels.drop(c);
  }

  void leave_all(subscriber& s) noexcept {
    for (auto& m : s) {
      m.unlink();
      --m.of->members;
      drop_if_unused(*m.of);
    }
    s.channels = 0;
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
    auto const here = position_id(epoch, next == never ? sequence : next - 1);

    std::string notices = std::exchange(out.notices_, {});  // if memory fails, the batch stays empty
    notices.clear();
    std::uint64_t gaps = 0;
    auto const gap = [&](gap_cause cause, std::string_view name, std::optional<std::uint64_t> missed,
                         bool last) {
      auto const data = gap_data(cause, name, missed);
      serialize({.type = options.gap_type, .data = data, .id = last ? event_id(here) : event_id()}, notices);
      ++gaps;
    };
    // Only the last one carries the ID. If the connection is cut between two, the client must not come back from
    // behind a gap that it was not told of.
    auto lagging =
        std::count_if(s.begin(), s.end(), [](auto const& m) { return m.resumed_past_loss || m.lags(); });
    if (s.unplaced != gap_cause::none) gap(s.unplaced, {}, std::nullopt, lagging == 0);
    for (auto const& m : s) {
      if (m.resumed_past_loss)
        gap(gap_cause::trimmed, m.of->name, std::nullopt, --lagging == 0);
      else if (m.lags())
        gap(gap_cause::trimmed, m.of->name, m.of->history.first_ordinal() - m.next_ordinal, --lagging == 0);
    }
    if (!s.opened) append_position(notices, here);

    out.notices_ = std::move(notices);
    out.bytes_ += out.notices_.size();
    for (auto& m : s) {
      m.next_ordinal = (std::max)(m.next_ordinal, m.of->history.first_ordinal());
      m.resumed_past_loss = false;
    }
    s.unplaced = gap_cause::none;
    s.opened = true;
    counts.gaps += gaps;
  }

  // The next events of all channels in the broker's order, as runs that lie together.
  void merge(subscriber& s, batch& out, std::size_t room) noexcept {
    while (!out.full()) {
      membership* first = nullptr;
      auto next = never;   // position of the next event of all
      auto after = never;  // position of the next event of another channel
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
      out.add(run, static_cast<std::size_t>(first - s.begin()));
      first->next_ordinal += run.count();
      counts.delivered += run.count();
      counts.replayed += replayed_in(s, *run.page, run.first, run.last);
    }
  }

  // How many of the entries [first, last) were there before the subscriber was.
  static std::uint64_t replayed_in(subscriber const& s, segment<Traits> const& page, std::size_t first,
                                   std::size_t last) noexcept {
    auto end = first;
    while (end < last && page.position(end) <= s.joined_at) ++end;
    return end - first;
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
        delete &s;
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
