// SPDX-License-Identifier: MIT
#include <ssewire/drivers/reactor.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
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
using ssewire::lag_policy;
using ssewire::poll_result;
using ssewire::steady_time;
using ssewire::stream_id;
using support::answer;
using support::checkpoint;
using support::frame;
using support::peer;
using support::position_event;
using support::scripted_writer;

using broker = ssewire::basic_broker<support::epoch_traits>;
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using reactor = ssewire::basic_reactor<scripted_writer, support::epoch_traits>;

constexpr steady_time at(ssewire::steady_duration since) { return steady_time{} + 1h + since; }

ssewire::broker_options const ticked_by_program = {.ticks = ssewire::ticked_by::program};

struct counter {
  std::size_t signals = 0;

  ssewire::loop_signal signal() {
    return {[](void* self) noexcept { ++static_cast<counter*>(self)->signals; }, this};
  }
};

subscription follow(broker& b, std::string_view channel = "c", lag_policy lag = lag_policy::tell) {
  auto result = b.subscribe(channel, {.lag = lag});
  REQUIRE(result.error == errc::ok);
  return std::move(result.value);
}

stream_id add(reactor& r, peer& to, subscription from, ssewire::stream_options options = {}) {
  auto const result = r.add(scripted_writer(to), std::move(from), std::move(options));
  REQUIRE(result.error == errc::ok);
  return result.value;
}

/// Polls until it answers no `more`; a reactor that never does fails.
poll_result run(reactor& r, steady_time now) {
  for (int i = 0; i < 10'000; ++i) {
    auto const result = r.poll(now);
    if (!result.more) return result;
  }
  FAIL("poll() never ends");
  return {};
}

/// Lets time pass as a loop does, which polls whenever the reactor has asked for it, from its last poll on.
poll_result pass(reactor& r, steady_time until) {
  auto result = run(r, {});  // no time passes
  while (result.next && *result.next < until) result = run(r, *result.next);
  return run(r, until);
}

std::vector<close_reason> once(close_reason why) { return {why}; }

