// SPDX-License-Identifier: MIT
// ends_test.cpp - who may stay: streams that are ended from outside, that expire, that are replaced; and how
// often a user may come.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::event;
using ssewire::pull_status;
using ssewire::steady_time;
using ssewire::subscription_id;
using ssewire::user_limit;
using ssewire::wake;
using support::frame;
using support::pull;

using broker = ssewire::basic_broker<support::epoch_traits>;  // epoch 0, so that every byte is known
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using batch = ssewire::basic_batch<support::epoch_traits>;

steady_time at(std::chrono::milliseconds since) { return steady_time() + since; }

subscription opened(broker& b, ssewire::channel_names channels, ssewire::subscribe_options const& how = {}) {
  auto made = b.subscribe(channels, how);
  REQUIRE(made.error == errc::ok);
  (void)pull(*made);
  return std::move(made.value);
}

bool is_over(subscription& s) {
  batch out;
  return s.pull(out, 1000) == pull_status::closed && out.empty();
}

std::uint64_t count(broker const& b, close_reason why) {
  return b.stats().closes[static_cast<std::size_t>(why)];
}

struct bell {
  std::vector<wake> rung;
  void operator()(wake why) { rung.push_back(why); }
};

// ---- close_user, close_channel, close

TEST_CASE("close_user ends the streams of its user: the parked ones are woken, and the others stay") {
  broker b;
  auto parked = opened(b, "c", {.user = "ann"});
  auto behind = opened(b, {"c", "d"}, {.user = "ann"});
  auto other = opened(b, "c", {.user = "bob"});
  auto of_nobody = opened(b, "c");
  std::array<bell, 4> bells;
  std::size_t i = 0;
  for (auto* s : {&parked, &behind, &other, &of_nobody}) s->set_hook(ssewire::wake_hook::of(bells[i++]));
  for (auto* s : {&parked, &other, &of_nobody}) REQUIRE(s->park());
  auto const ended = b.close_user("ann");
  REQUIRE(ended);
  CHECK(*ended == 2);
  CHECK(bells[0].rung == std::vector{wake::evicted});
  CHECK(bells[1].rung == std::vector{wake::evicted});
  CHECK(bells[2].rung.empty());
  CHECK(bells[3].rung.empty());
  CHECK(parked.reason() == close_reason::revoked);
  CHECK(!parked.park());
  CHECK(is_over(parked));
  CHECK(other.reason() == close_reason::none);
  CHECK(b.stats().subscribers == 4);
  CHECK(parked.close() == close_reason::revoked);
  CHECK(behind.close(close_reason::peer_gone) == close_reason::revoked);
  CHECK(b.stats().subscribers == 2);
  CHECK(count(b, close_reason::revoked) == 2);
  CHECK(*b.close_user("ann") == 0);
}

TEST_CASE("nothing is pulled after close_user has returned, whether it was published before or after") {
  broker b;
  auto s = opened(b, "c", {.user = "ann"});
  REQUIRE(b.publish("c", "before"));
  CHECK(*b.close_user("ann") == 1);
  REQUIRE(b.publish("c", "after"));
  CHECK(is_over(s));
  CHECK(is_over(s));
}

TEST_CASE("a batch that was pulled before close_user may still be given back, and its rest sent") {
  broker b;
  auto s = opened(b, "c", {.user = "ann"});
  REQUIRE(b.publish("c", "one"));
  REQUIRE(b.publish("c", "two"));
  batch out;
  REQUIRE(s.pull(out, 1000) == pull_status::ready);
  CHECK(*b.close_user("ann") == 1);
  CHECK(s.give_back(out, 10) == frame(1, "one").substr(10));
  CHECK(is_over(s));
}

