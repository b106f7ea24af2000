// SPDX-License-Identifier: MIT
// ticking_test.cpp - the drivers let time pass for the broker: only tests that say so call tick().
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/testing/virtual_clock.hpp>

#include <support/broker_bytes.hpp>
#include <support/closure_executor.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::poll_result;
using ssewire::steady_time;
using ssewire::ticked_by;
using ssewire::testing::virtual_clock;
using support::answer;
using support::peer;
using support::scripted_writer;

using broker = ssewire::basic_broker<support::epoch_traits>;
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using reactor = ssewire::basic_reactor<scripted_writer, support::epoch_traits>;
using pull_stream = ssewire::pull_stream<subscription>;

constexpr ssewire::timing_options timeless{0s, 0s};

std::vector<close_reason> once(close_reason why) { return {why}; }

subscription follow(broker& b, ssewire::subscribe_options const& how = {}, ssewire::channel_names at = "c") {
  auto made = b.subscribe(at, how);
  REQUIRE(made);
  return std::move(made.value);
}

struct by_reactor {
  peer to = {};
  reactor r{{}, timeless};

  explicit by_reactor(subscription from) { REQUIRE(r.add(scripted_writer(to), std::move(from))); }
  poll_result poll(steady_time now) { return r.poll(now); }
  bool ended(close_reason why) { return to.closed == once(why); }
};

struct by_posting {
  peer to = {};
  support::closure_executor on = {};
  std::shared_ptr<ssewire::posted_stream<scripted_writer, support::post_to, subscription>> s;

  explicit by_posting(subscription from)
      : s(ssewire::post_stream(scripted_writer(to), support::post_to{&on}, std::move(from), {}, timeless)) {
    s->start();
    on.run();
  }
  poll_result poll(steady_time now) {
    auto const next = s->poll(now);
    on.run();
    return {false, next};
  }
  bool ended(close_reason why) { return to.closed == once(why); }
};

struct by_pulling {
  pull_stream s;

  explicit by_pulling(subscription from) : s(std::move(from), {}, timeless) { read(); }
  poll_result poll(steady_time now) {
    auto const next = s.poll(now);
    read();
    return {false, next};
  }
  bool ended(close_reason why) { return s.reason() == why; }
  void read() {
    char room[1000];
    while (s.read(room, sizeof room).status == ssewire::read_status::bytes) {
    }
    (void)s.park();
  }
};

// Polls as often as the driver asks, until `end`.
template <class Driver> void run(virtual_clock& clock, steady_time end, Driver& driver) {
  REQUIRE(clock.run_until(end, [&](steady_time now) { return driver.poll(now); }));
}

