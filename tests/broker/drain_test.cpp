// SPDX-License-Identifier: MIT
// When a draining broker ends its streams, and when their clients come back. In virtual time, on every
// driver.
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/testing/virtual_clock.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

// So that a retry says how far its departure is into the spread.
ssewire::broker_options no_least_time() { return {.least_retry = ssewire::reconnection_time(0)}; }

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::framing;
using ssewire::pull_status;
using ssewire::steady_duration;
using ssewire::steady_time;
using ssewire::testing::virtual_clock;

constexpr steady_duration step = 50ms;  // of the ticks
constexpr steady_duration half = 5s;    // which has all departures
constexpr steady_duration spread = 8s;
constexpr std::size_t slices = 20;  // that are counted, of each of them
constexpr auto never = (steady_time::max)();

/// One client, and what it has seen.
struct client {
  virtual_clock const& clock;
  bool stalls = false;
  std::string bytes = {};
  bool finished = false;
  close_reason why = close_reason::none;
  steady_time closed = never;

  void end(close_reason reason) {
    CHECK(why == close_reason::none);
    why = reason;
    closed = clock.now();
  }
};

struct client_writer {
  client* to;

  ssewire::write_result write(ssewire::buffers pieces) {
    if (to->stalls) return {ssewire::write_status::again, 0};
    to->bytes += pieces.front();
    return {ssewire::write_status::ok, pieces.front().size()};
  }
  void on_closed(close_reason why, ssewire::ending how) {
    if (how == ssewire::ending::complete) {
      to->finished = true;
    }
    to->end(why);
  }
};

// ---- drivers ----
// add() takes a stream over; serve() goes on until nobody has anything to do at this time. `chunks`: it can
// frame; `writes_again`: its writers may stall without holding up a thread.

struct by_reactor {
  using traits = ssewire::default_traits;
  static constexpr auto name = "reactor";
  static constexpr std::size_t streams = 2000;
  static constexpr bool chunks = true;
  static constexpr bool writes_again = true;

  ssewire::reactor<client_writer> streams_of_the_loop{{}, {.stall_time = 0s}};

  void add(ssewire::subscription from, client& to, framing body) {
    REQUIRE(streams_of_the_loop.add({&to}, std::move(from), {.body = body}));
  }
  void serve(steady_time now) {
    while (streams_of_the_loop.poll(now).more) {
    }
  }
};

/// Streams that go alone, each pumped when it was woken.
struct by_stream {
  using traits = ssewire::default_traits;
  static constexpr auto name = "stream";
  static constexpr std::size_t streams = 1000;
  static constexpr bool chunks = true;
  static constexpr bool writes_again = true;

  struct one {
    by_stream& of;
    ssewire::stream<client_writer, ssewire::subscription> stream;

    void operator()(ssewire::wake) noexcept { of.woken.push_back(this); }
  };
  std::vector<std::unique_ptr<one>> all;
  std::vector<one*> woken;

  void add(ssewire::subscription from, client& to, framing body) {
    all.emplace_back(new one{*this, ssewire::stream<client_writer, ssewire::subscription>(
                                        {&to}, std::move(from), {.body = body})});
    all.back()->stream.set_hook(ssewire::wake_hook::of(*all.back()));
    woken.push_back(all.back().get());
  }
  void serve(steady_time) {
    while (!woken.empty()) {
      auto& its = woken.back()->stream;
      woken.pop_back();
      its.evicted();
      while (its.pump() == ssewire::stream_state::more) {
      }
    }
  }
};

/// Subscriptions without a driver.
struct by_hand {
  using traits = ssewire::default_traits;
  static constexpr auto name = "by hand";
  static constexpr std::size_t streams = 1000;
  static constexpr bool chunks = false;
  static constexpr bool writes_again = true;

  struct one {
    by_hand& of;
    ssewire::subscription from;
    client& to;

