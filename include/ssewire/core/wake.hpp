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

/// Called to wake a subscriber. It runs on the publishing thread, without a lock of the library, and may
/// call anything of the library, also close its own subscription. It never overlaps itself for one
/// subscription.
/// Only signal here. Hooks run one after another on the publishing thread, and may run again before
/// publish() returns.
/// After close() has returned, the hook is not running and never will. If close() was called from inside the
/// hook, its context must live until the hook has returned. Two hooks on two threads that close each other's
/// subscriptions wait for each other for ever.
using wake_hook = callback<void(wake)>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
