// SPDX-License-Identifier: MIT
// slot_map_test.cpp - objects that never move, and names that are never used twice.
#include <ssewire/drivers/detail/slot_map.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

namespace {

struct seat;
using slot_map = ssewire::detail::slot_map<seat>;

struct seat {
  explicit seat(int what, std::function<void()> on_end = {}) : value(what), at_end(std::move(on_end)) {
    if (what < 0) throw std::runtime_error("refused");
    ++alive;
  }
  seat(seat const&) = delete;
  seat& operator=(seat const&) = delete;
  ~seat() {
    --alive;
    if (at_end) at_end();
  }

  void name_it(slot_map::name n) noexcept { name = n; }
  [[nodiscard]] std::uint32_t index() const noexcept { return name.index; }

  static inline int alive = 0;
  int value;
  std::function<void()> at_end;
  slot_map::name name = {};
};

using key = std::pair<std::uint32_t, std::uint32_t>;
key of(slot_map::name n) { return {n.index, n.generation}; }

TEST_CASE("an object is found by its name until it is erased, and where it was made") {
  slot_map all;
  CHECK(all.find({0, 0}) == nullptr);
  CHECK(all.find({0, 1}) == nullptr);
  auto& one = all.emplace(1);
  auto& two = all.emplace(2);
  CHECK(all.find(one.name) == &one);
  CHECK(all.find(two.name) == &two);
  auto const gone = one.name;
  all.erase(one);
  CHECK(all.find(gone) == nullptr);
  CHECK(all.find({gone.index, gone.generation + 1}) == nullptr);  // what a free one has
  CHECK(all.find(two.name) == &two);
  CHECK(all.find({1'000'000, 1}) == nullptr);
}

TEST_CASE("a name is not used again, though its place is") {
  slot_map all;
  std::set<key> used;
  for (int i = 0; i < 1000; ++i) {
    auto& s = all.emplace(i);
    CHECK(s.index() == 0);
    CHECK(used.insert(of(s.name)).second);
    all.erase(s);
  }
}

TEST_CASE("an object that cannot be made changes nothing") {
  slot_map all;
  auto& one = all.emplace(1);
  for (int i = 0; i < 100; ++i) CHECK_THROWS_AS(all.emplace(-1), std::runtime_error);
  auto& two = all.emplace(2);
  CHECK(two.index() == one.index() + 1);
  CHECK(seat::alive == 2);
}

TEST_CASE("an object's destructor finds it no more, and the others are there") {
  slot_map all;
  auto& other = all.emplace(2);
  slot_map::name name = {};
  int asked = 0;
  auto& one = all.emplace(1, [&] {
    ++asked;
    CHECK(all.find(name) == nullptr);
    CHECK(all.find(other.name) == &other);
  });
  name = one.name;
  all.erase(one);
  CHECK(asked == 1);
}

TEST_CASE("random comings and goings agree with a map, and all end with their table") {
  REQUIRE(seat::alive == 0);
  {
    support::random random(20261120);
    slot_map all;
    std::map<key, seat*> known;
    std::set<key> gone;
    for (int step = 0; step < 20'000; ++step) {
      if (known.empty() || random.below(known.size() + 300) < 300) {
        auto& s = all.emplace(step);
        CHECK(known.emplace(of(s.name), &s).second);
        CHECK(gone.count(of(s.name)) == 0);
      } else {
        auto const at = std::next(known.begin(), static_cast<std::ptrdiff_t>(random.below(known.size())));
        all.erase(*at->second);
        gone.insert(at->first);
        known.erase(at);
      }
    }
    for (auto const& [name, where] : known) CHECK(all.find({name.first, name.second}) == where);
    for (auto const& name : gone) CHECK(all.find({name.first, name.second}) == nullptr);
    std::set<seat*> visited;
    all.for_each([&](seat& s) { visited.insert(&s); });
    CHECK(visited.size() == known.size());
    CHECK(seat::alive == static_cast<int>(known.size()));
    CHECK(known.size() > 100);
  }
  CHECK(seat::alive == 0);
}

TEST_CASE("all may be erased while they are visited") {
  slot_map all;
  for (int i = 0; i < 200; ++i) all.emplace(i);
  int visited = 0;
  all.for_each([&](seat& s) {
    ++visited;
    all.erase(s);
  });
  CHECK(visited == 200);
  CHECK(seat::alive == 0);
}

}  // namespace