    void operator()(ssewire::wake) noexcept { of.woken.push_back(this); }
    void pull() {
      ssewire::batch next;
      for (;;) {
        if (to.stalls && from.reason() == close_reason::none) return;
        switch (from.pull(next, 1000)) {
        case pull_status::ready: to.bytes += next.text(); break;
        case pull_status::nothing:
          if (from.park()) return;
          break;
        case pull_status::draining:
          ssewire::serialize({.retry = from.drain_retry()}, to.bytes);
          to.finished = true;
          [[fallthrough]];
        case pull_status::closed:
          to.end(to.finished ? close_reason::drained : from.reason());
          from.close(to.why);
          return;
        }
      }
    }
  };
  std::vector<std::unique_ptr<one>> all;
  std::vector<one*> woken;

  void add(ssewire::subscription from, client& to, framing) {
    all.emplace_back(new one{*this, std::move(from), to});
    all.back()->from.set_hook(ssewire::wake_hook::of(*all.back()));
    woken.push_back(all.back().get());
  }
  void serve(steady_time) {
    while (!woken.empty()) {
      auto& its = *woken.back();
      woken.pop_back();
      its.pull();
    }
  }
};

/// How many threads are awake. Who is woken counts from then on, and not only when it runs.
struct sleepers {
  std::mutex guard;
  std::condition_variable changed;
  long awake = 0;

  void add(long n) {
    std::unique_lock const held(guard);
    awake += n;
    changed.notify_all();
  }
  void wait_until_all_sleep() {
    std::unique_lock held(guard);
    changed.wait(held, [&] { return awake == 0; });
  }
};
sleepers threads;

/// Who waits here does not count; the lock it waits with is held by who notifies.
class counted_condition {
 public:
  template <class Lock> void wait(Lock& held) {
    auto const before = notified_;
    ++waiting_;
    threads.add(-1);
    changed_.wait(held, [&] { return notified_ != before; });
  }
  template <class Lock> void wait_until(Lock& held, steady_time) { wait(held); }
  void notify_all() {
    ++notified_;
    threads.add(std::exchange(waiting_, 0));
    changed_.notify_all();
  }

 private:
  std::condition_variable_any changed_;
  long waiting_ = 0;
  std::uint64_t notified_ = 0;
};
struct counted_traits : ssewire::default_traits {
  using condition_variable = counted_condition;
};

/// A thread for each.
struct by_blocking {
  using traits = counted_traits;
  static constexpr auto name = "serve_blocking";
  static constexpr std::size_t streams = 120;
  static constexpr bool chunks = true;
  static constexpr bool writes_again = false;

  std::vector<std::thread> all;

  ~by_blocking() {
    for (auto& t : all) t.join();
  }
  void add(ssewire::basic_subscription<traits> from, client& to, framing body) {
    threads.add(1);
    all.emplace_back([from = std::move(from), &to, body]() mutable {
      client_writer writer{&to};
      (void)ssewire::serve_blocking(std::move(from), writer, {.body = body}, {.heartbeat = 0s});
      threads.add(-1);
    });
  }
  void serve(steady_time) { threads.wait_until_all_sleep(); }
};

/// An executor for all.
struct by_posting {
  using traits = ssewire::default_traits;
  static constexpr auto name = "posted_stream";
  static constexpr std::size_t streams = 1000;
  static constexpr bool chunks = true;
  static constexpr bool writes_again = true;

  struct post {
    std::vector<std::function<void()>>* to;
    template <class Task> void operator()(Task task) const { to->push_back(std::move(task)); }
  };
  std::vector<std::function<void()>> tasks;
  std::vector<std::shared_ptr<ssewire::posted_stream<client_writer, post, ssewire::subscription>>> all;

  void add(ssewire::subscription from, client& to, framing body) {
    all.push_back(ssewire::post_stream(client_writer{&to}, post{&tasks}, std::move(from), {.body = body}));
    all.back()->start();
  }
  void serve(steady_time) {
    while (!tasks.empty()) {
      auto const task = std::move(tasks.back());
      tasks.pop_back();
      task();
    }
  }
};

/// A server that asks for bytes.
struct by_asking {
  using traits = ssewire::default_traits;
  static constexpr auto name = "pull_stream";
  static constexpr std::size_t streams = 1000;
  static constexpr bool chunks = true;
  static constexpr bool writes_again = true;

  struct one {
    by_asking& of;
    client& to;
    ssewire::pull_stream<ssewire::subscription> stream;
    bool evicted = false;

