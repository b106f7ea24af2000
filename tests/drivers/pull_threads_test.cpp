// SPDX-License-Identifier: MIT
// Pull streams and coroutines on real threads. Nothing here asserts how long anything takes: a lost wake-up
// shows as a hang, which ctest ends.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/awaitable.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/coroutine.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using ssewire::broker;
using ssewire::close_reason;
using pull_stream = ssewire::pull_stream<ssewire::subscription>;
using ssewire::read_status;
using ssewire::subscription;
using ssewire::wake;

constexpr int publishers = 3;
constexpr int events_each = 400;

/// What one stream got. Events are "p:n", the n-th of publisher p.
struct received {
  ssewire::parser parser = {};
  std::array<int, publishers> next = {};
  bool in_order = true;

  void take(std::string_view bytes) {
    (void)parser.feed(bytes, [this](ssewire::event const& e) {
      if (!e.type.empty() || !e.id.has_value()) return;
      auto const data = std::string(e.data.value_or(""));
      auto& expected = next[static_cast<std::size_t>(data[0] - '0')];
      in_order = in_order && std::stoi(data.substr(2)) == expected;
      ++expected;
    });
  }
  [[nodiscard]] bool complete() const {
    return in_order && !parser.has_partial_event() &&
           std::all_of(next.begin(), next.end(), [](int n) { return n == events_each; });
  }
};

std::vector<std::thread> start_publishers(broker& b) {
  std::vector<std::thread> threads;
  for (int p = 0; p < publishers; ++p) {
    threads.emplace_back([&b, p] {
      for (int i = 0; i < events_each; ++i) {
        auto const data = std::to_string(p) + ':' + std::to_string(i);
        if (!b.publish("c", {.data = data})) std::abort();
        if (i % 16 == 0) std::this_thread::yield();
      }
    });
  }
  return threads;
}

/// A thread that sleeps until it is called.
struct bell {
  std::mutex guard;
  std::condition_variable rung;
  int ready = 0;
  int evicted = 0;

  void operator()(wake why) noexcept {
    std::unique_lock const held(guard);
    ++(why == wake::ready ? ready : evicted);
    rung.notify_all();
  }
};

TEST_CASE("readers that park while others publish get everything, and one call for each park") {
  broker b({.replay = {.max_events = publishers * events_each}});
  std::vector<std::thread> threads;
  std::array<received, 3> got;
  std::atomic<int> subscribed{0};
  for (std::size_t i = 0; i < got.size(); ++i) {
    threads.emplace_back([&, i] {
      bell hook;
      pull_stream s(b.subscribe("c").value, {}, {});
      s.set_hook(ssewire::wake_hook::of(hook));
      ++subscribed;
      support::random random(i + 1);
      char room[300];
      int parks = 0;
      for (;;) {
        auto const r = s.read(room, 1 + random.below(sizeof room));
        got[i].take({room, r.bytes});
        if (r.status == read_status::bytes) continue;
        if (r.status != read_status::nothing) break;
        if (random.one_in(4)) s.poll(ssewire::steady_time::clock::now());
        if (!s.park()) continue;
        std::unique_lock held(hook.guard);
        ++parks;
        while (hook.ready < parks) hook.rung.wait(held);
        if (hook.ready != parks) got[i].in_order = false;
      }
    });
  }
  while (subscribed.load() != static_cast<int>(got.size())) std::this_thread::yield();
  for (auto& p : start_publishers(b)) p.join();
  b.drain(ssewire::steady_time::max(), ssewire::steady_time::max());
  for (auto& t : threads) t.join();
  for (auto const& g : got) CHECK(g.complete());
}

/// Threads that resume what is posted.
class pool {
 public:
  explicit pool(int n) {
    for (int i = 0; i < n; ++i) threads_.emplace_back([this] { run(); });
  }
  ~pool() {
    {
      std::unique_lock const held(guard_);
      stop_ = true;
      posted_something_.notify_all();
    }
    for (auto& t : threads_) t.join();
  }

  void post(std::coroutine_handle<> h) noexcept {
    std::unique_lock const held(guard_);
    posted_.push_back(h);
    posted_something_.notify_one();
  }

