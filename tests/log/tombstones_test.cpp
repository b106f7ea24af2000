// SPDX-License-Identifier: MIT
#include <ssewire/log/detail/tombstones.hpp>

#include <support/failing_allocations.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>

namespace {

using ssewire::detail::tombstones;

TEST_CASE("a channel is remembered by how far it had lost its events, others have lost nothing") {
  tombstones gone(10);
  gone.remember(1, {7});
  CHECK(gone.last_loss(1).position == 7);
  CHECK(gone.last_loss(2).position == 0);
  gone.remember(1, {9});
  CHECK(gone.last_loss(1).position == 9);
  CHECK(gone.size() == 1);
  gone.remember(1, {9});
  gone.remember(3, {0});  // it never held an event
  CHECK(gone.size() == 1);
}

TEST_CASE("beyond the limit the one that lost least long ago stays, and the floor stands in for the others") {
  tombstones gone(2);
  gone.remember(1, {5});
  gone.remember(2, {3});
  gone.remember(3, {9});
  CHECK(gone.size() == 2);
  CHECK(gone.last_loss(1).position == 5);
  CHECK(gone.last_loss(3).position == 9);
  CHECK(gone.last_loss(2).position == 3);   // by the floor
  CHECK(gone.last_loss(77).position == 3);  // as everybody that is not remembered
  gone.remember(4, {2});                    // the floor says more
  CHECK(gone.size() == 2);
}

TEST_CASE("one that is remembered anew has one place only") {
  tombstones gone(2);
  gone.remember(1, {5});
  gone.remember(1, {8});
  gone.remember(2, {6});
  gone.remember(3, {7});  // drives out 2, not 1
  CHECK(gone.last_loss(1).position == 8);
  CHECK(gone.last_loss(3).position == 7);
  CHECK(gone.last_loss(77).position == 6);
}

TEST_CASE("a limit of zero remembers by the floor alone") {
  tombstones gone(0);
  gone.remember(1, {5});
  CHECK(gone.size() == 0);
  CHECK(gone.last_loss(1).position == 5);
  CHECK(gone.last_loss(2).position == 5);
}

TEST_CASE("whatever fails to be remembered, no channel is ever said to have lost less than it has") {
  support::random random(5);
  for (int history = 0; history < 300; ++history) {
    tombstones gone(random.below(6));
    std::map<std::uint64_t, std::uint64_t> truth;
    for (std::uint64_t position = 1; position < 60; position += 1 + random.below(3)) {
      auto const name = random.below(8);
      support::allocations_left = random.one_in(3) ? static_cast<long>(random.below(3)) : -1;
      gone.remember(name, {position});
      support::allocations_left = -1;
      truth[name] = position;
      for (auto const& [known, lost] : truth) REQUIRE(gone.last_loss(known).position >= lost);
      REQUIRE(gone.size() <= 6);
    }
  }
  CHECK(support::allocations_failed > 1000);
}

TEST_CASE("with memory and room for all, every channel is said to have lost what it has, no more") {
  support::random random(6);
  tombstones gone(8);
  std::map<std::uint64_t, std::uint64_t> truth;
  for (std::uint64_t position = 1; position < 500; ++position) {
    auto const name = random.below(8);
    gone.remember(name, {position});
    truth[name] = position;
    for (auto const& [known, lost] : truth) REQUIRE(gone.last_loss(known).position == lost);
    REQUIRE(gone.last_loss(99).position == 0);
  }
}

}  // namespace
