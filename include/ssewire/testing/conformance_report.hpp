// SPDX-License-Identifier: MIT
// conformance_report.hpp - what check_writer() found, in words.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// What check_writer() found. It is true when nothing is wrong.
struct conformance_report {
  /// What is wrong: a sentence each, which begins with the name of the check.
  std::vector<std::string> problems;
  /// What was not checked.
  std::vector<std::string> remarks;
  /// How many checks ran.
  std::size_t checks = 0;
  /// How many calls of write() they made.
  std::size_t writes = 0;
  /// The bytes that arrived at the far end.
  std::size_t bytes = 0;
  /// The seed of the options.
  std::uint64_t seed = 0;

  /// Whether nothing is wrong.
  explicit operator bool() const noexcept { return problems.empty(); }

  /// The whole report in lines, for a terminal.
  [[nodiscard]] std::string text() const {
    std::string out;
    out += std::to_string(checks) + " checks, " + std::to_string(writes) + " writes, " +
           std::to_string(bytes) + " bytes arrived, seed " + std::to_string(seed) + ": " +
           (problems.empty() ? "nothing is wrong" : std::to_string(problems.size()) + " wrong") + "\n";
    for (auto const& line : problems) out += "WRONG   " + line + "\n";
    for (auto const& line : remarks) out += "remark  " + line + "\n";
    return out;
  }
};

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
