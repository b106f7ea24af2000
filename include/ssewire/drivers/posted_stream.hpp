// SPDX-License-Identifier: MIT
// posted_stream.hpp - drives one stream on an executor that runs closures: an Asio strand, Qt's queued calls,
// Drogon's queueInLoop, uWebSockets' defer. Publishers post a task; everything else happens on the executor.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/detail/idle_timer.hpp>
#include <ssewire/drivers/timing.hpp>
#include <ssewire/stream/detail/pump.hpp>
#include <ssewire/stream/options.hpp>
#include <ssewire/stream/source.hpp>
#include <ssewire/stream/state.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

template <class Writer, class Post, class Source> class posted_stream;

/// Makes a stream that lives on an executor. Nothing is written before start().
///
/// @param to       The writer.
/// @param post     `post(task)` makes the executor call `task()` once, later or at once. A task is copyable.
///   Publishers post from their threads; each calls a copy of `post`. It must not wait for the executor.
/// @param from     An empty one, as a refused subscribe() leaves it, makes a stream that is closed from the
///   start, with close_reason::removed; start() calls the writer's on_closed().
/// @param options  How the stream is written.
/// @param timing   When poll() acts.
/// @return         The only reference to the stream. Dropping the last reference ends the stream, as close()
///   does.
/// @throws         std::bad_alloc, and what moving the writer and copying `post` throw; the subscription is
///   closed then.
/// @par Threads    The executor's.
template <class Writer, class Post, source Source>
[[nodiscard]] std::shared_ptr<posted_stream<Writer, Post, Source>>
post_stream(Writer to, Post post, Source from, stream_options options = {}, timing_options timing = {});
/// The same without a source: the stream sends what you give to send().
template <class Writer, class Post>
[[nodiscard]] std::shared_ptr<posted_stream<Writer, Post, no_source>>
post_stream(Writer to, Post post, stream_options options = {}, timing_options timing = {});

/// One stream on its executor.
///
/// If `post` throws or the executor loses a task, no event is lost: the next poll(), or any other call, sends
/// what there is; and the second poll() that finds the same task posts a new one.
///
/// @par Lifetime  It ends when the program drops the last reference. References belong to what waits for the
///   peer to go: a timer, a session. The completion of a `pending` write must hold one. Tasks hold none: a
///   late task finds no stream, and so no publisher ever destroys one. If the writer itself holds a
///   reference, the stream never ends.
/// @par Threads   One thread at a time, the executor's, also from inside the writer and for the destructor.
///   An executor with several threads needs a strand. Publishers reach the stream by `post` alone.
template <class Writer, class Post, class Source = no_source>
class posted_stream : public std::enable_shared_from_this<posted_stream<Writer, Post, Source>> {
  struct made_by_post_stream {};

 public:
  /// The argument of `post`.
  class task {
   public:
    /// Goes on with the stream, if it still exists.
    void operator()() const noexcept {
      if (auto const s = of_.lock()) s->run();
    }

   private:
    friend posted_stream;
    explicit task(std::weak_ptr<posted_stream> of) noexcept : of_(std::move(of)) {}

    std::weak_ptr<posted_stream> of_;
  };

  /// For post_stream() alone. `from` is a source, or nothing.
  template <class... From>
  posted_stream(made_by_post_stream, Writer&& to, Post&& post, stream_options&& options,
                timing_options timing, From&&... from)
      : post_(std::move(post)), timer_(timing),
        stream_(std::move(to), std::move(from)..., std::move(options)) {
    static_assert(std::is_copy_constructible_v<Post>, "`post` is copied for each call");
    static_assert(std::is_invocable_v<Post&, task>, "`post` is called with a task");
  }
  posted_stream(posted_stream const&) = delete;
  posted_stream& operator=(posted_stream const&) = delete;

  /// Begins to write, as poll() does.
  void start() noexcept {
    auto const keep = kept();
    go_on();
  }

  /// The writer can take bytes again, after write_status::again. Goes on writing.
  void writable() noexcept {
    auto const keep = kept();
    stream_.writable();
    go_on();
  }

  /// The pending write is over; goes on writing. Call this once for every pending write, also after
  /// on_closed().
  ///
  /// @param good  Whether its bytes were sent. false: the peer is gone, and the writer's on_closed() is
  ///   called before this returns.
  void written(bool good) noexcept {
    auto const keep = kept();
    stream_.written(good);
    go_on();
  }

  /// Queues an event for this stream only, and posts a task that sends all that is queued until then.
  /// See stream::send().
  [[nodiscard]] errc send(event const& e) noexcept {
    auto const error = stream_.send(e);
    if (error == errc::ok) ask_if_awake();
    return error;
  }

  /// Queues a comment, as send() queues an event.
  [[nodiscard]] errc comment(std::string_view text) noexcept {
    auto const error = stream_.comment(text);
    if (error == errc::ok) ask_if_awake();
    return error;
  }

  /// Ends the stream in order, after what is queued for it, by a task.
  void finish() noexcept {
    stream_.finish();
    ask_if_awake();
  }

  /// Drops the stream: its socket is gone, or is no longer wanted. The writer's on_closed() is called before
  /// this returns; if this is called from inside write(), after write(). Then no task touches the writer any
  /// more.
  void close(close_reason why = close_reason::removed) noexcept {
    auto const keep = kept();
    stream_.close(why);
  }

