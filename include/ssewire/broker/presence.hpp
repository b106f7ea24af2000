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

/// How many subscriptions follow a channel. `before` is what was said last, 0 at first, and differs from
/// `now`.
struct presence {
  /// Valid during the call.
  std::string_view channel;
  std::uint64_t before = 0;
  std::uint64_t now = 0;
};

/// What is called when subscriptions join or leave channels: to say who is there, to begin and end what
/// feeds a channel. It runs on a thread that joins or leaves, with no lock of the library held, and may call
/// anything of the library. For one channel it never overlaps itself and comes in order; what happens while
/// it runs is said in one further call, by the same thread, and so is left out what was undone meanwhile.
/// When the broker's destructor has returned it is not running and never will.
using presence_hook = callback<void(presence const&)>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