TEST_CASE("a farewell is the last event that each client gets, and comes once") {
  broker b;
  auto s = opened(b, "c", {.user = "ann"});
  auto t = opened(b, "c", {.user = "ann"});
  REQUIRE(b.publish("c", "before"));
  CHECK(*b.close_user("ann", event{.type = "bye", .data = "signed out"}) == 2);
  CHECK(pull(s) == "event: bye\ndata: signed out\n\n");
  CHECK(is_over(s));
  batch out;
  REQUIRE(t.pull(out, 1) == pull_status::ready);  // however little room there is
  CHECK(t.give_back(out, 7) == "bye\ndata: signed out\n\n");
  CHECK(is_over(t));
}

TEST_CASE("a farewell with an ID, or one that no log would take, is refused, and nothing is ended") {
  broker b(ssewire::broker_options{.replay = {.max_bytes = 100}});
  auto s = opened(b, "c", {.user = "ann"});
  auto const id = s.id();
  std::string const text(100, 'x');
  for (auto const& [e, error] : {std::pair{event{.data = "bye", .id = "7"}, errc::id_refused},
                                 std::pair{event{.type = "ssewire.gap", .data = "{}"}, errc::type_reserved},
                                 std::pair{event{.data = text}, errc::event_too_large}}) {
    CHECK(b.close_user("ann", e).error == error);
    CHECK(b.close_channel("c", e).error == error);
    CHECK(b.close(id, close_reason::removed, e).error == error);
  }
  CHECK(s.reason() == close_reason::none);
  CHECK(b.closes() == 0);
  CHECK(*b.close_user("ann", event{.data = std::string_view(text).substr(0, 50)}) == 1);
}

TEST_CASE("close_channel ends each stream that follows the channel; its events stay, and others go on") {
  broker b;
  auto one = opened(b, "c");
  auto two = opened(b, {"d", "c"});
  auto other = opened(b, "d");
  REQUIRE(b.publish("c", "kept"));
  CHECK(*b.close_channel("c") == 2);
  CHECK(*b.close_channel("never seen") == 0);
  CHECK(*b.close_channel(nullptr) == 0);
  CHECK(one.close() == close_reason::channel_closed);
  CHECK(two.close() == close_reason::channel_closed);
  CHECK(other.reason() == close_reason::none);
  auto late = support::follow(b, {"c"}, {}, {.start = ssewire::start_at::beginning()});
  CHECK(pull(late).ends_with(frame(1, "kept")));
}

TEST_CASE("close ends the one stream of its ID, once, with the reason that was asked for") {
  broker b;
  auto s = opened(b, "c");
  auto t = opened(b, "c");
  auto const id = s.id();
  REQUIRE(id);
  CHECK(s.id() == id);
  CHECK(t.id() != id);
  CHECK(*b.close(id, close_reason::finished, event{.data = "done"}));
  CHECK(!*b.close(id));
  CHECK(pull(s) == "data: done\n\n");
  CHECK(s.close() == close_reason::finished);
  CHECK(!*b.close(id));
  CHECK(!*b.close({}));
  CHECK(!*b.close(subscription_id{12345}));
  CHECK(t.reason() == close_reason::none);
  CHECK(*b.close(t.id(), close_reason::none));
  CHECK(t.reason() == close_reason::removed);
  CHECK(!t.id());
  CHECK(!subscription().id());
}

