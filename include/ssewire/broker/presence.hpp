// SPDX-License-Identifier: MIT
// presence.hpp - how a program learns that the number of a channel's subscribers has changed, and whose.
#pragma once

#include <ssewire/core/callback.hpp>
#include <ssewire/core/cplusplus.hpp>

#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// How many subscriptions follow a channel, and how many of them are one user's. The user is there while
/// `user_now` is not 0.
struct presence {
  /// The channel's name. Valid during the call.
  std::string_view channel;
  /// The number that was reported last; 0 at first. It differs from `now`.
  std::uint64_t before = 0;
  /// The number now. If more has changed, further calls report it.
  std::uint64_t now = 0;
  /// subscribe_options::user of the subscriptions that joined or left; empty: they have none. Valid during
  /// the call.
  std::string_view user = {};
  /// How many of the channel's subscriptions were this user's when it was reported last; 0 at first, and
  /// always without a user.
  std::uint64_t user_before = 0;
  /// How many of them are this user's now.
  std::uint64_t user_now = 0;
};

/// Called when subscriptions join or leave a channel. Programs use it to show who is there and how many, and
/// to start and stop what feeds a channel. The hook may call anything of the library. For one channel its
/// calls never overlap, and they are in order. Changes during a call are reported after it, on the same
/// thread: in one call for each user, and in one for all subscriptions without a user. A subscriber that
/// joins and leaves during a call is not reported.
///
/// @par Lifetime  After the broker's destructor has returned, the hook is not running and never will.
/// @par Threads   It runs on the thread that joins or leaves, without a lock of the library.
using presence_hook = callback<void(presence const&)>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
