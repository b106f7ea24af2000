// SPDX-License-Identifier: MIT
// reactor.hpp - drives the streams of one event loop: epoll, poll, kqueue, libuv, a game loop. One signal wakes the loop
// for all of its streams; one call a turn serves them.
#pragma once

#include <ssewire/broker.hpp>
#include <ssewire/detail/activity_list.hpp>
#include <ssewire/detail/attempt.hpp>
#include <ssewire/detail/cohort.hpp>
#include <ssewire/detail/cohort_list.hpp>
#include <ssewire/detail/in_step.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/stream.hpp>
#include <ssewire/traits.hpp>
#include <ssewire/writer.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Names one stream of one reactor. A name is not used again: when its stream has ended, it names nothing.
struct stream_id {
  std::uint32_t slot = (std::numeric_limits<std::uint32_t>::max)();
  std::uint32_t generation = 0;

  friend constexpr bool operator==(stream_id, stream_id) noexcept = default;
};

/// How the reactor asks its loop for a turn: publish() calls this, on its own thread, at most once until the next poll().
/// Write to an eventfd, call uv_async_send. Null: the program calls poll() often enough by itself.
struct loop_signal {
  void (*call)(void*) noexcept = nullptr;
  void* context = nullptr;

  /// Calls `action()`, which must outlive the reactor and its subscriptions, and must not throw.
  template <class Action> [[nodiscard]] static loop_signal of(Action& action) noexcept {
    static_assert(std::is_invocable_v<Action&>, "the signal is called without arguments");
    return {[](void* at) noexcept { (*static_cast<Action*>(at))(); },
            const_cast<void*>(static_cast<void const*>(std::addressof(action)))};
  }
};

struct add_result {
  stream_id id = {};
  errc error = errc::ok;

  constexpr explicit operator bool() const noexcept { return error == errc::ok; }
};

/// When the reactor wants to be polled next.
struct poll_result {
  bool more = false;  ///< at once, after the loop has looked at its sockets: the turn's budget is used up
  std::optional<time_point> next;  ///< at this time at the latest: a heartbeat, a stall
};