TEST_CASE("an ID of another broker, or a reason that is none, does no harm") {
  broker b;
  support::epoch_traits::next = 7;
  broker other;
  support::epoch_traits::next = 0;
  auto s = opened(b, "c");
  auto t = opened(other, "c");
  CHECK(s.id().number == t.id().number);
  CHECK(!*b.close(t.id()));
  CHECK(s.reason() == close_reason::none);
  CHECK(*b.close(s.id(), static_cast<close_reason>(99)));
  s.close();
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("one that was revoked stays so, also if a drain's deadline passes before its driver has ended it") {
  broker b;
  auto s = opened(b, "c", {.user = "ann"});
  bell rings;
  s.set_hook(ssewire::wake_hook::of(rings));
  CHECK(*b.close_user("ann", event{.data = "bye"}) == 1);
  b.drain(at(0s), at(1s));
  for (int i = 1; i < 4; ++i) b.tick(at(std::chrono::seconds(i)));
  CHECK(rings.rung == std::vector{wake::evicted, wake::evicted});  // force comes once
  CHECK(pull(s) == "data: bye\n\n");
  CHECK(s.close() == close_reason::revoked);
}

TEST_CASE("a subscription that went by itself is not known by its ID any more") {
  broker b;
  subscription_id id;
  {
    auto s = opened(b, "c");
    id = s.id();
  }
  CHECK(!*b.close(id));
  auto const next = opened(b, "c").id();
  CHECK(next.number > id.number);
}

TEST_CASE("a filter, a hook and a presence hook may end any stream, also the one that they belong to") {
  struct world {
    std::optional<broker> b;
    std::array<subscription, 3> all;
  };
  std::array<std::function<void(world&)>, 4> const calls{
      [](world& w) { (void)w.b->close_user("ann"); }, [](world& w) { (void)w.b->close_channel("c"); },
      [](world& w) { (void)w.b->close(w.all[0].id()); }, [](world& w) { w.b->tick(at(10s)); }};
  for (auto const& call : calls) {
    for (int where = 0; where < 3; ++where) {
      CAPTURE(where);
      world w;
      bool inside = false;
      auto const once = [&] {
        if (!std::exchange(inside, true)) call(w);
      };
      auto on_presence = [&](ssewire::presence const& now) {
        if (where == 2 && now.now < now.before) once();
      };
      auto on_wake = [&](wake) {
        if (where == 1) once();
      };
      w.b.emplace(ssewire::broker_options{.on_presence = ssewire::presence_hook::of(on_presence)});
      for (auto& s : w.all) {
        auto made = w.b->subscribe(
            "c", {.filter = [&](ssewire::event_header const&) { return where == 0 ? (once(), true) : true; },
                  .user = "ann",
                  .expires = at(10s)});
        REQUIRE(made);
        s = std::move(made.value);
        (void)pull(s);
        s.set_hook(ssewire::wake_hook::of(on_wake));
      }
      if (where == 1) REQUIRE(w.all[0].park());
      REQUIRE(w.b->publish("c", "x"));
      if (where == 0) CHECK(is_over(w.all[0]));
      if (where == 2) w.all[2].close();
      CHECK(inside);
      CHECK(is_over(w.all[0]));
    }
  }
}

// ---- as_of

TEST_CASE("a request that was authenticated before a close, and subscribes after it, is refused") {
  broker b;
  auto const before = b.closes();
  CHECK(*b.close_user("ann") == 0);
  CHECK(b.subscribe("c", {.user = "ann", .as_of = before}).error == errc::revoked);
  CHECK(b.subscribe("c", {.user = "ann", .as_of = b.closes()}));
  CHECK(b.subscribe("c", {.user = "ann"}));
  CHECK(b.subscribe("c", {.user = "bob", .as_of = before}));
  CHECK(b.subscribe("ann", {.as_of = before}));  // a channel of this name was not closed
  REQUIRE(b.close_channel("d"));
  CHECK(b.subscribe({"c", "d"}, {.user = "bob", .as_of = before}).error == errc::revoked);
  CHECK(b.subscribe("d", {.user = "bob", .as_of = b.closes()}));
  CHECK(b.stats().refusals[static_cast<std::size_t>(errc::revoked)] == 2);
}

TEST_CASE("1,024 closes are remembered; of what lies further back nobody is sure, and it is refused") {
  broker b;
  auto const before = b.closes();
  for (int i = 0; i < 1024; ++i) REQUIRE(b.close_user("user " + std::to_string(i)));
  CHECK(b.subscribe("c", {.user = "ann", .as_of = before}));
  CHECK(b.subscribe("c", {.user = "user 0", .as_of = before}).error == errc::revoked);
  REQUIRE(b.close_user("one more"));
  CHECK(b.subscribe("c", {.user = "ann", .as_of = before}).error == errc::revoked);
  CHECK(b.subscribe("c", {.user = "ann", .as_of = before + 1}));
  CHECK(b.subscribe("c", {.user = "ann", .as_of = b.closes() + 1}).error == errc::revoked);
}

// ---- expiry

TEST_CASE("a stream expires with the tick at its time, and not before") {
  broker b;
  std::vector<subscription> streams;
  for (int const s : {7, 3, 9, 3, 5}) {
    auto made = b.subscribe("c", {.expires = at(std::chrono::seconds(s))});
    REQUIRE(made);
    streams.push_back(std::move(made.value));
  }
  auto forever = opened(b, "c");
  auto const over = [&] {
    return std::count_if(streams.begin(), streams.end(),
                         [](auto& s) { return s.reason() == close_reason::expired; });
  };
  for (auto const& [now, expected] : {std::pair{at(2999ms), 0},
                                      {at(3s), 2},
                                      {at(4999ms), 2},
                                      {at(5s), 3},
                                      {at(1s), 3},
                                      {at(8s), 4},
                                      {at(100s), 5}}) {
    b.tick(now);
    CHECK(over() == expected);
  }
  CHECK(forever.reason() == close_reason::none);
  streams.clear();
  CHECK(count(b, close_reason::expired) == 5);
}

TEST_CASE("one that has gone by itself does not expire, in whatever order they go") {
  broker b;
  std::vector<std::optional<subscription>> streams;
  for (int i = 0; i < 50; ++i) {
    auto made = b.subscribe("c", {.expires = at(std::chrono::seconds(1 + i * 37 % 50))});
    REQUIRE(made);
    streams.emplace_back(std::move(made.value));
  }
  for (std::size_t i = 0; i < streams.size(); i += 3) streams[i].reset();
  for (int s = 1; s <= 50; ++s) {
    b.tick(at(std::chrono::seconds(s)));
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (!streams[i]) continue;
      bool const due = 1 + static_cast<int>(i) * 37 % 50 <= s;
      CHECK((streams[i]->reason() == close_reason::expired) == due);
    }
  }
}

