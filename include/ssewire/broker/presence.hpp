// SPDX-License-Identifier: MIT
// presence.hpp - how a program hears that a channel's subscribers have become more or fewer.
#pragma once

#include <ssewire/core/callback.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// How many subscriptions follow a channel. `before` is what was reported last, 0 at first, and differs from
/// `now`.
struct presence {
  /// Valid during the call.
  std::string_view channel;
  std::uint64_t before = 0;
  std::uint64_t now = 0;
};

/// Called when subscriptions join or leave a channel: to show who is there, to begin and end what feeds a
/// channel. It runs on the thread that joins or leaves, without a lock of the library, and may call anything
/// of the library.
/// For one channel it never overlaps itself, and its calls are in order. What happens during a call is
/// reported in one further call, on the same thread. A subscriber that joins and leaves during a call is not
/// reported.
/// After the broker's destructor has returned, the hook is not running and never will.
using presence_hook = callback<void(presence const&)>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
