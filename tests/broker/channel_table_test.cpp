// SPDX-License-Identifier: MIT
// channel_table_test.cpp - a broker's channels, found by name, by index and in the order of their oldest
// events.
#include <ssewire/broker/detail/channel_table.hpp>
#include <ssewire/core/traits.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace {

using ssewire::errc;
using ssewire::detail::siphash;
using table = ssewire::detail::channel_table<ssewire::default_traits>;
using channel = table::channel;

table make(std::size_t max_forgotten = 1000) { return {siphash{7}, 1024 * 1024, max_forgotten, {}}; }

channel& get(table& of, std::string_view name) {
  auto const [c, error] = of.find_or_make(name, 1'000'000);
  REQUIRE(error == errc::ok);
  REQUIRE(c != nullptr);
  return *c;
}

void append(table& to, channel& c, std::uint64_t position) {
  REQUIRE(c.history.append("id: x\n\n", {.position = position}));
  to.add_events(c);
}

// What the table must agree with: for each channel the positions of its events.
using oracle = std::map<std::string, std::deque<std::uint64_t>>;

void check_oldest(table& t, oracle const& o) {
  std::string expected;
  auto oldest = ~std::uint64_t{0};
  for (auto const& [name, positions] : o) {
    if (positions.empty() || positions.front() >= oldest) continue;
    oldest = positions.front();
    expected = name;
  }
  auto const* const c = t.oldest();
  REQUIRE((c != nullptr) == !expected.empty());
  if (c != nullptr) REQUIRE(c->name == expected);
}

void check_all(table& t, oracle const& o) {
  REQUIRE(t.size() == o.size());
  std::set<std::string> seen;
  for (std::size_t i = 0; i < t.size(); ++i) {
    REQUIRE(t[i].index == i);
    REQUIRE(t.find(t[i].name) == &t[i]);
    seen.insert(t[i].name);
  }
  REQUIRE(seen.size() == o.size());
  for (auto const& [name, positions] : o) {
    REQUIRE(seen.count(name) == 1);
    REQUIRE(t.find(name)->history.events() == positions.size());
  }
}

}  // namespace

TEST_CASE("the oldest event of all is found whatever comes, is trimmed and goes") {
  std::uint64_t asked = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    auto t = make();
    oracle o;
    std::uint64_t position = 0;
    auto const names = 1 + random.below(random.one_in(3) ? 200 : 12);
    for (int step = 0; step < 600; ++step) {
      auto const name = "c" + std::to_string(random.below(names));
      auto const what = random.below(10);
      if (what < 5) {
        ++position;
        for (auto n = 1 + random.below(3); n != 0; --n) {  // one event may be on several channels
          auto const to = "c" + std::to_string(random.below(names));
          if (!o[to].empty() && o[to].back() == position) continue;
          append(t, get(t, to), position);
          o[to].push_back(position);
        }
      } else if (what < 7) {  // trimmed by its own limits: nobody tells the table
        auto* const c = t.find(name);
        REQUIRE((c != nullptr) == (o.count(name) != 0));
        for (auto n = random.below(5); c != nullptr && n != 0 && !o[name].empty(); --n) {
          c->history.trim_one();
          o[name].pop_front();
        }
        // As the broker trims: one of the oldest, and the channel goes when it is empty.
      } else if (what < 9) {
        // (two channels may share their oldest position: either will do)
        auto* const c = t.oldest();
        ++asked;
        std::uint64_t least = ~std::uint64_t{0};
        for (auto const& [each, positions] : o) {
          if (!positions.empty() && positions.front() < least) least = positions.front();
        }
        REQUIRE((c == nullptr) == (least == ~std::uint64_t{0}));
        if (c == nullptr) continue;
        REQUIRE(o[c->name].front() == least);
        c->history.trim_one();
        o[c->name].pop_front();
        if (o[c->name].empty()) {
          o.erase(c->name);
          t.drop(*c);
        }
      } else if (auto const at = o.find(name); at != o.end() && at->second.empty()) {
        t.drop(*t.find(name));
        o.erase(at);
      }
      if (step % 20 == 0) check_all(t, o);
    }
    check_all(t, o);
  }
  CHECK(asked > 5000);
}

