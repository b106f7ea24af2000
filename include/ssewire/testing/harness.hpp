// SPDX-License-Identifier: MIT
// harness.hpp - what check_writer() gives to a harness, and what the harness says of the far end.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// How a response looks from its far end.
enum class far_end : unsigned char {
  /// It may go on.
  open,
  /// It has ended as a response should.
  ended,
  /// The connection was cut. Answer this only if you can tell a cut from an end.
  dropped,
};

/// The far end in a word. A static string.
constexpr std::string_view name(far_end end) noexcept {
  switch (end) {
  case far_end::open: return "open";
  case far_end::ended: return "ended";
  case far_end::dropped: return "dropped";
  }
  return "unknown";
}

/// Stands in for the driver: the loop of a harness makes these calls where it would call a reactor.
///
/// @par Threads  Any thread. A call from another thread than check_writer()'s is a problem in the report,
///   because a driver has one thread.
class driver_calls {
 public:
  /// Made on the thread of check_writer().
  driver_calls() : thread_(std::this_thread::get_id()) {}

  /// The writer can take bytes again, after `again`.
  void writable() {
    note([](counts& c) { ++c.writable; });
  }
  /// A write that was `pending` is over.
  ///
  /// @param good  Whether all of its bytes were sent.
  void written(bool good) {
    note([good](counts& c) { ++(good ? c.written : c.failed); });
  }
  /// The peer has gone.
  void close(close_reason = close_reason::removed) {
    note([](counts& c) { ++c.closed; });
  }

  /// As in a posted_stream, so that a writer can be a template over the driver that it calls. It is a plain
  /// pointer, because a driver_calls outlives every connection.
  driver_calls* shared_from_this() noexcept { return this; }

  /// How often each was called.
  struct counts {
    /// Calls of writable().
    std::size_t writable = 0;
    /// Calls of written(true).
    std::size_t written = 0;
    /// Calls of written(false).
    std::size_t failed = 0;
    /// Calls of close().
    std::size_t closed = 0;
    /// Calls from another thread than check_writer()'s.
    std::size_t from_elsewhere = 0;
  };
  /// The calls since the last take().
  counts take() {
    std::unique_lock const held(guard_);
    return std::exchange(counts_, {});
  }

 private:
  template <class Change> void note(Change change) {
    std::unique_lock const held(guard_);
    change(counts_);
    if (std::this_thread::get_id() != thread_) ++counts_.from_elsewhere;
  }

  std::mutex guard_;
  std::thread::id thread_;
  counts counts_;
};

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
