// SPDX-License-Identifier: MIT
// wake.hpp - how a parked subscriber is woken: by a function and a pointer, never under a lock.
#pragma once

#include <ssewire/core/callback.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Why a subscriber is woken.
enum class wake : unsigned char {
  /// There is something to pull. Reported at most once for each park().
  ready,
  /// The broker has ended the subscription: stop, even in the middle of a write. Reported at most once, and
  /// once more if the stream has not stopped by the deadline of a drain.
  evicted,
};

/// The reason in a word, for labels. A static string.
constexpr std::string_view name(wake why) noexcept {
  switch (why) {
  case wake::ready: return "ready";
  case wake::evicted: return "evicted";
  }
  return "unknown";
}

/// Called to wake a subscriber. Only signal here: hooks run one after another on the publishing thread, and
/// may run again before publish() returns. A hook may call anything of the library, and may also close its
/// own subscription. For one subscription it never overlaps itself.
///
/// @par Lifetime  After close() has returned, the hook is not running and never will. If close() was called
///   from inside the hook, its context must live until the hook has returned.
/// @par Threads   It runs on the publishing thread, without a lock of the library. Two hooks on two threads
///   that close each other's subscriptions wait for each other for ever.
using wake_hook = callback<void(wake)>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
