// SPDX-License-Identifier: MIT
// wake.hpp - how a parked subscriber is called: a function and a pointer, never a lock.
#pragma once

#include <ssewire/core/callback.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Why a subscriber is woken.
enum class wake : unsigned char {
  /// There is something to pull; comes at most once for each park().
  ready,
  /// The broker has ended the subscription: stop, even in the middle of a write. Comes at most once; and
  /// once more if a drain's deadline finds that it has not stopped.
  evicted,
};

/// The cause in a word, for labels. A static string.
constexpr std::string_view name(wake why) noexcept {
  switch (why) {
  case wake::ready: return "ready";
  case wake::evicted: return "evicted";
  }
  return "unknown";
}

/// What is called to wake a subscriber. It runs on the publisher's thread, with no lock of the library held,
/// and never overlaps itself for one subscription; it may call anything of the library, also close its own
/// subscription. It is best when it only signals: those behind it wait for their call, and what is published
/// meanwhile, by any thread, may make it run again before this publish() returns. After close() has returned
/// it is not running and never will, unless close() was called from inside it (as std::stop_callback): then
/// its context must live until it has returned. Two hooks on two threads that close each other's
/// subscriptions wait for each other for ever.
using wake_hook = callback<void(wake)>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
