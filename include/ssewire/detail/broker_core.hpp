// SPDX-License-Identifier: MIT
// broker_core.hpp - one order of events over its channels, and the one lock that makes it: append, wake, pull.
//
// What runs under the lock is ours and short: no writer, no hook, no other user code. Publish appends and takes the
// channel's parked list in one step; it looks at no cursor. Everything about a slow subscriber is paid by its own pull.
#pragma once

#include <ssewire/detail/attempt.hpp>
#include <ssewire/detail/batch.hpp>
#include <ssewire/detail/subscriber.hpp>
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
#include <unordered_map>
#include <utility>
#include <vector>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The limits of a broker. At each of them the newcomer or the new event is refused with an error.
struct broker_options {
  replay_limits replay = {};                 ///< of each channel
  std::size_t max_channels = 100'000;        ///< channels that hold history or have subscribers
  std::size_t max_subscribers = 100'000;     ///< subscriptions open at the same time
  std::size_t max_channels_per_stream = 64;  ///< parking takes the lock for a step for each
  std::size_t max_channel_name_bytes = 128;
  event_type gap_type = "ssewire.gap";  ///< of the event that tells a gap. Borrowed: must outlive the broker
};

/// Where a client starts that presents no last event ID, or one that says nothing.
struct start_at {
  enum class place : unsigned char { now, beginning, last } where = place::now;
  std::uint64_t events = 0;  ///< of `last`: how many of the newest events, over all of the stream's channels

  [[nodiscard]] static constexpr start_at now() noexcept { return {}; }
  /// From where nothing is missing on any of its channels.
  [[nodiscard]] static constexpr start_at beginning() noexcept { return {place::beginning, 0}; }
  /// The newest n, or fewer where fewer are held without a hole.
  [[nodiscard]] static constexpr start_at last(std::uint64_t n) noexcept { return {place::last, n}; }
};

struct subscribe_options {
  start_at start = {};
  lag_policy lag = lag_policy::tell;
};

/// What a broker has done and holds. Counters since its construction.
struct broker_stats {
  std::uint64_t published = 0;                ///< events
  std::uint64_t delivered = 0;                ///< events handed to streams, replayed ones included
  std::uint64_t replayed = 0;                 ///< of these, events that were there before the stream was
  std::uint64_t gaps = 0;                     ///< gap events told
  std::uint64_t trimmed = 0;                  ///< events the logs have forgotten
  std::array<std::uint64_t, 5> resumes = {};  ///< subscriptions by resume_outcome
  std::array<std::uint64_t, 11> closes = {};  ///< ended subscriptions by close_reason
  std::uint64_t subscribers = 0;              ///< now
  std::uint64_t channels = 0;                 ///< now
  std::uint64_t events = 0;                   ///< held now
  std::uint64_t frame_bytes = 0;              ///< held now: serialized events
  std::uint64_t log_bytes = 0;                ///< held now: memory of the logs
};

/// What a pull has brought.
enum class pull_status : unsigned char {
  frames,    ///< the batch holds something to send
  nothing,   ///< nothing to send: park() and wait for the hook
  draining,  ///< nothing to send, and the broker drains: end the stream in order
  closed,    ///< the subscription was ended; its reason says why
};