TEST_CASE("the longest life ends each stream at another time, from 80 % of it to all of it") {
  broker b(ssewire::broker_options{.longest_life = 1000s});
  std::vector<subscription> streams;
  for (int i = 0; i < 200; ++i) streams.push_back(std::move(b.subscribe("c", {.now = at(0s)}).value));
  auto early = std::move(b.subscribe("c", {.expires = at(10s), .now = at(0s)}).value);
  auto late = std::move(b.subscribe("c", {.expires = at(2000s), .now = at(0s)}).value);
  auto const over = [&] {
    return std::count_if(streams.begin(), streams.end(),
                         [](auto& s) { return s.reason() == close_reason::expired; });
  };
  b.tick(at(10s));
  CHECK(early.reason() == close_reason::expired);
  b.tick(at(800s));
  CHECK(over() == 0);
  for (int part = 1; part <= 10; ++part) {  // evenly
    b.tick(at(800s + 20s * part));
    CHECK(std::abs(over() - 20 * part) <= 2);
  }
  CHECK(late.reason() == close_reason::expired);
}

TEST_CASE("a longest life that no clock reaches is none") {
  broker b(ssewire::broker_options{.longest_life = (ssewire::steady_duration::max)()});
  auto s = std::move(b.subscribe("c", {.now = at(1s)}).value);
  b.tick((steady_time::max)());
  CHECK(s.reason() == close_reason::none);
}

// ---- limits of a user

