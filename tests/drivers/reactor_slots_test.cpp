// SPDX-License-Identifier: MIT
// reactor_slots_test.cpp - what may happen at the worst moment to a stream in step, which has no slot of its
// own.
#include <ssewire/drivers/reactor.hpp>

#include <support/broker_bytes.hpp>
#include <support/failing_allocations.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::framing;
using ssewire::steady_time;
using ssewire::stream_id;
using support::answer;
using support::frame;
using support::peer;
using support::scripted_writer;

using broker = ssewire::basic_broker<support::failing_traits>;
using reactor = ssewire::basic_reactor<scripted_writer, support::failing_traits>;

constexpr steady_time at(ssewire::steady_duration since) { return steady_time{} + 1h + since; }

/// Streams in step on one channel.
struct in_step {
  std::optional<broker> b;
  std::vector<std::unique_ptr<peer>> to;
  reactor r;
  std::vector<stream_id> ids;

  explicit in_step(std::size_t streams, ssewire::broker_options const& limits = {},
                   ssewire::stream_options const& options = {})
      : r({}, {.heartbeat = 0s, .stall_time = 0s}) {
    b.emplace(limits);
    for (std::size_t i = 0; i < streams; ++i) {
      to.push_back(std::make_unique<peer>());
      auto const added = r.add(scripted_writer(*to.back()), std::move(b->subscribe("c").value), options);
      REQUIRE(added);
      ids.push_back(added.value);
    }
    run();
    for (auto const& p : to) p->taken.clear();
  }
  ~in_step() {
    support::allocations_left = -1;
    for (auto const& p : to) p->stop_transport();
  }

