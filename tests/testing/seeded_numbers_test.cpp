// SPDX-License-Identifier: MIT
#include <ssewire/testing/seeded_numbers.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <set>

namespace {

using ssewire::testing::seeded_numbers;

TEST_CASE("the numbers are those of splitmix64") {
  seeded_numbers of_zero(0);  // what its authors' code prints
  CHECK(of_zero.next() == 0xE220A8397B1DCDAFu);
  CHECK(of_zero.next() == 0x6E789E6AA1B965F4u);
  CHECK(of_zero.next() == 0x06C45D188009454Fu);
}

TEST_CASE("below(n) gives each number from 0 to n - 1, and no other") {
  seeded_numbers random(1);
  std::set<std::size_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  CHECK(seen == std::set<std::size_t>{0, 1, 2, 3, 4, 5, 6});
  CHECK(random.below(1) == 0);
}

}  // namespace
