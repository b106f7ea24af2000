// SPDX-License-Identifier: MIT
// A refused subscription is empty. A program that still hands it to a driver gets a stream that is over: the
// stream gets no heartbeats, counts nowhere, and holds up no drain. Another call makes a stream without a
// subscription.
#include <ssewire/drivers/awaitable.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/stream/stream.hpp>

#include <support/broker_bytes.hpp>
#include <support/closure_executor.hpp>
#include <support/events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::read_status;
using ssewire::stream_options;
using ssewire::stream_state;
using support::closure_executor;
using support::peer;
using support::post_to;
using support::scripted_writer;

using traits = support::epoch_traits;
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
using stream = ssewire::stream<scripted_writer, ssewire::basic_subscription<traits>>;
using pull_stream = ssewire::pull_stream<ssewire::basic_subscription<traits>>;
using reactor = ssewire::basic_reactor<scripted_writer, traits>;

// `{}` could be either: it does not compile.
static_assert(!std::is_constructible_v<pull_stream, std::nullptr_t>);
template <class R> concept takes_braces = requires(R& r, scripted_writer&& w) { r.add(std::move(w), {}); };
static_assert(!takes_braces<reactor>);

std::vector<close_reason> once(close_reason why) { return {why}; }

constexpr auto at(ssewire::steady_duration since) { return ssewire::steady_time{} + 1h + since; }

/// A broker that is full.
struct full_broker {
  broker b = broker({.max_subscribers = 0});

  subscription refused() {
    auto result = b.subscribe("c");
    CHECK(result.error == errc::too_many_subscribers);
    return std::move(result.value);
  }
  ~full_broker() {
    b.publish("c", {.data = "x"});
    b.drain({}, {});
    b.tick({});
    auto const s = b.stats();
    CHECK(s.subscribers == 0);
    CHECK(s.delivered == 0);
    for (auto const n : s.closes) CHECK(n == 0);
  }
};

TEST_CASE(
    "a stream with a refused subscription is closed from the start, and its writer is told by pump, once") {
  full_broker of;
  peer to;
  {
    stream s(scripted_writer(to), of.refused(), {.preamble = "head"});
    CHECK(s.state() == stream_state::closed);
    CHECK(s.reason() == close_reason::removed);
    CHECK(to.closed.empty());
    CHECK(s.send({.data = "x"}) == errc::closed);
    CHECK(s.comment("x") == errc::closed);
    s.heartbeat();
    s.writable();
    s.written(true);
    s.evicted();
    s.finish();
    CHECK(to.closed.empty());
    CHECK(s.pump() == stream_state::closed);
    CHECK(to.closed == once(close_reason::removed));
    CHECK(s.pump() == stream_state::closed);
    s.close();
  }
  CHECK(to.closed == once(close_reason::removed));
  CHECK(to.cut == 1);
  CHECK(to.offers.empty());
}

TEST_CASE(
    "a stream with a refused subscription that is dropped without a pump tells its writer all the same") {
  full_broker of;
  for (bool const by_abort : {false, true}) {
    peer to;
    {
      stream s(scripted_writer(to), of.refused());
      if (by_abort) s.close();
      CHECK(to.closed.size() == (by_abort ? 1 : 0));
    }
    CHECK(to.closed == once(close_reason::removed));
  }
}

TEST_CASE("a reactor refuses a refused subscription") {
  full_broker of;
  peer to;
  reactor r;
  for (bool const moved_from : {false, true}) {
    auto from = of.refused();
    if (moved_from) auto const gone = std::move(from);
    auto const added = r.add(scripted_writer(to), std::move(from), stream_options{});
    CHECK_FALSE(added);
    CHECK(added.error == errc::closed);
    CHECK(added.value == ssewire::stream_id{});
    CHECK(to.writer_gone);
    CHECK(to.closed.empty());
    CHECK(r.size() == 0);
    CHECK_FALSE(r.poll(at(0s)).next);
    CHECK_FALSE(r.poll(at(20s)).more);
    CHECK(to.offers.empty());
  }
}

TEST_CASE(
    "a posted stream with a refused subscription is closed from the start, and its writer is told by start") {
  full_broker of;
  for (int how = 0; how < 4; ++how) {
    closure_executor on;
    peer to;
    auto s = ssewire::post_stream(scripted_writer(to), post_to{&on}, of.refused());
    CHECK(s->state() == stream_state::closed);
    CHECK(s->reason() == close_reason::removed);
    CHECK(s->send({.data = "x"}) == errc::closed);
    CHECK(on.tasks.empty());
    CHECK(to.closed.empty());
    switch (how) {
    case 0: s->start(); break;
    case 1: CHECK_FALSE(s->poll(at(0s))); break;
    case 2: s->close(); break;
    default: s.reset();
    }
    CHECK(to.closed == once(close_reason::removed));
    if (s) CHECK_FALSE(s->poll(at(20s)));
    CHECK(on.tasks.empty());
    CHECK(to.offers.empty());
  }
}

TEST_CASE("a pull stream of a refused subscription is over: read says dropped") {
  full_broker of;
  for (bool const reads : {false, true}) {
    pull_stream s(of.refused(), {.preamble = "head"});
    std::size_t hooks = 0;
    auto const hook = [&hooks](ssewire::wake) noexcept { ++hooks; };
    s.set_hook(ssewire::wake_hook::of(hook));
    CHECK(s.reason() == close_reason::removed);
    CHECK_FALSE(s.park());
    CHECK_FALSE(s.poll(at(0s)));
    CHECK(s.send({.data = "x"}) == errc::closed);
    char room[100];
    if (reads) {
      auto const got = s.read(room, sizeof room);
      CHECK(got.status == read_status::cut);
      CHECK(got.bytes == 0);
    }
    CHECK_FALSE(s.park());
    CHECK_FALSE(s.poll(at(20s)));
    CHECK(s.read(room, sizeof room).status == read_status::cut);
    CHECK(hooks == 0);
  }
}

TEST_CASE("serve_blocking of a refused subscription returns at once") {
  full_broker of;
  peer to;
  scripted_writer w(to);
  CHECK(ssewire::serve_blocking(of.refused(), w, {.preamble = "head"}) == close_reason::removed);
  CHECK(to.closed == once(close_reason::removed));
  CHECK(to.offers.empty());
}

TEST_CASE("without a subscription each driver makes a stream that sends what it is given") {
  peer to[3];
  stream s(scripted_writer{to[0]}, {.preamble = "head\n"});
  CHECK(s.send({.data = "x", .id = "1"}) == errc::ok);
  CHECK(s.pump() == stream_state::idle);
  CHECK(to[0].taken == "head\nid: 1\ndata: x\n\n");

  reactor r;
  auto const added = r.add(scripted_writer(to[1]), {.preamble = "head\n"});
  REQUIRE(added);
  CHECK(r.send(added.value, {.data = "x", .id = "1"}) == errc::ok);
  r.poll(at(0s));
  CHECK(to[1].taken == "head\nid: 1\ndata: x\n\n");

  closure_executor on;
  auto const posted =
      ssewire::post_stream(scripted_writer(to[2]), post_to{&on}, {.preamble = "head\n"}, {0s, 0s});
  CHECK(posted->send({.data = "x", .id = "1"}) == errc::ok);
  posted->start();
  CHECK(to[2].taken == "head\nid: 1\ndata: x\n\n");

  pull_stream pulled({.preamble = "head\n"}, {0s, 0s});
  CHECK(pulled.send({.data = "x", .id = "1"}) == errc::ok);
  char room[100];
  CHECK(pulled.read(room, sizeof room).bytes == to[0].taken.size());
}

}  // namespace
