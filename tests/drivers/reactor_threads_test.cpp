// SPDX-License-Identifier: MIT
// Streams driven on real threads. Nothing here asserts how long anything takes: a lost wake-up shows as a
// hang, which ctest ends.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>

#include <support/events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::broker;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::write_status;

/// What one stream got. Touched by its driver's thread only, and read when that has ended.
struct sink {
  ssewire::parser parser = {};
  std::string last_id = {};
  std::vector<std::string> data = {};
  std::vector<close_reason> closed = {};
  bool in_order = true;
  std::size_t gaps = 0;
  support::random random{1};
  bool stutters = false;  // takes a part, says `again`, and says writable in the next turn
  bool wants_writable = false;
};

struct sink_writer {
  sink* to;

  ssewire::write_result write(ssewire::buffers b) {
    std::string all;
    for (auto const piece : b) all += piece;
    if (to->stutters) all.resize(to->random.below(all.size() + 1));
    (void)to->parser.feed(all, [this](ssewire::event const& e) {
      auto const id = std::string(e.id.value());
      if (!id.empty() && id < to->last_id) to->in_order = false;
      if (!id.empty() && e.type.empty() && id == to->last_id) to->in_order = false;
      if (!id.empty()) to->last_id = id;
      if (e.type.value() == "ssewire.gap") ++to->gaps;
      if (e.type.empty()) to->data.emplace_back(e.data.value_or(""));
    });
    to->wants_writable = to->stutters;
    return {to->stutters ? write_status::again : write_status::ok, all.size()};
  }
  void on_closed(close_reason why, ssewire::ending) { to->closed.push_back(why); }
};

using reactor = ssewire::reactor<sink_writer>;

/// An event loop that sleeps on a condition variable until it is signalled.
struct event_loop {
  std::mutex guard;
  std::condition_variable signalled;
  bool signal = false;
  bool stop = false;
  std::size_t signals = 0;
  reactor streams{{&event_loop::call, this}, {0s, 0s}};
  std::vector<std::pair<ssewire::stream_id, sink*>> slow;
  std::optional<std::thread> thread;

  static void call(void* self) noexcept {
    auto& loop = *static_cast<event_loop*>(self);
    std::unique_lock const held(loop.guard);
    loop.signal = true;
    ++loop.signals;
    loop.signalled.notify_one();
  }

  void follow(broker& b, sink& to, std::string_view channel) {
    auto from = b.subscribe(channel);
    REQUIRE(from);
    auto const added = streams.add(sink_writer{&to}, std::move(from.value));
    REQUIRE(added);
    if (to.stutters) slow.emplace_back(added.value, &to);
  }

  void start() {
    thread.emplace([this] { run(); });
  }

  // Ends when all streams have ended, or when it is told to.
  void run() {
    while (streams.size() != 0) {
      bool more = streams.poll(ssewire::steady_time{}).more;
      for (auto& [id, to] : slow) {
        if (!std::exchange(to->wants_writable, false)) continue;
        streams.writable(id);
        more = true;
      }
      std::unique_lock held(guard);
      if (stop) return;
      while (!more && !signal && !stop && streams.size() != 0) signalled.wait(held);
      signal = false;
    }
  }

  void end() {
    {
      std::unique_lock const held(guard);
      stop = true;
      signalled.notify_one();
    }
    thread->join();
  }
};

constexpr std::size_t publishers = 4;
constexpr std::size_t events_each = 500;

void publish_all(broker& b, std::vector<std::string> const& channels) {
  std::vector<std::thread> threads;
  for (std::size_t p = 0; p < publishers; ++p) {
    threads.emplace_back([&b, &channels, p] {
      for (std::size_t i = 0; i < events_each; ++i) {
        auto const data = std::to_string(p) + ':' + std::to_string(i);
        auto const done = b.publish(channels[(p + i) % channels.size()], {.data = data});
        if (done.error != errc::ok) return;
        if (i % 64 == 0) std::this_thread::yield();  // lets the loops fall asleep now and then
      }
    });
  }
  for (auto& t : threads) t.join();
}

/// Each publisher's own order, and all of it or the half that its channel got.
void check_all(sink const& got, std::size_t channels) {
  CHECK(got.in_order);
  CHECK(got.gaps == 0);
  CHECK(got.data.size() == publishers * events_each / channels);
  std::vector<std::size_t> next(publishers, 0);
  bool each_in_order = true;
  for (auto const& d : got.data) {
    auto const p = static_cast<std::size_t>(d[0] - '0');
    std::size_t const i = std::stoul(d.substr(2));
    each_in_order = each_in_order && (next[p] == 0 || i + 1 > next[p]);
    next[p] = i + 1;
  }
  CHECK(each_in_order);
  CHECK(got.closed == std::vector<close_reason>{close_reason::drained});
}