    void operator()(ssewire::wake why) noexcept {
      evicted = evicted || why == ssewire::wake::evicted;
      of.woken.push_back(this);
    }
    void read() {
      char bytes[100];
      while (!to.stalls || evicted) {
        auto const got = stream.read(bytes, sizeof bytes);
        switch (got.status) {
        case ssewire::read_status::bytes: to.bytes.append(bytes, got.bytes); break;
        case ssewire::read_status::nothing:
          if (stream.park()) return;
          break;
        case ssewire::read_status::complete: to.finished = true; [[fallthrough]];
        case ssewire::read_status::cut: to.end(stream.reason()); return;
        }
      }
    }
  };
  std::vector<std::unique_ptr<one>> all;
  std::vector<one*> woken;

  void add(ssewire::subscription from, client& to, framing body) {
    all.emplace_back(new one{*this, to, ssewire::pull_stream(std::move(from), {.body = body})});
    all.back()->stream.set_hook(ssewire::wake_hook::of(*all.back()));
    woken.push_back(all.back().get());
  }
  void serve(steady_time) {
    while (!woken.empty()) {
      auto& its = *woken.back();
      woken.pop_back();
      its.read();
    }
  }
};

// ---- the drain ----

std::uint64_t ms(steady_duration d) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

/// Counts what happens in each slice of (0, length].
std::vector<std::size_t> histogram(std::vector<steady_duration> const& times, steady_duration length) {
  std::vector<std::size_t> counts(slices);
  for (auto const t : times) {
    auto const slice = (t - 1ns) / (length / slices);
    REQUIRE(slice >= 0);
    REQUIRE(slice < static_cast<steady_duration::rep>(slices));
    ++counts[static_cast<std::size_t>(slice)];
  }
  return counts;
}

/// Every slice has its share, as far as whole numbers go.
void check_even(std::string const& what, std::vector<std::size_t> const& counts) {
  std::size_t all = 0;
  std::string line;
  for (auto const n : counts) {
    all += n;
    line += ' ' + std::to_string(n);
  }
  MESSAGE(what << ":" << line);
  auto const share = static_cast<double>(all) / static_cast<double>(slices);
  for (auto const n : counts) {
    CHECK(static_cast<double>(n) >= share / 1.1 - 2);
    CHECK(static_cast<double>(n) <= share * 1.1 + 2);
  }
}

/// The most that happens in so long.
std::size_t most_within(std::vector<steady_duration> times, steady_duration window) {
  std::sort(times.begin(), times.end());
  std::size_t most = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    while (times[i] - times[first] >= window) ++first;
    most = (std::max)(most, i + 1 - first);
  }
  return most;
}