TEST_CASE("a user at the limit replaces the oldest stream, if the broker is told so") {
  broker b(
      ssewire::broker_options{.max_subscribers_per_user = 2, .at_user_limit = user_limit::replace_oldest});
  auto first = opened(b, "c", {.user = "ann"});
  auto second = opened(b, "d", {.user = "ann"});
  auto other = opened(b, "c", {.user = "bob"});
  auto third = opened(b, "c", {.user = "ann"});
  CHECK(first.reason() == close_reason::replaced);
  CHECK(second.reason() == close_reason::none);
  second.close();
  auto fourth = opened(b, "c", {.user = "ann"});
  CHECK(third.reason() == close_reason::none);
  auto fifth = opened(b, "c", {.user = "ann"});
  CHECK(third.reason() == close_reason::replaced);
  CHECK(fourth.reason() == close_reason::none);
  CHECK(other.reason() == close_reason::none);
  first.close();
  CHECK(count(b, close_reason::replaced) == 1);
  CHECK(b.stats().refusals[static_cast<std::size_t>(errc::user_full)] == 0);
}

TEST_CASE("who is refused replaces nobody") {
  broker b(ssewire::broker_options{.max_subscribers_per_channel = 1,
                                   .max_subscribers_per_user = 1,
                                   .at_user_limit = user_limit::replace_oldest});
  auto first = opened(b, "c", {.user = "ann"});
  auto full = opened(b, "d");
  CHECK(b.subscribe("d", {.user = "ann"}).error == errc::channel_full);
  CHECK(first.reason() == close_reason::none);
  broker none(
      ssewire::broker_options{.max_subscribers_per_user = 0, .at_user_limit = user_limit::replace_oldest});
  CHECK(none.subscribe("c", {.user = "ann"}).error == errc::user_full);
  CHECK(none.stats().users == 0);
}

TEST_CASE(
    "reloading a page never locks its user out, although nobody has noticed that the old streams are dead") {
  broker b(
      ssewire::broker_options{.max_subscribers_per_user = 3, .at_user_limit = user_limit::replace_oldest});
  std::vector<subscription> dead;
  for (int i = 0; i < 10; ++i) dead.push_back(opened(b, "c", {.user = "ann"}));
  CHECK(std::count_if(dead.begin(), dead.end(), [](auto& s) { return s.reason() == close_reason::none; }) ==
        3);
}

TEST_CASE("a user may begin as many streams in a minute as the limit says, at once or spread") {
  broker b(ssewire::broker_options{.max_connects_per_user_per_minute = 6});
  auto const connects = [&](std::string_view user, steady_time now) {
    return b.subscribe("c", {.user = user, .now = now}).error;
  };
  for (int i = 0; i < 6; ++i) CHECK(connects("ann", at(1000s)) == errc::ok);
  CHECK(connects("ann", at(1000s)) == errc::connects_too_often);
  CHECK(connects("bob", at(1000s)) == errc::ok);
  CHECK(connects("ann", at(1009999ms)) == errc::connects_too_often);
  CHECK(connects("ann", at(1010s)) == errc::ok);
  CHECK(connects("ann", at(1010s)) == errc::connects_too_often);
  CHECK(connects("ann", at(500s)) == errc::connects_too_often);  // a clock that went back grants nothing
  int granted = 0;
  for (int s = 0; s < 600; ++s) granted += connects("ann", at(1010s + std::chrono::seconds(s))) == errc::ok;
  CHECK(granted == 59);
  for (int i = 0; i < 100; ++i) CHECK(b.subscribe("c", {.now = at(2000s)}));  // of no user
  broker none(ssewire::broker_options{.max_connects_per_user_per_minute = 0});
  CHECK(none.subscribe("c", {.user = "ann"}).error == errc::connects_too_often);
}