namespace detail {

template <class Traits> struct broker_core {
  using mutex = typename Traits::mutex;
  using lock = std::unique_lock<mutex>;
  using batch = basic_batch<Traits>;
  using channel = detail::channel<Traits>;
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  static constexpr std::uint64_t never = (std::numeric_limits<std::uint64_t>::max)();

  explicit broker_core(broker_options const& o) : options(o), epoch(Traits::epoch()) {}

  // ---- publish -------------------------------------------------------------------------------------------------

  publish_result publish(std::string_view name, event const& e) noexcept {
    if (!good_name(name)) return {{}, errc::channel_name_refused};
    if (auto const error = refuse_event(e); error != errc::ok) return {{}, error};
    frame_builder<Traits> frame;
    if (auto const error = frame.build(e, epoch, options.replay.max_bytes); error != errc::ok)
      return {{}, error};

    lock held(guard);
    if (closed) return {{}, errc::closed};
    auto const [to, error] = find_or_make(name);
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
    if (names.size() > options.max_channels_per_stream) return {nullptr, errc::too_many_channels};
    if (!std::all_of(names.begin(), names.end(), [&](auto n) { return good_name(n); })) {
      return {nullptr, errc::channel_name_refused};
    }
    auto s = std::make_unique<subscriber>();
    s->memberships = std::make_unique<membership[]>(names.size());
    s->policy = how.lag;

    lock const held(guard);
    if (closed || draining) return {nullptr, errc::closed};
    if (subscribers >= options.max_subscribers) return {nullptr, errc::too_many_subscribers};
    auto const error = join_all(*s, names);
    if (error != errc::ok) {
      leave_all(*s);
      return {nullptr, error};
    }
    place(*s, last_event_id, how.start);
    s->joined_at = sequence;
    s->number = ++joined;
    s->next = first_subscriber;
    s->link = &first_subscriber;
    if (s->next != nullptr) s->next->link = &s->next;
    first_subscriber = s.get();
    ++subscribers;
    ++counts.resumes[static_cast<std::size_t>(s->outcome)];
    return {s.release(), errc::ok};
  }

  // Ends a subscription and destroys it: when this returns its hook neither runs nor will, unless this was called from
  // inside it; then it is destroyed after the hook.
  void close(subscriber* s, close_reason why) noexcept {
    lock held(guard);
    for (auto* w = walkers; w != nullptr; w = w->outer) {
      if (w->next == s) w->next = s->next;
    }
    *s->link = s->next;
    if (s->next != nullptr) s->next->link = s->link;
    --subscribers;
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
    trim_by_age(held, now);
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
    if (!draining) drain_sequence = sequence;
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
    all.subscribers = subscribers;
    all.channels = channels.size();
    return all;
  }

  // ---- state ---------------------------------------------------------------------------------------------------

  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  // A walk over all subscribers that lets go of the lock on its way: who closes corrects it.
  struct walker {
    subscriber* next;
    walker* outer;
  };

  struct age_mark {
    time_point when;
    std::uint64_t sequence;
  };

  broker_options const options;
  std::uint64_t const epoch;

  mutex guard;
  typename Traits::condition_variable hook_returned;
  std::uint64_t sequence = 0;
  std::unordered_map<std::string_view, std::unique_ptr<channel>, name_hash, std::equal_to<>> by_name;
  std::vector<channel*> channels;
  subscriber* first_subscriber = nullptr;
  walker* walkers = nullptr;
  std::uint64_t subscribers = 0;
  std::uint64_t joined = 0;
  broker_stats counts;
  std::array<age_mark, 16> marks = {};  // when which sequence had been reached, oldest first
  std::size_t mark_count = 0;
  time_point drain_deadline = {};
  std::uint64_t drain_sequence = 0;
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

  std::pair<channel*, errc> find_or_make(std::string_view name) noexcept {
    if (auto const at = by_name.find(name); at != by_name.end()) return {at->second.get(), errc::ok};
    if (channels.size() >= options.max_channels) return {nullptr, errc::too_many_channels};
    channel* made = nullptr;
    bool const good = attempt([&] {
      auto fresh = std::make_unique<channel>();
      fresh->name = name;
      fresh->index = channels.size();
      if (channels.capacity() == channels.size()) channels.reserve(channels.size() * 2 + 8);
      auto const key = std::string_view(fresh->name);
      made = by_name.emplace(key, std::move(fresh)).first->second.get();
      channels.push_back(made);
    });
    if (!good) return {nullptr, errc::no_memory};
    return {made, errc::ok};
  }

  // A channel without members that never held an event leaves nothing to remember.
  void drop_if_unused(channel& c) noexcept {
    if (c.members != 0 || c.history.end_ordinal() != 0) return;
    channels.back()->index = c.index;
    channels[c.index] = channels.back();
    channels.pop_back();
    by_name.erase(by_name.find(std::string_view(c.name)));
  }

  errc join_all(subscriber& s, std::span<std::string_view const> names) noexcept {
    for (auto const name : names) {
      auto const [found, error] = find_or_make(name);
      auto* const c = found; // clang 14 captures no structured binding
      if (c == nullptr) return error;
      if (std::any_of(s.begin(), s.end(), [c](membership const& m) { return m.of == c; })) continue; // named twice
      auto& m = s.memberships[s.channels++];
      m.of = c;
      m.owner = &s;
      ++c->members;
    }
    return errc::ok;
  }

  void leave_all(subscriber& s) noexcept {
    for (auto& m : s) {
      m.unlink();
      --m.of->members;
      drop_if_unused(*m.of);
    }
    s.channels = 0;
  }

  // ---- where a stream begins -----------------------------------------------------------------------------------

  void place(subscriber& s, std::string_view last_event_id, start_at start) noexcept {
    auto const reading = read_position(last_event_id, epoch);
    if (!last_event_id.empty() && reading.kind == id_reading::kind::ours && reading.sequence <= sequence) {
      s.outcome = resume_outcome::up_to_date;
      for (auto& m : s) {
        m.next_ordinal = m.of->history.ordinal_after(reading.sequence);
        m.resumed_past_loss = m.of->history.lost_through() > reading.sequence;
        if (m.resumed_past_loss) {
          s.outcome = resume_outcome::gap;
        } else if (m.has_news() && s.outcome == resume_outcome::up_to_date) {
          s.outcome = resume_outcome::resumed;
        }
      }
      return;
    }
    s.outcome = last_event_id.empty() ? resume_outcome::fresh : resume_outcome::unknown;
    if (s.outcome == resume_outcome::unknown) {
      s.unplaced = reading.kind == id_reading::kind::other_epoch ? gap_cause::restart : gap_cause::unknown;
    }
    auto const from = start_position(s, start);
    for (auto& m : s) m.next_ordinal = m.of->history.ordinal_after(from);
  }

  // A position after which nothing is missing on any channel of the subscriber.
  [[nodiscard]] std::uint64_t start_position(subscriber& s, start_at start) const noexcept {
    if (start.where == start_at::place::now) return sequence;
    std::uint64_t whole_after = 0;
    for (auto const& m : s) whole_after = (std::max)(whole_after, m.of->history.lost_through());
    if (start.where == start_at::place::beginning) return whole_after;

    for (auto& m : s) m.next_ordinal = m.of->history.end_ordinal();
    auto from = sequence;
    for (std::uint64_t n = 0; n < start.events; ++n) {  // one event back, on the channel that has the newest
      membership* newest = nullptr;
      std::uint64_t position = whole_after;
      for (auto& m : s) {
        auto const& h = m.of->history;
        if (m.next_ordinal == h.first_ordinal() || h.position_of(m.next_ordinal - 1) <= position) continue;
        position = h.position_of(m.next_ordinal - 1);
        newest = &m;
      }
      if (newest == nullptr) return whole_after;
      --newest->next_ordinal;
      from = position - 1;
    }
    return from;
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

    std::string notices = std::exchange(out.notices_, {}); // if memory fails, the batch stays empty
    notices.clear();
    std::uint64_t gaps = 0;
    auto const gap = [&](gap_cause cause, std::string_view name, std::optional<std::uint64_t> missed,
                         bool last) {
      auto const data = gap_data(cause, name, missed);
      serialize({.type = options.gap_type, .data = data, .id = last ? event_id(here) : event_id()},
                notices);
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
    auto const end =
        draining ? drain_sequence + 1 : never;  // what is published while draining reaches nobody
    while (!out.full()) {
      membership* first = nullptr;
      auto next = end;   // position of the next event of all
      auto after = end;  // position of the next event of another channel
      for (auto& m : s) {
        if (!m.has_news()) continue;
        auto const alone = s.channels == 1 && !draining;  // then nobody asks for the position
        auto const position = alone ? 0 : m.of->history.position_of(m.next_ordinal);
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
    while (taken.first != nullptr) {
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
    firing here{Traits::this_thread()};
    s.now_firing = &here;
    for (bool again = true; again;) {
      auto const hook = s.hook;
      held.unlock();
      hook.call(hook.context, why);
      held.lock();
      if (here.orphaned) {
        delete &s;
        return;
      }
      again = !s.closed && (here.again_evicted || here.again_ready);
      why = here.again_evicted ? wake::evicted : wake::ready;
      here.again_evicted = here.again_ready = false; // behind `evicted` nothing is ready
    }
    s.now_firing = nullptr;
    if (s.close_waits) hook_returned.notify_all();
  }

  // Visits who is subscribed now; the visit may let go of the lock. New subscribers come in front and are not met.
  template <class Visit> void for_each_subscriber(lock&, Visit visit) {
    walker here{first_subscriber, walkers};
    walkers = &here;
    while (here.next != nullptr) {
      auto& s = *here.next;
      here.next = s.next;
      visit(s);
    }
    leave(here);
  }

  void leave(walker& gone) noexcept {
    auto** at = &walkers;
    while (*at != &gone) at = &(*at)->outer;
    *at = gone.outer;
  }

  // ---- age -----------------------------------------------------------------------------------------------------

  // A few marks of (time, sequence) make "older than" a comparison of positions. They lie an eighth of the age apart,
  // so an event goes when it is between 1 and 1.125 times as old as the limit, if tick comes that often.
  void trim_by_age(lock& held, time_point now) noexcept {
    auto const age = options.replay.max_age;
    if (age <= duration::zero()) return;
    std::uint64_t through = 0;
    for (std::size_t i = 0; i < mark_count && now - marks[i].when >= age; ++i) through = marks[i].sequence;
    if (mark_count == 0 || now - marks[mark_count - 1].when >= age / 8) {
      if (mark_count == marks.size()) {
        std::move(marks.begin() + 1, marks.end(), marks.begin());
        --mark_count;
      }
      marks[mark_count++] = {now, sequence};
    }
    if (through == 0) return;
    constexpr std::size_t slice = 64;  // channels under one hold of the lock
    for (std::size_t i = 0; i < channels.size(); ++i) {
      counting(channels[i]->history, [&](log<Traits>& h) { counts.trimmed += h.trim_through(through); });
      if (i % slice == slice - 1) {
        held.unlock();
        held.lock();
      }
    }
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
