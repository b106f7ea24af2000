// SPDX-License-Identifier: MIT
// close_reason.hpp - why a stream ended.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Why a stream ended.
enum class close_reason : unsigned char {
  /// It has not ended.
  none,
  /// Its owner ended it in order: the writer took all of its bytes.
  finished,
  /// The writer answered `closed`.
  peer_gone,
  /// The broker drained or was closed, and the stream ended in order.
  drained,
  /// The broker drained, and the deadline passed before the stream had ended.
  drain_forced,
  /// The log moved past the stream, whose policy was lag_policy::close.
  lagged,
  /// The peer took no byte for the stall time.
  stalled,
  /// Its owner dropped it, or it never had a subscription.
  removed,
  /// An exception left the writer.
  writer_threw,
  /// The writer returned an answer that no writer may give.
  writer_broke_contract,
  /// An allocation for this stream failed.
  no_memory,
  /// It was still sending events that the log had trimmed, when the memory of all such events exceeded
  /// broker_options::max_pinned_bytes.
  pinned_too_much,
  /// close_user() ended the streams of its user: the user may not have it any more.
  revoked,
  /// subscribe_options::expires or broker_options::longest_life has passed.
  expired,
  /// A newer stream of the same user took its place: user_limit::replace_oldest.
  replaced,
  /// close_channel() ended the streams of a channel that it followed.
  channel_closed,
};

/// How many values close_reason has, `none` among them.
inline constexpr std::size_t close_reason_count = 16;

/// The reason in a word, for logs and counters. A static string.
constexpr std::string_view name(close_reason reason) noexcept {
  switch (reason) {
  case close_reason::none: return "none";
  case close_reason::finished: return "finished";
  case close_reason::peer_gone: return "peer_gone";
  case close_reason::drained: return "drained";
  case close_reason::drain_forced: return "drain_forced";
  case close_reason::lagged: return "lagged";
  case close_reason::stalled: return "stalled";
  case close_reason::removed: return "removed";
  case close_reason::writer_threw: return "writer_threw";
  case close_reason::writer_broke_contract: return "writer_broke_contract";
  case close_reason::no_memory: return "no_memory";
  case close_reason::pinned_too_much: return "pinned_too_much";
  case close_reason::revoked: return "revoked";
  case close_reason::expired: return "expired";
  case close_reason::replaced: return "replaced";
  case close_reason::channel_closed: return "channel_closed";
  }
  return "unknown";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