template <class Driver> void drain(framing body, bool stalling) {
  auto const label = std::string(Driver::name) + (body == framing::chunked ? ", chunked" : "") +
                     (stalling ? ", a third stalls" : "");
  INFO(label);
  virtual_clock clock;
  auto options = no_least_time();
  options.retry.reset();  // so that there is one at the drain only
  ssewire::basic_broker<typename Driver::traits> b(options);
  std::vector<std::unique_ptr<client>> clients;
  {
    Driver driver;
    for (std::size_t i = 0; i < Driver::streams; ++i) {
      clients.emplace_back(new client{clock});
      driver.add(support::follow(b, {"c"}), *clients.back(), body);
    }
    driver.serve(clock.now());
    REQUIRE(b.publish("c", {.data = "1"}));
    driver.serve(clock.now());
    for (std::size_t i = 0; stalling && i < Driver::streams; i += 3) clients[i]->stalls = true;
    REQUIRE(b.publish("c", {.data = "2"}));
    driver.serve(clock.now());
    REQUIRE(b.publish("c", {.data = "3"}));

    auto const start = clock.now();
    auto const deadline = start + 2 * half;
    b.drain(start, deadline, ssewire::reconnection_time(ms(spread)));
    clock.run_until(deadline + 1s, [&](steady_time now) {
      b.tick(now);
      driver.serve(now);
      return ssewire::poll_result{false, now + step};
    });
    CHECK(b.stats().subscribers == 0);

    std::vector<steady_duration> closings;
    std::vector<steady_duration> retries;
    std::vector<steady_duration> returns;
    for (auto const& c : clients) {
      bool const is_chunked = body == framing::chunked;
      auto const got = support::parse_whole(is_chunked ? support::decode_chunked(c->bytes).body : c->bytes);
      if (c->stalls) {
        CHECK(c->why == close_reason::drain_forced);
        CHECK(c->closed == deadline);
        CHECK(got.events.size() == 2);
        CHECK_FALSE(got.retry);
        continue;
      }
      CHECK(c->why == close_reason::drained);
      CHECK(c->finished);
      if (is_chunked) CHECK(support::decode_chunked(c->bytes).ended);
      REQUIRE(got.events.size() == 4);
      for (std::size_t i = 1; i < 4; ++i) CHECK(got.events[i].data == std::to_string(i));
      REQUIRE(got.retry);
      auto const closing = c->closed - start;
      auto const retry = std::chrono::milliseconds(*got.retry);
      // Its departure is as far into the first half as its retry, rounded down, is into the spread.
      CHECK(closing >= half * retry.count() / ms(spread));
      CHECK(closing <= half * (retry + 1ms).count() / ms(spread) + step);
      closings.push_back(closing);
      retries.push_back(retry + 1ms);
      returns.push_back(closing + retry);
    }
    check_even(label + ": closings", histogram(closings, half));
    check_even(label + ": retries", histogram(retries, spread));
    // One tick's closings come back one after the other, and then until the next one's there is a pause.
    auto const share = returns.size() * 4 * step / (half + spread);
    auto const most = most_within(returns, 4 * step);
    MESSAGE(label << ": at most " << most << " of " << returns.size() << " come back within " << ms(4 * step)
                  << " ms, and " << share << " on the average");
    CHECK(most <= static_cast<std::size_t>(share) * 3 / 2 + 2);
  }
}

template <class Driver> void drain_in_each_way() {
  for (auto const body : {framing::raw, framing::chunked}) {
    for (bool const stalling : {false, true}) {
      if (body == framing::chunked && !Driver::chunks) continue;
      if (stalling && !Driver::writes_again) continue;
      drain<Driver>(body, stalling);
    }
  }
}

TEST_CASE("a drain closes its streams evenly, and their clients come back evenly") {
  drain_in_each_way<by_reactor>();
  drain_in_each_way<by_stream>();
  drain_in_each_way<by_hand>();
  drain_in_each_way<by_blocking>();
  drain_in_each_way<by_posting>();
  drain_in_each_way<by_asking>();
}

// ---- one departure ----

using ssewire::broker;
using ssewire::subscription;

