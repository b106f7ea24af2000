// SPDX-License-Identifier: MIT
#include <ssewire/core/result.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using ssewire::errc;
using ssewire::result;

TEST_CASE("a result is true when there is no error, and then gives its value in three ways") {
  result<std::string> const good = {"text"};
  REQUIRE(good);
  CHECK(good.value == "text");
  CHECK(*good == "text");
  CHECK(good->size() == 4);

  result<std::string> const bad = {{}, errc::closed};
  CHECK(!bad);
  CHECK(bad.error == errc::closed);
}

TEST_CASE("a value that only moves is moved out of a result that is over") {
  result<std::unique_ptr<int>> made = {std::make_unique<int>(7)};
  static_assert(std::is_same_v<decltype(*std::move(made)), std::unique_ptr<int>&&>);
  auto const taken = *std::move(made);
  CHECK(*taken == 7);
  CHECK(made.value == nullptr);
}

TEST_CASE("a result can be made when compiled, and says no other truth") {
  constexpr result<int> seven = {7};
  static_assert(seven && *seven == 7);
  static_assert(!std::is_convertible_v<result<int>, bool>, "a test of it is written out");
  CHECK(*seven == 7);
}

}  // namespace
