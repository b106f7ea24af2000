// SPDX-License-Identifier: MIT
// writer.hpp - what a user implements: something that takes bytes of a stream.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What became of the bytes that were offered to a writer.
enum class write_status : unsigned char {
  /// `bytes` of them were taken, 1 to all. The driver may offer the rest at once.
  ok,
  /// `bytes` of them were taken, 0 to all. The driver offers nothing until writable() is called on it.
  again,
  /// All of them are being sent. The library keeps them unchanged until written() is called on the driver.
  pending,
  /// The peer is gone. The driver offers nothing more.
  closed,
};

/// The status in a word, for labels. A static string.
constexpr std::string_view name(write_status status) noexcept {
  switch (status) {
  case write_status::ok: return "ok";
  case write_status::again: return "again";
  case write_status::pending: return "pending";
  case write_status::closed: return "closed";
  }
  return "unknown";
}

/// The answer of a writer to one offer.
struct write_result {
  /// What became of the bytes.
  write_status status = write_status::ok;
  /// How many bytes were taken, with `ok` and `again`. With `pending` and `closed` it is not read.
  std::size_t bytes = 0;
};

/// The bytes that are offered in one call, to be sent in this order. It is never empty, and no element is
/// empty.
///
/// @par Lifetime  The bytes are the library's. They live until write() returns; after `pending`, until
///   written() or the driver's destruction.
using buffers = std::span<std::string_view const>;

/// How the response ends for its peer.
enum class ending : unsigned char {
  /// Every byte of the stream was taken: end the response.
  complete,
  /// The stream stopped inside a frame, or against the peer's will: drop the connection.
  cut,
};

/// The ending in a word, for labels. A static string.
constexpr std::string_view name(ending how) noexcept {
  switch (how) {
  case ending::complete: return "complete";
  case ending::cut: return "cut";
  }
  return "unknown";
}

/// What a user implements: something that takes the bytes of one stream. Both members are required, so that a
/// misspelt one does not compile. An exception from write() closes this stream and harms no other.
///
/// | expression          | result         | meaning                                                            |
/// |---------------------|----------------|--------------------------------------------------------------------|
/// | `w.write(b)`        | `write_result` | tries to send `b`, a `buffers`; it may wait only if its driver may block |
/// | `w.on_closed(r, e)` | not read       | the stream is over: `r` is the `close_reason`, `e` an `ending`     |
///
/// on_closed() is the last call, made exactly once, on the driver's thread. An exception from it is ignored.
/// Each `pending` needs one call of written() on the driver, also after on_closed(): until then the library
/// keeps the bytes. Three answers close the stream with close_reason::writer_broke_contract: `ok` with no
/// bytes, `ok` or `again` with more bytes than were offered, and a status that is none of the four. If the
/// writer must be offered exactly the same bytes after `again`, as TLS libraries require, set
/// stream_options::same_bytes_again.
template <class W> concept writer = requires(W& w, buffers b, close_reason why, ending how) {
  { w.write(b) } -> std::same_as<write_result>;
  w.on_closed(why, how);
};

namespace detail {

// What taken_of() says of an answer that no writer may give.
inline constexpr std::size_t no_answer = static_cast<std::size_t>(-1);

// How many of `offered` bytes an answer takes. Its status decides what its `bytes` mean, and whether they
// mean anything: no other code looks at them before this function has.
constexpr std::size_t taken_of(write_result answer, std::size_t offered) noexcept {
  switch (answer.status) {
  case write_status::ok: return answer.bytes != 0 && answer.bytes <= offered ? answer.bytes : no_answer;
  case write_status::again: return answer.bytes <= offered ? answer.bytes : no_answer;
  case write_status::pending: return offered;
  case write_status::closed: return 0;
  }
  return no_answer;  // a number that names no status
}

// Says what is wrong with a writer. Inside a function: a writer may be incomplete where its driver is named.
template <class W> constexpr void check_writer() noexcept {
  constexpr bool writes = requires(W & w, buffers b) { w.write(b); };
  static_assert(writes, "a writer has: ssewire::write_result write(ssewire::buffers)");
  if constexpr (writes) {
    static_assert(std::same_as<decltype(std::declval<W&>().write(buffers())), write_result>,
                  "write() answers an ssewire::write_result: true and false cannot say `again`");
  }
  static_assert(
      requires(W & w) { w.on_closed(close_reason::none, ending::cut); },
      "a writer has: void on_closed(ssewire::close_reason, ssewire::ending), its last call");
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
