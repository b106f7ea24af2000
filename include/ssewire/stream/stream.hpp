// SPDX-License-Identifier: MIT
// stream.hpp - one response being written: a source, or none, meets a writer.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/stream/detail/pump.hpp>
#include <ssewire/stream/options.hpp>
#include <ssewire/stream/source.hpp>
#include <ssewire/stream/state.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// One stream: pulls from its source, frames, and offers to its writer, as far as that takes it. It has no
/// thread, no clock and no lock of its own; you, or a driver, call pump(). Without a source it sends what
/// send() is given: a language model's tokens, a progress bar.
/// Threads     one at a time, the hook of its source apart. Not movable: a writer may hold on to its bytes.
/// Exceptions  what the writer throws, and std::bad_alloc, leave pump(); the stream is closed then.
template <class Writer, class Source = no_source> class stream {
 public:
  /// Without a source: it sends what send() is given.
  explicit stream(Writer to, stream_options options = {}) : pump_(std::move(to), std::move(options)) {}
  /// With one. An empty one, as a refused subscribe() leaves it, makes a stream that is closed from the
  /// start, with close_reason::removed; its writer hears that from the first pump().
  stream(Writer to, Source from, stream_options options = {})
      : pump_(std::move(to), std::move(from), std::move(options)) {}

  [[nodiscard]] Writer& writer() noexcept { return pump_.writer(); }
  /// Its source: to join and leave channels, to set a filter, to ask. To end it, end the stream.
  [[nodiscard]] Source& source() noexcept { return pump_.source(); }
  [[nodiscard]] stream_state state() const noexcept { return pump_.state(); }
  /// Why it is over; close_reason::none while it is not.
  [[nodiscard]] close_reason reason() const noexcept { return pump_.reason(); }

  /// The bytes that the writer took, also those of frames and chunks that it has begun.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return pump_.bytes_sent(); }
  /// The bytes that it keeps of its own for a slow writer: what was sent to it alone, and the rest of what
  /// the writer has begun. The rest of a large event is not copied and does not count.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return pump_.held_bytes(); }
  /// Whether a pending write has not been answered by written(), also when the stream is closed: its bytes
  /// are in use.
  [[nodiscard]] bool sending() const noexcept { return pump_.sending(); }

  /// The hook of its source: call pump() when it says `ready`, evicted() when it says that. It runs on other
  /// threads.
  void set_hook(wake_hook hook) noexcept { pump_.set_hook(hook); }

  /// Queues an event for this stream only; pump() sends it. On a stream with a source it must have no ID,
  /// for the client's last event ID belongs to the source there.
  /// Errors      closed, id_refused, outbox_full (its writer is slow, or pump() was not called), no_memory;
  ///             then nothing was queued: what is ignored here is lost.
  [[nodiscard]] errc send(event const& e) noexcept { return pump_.send(e); }
  /// Queues a comment for this stream only. Errors as of send().
  [[nodiscard]] errc comment(std::string_view text) noexcept { return pump_.comment(text); }
  /// Queues a comment if the stream is idle; a busy or a blocked one needs none.
  void heartbeat() noexcept { pump_.heartbeat(); }

  /// Ends the stream in order: what is queued is sent, then the writer hears `complete`.
  void finish() noexcept { pump_.finish(); }
  /// Ends the stream now, also in the middle of a frame: the writer hears `cut`.
  void close(close_reason why = close_reason::removed) noexcept { pump_.close(why); }

  /// The hook said `evicted`: ends the stream, in order if no frame is begun.
  void evicted() noexcept { pump_.evicted(); }
  /// The writer can take bytes again: after write_status::again.
  void writable() noexcept { pump_.writable(); }
  /// What was pending has been sent, or, with false, cannot be: the peer is gone. Calls that come when
  /// nothing is pending mean nothing.
  void written(bool good) noexcept { pump_.written(good); }

  /// From now on, about so many bytes are pulled for one write; see stream_options::max_write_bytes.
  void set_room(std::size_t bytes) noexcept { pump_.set_room(bytes); }

  /// Sends what there is to send, eight writes of it at most, and says what it waits for.
  stream_state pump() { return pump_.run(); }

 private:
  detail::pump<Writer, Source> pump_;
};

template <class Writer> stream(Writer) -> stream<Writer>;
template <class Writer> stream(Writer, stream_options) -> stream<Writer>;
template <class Writer, source Source> stream(Writer, Source) -> stream<Writer, Source>;
template <class Writer, source Source> stream(Writer, Source, stream_options) -> stream<Writer, Source>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
