// SPDX-License-Identifier: MIT
// writer.hpp - what a user implements: something that takes bytes of a stream.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What became of the bytes that were offered to a writer.
enum class write_status : unsigned char {
  /// `bytes` were taken, 1 to all of them; offer me the rest.
  ok,
  /// `bytes` were taken, 0 to all of them; offer nothing until the driver is told writable().
  again,
  /// All of them are being sent; keep them unchanged until the driver is told written().
  pending,
  /// The peer is gone, offer nothing more.
  closed,
};

struct write_result {
  write_status status = write_status::ok;
  /// Of `ok` and `again`; with `pending` and `closed` it is not read.
  std::size_t bytes = 0;
};

/// What is offered in one call, to be sent in this order: never empty, and no element is empty. The bytes are
/// the library's and live until write() returns; after `pending`, until written() or the driver's
/// destruction.
using buffers = std::span<std::string_view const>;

/// A writer. Exceptions: one that throws closes its own stream and harms no other.
///
/// | expression    | result         | meaning                                                                     |
/// |---------------|----------------|-----------------------------------------------------------------------------|
/// | `w.write(b)`  | `write_result` | tries to send `b`, a `buffers`; must not wait unless its driver may block    |
/// | `w.finish()`  | any; optional  | the last byte of the stream has been taken: end the response                |
/// | `w.abort()`   | any; optional  | the stream ends inside a frame or against the peer's will: drop the connection |
/// | `w.on_closed(r)` | any; optional | once, the last call: the stream is over, `r` is the `close_reason`          |
/// | `W::same_bytes_again` | `static constexpr bool`; optional | after `again`, write() must be offered exactly the same bytes |
///
/// A misspelt optional member is not noticed here; testing/writer_conformance.hpp does. One of the right name
/// and other parameters does not compile. Every `pending` is answered by one written(), also behind abort():
/// until then the bytes are kept for it. `ok` with no bytes, `ok` and `again` with more than were offered,
/// and a status that is none of the four close the stream with close_reason::writer_broke_contract.
template <class W> concept writer = requires(W& w, buffers b) {
  { w.write(b) } -> std::same_as<write_result>;
};

namespace detail {

// What taken_of() says of an answer that no writer may give.
inline constexpr std::size_t no_answer = static_cast<std::size_t>(-1);

// How much of `offered` bytes an answer takes. Its status decides what its `bytes` mean, and whether they
// mean anything: nobody else looks at the bytes of an answer before this did.
constexpr std::size_t taken_of(write_result answer, std::size_t offered) noexcept {
  switch (answer.status) {
  case write_status::ok: return answer.bytes != 0 && answer.bytes <= offered ? answer.bytes : no_answer;
  case write_status::again: return answer.bytes <= offered ? answer.bytes : no_answer;
  case write_status::pending: return offered;
  case write_status::closed: return 0;
  }
  return no_answer;  // a number that names no status
}

// A member that has an optional one's name and cannot be called as a driver calls it would be passed over in
// silence.
template <class W>
constexpr bool has_fitting_members = (
                                         !requires { &W::finish; } || requires(W & w) { w.finish(); }) &&
                                     (
                                         !requires { &W::abort; } || requires(W & w) { w.abort(); }) &&
                                     (
                                         !requires { &W::on_closed; } ||
                                         requires(W & w) { w.on_closed(close_reason::none); });

// Says what is wrong with a writer. Inside a function: a writer may be incomplete where its driver is named.
template <class W> constexpr void check_writer() noexcept {
  static_assert(writer<W>, "a writer has: write_result write(ssewire::buffers)");
  static_assert(
      has_fitting_members<W>,
      "a writer's optional members are called so: finish(), abort(), on_closed(ssewire::close_reason)");
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