/// The streams of one event loop. The loop's every turn: wait (until the signal, a socket, or `next`), handle the
/// sockets (writable(), written(), remove()), then poll(now).
/// Threads     one, the loop's; publishers reach it by the signal alone. Calls from inside a writer or its on_closed are
///             legal; poll() from there only asks for another turn. Its destructor: not from inside.
template <class Writer, class Traits = default_traits> class basic_reactor {
 public:
  using stream = basic_stream<Writer, Traits>;
  using subscription = basic_subscription<Traits>;

  explicit basic_reactor(loop_signal signal = {}, timing_options timing = {})
      : signal_(signal), timing_(timing) {}
  basic_reactor(basic_reactor const&) = delete;
  basic_reactor& operator=(basic_reactor const&) = delete;

  /// Drops all streams, each with close_reason::removed.
  ~basic_reactor() {
    ending_ = true;
    ++inside_;  // on_closed must not start a turn
    for (auto const& s : slots_) {
      if (!s) continue;
      step_out(*s);
      act(*s, [&] { s->stream.abort(); });
    }
    for (auto& s : slots_) s.reset();  // a writer's destructor may ask, too
  }

  /// Takes a stream over. Nothing is written before the next poll(). Without a subscription it sends what send() gets.
  /// Errors      no_memory, or closed from inside the reactor's destructor; then the writer and the subscription are
  ///             gone.
  add_result add(Writer to, subscription from = {}, stream_options options = {}) noexcept {
    if (ending_) return {{}, errc::closed};
    add_result result{{}, errc::no_memory};
    detail::attempt([&] {
      auto fresh = std::make_unique<slot>(*this, std::move(to), std::move(from), std::move(options));
      if (free_.empty()) {
        auto const size = slots_.size() + 1;
        if (size > room_) {
          auto const room = 2 * size;
          free_.reserve(room);
          reserve_turns(room + cohorts_.room());
          generations_.reserve(room);
          slots_.reserve(room);
          room_ = room;
        }
        slots_.emplace_back();
        generations_.push_back(0);
        free_.push_back(static_cast<std::uint32_t>(size - 1));
      }
      auto const index = free_.back();
      free_.pop_back();
      fresh->id = {index, ++generations_[index]};
      auto& s = *(slots_[index] = std::move(fresh));
      ++count_;
      s.seen = now_;
      idle_.insert(s);
      s.stream.set_hook({&slot::woken, &s});
      enqueue(s);
      result = {s.id, errc::ok};
    });
    return result;
  }

  /// The socket can take bytes again: after write_status::again. The next poll() goes on.
  void writable(stream_id id) noexcept {
    auto* const s = find(id);
    if (s == nullptr || is_in_step(*s)) return;
    step_out(*s);
    s->stream.writable();
    enqueue(*s);
  }

  /// The pending write is done; `good` false: it failed, the peer is gone. The next poll() goes on. Owed for every
  /// pending write, also behind abort(): until then its bytes are kept.
  void written(stream_id id, bool good) noexcept {
    auto* const s = find_even_dead(id);
    if (s == nullptr) return;
    if (s->dead) {
      s->stream.written(good);
      free_if_unused(*s);
      return;
    }
    if (is_in_step(*s)) return;
    step_out(*s);
    act(*s, [&] { s->stream.written(good); });
    if (find(id) != nullptr) enqueue(*s);
  }

  /// Drops a stream: its socket is gone, or is no longer wanted. Its writer hears abort() and on_closed() before this
  /// returns, or, from inside its own write(), after that.
  void remove(stream_id id, close_reason why = close_reason::removed) noexcept {
    if (auto* const s = find(id)) {
      step_out(*s);
      act(*s, [&] { s->stream.abort(why); });
    }
  }

  /// Ends a stream in order, after what is queued for it.
  void finish(stream_id id) noexcept {
    if (auto* const s = find(id)) {
      step_out(*s);
      s->stream.finish();
      enqueue(*s);
    }
  }

  /// Queues an event for one stream only. See basic_stream::send; `closed` also when there is no such stream.
  errc send(stream_id id, event const& e) noexcept {
    auto* const s = find(id);
    if (s == nullptr) return errc::closed;
    auto const error = s->stream.send(e);
    if (error == errc::ok) {
      step_out(*s);
      enqueue(*s);
    }
    return error;
  }

  /// Changes what a stream follows; see basic_subscription. From inside its own writer: called_from_inside.
  errc join(stream_id id, std::string_view channel) noexcept {
    return change(id, [&](subscription& of) { return of.join(channel); });
  }
  errc join(stream_id, std::initializer_list<std::string_view>) = delete;  // one channel a call
  errc leave(stream_id, std::initializer_list<std::string_view>) = delete;
  errc leave(stream_id id, std::string_view channel) noexcept {
    return change(id, [&](subscription& of) { return of.leave(channel); });
  }
  errc set_filter(stream_id id, event_filter filter) noexcept {
    return change(id, [&](subscription& of) { return of.set_filter(std::move(filter)); });
  }

  /// The writer of a stream, or null if it has ended. Valid until it ends.
  [[nodiscard]] Writer* writer(stream_id id) noexcept {
    auto* const s = find(id);
    return s == nullptr ? nullptr : &s->stream.writer_ref();
  }

  /// How many streams there are.
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

  /// One bounded turn: serves the streams that have something to send and can, then heartbeats and stalls that are due.
  /// Complexity  O(streams served); streams that have nothing to do cost nothing.
  poll_result poll(time_point now) noexcept {
    if (inside_ != 0) return {true, now};
    ++inside_;
    now_ = (std::max)(now_, now);
    if (turn_.empty()) {
      std::unique_lock const held(ready_guard_);
      turn_.swap(ready_);
      signaled_ = false;
    }
    for (int budget = streams_a_turn; budget > 0 && next_in_turn_ < turn_.size();) {
      auto& next = *turn_[next_in_turn_];
      if (next.is_cohort) {
        if (serve(static_cast<cohort&>(next), budget)) ++next_in_turn_;
      } else {
        ++next_in_turn_;
        --budget;
        serve(static_cast<slot&>(next));
      }
    }
    if (next_in_turn_ == turn_.size()) {
      turn_.clear();
      next_in_turn_ = 0;
    }
    beat();
    drop_stalled();
    --inside_;
    return {has_more(), next_deadline()};
  }

 private:
  // Of this many streams, each may write a few times: the loop gets back to its sockets soon.
  static constexpr int streams_a_turn = 256;

  struct slot;
  using cohort = detail::cohort<slot, Traits>;
  using cohorts = detail::cohort_list<slot, Traits>;
  using in_step = detail::in_step<Traits>;
  using flight = detail::flight<Traits>;

  // What a stream waits for; the lists are in the order of `seen`, so only their fronts are ever looked at. One that is in
  // step with others has its place in their cohort and is in no list.
  struct slot : detail::activity_node<slot>, detail::waiting {
    slot(basic_reactor& r, Writer&& to, subscription&& from, stream_options&& options)
        : waiting(false), owner(r), stream(std::move(to), std::move(from), std::move(options)) {}

    // On a publisher's thread.
    static void woken(void* self, wake why) noexcept {
      auto& s = *static_cast<slot*>(self);
      if (why == wake::evicted) s.evicted.store(true, std::memory_order_release);
      if (s.owner.enqueue(s, true) && s.owner.signal_.call != nullptr)
        s.owner.signal_.call(s.owner.signal_.context);
    }

    basic_reactor& owner;
    basic_stream<Writer, Traits> stream;
    stream_id id;
    std::uint64_t sent =
        (std::numeric_limits<std::uint64_t>::max)();  // so that its first turn counts as activity
    std::atomic<bool> evicted{false};
    cohort* of = nullptr;  // whom it may be in step with
    std::uint32_t place = detail::no_place;
    typename in_step::subscriber* subscribed = nullptr;  // while it has a place
    bool goes_alone = false;                             // there is no cohort for it
    bool waits = false;                                  // in blocked_, not in idle_
    bool dead = false;                                   // ended; freed when nothing points to it any more
    bool acting = false;                                 // a call into it is under way
  };

  [[nodiscard]] slot* find_even_dead(stream_id id) noexcept {
    if (id.slot >= slots_.size() || !slots_[id.slot]) return nullptr;
    auto* const s = slots_[id.slot].get();
    return s->id == id ? s : nullptr;
  }

  [[nodiscard]] slot* find(stream_id id) noexcept {
    auto* const s = find_even_dead(id);
    return s != nullptr && !s->dead ? s : nullptr;
  }

  template <class Change> errc change(stream_id id, Change how) noexcept {
    auto* const s = find(id);
    if (s == nullptr) return errc::closed;
    if (s->acting || is_offered(*s)) return errc::called_from_inside;
    step_out(*s);
    auto const error = how(s->stream.source());
    if (find(id) != nullptr) enqueue(*s);
    return error;
  }

  // Puts a stream into the next turn. Who finds it there already leaves it to that turn, which sees all that was
  // published before: the exchange orders the two. Returns whether the loop must be told; on the loop's own thread it
  // need not be, for every turn ends with poll().
  bool enqueue(detail::waiting& s, bool from_outside = false) noexcept {
    if (s.queued.exchange(true, std::memory_order_acq_rel)) return false;
    std::unique_lock const held(ready_guard_);
    ready_.push_back(&s);
    return from_outside && !std::exchange(signaled_, true);
  }

  // So that a hook, which must not fail, never allocates.
  void reserve_turns(std::size_t room) {
    turn_.reserve(room);
    std::unique_lock const held(ready_guard_);
    ready_.reserve(room);
  }

  void serve(slot& s) noexcept {
    s.queued.exchange(false, std::memory_order_acq_rel);
    if (s.dead) {
      free_if_unused(s);
    } else {
      pump(s);
    }
  }

  void pump(slot& s) noexcept {
    step_out(s);
    act(s, [&] {
      if (s.evicted.exchange(false, std::memory_order_acq_rel)) s.stream.evicted();
      auto const park_it = [&](subscription& from) { return park(s, from); };
      if (!detail::attempt([&] { s.stream.pump(scratch_, park_it); }))
        scratch_.reset();  // what it threw has closed the stream
    });
  }

  // Does something to a stream that may call the writer, which may call back. The outermost call cleans up.
  template <class Action> void act(slot& s, Action action) noexcept {
    ++inside_;
    bool const inside = std::exchange(s.acting, true);
    action();
    s.acting = inside;
    --inside_;
    if (!inside) settle(s);
  }

  // Puts a stream where it belongs after something has happened to it.
  void settle(slot& s) noexcept {
    auto const state = s.stream.state();
    if (state == stream_state::closed) {
      if (!s.dead) bury(s);
      return;
    }
    bool const waits = state == stream_state::blocked || state == stream_state::pending;
    bool const stirs = s.sent != s.stream.bytes_sent() || waits != s.waits;
    if (stirs) {
      s.sent = s.stream.bytes_sent();
      s.seen = now_;
      s.waits = waits;
    }
    if (s.place != detail::no_place) {
      s.unlink();
      if (s.of->note(s.seen)) link(*s.of);
      return;
    }
    if (stirs || !s.linked()) {
      s.unlink();
      (waits ? blocked_ : idle_).insert(s);
    }
    if (state == stream_state::more) enqueue(s);
  }

  void bury(slot& s) noexcept {
    s.dead = true;
    s.unlink();
    --count_;
    if (s.of != nullptr) cohorts_.detach(*std::exchange(s.of, nullptr));
    free_if_unused(s);
  }

  // Its subscription is closed, so no hook queues it any more. If it is queued, the turn that meets it frees it; if its
  // bytes are still being sent, written() does.
  void free_if_unused(slot& s) noexcept {
    if (!s.queued.load(std::memory_order_acquire) && !s.stream.sending()) free(s);
  }

  void free(slot& s) noexcept {
    auto const index = s.id.slot;
    slots_[index].reset();
    free_.push_back(index);  // reserved by add()
  }

  // ---- streams in step -----------------------------------------------------------------------------------------

  // In step, and its writer is being called.
  [[nodiscard]] static bool is_offered(slot const& s) noexcept {
    return s.place != detail::no_place && s.of->is_offering(s);
  }

  [[nodiscard]] static bool is_in_step(slot const& s) noexcept {
    return s.place != detail::no_place && !is_offered(s);
  }

  // Something is about to happen to this stream alone. Its subscription is its own again; from inside its writer, when
  // that has answered.
  void step_out(slot& s) noexcept {
    if (s.place == detail::no_place) return;
    auto& c = *s.of;
    bool const offered = is_offered(s);
    auto const behind = leave_place(s, offered);
    if (offered) {
      s.stream.begin_offer();
      s.acting = true;
    } else {
      in_step::fall_out(*c.at, *s.subscribed, behind);
    }
  }

  // Returns how many events behind the leader it stood.
  std::uint64_t leave_place(slot& s, bool offered) noexcept {
    auto const stood = s.of->remove(s, offered);
    s.stream.add_sent(stood.bytes);
    s.sent = s.stream.bytes_sent();
    s.seen = stood.seen;
    s.waits = false;
    if (s.of->empty() && !s.of->in_round()) s.of->unlink();
    return stood.behind;
  }

  // Instead of its subscription's own park(): in step with others, if it can be.
  bool park(slot& s, subscription& from) noexcept {
    if (s.goes_alone || (s.of != nullptr && !s.of->has_room())) return from.park();
    auto& core = *in_step::core_of(from);
    s.subscribed = in_step::state_of(from);
    for (;;) {
      bool const first = s.of != nullptr && s.of->empty() && !s.of->in_round();
      switch (in_step::park(core, *s.subscribed, s.of == nullptr ? nullptr : s.of->leader, first)) {
      case in_step::parked::no: return false;
      case in_step::parked::alone: return true;
      case in_step::parked::together: s.of->add(s); return true;
      case in_step::parked::leaderless:
        if (!attach(s, in_step::core_of(from)) || !s.of->has_room()) return from.park();
      }
    }
  }

  // Finds or makes the cohort that it belongs to.
  bool attach(slot& s, std::shared_ptr<typename in_step::core> const& core) noexcept {
    bool try_again = false;
    s.of = cohorts_.find_or_make({this, s.stream.body(), s.stream.room()}, core, *s.subscribed, &cohort_woken,
                                 try_again, [this](std::size_t n) { reserve_turns(room_ + n); });
    s.goes_alone = s.of == nullptr && !try_again;
    return s.of != nullptr;
  }

  // On a publisher's thread.
  static void cohort_woken(void* context, wake) noexcept {
    auto& c = cohorts::of(context);
    auto& r = *static_cast<basic_reactor*>(c.driver);
    if (r.enqueue(c, true) && r.signal_.call != nullptr) r.signal_.call(r.signal_.context);
  }

  // By its activity, for heartbeats.
  void link(cohort& c) noexcept {
    c.unlink();
    beating_.insert(c);
  }

  // Goes on with its round, or begins one. False: the budget is used up, and there is more to do.
  bool serve(cohort& c, int& budget) noexcept {
    if (!c.in_round() && !begin_round(c)) {
      --budget;
      return true;
    }
    if (c.flight) {
      offer_to_all(c, budget);
    } else {
      while (auto* const s = c.next_alone(budget)) {
        step_out(*s);
        if (c.beat_due) s->stream.heartbeat();
        pump(*s);  // it may be queued besides
      }
    }
    if (!c.round_is_done()) return false;
    end_round(c);
    return true;
  }

  bool begin_round(cohort& c) noexcept {
    c.queued.exchange(false, std::memory_order_acq_rel);
    if (c.empty()) {
      c.beat_due = false;
      cohorts_.free_if_unused(c);
      return false;
    }
    detail::held_flight<Traits> shared;
    if constexpr (!detail::needs_same_bytes<Writer>) {
      shared = std::move(shared_scratch_);
      if (!shared) detail::attempt([&] { shared.reset(new flight); });
      if (shared && std::exchange(c.beat_due, false)) {
        shared->gather_heartbeat(c.body);
        c.begin_round(std::move(shared), 0, now_);
        return true;
      }
    }
    auto const pulled = in_step::pull(*c.at, *c.leader, shared ? &shared->batch : nullptr, c.room);
    if (!shared || !pulled.for_all) {
      c.begin_round(nullptr, pulled.events, now_);
      return true;
    }
    if (shared->batch.empty()) {  // woken for nothing
      shared_scratch_ = std::move(shared);
      if (!in_step::park(*c.at, *c.leader, {})) enqueue(c);
      return false;
    }
    shared->gather(c.body);
    c.begin_round(std::move(shared), pulled.events, now_);
    return true;
  }

  void offer_to_all(cohort& c, int& budget) noexcept {
    while (budget > 0 && !c.round_is_done()) {
      std::optional<write_result> answer;
      auto* const s = c.offer(budget, answer);
      if (s != nullptr) end_offer(c, *s, answer ? &*answer : nullptr);
    }
  }

  // It did not simply take all of it, or something else happened to it meanwhile.
  void end_offer(cohort& c, slot& s, write_result const* answer) noexcept {
    if (s.place != detail::no_place) {
      leave_place(s, true);
      s.stream.begin_offer();
    }
    s.acting = false;
    act(s, [&] {
      bool counted = false;
      auto const leave = [&](bool sends) {
        in_step::fall_out_with(*c.at, *s.subscribed, c.flight->batch, c.events(), sends);
        counted = true;
      };
      if (s.stream.end_offer(*c.flight, scratch_, answer, leave)) c.put_back(s);
      if (!counted) c.count_one();
    });
  }

  void end_round(cohort& c) noexcept {
    auto const delivered = c.end_round();
    c.beat_due = false;
    if (auto shared = std::move(c.flight); shared && shared->holders == 1) {
      shared->batch.clear();
      shared_scratch_ = std::move(shared);
    }
    if (!c.empty()) {
      link(c);
      if (!in_step::park(*c.at, *c.leader, delivered)) enqueue(c);
      return;
    }
    c.unlink();
    if (delivered.events != 0) in_step::count(*c.at, delivered);
    cohorts_.free_if_unused(c);
  }

  // ---- time ----------------------------------------------------------------------------------------------------

  void beat() noexcept {
    if (timing_.heartbeat <= duration::zero()) return;
    int beats = 0;
    for (auto* s = idle_.front();
         s != nullptr && now_ - s->seen >= timing_.heartbeat && beats++ < streams_a_turn; s = idle_.front()) {
      s->seen = now_;
      s->unlink();
      idle_.insert(*s);
      s->stream.heartbeat();
      enqueue(*s);
    }
    for (auto* c = beating_.front();
         c != nullptr && now_ - c->seen >= timing_.heartbeat && beats++ < streams_a_turn;
         c = beating_.front()) {
      c->seen = now_;
      link(*c);
      if (c->in_round()) continue;  // it is sending
      c->beat_due = true;
      enqueue(*c);
    }
  }

  void drop_stalled() noexcept {
    if (timing_.stall_time <= duration::zero()) return;
    // One that is queued has had its socket become writable: its turn is still to come, and with it the next poll().
    int drops = 0;
    for (auto* s = blocked_.front();
         s != nullptr && drops++ < streams_a_turn && now_ - s->seen >= timing_.stall_time &&
         !s->queued.load(std::memory_order_relaxed);
         s = blocked_.front()) {
      act(*s, [&] { s->stream.abort(close_reason::stalled); });
    }
  }

  [[nodiscard]] bool has_more() noexcept {
    if (!turn_.empty()) return true;
    std::unique_lock const held(ready_guard_);
    return !ready_.empty();
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const noexcept {
    std::optional<time_point> next;
    auto const consider = [&](auto const* s, duration after) {
      if (s == nullptr) return;
      auto const due = detail::deadline(s->seen, after);
      if (due && (!next || *due < *next)) next = due;
    };
    consider(idle_.front(), timing_.heartbeat);
    consider(beating_.front(), timing_.heartbeat);
    consider(blocked_.front(), timing_.stall_time);
    return next;
  }

  loop_signal signal_;
  timing_options timing_;
  time_point now_ = {};
  int inside_ = 0;       // poll(), or a call that may call a writer, is under way
  bool ending_ = false;  // being destroyed
  std::size_t count_ = 0;
  std::size_t room_ = 0;  // slots that the vectors have room for
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> generations_;
  detail::activity_list<slot> idle_;       // by the last byte sent: heartbeats
  detail::activity_list<slot> blocked_;    // by the last byte taken: stalls
  detail::activity_list<cohort> beating_;  // as idle_, of those that have streams in step
  std::vector<detail::waiting*> turn_;     // being served
  std::size_t next_in_turn_ = 0;
  std::unique_ptr<flight> scratch_;
  detail::held_flight<Traits> shared_scratch_;

  typename Traits::mutex ready_guard_;
  std::vector<detail::waiting*> ready_;  // to be served in the next turn
  bool signaled_ = false;

  cohorts cohorts_;

  std::vector<std::unique_ptr<slot>> slots_;  // last: their streams end before what they point to goes
};

template <class Writer> using reactor = basic_reactor<Writer>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
