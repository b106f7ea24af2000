// SPDX-License-Identifier: MIT
// publish_result.hpp - what was published, or why nothing was.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/position.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What was published, or why nothing was.
struct publish_result {
  /// Its position as an ID: what a client gets, unless the publisher brought an ID; of several, the last
  /// one's.
  position_id id = {};
  errc error = errc::ok;

  constexpr explicit operator bool() const noexcept { return error == errc::ok; }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
