// SPDX-License-Identifier: MIT
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/testing/scripted_writer.hpp>
#include <ssewire/testing/virtual_clock.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/closure_executor.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::framing;
using ssewire::lag_policy;
using ssewire::post_stream;
using ssewire::stream_state;
using ssewire::timing_options;
using ssewire::testing::answer;
using ssewire::testing::peer;
using ssewire::testing::scripted_tls_writer;
using ssewire::testing::scripted_writer;
using support::checkpoint;
using support::closure_executor;
using support::frame;
using support::position_event;
using support::post_to;

using broker = ssewire::basic_broker<support::epoch_traits>;
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using posted =
    ssewire::posted_stream<scripted_writer, post_to, ssewire::basic_subscription<support::epoch_traits>>;

subscription follow(broker& b, lag_policy lag = lag_policy::tell) {
  auto result = b.subscribe("c", {.lag = lag});
  REQUIRE(result.error == errc::ok);
  return std::move(result.value);
}

std::shared_ptr<posted> make(closure_executor& on, peer& to, subscription from,
                             ssewire::stream_options how = {}, timing_options when = {}) {
  return post_stream(scripted_writer(to), post_to{&on}, std::move(from), std::move(how), when);
}

using posted_alone = ssewire::posted_stream<scripted_writer, post_to>;

ssewire::broker_options const ticked_by_program = {.ticks = ssewire::ticked_by::program};
std::shared_ptr<posted_alone> make_without(closure_executor& on, peer& to, ssewire::stream_options how = {}) {
  return post_stream(scripted_writer(to), post_to{&on}, std::move(how));
}

void drain(broker& b) { b.drain({}, {}, ssewire::reconnection_time(0)); }

std::vector<close_reason> once(close_reason why) { return {why}; }

TEST_CASE("what is published is written by a task, not by publish") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  CHECK(to.offers.empty());
  s->start();
  CHECK(to.taken == position_event(0));
  CHECK(s->state() == stream_state::idle);
  CHECK(on.posts == 0);
  b.publish("c", {.data = "x"});
  CHECK(to.taken == position_event(0));
  CHECK(on.run() == 1);
  CHECK(to.taken == position_event(0) + frame(1, "x"));
  s->close();
  CHECK(to.closed == once(close_reason::removed));
  CHECK(s->reason() == close_reason::removed);
  CHECK(b.stats().subscribers == 0);
  CHECK(to.violations == "");
}

TEST_CASE("one task waits at most, however many events there are") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  std::string expected = position_event(0);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    b.publish("c", {.data = "x"});
    expected += frame(i, "x");
    CHECK(on.tasks.size() == 1);
    if (i % 10 != 0) continue;
    CHECK(on.run() == 1);
    CHECK(to.taken == expected);
  }
  CHECK(on.posts == 10);
  CHECK(to.offers.size() == 11);  // what waits goes in one write
}

TEST_CASE("a turn is short: the executor's other tasks come between two of them") {
  broker b;
  closure_executor on;
  peer to;
  auto from = follow(b);
  for (int i = 0; i < 200; ++i) b.publish("c", {.data = "x"});
  auto const s = make(on, to, std::move(from), {.max_write_bytes = 1});
  s->start();
  std::size_t turns = 0;
  for (; !on.tasks.empty(); ++turns) {
    CHECK(on.tasks.size() == 1);
    CHECK(s->state() == stream_state::more);
    auto const before = to.offers.size();
    bool other = false;
    on.tasks.emplace_back([&] { other = true; });
    REQUIRE(on.run_one());
    CHECK(to.offers.size() - before <= 8);
    REQUIRE(on.run_one());
    CHECK(other);
  }
  CHECK(turns >= 25);
  CHECK(to.offers.size() == 201);
  CHECK(s->state() == stream_state::idle);
}

TEST_CASE("without a broker it sends what it is given, by one task") {
  closure_executor on;
  peer to;
  auto const s = make_without(on, to, {.max_outbox_bytes = 40});
  s->start();
  for (auto const* token : {"a", "b", "c"}) CHECK(s->send({.data = token}) == errc::ok);
  CHECK(s->send({.data = "far too long for what is left of the room"}) == errc::outbox_full);
  CHECK(on.tasks.size() == 1);
  CHECK(to.offers.empty());
  on.run();
  CHECK(to.taken == "data: a\n\ndata: b\n\ndata: c\n\n");
  CHECK(to.offers.size() == 1);
  CHECK(s->send({.data = "d"}) == errc::ok);
  s->finish();
  CHECK(s->send({.data = "e"}) == errc::closed);
  CHECK(on.tasks.size() == 1);
  on.run();
  CHECK(to.taken == "data: a\n\ndata: b\n\ndata: c\n\ndata: d\n\n");
  CHECK(to.completed == 1);
  CHECK(to.closed == once(close_reason::finished));
  CHECK(to.violations == "");
}