TEST_CASE("without a time the clock is read, where a limit needs it") {
  broker b(ssewire::broker_options{.max_connects_per_user_per_minute = 2, .longest_life = 1h});
  auto first = b.subscribe("c", {.user = "ann"});
  auto second = b.subscribe("c", {.user = "ann"});
  CHECK(b.subscribe("c", {.user = "ann"}).error == errc::connects_too_often);
  b.tick(std::chrono::steady_clock::now() + 40min);
  CHECK(first->reason() == close_reason::none);
  b.tick(std::chrono::steady_clock::now() + 61min);
  CHECK(first->reason() == close_reason::expired);
}

TEST_CASE(
    "a record without streams is kept until its minute is over, and not at all without a limit of connects") {
  broker plain;
  (void)opened(plain, "c", {.user = "ann"});
  CHECK(plain.stats().users == 0);
  broker b(ssewire::broker_options{.max_connects_per_user_per_minute = 1});
  CHECK(b.subscribe("c", {.user = "ann", .now = at(100s)}));
  CHECK(b.stats().users == 1);
  CHECK(b.subscribe("c", {.user = "ann", .now = at(159s)}).error == errc::connects_too_often);
  b.tick(at(159s));
  CHECK(b.stats().users == 1);
  b.tick(at(160s));
  CHECK(b.stats().users == 0);
  CHECK(b.subscribe("c", {.user = "ann", .now = at(160s)}));
}

TEST_CASE(
    "users are limited: the record that is idle the longest goes, and a new one is refused if none is") {
  broker b(ssewire::broker_options{.max_connects_per_user_per_minute = 5, .max_users = 2});
  auto ann = opened(b, "c", {.user = "ann", .now = at(1s)});
  (void)opened(b, "c", {.user = "bob", .now = at(1s)});
  (void)opened(b, "c", {.user = "cid", .now = at(1s)});  // in place of bob
  CHECK(b.stats().users == 2);
  auto cid = opened(b, "c", {.user = "cid", .now = at(1s)});
  CHECK(b.subscribe("c", {.user = "dan", .now = at(1s)}).error == errc::too_many_users);
  CHECK(b.subscribe("c", {.now = at(1s)}));
  cid.close();
  CHECK(b.subscribe("c", {.user = "dan", .now = at(1s)}));
  CHECK(b.stats().users == 2);
  broker none(ssewire::broker_options{.max_users = 0});
  CHECK(none.subscribe("c", {.user = "ann"}).error == errc::too_many_users);
  CHECK(none.subscribe("c"));
}

TEST_CASE("a user's key has up to 128 bytes, whatever they are") {
  broker b(ssewire::broker_options{.max_subscribers_per_user = 1});
  std::string key(128, '\0');
  auto s = opened(b, "c", {.user = key});
  CHECK(b.subscribe("c", {.user = key}).error == errc::user_full);
  key.back() = 'x';
  CHECK(b.subscribe("c", {.user = key}));
  key.push_back('x');
  CHECK(b.subscribe("c", {.user = key}).error == errc::user_key_refused);
  CHECK(*b.close_user(key) == 0);
  CHECK(*b.close_user("") == 0);
  CHECK(*b.close_user(nullptr) == 0);
  CHECK(b.closes() == 0);  // nobody has such a key
}

// ---- how long the lock is held

struct counted_traits : support::epoch_traits {
  static inline std::size_t holds = 0;
  struct mutex {
    void lock() { ++holds; }
    void unlock() {}
  };
  struct condition_variable {
    void wait(std::unique_lock<mutex>&) { FAIL("nobody to wait for"); }
    void notify_all() noexcept {}
  };
};

