// SPDX-License-Identifier: MIT
// pull_stream.hpp - drives one stream for a server that asks for bytes: libmicrohttpd, nghttp2, oat++,
// libwebsockets.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
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

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What a read brought.
enum class read_status : unsigned char {
  /// At least one; there may be more.
  bytes,
  /// Not now: suspend, then park().
  nothing,
  /// The stream is over, and all of it was read: end the response as a response should end.
  complete,
  /// The stream is over, perhaps inside an event: cut the connection, or reset the HTTP/2 stream.
  cut,
};

/// The word for it, for logs and counters. A static string.
constexpr std::string_view name(read_status e) noexcept {
  switch (e) {
  case read_status::bytes: return "bytes";
  case read_status::nothing: return "nothing";
  case read_status::complete: return "complete";
  case read_status::cut: return "cut";
  }
  return "unknown";
}

struct read_result {
  read_status status = read_status::nothing;
  /// That were written to the caller's memory; 0 unless `bytes`.
  std::size_t bytes = 0;
};

namespace detail {

// The caller's memory, for the time of a read. It answers `again` to each write, and so ends the pump's
// turn.
struct read_buffer {
  char* to = nullptr;
  std::size_t room = 0;
  ending end = ending::cut;

  write_result write(buffers pieces) noexcept {
    std::size_t taken = 0;
    for (auto const piece : pieces) {
      auto const part = piece.substr(0, room);
      to = std::copy(part.begin(), part.end(), to);
      room -= part.size();
      taken += part.size();
    }
    return {write_status::again, taken};
  }
  void on_closed(close_reason, ending how) noexcept { end = how; }
};

}  // namespace detail

