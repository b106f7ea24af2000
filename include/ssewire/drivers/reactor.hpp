// SPDX-License-Identifier: MIT
// reactor.hpp - drives the streams of one event loop: epoll, poll, kqueue, libuv, a game loop. One signal
// wakes the loop for all of its streams; one call a turn serves them.
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/callback.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/detail/borrowed_writer.hpp>
#include <ssewire/drivers/detail/broker_ticks.hpp>
#include <ssewire/drivers/detail/cohort.hpp>
#include <ssewire/drivers/detail/cohort_list.hpp>
#include <ssewire/drivers/detail/idle_list.hpp>
#include <ssewire/drivers/detail/in_step.hpp>
#include <ssewire/drivers/detail/offered_pump.hpp>
#include <ssewire/drivers/detail/ready_queue.hpp>
#include <ssewire/drivers/detail/slot_map.hpp>
#include <ssewire/drivers/detail/watched_time.hpp>
#include <ssewire/drivers/timing.hpp>
#include <ssewire/stream/detail/writer_calls.hpp>
#include <ssewire/stream/options.hpp>
#include <ssewire/stream/state.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Names one stream of one reactor. A name is not used again: when its stream has ended, it names nothing.
struct stream_id {
  /// The reactor's own.
  std::uint32_t slot = (std::numeric_limits<std::uint32_t>::max)();
  /// The reactor's own.
  std::uint32_t generation = 0;

  friend constexpr bool operator==(stream_id, stream_id) noexcept = default;
};

/// Asks the loop for a turn: publish() calls it, on its own thread, at most once until the next poll(). Write
/// to an eventfd, or call uv_async_send. Null: the program calls poll() often enough by itself.
using loop_signal = callback<void()>;

/// When the reactor wants to be polled next.
struct poll_result {
  /// At once, after the loop has looked at its sockets: the turn's budget is used up.
  bool more = false;
  /// At this time at the latest: for a heartbeat or a stall, and each eighth of the stall time while a peer
  /// is waited for. If more than three eighths of it pass between two polls, that was a pause, and every peer
  /// has the whole stall time again.
  std::optional<steady_time> next;
};

