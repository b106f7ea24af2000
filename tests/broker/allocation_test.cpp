// SPDX-License-Identifier: MIT
// Makes every allocation fail once. What was asked of the broker then happens, or has no effect at all.
#include <ssewire/broker/broker.hpp>
#include <ssewire/log/replay_buffer.hpp>

#include <support/broker_bytes.hpp>
#include <support/failing_allocations.hpp>

#include <doctest/doctest.h>

#include <chrono>
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

std::string_view const long_names[] = {"a channel whose name is long enough to be allocated",
                                       "another such channel, also long",
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
}

// Calls `action` with the n-th allocation failing, for n = 0, 1... until none does. Each time but the last
// it must answer false, and nothing may have changed. Returns how often it failed.
//
// `spare`: a log keeps the larger list of pages, or the larger index of IDs, that it had made before memory
// ran out.
template <class Action> unsigned each_failure(broker& b, Action action, std::uint64_t spare = 0) {
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
    CHECK(b.stats().log_bytes >= before.log_bytes);
    CHECK(b.stats().log_bytes <= before.log_bytes + spare);
  }
}

bool publish(broker& b, std::string_view channel, std::string_view data, std::uint64_t position) {
  auto const result = b.publish(channel, {.data = data});
  if (result) {
    support::allocations_left = -1;
    CHECK(result.value.view() == support::id(position));
    return true;
  }
  support::allocations_left = -1;
  CHECK(result.error == errc::no_memory);
  CHECK(result.value.view() == "");
  return false;
}

}  // namespace

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
  for (std::uint64_t p = 1; p <= 200; ++p) {  // many channels: the table grows, and so do the logs
    auto const name = "channel " + std::to_string(p % 50);
    std::string const data(p % 7 == 0 ? 5000 : p % 500, 'd');
    failures += each_failure(b, [&] { return publish(b, name, data, p); });
  }
  CHECK(failures > 200);
  CHECK(b.stats().channels == 50);
  CHECK(b.stats().published == 200);
  std::string last;
  auto made = b.subscribe("channel 7", {.start = ssewire::start_at::beginning()});
  REQUIRE(made);
  auto const got = support::pull_all(made.value);
  CHECK(got == support::position_event(6) + support::frame(7, std::string(5000, 'd')) +
                   support::frame(57, std::string(57, 'd')) + support::frame(107, std::string(107, 'd')) +
                   support::frame(157, std::string(157, 'd')));
}

