// SPDX-License-Identifier: MIT
// random.hpp - the numbers, bytes and list entries that tests draw. One seed always gives the same.
#pragma once

#include <ssewire/testing/seeded_numbers.hpp>

#include <cstddef>

namespace support {

struct random : ssewire::testing::seeded_numbers {
  using seeded_numbers::seeded_numbers;

  bool one_in(std::size_t n) { return below(n) == 0; }
  char byte() { return static_cast<char>(static_cast<unsigned char>(next() >> 56)); }

  template <class T, std::size_t N> T const& pick(T const (&list)[N]) { return list[below(N)]; }
};

}  // namespace support