TEST_CASE("send begins to write also without start, and asks for no task while the writer is waited for") {
  closure_executor on;
  peer to;
  auto const s = make_without(on, to);
  CHECK(s->send({.data = "a"}) == errc::ok);
  to.script = {answer::again(3)};
  on.run();
  CHECK(s->state() == stream_state::blocked);
  CHECK(s->send({.data = "b"}) == errc::ok);
  s->finish();
  CHECK(on.tasks.empty());
  to.let_go();
  s->writable();
  CHECK(to.taken == "data: a\n\ndata: b\n\n");
  CHECK(to.closed == once(close_reason::finished));
  CHECK(to.violations == "");
}

TEST_CASE("a stream with a subscription sends events of its own without IDs") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  CHECK(s->send({.data = "x", .id = "1"}) == errc::id_refused);
  CHECK(on.tasks.empty());
  CHECK(s->send({.data = "x"}) == errc::ok);
  on.run();
  CHECK(to.taken == "data: x\n\n" + position_event(0));
}

// ---- what the writer answers ----

TEST_CASE("behind `again` nothing is offered until writable, however many tasks run") {
  broker b;
  closure_executor on;
  peer to;
  to.script = {answer::again(5)};
  auto const s = make(on, to, follow(b));
  s->start();
  for (int i = 0; i < 3; ++i) {
    b.publish("c", {.data = "x"});
    on.run();
  }
  CHECK(to.offers.size() == 1);
  CHECK(on.posts == 0);
  to.let_go();
  s->writable();
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "x") + frame(3, "x"));
  CHECK(to.violations == "");
}

TEST_CASE("a pending write is completed late, early and from inside, or with false") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  to.script = {answer::pending(), answer::pending().calling([&] {
                 to.landed();
                 s->written(true);
               })};
  s->start();
  CHECK(s->state() == stream_state::pending);
  b.publish("c", {.data = "x"});
  b.publish("c", {.data = "y"});
  CHECK(on.posts == 0);
  to.landed();
  s->written(true);
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "y"));
  CHECK(s->state() == stream_state::idle);
  s->written(true);  // twice means nothing
  s->written(false);
  CHECK(s->state() == stream_state::idle);
  to.script = {answer::pending()};
  b.publish("c", {.data = "z"});
  on.run();
  to.landed();
  s->written(false);
  CHECK(to.closed == once(close_reason::peer_gone));
  CHECK(to.cut == 1);
  CHECK(to.violations == "");
}

TEST_CASE("a completion from inside write leaves the executor its turn") {
  broker b;
  closure_executor on;
  peer to;
  auto from = follow(b);
  for (int i = 0; i < 100; ++i) b.publish("c", {.data = "x"});
  auto const s = make(on, to, std::move(from), {.max_write_bytes = 1});
  to.otherwise = [&](std::size_t) {
    return answer::pending().calling([&] {
      to.landed();
      s->written(true);
    });
  };
  s->start();
  while (!on.tasks.empty()) {
    CHECK(on.tasks.size() == 1);
    auto const before = to.offers.size();
    on.run_one();
    CHECK(to.offers.size() - before <= 8);
  }
  CHECK(to.offers.size() == 101);
}

TEST_CASE("a pending write that is never completed keeps its bytes, also when the stream was removed") {
  broker b({.replay = {.max_events = 2}});
  closure_executor on;
  peer to;
  auto from = follow(b);
  b.publish("c", {.data = std::string(3000, 'x')});
  auto s = make(on, to, std::move(from));
  to.script = {answer::pending()};
  s->start();
  auto const completion = s;  // as a transport's handler would
  s->close();
  s.reset();
  for (int i = 0; i < 10; ++i) b.publish("c", {.data = std::string(3000, 'y')});
  to.check_in_flight("behind remove()");
  CHECK(to.pending());
  CHECK_FALSE(to.writer_gone);
  to.stop_transport();
  CHECK(to.closed == once(close_reason::removed));
  CHECK(to.violations == "");
}