  void run() {
    for (int i = 0; r.poll(at(0s)).more; ++i) REQUIRE(i < 10'000);
  }
};

TEST_CASE("one that falls out inside its writer, without memory, and says that its pending write is done") {
  for (bool const sends : {false, true}) {
    CAPTURE(sends);
    in_step c(3);
    REQUIRE(c.b->publish("c", {.data = "x"}));
    c.to[1]->script.push_back((sends ? answer::pending() : answer::take()).calling([&] {
      support::allocations_left = 0;
      CHECK(c.r.send(c.ids[1], {.data = "y"}) == errc::closed);
      CHECK(support::allocations_left < 0);
      c.to[1]->landed();
      c.r.written(c.ids[1], true);
      CHECK_FALSE(c.to[1]->writer_gone);
    }));
    c.run();
    CHECK(c.to[1]->closed == std::vector{close_reason::no_memory});
    CHECK(c.to[1]->writer_gone);  // nothing more is owed to it
    CHECK(c.r.size() == 2);
    CHECK(c.b->stats().subscribers == 2);
    CHECK(c.to[0]->taken == frame(1, "x"));
    CHECK(c.to[2]->taken == frame(1, "x"));
  }
}

TEST_CASE("one that took a part of the flight leaves nothing of the log held") {
  for (auto const& then : {answer::again(), answer::again(2), answer::closed(), answer::raise()}) {
    in_step c(2, {.replay = {.max_events = 1}});
    REQUIRE(c.b->publish("c", {.data = std::string(9000, 'x')}));
    for (auto const& p : c.to) {
      p->script.push_back(answer::take(3));
      p->script.push_back(then);
    }
    c.run();
    for (auto const id : c.ids) c.r.close(id);
    CHECK(c.r.size() == 0);
    REQUIRE(c.b->publish("c", {.data = std::string(9000, 'y')}));
    CHECK(c.b->stats().pinned_bytes == 0);
  }
}

TEST_CASE("a presence hook that polls, while a stream leaves the channel that kept it out of step") {
  in_step* at_work = nullptr;
  auto poll = [&](ssewire::presence const& p) noexcept {
    if (at_work != nullptr && p.channel == "d" && p.now == 0) (void)at_work->r.poll(at(0s));
  };
  in_step c(3, {.on_presence = ssewire::presence_hook::of(poll)});
  CHECK(c.r.join(c.ids[1], "d") == errc::ok);
  c.run();
  at_work = &c;
  CHECK(c.r.leave(c.ids[1], "d") == errc::ok);
  c.run();
  REQUIRE(c.b->publish("c", {.data = "x"}));
  c.run();
  CHECK(c.to[1]->taken.ends_with(frame(1, "x")));
}

TEST_CASE("a filter's end that polls, while its stream could come back in step") {
  in_step c(3);
  struct polls {
    in_step& of;
    explicit polls(in_step& c) : of(c) {}
    ~polls() { (void)of.r.poll(at(0s)); }
  };
  CHECK(c.r.set_filter(c.ids[1], [keep = std::make_shared<polls>(c)](ssewire::event_header const&) {
    return true;
  }) == errc::ok);
  c.run();
  CHECK(c.r.set_filter(c.ids[1], {}) == errc::ok);
  c.run();
  REQUIRE(c.b->publish("c", {.data = "x"}));
  c.run();
  CHECK(c.to[1]->taken.ends_with(frame(1, "x")));
}

TEST_CASE("one that is blocked by what it is offered when its broker goes, or has gone, ends with it") {
  for (bool const from_inside : {false, true}) {
    CAPTURE(from_inside);
    in_step c(from_inside ? 3 : 700);
    REQUIRE(c.b->publish("c", {.data = "x"}));
    auto const one = c.to.size() - 1;
    c.to[one]->script.push_back(from_inside ? answer::again(3).calling([&] { c.b.reset(); })
                                            : answer::again(3));
    if (!from_inside) {
      CHECK(c.r.poll(at(0s)).more);
      CHECK(c.to[one]->offers.size() == 1);  // of the beginning; it is still to be offered the event
      c.b.reset();
    }
    c.run();
    for (auto const& p : c.to) CHECK(p->closed == std::vector{close_reason::drained});
    CHECK(c.r.size() == 0);
  }
}

TEST_CASE("one that is forced, and does not take the last chunk, is not waited for") {
  for (std::size_t const streams : {1u, 3u}) {
    for (auto const& last : {answer::again(), answer::again(2), answer::pending()}) {
      in_step c(streams, {}, {.body = framing::chunked});
      c.b->drain(at(0s), at(0s));
      c.b->tick(at(0s));
      for (auto const& p : c.to) p->script.push_back(last);
      c.run();
      CHECK(c.r.size() == 0);
      CHECK(c.b->stats().subscribers == 0);
      for (std::size_t i = 0; i < streams; ++i) {
        CHECK(c.to[i]->closed.size() == 1);
        if (c.to[i]->pending()) c.to[i]->landed();
        c.r.written(c.ids[i], true);
        CHECK(c.to[i]->writer_gone);
      }
    }
  }
}

TEST_CASE("a drain also forces one that lags, and whose last chunk is being sent") {
  in_step c(1, {.replay = {.max_events = 1}}, {.body = framing::chunked});
  auto const added = c.r.add(scripted_writer(*c.to.emplace_back(std::make_unique<peer>())),
                             std::move(c.b->subscribe("c", {.lag = ssewire::lag_policy::close}).value),
                             {.body = framing::chunked});
  c.ids.push_back(added.value);
  c.run();
  for (int i = 0; i < 3; ++i) REQUIRE(c.b->publish("c", {.data = std::string(2000, 'x')}));
  c.to[1]->script.push_back(answer::pending());
  c.run();
  CHECK(c.to[1]->pending());
  c.b->drain(at(0s), at(0s));
  c.b->tick(at(0s));
  c.run();
  CHECK(c.to[1]->closed.size() == 1);
  CHECK(c.b->stats().subscribers == 0);
  c.to[1]->landed();
  c.r.written(c.ids[1], true);
  CHECK(c.to[1]->writer_gone);
}

}  // namespace