TEST_CASE("a stream is served by poll, not by add and not by publish") {
  broker b;
  peer to;
  reactor r;
  auto const id = add(r, to, follow(b));
  CHECK(r.size() == 1);
  CHECK(to.offers.empty());
  CHECK_FALSE(run(r, at(0s)).more);
  CHECK(to.taken == position_event(0));
  b.publish("c", {.data = "x"});
  CHECK(to.taken == position_event(0));
  run(r, at(0s));
  CHECK(to.taken == position_event(0) + frame(1, "x"));
  REQUIRE(r.writer(id) != nullptr);
  r.close(id);
  CHECK(to.closed == once(close_reason::removed));
  CHECK(r.size() == 0);
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("the signal calls once, until the next poll") {
  broker b;
  counter loop;
  peer to[3];
  reactor r(loop.signal());
  for (auto& p : to) add(r, p, follow(b));
  CHECK(loop.signals == 0);  // the loop's own calls need none: each turn ends with poll()
  run(r, at(0s));
  b.publish("c", {.data = "1"});
  CHECK(loop.signals == 1);
  b.publish("c", {.data = "2"});
  CHECK(loop.signals == 1);
  run(r, at(0s));
  b.publish("c", {.data = "3"});
  CHECK(loop.signals == 2);
  run(r, at(0s));
  for (auto const& p : to)
    CHECK(p.taken == position_event(0) + frame(1, "1") + frame(2, "2") + frame(3, "3"));
  CHECK(loop.signals == 2);
}

TEST_CASE("the signal is not used for calls of the loop's own thread") {
  broker b;
  counter loop;
  peer to;
  reactor r(loop.signal());
  auto const id = add(r, to, follow(b));
  to.script.push_back(answer::again(3));
  run(r, at(0s));
  to.let_go();
  r.writable(id);
  run(r, at(0s));
  CHECK(r.send(id, {.data = "p"}) == errc::ok);
  to.script.push_back(answer::pending());
  run(r, at(0s));
  to.landed();
  r.written(id, true);
  run(r, at(0s));
  r.finish(id);
  run(r, at(0s));
  CHECK(to.closed == once(close_reason::finished));
  CHECK(loop.signals == 0);
  CHECK(to.taken == position_event(0) + "data: p\n\n");
}

TEST_CASE("no signal is needed by a program that polls") {
  broker b;
  peer to;
  reactor r;
  add(r, to, follow(b));
  run(r, at(0s));
  b.publish("c", {.data = "x"});
  CHECK_FALSE(run(r, at(0s)).more);
  CHECK(to.taken == position_event(0) + frame(1, "x"));
}

TEST_CASE("a name whose stream has ended names nothing, also when its place is used again") {
  broker b;
  peer to;
  std::vector<std::unique_ptr<peer>> gone;
  reactor r;
  std::vector<stream_id> stale{stream_id{}, {0, 0}, {0, 1}, {7, 1}};
  for (int i = 0; i < 6; ++i) {
    gone.push_back(std::make_unique<peer>());
    auto const id = add(r, *gone.back(), follow(b));
    CHECK(std::count(stale.begin() + 4, stale.end(), id) == 0);
    if (i % 2 == 0) run(r, at(0s));  // also removed before it was ever served
    r.close(id);
    run(r, at(0s));
    CHECK(gone.back()->writer_gone);
    stale.push_back(id);
  }
  auto const id = add(r, to, follow(b));
  CHECK(id.slot == 0);  // the place is used again
  stale.erase(std::remove(stale.begin(), stale.end(), id), stale.end());
  to.script.push_back(answer::again(3));
  run(r, at(0s));
  for (auto const old : stale) {
    r.writable(old);
    r.written(old, true);
    r.written(old, false);
    r.finish(old);
    r.close(old);
    CHECK(r.send(old, {.data = "x"}) == errc::closed);
    CHECK(r.writer(old) == nullptr);
  }
  CHECK_FALSE(r.poll(at(0s)).more);
  CHECK(to.blocked());
  CHECK(r.size() == 1);
  CHECK(r.send(id, {.data = "x"}) == errc::ok);
  CHECK(r.send(id, {.data = "x", .id = "1"}) == errc::id_refused);
}

TEST_CASE("a stream removed while it waits to be served frees its place after that turn") {
  broker b;
  peer first;
  peer second;
  peer third;
  reactor r;
  auto const id = add(r, first, follow(b));
  r.close(id);
  CHECK(r.size() == 0);
  CHECK(first.closed == once(close_reason::removed));
  auto const next = add(r, second, follow(b));
  CHECK(next.slot != id.slot);
  run(r, at(0s));
  CHECK(first.writer_gone);
  CHECK(first.offers.empty());
  CHECK(second.taken == position_event(0));
  CHECK(add(r, third, follow(b)).slot == id.slot);
}

TEST_CASE("a turn is bounded, and says that there is more") {
  broker b;
  constexpr std::size_t streams = 1000;
  std::vector<std::unique_ptr<peer>> to;
  reactor r;
  for (std::size_t i = 0; i < streams; ++i) {
    to.push_back(std::make_unique<peer>());
    add(r, *to.back(), follow(b));
  }
  auto const served = [&] {
    return static_cast<std::size_t>(
        std::count_if(to.begin(), to.end(), [](auto const& p) { return !p->taken.empty(); }));
  };
  std::size_t turns = 0;
  for (bool more = true; more; ++turns) {
    auto const before = served();
    more = r.poll(at(0s)).more;
    CHECK(more == (served() < streams));
    CHECK(served() - before <= 256);
    CHECK(served() > before);
  }
  CHECK(turns >= streams / 256);
}

TEST_CASE("a stream that always has more shares the turns with the others") {
  broker b;
  peer greedy;
  peer modest;
  reactor r;
  greedy.otherwise = [&](std::size_t) {
    return answer::take().calling([&] { b.publish("busy", {.data = "x"}); });
  };
  add(r, greedy, follow(b, "busy"));
  add(r, modest, follow(b, "quiet"));
  for (int i = 0; i < 10; ++i) {
    b.publish("quiet", {.data = "y"});
    CHECK(r.poll(at(0s)).more);
  }
  CHECK(support::parse_whole(modest.taken).events.size() == 11);
  CHECK(greedy.offers.size() <= 200);
}

TEST_CASE("a stream that publishes into the channel of one already served is not lost") {
  broker b;
  counter loop;
  peer first;
  peer second;
  reactor r(loop.signal());
  add(r, first, follow(b, "one"));
  add(r, second, follow(b, "two"));
  run(r, at(0s));
  second.script.push_back(answer::take().calling([&] { b.publish("one", {.data = "1"}); }));
  b.publish("one", {.data = "0"});
  b.publish("two", {.data = "2"});
  CHECK(r.poll(at(0s)).more);
  run(r, at(0s));
  CHECK(first.taken == position_event(0) + frame(1, "0") + frame(3, "1"));
  CHECK_FALSE(r.poll(at(0s)).more);
}

TEST_CASE("a poll from inside a writer only asks for another turn") {
  broker b;
  peer to;
  reactor r;
  add(r, to, follow(b));
  to.script.push_back(answer::take().calling([&] {
    auto const inner = r.poll(at(5s));
    CHECK(inner.more);
  }));
  run(r, at(0s));
  CHECK(to.taken == position_event(0));
}

// ---- time ----

TEST_CASE("an idle stream gets a heartbeat at exactly its interval, and only then") {
  broker b(ticked_by_program);
  peer to;
  reactor r({}, {.heartbeat = 15s, .stall_time = 60s});
  CHECK_FALSE(run(r, at(0s)).next.has_value());
  add(r, to, follow(b));
  CHECK(run(r, at(0s)).next == at(15s));
  CHECK(run(r, at(15s - 1ns)).next == at(15s));
  CHECK(to.taken == position_event(0));
  CHECK(r.poll(at(15s)).more);  // it is queued in this turn and sent in the next
  CHECK(run(r, at(15s)).next == at(30s));
  CHECK(to.taken == position_event(0) + ":\n\n");
  b.publish("c", {.data = "x"});
  CHECK(run(r, at(20s)).next == at(35s));  // a byte is as good
  CHECK(run(r, at(34s)).next == at(35s));
  CHECK(to.taken == position_event(0) + ":\n\n" + frame(1, "x"));
  CHECK(run(r, at(100s)).next == at(115s));  // late: one, not five
  CHECK(to.taken == position_event(0) + ":\n\n" + frame(1, "x") + ":\n\n");
  CHECK(run(r, at(50s)).next == at(115s));  // a clock that goes back changes nothing
  b.publish("c", {.data = "y"});
  CHECK(run(r, at(50s)).next == at(115s));
}

TEST_CASE("heartbeats keep the order of the streams, each at its own time") {
  broker b(ticked_by_program);
  peer to[3];
  reactor r({}, {.heartbeat = 10s, .stall_time = 0s});
  for (int i = 0; i < 3; ++i) {
    run(r, at(i * 1s));
    add(r, to[i], follow(b, "c" + std::to_string(i)));
    CHECK(run(r, at(i * 1s)).next == at(10s));
  }
  b.publish("c0", {.data = "x"});
  CHECK(run(r, at(5s)).next == at(11s));  // the second is due first now
  CHECK(run(r, at(11s)).next == at(12s));
  CHECK(run(r, at(12s)).next == at(15s));
  CHECK(run(r, at(15s)).next == at(21s));
  for (auto const& p : to) CHECK(p.taken.substr(p.taken.size() - 4) == "\n:\n\n");
}

TEST_CASE("a stream without a broker gets heartbeats too") {
  peer to;
  reactor r;
  auto const id = r.add(scripted_writer(to)).value;
  CHECK(run(r, at(0s)).next.has_value());
  run(r, at(20s));
  CHECK(r.send(id, {.data = "x"}) == errc::ok);
  run(r, at(21s));
  CHECK(to.taken == ":\n\ndata: x\n\n");
}

TEST_CASE("a peer that takes no byte for the stall time is dropped, at exactly that time") {
  for (bool const is_pending : {false, true}) {
    broker b(ticked_by_program);
    peer to;
    reactor r({}, {.heartbeat = 15s, .stall_time = 60s});
    auto const id = add(r, to, follow(b));
    to.script.push_back(is_pending ? answer::pending() : answer::again(3));
    CHECK(run(r, at(0s)).next ==
          at(7500ms));  // no heartbeat for one that waits, but an eighth of the stall time
    b.publish("c", {.data = "x"});
    CHECK(pass(r, at(59s)).next == at(60s));
    CHECK(to.closed.empty());
    to.stop_transport();
    CHECK_FALSE(run(r, at(60s)).next.has_value());
    CHECK(to.closed == once(close_reason::stalled));
    CHECK(to.cut == 1);
    CHECK(r.size() == 0);
    CHECK(r.writer(id) == nullptr);
    CHECK(b.stats().closes[static_cast<std::size_t>(close_reason::stalled)] == 1);
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("a byte taken begins the stall time anew, a wake-up without one does not") {
  broker b;
  peer to;
  reactor r({}, {.heartbeat = 15s, .stall_time = 60s});
  auto const id = add(r, to, follow(b));
  to.otherwise = [](std::size_t) { return answer::again(1); };
  run(r, at(0s));
  pass(r, at(49s));
  to.let_go();
  r.writable(id);
  run(r, at(50s));
  to.otherwise = [](std::size_t) { return answer::again(); };
  pass(r, at(99s));
  to.let_go();
  r.writable(id);
  CHECK(pass(r, at(110s - 1ns)).next == at(110s));
  CHECK(to.closed.empty());
  run(r, at(110s));
  CHECK(to.closed == once(close_reason::stalled));
  CHECK(to.taken.size() == 2);
}

TEST_CASE("a pending write that ends begins the heartbeat, and the next one the stall time") {
  broker b(ticked_by_program);
  peer to;
  reactor r({}, {.heartbeat = 15s, .stall_time = 60s});
  auto const id = add(r, to, follow(b));
  to.otherwise = [](std::size_t) { return answer::pending(); };
  run(r, at(0s));
  pass(r, at(30s));
  to.landed();
  r.written(id, true);
  CHECK(run(r, at(30s)).next == at(45s));
  b.publish("c", {.data = "x"});
  CHECK(run(r, at(40s)).next == at(47500ms));
  CHECK(pass(r, at(100s - 1ns)).next == at(100s));
  CHECK(to.closed.empty());
  to.stop_transport();
}

TEST_CASE("of several streams that stall each is dropped at its own time") {
  broker b(ticked_by_program);
  peer to[3];
  reactor r({}, {.heartbeat = 0s, .stall_time = 60s});
  for (int i = 0; i < 3; ++i) {
    pass(r, at(i * 10s));
    to[i].otherwise = [](std::size_t) { return answer::again(1); };
    auto const id = add(r, to[i], follow(b));
    run(r, at(i * 10s));
    if (i != 0) continue;
    to[0].let_go();
    r.writable(id);
    run(r, at(5s));
  }
  CHECK(pass(r, at(65s - 1ns)).next == at(65s));
  CHECK(to[0].closed.empty());
  CHECK(pass(r, at(65s)).next == at(70s));
  CHECK(to[0].closed.size() == 1);
  CHECK(to[1].closed.empty());
  CHECK(pass(r, at(79s)).next == at(80s));
  CHECK(to[1].closed.size() == 1);
  CHECK(run(r, at(80s)).next == std::nullopt);
  CHECK(r.size() == 0);
}

TEST_CASE("zero switches heartbeats and the stall time off") {
  broker b(ticked_by_program);
  peer idle;
  peer stalled;
  reactor r({}, {.heartbeat = 0s, .stall_time = 0s});
  add(r, idle, follow(b));
  stalled.script.push_back(answer::again());
  add(r, stalled, follow(b));
  CHECK_FALSE(run(r, at(0s)).next.has_value());
  CHECK_FALSE(run(r, at(100h)).next.has_value());
  CHECK(idle.taken == position_event(0));
  CHECK(stalled.closed.empty());

  peer beats;
  reactor only_heartbeats({}, {.heartbeat = 15s, .stall_time = 0s});
  beats.script.push_back(answer::take());
  beats.script.push_back(answer::again());
  add(only_heartbeats, beats, follow(b));
  CHECK(run(only_heartbeats, at(0s)).next == at(15s));
  CHECK_FALSE(run(only_heartbeats, at(15s)).next.has_value());  // blocked now, for ever
}

// ---- slow streams ----

TEST_CASE("a stalled stream harms no other, and is told when it comes back") {
  broker b({.replay = {.max_events = 10}});
  peer slow;
  peer fast;
  reactor r;
  auto const id = add(r, slow, follow(b));
  add(r, fast, follow(b));
  run(r, at(0s));
  slow.script.push_back(answer::again(7));
  for (int i = 1; i <= 100; ++i) {
    b.publish("c", {.data = std::to_string(i)});
    CHECK_FALSE(run(r, at(0s)).more);
  }
  CHECK(support::parse_whole(fast.taken).events.size() == 101);
  CHECK(slow.offers.size() == 2);
  slow.let_go();
  r.writable(id);
  run(r, at(0s));
  auto const events = support::parse_whole(slow.taken).events;
  REQUIRE(events.size() == 1 + 1 + 1 + 10);
  CHECK(events[1].data == "1");
  CHECK(events[2].data == "{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":89}");
  CHECK(events[3].data == "91");
  CHECK(events.back().data == "100");
}

TEST_CASE("a slow stream whose policy is close is ended by the broker's tick, also while it is blocked") {
  for (int how = 0; how < 3; ++how) {  // blocked, pending, idle
    CAPTURE(how);
    broker b({.replay = {.max_events = 3}});
    counter loop;
    peer to;
    peer other;
    reactor r(loop.signal());
    add(r, to, follow(b, "c", lag_policy::close));
    add(r, other, follow(b));
    run(r, at(0s));
    if (how == 0) to.script.push_back(answer::again(7));
    if (how == 1) to.script.push_back(answer::pending());
    b.publish("c", {.data = "0"});
    if (how != 2) run(r, at(0s));
    for (int i = 0; i < 5; ++i) b.publish("c", {.data = "x"});
    run(r, at(0s));
    if (how != 2) {
      CHECK(to.closed.empty());
      auto const before = loop.signals;
      b.tick(at(1s));
      CHECK(loop.signals == before + 1);
      to.stop_transport();
      run(r, at(1s));
    }
    CHECK(to.closed == once(close_reason::lagged));
    CHECK(to.cut == (how == 2 ? 0 : 1));
    CHECK(r.size() == 1);
    CHECK(other.closed.empty());
  }
}

TEST_CASE("a drain ends the streams in order, and by force those that stall") {
  broker b(ticked_by_program);
  peer good;
  peer slow;
  peer sending;
  reactor r({}, {.heartbeat = 15s, .stall_time = 0s});
  add(r, good, follow(b), {.body = ssewire::framing::chunked});
  add(r, slow, follow(b));
  add(r, sending, follow(b));
  run(r, at(0s));
  slow.script.push_back(answer::again(7));
  sending.script.push_back(answer::pending());
  b.publish("c", {.data = "x"});
  run(r, at(0s));
  b.publish("c", {.data = "y"});
  b.drain(at(0s), at(10s), ssewire::reconnection_time(0));
  CHECK(b.subscribe("c").error == errc::closed);
  run(r, at(0s));
  CHECK(r.size() == 3);
  b.tick(at(5s));  // the last turn
  run(r, at(5s));
  CHECK(good.closed == once(close_reason::drained));
  CHECK(support::decode_chunked(good.taken).ended);
  CHECK(support::decode_chunked(good.taken).body ==
        position_event(0) + frame(1, "x") + frame(2, "y") + "retry: 1000\n\n");
  CHECK(r.size() == 2);
  b.tick(at(10s - 1ns));
  run(r, at(10s - 1ns));
  CHECK(r.size() == 2);
  b.tick(at(10s));
  sending.stop_transport();
  run(r, at(10s));
  CHECK(slow.closed == once(close_reason::drain_forced));
  CHECK(sending.closed == once(close_reason::drain_forced));
  CHECK(r.size() == 0);
  CHECK_FALSE(r.poll(at(100s)).next.has_value());
}

TEST_CASE("a stream that throws, or breaks its contract, harms no other") {
  broker b;
  peer to[3];
  reactor r;
  for (auto& p : to) add(r, p, follow(b));
  run(r, at(0s));
  to[0].script.push_back(answer::raise());
  to[1].script.push_back(answer::exactly(ssewire::write_status::ok, 0));
  b.publish("c", {.data = "x"});
  run(r, at(0s));
  CHECK(to[0].closed == once(close_reason::writer_threw));
  CHECK(to[1].closed == once(close_reason::writer_broke_contract));
  CHECK(to[2].taken == position_event(0) + frame(1, "x"));
  CHECK(r.size() == 1);
}

// ---- the end ----

TEST_CASE("a reactor that is destroyed drops its streams, whatever they wait for") {
  broker b;
  peer to[5];
  {
    reactor r;
    std::vector<stream_id> ids;
    for (int i = 0; i < 4; ++i) ids.push_back(add(r, to[i], follow(b)));
    to[1].script.push_back(answer::again(3));
    to[2].script.push_back(answer::pending());
    run(r, at(0s));
    b.publish("c", {.data = "x"});  // the first is queued
    r.close(ids[3]);
    add(r, to[4], follow(b));  // never served
    to[2].stop_transport();
  }
  for (auto const& p : to) {
    CHECK(p.closed == once(close_reason::removed));
    CHECK(p.cut == 1);
    CHECK(p.writer_gone);
  }
  CHECK(b.stats().subscribers == 0);
  b.publish("c", {.data = "y"});  // nobody is there
}

TEST_CASE("a reactor that is being destroyed takes no new stream") {
  broker b;
  peer to[2];
  std::size_t refused = 0;
  auto r = std::make_unique<reactor>();
  auto* const ending = r.get();
  for (auto& p : to) {
    p.at_closed = [&](close_reason, ssewire::ending) {
      peer late;
      CHECK(ending->add(scripted_writer(late), follow(b)).error == errc::closed);
      CHECK(late.writer_gone);
      ++refused;
    };
    add(*r, p, follow(b));
  }
  run(*r, at(0s));
  r.reset();
  CHECK(refused == 2);
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("a broker may go before its reactor") {
  auto b = std::make_unique<broker>();
  peer to;
  peer slow;
  reactor r;
  add(r, to, follow(*b));
  slow.script.push_back(answer::again(3));
  add(r, slow, follow(*b));
  run(r, at(0s));
  b.reset();
  run(r, at(0s));
  CHECK(to.closed == once(close_reason::drained));
  CHECK(to.completed == 1);
  CHECK(slow.closed == once(close_reason::drained));
  CHECK(slow.cut == 1);
}

TEST_CASE("a stream that is removed keeps the bytes of its pending write until written") {
  // writer.hpp: after `pending` they live until written() or the driver's destruction
  for (int how = 0; how < 3; ++how) {
    CAPTURE(how);
    broker b({.replay = {.max_events = 1}});
    peer to;
    reactor r({}, {.heartbeat = 0s, .stall_time = 60s});
    auto const id = add(r, to, follow(b, "c", lag_policy::close));
    run(r, at(0s));
    to.script.push_back(answer::pending());
    b.publish("c", {.data = std::string(6000, 'x')});
    run(r, at(0s));
    if (how == 0) r.close(id);
    if (how == 1) pass(r, at(60s));  // stalled
    for (int i = 0; i < 5; ++i) b.publish("c", {.data = std::string(6000, 'y')});
    if (how == 2) b.tick(at(1s));  // evicted
    run(r, at(61s));
    CHECK(to.closed.size() == 1);
    CHECK(r.size() == 0);
    CHECK_FALSE(to.writer_gone);
    to.landed();
    r.written(id, true);
    run(r, at(61s));
    CHECK(to.writer_gone);
  }
}

// ---- every call from everywhere ----

struct scene {
  broker b{{.replay = {.max_events = 50}}};
  counter loop;
  peer self;
  peer other;
  peer third;
  std::unique_ptr<reactor> owned =
      std::make_unique<reactor>(loop.signal(), ssewire::timing_options{15s, 60s});
  reactor* r = owned.get();  // also while it is being destroyed
  stream_id self_id = add(*r, self, follow(b), {.body = ssewire::framing::chunked});
  stream_id other_id = add(*r, other, follow(b), {.body = ssewire::framing::chunked});
  bool added = false;
  std::size_t calls = 0;

  scene() { run(*r, at(0s)); }
  ~scene() {
    self.stop_transport();
    other.stop_transport();
    third.stop_transport();
  }

  void end_reactor() {
    owned.reset();
    r = nullptr;
  }

  /// The calls that can be made, by number. False: there is none of that number.
  bool call(int which) {
    ++calls;
    switch (which) {
    case 0: return true;
    case 1: b.publish("c", {.data = "from inside"}); return true;
    case 2:
      if (!std::exchange(added, true)) (void)r->add(scripted_writer(third), follow(b));
      return true;
    case 3: r->close(self_id); return true;
    case 4: r->close(other_id); return true;
    case 5: r->finish(self_id); return true;
    case 6: r->finish(other_id); return true;
    case 7: (void)r->send(self_id, {.data = "private"}); return true;
    case 8: (void)r->send(other_id, {.data = "private"}); return true;
    case 9:
      self.let_go();
      r->writable(self_id);
      return true;
    case 10: r->writable(other_id); return true;
    case 11:
      self.landed();
      r->written(self_id, true);
      return true;
    case 12:
      self.landed();
      r->written(self_id, false);
      return true;
    case 13: r->written(other_id, false); return true;
    case 14: (void)r->poll(at(0s)); return true;
    case 15: (void)r->poll(at(1000s)); return true;
    case 16: CHECK((r->writer(self_id) == nullptr || r->size() != 0)); return true;
    case 17: b.drain(at(0s), at(0s)); return true;
    case 18: b.tick(at(0s)); return true;
    case 19:
      r->close(self_id);
      r->close(other_id);
      self.landed();
      r->written(self_id, true);
      r->writable(other_id);
      r->finish(self_id);
      return true;
    case 20:
      b.drain(at(0s), at(0s));
      b.tick(at(0s));
      return true;
    case 21:
      (void)r->join(self_id, "d");
      (void)r->leave(self_id, "c");
      return true;
    case 22: (void)r->join(other_id, "d"); return true;
    case 23: (void)r->set_filter(other_id, [](ssewire::event_header const&) { return true; }); return true;
    default: return false;
    }
  }
  static constexpr int calls_there_are = 24;

  /// Some life after the call; then all that must hold.
  void check(bool self_is_cut) {
    for (int i = 0; i < 3; ++i) {
      b.publish("c", {.data = "after"});
      if (r) run(*r, at(i * 1s));
      if (r && self.blocked()) {
        self.let_go();
        r->writable(self_id);
      }
      if (r && self.pending()) {
        self.landed();
        r->written(self_id, true);
      }
    }
    if (r) run(*r, at(5s));
    auto const mine = support::decode_chunked(self.taken);
    auto const others = support::decode_chunked(other.taken);
    CHECK(mine.error == "");
    CHECK(others.error == "");
    if (!self_is_cut && self.closed.empty()) CHECK(mine.at_border);
    if (other.closed.empty()) {
      CHECK(others.at_border);
      auto const events = support::parse_whole(others.body).events;
      if (b.subscribe("c"))
        CHECK(std::count_if(events.begin(), events.end(), [](auto const& e) { return e.data == "after"; }) ==
              3);
    }
    if (other.completed == 1) CHECK(others.ended);
    std::size_t alive = 0;
    for (auto* p : {&self, &other, &third}) {
      CHECK(p->closed.size() <= 1);
      if (p->closed.empty() && (p != &third || added)) ++alive;
    }
    if (r) CHECK(r->size() == alive);
    end_reactor();
    for (auto* p : {&self, &other}) CHECK(p->closed.size() == 1);
    CHECK(b.stats().subscribers == 0);
  }
};

TEST_CASE("every call is legal inside write, whatever it answers") {
  for (int which = 0; which < scene::calls_there_are; ++which) {
    for (int how = 0; how < 7; ++how) {
      for (bool const owed : {false, true}) {
        CAPTURE(which);
        CAPTURE(how);
        CAPTURE(owed);
        scene s;
        answer answers[] = {answer::take(),    answer::take(3),  answer::again(3), answer::again(),
                            answer::pending(), answer::closed(), answer::raise()};
        if (owed)
          s.self.script.push_back(answer::again(9).calling([&] {
            s.self.let_go();
            s.r->writable(s.self_id);
          }));
        s.self.script.push_back(
            std::move(answers[static_cast<std::size_t>(how)]).calling([&s, which] { CHECK(s.call(which)); }));
        s.b.publish("c", {.data = "trigger"});
        run(*s.r, at(0s));
        CHECK(s.calls == 1);
        s.check(how >= 5);
      }
    }
  }
}

TEST_CASE("every call is legal inside on_closed, however it comes about") {
  for (int which = 0; which < scene::calls_there_are; ++which) {
    for (int how = 0; how < 9; ++how) {
      CAPTURE(which);
      CAPTURE(how);
      scene s;
      s.self.at_closed = [&s, which](close_reason, ssewire::ending) { CHECK(s.call(which)); };
      auto const now_answer = [&s](answer a) {
        s.self.script.push_back(std::move(a));
        s.b.publish("c", {.data = "trigger"});
        run(*s.r, at(0s));
      };
      switch (how) {
      case 0: s.r->close(s.self_id); break;
      case 1: s.r->finish(s.self_id); break;
      case 2: now_answer(answer::closed()); break;
      case 3: now_answer(answer::raise()); break;
      case 4:  // stalled
        now_answer(answer::again(3));
        pass(*s.r, at(60s));
        break;
      case 5:  // written(false)
        now_answer(answer::pending());
        s.self.landed();
        s.r->written(s.self_id, false);
        break;
      case 6:  // removed while blocked
        now_answer(answer::again(3));
        s.r->close(s.self_id);
        break;
      case 7:  // from inside its own write
        now_answer(answer::take(3).calling([&s] { s.r->close(s.self_id); }));
        break;
      default: s.end_reactor();
      }
      if (s.r) run(*s.r, at(0s));
      CHECK(s.calls == 1);
      CHECK(s.self.closed.size() == 1);
      CHECK(s.self.completed == (how == 1 ? 1 : 0));
      if (how != 8) s.check(true);
    }
  }
}

TEST_CASE("a stream's state is idle when all that it was given has gone, also in step") {
  broker b;
  std::array<peer, 3> to;
  reactor r;
  std::array<stream_id, 3> ids;
  for (std::size_t i = 0; i < 3; ++i) {
    ids[i] = (i == 0 ? r.add(scripted_writer(to[i])) : r.add(scripted_writer(to[i]), follow(b))).value;
    CHECK(r.state(ids[i]) == ssewire::stream_state::more);
  }
  run(r, at(0s));
  for (auto const id : ids) CHECK(r.state(id) == ssewire::stream_state::idle);
  for (std::size_t i = 0; i < 2; ++i) {
    to[i].script = {answer::again(3)};
    CHECK(r.send(ids[i], {.data = "alone"}) == errc::ok);
    CHECK(r.state(ids[i]) == ssewire::stream_state::more);
    run(r, at(0s));
    CHECK(r.state(ids[i]) == ssewire::stream_state::blocked);
    to[i].let_go();
    r.writable(ids[i]);
    CHECK(r.state(ids[i]) == ssewire::stream_state::more);
    run(r, at(0s));
    CHECK(r.state(ids[i]) == ssewire::stream_state::idle);
  }
  to[2].script = {answer::pending()};
  b.publish("c", {.data = "x"});
  run(r, at(0s));
  CHECK(r.state(ids[2]) == ssewire::stream_state::pending);
  to[2].landed();
  r.close(ids[2]);
  CHECK(r.state(ids[2]) == ssewire::stream_state::closed);
  CHECK(r.state({}) == ssewire::stream_state::closed);
}

TEST_CASE("when more streams stall at once than one turn ends, poll() asks for another turn, not for one in "
          "the past") {
  constexpr std::size_t streams = 600;
  broker b(ticked_by_program);
  std::vector<std::unique_ptr<peer>> to;
  reactor r({}, {0s, 20s});
  for (std::size_t i = 0; i < streams; ++i) {
    to.push_back(std::make_unique<peer>());
    to.back()->otherwise = [](std::size_t) { return answer::again(); };
    REQUIRE(r.add(scripted_writer(*to.back()), std::move(b.subscribe("c").value)));
  }
  run(r, at(0s));
  pass(r, at(20s - 1ns));
  REQUIRE(r.size() == streams);
  for (auto result = r.poll(at(20s)); r.size() != 0; result = r.poll(at(20s))) REQUIRE(result.more);
  CHECK_FALSE(r.poll(at(20s)).next);
}

TEST_CASE("a stream added from inside a writer is served in a later turn") {
  scene s;
  s.self.script.push_back(answer::take().calling([&s] { s.call(2); }));
  s.b.publish("c", {.data = "x"});
  run(*s.r, at(0s));
  CHECK(s.third.taken.find("ssewire.position") != std::string::npos);
}

TEST_CASE("a thousand streams come and go in random order, each hears on_closed once") {
  broker b;
  std::vector<std::unique_ptr<peer>> all;
  reactor r;
  std::vector<stream_id> ids;
  for (std::size_t i = 0; i < 1000; ++i) {
    all.push_back(std::make_unique<peer>());
    ids.push_back(add(r, *all.back(), follow(b)));
    if (i % 3 == 0) r.close(ids[i / 2]);
    if (i % 5 == 0) r.finish(ids[i / 3]);
    if (i % 7 == 0) (void)r.poll(at(0s));
  }
  run(r, at(0s));
  std::size_t open = 0;
  for (auto const& p : all) {
    CHECK(p->closed.size() <= 1);
    if (p->closed.empty()) ++open;
  }
  CHECK(r.size() == open);
  CHECK(b.stats().subscribers == open);
  for (auto const id : ids) r.close(id);
  CHECK(r.size() == 0);
  for (auto const& p : all) CHECK(p->closed.size() == 1);
}

TEST_CASE("a stream among others changes its channels and its filter, and the others do not notice") {
  broker b;
  peer peers[3];
  reactor r;
  stream_id ids[3];
  for (int i = 0; i < 3; ++i) ids[i] = add(r, peers[i], follow(b));
  run(r, at(0s));
  b.publish("c", {.data = "1"});
  run(r, at(0s));
  b.publish("d", {.data = "not yet"});
  CHECK(r.join(ids[0], "d") == errc::ok);
  b.publish("c", {.data = "3"}, {.tag = 1});
  b.publish("d", {.data = "4"}, {.tag = 2});
  run(r, at(0s));
  CHECK(r.set_filter(ids[0], [](ssewire::event_header const& e) { return e.tag == 2; }) == errc::ok);
  b.publish("c", {.data = "5"}, {.tag = 1});
  b.publish("c", {.data = "6"}, {.tag = 2});
  run(r, at(0s));
  CHECK(r.leave(ids[0], "c") == errc::ok);
  CHECK(r.set_filter(ids[0], {}) == errc::ok);
  b.publish("c", {.data = "7"});
  b.publish("d", {.data = "8"});
  run(r, at(0s));
  auto const before = position_event(0) + frame(1, "1");
  CHECK(peers[0].taken == before + checkpoint(2) + frame(3, "3") + frame(4, "4") + checkpoint(4) +
                              frame(6, "6") + checkpoint(7) + frame(8, "8"));
  for (int i = 1; i < 3; ++i) {
    CHECK(peers[i].taken == before + frame(3, "3") + frame(5, "5") + frame(6, "6") + frame(7, "7"));
  }
  CHECK(r.join(stream_id{}, "d") == errc::closed);
  CHECK(r.join(ids[1], "") == errc::channel_name_refused);
}

TEST_CASE("from inside its own writer a stream's channels cannot change, those of others can") {
  scene s;
  errc own = errc::ok;
  errc others = errc::no_memory;
  s.self.script.push_back(answer::take().calling([&] {
    own = s.r->join(s.self_id, "d");
    others = s.r->join(s.other_id, "d");
  }));
  s.b.publish("c", {.data = "x"});
  run(*s.r, at(0s));
  CHECK(own == errc::called_from_inside);
  CHECK(others == errc::ok);
  s.b.publish("d", {.data = "y"});
  run(*s.r, at(0s));
  CHECK(s.other.taken.find("data: y") != std::string::npos);
  CHECK(s.self.taken.find("data: y") == std::string::npos);
}

}  // namespace
