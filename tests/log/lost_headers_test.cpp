// SPDX-License-Identifier: MIT
#include <ssewire/log/detail/lost_headers.hpp>

#include <support/failing_allocations.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace {

using ssewire::event_header;
using ssewire::detail::lost_headers;

struct kept {
  std::uint64_t position;
  std::string type, id;
  std::uint64_t tag;
  bool operator==(kept const&) const = default;
};

ssewire::position_id const unset(0, 0);

// All that is known of what was lost after `position`, or a count of -1.
std::vector<kept> known_after(lost_headers const& of, std::uint64_t position, bool& known) {
  std::vector<kept> all;
  std::uint64_t at = position;
  auto const copy = of.copy_after(position);
  known = copy.has_value();
  if (!known) return all;
  CHECK_UNARY(!lost_headers::any_admitted(*copy, position, unset, [&](event_header const& e) {
    all.push_back({++at, std::string(e.type), std::string(e.id), e.tag});
    return false;
  }));
  return all;
}

TEST_CASE("what filters are asked about is what was lost, as far back as the limits reach, never more") {
  support::random random(3);
  for (int history = 0; history < 200; ++history) {
    auto const max_events = 1 + random.below(20);
    auto const max_bytes = 20 + random.below(400);
    lost_headers lost(max_events, max_bytes, 100);
    std::deque<kept> all;
    for (std::uint64_t position = 101; position < 200; ++position) {
      std::string const type(random.below(4) * random.below(12), 't');
      auto const id =
          random.one_in(2) ? std::string(1 + random.below(9), 'i') : std::string(unset.at(position).view());
      auto const tag = random.one_in(3) ? random.below(1000) : ~std::uint64_t{0} >> random.below(64);
      event_header header;
      if (!type.empty()) header.type = type;
      header.id = id;
      header.tag = tag;
      lost.add(position, header);
      all.push_back({position, type.empty() ? "message" : type, id, tag});
      // Sound: what it claims to know is right, from some position on, and nothing before that.
      bool before = false;
      for (std::uint64_t from = 100; from <= position; ++from) {
        bool known = false;
        auto const got = known_after(lost, from, known);
        CHECK_UNARY((known || !before));
        before = known;
        if (!known) continue;
        std::vector<kept> const expected(all.begin() + static_cast<std::ptrdiff_t>(from - 100), all.end());
        REQUIRE(got == expected);
      }
      CHECK_UNARY(before);  // of nothing
    }
  }
}

TEST_CASE("a gap between two lost positions belongs to other channels") {
  lost_headers lost(10, 1000, 5);
  lost.add(9, {.type = "a", .id = "x", .tag = 1});
  lost.add(1'000'000, {.type = "b", .id = "y", .tag = 2});
  std::vector<std::uint64_t> tags;
  auto const ask = [&](std::uint64_t after) {
    tags.clear();
    auto const copy = lost.copy_after(after);
    if (!copy) return false;
    (void)lost_headers::any_admitted(*copy, after, unset, [&](event_header const& e) {
      tags.push_back(e.tag);
      return false;
    });
    return true;
  };
  CHECK_UNARY(!ask(4));
  CHECK_UNARY(ask(5));
  CHECK(tags == std::vector<std::uint64_t>{1, 2});
  CHECK_UNARY(ask(9));
  CHECK(tags == std::vector<std::uint64_t>{2});
  CHECK_UNARY(ask(999'999));
  CHECK(tags == std::vector<std::uint64_t>{2});
  CHECK_UNARY(ask(1'000'000));
  CHECK(tags.empty());
}

TEST_CASE("whichever allocation fails, less is known, and nothing wrong") {
  for (long failing = 0; failing < 8; ++failing) {
    lost_headers lost(50, 4000, 0);
    support::allocations_left = failing;
    for (std::uint64_t position = 1; position <= 80; ++position) {
      auto const id = unset.at(position);
      lost.add(position, {.id = id.view(), .tag = position});
    }
    support::allocations_left = -1;
    for (std::uint64_t after = 0; after <= 80; ++after) {
      auto const copy = lost.copy_after(after);
      if (!copy) continue;
      auto expected = after;
      (void)lost_headers::any_admitted(*copy, after, unset, [&](event_header const& e) {
        CHECK(e.tag == ++expected);
        return false;
      });
      CHECK(expected == 80);
    }
  }
  CHECK(support::allocations_failed > 0);
}

}  // namespace
