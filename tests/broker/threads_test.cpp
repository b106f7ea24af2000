// SPDX-License-Identifier: MIT
// Real threads use one broker. Readers check what their streams must bring; the sanitizers check the rest.
#include <ssewire/broker/broker.hpp>

#include <support/events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using ssewire::broker;
using ssewire::pull_status;
using ssewire::wake;

constexpr int publishers = 8;
constexpr int channels = 4;
constexpr int per_publisher = 2000;
std::string_view const names[channels] = {"c0", "c1", "c2", "c3"};

// doctest's assertions are slow and locked: threads count what is wrong, the test asserts that nothing was.
std::atomic<int> broken{0};
std::mutex first_guard;
std::string first_broken;

void must(bool holds, char const* what) {
  if (holds || broken.fetch_add(1) != 0) return;
  std::lock_guard const held(first_guard);
  first_broken = what;
}

// The context of a hook. It dies with its stream: a hook that runs later writes to freed memory.
struct doorbell {
  std::mutex guard;
  std::condition_variable rung;
  bool ready = false;
  bool evicted = false;
  std::atomic<int> inside{0};
  int calls = 0;

  void operator()(wake why) noexcept {
    must(inside.fetch_add(1) == 0, "a hook overlaps itself");
    {
      std::lock_guard const held(guard);
      (why == wake::ready ? ready : evicted) = true;
      ++calls;
      rung.notify_all();
    }
    inside.fetch_sub(1);
  }
};

// "<channel> <publisher> <number on the channel> <number of the publisher>": the second last is counted by
// the publishers of a channel under a lock of their own, so that a reader knows exactly what comes next on a
// channel.
struct payload {
  std::array<std::uint64_t, 4> field = {};

  explicit payload(std::string_view text) {
    auto const* at = text.data();
    for (auto& f : field) {
      auto const [end, error] = std::from_chars(at, text.data() + text.size(), f);
      must(error == std::errc(), "an event's data is damaged");
      at = end + 1;
    }
  }
};

// What a reader knows: it objects to disorder and to silent holes.
struct reader {
  std::string previous_id;
  std::array<std::optional<std::uint64_t>, channels> on_channel = {};
  std::array<std::array<std::uint64_t, channels>, publishers> of_publisher = {};
  std::array<bool, channels> told = {};
  std::uint64_t events = 0;
  std::uint64_t gaps = 0;
  ssewire::parser parser;

  void connect() {
    parser.reset();  // what it was told stays told: it resumes from behind that gap
  }

  void read(std::string_view bytes) {
    auto const result = parser.feed(bytes, [&](ssewire::event const& e) { read(e); });
    must(result.error == ssewire::errc::ok, "the stream is damaged");
  }

  void read(ssewire::event const& e) {
    if (e.type.value() == "ssewire.gap") {
      ++gaps;
      for (std::size_t c = 0; c < channels; ++c) {
        if (e.data->find(names[c]) == std::string_view::npos) continue;
        // A number says how many only if nothing else is open: behind a gap without one it counts from
        // nowhere known.
        bool const open = std::exchange(told[c], true);
        auto const missed = e.data->find("\"missed\":");
        if (open || missed == std::string_view::npos || !on_channel[c]) continue;
        std::uint64_t n = 0;
        std::from_chars(e.data->data() + missed + 9, e.data->data() + e.data->size(), n);
        must(n != 0, "a gap of nothing");
        *on_channel[c] += n;  // exact: the next one must follow
        told[c] = false;
      }
    } else if (e.type.empty()) {
      ++events;
      payload const p(*e.data);
      auto const c = static_cast<std::size_t>(p.field[0]);
      must(e.id.value() > previous_id, "positions do not increase");
      must(!on_channel[c] || p.field[2] == *on_channel[c] + 1 || (told[c] && p.field[2] > *on_channel[c]),
           "an event is missing and nothing was told");
      must(p.field[3] > of_publisher[p.field[1]][c], "a publisher's own order is broken");
      on_channel[c] = p.field[2];
      of_publisher[p.field[1]][c] = p.field[3];
      told[c] = false;
    }
    if (e.id.has_value()) {
      must(e.id.value() >= previous_id, "an ID goes back");
      previous_id = e.id.value();
    }
  }
};

struct world {
  broker b;
  std::array<std::mutex, channels> numbering;
  std::array<std::uint64_t, channels> count = {};
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> events_read{0};
  std::atomic<std::uint64_t> gaps_read{0};
  std::atomic<std::uint64_t> cuts{0};

  explicit world(ssewire::broker_options const& options) : b(options) {}

  void publish(int publisher, std::uint64_t seed) {
    support::random random(seed);
    for (std::uint64_t n = 1; n <= per_publisher; ++n) {
      auto const c = random.below(channels);
      std::lock_guard const held(numbering[c]);
      auto data = std::to_string(c) + ' ' + std::to_string(publisher) + ' ' + std::to_string(count[c] + 1) +
                  ' ' + std::to_string(n);
      if (random.one_in(50)) data += ' ' + std::string(random.below(6000), 'x');
      if (b.publish(names[c], {.data = data})) {
        ++count[c];
      } else {
        must(false, "publish failed");
      }
    }
  }

