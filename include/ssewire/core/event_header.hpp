// SPDX-License-Identifier: MIT
// event_header.hpp - what a filter is shown of an event.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What a filter sees of an event.
///
/// @par Lifetime  Views of the log, valid during the call.
struct event_header {
  /// The event type; "message" for an event without one.
  std::string_view type = "message";
  /// The event ID: the publisher's, or else the broker's.
  std::string_view id = {};
  /// publish_options::tag.
  std::uint64_t tag = 0;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
