// SPDX-License-Identifier: MIT
// conformance_options.hpp - how long check_writer() waits, and how much it sends.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// The bounds of check_writer().
struct conformance_options {
  /// The seed of the random sizes. The report has it, too.
  std::uint64_t seed = 1;
  /// If no byte moves for this time, the check stops waiting.
  std::chrono::milliseconds patience{2000};
  /// If a call takes longer, it counts as waiting for its peer.
  std::chrono::milliseconds longest_call{2000};
  /// If a call takes longer, the program ends.
  std::chrono::milliseconds deadline{20000};
  /// If a check takes longer, it ends.
  std::chrono::milliseconds longest_check{30000};
  /// How many bytes the check with random sizes sends.
  std::size_t bytes = 1024 * 1024;
  /// How many bytes may lie between a writer and a peer that does not read: sockets keep 4 to 6 MiB.
  std::size_t max_buffered = 16 * 1024 * 1024;
};

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
