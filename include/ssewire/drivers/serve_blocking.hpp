// SPDX-License-Identifier: MIT
// serve_blocking.hpp - drives one stream on its own thread, for servers that give each request a thread:
// cpp-httplib, CivetWeb, POCO.
#pragma once

#include <ssewire/core/callback.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/detail/borrowed_writer.hpp>
#include <ssewire/drivers/timing.hpp>
#include <ssewire/stream/detail/pump.hpp>
#include <ssewire/stream/options.hpp>
#include <ssewire/stream/source.hpp>
#include <ssewire/stream/state.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <version>

#if defined(__cpp_lib_shared_mutex)  // the standard library has threads
#include <condition_variable>
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

template <class Source> struct find_traits { using type = default_traits; };
template <class Source>
  requires requires { typename Source::traits; }
struct find_traits<Source> {
  using type = typename Source::traits;
};
// The traits whose mutex and condition variable the drivers of a source use.
template <class Source> using traits_of = typename find_traits<Source>::type;

// The condition variable it waits on: the traits' own, if that can wait for a time.
template <class Traits> struct blocking_wait {
#if defined(__cpp_lib_shared_mutex)
  using type = std::condition_variable;
#else
  using type = typename Traits::condition_variable;
#endif
};
template <class Traits>
  requires requires(typename Traits::condition_variable& c, std::unique_lock<typename Traits::mutex>& held) {
    c.wait_until(held, steady_time());
  }
struct blocking_wait<Traits> {
  using type = typename Traits::condition_variable;
};

}  // namespace detail

/// What serve_blocking does while there is nothing to send.
struct blocking_options {
  /// A comment is sent after this time without a byte, because proxies cut idle streams at 30 to 60 s. 0:
  /// none.
  steady_duration heartbeat = std::chrono::seconds(15);
  /// Called each second: is the peer still there? false ends the stream with close_reason::peer_gone, so that
  /// a closed tab frees its thread within a second, and not at the second heartbeat. Write
  /// `callback<bool()>::of(callable)`; the callable must not wait, and must outlive the call. None: only a
  /// write notices.
  callback<bool()> alive = {};
};

/// Sends a source's events, and returns when the stream has ended. It sleeps while there is nothing to send.
///
/// A peer that has gone is noticed when a write fails. Over TCP that is the second write after it went, so
/// within two heartbeats; or within a second if blocking_options::alive can see it.
///
/// @param from     The source, a subscription for example. With an empty one, as a refused subscribe() leaves
///   it, there is nothing to send.
/// @param to       Its write() blocks until bytes are taken, and answers `ok` or `closed`. Give the socket a
///   send timeout, because a blocked write cannot be woken. When the timeout has passed, answer `again` with
///   no bytes. Two such answers in a row end the stream as stalled. One does not: the timeout also passes
///   while the process stands still, and then the next write finds the room that the peer has made. So a dead
///   peer is noticed after two send timeouts. After the broker has ended the stream, the first write that
///   takes only a part of the first piece is the last. A non-blocking writer belongs to a reactor.
/// @param options  How the stream is written.
/// @param idle     What happens while there is nothing to send.
/// @return         Why the stream ended; with an empty subscription `removed`, at once.
/// @throws         What `to` throws, and std::bad_alloc; the subscription is closed then.
/// @par Threads    The caller's. It is the only driver that reads std::chrono::steady_clock.
template <source Source, class Writer>
close_reason serve_blocking(Source from, Writer& to, stream_options options = {},
                            blocking_options idle = {}) {
  detail::check_writer<Writer>();
  using clock = steady_time::clock;
  using Traits = detail::traits_of<Source>;

  struct doorbell {
    typename Traits::mutex guard;
    typename detail::blocking_wait<Traits>::type rung;
    bool woken = false;
    std::atomic<bool> evicted{false};

    void operator()(wake why) noexcept {
      std::unique_lock const held(guard);
      woken = true;
      if (why == wake::evicted) evicted.store(true, std::memory_order_relaxed);
      rung.notify_all();  // under the lock: the stream may be gone as soon as it is released
    }
  } doorbell;

  // Without this a peer that takes a byte now and then could keep a stream that the broker has ended.
  struct told_writer : detail::borrowed_writer<Writer> {
    std::atomic<bool> const& evicted;
    detail::pump<told_writer, Source>* of = nullptr;
    int timeouts = 0;  // in a row

    write_result write(buffers b) {
      auto const answer = this->to->write(b);
      bool const timed_out = answer.status == write_status::again && answer.bytes == 0;
      timeouts = timed_out ? timeouts + 1 : 0;
      if (evicted.load(std::memory_order_relaxed)) {
        std::size_t offered = 0;
        for (auto const piece : b) offered += piece.size();
        // Not `offered`: a writer may send only the first piece, however fast its peer is.
        if (detail::taken_of(answer, offered) < b.front().size()) of->evicted();
      }
      return answer;
    }
  };

  detail::pump<told_writer, Source> stream({{&to}, doorbell.evicted}, std::move(from), std::move(options));
  stream.writer().of = &stream;
  stream.set_hook(wake_hook::of(doorbell));
  detail::held_write<typename Source::batch> scratch;
  auto const ticker = detail::ticker_of(stream.source());
  auto last_sent = clock::now();
  auto sent_by_then = stream.bytes_sent();
  constexpr auto between_questions = std::chrono::seconds(1);
  auto next_question = last_sent + between_questions;
  for (;;) {
    auto const state = stream.run(scratch);
    auto const next_tick = state == stream_state::closed ? std::nullopt : ticker(clock::now());
    switch (state) {
    case stream_state::more: break;
    case stream_state::closed: return stream.reason();
    case stream_state::pending: stream.close(close_reason::writer_broke_contract); return stream.reason();
    case stream_state::blocked:
      if (stream.writer().timeouts >= 2) stream.close(close_reason::stalled);
      stream.writable();
      break;
    case stream_state::idle: {
      if (std::exchange(sent_by_then, stream.bytes_sent()) != stream.bytes_sent()) last_sent = clock::now();
      std::unique_lock held(doorbell.guard);
      auto const beat = detail::deadline(last_sent, idle.heartbeat);
      auto until = detail::earlier(beat, next_tick);
      if (idle.alive) until = detail::earlier(until, next_question);
      while (!doorbell.woken && !(until && clock::now() >= *until)) {
        if (until) {
          doorbell.rung.wait_until(held, *until);
        } else {
          doorbell.rung.wait(held);
        }
      }
      bool const woken = std::exchange(doorbell.woken, false);
      held.unlock();
      auto const now = clock::now();
      bool const asks = idle.alive && now >= next_question;  // also if its filter refuses all that wakes it
      if (asks) next_question = now + between_questions;
      if (asks && !idle.alive()) {
        stream.close(close_reason::peer_gone);
      } else if (!woken && beat && now >= *beat) {
        stream.heartbeat();
      }
      break;
    }
    }
  }
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