  // Reads until everything was published and read; cuts its connections as the seed says.
  void subscribe(std::uint64_t seed, bool churn) {
    support::random random(seed);
    reader r;
    std::vector<std::string_view> wanted;
    for (std::size_t c = 0; c < channels; ++c) {
      if (random.one_in(2) || wanted.empty()) wanted.push_back(names[c]);
    }
    for (bool done = false; !done;) {
      auto bell = std::make_unique<doorbell>();
      auto made =
          b.subscribe(std::span<std::string_view const>(wanted),
                      {.last_event_id = r.parser.last_event_id(), .start = ssewire::start_at::beginning()});
      if (!made) {
        must(made.error == ssewire::errc::closed && over, "subscribe failed");
        break;  // it was away when the broker began to drain
      }
      auto stream = std::move(made.value);
      stream.set_hook(ssewire::wake_hook::of(*bell));
      r.connect();
      ssewire::batch pulled;
      int parks = 0;
      for (bool connected = true; connected;) {
        auto const status = stream.pull(pulled, random.below(20'000));
        if (status == pull_status::ready) {
          std::array<std::string_view, ssewire::batch::max_views> views;
          auto const n = pulled.gather(views.data());
          std::string bytes;
          for (std::size_t i = 0; i < n; ++i) bytes += views[i];
          auto const cut = churn && random.one_in(20);
          auto const taken = cut || random.one_in(10) ? random.below(bytes.size() + 1) : bytes.size();
          r.read(std::string_view(bytes).substr(0, taken));
          if (taken != bytes.size()) {
            auto const rest = stream.give_back(pulled, taken);
            if (!cut) r.read(rest);
          }
          if (cut) connected = false;
          continue;
        }
        must(status == pull_status::nothing || status == pull_status::draining, "closed, and nobody did");
        if (status == pull_status::draining) {
          done = true;
          break;
        }
        if (churn && random.one_in(30)) {
          if (random.one_in(2)) (void)stream.park();  // closed while parked, perhaps while the hook runs
          break;
        }
        if (!stream.park()) continue;
        ++parks;
        std::unique_lock held(bell->guard);
        bell->rung.wait(held, [&] { return bell->ready || bell->evicted; });
        must(!bell->evicted, "evicted without a reason");
        bell->ready = false;
      }
      stream.close();
      must(bell->inside.load() == 0, "a hook runs after close() has returned");
      must(bell->calls <= parks + 1, "more wake-ups than parks");
      ++cuts;
    }
    events_read += r.events;
    gaps_read += r.gaps;
  }

  // Streams that end inside their own hook, again and again.
  void close_inside(std::uint64_t seed) {
    struct once {
      ssewire::subscription stream;
      std::atomic<bool> closed{false};
      void operator()(wake) {
        stream.close();
        closed = true;
        closed.notify_all();
      }
    };
    support::random random(seed);
    std::vector<std::unique_ptr<once>>
        all;  // whoever closes inside its hook is still in it: the context must live on
    while (!over) {
      auto* const mine = all.emplace_back(std::make_unique<once>()).get();
      std::string_view const two[] = {names[random.below(channels)], names[random.below(channels)]};
      auto made = b.subscribe(std::span(two));
      if (!made) return;
      mine->stream = std::move(made.value);
      mine->stream.set_hook(ssewire::wake_hook::of(*mine));
      ssewire::batch pulled;
      bool parked = false;
      while (!parked && mine->stream.pull(pulled, 1'000'000) == pull_status::ready) {
        pulled.clear();
        parked = mine->stream.park();  // from here on the stream belongs to the hook
      }
      if (parked) mine->closed.wait(false);
    }
  }
};

void run(ssewire::broker_options const& options, bool churn, std::uint64_t seed) {
  INFO("seed " << seed);
  broken = 0;
  world w(options);
  std::vector<std::thread> readers;
  std::vector<std::thread> writers;
  std::vector<std::thread> others;
  for (std::uint64_t i = 0; i < 8; ++i)
    readers.emplace_back([&, i] { w.subscribe(seed * 100 + i, churn && i % 2 == 0); });
  if (churn) {
    for (std::uint64_t i = 0; i < 2; ++i)
      others.emplace_back([&, i] { w.close_inside(seed * 100 + 50 + i); });
  }
  others.emplace_back([&] {
    auto now = ssewire::steady_time{} + std::chrono::hours(1);
    std::uint64_t published = 0;
    while (!w.over) {
      w.b.tick(now += std::chrono::milliseconds(1));
      auto const s = w.b.stats();
      must(s.published >= published, "the counter goes back");
      must(s.events == s.published - s.trimmed, "events are held or trimmed");
      published = s.published;
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < publishers; ++i) {
    writers.emplace_back([&, i] { w.publish(i, seed * 1000 + static_cast<std::uint64_t>(i)); });
  }
  for (auto& t : writers) t.join();
  w.over = true;
  w.b.drain((ssewire::steady_time::max)(), (ssewire::steady_time::max)());  // everybody reads to the end
  for (auto& t : readers) t.join();
  for (auto& t : others) t.join();
  CHECK(broken == 0);
  CHECK(first_broken == "");
  CHECK(w.b.stats().published == publishers * per_publisher);
  CHECK(w.b.stats().subscribers == 0);
  CHECK(w.events_read > 0);
  MESSAGE(w.events_read.load() << " events read, " << w.gaps_read.load() << " gaps told, " << w.cuts.load()
                               << " connections");
}

}  // namespace

TEST_CASE("with 8 publishers and 8 readers every reader gets a contiguous stream in order") {
  ssewire::broker_options options;
  options.replay.max_events = 1'000'000;
  options.replay.max_bytes = 64 * 1024 * 1024;
  run(options, false, 1);
}

TEST_CASE("with a log so short that readers lag, they are told, exactly") {
  ssewire::broker_options options;
  options.replay.max_events = 20;
  run(options, false, 2);
}

TEST_CASE("with streams that come and go, also inside their hooks, nothing is lost silently") {
  ssewire::broker_options options;
  options.replay.max_events = 300;
  options.replay.max_age = std::chrono::milliseconds(50);  // of virtual time
  run(options, true, 3);
}

TEST_CASE("close waits for the hook that runs, and none runs after it") {
  for (int i = 0; i < 300; ++i) {
    broker b;
    auto bell = std::make_unique<doorbell>();
    auto s = b.subscribe({"a", "b"}).value;
    s.set_hook(ssewire::wake_hook::of(*bell));
    ssewire::batch pulled;
    REQUIRE(s.pull(pulled, 1000) == pull_status::ready);
    REQUIRE(s.park());
    std::thread one([&] { (void)b.publish("a", {.data = "x"}); });
    std::thread two([&] { (void)b.publish("b", {.data = "x"}); });
    if (i % 2 == 0) std::this_thread::yield();
    s.close();
    CHECK(bell->inside.load() == 0);
    CHECK(bell->calls <= 1);
    bell.reset();  // a later call would write here
    one.join();
    two.join();
  }
}

TEST_CASE("close returns only when the hook has, however long it takes") {
  broker b;
  std::atomic<bool> entered{false};
  std::atomic<bool> go{false};
  std::atomic<bool> left{false};
  std::atomic<int> calls{0};
  auto hook = [&](wake) {
    ++calls;
    entered = true;
    entered.notify_all();
    go.wait(false);
    left = true;
  };
  auto s = b.subscribe("a").value;
  s.set_hook(ssewire::wake_hook::of(hook));
  ssewire::batch pulled;
  REQUIRE(s.pull(pulled, 1000) == pull_status::ready);
  REQUIRE(s.park());
  std::thread publisher([&] { (void)b.publish("a", {.data = "x"}); });
  entered.wait(false);
  // No lock is held meanwhile: all of this passes by.
  CHECK(b.publish("a", {.data = "y"}));
  CHECK(b.subscribe("a"));
  CHECK(b.stats().published == 2);
  b.tick({});
  // It may even park and be woken: that would be the hook's next call, which close() forestalls.
  REQUIRE(s.pull(pulled, 1000) == pull_status::ready);
  REQUIRE(s.park());
  CHECK(b.publish("a", {.data = "z"}));
  std::thread opener([&] {
    while (b.stats().subscribers != 0) std::this_thread::yield();  // close() has begun
    go = true;
    go.notify_all();
  });
  s.close();
  CHECK(left.load());
  CHECK(calls == 1);
  publisher.join();
  opener.join();
}

TEST_CASE("a hook that is called on one thread does not run on another at the same time") {
  ssewire::broker_options options;
  options.replay.max_events = 10'000;
  broker b(options);
  doorbell bell;
  auto s = b.subscribe({"a", "b"}).value;
  std::atomic<int> calls{0};
  auto hook = [&](wake why) noexcept {
    bell(why);
    calls.fetch_add(1);
    ssewire::batch pulled;
    do {
      while (s.pull(pulled, 1000) == pull_status::ready) {
      }
    } while (!s.park() && s.reason() == ssewire::close_reason::none);
  };
  s.set_hook(ssewire::wake_hook::of(hook));
  ssewire::batch pulled;
  REQUIRE(s.pull(pulled, 1000) == pull_status::ready);
  broken = 0;
  REQUIRE(s.park());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 2000; ++n) (void)b.publish(i % 2 == 0 ? "a" : "b", {.data = "x"});
    });
  }
  for (auto& t : threads) t.join();
  CHECK(broken == 0);
  CHECK(calls > 0);
  CHECK(b.stats().delivered == 8000);
}