/// The streams of one event loop. In each turn the loop waits (until the signal, a socket, or `next`),
/// handles the sockets (writable(), written(), close()), then calls poll(now).
/// @par Threads  One, the loop's; publishers reach it by the signal alone. A writer may call it, also from
///   on_closed(); poll() from there only asks for another turn. No writer may destroy it.
template <class Writer, class Traits = default_traits> class basic_reactor {
  static_assert(
      detail::can_lock<Traits>,
      "no std::mutex here: use ssewire::single_threaded_traits, or traits of your own with a mutex");

 public:
  /// The source of its streams.
  using subscription = basic_subscription<Traits>;

  /// A reactor without streams.
  explicit basic_reactor(loop_signal signal = {}, timing_options timing = {})
      : signal_(signal), timing_(timing), time_(timing.stall_time) {}
  basic_reactor(basic_reactor const&) = delete;
  basic_reactor& operator=(basic_reactor const&) = delete;

  /// Drops all streams, each with close_reason::removed.
  ~basic_reactor() {
    ending_ = true;
    ++inside_;  // on_closed must not start a turn
    slots_.for_each([this](seat& s) { drop(s, close_reason::removed); });
  }

  /// Takes a stream over. Nothing is written before the next poll().
  /// @return  The stream's name, or no_memory; or closed, for an empty subscription, as a refused subscribe()
  ///   leaves it, and inside the reactor's destructor. On an error writer and subscription are destroyed
  ///   unused.
  result<stream_id> add(Writer to, subscription from, stream_options options = {}) noexcept {
    if (!from) return {{}, errc::closed};
    return take(std::move(to), std::move(options), std::move(from));
  }
  /// The same without a subscription: the stream sends what you give to send().
  result<stream_id> add(Writer to, stream_options options = {}) noexcept {
    return take(std::move(to), std::move(options));
  }

  /// The socket can take bytes again, after write_status::again. The next poll() goes on.
  void writable(stream_id id) noexcept {
    auto* const s = find(id);
    if (s == nullptr || is_in_step(*s)) return;
    if (auto* const its = step_out(*s)) {
      its->stream.writable();
      ready_.add(*its);
    }
  }

  /// The pending write is over, and the next poll() goes on. If not `good`, the peer is gone, and on_closed()
  /// is called before this returns. Call this for every pending write, also after that: until then its bytes
  /// are kept.
  void written(stream_id id, bool good) noexcept {
    auto* const s = find_even_dead(id);
    if (s == nullptr || is_in_step(*s)) return;
    if (auto* const its = s->dead ? nullptr : step_out(*s)) {
      act(*s, [&] { its->stream.written(good); });
      if (find(id) != nullptr) ready_.add(*its);
      return;
    }
    s->landed = true;
    s->in_flight.reset();
    if (s->alone != nullptr) s->alone->stream.written(good);
    free_if_unused(*s);
  }

  /// Drops a stream: its socket is gone, or is no longer wanted. The writer's on_closed() is called before
  /// this returns; if this is called from inside write(), after write().
  void close(stream_id id, close_reason why = close_reason::removed) noexcept {
    if (auto* const s = find(id)) drop(*s, why);
  }

  /// Ends a stream in order, after what is queued for it.
  void finish(stream_id id) noexcept {
    if (auto* const its = find_alone(id)) {
      its->stream.finish();
      ready_.add(*its);
    }
  }

  /// Queues an event for one stream only. See stream::send(); `closed` also when there is no such stream.
  [[nodiscard]] errc send(stream_id id, event const& e) noexcept {
    auto* const its = find_alone(id);
    if (its == nullptr) return errc::closed;
    auto const error = its->stream.send(e);
    ready_.add(*its);
    return error;
  }

  /// Queues a comment, as send() queues an event.
  [[nodiscard]] errc comment(stream_id id, std::string_view text) noexcept {
    auto* const its = find_alone(id);
    if (its == nullptr) return errc::closed;
    auto const error = its->stream.comment(text);
    ready_.add(*its);
    return error;
  }

  /// As basic_subscription::join(). Here and below: called_from_inside, if the stream's writer calls.
  errc join(stream_id id, optional_text channel) noexcept {
    return change(id, [&](subscription& of) { return of.join(channel); });
  }
  errc join(stream_id, std::initializer_list<std::string_view>) = delete;  // one channel a call
  errc leave(stream_id, std::initializer_list<std::string_view>) = delete;
  /// As basic_subscription::leave().
  errc leave(stream_id id, optional_text channel) noexcept {
    return change(id, [&](subscription& of) { return of.leave(channel); });
  }
  /// As basic_subscription::set_filter().
  errc set_filter(stream_id id, event_filter filter) noexcept {
    return change(id, [&](subscription& of) { return of.set_filter(std::move(filter)); });
  }

  /// The writer of a stream, or null if it has ended. Valid until it ends.
  [[nodiscard]] Writer* writer(stream_id id) noexcept {
    auto* const s = find(id);
    return s == nullptr ? nullptr : &s->writer;
  }

  /// What a stream waits for; `closed` if there is no such stream. `idle`: the writer took all that there
  /// was.
  [[nodiscard]] stream_state state(stream_id id) noexcept {
    auto* const s = find(id);
    if (s == nullptr) return stream_state::closed;
    return s->alone == nullptr ? stream_state::idle : s->alone->stream.state();
  }

  /// How many streams there are.
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

  /// One bounded turn: ticks the brokers, serves the streams that can send, then heartbeats and stalls.
  /// @par Complexity  O(streams served); streams that have nothing to do cost nothing.
  poll_result poll(steady_time now) noexcept {
    if (inside_ != 0) return {true, now};
    ++inside_;
    time_.look(now);
    brokers_.tick_if_due(now);
    ready_.begin();
    for (int budget = streams_a_turn; budget > 0;) {
      auto* const next = ready_.next();
      if (next == nullptr) break;
      if (next->is_cohort) {
        serve(static_cast<cohort&>(*next), budget);
      } else {
        --budget;
        serve(static_cast<slot&>(*next));
      }
    }
    beat();
    drop_stalled();
    --inside_;
    auto const next = next_deadline();
    bool const more = !ready_.empty() || (next && *next <= time_.now()) || brokers_.is_due(now);
    return {more, detail::earlier(next, brokers_.next_tick())};
  }

 private:
  // In one turn each of so many streams may write a few times. The loop then gets back to its sockets soon.
  static constexpr int streams_a_turn = 256;

  struct seat;
  using cohort = detail::cohort<seat, Traits>;
  using cohorts = detail::cohort_list<seat, Traits>;
  using in_step = detail::in_step<Traits>;
  using held_write = detail::held_write<basic_batch<Traits>>;

  // Everything a stream needs to send alone. A slot is in the list of what it waits for. The lists are in the
  // order of `seen`, so only their fronts are ever looked at.
  struct slot : detail::idle_node<slot>, detail::waiting {
    // `from`: a subscription, or nothing.
    template <class... From>
    slot(basic_reactor& r, seat& s, stream_options&& options, From&&... from)
        : waiting(false), owner(r), at(s), stream({&s.writer}, std::move(from)..., std::move(options)),
          goes_alone(stream.same_bytes_again()) {}

    [[nodiscard]] wake_hook hook() noexcept { return {&woken, this}; }

    // Runs on a publisher's thread.
    static void woken(void* self, wake why) noexcept {
      auto& s = *static_cast<slot*>(self);
      if (why == wake::evicted) s.evicted.store(true, std::memory_order_release);
      s.owner.call(s);
    }

    basic_reactor& owner;
    seat& at;
    detail::offered_pump<detail::borrowed_writer<Writer>, subscription> stream;
    std::uint64_t sent = (std::numeric_limits<std::uint64_t>::max)();  // the first turn counts as activity
    std::atomic<bool> evicted{false};
    bool goes_alone;     // no cohort can take the stream
    bool waits = false;  // the stream is in blocked_, not in idle_
  };

  // What the reactor has of every stream. A stream in step has its place in its cohort, and no slot.
  struct seat {
    explicit seat(Writer&& to) : writer(std::move(to)) {}
    ~seat() { delete alone; }
    seat(seat const&) = delete;
    seat& operator=(seat const&) = delete;

    void name_it(typename detail::slot_map<seat>::name n) noexcept { id = {n.index, n.generation}; }
    [[nodiscard]] std::uint32_t index() const noexcept { return id.slot; }

    Writer writer;
    stream_id id;
    slot* alone = nullptr;  // null: the stream is in step, or it ended while in step
    cohort* of = nullptr;   // the cohort that the stream may be in step with
    std::uint32_t place = detail::no_place;
    bool acting = false;  // a call into the stream is under way
    bool dead = false;    // the stream has ended. The seat is freed when nothing points to it any more
    bool landed = false;  // written() was called after the stream had ended
    typename in_step::sleeper asleep;                   // valid while the stream has a place
    detail::held_write<basic_batch<Traits>> in_flight;  // of a stream that ended in step: still being sent
  };

  // `from`: a subscription, or nothing.
  template <class... From>
  result<stream_id> take(Writer&& to, stream_options&& options, From&&... from) noexcept {
    detail::check_writer<Writer>();
    if (ending_) return {{}, errc::closed};
    result<stream_id> added{{}, errc::no_memory};
    detail::try_call([&] {
      (brokers_.add(in_step::core_of(from)), ...);
      auto& s = slots_.emplace(std::move(to));
      if (!detail::try_call([&] { s.alone = new slot(*this, s, std::move(options), std::move(from)...); })) {
        slots_.erase(s);
        return;
      }
      ++count_;
      s.alone->seen = time_.now();
      idle_.insert(*s.alone);
      s.alone->stream.set_hook(s.alone->hook());
      ready_.add(*s.alone);
      added = {s.id, errc::ok};
    });
    return added;
  }

  [[nodiscard]] seat* find_even_dead(stream_id id) noexcept { return slots_.find({id.slot, id.generation}); }

  [[nodiscard]] seat* find(stream_id id) noexcept {
    auto* const s = find_even_dead(id);
    return s != nullptr && !s->dead ? s : nullptr;
  }

  // Called before something happens to a stream alone. Null: there is no such stream, or see step_out().
  [[nodiscard]] slot* find_alone(stream_id id) noexcept {
    auto* const s = find(id);
    return s == nullptr ? nullptr : step_out(*s);
  }

  template <class Change> errc change(stream_id id, Change how) noexcept {
    auto* const s = find(id);
    if (s == nullptr) return errc::closed;
    if (s->acting || is_offered(*s)) return errc::called_from_inside;
    auto* const its = step_out(*s);
    if (its == nullptr) return errc::closed;
    // A turn that the presence hook or a filter's end starts could put the stream in step again.
    ++inside_;
    auto const error = how(its->stream.source());
    --inside_;
    if (find(id) != nullptr) ready_.add(*its);
    return error;
  }

  // Runs on a publisher's thread.
  void call(detail::waiting& w) noexcept {
    if (ready_.call(w) && signal_) signal_();
  }

  void serve(slot& s) noexcept {
    if (s.at.dead) {
      free_if_unused(s.at);
    } else {
      pump(s);
    }
  }

  void pump(slot& s) noexcept {
    act(s.at, [&] {
      if (s.evicted.exchange(false, std::memory_order_acq_rel)) s.stream.evicted();
      auto const park_it = [&](subscription& from) { return park(s, from); };
      detail::try_call([&] { s.stream.run(scratch_, park_it); });  // an exception has closed it already
    });
  }

  // Runs an action on a stream that goes alone. The action may call the writer, and the writer may call back.
  // The outermost call cleans up.
  template <class Action> void act(seat& s, Action action) noexcept {
    ++inside_;
    bool const inside = std::exchange(s.acting, true);
    action();
    s.acting = inside;
    --inside_;
    if (!inside) settle(*s.alone);
  }

  // Puts a stream into the list or the cohort it belongs to, after something has happened to it.
  void settle(slot& s) noexcept {
    auto const state = s.stream.state();
    if (state == stream_state::closed) {
      if (!s.at.dead) bury(s.at);
      return;
    }
    bool const waits = state == stream_state::blocked || state == stream_state::pending;
    bool const stirs = s.sent != s.stream.bytes_sent() || waits != s.waits;
    if (stirs) {
      s.sent = s.stream.bytes_sent();
      s.seen = time_.now();
      s.waits = waits;
    }
    if (s.at.place != detail::no_place) {
      if (s.at.of->note(s.seen)) link(*s.at.of);
      s.unlink();
      s.stream.retire();
      delete std::exchange(s.at.alone, nullptr);
      return;
    }
    if (stirs || !s.linked()) {
      s.unlink();
      (waits ? blocked_ : idle_).insert(s);
    }
    if (state == stream_state::more) ready_.add(s);
  }

  void drop(seat& s, close_reason why) noexcept {
    if (s.dead) return;
    if (is_in_step(s)) {
      leave_place(s, false);
      end_in_step(s, why);
    } else if (auto* const its = step_out(s)) {
      act(s, [&] { its->stream.close(why); });
    }
  }

  void bury(seat& s) noexcept {
    s.dead = true;
    if (s.alone != nullptr) s.alone->unlink();
    --count_;
    if (s.of != nullptr) cohorts_.detach(*std::exchange(s.of, nullptr));
    free_if_unused(s);
  }

  // Frees a stream that has ended. Its subscription is closed, so no hook queues it any more. If it is
  // queued, the turn that meets it frees it. If its bytes are still being sent, written() frees it.
  void free_if_unused(seat& s) noexcept {
    if (s.acting || s.in_flight) return;
    if (s.alone == nullptr || (!s.alone->queued() && !s.alone->stream.sending())) slots_.erase(s);
  }

  // ---- streams in step ----

  // The stream is in step, and its writer is being called.
  [[nodiscard]] static bool is_offered(seat const& s) noexcept {
    return s.place != detail::no_place && s.of->is_offering(s);
  }

  [[nodiscard]] static bool is_in_step(seat const& s) noexcept {
    return s.place != detail::no_place && !is_offered(s);
  }

  // Called before something happens to a stream alone: gives it what it needs for that. Inside a call of the
  // stream's writer, the stream then waits for the answer. Null: there was no memory, so the stream has
  // ended, or ends when its writer has answered.
  slot* step_out(seat& s) noexcept {
    if (s.place == detail::no_place) return s.alone;
    bool const offered = is_offered(s);
    auto* const its = step_out(s, offered);
    if (its == nullptr) {
      s.dead = true;
      if (!offered) end_in_step(s, close_reason::no_memory);
    } else if (offered) {
      its->stream.begin_offer();
    }
    if (offered) s.acting = true;
    return its;
  }

  slot* step_out(seat& s, bool offered) noexcept {
    auto& c = *s.of;
    std::unique_ptr<typename in_step::core::subscriber> fresh;
    detail::try_call([&] {
      fresh = in_step::make();
      s.alone =
          new slot(*this, s, {.body = c.body, .max_write_bytes = c.room, .max_outbox_bytes = c.max_outbox});
    });
    auto const stood = leave_place(s, offered);
    if (s.alone == nullptr) return nullptr;
    s.alone->stream.resume(in_step::wake(c.at, *c.leader, stood.behind, std::move(fresh), s.alone->hook(),
                                         s.asleep, s.alone->evicted));
    s.alone->sent = 0;
    s.alone->seen = stood.seen;
    return s.alone;
  }

  typename cohort::standing leave_place(seat& s, bool offered) noexcept {
    auto const stood = s.of->remove(s, offered);
    if (s.of->empty() && !s.of->in_round()) s.of->unlink();
    return stood;
  }

  // Ends a stream that has lost its place and gets no slot.
  void end_in_step(seat& s, close_reason why) noexcept {
    s.dead = s.acting = true;
    ++inside_;
    auto const counted = in_step::close(*s.of->at, *s.of->leader, why);
    detail::report_end(s.writer, counted, ending::cut);
    --inside_;
    s.acting = false;
    bury(s);
  }

  // Used in place of the subscription's own park(). Parks the stream in step with others if that is possible.
  bool park(slot& s, subscription& from) noexcept {
    auto& of = s.at.of;
    if (s.goes_alone || (of != nullptr && !of->has_room())) return from.park();
    auto const is_called = [&s] { return s.queued() || s.evicted.load(std::memory_order_acquire); };
    for (;;) {
      bool const first = of != nullptr && of->empty() && !of->in_round();
      switch (in_step::park(from, of == nullptr ? nullptr : of->leader, first, s.at.asleep, is_called)) {
      case in_step::parked::no: return false;
      case in_step::parked::alone: return true;
      case in_step::parked::together: of->add(s.at); return true;
      case in_step::parked::leaderless:
        if (!attach(s, from) || !of->has_room()) return from.park();
      }
    }
  }

  // Finds or makes the cohort for a stream.
  bool attach(slot& s, subscription const& from) noexcept {
    bool try_again = false;
    s.at.of = cohorts_.find_or_make({this, s.stream.body(), s.stream.room(), s.stream.max_outbox_bytes()},
                                    from, &cohort_woken, try_again);
    s.goes_alone = s.at.of == nullptr && !try_again;
    return s.at.of != nullptr;
  }

  // Runs on a publisher's thread.
  static void cohort_woken(void* context, wake) noexcept {
    auto& c = cohorts::of(context);
    static_cast<basic_reactor*>(c.driver)->call(c);
  }

  // Puts a cohort in the list for heartbeats, by its last activity.
  void link(cohort& c) noexcept {
    c.unlink();
    beating_.insert(c);
  }

  // Continues the round of a cohort, or begins one.
  void serve(cohort& c, int& budget) noexcept {
    if (!c.in_round() && !begin_round(c)) {
      --budget;
      return;
    }
    if (c.flight) {
      offer_to_all(c, budget);
    } else {
      while (auto* const s = c.next_alone(budget)) {
        if (auto* const its = step_out(*s)) {
          if (c.beat_due) its->stream.heartbeat();
          pump(*its);
        }
      }
    }
    if (c.round_is_done()) {
      end_round(c);
    } else {
      ready_.put_back(c);
    }
  }

  bool begin_round(cohort& c) noexcept {
    if (c.empty()) {
      c.beat_due = false;
      cohorts_.free_if_unused(c);
      return false;
    }
    auto shared = std::move(shared_scratch_);
    if (!shared) detail::try_call([&] { shared = held_write::make(); });
    if (shared && std::exchange(c.beat_due, false)) {
      shared->gather_heartbeat(c.body);
      c.begin_round(std::move(shared), 0, time_.now());
      return true;
    }
    auto const pulled = in_step::pull(*c.at, *c.leader, shared ? &shared->batch : nullptr, c.room);
    if (!shared || !pulled.for_all) {
      c.begin_round({}, pulled.events, time_.now());
      return true;
    }
    if (shared->batch.empty()) {  // the leader was woken for nothing
      shared_scratch_ = std::move(shared);
      if (!in_step::park(*c.at, *c.leader, {})) ready_.add(c);
      return false;
    }
    shared->gather(c.body);
    c.begin_round(std::move(shared), pulled.events, time_.now());
    return true;
  }

  void offer_to_all(cohort& c, int& budget) noexcept {
    while (budget > 0 && !c.round_is_done()) {
      std::optional<write_result> answer;
      auto* const s = c.offer(budget, answer);
      if (s == nullptr) continue;
      std::size_t before = 0;
      if (answer && answer->status == write_status::ok && s->place != detail::no_place)
        before = c.offer_rest(*s, scratch_, answer);
      end_offer(c, *s, before, answer ? &*answer : nullptr);
      if (scratch_) scratch_->batch.clear();
    }
  }

  // Settles an offer to a stream that did not simply take all of the flight, or to which something else
  // happened meanwhile.
  void end_offer(cohort& c, seat& s, std::size_t before, write_result const* answer) noexcept {
    if (s.place != detail::no_place && answer != nullptr && answer->status == write_status::ok &&
        before + answer->bytes == c.flight->bytes)
      return c.count_one();
    if (s.place != detail::no_place && step_out(s, true) != nullptr) s.alone->stream.begin_offer();
    if (s.alone == nullptr) {
      c.count_one();
      if (answer != nullptr && answer->status == write_status::pending && !s.landed) {
        s.in_flight = before == 0 ? held_write::to(*c.flight) : std::move(scratch_);
      }
      end_in_step(s, answer == nullptr ? close_reason::writer_threw : close_reason::no_memory);
      return;
    }
    s.acting = false;
    act(s, [&] {
      bool counted = false;
      auto const leave = [&](bool sends) {
        counted = true;
        if (!in_step::hand_over(s.alone->stream.source(), *c.leader, c.flight->batch, c.events(), sends)) {
          s.alone->evicted.store(true, std::memory_order_release);  // evicted before it had a hook
          ready_.add(*s.alone);
        }
      };
      s.alone->stream.end_offer(*c.flight, before, scratch_, answer, leave);
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
      if (!in_step::park(*c.at, *c.leader, delivered)) ready_.add(c);
      return;
    }
    c.unlink();
    if (delivered.events != 0) in_step::count(*c.at, delivered);
    cohorts_.free_if_unused(c);
  }

  // ---- time ----

  void beat() noexcept {
    if (timing_.heartbeat <= steady_duration::zero()) return;
    int beats = 0;
    auto const now = time_.now();
    for (auto* s = idle_.front();
         s != nullptr && now - s->seen >= timing_.heartbeat && beats++ < streams_a_turn; s = idle_.front()) {
      s->seen = now;
      s->unlink();
      idle_.insert(*s);
      s->stream.heartbeat();
      ready_.add(*s);
    }
    for (auto* c = beating_.front();
         c != nullptr && now - c->seen >= timing_.heartbeat && beats++ < streams_a_turn;
         c = beating_.front()) {
      c->seen = now;
      link(*c);
      if (c->in_round()) continue;  // its round sends bytes already
      c->beat_due = true;
      ready_.add(*c);
    }
  }

  void drop_stalled() noexcept {
    // If a blocked stream is queued, its socket has become writable: its turn is still to come, and with it
    // the next poll().
    int drops = 0;
    for (auto* s = blocked_.front();
         s != nullptr && drops++ < streams_a_turn && time_.has_stalled(s->seen) && !s->queued();
         s = blocked_.front()) {
      act(s->at, [&] { s->stream.close(close_reason::stalled); });
    }
  }

  [[nodiscard]] std::optional<steady_time> next_deadline() const noexcept {
    std::optional<steady_time> next;
    auto const consider = [&](std::optional<steady_time> due) { next = detail::earlier(next, due); };
    if (auto const* const s = idle_.front()) consider(detail::deadline(s->seen, timing_.heartbeat));
    if (auto const* const c = beating_.front()) consider(detail::deadline(c->seen, timing_.heartbeat));
    if (auto const* const s = blocked_.front()) {
      consider(time_.stall_of(s->seen));
      consider(time_.next_look());
    }
    return next;
  }

  loop_signal signal_;
  timing_options timing_;
  detail::watched_time time_;
  int inside_ = 0;       // a poll(), or a call that may call a writer, is under way
  bool ending_ = false;  // the reactor is being destroyed
  detail::broker_ticks<Traits> brokers_;
  std::size_t count_ = 0;
  detail::idle_list<slot> idle_;       // by the last byte sent, for heartbeats
  detail::idle_list<slot> blocked_;    // by the last byte taken, for stalls
  detail::idle_list<cohort> beating_;  // as idle_, for cohorts that have streams in step
  detail::ready_queue<Traits> ready_;
  held_write scratch_;
  held_write shared_scratch_;
  cohorts cohorts_;
  detail::slot_map<seat> slots_;  // last: the streams end before the members that they point to
};

/// A reactor with the default traits.
template <class Writer> using reactor = basic_reactor<Writer>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
