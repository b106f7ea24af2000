// SPDX-License-Identifier: MIT
// reactor.hpp - drives the streams of one event loop: epoll, poll, kqueue, libuv, a game loop. One signal wakes the loop
// for all of its streams; one call a turn serves them.
#pragma once

#include <ssewire/broker.hpp>
#include <ssewire/detail/activity_list.hpp>
#include <ssewire/detail/attempt.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/stream.hpp>
#include <ssewire/traits.hpp>
#include <ssewire/writer.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
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
      if (s) act(*s, [&] { s->stream.abort(); });
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
          turn_.reserve(room);
          {
            std::unique_lock const held(ready_guard_);
            ready_.reserve(room);  // so that a hook, which must not fail, never allocates
          }
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
      idle_.push_back(s);
      s.stream.set_hook({&slot::woken, &s});
      enqueue(s);
      result = {s.id, errc::ok};
    });
    return result;
  }

  /// The socket can take bytes again: after write_status::again. The next poll() goes on.
  void writable(stream_id id) noexcept {
    if (auto* const s = find(id)) {
      s->stream.writable();
      enqueue(*s);
    }
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
    act(*s, [&] { s->stream.written(good); });
    if (find(id) != nullptr) enqueue(*s);
  }

  /// Drops a stream: its socket is gone, or is no longer wanted. Its writer hears abort() and on_closed() before this
  /// returns, or, from inside its own write(), after that.
  void remove(stream_id id, close_reason why = close_reason::removed) noexcept {
    if (auto* const s = find(id)) act(*s, [&] { s->stream.abort(why); });
  }

  /// Ends a stream in order, after what is queued for it.
  void finish(stream_id id) noexcept {
    if (auto* const s = find(id)) {
      s->stream.finish();
      enqueue(*s);
    }
  }

  /// Queues an event for one stream only. See basic_stream::send; `closed` also when there is no such stream.
  errc send(stream_id id, event const& e) noexcept {
    auto* const s = find(id);
    if (s == nullptr) return errc::closed;
    auto const error = s->stream.send(e);
    if (error == errc::ok) enqueue(*s);
    return error;
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
    for (int served = 0; served < streams_a_turn && next_in_turn_ < turn_.size(); ++served) {
      serve(*turn_[next_in_turn_++]);
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

  // What a stream waits for; the lists are in the order of `seen`, so only their fronts are ever looked at.
  struct slot : detail::activity_node<slot> {
    slot(basic_reactor& r, Writer&& to, subscription&& from, stream_options&& options)
        : owner(r), stream(std::move(to), std::move(from), std::move(options)) {}

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
    std::atomic<bool> queued{false};                  // in ready_ or in what is left of turn_
    std::atomic<bool> evicted{false};
    bool waits = false;   // in blocked_, not in idle_
    bool dead = false;    // ended; freed when nothing points to it any more
    bool acting = false;  // a call into it is under way
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

  // Puts a stream into the next turn. Who finds it there already leaves it to that turn, which sees all that was
  // published before: the exchange orders the two. Returns whether the loop must be told; on the loop's own thread it
  // need not be, for every turn ends with poll().
  bool enqueue(slot& s, bool from_outside = false) noexcept {
    if (s.queued.exchange(true, std::memory_order_acq_rel)) return false;
    std::unique_lock const held(ready_guard_);
    ready_.push_back(&s);
    return from_outside && !std::exchange(signaled_, true);
  }

  void serve(slot& s) noexcept {
    s.queued.exchange(false, std::memory_order_acq_rel);
    if (s.dead) {
      free_if_unused(s);
      return;
    }
    act(s, [&] {
      if (s.evicted.exchange(false, std::memory_order_acq_rel)) s.stream.evicted();
      if (!detail::attempt([&] { s.stream.pump(scratch_); }))
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
    bool const moved = s.sent != s.stream.bytes_sent();
    if (moved || waits != s.waits) {
      s.sent = s.stream.bytes_sent();
      s.seen = now_;
      s.waits = waits;
      s.unlink();
      (waits ? blocked_ : idle_).push_back(s);
    }
    if (state == stream_state::more) enqueue(s);
  }

  void bury(slot& s) noexcept {
    s.dead = true;
    s.unlink();
    --count_;
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

  void beat() noexcept {
    if (timing_.heartbeat <= duration::zero()) return;
    int beats = 0;
    for (auto* s = idle_.front();
         s != nullptr && now_ - s->seen >= timing_.heartbeat && beats++ < streams_a_turn; s = idle_.front()) {
      s->seen = now_;
      s->unlink();
      idle_.push_back(*s);
      s->stream.heartbeat();
      enqueue(*s);
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
    auto const consider = [&](slot const* s, duration after) {
      if (s == nullptr) return;
      auto const due = detail::deadline(s->seen, after);
      if (due && (!next || *due < *next)) next = due;
    };
    consider(idle_.front(), timing_.heartbeat);
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
  detail::activity_list<slot> idle_;     // by the last byte sent: heartbeats
  detail::activity_list<slot> blocked_;  // by the last byte taken: stalls
  std::vector<slot*> turn_;              // being served
  std::size_t next_in_turn_ = 0;
  std::unique_ptr<detail::flight<Traits>> scratch_;

  typename Traits::mutex ready_guard_;
  std::vector<slot*> ready_;  // to be served in the next turn
  bool signaled_ = false;

  std::vector<std::unique_ptr<slot>> slots_;  // last: their streams end before what they point to goes
};

template <class Writer> using reactor = basic_reactor<Writer>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