TEST_CASE("an answer that a writer must not give, and an exception, end the stream") {
  struct row {
    answer last;
    close_reason why;
  };
  using ssewire::write_status;
  for (auto const& r :
       {row{answer::closed(), close_reason::peer_gone}, row{answer::raise(), close_reason::writer_threw},
        row{answer::exactly(write_status::ok, 0), close_reason::writer_broke_contract},
        row{answer::exactly(write_status::ok, 9999), close_reason::writer_broke_contract}}) {
    for (bool const by_task : {false, true}) {
      broker b;
      closure_executor on;
      peer to;
      auto const s = make(on, to, follow(b));
      if (by_task) s->start();
      b.publish("c", {.data = "x"});
      to.script = {r.last};
      by_task ? (void)on.run() : s->start();
      CHECK(to.closed == once(r.why));
      CHECK(to.cut == 1);
      b.publish("c", {.data = "x"});
      on.run();
      s->writable();
      s->written(true);
      s->poll({});
      CHECK(s->send({.data = "x"}) == errc::closed);
      CHECK(on.tasks.empty());
      CHECK(to.violations == "");
      CHECK(b.stats().subscribers == 0);
    }
  }
}

TEST_CASE("behind remove no task touches the writer") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  b.publish("c", {.data = "x"});
  CHECK(on.tasks.size() == 1);
  s->close(close_reason::peer_gone);
  CHECK(to.closed == once(close_reason::peer_gone));
  CHECK(on.run() == 1);
  CHECK(to.offers.size() == 1);
  CHECK(on.tasks.empty());
  s->close();
  CHECK(to.closed.size() == 1);
  CHECK(to.violations == "");
}

TEST_CASE(
    "behind `again` a half-taken event goes on, and the same bytes come again, though the log has moved on") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b({.replay = {.max_events = 3}});
    closure_executor on;
    peer to;
    to.chunked = body == framing::chunked;
    auto const s = post_stream(scripted_tls_writer(to), post_to{&on}, follow(b),
                               {.body = body, .same_bytes_again = true});
    s->start();
    to.script = {answer::again(20)};
    b.publish("c", {.data = "first"});
    on.run();
    for (int i = 2; i <= 9; ++i) b.publish("c", {.data = std::to_string(i)});  // 2 to 6 are forgotten
    for (std::size_t n = 0; n < 3; ++n) {  // the peer objects to other bytes
      to.script = {answer::again(n)};
      to.let_go();
      s->writable();
    }
    to.let_go();
    s->writable();
    on.run();
    drain(b);
    on.run();
    auto got = to.taken;
    if (body == framing::chunked) {
      auto const chunks = support::decode_chunked(to.taken);
      CHECK(chunks.error == "");
      CHECK(chunks.ended);
      got = chunks.body;
    }
    CHECK(got == position_event(0) + frame(1, "first") +
                     support::gap_event(6, R"({"reason":"trimmed","channel":"c","missed":5})") +
                     frame(7, "7") + frame(8, "8") + frame(9, "9") + "retry: 1000\n\n");
    CHECK(to.closed == once(close_reason::drained));
    CHECK(to.violations == "");
  }
}

// ---- the broker ends it ----

TEST_CASE("a drain ends an idle stream in order") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b), {.body = framing::chunked});
  s->start();
  b.publish("c", {.data = "x"});
  drain(b);
  CHECK(on.run() == 1);
  CHECK(support::decode_chunked(to.taken).body == position_event(0) + frame(1, "x") + "retry: 1000\n\n");
  CHECK(support::decode_chunked(to.taken).ended);
  CHECK(to.completed == 1);
  CHECK(to.closed == once(close_reason::drained));
}