 private:
  void run() {
    std::unique_lock held(guard_);
    for (;;) {
      while (posted_.empty() && !stop_) posted_something_.wait(held);
      if (posted_.empty()) return;
      auto const next = posted_.front();
      posted_.pop_front();
      held.unlock();
      next.resume();
      held.lock();
    }
  }

  std::mutex guard_;
  std::condition_variable posted_something_;
  std::deque<std::coroutine_handle<>> posted_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

struct post_to {
  pool* to;
  void operator()(std::coroutine_handle<> h) const noexcept { to->post(h); }
};

struct at_once {
  void operator()(std::coroutine_handle<> h) const noexcept { h.resume(); }
};

template <class Resume>
support::detached_coroutine serve(Resume resume, subscription from, received& to, std::atomic<int>& running) {
  {
    auto stream = ssewire::make_awaitable<pull_stream>(resume, std::move(from));
    char room[300];
    for (;;) {
      auto const r = stream->read(room, sizeof room);
      to.take({room, r.bytes});
      if (r.status == read_status::nothing) co_await stream;
      if (r.status == read_status::complete || r.status == read_status::cut) break;
    }
  }
  --running;
}

template <class Resume>
support::detached_coroutine pull_each(Resume resume, subscription from, received& to,
                                      std::atomic<int>& running) {
  {
    auto source = ssewire::make_awaitable<subscription>(resume, std::move(from));
    ssewire::batch next;
    for (;;) {
      auto const pulled = source->pull(next, 500);
      to.take(next.text());
      if (pulled == ssewire::pull_status::nothing) co_await source;
      if (pulled == ssewire::pull_status::draining || pulled == ssewire::pull_status::closed) break;
    }
  }
  --running;
}

template <class Resume> void serve_all(Resume resume) {
  broker b({.replay = {.max_events = publishers * events_each}});
  std::array<received, 4> got;
  std::atomic<int> running{4};
  for (std::size_t i = 0; i < 2; ++i) {
    serve(resume, b.subscribe("c").value, got[2 * i], running);
    pull_each(resume, b.subscribe("c").value, got[2 * i + 1], running);
  }
  for (auto& p : start_publishers(b)) p.join();
  b.drain(ssewire::steady_time::max(), ssewire::steady_time::max());
  while (running.load() != 0) std::this_thread::yield();
  for (auto const& g : got) CHECK(g.complete());
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("coroutines on a pool get everything, wherever they are resumed") {
  pool threads(2);
  serve_all(post_to{&threads});
}

TEST_CASE("coroutines that run inside publish get everything, whichever publisher runs them") {
  serve_all(at_once{});
}

TEST_CASE(
    "a coroutine may be resumed, and gone with its frame and its broker, before its wait has returned") {
  pool threads(2);
  std::atomic<int> running{0};
  auto const wait_once = [](pool& on, std::shared_ptr<broker> of, std::atomic<int>& count,
                            bool by_stream) -> support::detached_coroutine {
    if (by_stream) {
      auto stream = ssewire::make_awaitable<pull_stream>(post_to{&on}, of->subscribe("c").value);
      char room[300];
      while (stream->read(room, sizeof room).status == read_status::bytes) {
      }
      of.reset();  // whoever publishes has it
      co_await stream;
    } else {
      auto source = ssewire::make_awaitable<subscription>(post_to{&on}, of->subscribe("c").value);
      ssewire::batch next;
      (void)source->pull(next, 300);
      next.clear();
      of.reset();
      co_await source;
    }
    --count;
  };
  for (int i = 0; i < 500; ++i) {
    auto of = std::make_shared<broker>();
    ++running;
    std::atomic<bool> go{false};
    std::thread publisher([b = of, &go, i]() mutable {
      while (!go.load()) {
      }
      if (i % 3 != 0) b->publish("c", {.data = "x"});
      b.reset();  // the broker's end wakes, too
    });
    go = true;
    wait_once(threads, std::move(of), running, i % 2 == 0);
    publisher.join();
  }
  while (running.load() != 0) std::this_thread::yield();
}

}  // namespace
