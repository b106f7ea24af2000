// SPDX-License-Identifier: MIT
// Every allocation fails once: what is asked of a broker then happens or has no effect at all.
#include <ssewire/broker.hpp>
#include <support/broker_bytes.hpp>
#include <support/failing_allocations.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::pull_status;

using support::failing_traits;
using broker = ssewire::basic_broker<failing_traits>;
using subscription = ssewire::basic_subscription<failing_traits>;
using batch = ssewire::basic_batch<failing_traits>;

std::string_view const long_names[] = {"a channel whose name is long enough to be allocated", "another such channel, also long",
                                       "and a third one, because three are more than two"};

void check_same(ssewire::broker_stats const& a, ssewire::broker_stats const& b) {
  CHECK(a.published == b.published);
  CHECK(a.delivered == b.delivered);
  CHECK(a.replayed == b.replayed);
  CHECK(a.gaps == b.gaps);
  CHECK(a.trimmed == b.trimmed);
  CHECK(a.resumes == b.resumes);
  CHECK(a.closes == b.closes);
  CHECK(a.subscribers == b.subscribers);
  CHECK(a.channels == b.channels);
  CHECK(a.events == b.events);
  CHECK(a.frame_bytes == b.frame_bytes);
  CHECK(a.log_bytes == b.log_bytes);
}

// Calls `action` with the n-th allocation failing, for n = 0, 1... until none does. Each time but the last it must
// answer false, and nothing may have changed. Returns how often it failed.
template <class Action>
unsigned each_failure(broker& b, Action action) {
  for (unsigned n = 0;; ++n) {
    REQUIRE(n < 100);
    auto const before = b.stats();
    support::allocations_failed = 0;
    support::allocations_left = n;
    bool const done = action();
    support::allocations_left = -1;
    CHECK(done == (support::allocations_failed == 0));
    if (done) return n;
    check_same(b.stats(), before);
  }
}

bool publish(broker& b, std::string_view channel, std::string_view data, std::uint64_t position) {
  auto const result = b.publish(channel, {.data = data});
  if (result) {
    support::allocations_left = -1;
    CHECK(result.id.view() == support::id(position));
    return true;
  }
  support::allocations_left = -1;
  CHECK(result.error == errc::no_memory);
  CHECK(result.id.view() == "");
  return false;
}

} // namespace