TEST_CASE("the oldest of many channels come out in order") {
  support::random random(3);
  auto t = make();
  oracle o;
  for (std::uint64_t p = 1; p <= 3000; ++p) {
    auto const name = "c" + std::to_string(random.below(500));
    append(t, get(t, name), p);
    o[name].push_back(p);
  }
  for (std::uint64_t p = 1; p <= 3000; ++p) {
    auto* const c = t.oldest();
    REQUIRE(c != nullptr);
    REQUIRE(o[c->name].front() == p);
    c->history.trim_one();
    o[c->name].pop_front();
    if (o[c->name].empty()) {
      o.erase(c->name);
      t.drop(*c);
    }
    if (p % 100 == 0) check_oldest(t, o);
  }
  CHECK(t.oldest() == nullptr);
  CHECK(t.size() == 0);
}

TEST_CASE("a channel that became empty and holds events again has its new place") {
  auto t = make();
  auto& a = get(t, "a");
  auto& b = get(t, "b");
  append(t, a, 1);
  append(t, b, 2);
  a.history.trim_one();
  append(t, a, 3);
  CHECK(t.oldest() == &b);
  b.history.trim_one();
  CHECK(t.oldest() == &a);
  a.history.trim_one();
  CHECK(t.oldest() == nullptr);
  append(t, b, 4);
  CHECK(t.oldest() == &b);
}

TEST_CASE("a channel is found by its name and by nothing like it") {
  auto t = make();
  std::string const hostile("a\0b", 3);
  auto& c = get(t, hostile);
  CHECK(t.find(hostile) == &c);
  CHECK(t.find("a") == nullptr);
  CHECK(t.find("") == nullptr);
  CHECK(t.find(std::string("a\0c", 3)) == nullptr);
  CHECK(&get(t, hostile) == &c);
  CHECK(t.size() == 1);
}

TEST_CASE("at the limit a new channel is refused, one that is there is not, and nothing has changed") {
  auto t = make();
  for (std::size_t n = 0; n < 3; ++n) REQUIRE(t.find_or_make("c" + std::to_string(n), 3).second == errc::ok);
  CHECK(t.find_or_make("new", 3).second == errc::too_many_channels);
  CHECK(t.find_or_make("new", 3).first == nullptr);
  CHECK(t.find_or_make("c1", 3).second == errc::ok);
  CHECK(t.find_or_make("c1", 0).second == errc::ok);
  CHECK(t.find("new") == nullptr);
  CHECK(t.size() == 3);
  t.drop(*t.find("c0"));
  CHECK(t.find_or_make("new", 3).second == errc::ok);
}

TEST_CASE("a channel that was dropped and is made again continues behind what it lost") {
  auto t = make();
  auto& a = get(t, "a");
  append(t, a, 5);
  a.history.trim_one();
  t.drop(a);
  CHECK(t.forgotten() == 1);
  CHECK(get(t, "a").history.lost_through() == 5);
  CHECK(get(t, "b").history.lost_through() == 0);
}

TEST_CASE("channels stay where they are while others come and go") {
  auto t = make();
  auto* const kept = &get(t, "kept");
  append(t, *kept, 1);
  for (std::uint64_t i = 2; i < 2000; ++i) {
    auto& c = get(t, "c" + std::to_string(i));
    append(t, c, i);
    if (i % 2 == 0) continue;
    c.history.trim_one();
    t.drop(c);
  }
  CHECK(t.find("kept") == kept);
  CHECK(t.oldest() == kept);
  CHECK(kept->history.position_of(0) == 1);
}
