// SPDX-License-Identifier: MIT
// random.hpp - numbers that are the same on every machine for the same seed (splitmix64).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace support {

struct random {
  std::uint64_t state;

  explicit random(std::uint64_t seed) : state(seed) {}

  std::uint64_t next() {
    auto z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  /// 0 to n - 1.
  std::size_t below(std::size_t n) { return next() % n & (std::numeric_limits<std::size_t>::max)(); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  char byte() { return static_cast<char>(static_cast<unsigned char>(next() >> 56)); }

  template <class T, std::size_t N> T const& pick(T const (&list)[N]) { return list[below(N)]; }
};

}  // namespace support