TEST_CASE("a publish to a new channel happens or has no effect") {
  for (std::size_t const size : {1u, 5000u, 100'000u}) {
    broker b;
    std::string const data(size, 'd');
    CHECK(each_failure(b, [&] { return publish(b, long_names[0], data, 1); }) >= 5);
    CHECK(b.stats().channels == 1);
    CHECK(b.stats().events == 1);
  }
}

TEST_CASE("a publish to a channel that others follow happens or has no effect") {
  broker b;
  std::vector<std::string> names;
  unsigned failures = 0;
  for (std::uint64_t p = 1; p <= 200; ++p) { // many channels: the table grows, and so do the logs
    auto const name = "channel " + std::to_string(p % 50);
    std::string const data(p % 7 == 0 ? 5000 : p % 500, 'd');
    failures += each_failure(b, [&] { return publish(b, name, data, p); });
  }
  CHECK(failures > 200);
  CHECK(b.stats().channels == 50);
  CHECK(b.stats().published == 200);
  std::string last;
  auto made = b.subscribe("channel 7", {}, {.start = ssewire::start_at::beginning()});
  REQUIRE(made);
  auto const got = support::pull_all(made.subscription);
  CHECK(got == support::position_event(6) + support::frame(7, std::string(5000, 'd')) +
                   support::frame(57, std::string(57, 'd')) + support::frame(107, std::string(107, 'd')) +
                   support::frame(157, std::string(157, 'd')));
}

TEST_CASE("a subscription to several channels is made, or there is none and none of its channels") {
  broker b;
  REQUIRE(b.publish(long_names[1], {.data = "held"}));
  subscription made;
  auto const failures = each_failure(b, [&] {
    auto result = b.subscribe(std::span(long_names), "garbage", {.start = ssewire::start_at::beginning()});
    support::allocations_left = -1;
    CHECK(bool(result) == bool(result.subscription));
    if (!result) CHECK(result.error == errc::no_memory);
    if (result) made = std::move(result.subscription);
    return bool(result);
  });
  CHECK(failures >= 8);
  CHECK(b.stats().channels == 3);
  CHECK(support::pull_all(made).find("data: held\n") != std::string::npos);
}

TEST_CASE("a pull with notices brings all of them or nothing, and then all of them next time") {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  broker b(options);
  for (int i = 0; i < 2; ++i) {
    for (auto const name : long_names) REQUIRE(b.publish(name, {.data = "x"}));
  }
  auto const expected = [&] {
    auto s = b.subscribe(std::span(long_names), support::id(0)).subscription;
    return support::pull(s);
  }();
  CHECK(expected.find("trimmed") != std::string::npos);
  for (bool const fresh_batch : {true, false}) {
    auto s = b.subscribe(std::span(long_names), support::id(0)).subscription;
    batch reused;
    unsigned const failures = each_failure(b, [&] {
      batch fresh;
      auto& pulled = fresh_batch ? fresh : reused;
      try {
        (void)s.pull(pulled, support::all_room);
      } catch (std::bad_alloc const&) {
        support::allocations_left = -1;
        CHECK_UNARY(pulled.empty());
        CHECK(support::bytes_of(pulled) == ""); // nothing was pulled
        return false;
      }
      support::allocations_left = -1;
      CHECK(support::bytes_of(pulled) == expected);
      return true;
    });
    CHECK(failures >= 3);
    CHECK(support::pull(s) == "");
  }
}

TEST_CASE("a lag is told whole or not yet") {
  ssewire::broker_options options;
  options.replay.max_events = 2;
  broker b(options);
  auto s = b.subscribe(std::span(long_names)).subscription;
  CHECK(support::pull(s) == support::position_event(0));
  for (int i = 0; i < 5; ++i) {
    for (auto const name : long_names) REQUIRE(b.publish(name, {.data = "x"}));
  }
  std::string got;
  each_failure(b, [&] {
    batch pulled;
    try {
      (void)s.pull(pulled, 0);
    } catch (std::bad_alloc const&) {
      return false;
    }
    support::allocations_left = -1;
    got = support::bytes_of(pulled);
    return true;
  });
  got += support::pull_all(s);
  std::size_t told = 0;
  for (auto at = got.find("\"missed\":3}"); at != std::string::npos; at = got.find("\"missed\":3}", at + 1)) ++told;
  CHECK(told == 3);
  CHECK(b.stats().gaps == 3);
}

TEST_CASE("what needs no memory does not ask for any") {
  broker b;
  for (int i = 0; i < 20; ++i) REQUIRE(b.publish("a", {.data = "x"}));
  auto s = b.subscribe("a").subscription;
  batch pulled;
  REQUIRE(s.pull(pulled, 1000) == pull_status::frames);
  REQUIRE(b.publish("a", {.data = "x"}));
  support::allocations_failed = 0;
  support::allocations_left = 0;
  CHECK(s.pull(pulled, 1000) == pull_status::frames);
  (void)s.give_back(pulled, 1);
  (void)s.pull(pulled, 1000);
  (void)s.park();
  b.tick({});
  (void)b.stats();
  b.drain({});
  s.close();
  support::allocations_left = -1;
  CHECK(support::allocations_failed == 0);
}

TEST_CASE("a replay buffer's append happens or has no effect") {
  ssewire::basic_replay_buffer<failing_traits> buffer;
  unsigned failures = 0;
  std::string expected;
  for (std::uint64_t p = 1; p <= 60; ++p) {
    std::string const data(p % 5 == 0 ? 6000 : p * 9, 'd');
    for (long n = 0;; ++n) {
      REQUIRE(n < 10);
      auto const held = buffer.allocated_bytes();
      support::allocations_left = n;
      auto const result = buffer.append({.data = data});
      support::allocations_left = -1;
      if (result) {
        CHECK(result.id.view() == support::id(p));
        break;
      }
      ++failures;
      CHECK(result.error == errc::no_memory);
      CHECK(buffer.allocated_bytes() == held);
      CHECK(buffer.events() == p - 1);
    }
    expected += support::frame(p, data);
  }
  CHECK(failures > 20);
  std::string got;
  for (auto const f : buffer.after("")) got += f;
  CHECK_UNARY(got == expected);
}