  /// Does what is due: sends a heartbeat, ends a stalled peer, does the work of a lost task; ticks the
  /// broker.
  ///
  /// @return  When to call it again, by a timer of the stream's own or one for many; nothing: never. The
  ///   stream has no clock, so it asks for at least two calls in each interval: a heartbeat comes after 1 to
  ///   1.5 times its interval.
  std::optional<steady_time> poll(steady_time now) noexcept {
    auto const keep = kept();
    auto const next_tick = detail::ticker_of(stream_.source())(now);
    bool const has_task = posted_.load(std::memory_order_relaxed);
    if (std::exchange(had_task_, has_task) && has_task) {
      posted_.store(false, std::memory_order_relaxed);
      had_task_ = false;
    }
    go_on();
    look(now);
    if (timer_.is_due() && is_waiting()) {
      stream_.close(close_reason::stalled);
    } else if (timer_.is_due() && stream_.state() == stream_state::idle) {
      stream_.heartbeat();
      go_on();
      look(now);
    }
    if (stream_.state() == stream_state::closed) return std::nullopt;
    return detail::earlier(timer_.next_look(), next_tick);
  }

  /// What the stream waits for.
  [[nodiscard]] stream_state state() const noexcept { return stream_.state(); }
  /// Why the stream is over; close_reason::none while it is not.
  [[nodiscard]] close_reason reason() const noexcept { return stream_.reason(); }
  /// The writer.
  [[nodiscard]] Writer& writer() noexcept { return stream_.writer(); }
  /// The source: to join and leave channels, to set a filter, to ask. To end it, end the stream.
  [[nodiscard]] Source& source() noexcept { return stream_.source(); }

 private:
  template <class W, class P, ssewire::source S>
  friend std::shared_ptr<posted_stream<W, P, S>> post_stream(W, P, S, stream_options, timing_options);
  template <class W, class P>
  friend std::shared_ptr<posted_stream<W, P, no_source>> post_stream(W, P, stream_options, timing_options);

  // For calls that call the writer, which may drop the last reference. Null: it is being destroyed.
  [[nodiscard]] std::shared_ptr<posted_stream> kept() noexcept { return this->weak_from_this().lock(); }

  // On a publisher's thread. The end of the subscription waits for this to return, so `self` lives, unless
  // the task is run at once and ends it.
  static void woken(void* self, wake why) noexcept {
    auto& s = *static_cast<posted_stream*>(self);
    if (why == wake::evicted) s.evicted_.store(true, std::memory_order_release);
    s.ask();
  }

  // Posts a task, unless there is one that has not begun: that one will see all that happened before. After
  // this the stream may be gone.
  void ask() noexcept {
    if (posted_.exchange(true, std::memory_order_acq_rel)) return;
    auto const of = this->weak_from_this();
    bool const done = detail::try_call([&] {
      auto post = post_;  // its own, for what it runs at once may end the stream
      post(task(of));
    });
    if (!done && !of.expired()) posted_.store(false, std::memory_order_release);
  }

  // Posts nothing if a turn is under way, which will send it, or if the writer is waited for.
  void ask_if_awake() noexcept {
    auto const state = stream_.state();
    if (!turning_ && (state == stream_state::idle || state == stream_state::more)) ask();
  }

  // A task.
  void run() noexcept {
    posted_.exchange(false, std::memory_order_acq_rel);
    had_task_ = false;
    again_ = turning_;  // it was run at once
    go_on();
  }

  // One turn; the next is a task, so that others have theirs.
  void go_on() noexcept {
    if (std::exchange(turning_, true)) return;
    do {
      again_ = false;
      if (evicted_.exchange(false, std::memory_order_acq_rel)) stream_.evicted();
      detail::try_call([&] { stream_.run(); });  // what it threw has closed the stream
      if (stream_.state() == stream_state::more) ask();
    } while (again_);
    turning_ = false;
  }

  [[nodiscard]] bool is_waiting() const noexcept {
    return stream_.state() == stream_state::blocked || stream_.state() == stream_state::pending;
  }

  void look(steady_time now) noexcept { timer_.look(stream_.bytes_sent(), is_waiting(), now); }

  Post post_;
  std::atomic<bool> posted_{false};  // there is a task that has not begun
  std::atomic<bool> evicted_{false};
  bool turning_ = false;
  bool again_ = false;     // a task was run at once, from inside a turn
  bool had_task_ = false;  // when it was polled last, and none has begun since
  detail::idle_timer timer_;
  detail::pump<Writer, Source> stream_;  // last: it ends before what its hook needs goes
};

template <class Writer, class Post, source Source>
std::shared_ptr<posted_stream<Writer, Post, Source>>
post_stream(Writer to, Post post, Source from, stream_options options, timing_options timing) {
  using made = posted_stream<Writer, Post, Source>;
  auto s = std::make_shared<made>(typename made::made_by_post_stream{}, std::move(to), std::move(post),
                                  std::move(options), timing, std::move(from));
  s->stream_.set_hook({&made::woken, s.get()});  // not earlier: the hook needs the reference count
  return s;
}

template <class Writer, class Post>
std::shared_ptr<posted_stream<Writer, Post, no_source>>
post_stream(Writer to, Post post, stream_options options, timing_options timing) {
  using made = posted_stream<Writer, Post, no_source>;
  return std::make_shared<made>(typename made::made_by_post_stream{}, std::move(to), std::move(post),
                                std::move(options), timing);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
