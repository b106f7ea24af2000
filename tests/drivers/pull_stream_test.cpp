// SPDX-License-Identifier: MIT
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/testing/virtual_clock.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/failing_allocations.hpp>
#include <support/numbered_events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::framing;
using ssewire::read_status;
using ssewire::wake;
using support::checkpoint;
using support::frame;
using support::position_event;

using traits = support::failing_traits;
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
using pull_stream = ssewire::pull_stream<ssewire::basic_subscription<traits>>;

constexpr ssewire::timing_options timeless{0s, 0s};
constexpr ssewire::steady_time start{1h};

ssewire::broker_options const ticked_by_program = {.ticks = ssewire::ticked_by::program};

std::string const retry_1000 = "retry: 1000\n\n";

/// Counts its calls, and does what the test says.
struct counting_hook {
  int ready = 0;
  int evicted = 0;
  std::function<void(wake)> then = [](wake) {};

  void operator()(wake why) noexcept {
    ++(why == wake::ready ? ready : evicted);
    auto const keep = then;  // it may destroy this
    keep(why);
  }
};

/// What was read until a read brought nothing, and that read.
struct text_read {
  std::string text = {};
  read_status end = read_status::nothing;
  std::size_t reads = 0;
};

/// Each read has memory of exactly n bytes, so that the address sanitizer sees the one behind it.
text_read read_all(pull_stream& from, std::size_t n = 4096) {
  text_read all;
  for (;;) {
    auto const room = std::make_unique<char[]>(n);
    auto const got = from.read(room.get(), n);
    CHECK((got.status == read_status::bytes) == (got.bytes != 0));
    all.end = got.status;
    if (got.status != read_status::bytes) return all;
    REQUIRE(got.bytes <= n);
    all.text.append(room.get(), got.bytes);
    ++all.reads;
  }
}

auto follow(broker& b, ssewire::subscribe_options const& how = {}) {
  return support::follow(b, {"c"}, {}, how);
}

// ---- bytes ----

