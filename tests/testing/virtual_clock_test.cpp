// SPDX-License-Identifier: MIT
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/testing/scripted_writer.hpp>
#include <ssewire/testing/virtual_clock.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::steady_time;
using ssewire::testing::virtual_clock;

struct asked {
  bool more = false;
  std::optional<steady_time> next = {};
};

TEST_CASE("it stands still until it is moved, and never goes back") {
  virtual_clock clock;
  auto const start = clock.now();
  CHECK(start > steady_time());
  CHECK(clock.now() == start);
  CHECK(clock.advance(2s) == start + 2s);
  CHECK(clock.advance(-5s) == start + 2s);
  CHECK(clock.advance_to(start) == start + 2s);
  CHECK(clock.advance_to(start + 3s) == start + 3s);
  CHECK(virtual_clock(start + 7s).now() == start + 7s);
}

TEST_CASE("it polls now, at each deadline, the one at the end included, and none behind it") {
  virtual_clock clock;
  auto const start = clock.now();
  std::vector<std::chrono::nanoseconds> times;
  auto const poll = [&](steady_time now) {
    times.push_back(now - start);
    return asked{.next = now + 10s};
  };
  CHECK(clock.run_until(start + 30s, poll));
  CHECK(times == std::vector<std::chrono::nanoseconds>{0s, 10s, 20s, 30s});
  CHECK(clock.now() == start + 30s);
  times.clear();
  auto const result = clock.run_for(9s, poll);
  CHECK(result.polls == 1);
  CHECK(clock.now() == start + 39s);
}

TEST_CASE("more means now, and no deadline means the end") {
  virtual_clock clock;
  int left = 5;
  auto const result = clock.run_for(1h, [&](steady_time) { return asked{.more = left-- > 0}; });
  CHECK(result);
  CHECK(result.polls == 6);
}

TEST_CASE("who asks for ever for the same time is told to spin") {
  virtual_clock clock;
  auto const more = clock.run_for(
      1s, [](steady_time) { return asked{.more = true}; }, 100);
  CHECK(more.spun);
  CHECK(more.polls == 100);
  auto const past = clock.run_for(
      1s, [](steady_time now) { return asked{.next = now - 1s}; }, 100);
  CHECK_FALSE(bool(past));
}

TEST_CASE("a day of heartbeats takes no time") {
  ssewire::testing::peer to;
  {
    ssewire::reactor<ssewire::testing::scripted_writer> reactor;
    REQUIRE(reactor.add(ssewire::testing::scripted_writer(to)));
    virtual_clock clock;
    CHECK(clock.run_for(24h, [&](steady_time now) { return reactor.poll(now); }));
  }
  auto const beats = std::count(to.taken.begin(), to.taken.end(), ':');
  CHECK(beats == 24 * 60 * 60 / 15);
  CHECK(to.violations == "");
}

}  // namespace