TEST_CASE("eviction ends a stream that is blocked, pending or idle, by a task") {
  for (auto const& waits_by : {answer::again(7), answer::pending(), answer::take()}) {
    CAPTURE(static_cast<int>(waits_by.how));
    broker b({.replay = {.max_events = 4}});
    closure_executor on;
    peer to;
    to.script = {waits_by};
    auto const s = make(on, to, follow(b, lag_policy::close));
    s->start();
    for (int i = 0; i < 10; ++i) b.publish("c", {.data = "x"});
    b.tick({});
    CHECK(to.closed.empty());
    CHECK(on.run() == 1);
    CHECK(to.closed == once(close_reason::lagged));
    if (to.pending()) {
      to.landed();
      s->written(true);
    }
    CHECK(to.violations == "");
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("a drain past its deadline forces a stream that is not read") {
  broker b;
  closure_executor on;
  peer to;
  to.otherwise = ssewire::testing::again_for_ever();
  auto const s = make(on, to, follow(b));
  s->start();
  ssewire::testing::virtual_clock clock;
  b.drain(clock.now(), clock.now() + 5s, ssewire::reconnection_time(0));
  b.tick(clock.advance(4s));
  on.run();
  CHECK(to.closed.empty());
  b.tick(clock.advance(1s));
  on.run();
  CHECK(to.closed == once(close_reason::drain_forced));
}

TEST_CASE("the broker's end is the stream's") {
  closure_executor on;
  peer to;
  std::shared_ptr<posted> s;
  {
    broker b;
    s = make(on, to, follow(b));
    s->start();
  }
  on.run();
  CHECK(to.closed == once(close_reason::drained));
}

// ---- posts that fail or run at once ----

TEST_CASE("a post that throws loses no event: poll finds it") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  on.refusals = 1;
  b.publish("c", {.data = "x"});
  b.publish("c", {.data = "y"});
  CHECK(on.run() == 0);
  s->poll({});
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "y"));
  b.publish("c", {.data = "z"});
  CHECK(on.run() == 1);
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "y") + frame(3, "z"));
}

TEST_CASE("a post that throws in the middle of much to send, or for an eviction: the next call finds it") {
  broker b({.replay = {.max_events = 200}});
  closure_executor on;
  peer to;
  auto from = follow(b, lag_policy::close);
  for (int i = 0; i < 100; ++i) b.publish("c", {.data = "x"});
  auto const s = make(on, to, std::move(from), {.max_write_bytes = 1});
  on.refusals = 1;
  s->start();
  CHECK(s->state() == stream_state::more);
  CHECK(on.tasks.empty());
  CHECK(s->send({.data = "own"}) == errc::ok);
  to.otherwise = ssewire::testing::again_for_ever();
  on.run();
  CHECK(s->state() == stream_state::blocked);
  on.refusals = 1;
  for (int i = 0; i < 300; ++i) b.publish("c", {.data = "x"});
  b.tick({});
  CHECK(on.run() == 0);
  CHECK(to.closed.empty());
  s->poll({});
  CHECK(to.closed == once(close_reason::lagged));
}

TEST_CASE("a task that the executor loses: poll finds what it was for, and the second poll posts anew") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  b.publish("c", {.data = "x"});
  on.tasks.clear();
  s->poll({});
  CHECK(to.taken == position_event(0) + frame(1, "x"));
  b.publish("c", {.data = "y"});
  CHECK(on.tasks.empty());
  s->poll({});
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "y"));
  b.publish("c", {.data = "z"});
  CHECK(on.run() == 1);
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "y") + frame(3, "z"));
}

TEST_CASE(
    "an executor that loses one task after the other gets a new one at every second poll, not at each") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  for (int i = 0; i < 10; ++i) {
    b.publish("c", {.data = "x"});
    on.tasks.clear();
    s->poll({});
  }
  CHECK(on.posts == 5);
  CHECK(to.offers.size() == 11);
}

TEST_CASE("a busy stream that is polled between its tasks has one task") {
  broker b({.replay = {.max_events = 500}});
  closure_executor on;
  peer to;
  auto from = follow(b);
  for (int i = 0; i < 400; ++i) b.publish("c", {.data = "x"});
  auto const s = make(on, to, std::move(from), {.max_write_bytes = 1});
  s->start();
  while (!on.tasks.empty()) {
    s->poll({});
    CHECK(on.tasks.size() == 1);
    on.run_one();
  }
}

TEST_CASE("a post may run the task at once, from inside publish, the writer and written") {
  broker b;
  closure_executor on;
  on.at_once = true;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  b.publish("c", {.data = "x"});
  CHECK(to.taken == position_event(0) + frame(1, "x"));
  to.script = {answer::take().calling([&] { b.publish("c", {.data = "z"}); })};
  b.publish("c", {.data = "y"});
  CHECK(to.taken == position_event(0) + frame(1, "x") + frame(2, "y") + frame(3, "z"));
  to.script = {answer::pending()};
  CHECK(s->send({.data = "own"}) == errc::ok);
  CHECK(s->state() == stream_state::pending);
  to.landed();
  to.script = {answer::take(3).calling([&] {
    CHECK(s->send({.data = "from inside"}) == errc::ok);
    s->finish();
  })};
  b.publish("c", {.data = "4"});
  s->written(true);
  CHECK(to.closed == once(close_reason::finished));
  CHECK(to.taken.ends_with("data: own\n\n" + frame(4, "4") + "data: from inside\n\n"));
  CHECK(to.violations == "");
}