TEST_CASE("whatever room each read has, the bytes are those of the subscription") {
  broker b;
  auto const whole = [&] {
    auto from = follow(b, {.start = ssewire::start_at::beginning()});
    return support::pull_all(from);
  };
  for (int i = 0; i < 50; ++i)
    b.publish("c", {.type = "t", .data = std::string(static_cast<std::size_t>(i * 3), 'x')});
  b.publish("c", {.data = std::string(5000, 'l')});
  b.publish("c", {.data = std::string(70'000, 'l')});
  b.publish("c", {.data = "last"});
  auto const bytes = whole();
  std::vector<std::size_t> rooms{63, 64, 1000, 4096, 16'384, 65'536, 200'000};
  for (std::size_t n = 1; n <= 40; ++n) rooms.push_back(n);
  for (auto const n : rooms) {
    CAPTURE(n);
    pull_stream raw(follow(b, {.start = ssewire::start_at::beginning()}));
    auto const got = read_all(raw, n);
    CHECK(got.end == read_status::nothing);
    CHECK((got.text == bytes));
    CHECK(raw.bytes_sent() == bytes.size());
    CHECK(raw.held_bytes() == 0);

    pull_stream chunked(follow(b, {.start = ssewire::start_at::beginning()}), {.body = framing::chunked});
    auto in_chunks = read_all(chunked, n).text;
    chunked.finish();
    auto const rest = read_all(chunked, n);
    CHECK(rest.end == read_status::complete);
    auto const decoded = support::decode_chunked(in_chunks + rest.text);
    CHECK(decoded.error.empty());
    CHECK(decoded.ended);
    CHECK((decoded.body == bytes));
  }
}

TEST_CASE("a read takes whole events, as many as have room; nothing is kept of what has none") {
  broker b;
  pull_stream s(follow(b));
  read_all(s);
  for (std::uint64_t i = 1; i <= 4; ++i) b.publish("c", {.data = "abc"});
  auto const size = frame(1, "abc").size();
  std::string room(3 * size + 5, '\0');
  auto const got = s.read(room.data(), room.size());
  CHECK(got.bytes == 3 * size);
  CHECK(s.held_bytes() == 0);
  CHECK(read_all(s).text == frame(4, "abc"));
}

TEST_CASE("a chunk fits into the room, unless its one event does not") {
  broker b;
  pull_stream s(follow(b), {.body = framing::chunked});
  read_all(s);
  for (int i = 0; i < 300; ++i) b.publish("c", {.data = "abc"});
  char room[500];
  for (;;) {
    auto const got = s.read(room, sizeof room);
    if (got.status != read_status::bytes) break;
    CHECK(support::decode_chunked({room, got.bytes}).at_border);
    CHECK(s.held_bytes() == 0);
  }
}

TEST_CASE("of a large event that was begun the rest is not copied, and the reads go on where they stopped") {
  broker b;
  pull_stream s(follow(b));
  read_all(s);
  std::string const large(100'000, 'l');
  b.publish("c", {.data = large});
  auto const whole = frame(1, large);
  char room[1000];
  REQUIRE(s.read(room, sizeof room).bytes == sizeof room);
  CHECK(s.held_bytes() == 0);
  CHECK((std::string(room, sizeof room) + read_all(s).text == whole));
}

TEST_CASE("trimmed while an event was begun: its rest comes first, then what is missing is said") {
  for (std::size_t const n : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    CAPTURE(n);
    broker b({.replay = {.max_events = 2}});
    pull_stream s(follow(b));
    read_all(s);
    b.publish("c", {.data = "begun"});
    char one[10];
    REQUIRE(s.read(one, sizeof one).bytes == sizeof one);
    for (int i = 2; i <= 6; ++i) b.publish("c", {.data = std::to_string(i)});
    auto const got = std::string(one, sizeof one) + read_all(s, n).text;
    CHECK(got == frame(1, "begun") +
                     support::gap_event(4, R"({"reason":"trimmed","channel":"c","missed":3})") +
                     frame(5, "5") + frame(6, "6"));
  }
}

TEST_CASE("a read without room brings nothing, and does no harm") {
  broker b;
  pull_stream s(follow(b));
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  CHECK(s.read(nullptr, 0).status == read_status::nothing);
  CHECK_FALSE(s.park());  // there is something
  read_all(s);
  CHECK(s.read(nullptr, 0).status == read_status::nothing);
  CHECK(s.park());
  b.publish("c", {.data = "x"});
  CHECK(hook.ready == 1);
  CHECK(s.read(nullptr, 0).status == read_status::nothing);
  CHECK(s.read(nullptr, 0).bytes == 0);
  CHECK(read_all(s).text == frame(1, "x"));
  s.finish();
  CHECK(s.read(nullptr, 0).status == read_status::nothing);
  CHECK(read_all(s).end == read_status::complete);
  CHECK(s.read(nullptr, 0).status == read_status::complete);
}

TEST_CASE("the preamble comes first, and outside the chunks") {
  broker b;
  pull_stream s(follow(b), {.body = framing::chunked, .preamble = "head\n"});
  auto const got = read_all(s, 3).text;
  CHECK(got.substr(0, 5) == "head\n");
  CHECK(support::decode_chunked(got.substr(5)).body == position_event(0));
}

// ---- park ----

TEST_CASE("the hook is called once for each park, and not before") {
  broker b;
  pull_stream s(follow(b));
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  CHECK_FALSE(s.park());  // where it stands is to be read first
  CHECK(read_all(s).text == position_event(0));
  b.publish("c", {.data = "between read and park"});
  CHECK_FALSE(s.park());
  CHECK(read_all(s).text == frame(1, "between read and park"));
  CHECK(hook.ready == 0);
  for (std::uint64_t i = 2; i < 5; ++i) {
    CHECK(s.park());
    CHECK(s.park());  // once more is once
    b.publish("c", {.data = "x"});
    b.publish("c", {.data = "y"});
    CHECK(hook.ready == static_cast<int>(i) - 1);
    CHECK(read_all(s).text == frame(2 * i - 2, "x") + frame(2 * i - 1, "y"));
  }
  CHECK(hook.evicted == 0);
}

TEST_CASE("a park behind a read that brought bytes is false: there may be more") {
  broker b;
  pull_stream s(follow(b));
  char room[4096];
  REQUIRE(s.read(room, sizeof room).status == read_status::bytes);
  CHECK_FALSE(s.park());
  REQUIRE(s.read(room, sizeof room).status == read_status::nothing);
  CHECK(s.park());
}

TEST_CASE("without a broker its own calls wake it") {
  pull_stream s;
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  CHECK(read_all(s).end == read_status::nothing);
  CHECK(s.send({.data = "before"}) == errc::ok);
  CHECK(hook.ready == 0);
  CHECK_FALSE(s.park());
  CHECK(read_all(s, 5).text == "data: before\n\n");
  CHECK(s.park());
  CHECK(s.send({.data = "a", .id = "own"}) == errc::ok);
  CHECK(s.comment("b") == errc::ok);
  CHECK(hook.ready == 1);
  CHECK(read_all(s).text == "id: own\ndata: a\n\n: b\n\n");
  CHECK(s.park());
  CHECK(s.send({.data = std::string(100'000, 'x')}) == errc::outbox_full);
  CHECK(hook.ready == 1);  // nothing is there
  CHECK(s.comment("c") == errc::ok);
  CHECK(hook.ready == 2);
  read_all(s);
  CHECK(s.park());
  s.finish();
  CHECK(hook.ready == 3);
  CHECK(s.send({.data = "late"}) == errc::closed);
  CHECK(read_all(s).end == read_status::complete);
  CHECK(s.reason() == close_reason::finished);
  CHECK(hook.evicted == 0);
}

TEST_CASE("what is sent to a stream of a broker comes between its events, and wakes it") {
  broker b;
  pull_stream s(follow(b));
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  read_all(s);
  CHECK(s.park());
  CHECK(s.send({.data = "own", .id = "x"}) == errc::id_refused);
  CHECK(hook.ready == 0);
  CHECK(s.send({.data = "own"}) == errc::ok);
  b.publish("c", {.data = "published"});
  CHECK(hook.ready == 1);  // one park, one call
  char room[10];
  REQUIRE(s.read(room, sizeof room).bytes == sizeof room);
  CHECK(s.send({.data = "second"}) == errc::ok);
  CHECK(std::string(room, sizeof room) + read_all(s).text ==
        "data: own\n\ndata: second\n\n" + frame(1, "published"));
}

// ---- the end ----

TEST_CASE("behind the end every read says so again, and nothing else happens") {
  for (bool const in_order : {true, false}) {
    broker b;
    pull_stream s(follow(b));
    counting_hook hook;
    s.set_hook(ssewire::wake_hook::of(hook));
    read_all(s);
    in_order ? s.finish() : s.close(close_reason::peer_gone);
    for (int i = 0; i < 3; ++i) {
      auto const got = read_all(s);
      CHECK(got.text.empty());
      CHECK(got.end == (in_order ? read_status::complete : read_status::cut));
      CHECK_FALSE(s.park());
      CHECK(s.send({.data = "x"}) == errc::closed);
      CHECK(s.comment("x") == errc::closed);
      CHECK_FALSE(s.poll(start));
      s.finish();
      s.close();
    }
    CHECK(s.reason() == (in_order ? close_reason::finished : close_reason::peer_gone));
    CHECK(b.stats().subscribers == 0);
    b.publish("c", {.data = "x"});
    CHECK(hook.ready + hook.evicted == 0);  // it was never parked
  }
}

TEST_CASE("drained: what was published, when to come back, and the end") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b;
    pull_stream s(follow(b), {.body = body});
    counting_hook hook;
    s.set_hook(ssewire::wake_hook::of(hook));
    read_all(s);
    CHECK(s.park());
    b.publish("c", {.data = "x"});
    b.drain({}, {}, ssewire::reconnection_time(0));
    CHECK(hook.ready == 1);
    auto const got = read_all(s, 11);
    CHECK((body == framing::raw ? got.text : support::decode_chunked(got.text).body) ==
          frame(1, "x") + retry_1000);
    CHECK(got.end == read_status::complete);
    CHECK(s.reason() == close_reason::drained);
  }
}

TEST_CASE("a drain wakes a parked stream") {
  broker b;
  pull_stream s(follow(b));
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  read_all(s);
  CHECK(s.park());
  b.drain({}, {}, ssewire::reconnection_time(0));
  CHECK(hook.ready == 1);
  CHECK(read_all(s).text == retry_1000);
}

TEST_CASE("evicted while parked: it is woken as for bytes, and the read says how it ended") {
  auto b = std::make_unique<broker>();
  pull_stream s(follow(*b));
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  read_all(s);
  CHECK(s.park());
  b.reset();
  CHECK(hook.ready == 1);
  CHECK(hook.evicted == 0);
  CHECK_FALSE(s.park());
  CHECK(read_all(s).end == read_status::complete);
  CHECK(s.reason() == close_reason::drained);
}

TEST_CASE(
    "evicted while not parked: the hook says so; in the middle of an event the stream is dropped there") {
  for (bool const inside : {true, false}) {
    broker b;
    pull_stream s(follow(b));
    counting_hook hook;
    s.set_hook(ssewire::wake_hook::of(hook));
    char room[4096];
    REQUIRE(s.read(room, inside ? 5 : sizeof room).status == read_status::bytes);
    b.drain({}, {});
    CHECK(hook.evicted == 0);
    b.tick(start);
    CHECK(hook.evicted == 1);
    CHECK(hook.ready == 0);
    CHECK_FALSE(s.park());
    auto const got = read_all(s);
    CHECK(got.text.empty());
    CHECK(got.end == (inside ? read_status::cut : read_status::complete));
    CHECK(s.reason() == close_reason::drain_forced);
    CHECK(hook.evicted == 1);
  }
}

TEST_CASE("evicted between the read and the park: park is false, and the hook is not called as if it had "
          "been true") {
  broker b;
  pull_stream s(follow(b));
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  read_all(s);
  b.drain({}, {});
  b.tick(start);
  CHECK(hook.ready == 0);
  CHECK(hook.evicted == 1);
  CHECK_FALSE(s.park());
  CHECK(read_all(s).end == read_status::complete);
}

TEST_CASE("a lagging stream whose policy is close ends so") {
  broker b({.replay = {.max_events = 1}});
  pull_stream s(follow(b, {.lag = ssewire::lag_policy::close}));
  read_all(s);
  for (int i = 0; i < 3; ++i) b.publish("c", {.data = "x"});
  CHECK(read_all(s).end == read_status::complete);
  CHECK(s.reason() == close_reason::lagged);
}

TEST_CASE("destroyed while parked: the hook is not called any more") {
  broker b;
  counting_hook hook;
  {
    pull_stream s(follow(b));
    s.set_hook(ssewire::wake_hook::of(hook));
    read_all(s);
    CHECK(s.park());
  }
  b.publish("c", {.data = "x"});
  CHECK(hook.ready + hook.evicted == 0);
  CHECK(b.stats().subscribers == 0);
}

// ---- from inside ----

TEST_CASE("from inside the hook: read, park, send, publish, join, end, destroy") {
  for (int what = 0; what < 7; ++what) {
    for (bool const by_publish : {true, false}) {
      CAPTURE(what);
      CAPTURE(by_publish);
      broker b;
      auto s = std::make_unique<pull_stream>(follow(b));
      counting_hook hook;
      s->set_hook(ssewire::wake_hook::of(hook));
      read_all(*s);
      CHECK(s->park());
      std::string inside;
      hook.then = [&](wake) {
        if (hook.ready > 1) return;
        switch (what) {
        case 0:
          inside = read_all(*s).text;
          CHECK(s->park());
          break;
        case 1: CHECK(s->send({.data = "sent inside"}) == errc::ok); break;
        case 2: CHECK(b.publish("c", {.data = "published inside"})); break;
        case 3: CHECK(s->source().join("d") == errc::ok); break;
        case 4: s->finish(); break;
        case 5: s->close(); break;
        default: s.reset();
        }
      };
      if (by_publish) {
        CHECK(b.publish("c", {.data = "x"}));
      } else {
        CHECK(s->send({.data = "x"}) == errc::ok);
      }
      CHECK(hook.ready == 1);
      if (!s) {
        CHECK(b.stats().subscribers == 0);
        continue;
      }
      auto const x = by_publish ? frame(1, "x") : "data: x\n\n";
      std::uint64_t const last = by_publish ? 1 : 0;
      auto const got = read_all(*s);
      CHECK(got.end == (what == 4   ? read_status::complete
                        : what == 5 ? read_status::cut
                                    : read_status::nothing));
      switch (what) {
      case 0: CHECK(inside == x); [[fallthrough]];
      case 5: CHECK(got.text.empty()); break;
      case 1:
        CHECK(got.text == (by_publish ? "data: sent inside\n\n" + x : x + "data: sent inside\n\n"));
        break;
      case 2: CHECK(got.text == x + frame(last + 1, "published inside")); break;
      case 3: CHECK(got.text == x + checkpoint(last)); break;
      // What it has not pulled is not sent behind finish().
      default: CHECK(got.text == (by_publish ? "" : x));
      }
      if (what == 0) {
        CHECK(s->park());
        b.publish("c", {.data = "later"});
        CHECK(hook.ready == 2);
      }
    }
  }
}

TEST_CASE("from inside the filter: reads bring nothing, parks are false, and what ends the stream ends it") {
  for (int what = 0; what < 5; ++what) {
    CAPTURE(what);
    broker b;
    pull_stream* inner = nullptr;
    bool done = false;
    auto const filter = [&](ssewire::event_header const&) {
      if (std::exchange(done, true)) return true;
      char room[10];
      CHECK(inner->read(room, sizeof room).status == read_status::nothing);
      CHECK_FALSE(inner->park());
      switch (what) {
      case 0: break;
      case 1: CHECK(inner->send({.data = "own"}) == errc::ok); break;
      case 2: CHECK(b.publish("c", {.data = "published"})); break;
      case 3: inner->finish(); break;
      default: inner->close();
      }
      return true;
    };
    pull_stream s(follow(b, {.filter = filter}));
    inner = &s;
    counting_hook hook;
    s.set_hook(ssewire::wake_hook::of(hook));
    read_all(s);
    CHECK(s.park());
    b.publish("c", {.data = "x"});
    CHECK(hook.ready == 1);
    auto const got = read_all(s);
    CHECK(done);
    switch (what) {
    case 1: CHECK(got.text == frame(1, "x") + "data: own\n\n"); break;
    case 2: CHECK(got.text == frame(1, "x") + frame(2, "published")); break;
    case 4: CHECK(got.text.empty()); break;
    default: CHECK(got.text == frame(1, "x"));
    }
    CHECK(got.end == (what == 3   ? read_status::complete
                      : what == 4 ? read_status::cut
                                  : read_status::nothing));
    if (what < 3) CHECK(s.park());
  }
}

TEST_CASE("a filter that throws ends its own stream") {
  broker b;
  pull_stream s(follow(b, {.filter = [](ssewire::event_header const&) -> bool { throw 1; }}));
  read_all(s);
  b.publish("c", {.data = "x"});
  CHECK(read_all(s).end == read_status::cut);
  CHECK(b.stats().subscribers == 0);
}

// ---- time ----

TEST_CASE("heartbeats come while it is idle, at one to one and a half intervals, if it is polled when it "
          "asks to be") {
  broker b;
  ssewire::testing::virtual_clock clock;
  pull_stream s(follow(b), {}, {10s, 0s});
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  ssewire::steady_time last = clock.now();
  std::string beats;
  hook.then = [&](wake) {
    auto const since = clock.now() - last;
    auto const got = read_all(s).text;
    if (got == ":\n\n") {
      beats += got;
      CHECK(since >= 10s);
      CHECK(since <= 15s);
    }
    last = clock.now();
    CHECK(s.park());
  };
  read_all(s);
  CHECK(s.park());
  support::random random(1);
  auto asked = s.poll(clock.now());
  for (int i = 0; i < 300; ++i) {
    auto const publish_at = clock.now() + std::chrono::milliseconds(random.below(40'000));
    while (asked.value() <= publish_at) {
      clock.advance_to(*asked);
      asked = s.poll(clock.now());
      REQUIRE(asked.value() > clock.now());
    }
    clock.advance_to(publish_at);
    b.publish("c", {.data = "x"});
  }
  CHECK(beats.size() > 100);
  CHECK(hook.evicted == 0);
}

TEST_CASE("a heartbeat comes between frames only, once, and not while there is something to read") {
  broker b;
  pull_stream s(follow(b), {}, {10s, 0s});
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  char room[5];
  REQUIRE(s.read(room, sizeof room).bytes == sizeof room);
  auto now = start;
  for (int i = 0; i < 5; ++i) s.poll(now += 10s);
  CHECK(hook.ready == 0);
  CHECK(std::string(room, sizeof room) + read_all(s).text == position_event(0));
  CHECK(s.park());
  s.poll(now);
  b.publish("c", {.data = "x"});  // woken, and not read yet
  for (int i = 0; i < 5; ++i) s.poll(now += 10s);
  CHECK(read_all(s).text == frame(1, "x"));
  CHECK(s.park());
  for (int i = 0; i < 5; ++i) s.poll(now += 10s);
  CHECK(hook.ready == 2);
  CHECK(read_all(s).text == ":\n\n");
}

TEST_CASE("a server that never parks gets heartbeats, too, and is not stalled") {
  broker b;
  pull_stream s(follow(b), {}, {10s, 30s});
  read_all(s);
  std::string got;
  for (auto now = start; now <= start + 100s; now += 5s) {
    s.poll(now);
    got += read_all(s).text;
  }
  std::string beats;
  for (int i = 0; i < 7; ++i) beats += ":\n\n";  // each 15 s: that one was read is seen a poll later
  CHECK(got == beats);
  CHECK(s.reason() == close_reason::none);
}

TEST_CASE("not read for the stall time, though there is something: it is over, and the hook says evicted") {
  broker b(ticked_by_program);
  pull_stream s(follow(b), {}, {0s, 30s});
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  auto now = start;
  CHECK(s.poll(now) == now + 3750ms);  // its server has not asked yet
  read_all(s);
  CHECK(s.park());
  for (int i = 0; i < 10; ++i) CHECK(s.poll(now += 20s) > now);  // idle is not stalled
  b.publish("c", {.data = "x"});
  now += 20s;
  CHECK(s.poll(now) == now + 3750ms);
  auto const after = [&](ssewire::steady_duration time) {  // polls then; returns in what time again
    now += time;
    return s.poll(now).value() - now;
  };
  for (int i = 0; i < 5; ++i) CHECK(after(5s) == 3750ms);
  CHECK(after(4s) == 1s);
  char room[3];
  REQUIRE(s.read(room, sizeof room).bytes == sizeof room);  // it lives
  for (int i = 0; i < 6; ++i) CHECK(after(5s) == 3750ms);   // that it was read is seen by the first
  CHECK(after(4s) == 1s);
  CHECK(hook.evicted == 0);
  CHECK_FALSE(s.poll(now += 1s));
  CHECK(hook.evicted == 1);
  CHECK(hook.ready == 1);
  CHECK(s.reason() == close_reason::stalled);
  CHECK(read_all(s).end == read_status::cut);
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("one that the broker has ended and that is never asked again is told to go once") {
  broker b;
  pull_stream s(follow(b), {}, {0s, 30s});
  counting_hook hook;
  s.set_hook(ssewire::wake_hook::of(hook));
  read_all(s);
  b.publish("c", {.data = "x"});
  b.drain({}, {});
  b.tick(start);
  CHECK(hook.evicted == 1);
  for (auto now = start; now <= start + 40s; now += 4s) s.poll(now);
  CHECK(hook.evicted == 1);
  CHECK(read_all(s).end == read_status::cut);
}

TEST_CASE("the hook may destroy it in each of its own calls") {
  for (int call = 0; call < 6; ++call) {
    CAPTURE(call);
    broker b(ticked_by_program);
    auto s = std::make_unique<pull_stream>(follow(b), ssewire::stream_options{},
                                           ssewire::timing_options{10s, 30s});
    counting_hook hook;
    s->set_hook(ssewire::wake_hook::of(hook));
    if (call != 5) {
      read_all(*s);
      CHECK(s->park());
    }
    s->poll(start);
    hook.then = [&](wake) { s.reset(); };
    switch (call) {
    case 0: CHECK(s->send({.data = "x"}) == errc::ok); break;
    case 1: CHECK(s->comment("x") == errc::ok); break;
    case 2: s->finish(); break;
    case 3: s->close(); break;
    case 4: CHECK(s->poll(start + 10s) == start + 15s); break;
    default:
      for (auto now = start; s; now += 3s) (void)s->poll(now);
    }
    CHECK_FALSE(s);
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("without a heartbeat and a stall time it never asks to be polled") {
  broker b(ticked_by_program);
  pull_stream s(follow(b), {}, timeless);
  CHECK_FALSE(s.poll(start));
  read_all(s);
  CHECK_FALSE(s.poll(start + 1000h));
  CHECK(read_all(s).text.empty());
}

// ---- faults ----

TEST_CASE("random rooms, trims and chunks: in order, whole, and what is missing is told and counted") {
  std::size_t gaps = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    support::random random(seed);
    auto const body = random.one_in(2) ? framing::raw : framing::chunked;
    broker b({.replay = {.max_events = 1 + random.below(10)}});
    pull_stream s(follow(b), {.body = body}, {10s, 0s});
    counting_hook hook;
    s.set_hook(ssewire::wake_hook::of(hook));
    std::string bytes;
    bool waits = false;
    int parks = 0;
    auto now = start;
    int published = 0;
    auto const read = [&](std::size_t n) {
      auto const room = std::make_unique<char[]>(n);
      auto const got = s.read(room.get(), n);
      bytes.append(room.get(), got.bytes);
      waits = got.status == read_status::nothing && s.park();
      parks += waits ? 1 : 0;
      return got.status;
    };
    for (int i = 0; i < 300; ++i) {
      auto const woken = hook.ready;
      switch (random.below(5)) {
      case 0:
      case 1:
        b.publish("c", {.data = std::to_string(++published) + std::string(random.below(60), '\n')});
        break;
      case 2: (void)s.send({.type = "own", .data = "own"}); break;
      case 3: s.poll(now += 5s); break;
      default:
        if (!waits) read(1 + random.below(200));
      }
      if (hook.ready != woken) {
        CHECK(waits);
        waits = false;
      }
      CHECK(hook.ready + (waits ? 1 : 0) == parks);
    }
    b.drain({}, {}, ssewire::reconnection_time(0));
    while (read(1 + random.below(200)) != read_status::complete) CHECK_FALSE(waits);

    auto const decoded = support::decode_chunked(body == framing::chunked ? bytes : "");
    if (body == framing::chunked) CHECK(decoded.ended);
    int last = 0;
    ssewire::parser parser;
    auto const all = body == framing::chunked ? std::string_view(decoded.body) : std::string_view(bytes);
    CHECK(parser
              .feed(all,
                    [&](ssewire::event const& e) {
                      auto const data = std::string(e.data.value_or(""));
                      if (e.type.value() == "ssewire.gap") {
                        ++gaps;
                        last += std::stoi(data.substr(data.find("missed\":") + 8));
                      } else if (e.type.empty() && e.id.has_value()) {
                        CHECK(std::stoi(data) == ++last);
                      }
                    })
              .error == errc::ok);
    CHECK_FALSE(parser.has_partial_event());
    CHECK(last == published);
  }
  CHECK(gaps > 100);
}

/// The peer goes behind so many bytes, and comes back. False: all of the first connection was fewer.
bool cut_and_resume(framing body, std::size_t cut) {
  support::random random(cut);
  broker b({.replay = {.max_events = 4}});
  support::numbered_reader reader;
  std::uint64_t last = 0;
  auto const publish = [&] {
    REQUIRE(b.publish("c", {.data = support::data_of(last + 1)}));
    ++last;
  };
  auto const connect = [&](std::size_t most) {
    reader.begin(last);
    pull_stream s(support::follow(b, {"c"}, reader.last_event_id), {.body = body}, timeless);
    std::string taken;
    while (taken.size() < most && s.reason() == close_reason::none) {
      char room[300];
      auto const got = s.read(room, (std::min)(1 + random.below(sizeof room), most - taken.size()));
      taken.append(room, got.bytes);
      if (last < 12 && random.one_in(4)) publish();  // also while an event is half read
      if (got.status != read_status::nothing || !s.park()) continue;
      last < 12 ? publish() : s.finish();
    }
    reader.read(taken, body);
    return taken.size() == most;
  };
  bool const was_cut = connect(cut);
  if (was_cut) {
    for (int i = 0; i < 3; ++i) publish();
    connect(100'000);
  }
  CHECK((reader.resync || reader.next == last + 1));
  CHECK(b.stats().subscribers == 0);
  return was_cut;
}

TEST_CASE("a connection cut at any byte is resumed: nothing is missing untold, nothing comes twice") {
  for (auto const body : {framing::raw, framing::chunked}) {
    std::size_t cut = 0;
    while (cut_and_resume(body, cut) && cut < 600) ++cut;
    CHECK(cut > 300);
  }
}

TEST_CASE(
    "the n-th allocation fails, for every n: the stream ends with no_memory, or nothing has happened to it") {
  std::size_t lost = 0;
  for (long n = 0;; ++n) {
    CAPTURE(n);
    REQUIRE(n < 500);
    broker b;
    std::string const large(20'000, 'l');
    std::string got;
    got.reserve(100'000);
    counting_hook hook;
    auto from = follow(b);
    auto other = support::follow(b, {"c"});
    support::allocations_failed = 0;
    support::allocations_left = n;
    pull_stream s(std::move(from), {}, {10s, 0s});
    s.set_hook(ssewire::wake_hook::of(hook));
    auto const read = [&](std::size_t room) {
      static char bytes[4096];
      auto const r = s.read(bytes, room);
      got.append(bytes, r.bytes);
      return r.status;
    };
    while (read(10) == read_status::bytes) {
    }
    (void)s.park();
    bool const first = static_cast<bool>(b.publish("c", {.data = "one"}));
    read(10);
    bool const sent = s.send({.data = "own"}) == errc::ok;
    bool const second = static_cast<bool>(b.publish("c", {.data = large}));
    while (read(3000) == read_status::bytes) {
    }
    (void)s.park();
    (void)s.poll(start);
    (void)s.poll(start + 10s);
    support::allocations_left = -1;
    while (read(4000) == read_status::bytes) {
    }
    if (s.reason() != close_reason::none) {
      ++lost;
      CHECK(s.reason() == close_reason::no_memory);
      CHECK(support::allocations_failed == 1);
      CHECK(read(1) == read_status::cut);
      CHECK(b.stats().subscribers == 1);
    } else {
      std::string expected = position_event(0);
      std::uint64_t at = 0;
      if (first) expected += frame(++at, "one");
      if (sent) expected += "data: own\n\n";
      if (second) expected += frame(++at, large);
      auto const beat = got.size() > expected.size() ? ":\n\n" : "";
      CHECK((got == expected + beat));
      CHECK(s.park());
    }
    CHECK(support::pull_all(other).size() > 50);
    if (support::allocations_failed == 0) break;
  }
  CHECK(lost > 3);
}

TEST_CASE("each value has a name, and a number that names none is unknown") {
  CHECK(name(ssewire::read_status::bytes) == "bytes");
  CHECK(name(ssewire::read_status::nothing) == "nothing");
  CHECK(name(ssewire::read_status::complete) == "complete");
  CHECK(name(ssewire::read_status::cut) == "cut");
  CHECK(name(static_cast<ssewire::read_status>(99)) == "unknown");
}

}  // namespace