TEST_CASE_TEMPLATE("a stream ends at its time", Driver, by_reactor, by_posting, by_pulling) {
  virtual_clock clock;
  broker b;
  Driver driver(follow(b, {.expires = clock.now() + 5s}));
  run(clock, clock.now() + 5s - 1ns, driver);
  CHECK(driver.ended(close_reason::none) == std::is_same_v<Driver, by_pulling>);
  CHECK(b.stats().count(close_reason::expired) == 0);
  run(clock, clock.now() + 1s + 1ns, driver);
  CHECK(driver.ended(close_reason::expired));
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE_TEMPLATE("old events go, and channels that nobody uses", Driver, by_reactor, by_posting,
                   by_pulling) {
  virtual_clock clock;
  broker b({.replay = {.max_age = 20s}, .channel_expiry = 60s});
  Driver driver(follow(b));
  run(clock, clock.now() + 2s, driver);
  REQUIRE(b.publish("other", "x"));
  run(clock, clock.now() + 20s, driver);
  CHECK(b.stats().events == 1);
  run(clock, clock.now() + 6s, driver);
  CHECK(b.stats().events == 0);
  CHECK(b.stats().channels == 1);
  CHECK(b.stats().expired_channels == 1);
}

TEST_CASE_TEMPLATE("a short max_age is kept as well as a long one", Driver, by_reactor, by_posting,
                   by_pulling) {
  virtual_clock clock;
  broker b({.replay = {.max_age = 1s}});
  Driver driver(follow(b));
  run(clock, clock.now() + 1s, driver);
  REQUIRE(b.publish("c", "x"));
  run(clock, clock.now() + 900ms, driver);
  CHECK(b.stats().events == 1);
  run(clock, clock.now() + 500ms, driver);
  CHECK(b.stats().events == 0);
}

TEST_CASE_TEMPLATE("the option turns it off, and then nobody asks to be polled", Driver, by_reactor,
                   by_posting, by_pulling) {
  virtual_clock clock;
  broker b({.ticks = ticked_by::program});
  Driver driver(follow(b, {.expires = clock.now() + 5s}));
  for (int i = 0; i < 20; ++i) CHECK_FALSE(driver.poll(clock.advance(1s)).next);
  CHECK(b.stats().subscribers == 1);
  b.tick(clock.now());
  (void)driver.poll(clock.now());
  CHECK(driver.ended(close_reason::expired));
}

TEST_CASE_TEMPLATE("while the program ticks, drivers do not", Driver, by_reactor, by_posting, by_pulling) {
  virtual_clock clock;
  broker b;
  Driver driver(follow(b, {.expires = clock.now() + 5s}));
  (void)driver.poll(clock.now());
  for (int i = 0; i < 20; ++i) {
    b.tick(steady_time());  // it has a clock of its own, where the time has not come
    (void)driver.poll(clock.advance(1s));
    CHECK(b.stats().count(close_reason::expired) == 0);
  }
  (void)driver.poll(clock.advance(1s));
  CHECK(b.stats().count(close_reason::expired) == 1);
}

TEST_CASE_TEMPLATE("a time from a clock that was wrong does not stop the ticks", Driver, by_reactor,
                   by_posting, by_pulling) {
  for (auto const wrong : {1h, 1'000'000h}) {
    virtual_clock clock;
    broker b;
    Driver driver(follow(b));
    by_pulling other(follow(b, {}, "d"));
    (void)other.poll(clock.now() + wrong);
    (void)driver.poll(clock.now());
    auto late = b.subscribe("c", {.expires = clock.now() + 5s});
    REQUIRE(late);
    run(clock, clock.now() + 5s - 1ns, driver);
    CHECK(late->reason() == close_reason::none);
    run(clock, clock.now() + 1s + 1ns, driver);
    CHECK(late->reason() == close_reason::expired);
  }
}

TEST_CASE_TEMPLATE("a driver whose own clock was wrong goes on to tick, and does not spin", Driver,
                   by_reactor, by_posting, by_pulling) {
  for (auto const wrong : {virtual_clock().now() + 1h, virtual_clock().now() + 1'000'000h,
                           (steady_time::min)(), (steady_time::max)()}) {
    virtual_clock clock;
    broker b;
    Driver driver(follow(b));
    (void)driver.poll(clock.now());
    (void)driver.poll(wrong);
    CHECK_FALSE(driver.poll(wrong).more);
    auto late = b.subscribe("c", {.expires = clock.now() + 5s});
    REQUIRE(late);
    run(clock, clock.now() + 5s - 1ns, driver);
    CHECK(late->reason() == close_reason::none);
    run(clock, clock.now() + 1s + 1ns, driver);
    CHECK(late->reason() == close_reason::expired);
  }
}

TEST_CASE_TEMPLATE("events become old and channels go, also after a clock was wrong", Driver, by_reactor,
                   by_posting, by_pulling) {
  for (auto const wrong : {virtual_clock().now() + 1h, (steady_time::max)()}) {
    virtual_clock clock;
    broker b({.replay = {.max_age = 20s}, .channel_expiry = 60s});
    Driver driver(follow(b));
    for (int i = 0; i < 20; ++i) {
      run(clock, clock.now() + 1s, driver);
      (void)driver.poll(wrong);
    }
    REQUIRE(b.publish("c", "x"));
    REQUIRE(b.publish("other", "x"));
    run(clock, clock.now() + 19s, driver);
    CHECK(b.stats().events == 2);
    run(clock, clock.now() + 7s, driver);
    CHECK(b.stats().events == 0);
    REQUIRE(b.publish("other", "x"));
    run(clock, clock.now() + 70s, driver);
    CHECK(b.stats().expired_channels == 1);
  }
}

TEST_CASE_TEMPLATE("a driver that read the clock a little earlier than another does not tick again", Driver,
                   by_reactor, by_posting, by_pulling) {
  virtual_clock clock;
  broker b;
  Driver driver(follow(b));
  Driver other(follow(b, {}, "d"));
  (void)driver.poll(clock.now());
  (void)driver.poll(clock.advance(1s));
  auto const at_once = follow(b, {.expires = steady_time()});
  (void)other.poll(clock.now() - 5ms);
  CHECK(at_once.reason() == close_reason::none);
  (void)other.poll(clock.advance(1s));
  CHECK(at_once.reason() == close_reason::expired);
}

TEST_CASE("a reactor ticks while it has no stream left, each of its brokers, and none that is gone") {
  virtual_clock clock;
  std::optional<broker> gone(std::in_place);
  broker b({.replay = {.max_age = 10s}});
  broker other({.replay = {.max_age = 10s}});
  peer to[3];
  reactor r({}, timeless);
  CHECK_FALSE(r.poll(clock.now()).next);
  REQUIRE(r.add(scripted_writer(to[0]), follow(*gone)));
  auto const one = r.add(scripted_writer(to[1]), follow(b));
  auto const two = r.add(scripted_writer(to[2]), follow(other));
  auto const poll = [&](steady_time now) { return r.poll(now); };
  REQUIRE(clock.run_for(1s, poll));
  REQUIRE(b.publish("c", "x"));
  REQUIRE(other.publish("c", "x"));
  REQUIRE(clock.run_for(1s, poll));
  r.close(*one);
  r.close(*two);
  gone.reset();
  CHECK(clock.run_for(15s, poll));
  CHECK(to[0].closed == once(close_reason::drained));
  CHECK(r.size() == 0);
  CHECK(b.stats().events == 0);
  CHECK(other.stats().events == 0);
}

TEST_CASE("of the streams of a large broker each looks now and then, and the broker is ticked each second") {
  constexpr std::size_t many = 5000;
  virtual_clock clock;
  broker b;
  std::vector<std::unique_ptr<by_pulling>> all;
  for (std::size_t i = 0; i < many; ++i) all.push_back(std::make_unique<by_pulling>(follow(b)));
  std::multimap<steady_time, by_pulling*> due;
  for (auto const& each : all) due.emplace(clock.now(), each.get());
  std::size_t looks = 0;
  auto const poll = [&](steady_time now) {
    for (; due.begin()->first <= now; ++looks) {
      auto* const its = due.begin()->second;
      due.erase(due.begin());
      auto const next = its->poll(now).next;
      REQUIRE(next);
      due.emplace(*next, its);
    }
    return poll_result{false, due.begin()->first};
  };
  (void)clock.run_for(10s, poll);
  looks = 0;
  for (int i = 0; i < 10; ++i) {
    auto const expires = clock.now() + 3s;
    auto s = follow(b, {.expires = expires});
    (void)clock.run_until(expires + 1100ms, poll);
    CHECK(s.reason() == close_reason::expired);
  }
  CHECK(looks < 10 * 4.1 * many / 2);
}

// ---- a drain

TEST_CASE_TEMPLATE("a drain ends by itself, in order or by force at its deadline", Driver, by_reactor,
                   by_posting) {
  for (bool const stuck : {false, true}) {
    CAPTURE(stuck);
    virtual_clock clock;
    broker b;
    Driver driver(follow(b));
    run(clock, clock.now() + 1s, driver);
    if (stuck) driver.to.script.push_back(answer::again(5));
    REQUIRE(b.publish("c", "x"));
    (void)driver.poll(clock.now());
    auto const deadline = clock.now() + 10s;
    b.drain(clock.now(), deadline);
    run(clock, deadline - 1ns, driver);
    CHECK(driver.to.closed.size() == (stuck ? 0 : 1));
    run(clock, deadline + 200ms, driver);
    CHECK(driver.to.closed == once(stuck ? close_reason::drain_forced : close_reason::drained));
  }
}

TEST_CASE("a drain whose times are as far apart as can be ticks each second") {
  virtual_clock clock;
  broker b;
  by_reactor driver(follow(b));
  b.drain((steady_time::min)(), (steady_time::max)());
  auto const ran = clock.run_for(10s, [&](steady_time now) { return driver.poll(now); });
  CHECK(driver.ended(close_reason::drained));
  CHECK(ran.polls < 20);
}

TEST_CASE("when a drain is over, its short steps are, too") {
  virtual_clock clock;
  broker b;
  by_reactor driver(follow(b));
  (void)driver.poll(clock.now());
  b.drain(clock.now(), clock.now() + 4s);
  auto const poll = [&](steady_time now) { return driver.poll(now); };
  (void)clock.run_for(6s, poll);
  CHECK(driver.ended(close_reason::drained));
  CHECK(clock.run_for(100s, poll).polls < 105);
}

TEST_CASE("a reactor spreads the departures of a drain over its first half") {
  constexpr std::size_t many = 200;
  virtual_clock clock;
  broker b;
  std::vector<std::unique_ptr<peer>> to;
  std::vector<steady_time> left(many);
  reactor r({}, timeless);
  for (std::size_t i = 0; i < many; ++i) {
    to.push_back(std::make_unique<peer>());
    REQUIRE(r.add(scripted_writer(*to.back()), follow(b, {.user = "ann"})));
  }
  auto const poll = [&](steady_time now) {
    auto const result = r.poll(now);
    for (std::size_t i = 0; i < many; ++i) {
      if (left[i] == steady_time() && !to[i]->closed.empty()) left[i] = now;
    }
    return result;
  };
  (void)clock.run_for(3s, poll);
  auto const begun = clock.now();
  b.drain(begun, begun + 20s);
  (void)clock.run_for(20s, poll);
  CHECK(b.stats().subscribers == 0);
  CHECK(b.stats().count(close_reason::drained) == many);
  for (int second = 1; second < 10; ++second) {
    auto const early = std::count_if(
        left.begin(), left.end(), [&](steady_time t) { return t <= begun + std::chrono::seconds(second); });
    CAPTURE(second);
    CHECK(early >= 20 * (second - 1));
    CHECK(early <= 20 * (second + 1));
  }
}

TEST_CASE("of many streams that look now and then, those that leave last tick in time for a drain") {
  constexpr std::size_t many = 8000;
  virtual_clock clock;
  broker b;
  support::closure_executor on;
  std::vector<std::unique_ptr<peer>> to;
  using stream = ssewire::posted_stream<scripted_writer, support::post_to, subscription>;
  std::vector<std::shared_ptr<stream>> all;
  std::multimap<steady_time, stream*> due;
  for (std::size_t i = 0; i < many; ++i) {
    to.push_back(std::make_unique<peer>());
    all.push_back(
        ssewire::post_stream(scripted_writer(*to.back()), support::post_to{&on}, follow(b), {}, timeless));
    all.back()->start();
    due.emplace(clock.now(), all.back().get());
  }
  auto const poll = [&](steady_time now) {
    while (!due.empty() && due.begin()->first <= now) {
      auto* const its = due.begin()->second;
      due.erase(due.begin());
      if (auto const next = its->poll(now)) due.emplace(*next, its);
      (void)on.run(2 * many);
    }
    return poll_result{false, due.empty() ? std::nullopt : std::optional(due.begin()->first)};
  };
  (void)clock.run_for(20s, poll);
  CHECK(b.stats().subscribers == many);
  b.drain(clock.now(), clock.now() + 5s);
  (void)clock.run_for(2600ms, poll);
  CHECK(b.stats().count(close_reason::drained) == many);
}

// ---- from inside

TEST_CASE("a tick that a poll makes may call the hook that destroys the stream, or any other") {
  for (int how = 0; how < 3; ++how) {
    CAPTURE(how);
    virtual_clock clock;
    broker b;
    std::optional<by_pulling> one;
    std::optional<by_pulling> two;
    auto const destroy = [&](ssewire::wake) noexcept {
      if (how != 1) one.reset();
      if (how != 0) two.reset();
    };
    one.emplace(follow(b, {.expires = clock.now() + 2s}));
    two.emplace(follow(b));
    one->s.set_hook(ssewire::wake_hook::of(destroy));
    CHECK(one->s.poll(clock.now()));
    (void)one->s.park();
    CHECK(one->s.poll(clock.advance(3s)));
    CHECK_UNARY(one.has_value() == (how == 1));
    CHECK_UNARY(two.has_value() == (how == 0));
  }
}

TEST_CASE("a hook that a reactor's tick calls may add streams, close them, and poll") {
  virtual_clock clock;
  broker b;
  broker late;
  peer to[3];
  reactor r({}, timeless);
  auto outside = follow(b, {.expires = clock.now() + 2s});
  auto const first = r.add(scripted_writer(to[0]), follow(b));
  REQUIRE(r.add(scripted_writer(to[1]), follow(b)));
  int calls = 0;
  auto const hook = [&](ssewire::wake) noexcept {
    ++calls;
    (void)r.poll(clock.now());
    r.close(*first);
    (void)r.add(scripted_writer(to[2]), late.subscribe("c").value);
  };
  outside.set_hook(ssewire::wake_hook::of(hook));
  REQUIRE(clock.run_for(4s, [&](steady_time now) { return r.poll(now); }));
  CHECK(calls == 1);
  CHECK(to[0].closed == once(close_reason::removed));
  CHECK(to[1].closed.empty());
  CHECK(to[2].taken == support::position_event(0));
  CHECK(r.size() == 2);
}

// ---- on the real clock

struct in_memory {
  std::atomic<std::size_t> taken{0};

  ssewire::write_result write(ssewire::buffers b) {
    std::size_t all = 0;
    for (auto const piece : b) all += piece.size();
    taken += all;
    return {ssewire::write_status::ok, all};
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("serve_blocking ends a stream at its time, and lets a drain end") {
  for (auto const heartbeat : {0s, 15s}) {
    ssewire::broker b;
    auto made = b.subscribe("c", {.expires = std::chrono::steady_clock::now() + 100ms});
    REQUIRE(made);
    in_memory to;
    CHECK(ssewire::serve_blocking(std::move(*made), to, {}, {.heartbeat = heartbeat}) ==
          close_reason::expired);

    auto drained = b.subscribe("c");
    REQUIRE(drained);
    auto const now = std::chrono::steady_clock::now();
    b.drain(now, now + 4s);
    CHECK(ssewire::serve_blocking(std::move(*drained), to, {}, {.heartbeat = heartbeat}) ==
          close_reason::drained);
  }
}

TEST_CASE("threads that notice at once tick once, and none waits for another") {
  ssewire::broker b;
  constexpr int streams = 4;
  std::vector<std::thread> threads;
  std::vector<in_memory> to(streams);
  std::atomic<int> expired{0};
  for (int i = 0; i < streams; ++i) {
    threads.emplace_back([&, i] {
      auto made = b.subscribe("c", {.expires = std::chrono::steady_clock::now() + 300ms});
      auto const why = ssewire::serve_blocking(std::move(made.value), to[static_cast<std::size_t>(i)]);
      if (why == close_reason::expired) ++expired;
    });
  }
  for (int i = 0; i < 100; ++i) {
    (void)b.publish("c", "x");
    std::this_thread::sleep_for(1ms);
  }
  for (auto& t : threads) t.join();
  CHECK(expired == streams);
}

TEST_CASE("a subscribe that says the time notices it, too") {
  broker b({.replay = {.max_age = 10s}});
  virtual_clock clock;
  REQUIRE(b.publish("c", "x"));
  auto const come = [&] {
    return b.subscribe("c", {.start = ssewire::start_at::beginning(), .now = clock.now()});
  };
  REQUIRE(come());
  clock.advance(1s);
  REQUIRE(come());
  clock.advance(1h);
  auto const last = come();
  REQUIRE(last);
  CHECK(last->backlog() == 0);
  CHECK(b.stats().events == 0);
}

}  // namespace
