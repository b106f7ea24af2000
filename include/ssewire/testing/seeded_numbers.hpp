// SPDX-License-Identifier: MIT
// seeded_numbers.hpp - numbers that are the same on every machine for the same seed (splitmix64).
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// Random numbers for tests: the same seed repeats a failure.
///
/// @par Threads  Distinct objects: safe. One object: one thread at a time.
class seeded_numbers {
 public:
  /// The numbers of a seed.
  explicit seeded_numbers(std::uint64_t seed) noexcept : state_(seed) {}

  /// The next number, of 64 bits.
  std::uint64_t next() noexcept {
    auto z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// The next number, from 0 to n - 1.
  ///
  /// @pre  n is not 0.
  std::size_t below(std::size_t n) noexcept { return next() % n & (std::numeric_limits<std::size_t>::max)(); }

 private:
  std::uint64_t state_;
};

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