TEST_CASE("posts that run at once do not nest: a long backlog needs no deep stack") {
  broker b({.replay = {.max_events = 50'000, .max_bytes = 64u << 20}});
  closure_executor on;
  on.at_once = true;
  peer to;
  auto from = follow(b);
  for (int i = 0; i < 50'000; ++i) b.publish("c", {.data = "x"});
  auto const s = make(on, to, std::move(from), {.max_write_bytes = 1});
  s->start();
  CHECK(s->state() == stream_state::idle);
  CHECK(to.offers.size() == 50'001);
  CHECK(on.posts > 5000);
}

TEST_CASE("an eviction that comes from inside the writer ends the stream behind that write") {
  for (bool const at_once : {false, true}) {
    broker b({.replay = {.max_events = 2}});
    closure_executor on;
    on.at_once = at_once;
    peer to;
    auto const s = make(on, to, follow(b, lag_policy::close), {.max_write_bytes = 1});
    s->start();
    to.script = {answer::take().calling([&] {
      for (int i = 0; i < 9; ++i) b.publish("c", {.data = "more"});
      b.tick({});
    })};
    b.publish("c", {.data = "x"});
    on.run();
    CHECK(to.taken == position_event(0) + frame(1, "x"));
    CHECK(to.closed == once(close_reason::lagged));
    CHECK(to.violations == "");
  }
}

// ---- calls from inside ----

TEST_CASE("every call is legal from inside every member of the writer") {
  struct call {
    char const* name;
    std::function<void(broker&, posted&, peer&)> make;
  };
  std::vector<call> const calls{
      {"publish", [](broker& b, posted&, peer&) { b.publish("c", {.data = "p"}); }},
      {"publish elsewhere", [](broker& b, posted&, peer&) { b.publish("d", {.data = "p"}); }},
      {"tick", [](broker& b, posted&, peer&) { b.tick({}); }},
      {"drain", [](broker& b, posted&, peer&) { drain(b); }},
      {"start", [](broker&, posted& s, peer&) { s.start(); }},
      {"writable",
       [](broker&, posted& s, peer& to) {
         to.let_go();
         s.writable();
       }},
      {"written(true)",
       [](broker&, posted& s, peer& to) {
         to.landed();
         s.written(true);
       }},
      {"written(false)",
       [](broker&, posted& s, peer& to) {
         to.landed();
         s.written(false);
       }},
      {"send", [](broker&, posted& s, peer&) { (void)s.send({.data = "own"}); }},
      {"finish", [](broker&, posted& s, peer&) { s.finish(); }},
      {"remove", [](broker&, posted& s, peer&) { s.close(); }},
      {"poll", [](broker&, posted& s, peer&) { (void)s.poll(ssewire::steady_time{} + 100h); }},
      {"join", [](broker&, posted& s, peer&) { (void)s.source().join("d"); }},
      {"leave",
       [](broker&, posted& s, peer&) {
         (void)s.source().join("d");
         (void)s.source().leave("c");
       }},
      {"set_filter",
       [](broker&, posted& s, peer&) { (void)s.source().set_filter([](auto const&) { return true; }); }},
      {"source().close", [](broker&, posted& s, peer&) { s.source().close(); }},
  };
  std::vector<answer> const answers{answer::take(),   answer::take(1),   answer::again(),
                                    answer::again(9), answer::pending(), answer::closed()};
  for (auto const& c : calls) {
    for (std::size_t a = 0; a <= answers.size(); ++a) {
      for (bool const at_once : {false, true}) {
        for (auto const body : {framing::raw, framing::chunked}) {
          CAPTURE(c.name);
          CAPTURE(a);
          CAPTURE(at_once);
          broker b;
          closure_executor on;
          on.at_once = at_once;
          peer to;
          auto const s = make(on, to, follow(b), {.body = body});
          auto const inside = [&] { c.make(b, *s, to); };
          s->start();
          if (a < answers.size()) {
            auto how = answers[a];
            to.script = {std::move(how).calling(inside)};
          } else {
            to.at_closed = [&](close_reason, ssewire::ending) { inside(); };
          }
          b.publish("c", {.data = "x"});
          b.publish("c", {.data = "y"});
          on.run();
          for (int i = 0; i < 3; ++i) {
            if (to.blocked()) {
              to.let_go();
              s->writable();
            }
            if (to.pending()) {
              to.landed();
              s->written(true);
            }
            on.run();
          }
          a == answers.size() + 1 ? s->close() : s->finish();
          on.run();
          CHECK(s->state() == stream_state::closed);
          CHECK(to.closed.size() == 1);
          CHECK(to.violations == "");
          CHECK(b.stats().subscribers == 0);
          auto const got = body == framing::raw ? to.taken : support::decode_chunked(to.taken).body;
          CHECK(support::parse_whole(got).error == errc::ok);
        }
      }
    }
  }
}

// ---- lifetime ----

TEST_CASE("the last reference may be dropped by on_closed, whatever call has led to it") {
  struct ending {
    char const* name;
    answer first;
    std::function<void(posted*, closure_executor&, peer&)> end;  // a plain pointer: it keeps nothing
  };
  std::vector<ending> const endings{
      {"start", answer::take(),
       [](posted* s, closure_executor&, peer& to) {
         to.script = {answer::closed()};
         (void)s->send({.data = "x"});
         s->start();
       }},
      {"remove", answer::take(), [](posted* s, closure_executor&, peer&) { s->close(); }},
      {"remove, from inside write", answer::take(),
       [](posted* s, closure_executor& on, peer& to) {
         to.script = {answer::take().calling([s] { s->close(); })};
         CHECK(s->send({.data = "x"}) == errc::ok);
         on.run();
       }},
      {"writable", answer::again(),
       [](posted* s, closure_executor&, peer& to) {
         to.let_go();
         to.script = {answer::raise()};
         s->writable();
       }},
      {"written", answer::pending(),
       [](posted* s, closure_executor&, peer& to) {
         to.landed();
         s->written(false);
       }},
      {"poll", answer::again(),
       [](posted* s, closure_executor&, peer&) {
         auto const t = ssewire::steady_time{} + 1h;
         for (auto now = t; now <= t + 60s; now += 5s) (void)s->poll(now);  // the last one ends it
       }},
      {"a task", answer::take(),
       [](posted* s, closure_executor& on, peer&) {
         s->finish();
         on.run();
       }},
      {"a task run at once", answer::take(),
       [](posted* s, closure_executor& on, peer&) {
         on.at_once = true;
         s->finish();
       }},
      {"send, by a task run at once", answer::take(),
       [](posted* s, closure_executor& on, peer& to) {
         on.at_once = true;
         to.script = {answer::closed()};
         CHECK(s->send({.data = "x"}) == errc::ok);
       }},
  };
  for (auto const& e : endings) {
    CAPTURE(e.name);
    broker b;
    closure_executor on;
    peer to;
    auto s = make(on, to, follow(b));
    to.at_closed = [&](close_reason, ssewire::ending) { s.reset(); };
    to.script = {e.first};
    s->start();
    e.end(s.get(), on, to);
    on.run();
    CHECK(s == nullptr);
    CHECK(to.closed.size() == 1);
    CHECK(to.writer_gone);
    CHECK(to.violations == "");
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("the last reference may be dropped from inside write, whatever it answers") {
  for (auto const& last :
       {answer::take(), answer::take(1), answer::again(3), answer::closed(), answer::raise()}) {
    for (bool const at_once : {false, true}) {
      broker b;
      closure_executor on;
      on.at_once = at_once;
      peer to;
      auto s = make(on, to, follow(b));
      s->start();
      auto how = last;
      to.script = {std::move(how).calling([&] { s.reset(); })};
      b.publish("c", {.data = "x"});
      on.run();
      CHECK(to.closed.size() == 1);
      CHECK(to.writer_gone);
      CHECK(to.violations == "");
      CHECK(b.stats().subscribers == 0);
    }
  }
}

TEST_CASE("the last reference may be dropped inside the hook: the task that runs at once ends it there") {
  broker b;
  closure_executor on;
  on.at_once = true;
  peer to;
  auto s = make(on, to, follow(b));
  s->start();
  to.script = {answer::closed()};
  to.at_closed = [&](close_reason, ssewire::ending) { s.reset(); };
  b.publish("c", {.data = "x"});
  CHECK(to.writer_gone);
  CHECK(to.closed == once(close_reason::peer_gone));
  CHECK(b.stats().subscribers == 0);
}

/// Knows whether it is alive.
struct mortal_post {
  std::set<void const*>* alive;
  bool* outlived;

  mortal_post(std::set<void const*>& a, bool& o) : alive(&a), outlived(&o) { alive->insert(this); }
  mortal_post(mortal_post const& other) : alive(other.alive), outlived(other.outlived) {
    alive->insert(this);
  }
  ~mortal_post() { alive->erase(this); }

  template <class Task> void operator()(Task task) {
    auto& others = *alive;
    auto& result = *outlived;
    task();
    result = others.count(this) == 1;
  }
};

TEST_CASE("a post outlives what it runs at once") {
  broker b;
  peer to;
  std::set<void const*> alive;
  bool outlived = false;
  auto s = post_stream(scripted_writer(to), mortal_post(alive, outlived), follow(b));
  to.at_closed = [&](close_reason, ssewire::ending) { s.reset(); };
  s->start();
  to.script = {answer::closed()};
  b.publish("c", {.data = "x"});
  CHECK(to.writer_gone);
  CHECK(outlived);
  CHECK(alive.empty());
}

TEST_CASE("a task does not keep its stream: the last reference ends it, and the task finds nothing") {
  broker b;
  closure_executor on;
  peer to;
  auto s = make(on, to, follow(b));
  s->start();
  b.publish("c", {.data = "x"});
  s.reset();
  CHECK(to.writer_gone);
  CHECK(to.closed == once(close_reason::removed));
  CHECK(on.run() == 1);
  CHECK(to.offers.size() == 1);
  CHECK(to.violations == "");
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("on_closed may call the stream that its last reference ends") {
  broker b;
  closure_executor on;
  peer to;
  auto s = make(on, to, follow(b));
  auto* const plain = s.get();
  s->start();
  to.at_closed = [&](close_reason, ssewire::ending) {
    CHECK(plain->send({.data = "x"}) == errc::closed);
    plain->start();
    plain->finish();
    plain->close();
    plain->written(true);
    plain->poll({});
  };
  s.reset();
  CHECK(to.closed == once(close_reason::removed));
  CHECK(to.writer_gone);
  CHECK(on.posts == 0);
  b.publish("c", {.data = "x"});
  CHECK(on.posts == 0);
}

TEST_CASE("an executor may be destroyed with its tasks before the streams, or after") {
  broker b;
  peer early;
  peer late;
  std::shared_ptr<posted> kept;
  {
    closure_executor on;
    kept = make(on, late, follow(b));
    kept->start();
    auto const s = make(on, early, follow(b));
    s->start();
    b.publish("c", {.data = "x"});
    CHECK(on.tasks.size() == 2);
  }
  CHECK(early.closed == once(close_reason::removed));
  CHECK(late.closed.empty());
  kept.reset();
  CHECK(late.writer_gone);
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("a post that drops the last reference, and throws") {
  broker b;
  peer to;
  std::shared_ptr<ssewire::posted_stream<scripted_writer, std::function<void(std::function<void()>)>,
                                         ssewire::basic_subscription<support::epoch_traits>>>
      s;
  s = post_stream(scripted_writer(to), std::function<void(std::function<void()>)>([&](std::function<void()>) {
                    s.reset();
                    throw std::bad_alloc();
                  }),
                  follow(b));
  s->start();
  b.publish("c", {.data = "x"});
  CHECK(to.writer_gone);
  CHECK(to.closed == once(close_reason::removed));
  b.publish("c", {.data = "x"});
  CHECK(b.stats().subscribers == 0);
}

// ---- time ----

struct timed {
  ssewire::testing::virtual_clock clock = {};
  ssewire::steady_time began = clock.now();
  broker b = broker(ticked_by_program);
  closure_executor on = {};
  peer to = {};
  std::shared_ptr<posted> s;
  std::optional<ssewire::steady_time> due = began;         // the timer
  std::vector<std::pair<double, std::string>> wrote = {};  // what each poll wrote, and when

  explicit timed(timing_options when) : s(make(on, to, follow(b), {}, when)) { s->start(); }

  /// Polls when the timer says so, and at no other time.
  void run(ssewire::steady_duration time) {
    auto const end = clock.now() + time;
    for (int polls = 0; due && *due <= end; ++polls) {
      REQUIRE(polls < 1000);
      auto const now = clock.advance_to(*due);
      auto const before = to.taken.size();
      due = s->poll(now);
      if (to.taken.size() != before)
        wrote.emplace_back(std::chrono::duration<double>(now - began).count(), to.taken.substr(before));
      if (due) CHECK(*due > now);
    }
    clock.advance_to(end);
  }
};

TEST_CASE("an idle stream has a heartbeat every 15 seconds") {
  timed t({15s, 60s});
  t.run(61s);
  std::vector<std::pair<double, std::string>> const expected{
      {15, ":\n\n"}, {30, ":\n\n"}, {45, ":\n\n"}, {60, ":\n\n"}};
  CHECK(t.wrote == expected);
}

TEST_CASE("a heartbeat comes after 1 to 1.5 times its interval without a byte, whenever the byte went") {
  for (int ms = 0; ms <= 16'000; ms += 250) {
    CAPTURE(ms);
    timed t({15s, 60s});
    t.run(std::chrono::milliseconds(ms));
    t.wrote.clear();
    t.b.publish("c", {.data = "x"});
    t.on.run();
    t.run(23s);
    REQUIRE_FALSE(t.wrote.empty());
    auto const silence = t.wrote[0].first - ms / 1000.0;
    CHECK(silence >= 15.0);
    CHECK(silence <= 22.5);
  }
}

TEST_CASE("a busy stream has no heartbeat") {
  timed t({15s, 60s});
  for (int i = 0; i < 20; ++i) {
    t.run(7s);
    t.b.publish("c", {.data = "x"});
    t.on.run();
  }
  CHECK(t.wrote.empty());
}

TEST_CASE("a peer that takes no byte for the stall time ends, after 1.5 times of it at the latest") {
  for (bool const beats : {false, true}) {
    for (auto const& stalls : {answer::again(), answer::again(5), answer::pending()}) {
      for (int s = 0; s <= 60; ++s) {
        timed t({beats ? ssewire::steady_duration(15s) : 0s, 60s});
        t.run(std::chrono::seconds(s));
        t.to.script = {stalls};
        t.b.publish("c", {.data = "x"});
        t.on.run();
        t.run(59s);
        CHECK(t.to.closed.empty());
        t.run(beats ? 9s : 31s);
        CHECK(t.to.closed == once(close_reason::stalled));
        CHECK(t.s->poll(t.clock.now()) == std::nullopt);
        t.to.stop_transport();
      }
    }
  }
}

TEST_CASE("a slow peer that takes some bytes now and then is no stalled one") {
  timed t({0s, 60s});
  t.to.script = {answer::again(1)};
  t.b.publish("c", {.data = "x"});
  t.on.run();
  for (int i = 0; i < 20; ++i) {
    t.run(55s);
    t.to.script = {answer::again(1)};
    t.to.let_go();
    t.s->writable();
  }
  CHECK(t.to.closed.empty());
  t.run(91s);
  CHECK(t.to.closed == once(close_reason::stalled));
}

TEST_CASE("zero switches both off, and nobody need poll") {
  timed t({0s, 0s});
  CHECK(t.s->poll(t.clock.now()) == std::nullopt);
  t.to.script = {answer::again()};
  t.b.publish("c", {.data = "x"});
  t.on.run();
  CHECK(t.s->poll(t.clock.advance(10'000h)) == std::nullopt);
  CHECK(t.to.closed.empty());
}

TEST_CASE("intervals that no clock can say are never") {
  timed t({ssewire::steady_duration::max(), ssewire::steady_duration::max()});
  t.run(10'000h);
  CHECK(t.wrote.empty());
}

// ---- forms ----

TEST_CASE("a writer needs its two members, and a post may be any callable") {
  struct least {
    std::string* to;
    ssewire::write_result write(ssewire::buffers b) {
      *to += b[0];
      return {ssewire::write_status::ok, b[0].size()};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  };
  std::string got;
  std::vector<std::function<void()>> tasks;
  auto const s = post_stream(
      least{&got}, [&tasks](std::function<void()> task) mutable { tasks.push_back(std::move(task)); });
  static_assert(std::is_same_v<std::decay_t<decltype(s->source())>, ssewire::no_source>);
  s->start();
  CHECK(s->send({.data = "x"}) == errc::ok);
  REQUIRE(tasks.size() == 1);
  tasks[0]();
  CHECK(got == "data: x\n\n");
  CHECK(s->writer().to == &got);
  static_assert(!std::is_copy_constructible_v<posted> && !std::is_move_constructible_v<posted>);
}

TEST_CASE("an open stream changes what it follows") {
  broker b;
  closure_executor on;
  peer to;
  auto const s = make(on, to, follow(b));
  s->start();
  CHECK(s->source().join("d") == errc::ok);
  on.run();
  b.publish("d", {.data = "x"});
  CHECK(on.run() == 1);
  CHECK(to.taken == position_event(0) + checkpoint(0) + frame(1, "x"));
}

}  // namespace