constexpr auto exactly =
    ssewire::reconnection_time(5'000'000'000);  // a spread of one for each nanosecond of `half`
constexpr steady_time start = steady_time{} + 1h;

// As far into the first half of its drain as its retry is into the spread. Rounded down.
steady_time departure_of(subscription const& s, steady_time began = start, steady_duration its_half = half) {
  return began + its_half / 5'000'000'000 * static_cast<steady_duration::rep>(s.drain_retry().milliseconds);
}

subscription opened(broker& b) {
  auto s = support::follow(b, {"c"});
  (void)support::pull(s);
  return s;
}

pull_status status_of(subscription& s) {
  ssewire::batch next;
  return s.pull(next, 1000);
}

struct bell {
  int ready = 0;
  int evicted = 0;

  void operator()(ssewire::wake why) noexcept { ++(why == ssewire::wake::ready ? ready : evicted); }
};

TEST_CASE("until its time a stream of a draining broker is sent what was there, and parks; then it is woken, "
          "once") {
  broker b(no_least_time());
  auto s = opened(b);
  bell rings;
  s.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(b.publish("c", {.data = "x"}));
  b.drain(start, start + 2 * half, exactly);
  auto const departure = departure_of(s);
  CHECK(departure > start + 1s);
  CHECK(departure < start + half);
  CHECK(status_of(s) == pull_status::ready);
  for (auto const t : {start, start + 1s, departure}) {
    b.tick(t);
    CHECK(rings.ready == 0);
    CHECK(status_of(s) == pull_status::nothing);
    CHECK(s.park());
  }
  CHECK(b.publish("c", {.data = "y"}).error == ssewire::errc::closed);
  CHECK(b.subscribe("c").error == ssewire::errc::closed);
  b.tick(departure + 2ns);
  CHECK(rings.ready == 1);
  CHECK_FALSE(s.park());
  CHECK(status_of(s) == pull_status::draining);
  b.tick(start + 1s);  // the clock goes back, and the departure stays
  CHECK_FALSE(s.park());
  CHECK(status_of(s) == pull_status::draining);
  b.tick(start + 2 * half - 1ns);
  CHECK(rings.ready == 1);
  CHECK(rings.evicted == 0);
  b.tick(start + 2 * half);
  CHECK(rings.evicted == 1);
  CHECK(s.reason() == close_reason::drain_forced);
}

TEST_CASE("drain(t, t) ends everybody at once, and forces with the next tick") {
  broker b(no_least_time());
  auto parked = opened(b);
  auto busy = support::follow(b, {"c"});
  bell rings;
  parked.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(parked.park());
  b.drain(start, start);
  CHECK(rings.ready == 1);
  CHECK(status_of(parked) == pull_status::draining);
  CHECK(status_of(busy) == pull_status::ready);
  CHECK(status_of(busy) == pull_status::draining);
  b.tick(start - 1ns);
  CHECK(busy.reason() == close_reason::none);
  b.tick(start);
  CHECK(busy.reason() == close_reason::drain_forced);
}

/// When each of many streams is woken.
std::vector<steady_duration> departures(steady_duration second_at, steady_duration second_deadline) {
  constexpr steady_duration fine = 5ms;
  broker b(no_least_time());
  std::vector<subscription> streams;
  std::vector<bell> rings(1000);
  for (auto& each : rings) {
    streams.push_back(opened(b));
    streams.back().set_hook(ssewire::wake_hook::of(each));
    REQUIRE(streams.back().park());
  }
  std::vector<steady_duration> when(rings.size(), steady_duration::max());
  b.drain(start, start + 2 * half);
  for (steady_duration t = 0ms; t <= 2 * half; t += fine) {
    b.tick(start + t);
    if (t == second_at) b.drain(start + t, start + second_deadline);
    for (std::size_t i = 0; i < rings.size(); ++i) {
      if (rings[i].ready == 1 && when[i] == steady_duration::max()) when[i] = t;
    }
  }
  return when;
}

TEST_CASE("a second drain brings the departures that are left nearer, evenly, and never puts one off") {
  auto const once = departures(-1ms, 0ms);
  check_even("one drain", histogram(once, half));
  // Also one that would end later if it stood alone: its half begins later.
  for (auto const deadline : {0ms, 2000ms, 3000ms, 6000ms, 9000ms, 10'000ms, 100'000ms}) {
    CAPTURE(deadline.count());
    constexpr steady_duration at = 2s;
    auto const twice = departures(at, deadline);
    auto const last_turn = (std::min)(half, (std::max<steady_duration>)(at, (at + deadline) / 2));
    std::vector<steady_duration> left;
    for (std::size_t i = 0; i < once.size(); ++i) {
      CHECK(twice[i] <= once[i]);
      if (once[i] <= at) CHECK(twice[i] == once[i]);
      if (once[i] > at) left.push_back(twice[i] - at);
    }
    if (last_turn == at) {
      CHECK(most_within(left, 1ns) == left.size());
    } else {
      check_even("the rest", histogram(left, last_turn - at));
    }
  }
}

TEST_CASE("whatever the clock says, a drain ends with the tick at its deadline, and none of the streams "
          "before its time") {
  constexpr steady_time times[] = {steady_time{}, start, start + 1ns, start + 2ns, start + 1h, never};
  for (auto const now : times) {
    for (auto const deadline :
         {(steady_time::min)(), steady_time{} - 1h, steady_time{}, start, start + 1ns, start + 3h, never}) {
      for (auto const milliseconds :
           {std::uint64_t{0}, std::uint64_t{1}, (std::numeric_limits<std::uint64_t>::max)()}) {
        broker b(no_least_time());
        std::vector<subscription> streams;
        std::vector<bell> rings(20);
        for (auto& each : rings) {
          streams.push_back(opened(b));
          streams.back().set_hook(ssewire::wake_hook::of(each));
          REQUIRE(streams.back().park());
        }
        b.drain(now, deadline, ssewire::reconnection_time(milliseconds));
        for (auto const& each : rings)
          CHECK(each.ready == (deadline <= now || deadline == now + 1ns ? 1 : 0));
        for (auto const& s : streams) CHECK(s.drain_retry().milliseconds <= milliseconds);
        for (auto const t : times) b.tick(t);
        b.tick(start);  // back
        if (deadline == never) b.tick(deadline);
        for (auto const& each : rings) CHECK((each.ready + each.evicted >= 1 && each.evicted == 1));
        for (auto const& s : streams) CHECK(s.reason() == close_reason::drain_forced);
      }
    }
  }
}

// ---- what a stream may be doing when its time comes ----

TEST_CASE("times may be as far apart as a clock can say") {
  for (auto const now : {(steady_time::min)(), steady_time{}, (steady_time::max)()}) {
    for (auto const deadline : {(steady_time::min)(), steady_time{}, (steady_time::max)()}) {
      for (std::uint64_t const within : {std::uint64_t{0}, (std::numeric_limits<std::uint64_t>::max)()}) {
        broker b(no_least_time());
        auto idle = support::opened(b, {"c"});
        auto s = support::follow(b, {"c"});
        b.tick(now);
        b.drain(now, deadline, ssewire::reconnection_time(within));
        CHECK(s.drain_retry().milliseconds <= within);
        b.tick(now);
        b.tick(deadline);
        CHECK(s.reason() == close_reason::drain_forced);
        CHECK(idle.reason() == close_reason::drain_forced);
      }
    }
  }
}

TEST_CASE("a stream whose time comes inside its filter is given what that admits, and ends then") {
  broker b(no_least_time());
  int asked = 0;
  auto s = support::follow(b, {"c"}, {}, {.filter = [&](ssewire::event_header const&) {
                             ++asked;
                             b.tick(start + half);
                             return true;
                           }});
  REQUIRE(b.publish("c", {.data = "x"}));
  b.drain(start, start + 2 * half);
  CHECK(support::pull(s).find("ssewire.position") != std::string::npos);
  CHECK(support::pull(s).find("data: x") != std::string::npos);
  CHECK(asked == 1);
  CHECK(status_of(s) == pull_status::draining);
}

TEST_CASE("a filtered stream says where it stands at its time, not before") {
  broker b(no_least_time());
  auto s =
      support::follow(b, {"c"}, {}, {.filter = [](ssewire::event_header const& e) { return e.tag == 1; }});
  (void)support::pull(s);
  for (std::uint64_t tag : {1u, 1u, 2u}) REQUIRE(b.publish("c", {.data = "x"}, {.tag = tag}));
  b.drain(start, start + 2 * half);
  auto const got = support::pull_all(s);
  CHECK(got.find("ssewire.position") == std::string::npos);
  CHECK(s.park());
  b.tick(start + half);
  CHECK(support::pull(s).find("-0000000000000003\nevent: ssewire.position\n") != std::string::npos);
  CHECK(status_of(s) == pull_status::draining);
}

/// Answers as it is told.
struct moody_writer {
  struct state {
    std::string bytes = {};
    ssewire::write_status mood = ssewire::write_status::ok;
    close_reason why = close_reason::none;
    bool finished = false;
  };
  state* to;

  ssewire::write_result write(ssewire::buffers pieces) {
    if (to->mood == ssewire::write_status::again) return {to->mood, 0};
    if (to->mood == ssewire::write_status::pending) {
      for (auto const piece : pieces) to->bytes += piece;
      return {to->mood, 0};
    }
    to->bytes += pieces.front();
    return {ssewire::write_status::ok, pieces.front().size()};
  }
  void on_closed(close_reason why, ssewire::ending how) {
    if (how == ssewire::ending::complete) {
      to->finished = true;
    }
    to->why = why;
  }
};

TEST_CASE("who is blocked or sending when its time comes ends in order as soon as it can, or by force") {
  for (auto const mood : {ssewire::write_status::again, ssewire::write_status::pending}) {
    for (bool const in_time : {true, false}) {
      for (std::size_t const others : {0u, 3u}) {  // in step with it, until it says that
        broker b(no_least_time());
        ssewire::reactor<moody_writer> r({}, {.stall_time = 0s});
        moody_writer::state its;
        std::vector<moody_writer::state> theirs(others);
        auto const id = r.add({&its}, support::follow(b, {"c"})).value;
        for (auto& each : theirs) REQUIRE(r.add({&each}, support::follow(b, {"c"})));
        auto const run = [&](steady_time now) {
          b.tick(now);
          while (r.poll(now).more) {
          }
        };
        run(start);
        its.mood = mood;
        REQUIRE(b.publish("c", {.data = "x"}));
        run(start);
        b.drain(start, start + 2 * half);
        run(start + half);
        for (auto const& each : theirs) CHECK(each.why == close_reason::drained);
        CHECK(its.why == close_reason::none);
        CHECK(r.size() == 1);
        if (in_time) {
          its.mood = ssewire::write_status::ok;
          mood == ssewire::write_status::again ? r.writable(id) : r.written(id, true);
          run(start + half);
          CHECK(its.why == close_reason::drained);
          CHECK(its.finished);
          auto const got = support::parse_whole(its.bytes);
          REQUIRE(got.events.size() == 2);
          CHECK(got.events[1].data == "x");
          CHECK(got.retry);
        } else {
          run(start + 2 * half - 1ns);
          CHECK(its.why == close_reason::none);
          run(start + 2 * half);
          CHECK(its.why == close_reason::drain_forced);
          CHECK_FALSE(its.finished);
          if (mood == ssewire::write_status::pending) r.written(id, false);
        }
        CHECK(r.size() == 0);
        CHECK(b.stats().subscribers == 0);
      }
    }
  }
}

TEST_CASE("until its time a stream is kept alive by heartbeats, in step with others and alone") {
  for (std::size_t const streams : {1u, 200u}) {
    virtual_clock clock;
    broker b(no_least_time());
    ssewire::reactor<client_writer> r({}, {.heartbeat = 1s});
    std::vector<std::unique_ptr<client>> clients;
    for (std::size_t i = 0; i < streams; ++i) {
      clients.emplace_back(new client{clock});
      REQUIRE(r.add({clients.back().get()}, support::follow(b, {"c"})));
    }
    auto const began = clock.now();
    b.tick(began);
    while (r.poll(began).more) {
    }
    b.drain(began, began + 2 * half);
    auto const poll = [&](steady_time now) {
      b.tick(now);
      auto const next = r.poll(now);
      CHECK_FALSE((next.next && *next.next <= now && !next.more));  // or the loop would spin
      return ssewire::poll_result{next.more, now + step};
    };
    CHECK(clock.run_until(began + half, poll));
    CHECK(r.size() == 0);
    std::size_t late = 0;
    for (auto const& c : clients) {
      std::string_view const beat = "\n:\n\n";
      std::size_t beats = 0;
      for (auto at = c->bytes.find(beat); at != std::string::npos; at = c->bytes.find(beat, at + 1)) ++beats;
      auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(c->closed - began - 1ns).count();
      CHECK(beats == static_cast<std::size_t>(seconds));
      if (seconds >= 3) ++late;
    }
    CHECK(late >= streams / 5 * 2);
  }
}

TEST_CASE("a loop that has slept through all departures ends everybody when it wakes") {
  broker b(no_least_time());
  std::vector<subscription> streams;
  std::vector<bell> rings(50);
  for (auto& each : rings) {
    streams.push_back(opened(b));
    streams.back().set_hook(ssewire::wake_hook::of(each));
    REQUIRE(streams.back().park());
  }
  b.drain(start, start + 2 * half);
  b.tick(start + 2 * half - 1ns);
  for (auto const& each : rings) CHECK((each.ready == 1 && each.evicted == 0));
  for (auto& s : streams) CHECK(status_of(s) == pull_status::draining);
}

}  // namespace
