// SPDX-License-Identifier: MIT
// pull_status.hpp - the result of a pull.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The result of a pull.
enum class pull_status : unsigned char {
  /// The batch holds something to send.
  ready,
  /// Nothing to send: park() and wait for the hook.
  nothing,
  /// Nothing to send, and the broker drains and this stream's time to leave has come: end it in order.
  draining,
  /// The subscription was ended; its reason() says why.
  closed,
};

/// The status in a word, for labels. A static string.
constexpr std::string_view name(pull_status status) noexcept {
  switch (status) {
  case pull_status::ready: return "ready";
  case pull_status::nothing: return "nothing";
  case pull_status::draining: return "draining";
  case pull_status::closed: return "closed";
  }
  return "unknown";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