TEST_CASE("closing a user or a channel with 10,000 streams holds the lock for at most 64 of them at a time") {
  for (int const how : {0, 1, 2}) {
    ssewire::basic_broker<counted_traits> b;
    std::vector<ssewire::basic_subscription<counted_traits>> all;
    for (int i = 0; i < 10'000; ++i)
      all.push_back(std::move(b.subscribe("c", {.user = "ann", .expires = at(1s)}).value));
    counted_traits::holds = 0;
    if (how == 0) CHECK(*b.close_user("ann") == 10'000);
    if (how == 1) CHECK(*b.close_channel("c") == 10'000);
    if (how == 2) b.tick(at(1s));
    CHECK(counted_traits::holds > 10'000 / 64);
    CHECK(std::none_of(all.begin(), all.end(), [](auto& s) { return s.reason() == close_reason::none; }));
  }
}

TEST_CASE(
    "ten thousand idle records go with one tick, and the lock is held for at most 64 of them at a time") {
  ssewire::basic_broker<counted_traits> b({.max_connects_per_user_per_minute = 1});
  for (int i = 0; i < 10'000; ++i)
    CHECK(b.subscribe("c", {.user = std::to_string(i), .now = at(0s)}).error == errc::ok);
  CHECK(b.stats().users == 10'000);
  counted_traits::holds = 0;
  b.tick(at(1min));
  CHECK(counted_traits::holds > 10'000 / 64);
  CHECK(b.stats().users == 0);
}

// ---- hostile clocks

TEST_CASE("a hook that subscribes again with a time that has passed does not keep tick for ever") {
  broker b;
  std::vector<subscription> all;
  struct again {
    std::function<void()> call;
    void operator()(wake) { call(); }
  } hook;
  auto const come = [&] {
    all.push_back(std::move(b.subscribe("c", {.expires = at(0s)}).value));
    all.back().set_hook(ssewire::wake_hook::of(hook));
  };
  hook.call = [&] {
    if (all.size() < 100) come();
  };
  come();
  b.tick(at(1s));
  CHECK(all.size() == 2);
  b.tick(at(1s));
  CHECK(all.size() == 3);
}

TEST_CASE("times at the ends of the clock, and before its beginning, are times as any other") {
  for (auto const now : {(steady_time::min)(), at(-1ms), (steady_time::max)() - 2min}) {
    broker b({.max_connects_per_user_per_minute = 2, .longest_life = 10s});
    auto const s = b.subscribe("c", {.user = "ann", .now = now});
    CHECK(s.error == errc::ok);
    CHECK(b.subscribe("c", {.user = "ann", .now = now}).error == errc::ok);
    CHECK(b.subscribe("c", {.user = "ann", .now = now}).error == errc::connects_too_often);
    b.tick(now + 10s);
    CHECK(s->reason() == close_reason::expired);
  }
  broker b({.max_connects_per_user_per_minute = 2});
  CHECK(b.subscribe("c", {.user = "ann", .now = (steady_time::max)()}).error == errc::ok);
  CHECK(b.subscribe("c", {.user = "ann", .now = (steady_time::min)()}).error == errc::connects_too_often);
}

// ---- threads

TEST_CASE("of streams whose request was authenticated before the last close none is left, whoever raced") {
  broker b;
  constexpr int rounds = 300;
  std::atomic<int> closed = 0;
  std::atomic<bool> failed = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      std::vector<std::pair<std::uint64_t, subscription>> mine;
      while (closed.load() < rounds) {
        auto const seen = b.closes();
        auto made = b.subscribe("c", {.user = "ann", .as_of = seen});
        if (made) mine.emplace_back(seen, std::move(made.value));
        (void)b.publish("c", "x");
        auto const now = b.closes();
        for (auto& [as_of, s] : mine) {
          // What was admitted before a close that has returned is over.
          if (as_of + 1 < now && s.reason() == close_reason::none) failed = true;
        }
        std::erase_if(mine, [](auto& one) { return one.second.reason() != close_reason::none; });
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < rounds; ++i) {
      (void)b.close_user("ann");
      closed.fetch_add(1);
      std::this_thread::yield();
    }
  });
  for (auto& t : threads) t.join();
  CHECK(!failed);
  CHECK(b.stats().subscribers == 0);
  CHECK(b.stats().users == 0);
}

}  // namespace
