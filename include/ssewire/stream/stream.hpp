// SPDX-License-Identifier: MIT
// stream.hpp - one response that is being written: it joins a source, or none, and a writer.
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

/// One stream: it pulls events from its source, frames them, and offers them to its writer, as far as the
/// writer takes them. It has no thread, no clock and no lock of its own: you call pump(). Without a source it
/// sends what you give to send(): a language model's tokens, a progress bar. It is not movable, because a
/// writer may keep views of its bytes.
///
/// @par Threads  One thread at a time, except for the hook of its source.
template <class Writer, class Source = no_source> class stream {
 public:
  /// Without a source: it sends what you give to send().
  explicit stream(Writer to, stream_options options = {}) : pump_(std::move(to), std::move(options)) {}
  /// With a source. An empty one, as a refused subscribe() leaves it, makes a stream that is closed from the
  /// start, with close_reason::removed; the first pump() calls the writer's on_closed().
  stream(Writer to, Source from, stream_options options = {})
      : pump_(std::move(to), std::move(from), std::move(options)) {}

  /// The writer.
  [[nodiscard]] Writer& writer() noexcept { return pump_.writer(); }
  /// The source: to join and leave channels, to set a filter, to ask. To end it, end the stream.
  [[nodiscard]] Source& source() noexcept { return pump_.source(); }
  /// What the stream waits for.
  [[nodiscard]] stream_state state() const noexcept { return pump_.state(); }
  /// Why the stream is over; close_reason::none while it is not.
  [[nodiscard]] close_reason reason() const noexcept { return pump_.reason(); }

  /// The bytes that the writer took, also those of frames and chunks that are only begun.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return pump_.bytes_sent(); }
  /// The bytes that the stream itself keeps for a slow writer: what you gave to send(), and the rest of the
  /// write that was begun. The rest of a large event is not copied and does not count.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return pump_.held_bytes(); }
  /// Whether a pending write still waits for written(), also when the stream is closed: its bytes are in use.
  [[nodiscard]] bool sending() const noexcept { return pump_.sending(); }

  /// Sets the hook of the source. It runs on other threads. After wake::ready call pump(), after
  /// wake::evicted call evicted().
  void set_hook(wake_hook hook) noexcept { pump_.set_hook(hook); }

  /// Queues an event for this stream only; pump() sends it.
  ///
  /// @param e  Borrowed for the call. On a stream with a source it must have no ID, because the client's last
  ///   event ID belongs to the source.
  /// @return   closed, id_refused, outbox_full (the writer is slow, or pump() was not called), no_memory;
  ///   then nothing was queued, and the event is lost if you ignore the result.
  [[nodiscard]] errc send(event const& e) noexcept { return pump_.send(e); }
  /// Queues a comment for this stream only.
  ///
  /// @return  closed, outbox_full, no_memory, as send() does.
  [[nodiscard]] errc comment(std::string_view text) noexcept { return pump_.comment(text); }
  /// Queues an empty comment if the stream is idle; a busy or a blocked one needs none.
  void heartbeat() noexcept { pump_.heartbeat(); }

  /// Ends the stream in order: pump() sends what is queued, and the writer's on_closed() gets
  /// ending::complete.
  void finish() noexcept { pump_.finish(); }
  /// Ends the stream now, also in the middle of a frame: the writer's on_closed() gets ending::cut.
  void close(close_reason why = close_reason::removed) noexcept { pump_.close(why); }

  /// To be called when the hook said wake::evicted: ends the stream, in order if no frame is begun.
  void evicted() noexcept { pump_.evicted(); }
  /// The writer can take bytes again, after write_status::again.
  void writable() noexcept { pump_.writable(); }
  /// The pending write is over. When none is pending, the call does nothing.
  ///
  /// @param good  Whether its bytes were sent; false: the peer is gone.
  void written(bool good) noexcept { pump_.written(good); }

  /// Sets about how many bytes are pulled for one write from now on; see stream_options::max_write_bytes.
  void set_room(std::size_t bytes) noexcept { pump_.set_room(bytes); }

  /// Sends what there is to send, with eight writes at most.
  ///
  /// @return  What the stream waits for now.
  /// @throws  What the writer throws, and std::bad_alloc; the stream is closed then.
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
