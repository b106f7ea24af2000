// SPDX-License-Identifier: MIT
// writer_conformance.hpp - check_writer() tries a writer, and says in words what is wrong with it.
//
// You write a harness: it connects the writer to a peer that can be read from, slowed down and closed. The
// header needs no test framework, no broker and no driver, because it does what a driver does.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/testing/conformance_options.hpp>
#include <ssewire/testing/conformance_report.hpp>
#include <ssewire/testing/detail/conformance_subject.hpp>
#include <ssewire/testing/detail/writer_check.hpp>
#include <ssewire/testing/harness.hpp>

#include <concepts>
#include <cstddef>
#include <string>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// Tries a writer, and says in words what is wrong with it.
///
/// It makes one connection at a time, and calls those of the harness's members that are there:
///
/// | expression            | result               | meaning                                                              |
/// |-----------------------|----------------------|----------------------------------------------------------------------|
/// | `h.connect(calls)`    | the writer           | makes a new connection, when the last one is over. The number of the old descriptor may come again: forget what the harness knows of it. `calls`, a `driver_calls&`, lives until check_writer() returns: the loop calls writable(), written(good) and close() on it |
/// | `h.read(n)`           | `std::string`        | takes at most n bytes of the body from the far end, without chunk sizes and the like, and does not wait for them. It is also called after close_peer(), and may return nothing then. Another thread calls it while write() waits |
/// | `h.run()`             | any; optional        | one turn of the loop, which waits a few milliseconds at most. It may call writable() each time, if there is room |
/// | `h.close_peer()`      | any; optional        | the far end goes away                                                |
/// | `h.sees()`            | `far_end`; optional  | how the response looks to the far end, from what read() has met: `open` until then. Not called after close_peer() |
/// | `h.releases()`        | a number; optional   | how often this connection was given back: closed, freed               |
/// | `H::may_block`        | `static constexpr bool`; optional | write() may wait for its peer: for serve_blocking       |
/// | `H::same_bytes_again` | `static constexpr bool`; optional | as stream_options::same_bytes_again: after `again` exactly the same bytes |
/// | `H::takes_everything` | `static constexpr bool`; optional | no peer can be slow: a file, a string                   |
///
/// A writer that holds the driver that it calls may be a template over that driver: a driver_calls has a
/// posted_stream's shared_from_this(), writable(), written(good) and close(). The bytes of an offer are
/// overwritten as soon as the writer must not read them any more.
///
/// @param harness  Borrowed for the call.
/// @param options  How long it waits, and how much it sends.
/// @return         What is wrong. Whatever writer and harness do, check_writer() comes to an end: each check
///   ends by its longest_check. A call that does not return ends the program, after the report so far is
///   printed.
/// @par Threads    It starts one more thread, which frees a write() that waits. It ignores SIGPIPE meanwhile.
template <class Harness>
[[nodiscard]] conformance_report check_writer(Harness& harness, conformance_options const& options = {}) {
  static_assert(
      requires(driver_calls & calls) { harness.connect(calls); },
      "a harness has connect(ssewire::testing::driver_calls&), which returns a writer");
  static_assert(
      requires {
        { harness.read(std::size_t{1}) } -> std::convertible_to<std::string>;
      },
      "a harness has read(std::size_t), which returns a std::string");
  return detail::writer_check(detail::subject_of(harness), options).run();
}

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