// While its streams are served elsewhere.
void drain_in_turns(broker& b) {
  constexpr ssewire::steady_time began{};
  b.drain(began, began + 2s);
  for (auto t = 0ms; t <= 1s; t += 20ms) b.tick(began + t);
}

TEST_CASE("a loop that sleeps until it is signalled loses no event") {
  broker b({.replay = {.max_events = 100'000, .max_bytes = 64u << 20}});
  std::vector<sink> sinks(6);
  sinks[4].stutters = sinks[5].stutters = true;
  event_loop loop;
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    sinks[i].random = support::random(i);
    loop.follow(b, sinks[i], i % 2 == 0 ? "even" : "odd");
  }
  loop.start();
  publish_all(b, {"even", "odd"});
  drain_in_turns(b);
  loop.thread->join();
  for (auto const& s : sinks) check_all(s, 2);
  MESSAGE("signals: " << loop.signals << " for " << publishers * events_each << " events");
}

TEST_CASE("each event alone wakes a sleeping loop") {
  // The publisher waits for the event to arrive before it sends the next: a wake-up that is lost hangs here.
  broker b;
  std::mutex guard;
  std::condition_variable arrived;
  std::size_t seen = 0;
  struct counting_writer {
    std::function<void()> on_write;
    ssewire::write_result write(ssewire::buffers offered) {
      std::size_t n = 0;
      for (auto const piece : offered) n += piece.size();
      on_write();
      return {write_status::ok, n};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  };
  struct sleeper {
    std::mutex guard;
    std::condition_variable signalled;
    bool signal = false;
    static void call(void* self) noexcept {
      auto& s = *static_cast<sleeper*>(self);
      std::unique_lock const held(s.guard);
      s.signal = true;
      s.signalled.notify_one();
    }
  } sleeping;
  ssewire::reactor<counting_writer> r({&sleeper::call, &sleeping}, {.heartbeat = 0s});
  auto const on_write = [&] {
    std::unique_lock const held(guard);
    ++seen;
    arrived.notify_one();
  };
  REQUIRE(r.add(counting_writer{on_write}, std::move(b.subscribe("c").value)));
  std::thread loop([&] {
    while (r.size() != 0) {
      bool const more = r.poll(ssewire::steady_time{}).more;
      std::unique_lock held(sleeping.guard);
      while (!more && !sleeping.signal && r.size() != 0) sleeping.signalled.wait(held);
      sleeping.signal = false;
    }
  });
  for (std::size_t i = 1; i <= 1000; ++i) {
    {
      std::unique_lock held(guard);
      while (seen < i) arrived.wait(held);
    }
    b.publish("c", {.data = "x"});
  }
  b.drain({}, {});
  loop.join();
  CHECK(seen >= 1001);
}

TEST_CASE("two reactors follow one broker") {
  broker b({.replay = {.max_events = 100'000, .max_bytes = 64u << 20}});
  std::vector<sink> sinks(4);
  event_loop loops[2];
  for (std::size_t i = 0; i < sinks.size(); ++i) loops[i % 2].follow(b, sinks[i], "all");
  for (auto& l : loops) l.start();
  publish_all(b, {"all"});
  drain_in_turns(b);
  for (auto& l : loops) l.thread->join();
  for (auto const& s : sinks) check_all(s, 1);
}

TEST_CASE("a reactor is destroyed while publishers publish") {
  broker b;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) b.publish("c", {.data = "x"});
    });
  }
  for (int round = 0; round < 25; ++round) {
    std::vector<sink> sinks(5);
    {
      event_loop loop;
      for (auto& s : sinks) loop.follow(b, s, "c");
      loop.start();
      std::this_thread::yield();
      loop.end();  // the loop's thread is gone; the streams are still woken
    }
    for (auto const& s : sinks) {
      CHECK(s.in_order);
      CHECK(s.closed == std::vector<close_reason>{close_reason::removed});
    }
  }
  done = true;
  for (auto& t : threads) t.join();
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("streams are added, removed and evicted while publishers publish") {
  broker b({.replay = {.max_events = 8}});
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int p = 0; p < 2; ++p) {
    threads.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) b.publish("c", {.data = "x"});
    });
  }
  threads.emplace_back([&] {
    for (auto now = ssewire::steady_time{}; !done.load(std::memory_order_relaxed); now += 1s) b.tick(now);
  });
  std::vector<std::unique_ptr<sink>> sinks;
  {
    support::random random(5);
    reactor r({}, {.heartbeat = 0s});
    std::vector<ssewire::stream_id> ids;
    for (int i = 0; i < 150; ++i) {
      sinks.push_back(std::make_unique<sink>());
      sinks.back()->stutters = random.one_in(2);  // blocked for ever
      auto from = b.subscribe(
          "c", {.lag = random.one_in(2) ? ssewire::lag_policy::close : ssewire::lag_policy::tell});
      REQUIRE(from);
      ids.push_back(r.add(sink_writer{sinks.back().get()}, std::move(from.value)).value);
      (void)r.poll(ssewire::steady_time{});
      if (random.one_in(2)) r.close(ids[random.below(ids.size())]);
      if (random.one_in(4)) r.finish(ids[random.below(ids.size())]);
    }
  }
  done = true;
  for (auto& t : threads) t.join();
  for (auto const& s : sinks) {
    CHECK(s->in_order);
    CHECK(s->closed.size() == 1);
  }
  CHECK(b.stats().subscribers == 0);
}