/// One stream whose server asks "at most n bytes, please", and can be told to ask again. Without a
/// subscription it sends what send() is given.
/// Order       read(). When it brought nothing: make the server wait (suspend the connection, defer), then
///             park(). If that is false there is something again: resume, or read at once. A server that
///             waits only behind its callback, as nghttp2, parks before it returns from that.
/// Threads     one at a time, the hook apart. Each call may call the hook, as the last thing it does: the
///             hook may also destroy the stream. Not from inside its filter. Not movable.
template <class Source = no_source> class pull_stream {
 public:
  /// Without a subscription: it sends what send() is given.
  /// Input       `options`: max_write_bytes is the most that one read looks at, whatever room there is.
  explicit pull_stream(stream_options options = {}, timing_options timing = {})
      : timer_(timing), most_(options.max_write_bytes), stream_({}, std::move(options)) {}
  /// With one. An empty one, as a refused subscribe() leaves it, makes a stream that is over from the start:
  /// read() says `cut`.
  explicit pull_stream(Source from, stream_options options = {}, timing_options timing = {})
      : timer_(timing), most_(options.max_write_bytes), stream_({}, std::move(from), std::move(options)) {}
  pull_stream(pull_stream const&) = delete;
  pull_stream& operator=(pull_stream const&) = delete;

  /// Who is called: with `ready` once for each park() that was true, when there is something to read, if
  /// only its end; with `evicted` at most once, when the stream is over and was not parked: the server is
  /// busy with bytes that it has got, or cannot send any, and may not ask again for long. Then shut the
  /// connection down; do not resume it. Publishers, drain(), tick() and the broker's end call it on their
  /// threads, and these of its own on theirs: send(), comment(), finish(), close(), poll(). Set it once,
  /// before the first read.
  void set_hook(wake_hook hook) noexcept {
    hook_ = hook;
    stream_.set_hook({&on_wake, this});
  }

  /// Takes the next bytes: what is left of an event that was begun, what was sent to it alone, and then of
  /// what follows in its channels whole events, as many as have room, but at least a part of one.
  /// Input       `to`: room for `n` bytes. An `n` of 0 brings nothing, and park() says whether there is
  ///             something.
  /// Errors      no memory, and a filter that throws, end the stream: `cut`.
  read_result read(char* to, std::size_t n) noexcept {
    if (reading_) return {};  // its filter asks
    waiting_.store(waiting::no, std::memory_order_relaxed);
    ++reads_;
    notice_eviction();
    auto& buffer = stream_.writer();
    buffer.to = to;
    buffer.room = n;
    reading_ = true;
    for (bool more = true; more && buffer.room != 0 && !is_over();) {
      more = stream_.held_bytes() != 0;              // that goes first, and what is pulled behind it
      detail::try_call([&] { pump(buffer.room); });  // what it threw has closed the stream
    }
    reading_ = false;
    if (buffer.room != n) return {read_status::bytes, n - buffer.room};
    scratch_.reset();
    if (!is_over()) return {};
    return {buffer.end == ending::complete ? read_status::complete : read_status::cut, 0};
  }

  /// True: there is nothing to read, and the hook will be called once when there is; it may have been before
  /// this returns. False: read now.
  [[nodiscard]] bool park() noexcept {
    if (reading_ || !has_nothing() || is_over()) return false;
    waiting_.store(waiting::no, std::memory_order_relaxed);
    if (!stream_.park_source()) return false;
    auto nobody = waiting::no;  // or it was woken since: then its hook was not called, and will not be
    return waiting_.compare_exchange_strong(nobody, waiting::parked, std::memory_order_acq_rel);
  }

  /// Queues an event for this stream only. See basic_stream::send.
  [[nodiscard]] errc send(event const& e) noexcept { return then_wake(stream_.send(e)); }
  /// Queues a comment for this stream only.
  [[nodiscard]] errc comment(std::string_view text) noexcept { return then_wake(stream_.comment(text)); }

  /// Ends the stream in order: what is queued is read, then it is finished.
  void finish() noexcept {
    stream_.finish();
    wake_up();
  }

  /// Ends the stream now: the next read says `cut`. Of a peer that has gone: peer_gone.
  void close(close_reason why = close_reason::removed) noexcept {
    stream_.close(why);
    wake_up();
  }

  /// Lets time pass: queues a heartbeat that is due, and ends a stream that has something to read and was
  /// not read for the stall time, as behind an HTTP/2 window that stays shut.
  /// Returns     when to be polled next, at the latest; never, if it is over. It looks twice in each
  ///             interval, for reads do not know the time: what it does happens after 1 to 1.5 times that.
  std::optional<steady_time> poll(steady_time now) noexcept {
    notice_eviction();
    if (is_over()) return std::nullopt;
    bool const idle = is_idle();
    timer_.look(idle ? stream_.bytes_sent() : reads_, !idle, now);
    if (timer_.is_due()) {
      if (!idle) {
        stream_.close(close_reason::stalled);
        call_evicted();
        return std::nullopt;
      }
      stream_.heartbeat();
    }
    auto const next = timer_.next_look();
    if (stream_.held_bytes() != 0) wake_up();
    return next;
  }

  /// Its subscription: to join and leave channels, to set a filter, to ask. To end it, end the stream.
  [[nodiscard]] Source& source() noexcept { return stream_.source(); }
  /// Why it is over; close_reason::none while it is not.
  [[nodiscard]] close_reason reason() const noexcept { return stream_.reason(); }
  /// Bytes that were read.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return stream_.bytes_sent(); }
  /// Bytes it keeps of its own: what was sent to it alone, and the rest of an event that was begun, up to 16
  /// KiB.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return stream_.held_bytes(); }

 private:
  using stream = detail::pump<detail::read_buffer, Source>;

  enum class waiting : unsigned char {
    no,
    parked,  // and whoever changes this calls the hook
    woken,   // since the last read or park
  };

  [[nodiscard]] bool is_over() const noexcept { return stream_.state() == stream_state::closed; }

  // The last read brought nothing, and nothing was queued since.
  [[nodiscard]] bool has_nothing() const noexcept {
    return stream_.state() == stream_state::idle && stream_.held_bytes() == 0;
  }

  [[nodiscard]] bool is_idle() const noexcept {
    return has_nothing() && waiting_.load(std::memory_order_relaxed) != waiting::woken;
  }

  void pump(std::size_t room) {
    bool const chunked = stream_.body() == framing::chunked;
    room -= chunked ? (std::min)(room, detail::chunk_overhead) : 0;
    stream_.set_room((std::min)(room, most_));
    stream_.run(scratch_, [](Source&) { return true; });  // park() does it
    stream_.writable();
  }

  void notice_eviction() noexcept {
    if (evicted_.exchange(false, std::memory_order_acquire)) stream_.evicted();
  }

  errc then_wake(errc error) noexcept {
    if (error == errc::ok) wake_up();
    return error;
  }

  // The last of what a call does: the hook may destroy this.
  void wake_up() noexcept {
    auto parked = waiting::parked;
    if (waiting_.compare_exchange_strong(parked, waiting::woken, std::memory_order_acq_rel))
      call(wake::ready);
  }
  void call(wake why) noexcept {
    if (auto const hook = hook_; hook.call != nullptr) hook.call(hook.context, why);
  }

  void call_evicted() noexcept {
    if (!told_evicted_.exchange(true, std::memory_order_relaxed)) call(wake::evicted);
  }

  // On a publisher's thread.
  static void on_wake(void* self, wake why) noexcept {
    auto& s = *static_cast<pull_stream*>(self);
    if (why == wake::evicted) s.evicted_.store(true, std::memory_order_release);
    if (s.waiting_.exchange(waiting::woken, std::memory_order_acq_rel) == waiting::parked) {
      s.call(wake::ready);
    } else if (why == wake::evicted) {
      s.call_evicted();
    }
  }

  wake_hook hook_ = {};
  detail::idle_timer timer_;
  std::size_t most_;
  std::atomic<waiting> waiting_{waiting::no};
  std::atomic<bool> evicted_{false};       // by the broker, and the stream does not know yet
  std::atomic<bool> told_evicted_{false};  // by the hook
  bool reading_ = false;
  std::uint64_t reads_ = 0;
  detail::held_write<typename stream::batch> scratch_;  // from the first read until one brings nothing
  stream stream_;  // last: when its subscription has ended, the hook is not running
};

template <source Source> pull_stream(Source) -> pull_stream<Source>;
template <source Source> pull_stream(Source, stream_options) -> pull_stream<Source>;
template <source Source> pull_stream(Source, stream_options, timing_options) -> pull_stream<Source>;
pull_stream()->pull_stream<>;
pull_stream(stream_options)->pull_stream<>;
pull_stream(stream_options, timing_options)->pull_stream<>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
