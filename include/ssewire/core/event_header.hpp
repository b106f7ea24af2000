// SPDX-License-Identifier: MIT
// event_header.hpp - what a filter is shown of an event.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What a filter is shown of an event. Views of the log; valid during the call.
struct event_header {
  std::string_view type = "message";
  std::string_view id = {};
  /// What publish() was given with it.
  std::uint64_t tag = 0;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
