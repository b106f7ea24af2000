// SPDX-License-Identifier: MIT
// An event that comes between any two steps of serving a stream is not overlooked. Each case publishes after
// the n-th unlock of the broker, where another thread could, for every n.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/awaitable.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>

#include <support/broker_bytes.hpp>
#include <support/closure_executor.hpp>
#include <support/coroutine.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <condition_variable>
#include <coroutine>
#include <functional>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using ssewire::read_status;
using support::closure_executor;
using support::frame;
using support::peer;
using support::position_event;
using support::post_to;
using support::scripted_writer;

struct stepping_traits : support::epoch_traits {
  static inline long steps_left = -1;
  static inline std::function<void()> act;

  struct mutex {
    std::mutex real;
    void lock() { real.lock(); }
    void unlock() {
      real.unlock();
      if (steps_left >= 0 && steps_left-- == 0) act();
    }
  };
  using condition_variable = std::condition_variable_any;
};

using broker = ssewire::basic_broker<stepping_traits>;
using subscription = ssewire::basic_subscription<stepping_traits>;
using pull_stream = ssewire::pull_stream<ssewire::basic_subscription<stepping_traits>>;

/// Does `step`; behind the n-th release of the lock within it, something is published. False: there is no
/// n-th.
template <class Step> bool publishes_within(broker& to, long n, Step step) {
  bool acted = false;
  stepping_traits::act = [&] {
    acted = true;
    REQUIRE(to.publish("c", {.data = "y"}));
  };
  stepping_traits::steps_left = n;
  step();
  stepping_traits::steps_left = -1;
  return acted;
}

/// `scenario(n)` says whether there was an n-th place.
template <class Scenario> void everywhere(long at_least, Scenario scenario) {
  for (long n = 0;; ++n) {
    CAPTURE(n);
    REQUIRE(n < 100);
    if (scenario(n)) continue;
    CHECK(n >= at_least);
    return;
  }
}

std::string all_of(bool acted) {
  return position_event(0) + frame(1, "x") + (acted ? frame(2, "y") : std::string());
}

TEST_CASE("between the steps of a posted stream's task") {
  everywhere(3, [](long n) {
    broker b;
    closure_executor on;
    peer to;
    auto const s = ssewire::post_stream(scripted_writer(to), post_to{&on}, std::move(b.subscribe("c").value));
    s->start();
    b.publish("c", {.data = "x"});
    bool const acted = publishes_within(b, n, [&] { on.run_one(); });
    on.run();
    CHECK(to.taken == all_of(acted));
    return acted;
  });
}

/// What a server does that is called again when the hook has said so.
struct server_that_asks {
  pull_stream stream;
  std::string text = {};
  bool resumed = true;

  explicit server_that_asks(subscription from) : stream(std::move(from)) {
    stream.set_hook(ssewire::wake_hook::of(*this));
  }
  void operator()(ssewire::wake) noexcept { resumed = true; }

  void serve() {
    while (std::exchange(resumed, false)) {
      char room[100];
      for (auto got = stream.read(room, sizeof room); got.status == read_status::bytes;
           got = stream.read(room, sizeof room))
        text.append(room, got.bytes);
      if (!stream.park()) resumed = true;
    }
  }
};

TEST_CASE("between the steps of a read and a park") {
  everywhere(3, [](long n) {
    broker b;
    server_that_asks s(std::move(b.subscribe("c").value));
    s.serve();
    b.publish("c", {.data = "x"});
    bool const acted = publishes_within(b, n, [&] { s.serve(); });
    CHECK(s.text == all_of(acted));
    // And the last park holds.
    b.publish("c", {.data = "z"});
    CHECK(s.resumed);
    return acted;
  });
}

struct resume_later {
  std::coroutine_handle<>* to;
  void operator()(std::coroutine_handle<> h) const noexcept { *to = h; }
};

template <class Source> support::coroutine serve(std::string& text, resume_later resume, subscription from) {
  auto source = ssewire::make_awaitable<Source>(resume, std::move(from));
  for (;;) {
    if constexpr (std::is_same_v<Source, subscription>) {
      ssewire::basic_batch<stepping_traits> next;
      while (source->pull(next, 4096) == ssewire::pull_status::ready) text += next.text();
    } else {
      char room[100];
      for (auto got = source->read(room, sizeof room); got.status == read_status::bytes;
           got = source->read(room, sizeof room))
        text.append(room, got.bytes);
    }
    co_await source;
  }
}

template <class Source> void in_a_coroutine() {
  everywhere(3, [](long n) {
    broker b;
    std::string text;
    std::coroutine_handle<> waiting = nullptr;
    auto const run = [&] {
      while (waiting) std::exchange(waiting, nullptr).resume();
    };
    auto const c = serve<Source>(text, {&waiting}, std::move(b.subscribe("c").value));
    b.publish("c", {.data = "x"});
    bool const acted = publishes_within(b, n, run);
    run();
    CHECK(text == all_of(acted));
    b.publish("c", {.data = "z"});
    CHECK(waiting != nullptr);
    return acted;
  });
}

TEST_CASE("between the steps of a coroutine that reads a stream, and waits") {
  in_a_coroutine<pull_stream>();
}
TEST_CASE("between the steps of a coroutine that pulls a subscription, and waits") {
  in_a_coroutine<subscription>();
}

}  // namespace
