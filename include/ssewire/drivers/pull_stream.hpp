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
#include <ssewire/stream/detail/writer_calls.hpp>
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

/// The result of a read.
enum class read_status : unsigned char {
  /// At least one byte was read; there may be more.
  bytes,
  /// There is nothing to read now: suspend the connection, then park().
  nothing,
  /// The stream is over, and all of it was read: end the response in order.
  complete,
  /// The stream is over, perhaps inside an event: cut the connection, or reset the HTTP/2 stream.
  cut,
};

/// The status in a word, for logs and counters. A static string.
constexpr std::string_view name(read_status e) noexcept {
  switch (e) {
  case read_status::bytes: return "bytes";
  case read_status::nothing: return "nothing";
  case read_status::complete: return "complete";
  case read_status::cut: return "cut";
  }
  return "unknown";
}

/// The result of a read, and how many bytes it wrote.
struct read_result {
  /// What to do.
  read_status status = read_status::nothing;
  /// The bytes written to the caller's memory; 0 unless the status is `bytes`.
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
template <> inline constexpr bool is_read_from<read_buffer> = true;

}  // namespace detail

/// One stream for a server that asks "at most n bytes, please", and that can be woken to ask again. Without a
/// source it sends what you give to send(). It is not movable.
///
/// Call read(). When there is nothing, make the server wait (suspend the connection, defer), then call
/// park(). If park() returns false there is something again: resume, or read at once. Some servers wait only
/// when their callback has returned, as nghttp2 does: there call park() before the callback returns.
///
/// @par Threads  One thread at a time, except for the hook. Each call may call the hook as its last action,
///   and the hook may destroy the stream. Make no call from inside the stream's filter.
template <class Source = no_source> class pull_stream {
 public:
  /// Without a source: it sends what you give to send().
  ///
  /// @param options  One read looks at max_write_bytes at most, however much room there is.
  /// @param timing   When poll() acts.
  explicit pull_stream(stream_options options = {}, timing_options timing = {})
      : timer_(timing), most_(options.max_write_bytes), stream_({}, std::move(options)) {}
  /// With a source. An empty one, as a refused subscribe() leaves it, makes a stream that is over from the
  /// start: read() says `cut`.
  explicit pull_stream(Source from, stream_options options = {}, timing_options timing = {})
      : timer_(timing), most_(options.max_write_bytes), stream_({}, std::move(from), std::move(options)) {}
  pull_stream(pull_stream const&) = delete;
  pull_stream& operator=(pull_stream const&) = delete;

  /// Sets the hook. Set it once, before the first read.
  ///
  /// @param hook   Called with wake::ready once for each park() that returned true, when there is something
  ///   to read, and be it only the end. Called with wake::evicted at most once, when the stream is over and
  ///   was not parked: the server is busy with bytes that it has, or cannot send any, and may not ask again
  ///   for long. Then shut the connection down; do not resume it.
  /// @par Threads  Publishers, drain(), tick() and the broker's destructor call the hook on their threads,
  ///   and so may poll() of any other stream of the broker, because it ticks; send(), comment(), finish(),
  ///   close() and poll() of this stream call it on theirs.
  void set_hook(wake_hook hook) noexcept {
    hook_ = hook;
    stream_.set_hook({&on_wake, this});
  }

  /// Takes the next bytes: first the rest of an event that was begun, then what you gave to send(), then
  /// whole events of the source, as many as have room, but at least a part of one. If an allocation fails or
  /// a filter throws, the stream ends with `cut`.
  ///
  /// @param to  Room for `n` bytes.
  /// @param n   With 0 nothing is read, and park() says whether there is something.
  /// @return    What was read, or why nothing was.
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
      more = stream_.held_bytes() != 0;              // that goes first; then more is pulled
      detail::try_call([&] { pump(buffer.room); });  // what it threw has closed the stream
    }
    reading_ = false;
    if (buffer.room != n) return {read_status::bytes, n - buffer.room};
    scratch_.reset();
    if (!is_over()) return {};
    return {buffer.end == ending::complete ? read_status::complete : read_status::cut, 0};
  }

  /// Waits for the hook.
  ///
  /// @return  true: there is nothing to read, and the hook will be called once when there is, perhaps even
  ///   before this returns. false: read now.
  [[nodiscard]] bool park() noexcept {
    if (reading_ || !has_nothing() || is_over()) return false;
    waiting_.store(waiting::no, std::memory_order_relaxed);
    if (!stream_.park_source()) return false;
    auto nobody = waiting::no;  // or it was woken since: then its hook was not called, and will not be
    return waiting_.compare_exchange_strong(nobody, waiting::parked, std::memory_order_acq_rel);
  }

  /// Queues an event for this stream only. See stream::send().
  [[nodiscard]] errc send(event const& e) noexcept { return then_wake(stream_.send(e)); }
  /// Queues a comment for this stream only.
  [[nodiscard]] errc comment(std::string_view text) noexcept { return then_wake(stream_.comment(text)); }

  /// Ends the stream in order: what is queued can still be read, then read() says `complete`.
  void finish() noexcept {
    stream_.finish();
    wake_up();
  }

  /// Ends the stream now: the next read() says `cut`. If the peer is gone, give close_reason::peer_gone.
  void close(close_reason why = close_reason::removed) noexcept {
    stream_.close(why);
    wake_up();
  }

  /// Lets time pass: queues a heartbeat that is due; ends the stream if it has something to read and was not
  /// read for the stall time, as with an HTTP/2 window that stays shut; ticks the broker.
  ///
  /// @return  When to call it again, at the latest; nothing: never, the stream is over. Reads do not know the
  ///   time, so it asks for two calls in each interval, and acts after 1 to 1.5 times the interval.
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
    auto const ticker = detail::ticker_of(stream_.source());
    if (stream_.held_bytes() != 0) wake_up();
    return detail::earlier(next, ticker(now));
  }

  /// The source: to join and leave channels, to set a filter, to ask. To end it, end the stream.
  [[nodiscard]] Source& source() noexcept { return stream_.source(); }
  /// Why the stream is over; close_reason::none while it is not.
  [[nodiscard]] close_reason reason() const noexcept { return stream_.reason(); }
  /// The bytes that were read.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return stream_.bytes_sent(); }
  /// The bytes that the stream itself keeps: what you gave to send(), and the rest of an event that was
  /// begun, up to 16 KiB.
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