TEST_CASE("a subscription to several channels is made, or there is none and none of its channels") {
  broker b;
  REQUIRE(b.publish(long_names[1], {.data = "held"}));
  subscription made;
  auto const failures = each_failure(b, [&] {
    auto result = b.subscribe(std::span(long_names),
                              {.last_event_id = "garbage", .start = ssewire::start_at::beginning()});
    support::allocations_left = -1;
    CHECK(bool(result) == bool(result.value));
    if (!result) CHECK(result.error == errc::no_memory);
    if (result) made = std::move(result.value);
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
    auto s = b.subscribe(std::span(long_names), {.last_event_id = support::id(0)}).value;
    return support::pull(s);
  }();
  CHECK(expected.find("trimmed") != std::string::npos);
  for (bool const fresh_batch : {true, false}) {
    auto s = b.subscribe(std::span(long_names), {.last_event_id = support::id(0)}).value;
    batch reused;
    unsigned const failures = each_failure(b, [&] {
      batch fresh;
      auto& pulled = fresh_batch ? fresh : reused;
      try {
        (void)s.pull(pulled, support::all_room);
      } catch (std::bad_alloc const&) {
        support::allocations_left = -1;
        CHECK_UNARY(pulled.empty());
        CHECK(support::bytes_of(pulled) == "");  // nothing was pulled
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
  auto s = b.subscribe(std::span(long_names)).value;
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
  for (auto at = got.find("\"missed\":3}"); at != std::string::npos; at = got.find("\"missed\":3}", at + 1))
    ++told;
  CHECK(told == 3);
  CHECK(b.stats().gaps == 3);
}

TEST_CASE("what needs no memory does not ask for any") {
  broker b;
  for (int i = 0; i < 20; ++i) REQUIRE(b.publish("a", {.data = "x"}));
  auto s = b.subscribe("a").value;
  batch pulled;
  REQUIRE(s.pull(pulled, 1000) == pull_status::ready);
  REQUIRE(b.publish("a", {.data = "x"}));
  support::allocations_failed = 0;
  support::allocations_left = 0;
  CHECK(s.pull(pulled, 1000) == pull_status::ready);
  (void)s.give_back(pulled, 1);
  (void)s.pull(pulled, 1000);
  (void)s.park();
  b.tick({});
  (void)b.stats();
  b.drain({}, ssewire::steady_time{} + std::chrono::hours(2));
  b.tick(ssewire::steady_time{} + std::chrono::hours(1));
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
        CHECK(result.value.view() == support::id(p));
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

// ---- several events, several channels, filters, changes while open ----

namespace {

std::string replay(broker& b, std::string_view channel) {
  auto made = b.subscribe(channel, {.start = ssewire::start_at::beginning()});
  REQUIRE(made);
  auto const all = support::pull_all(made.value);
  return all.substr(all.find("\n\n") + 2);  // without the position event
}

}  // namespace

TEST_CASE(
    "several events are published to several channels, or nothing is: no event, ID, tag or channel is left") {
  std::string const large(5000, 'L');
  std::string const huge(80'000, 'H');
  for (bool const first_is_there : {false, true}) {
    broker b;
    std::string before;
    std::uint64_t position = 0;
    if (first_is_there) {
      for (; position < 15; ++position) {
        REQUIRE(b.publish(long_names[0], {.data = "held"}));
        before += support::frame(position + 1, "held");
      }
    }
    std::vector<ssewire::event> const events = {{.data = "one", .id = "my-first"},
                                                {.data = "two"},
                                                {.data = large, .id = "my-third"},
                                                {.data = huge}};
    auto const failures = each_failure(
        b,
        [&] {
          auto const result = b.publish(std::span(long_names), events, {.tag = 7});
          support::allocations_left = -1;
          if (!result) {
            CHECK(result.error == errc::no_memory);
            CHECK(result.value.view() == "");
            return false;
          }
          CHECK(result.value.view() == support::id(position + 4));
          return true;
        },
        64);
    CHECK(failures >= 15);
    CHECK(b.stats().published == position + 4);
    std::string const expected = "id: my-first\ndata: one\n\n" + support::frame(position + 2, "two") +
                                 "id: my-third\ndata: " + large + "\n\n" + support::frame(position + 4, huge);
    CHECK_UNARY(replay(b, long_names[0]) == before + expected);
    CHECK_UNARY(replay(b, long_names[1]) == expected);
    CHECK_UNARY(replay(b, long_names[2]) == expected);
  }
}

TEST_CASE("one event is published to several channels or to none, while their logs and indexes grow") {
  broker b;
  unsigned failures = 0;
  std::string expected;
  for (std::uint64_t p = 1; p <= 120; ++p) {
    auto const own = "my-" + std::to_string(p);
    std::string const data(p % 9 == 0 ? 5000 : p * 7 % 300, 'd');
    failures += each_failure(
        b,
        [&] {
          auto const result = b.publish({"a", "b"}, {.data = data, .id = ssewire::event_id::from(own).value},
                                        {.tag = p % 4 == 0 ? p : 0});
          support::allocations_left = -1;
          if (!result) CHECK(result.error == errc::no_memory);
          return bool(result);
        },
        12 * p + 64);
    expected += "id: " + own + "\ndata: " + data + "\n\n";
  }
  CHECK(failures > 500);
  CHECK_UNARY(replay(b, "a") == expected);
  CHECK_UNARY(replay(b, "b") == expected);
  CHECK(b.subscribe({"a", "b"}, {.last_event_id = "my-60"}).value.backlog() == 120);
}

TEST_CASE(
    "a subscription with a filter and a user is made, or there is none and the user has not become fuller") {
  ssewire::broker_options options;
  options.max_subscribers_per_user = 1;
  broker b(options);
  REQUIRE(b.publish(long_names[1], {.data = "held"}, {.tag = 3}));
  std::string const big_state(100, 's');
  ssewire::event_filter const filter = [big_state](ssewire::event_header const& e) { return e.tag == 3; };
  subscription made;
  auto const failures = each_failure(b, [&] {
    auto result = b.subscribe(std::span(long_names),
                              {.start = ssewire::start_at::beginning(), .filter = filter, .user = "ann"});
    support::allocations_left = -1;
    CHECK(bool(result) == bool(result.value));
    if (!result) CHECK(result.error == errc::no_memory);
    if (result) made = std::move(result.value);
    return bool(result);
  });
  CHECK(failures >= 8);
  CHECK(support::pull_all(made).ends_with(support::frame(1, "held")));
  CHECK(b.subscribe("a", {.user = "ann"}).error == errc::user_full);
}

struct presence_counter {
  unsigned calls = 0;
  void operator()(ssewire::presence const&) noexcept { ++calls; }
};

TEST_CASE("while the table of users grows, a refused stream leaves none of its user's places taken") {
  presence_counter ear;
  ssewire::broker_options options;
  options.on_presence = ssewire::presence_hook::of(ear);
  options.max_subscribers_per_user = 1;
  options.max_subscribers_per_channel = 60;
  broker b(options);
  unsigned failures = 0;
  for (int round = 0; round < 2; ++round) {  // the second time all of them have left
    std::vector<subscription> made;
    for (int i = 0; i < 60; ++i) {
      auto const user = "a user whose key is long enough to be allocated " + std::to_string(i);
      failures += each_failure(b, [&] {
        auto result = b.subscribe({"a", user}, {.user = user});
        support::allocations_left = -1;
        if (result) made.push_back(std::move(result.value));
        return bool(result);
      });
      CHECK(b.subscribe("b", {.user = user}).error == errc::user_full);
      CHECK(b.subscribers("a") == made.size());
      CHECK(b.users("a") == made.size());
      CHECK(b.users(user) == 1);
    }
    CHECK(ear.calls == 2 * made.size());
    ear.calls = 0;
    CHECK(b.subscribe("a").error == errc::channel_full);
    CHECK(b.stats().channels == 61);
    made.clear();
    CHECK(ear.calls == 2 * 60);
    ear.calls = 0;
    CHECK(b.stats().channels == 0);
  }
  CHECK(failures > 600);
}

TEST_CASE("a stream that expires is made, or there is none that will") {
  broker b;
  auto const start = ssewire::steady_time() + std::chrono::hours(1);
  std::vector<subscription> made;
  unsigned failures = 0;
  for (int i = 0; i < 40; ++i) {  // the order of expiry grows
    failures += each_failure(b, [&] {
      auto result = b.subscribe("a", {.user = "ann", .expires = start + std::chrono::seconds(i)});
      support::allocations_left = -1;
      if (!result) CHECK(result.error == errc::no_memory);
      if (result) made.push_back(std::move(result.value));
      return bool(result);
    });
  }
  CHECK(failures > 100);
  for (std::size_t i = 0; i < made.size(); ++i) {
    CHECK(made[i].reason() == ssewire::close_reason::none);
    support::allocations_failed = 0;
    support::allocations_left = 0;  // a tick does without memory
    b.tick(start + std::chrono::seconds(i));
    support::allocations_left = -1;
    CHECK(made[i].reason() == ssewire::close_reason::expired);
  }
  CHECK(b.stats().users == 0);
}

TEST_CASE("an end from outside happens, or has no effect; without a farewell it needs no memory") {
  ssewire::event const farewell{.type = "bye", .data = "a farewell that is long enough to be allocated"};
  for (int how = 0; how < 3; ++how) {
    CAPTURE(how);
    broker b;
    auto s = b.subscribe("a", {.user = "ann"}).value;
    (void)support::pull(s);
    ssewire::subscription_id id;
    CHECK(each_failure(b, [&] { return bool(id = s.id()); }) > 0);
    auto const failures = each_failure(b, [&] {
      auto const error = how == 0   ? b.close_user("ann", farewell).error
                         : how == 1 ? b.close_channel("a", farewell).error
                                    : b.close(id, ssewire::close_reason::finished, farewell).error;
      // A close that could not be remembered counts: what came before is refused.
      if (error == errc::ok) {
        support::allocations_left = -1;
        support::allocations_failed = 0;
        return true;
      }
      CHECK(error == errc::no_memory);
      CHECK(s.reason() == ssewire::close_reason::none);
      return false;
    });
    CHECK(failures >= 2);
    CHECK(s.reason() != ssewire::close_reason::none);
    CHECK(support::pull(s) == std::string("event: bye\ndata: ") + std::string(*farewell.data) + "\n\n");
  }
  broker b;
  auto s = b.subscribe("a", {.user = "ann"}).value;
  auto const before = b.closes();
  support::allocations_left = 0;
  auto const ended = b.close_user("ann");
  support::allocations_left = -1;
  CHECK(*ended == 1);
  CHECK(s.reason() == ssewire::close_reason::revoked);
  CHECK(b.subscribe("x", {.user = "bob", .as_of = before}).error ==
        errc::revoked);  // it could not be noted who
  CHECK(b.subscribe("x", {.user = "ann", .as_of = b.closes()}).error == errc::ok);
}

TEST_CASE("join follows the channel, or nothing has changed and nobody is told") {
  presence_counter ear;
  ssewire::broker_options options;
  options.on_presence = ssewire::presence_hook::of(ear);
  broker b(options);
  auto s = b.subscribe("a", {.user = "a user whose key is long enough to be allocated"}).value;
  CHECK(support::pull(s) == support::position_event(0));
  unsigned failures = 0;
  for (int i = 0; i < 20; ++i) {
    auto const name = "a channel whose name is long enough to be allocated " + std::to_string(i);
    ear.calls = 0;
    failures += each_failure(b, [&] {
      REQUIRE(s.park());
      auto const error = s.join(name);
      support::allocations_left = -1;
      if (error == errc::ok) return true;
      CHECK(error == errc::no_memory);
      CHECK(b.subscribers(name) == 0);
      CHECK(b.users(name) == 0);
      CHECK(ear.calls == 0);
      CHECK(support::pull(s) == "");
      return false;
    });
    CHECK(ear.calls == 1);
    CHECK(b.subscribers(name) == 1);
    CHECK(support::pull(s) == support::checkpoint(static_cast<std::uint64_t>(i)));
    REQUIRE(b.publish(name, {.data = "x"}));
    CHECK(support::pull(s) == support::frame(static_cast<std::uint64_t>(i) + 1, "x"));
  }
  CHECK(failures >= 80);
}

TEST_CASE("leave and set_filter do without memory") {
  broker b;
  auto s = b.subscribe({"a", "b"}).value;
  (void)support::pull(s);
  ssewire::event_filter const filter = [](ssewire::event_header const&) { return false; };
  support::allocations_failed = 0;
  support::allocations_left = 0;
  auto const left = s.leave("a");
  CHECK(support::allocations_failed == 0);
  support::allocations_left = 0;
  auto const set = s.set_filter(filter);
  support::allocations_left = -1;
  CHECK(left == errc::ok);
  CHECK(set == errc::ok);
  CHECK(support::pull(s) == support::checkpoint(0));
}

TEST_CASE("a filtered pull brings all that its filter admits, or nothing, whatever it allocates itself") {
  ssewire::broker_options options;
  options.replay.max_events = 100;
  broker b(options);
  std::string expected;
  for (std::uint64_t i = 1; i <= 150; ++i) {
    auto const data = std::to_string(i);
    REQUIRE(b.publish("a", {.data = data}, {.tag = i % 2}));
    if (i > 50 && i % 2 == 1) expected += support::frame(i, data);
  }
  auto s = b.subscribe("a", {.last_event_id = support::id(10),
                             .filter =
                                 [](ssewire::event_header const& e) {
                                   std::string const needs(100, 'n');
                                   return e.tag == 1 && needs.size() == 100;
                                 }})
               .value;
  std::string got;
  unsigned failures = 0;
  for (int pulls = 0; pulls < 10; ++pulls) {
    for (long n = 0;; ++n) {
      batch pulled;
      auto const before = b.stats();
      support::allocations_failed = 0;
      support::allocations_left = n;
      bool done = true;
      try {
        (void)s.pull(pulled, 1000);
      } catch (std::bad_alloc const&) {
        done = false;
      }
      support::allocations_left = -1;
      if (done) {
        got += support::bytes_of(pulled);
        break;
      }
      ++failures;
      CHECK_UNARY(pulled.empty());
      check_same(b.stats(), before);
    }
  }
  CHECK(failures > 40);
  CHECK(got == "id: " + support::id(50) +
                   "\nevent: ssewire.gap\ndata: {\"reason\":\"trimmed\",\"channel\":\"a\"}\n\n" +
                   support::position_event(50) + expected);
}