// ---- serve_blocking ----

TEST_CASE("eight threads serve, and end when the broker drains") {
  broker b({.replay = {.max_events = 100'000, .max_bytes = 64u << 20}});
  std::vector<sink> sinks(8);
  std::vector<std::thread> threads;
  std::vector<close_reason> reasons(sinks.size());
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    auto from = b.subscribe("all");
    REQUIRE(from);
    threads.emplace_back([&, i, s = std::move(from.value)]() mutable {
      sink_writer w{&sinks[i]};
      reasons[i] = ssewire::serve_blocking(std::move(s), w);
    });
  }
  publish_all(b, {"all"});
  drain_in_turns(b);
  for (auto& t : threads) t.join();
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    CHECK(reasons[i] == close_reason::drained);
    check_all(sinks[i], 1);
  }
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("each event alone wakes a thread that sleeps in serve_blocking") {
  broker b;
  std::mutex guard;
  std::condition_variable arrived;
  std::size_t seen = 0;
  struct writer {
    std::function<void()> on_write;
    ssewire::write_result write(ssewire::buffers offered) {
      on_write();
      std::size_t n = 0;
      for (auto const piece : offered) n += piece.size();
      return {write_status::ok, n};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  } w{[&] {
    std::unique_lock const held(guard);
    ++seen;
    arrived.notify_one();
  }};
  auto from = b.subscribe("c");
  std::thread serving([&] {
    CHECK(ssewire::serve_blocking(std::move(from.value), w, {}, {.heartbeat = 0s}) == close_reason::drained);
  });
  for (std::size_t i = 1; i <= 1000; ++i) {
    {
      std::unique_lock held(guard);
      while (seen < i) arrived.wait(held);
    }
    b.publish("c", {.data = "x"});
  }
  b.drain({}, {});
  serving.join();
}

TEST_CASE("a writer that blocks does not hold up a publisher or another stream") {
  broker b;
  std::mutex guard;
  std::condition_variable changed;
  bool released = false;
  bool blocked = false;
  struct blocking_writer {
    std::function<void()> wait;
    ssewire::write_result write(ssewire::buffers) {
      wait();
      return {write_status::closed, 0};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  } stuck{[&] {
    std::unique_lock held(guard);
    blocked = true;
    changed.notify_all();
    while (!released) changed.wait(held);
  }};
  auto from = b.subscribe("c");
  std::thread serving(
      [&] { CHECK(ssewire::serve_blocking(std::move(from.value), stuck) == close_reason::peer_gone); });
  {
    std::unique_lock held(guard);
    while (!blocked) changed.wait(held);
  }
  // It is inside write() and stays there.
  sink other;
  reactor r({}, {.heartbeat = 0s});
  auto second = b.subscribe("c");
  REQUIRE(r.add(sink_writer{&other}, std::move(second.value)));
  for (int i = 0; i < 1500; ++i) {
    REQUIRE(b.publish("c", {.data = "x"}));
    while (r.poll(ssewire::steady_time{}).more) {
    }
  }
  b.tick({});
  CHECK(b.stats().subscribers == 2);
  CHECK(other.data.size() == 1500);
  {
    std::unique_lock const held(guard);
    released = true;
    changed.notify_all();
  }
  serving.join();
  CHECK(b.stats().subscribers == 1);
}

}  // namespace
