// SPDX-License-Identifier: MIT
// serve_blocking.hpp - drives one stream on its own thread, for servers that give each request one:
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
// Whose mutex and condition variable a source's drivers take.
template <class Source> using traits_of = typename find_traits<Source>::type;

// What it waits by: the traits' own, if that can wait for a time.
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
  /// A comment after so long without a byte: proxies cut idle streams at 30 to 60 s. 0: none.
  steady_duration heartbeat = std::chrono::seconds(15);
  /// Asked each second: is the peer still there? false ends the stream with close_reason::peer_gone, so that
  /// a closed tab frees its thread at once, and not at the second heartbeat.
  /// `callback<bool()>::of(callable)`; the callable must not wait, and must outlive the call. None: only a
  /// write notices.
  callback<bool()> alive = {};
};

/// Sends a subscription's events until the stream ends; only then it returns. Sleeps while there is nothing
/// to send.
/// Input       `to`: its write() blocks until bytes are taken, and answers `ok` or `closed`. Give the socket
///             a send timeout, for a blocked write cannot be woken; `again` with no bytes says that it has
///             passed. Twice in a row ends the stream as stalled: a timeout also passes while the process
///             stands still, and then the next write finds the room that its peer has made. So a dead peer
///             is noticed after two send timeouts. When the broker has ended it, a write that takes a part
///             only is the last. A non-blocking writer belongs to a reactor.
/// Returns     why it ended. For an empty subscription, which has nothing to send: `removed`, at once.
/// Throws      what `to` throws, and std::bad_alloc; the subscription is closed then.
/// Threads     the caller's. Reads std::chrono::steady_clock, the only driver that does. That the peer has
///             gone is seen when a write fails: the second one after that, over TCP, so within two
///             heartbeats; within a second if blocking_options::alive can see it.
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
      rung.notify_all();  // under the lock: the stream may be gone as soon as it is let go
    }
  } doorbell;

  // A peer that takes a byte now and then would keep a stream that the broker has ended for as long as it
  // likes.
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
        if (detail::taken_of(answer, offered) < offered) of->evicted();
      }
      return answer;
    }
  };

  detail::pump<told_writer, Source> stream({{&to}, doorbell.evicted}, std::move(from), std::move(options));
  stream.writer().of = &stream;
  stream.set_hook(wake_hook::of(doorbell));
  detail::held_write<typename Source::batch> scratch;
  auto last_sent = clock::now();
  auto sent_by_then = stream.bytes_sent();
  for (;;) {
    switch (stream.run(scratch)) {
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
      std::optional<steady_time> until = beat;
      if (idle.alive) {
        auto const next_question = clock::now() + std::chrono::seconds(1);
        until = beat ? (std::min)(*beat, next_question) : next_question;
      }
      while (!doorbell.woken && !(until && clock::now() >= *until)) {
        if (until) {
          doorbell.rung.wait_until(held, *until);
        } else {
          doorbell.rung.wait(held);
        }
      }
      bool const woken = std::exchange(doorbell.woken, false);
      held.unlock();
      if (!woken && idle.alive && !idle.alive()) {
        stream.close(close_reason::peer_gone);
      } else if (!woken && beat && clock::now() >= *beat) {
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
