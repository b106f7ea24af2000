// SPDX-License-Identifier: MIT
// outside_ends_test.cpp - a stream that is ended from outside, by each driver: its writer is told why, once,
// on the driver's thread at its next turn; nothing that was published after the call reaches it.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/closure_executor.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::event;
using ssewire::steady_time;
using support::answer;
using support::peer;
using support::scripted_writer;

using broker = ssewire::basic_broker<support::epoch_traits>;
using subscription = ssewire::basic_subscription<support::epoch_traits>;

std::vector<close_reason> once(close_reason why) { return {why}; }

// The ways to end the stream of user "ann", with ID `id`, on channel "c", which expires after 10 s.
struct way {
  char const* name;
  close_reason why;
  bool says_farewell;
  void (*end)(broker&, ssewire::subscription_id);
};
event const farewell{.type = "bye", .data = "x"};
constexpr std::string_view farewell_frame = "event: bye\ndata: x\n\n";
constexpr std::array<way, 5> ways{
    way{"close_user", close_reason::revoked, false,
        [](broker& b, auto) { CHECK(*b.close_user("ann") == 1); }},
    way{"close_user with a farewell", close_reason::revoked, true,
        [](broker& b, auto) { CHECK(*b.close_user("ann", farewell) == 1); }},
    way{"close_channel", close_reason::channel_closed, true,
        [](broker& b, auto) { CHECK(*b.close_channel("c", farewell) == 1); }},
    way{"close", close_reason::finished, true,
        [](broker& b, auto id) { CHECK(*b.close(id, close_reason::finished, farewell)); }},
    way{"tick", close_reason::expired, false, [](broker& b, auto) { b.tick(steady_time() + 10s); }},
};

struct given {
  broker b;
  subscription from;
  ssewire::subscription_id id;

  given() {
    auto made = b.subscribe("c", {.user = "ann", .expires = steady_time() + 10s});
    REQUIRE(made);
    from = std::move(made.value);
    id = from.id();
  }
  void end(way const& by) {
    by.end(b, id);
    REQUIRE(b.publish("c", "after"));
  }
  [[nodiscard]] static std::string expected(way const& by) {
    return support::position_event(0) + std::string(by.says_farewell ? farewell_frame : "");
  }
};

enum class doing { waits, is_blocked, sends };

// What the writer answers to its first offer.
answer first_answer(doing what) {
  return what == doing::waits        ? answer::take()
         : what == doing::is_blocked ? answer::again(5)
                                     : answer::pending();
}

TEST_CASE("the reactor ends it at its next turn") {
  for (auto const& by : ways) {
    for (auto const what : {doing::waits, doing::is_blocked, doing::sends}) {
      CAPTURE(by.name);
      given g;
      peer to;
      to.script.push_back(first_answer(what));
      ssewire::basic_reactor<scripted_writer, support::epoch_traits> r;
      auto const added = r.add(scripted_writer(to), std::move(g.from));
      REQUIRE(added);
      while (r.poll(steady_time()).more) {
      }
      g.end(by);
      CHECK(to.closed.empty());
      while (r.poll(steady_time()).more) {
      }
      CHECK(to.closed == once(by.why));
      CHECK(to.taken == (what == doing::is_blocked ? given::expected(by).substr(0, 5)
                         : what == doing::sends    ? support::position_event(0)
                                                   : given::expected(by)));
      if (to.pending()) {
        to.landed();
        r.written(*added, true);
        while (r.poll(steady_time()).more) {
        }
      }
      CHECK(r.size() == 0);
      CHECK(g.b.stats().subscribers == 0);
      CHECK(g.b.stats().count(by.why) == 1);
    }
  }
}

TEST_CASE("a posted stream ends by a task") {
  for (auto const& by : ways) {
    for (auto const what : {doing::waits, doing::is_blocked, doing::sends}) {
      CAPTURE(by.name);
      given g;
      peer to;
      support::closure_executor on;
      to.script.push_back(first_answer(what));
      auto const s = ssewire::post_stream(scripted_writer(to), support::post_to{&on}, std::move(g.from));
      s->start();
      on.run();
      g.end(by);
      CHECK(to.closed.empty());
      CHECK(on.run() == 1);
      CHECK(to.closed == once(by.why));
      CHECK(to.taken == (what == doing::is_blocked ? given::expected(by).substr(0, 5)
                         : what == doing::sends    ? support::position_event(0)
                                                   : given::expected(by)));
      if (to.pending()) {
        to.landed();
        s->written(true);
      }
      CHECK(s->reason() == by.why);
      CHECK(g.b.stats().subscribers == 0);
    }
  }
}

// A transport that completes takes no bytes at once, and is not stuck for that.
TEST_CASE(
    "a write that completes later may send the farewell and the end of the body, before the stream ends") {
  for (auto const& by : ways) {
    for (auto const body : {ssewire::framing::raw, ssewire::framing::chunked}) {
      CAPTURE(by.name);
      auto const drive = [&](given& g, peer& to, auto run, auto landed) {
        run();
        REQUIRE(to.pending());
        to.landed();
        landed();
        run();
        g.end(by);
        run();
        for (int writes = 0; to.pending(); ++writes) {
          REQUIRE(writes < 2);
          CHECK(to.closed.empty());
          to.landed();
          landed();
          run();
        }
        CHECK(to.closed == once(by.why));
        CHECK(to.completed == 1);
        auto const got = body == ssewire::framing::raw ? to.taken : support::decode_chunked(to.taken).body;
        CHECK(got == given::expected(by));
        if (body == ssewire::framing::chunked) CHECK(support::decode_chunked(to.taken).ended);
        CHECK(g.b.stats().subscribers == 0);
      };
      {
        given g;
        peer to;
        to.otherwise = [](std::size_t) { return answer::pending(); };
        support::closure_executor on;
        auto const s = ssewire::post_stream(scripted_writer(to), support::post_to{&on}, std::move(g.from),
                                            {.body = body});
        s->start();
        drive(
            g, to, [&] { on.run(); }, [&] { s->written(true); });
      }
      {
        given g;
        peer to;
        to.otherwise = [](std::size_t) { return answer::pending(); };
        ssewire::basic_reactor<scripted_writer, support::epoch_traits> r;
        auto const added = r.add(scripted_writer(to), std::move(g.from), {.body = body});
        REQUIRE(added);
        auto const run = [&] {
          while (r.poll(steady_time()).more) {
          }
        };
        drive(g, to, run, [&] { r.written(*added, true); });
      }
    }
  }
}

TEST_CASE("a farewell that is still being sent when the deadline of a drain comes is cut off") {
  given g;
  peer to;
  to.otherwise = [](std::size_t) { return answer::pending(); };
  support::closure_executor on;
  auto const s = ssewire::post_stream(scripted_writer(to), support::post_to{&on}, std::move(g.from));
  s->start();
  to.landed();
  s->written(true);
  on.run();
  CHECK(*g.b.close_user("ann", farewell) == 1);
  on.run();
  REQUIRE(to.pending());
  g.b.drain(steady_time(), steady_time() + 1s);
  g.b.tick(steady_time() + 1s);
  on.run();
  CHECK(to.closed == once(close_reason::revoked));
  CHECK(to.cut == 1);
  to.landed();
  s->written(true);
}

TEST_CASE("a pull_stream reads its end, and says why, however small its reads are") {
  for (auto const& by : ways) {
    for (std::size_t const size : {1u, 7u, 4096u}) {
      CAPTURE(by.name);
      given g;
      std::vector<ssewire::wake> woken;
      ssewire::pull_stream<subscription> s(std::move(g.from));
      auto hook = [&](ssewire::wake why) { woken.push_back(why); };
      s.set_hook(ssewire::wake_hook::of(hook));
      std::string text;
      std::array<char, 4096> room;
      auto const read_all = [&] {
        for (;;) {
          auto const got = s.read(room.data(), size);
          if (got.status != ssewire::read_status::bytes) return got.status;
          text.append(room.data(), got.bytes);
        }
      };
      CHECK(read_all() == ssewire::read_status::nothing);
      REQUIRE(s.park());
      g.end(by);
      CHECK(!woken.empty());
      CHECK(read_all() == ssewire::read_status::complete);
      CHECK(text == given::expected(by));
      CHECK(s.reason() == by.why);
      CHECK(g.b.stats().subscribers == 0);
    }
  }
}

TEST_CASE("serve_blocking wakes, and returns why") {
  for (auto const& by : ways) {
    CAPTURE(by.name);
    given g;
    peer to;
    scripted_writer w(to);
    std::atomic<bool> began = false;
    to.script.push_back(answer::take().calling([&] { began = true; }));
    close_reason why = close_reason::none;
    std::thread serving([&] { why = ssewire::serve_blocking(std::move(g.from), w, {}, {.heartbeat = 0s}); });
    while (!began) std::this_thread::yield();
    g.end(by);
    serving.join();
    CHECK(why == by.why);
    CHECK(to.closed == once(by.why));
    CHECK(to.taken == given::expected(by));
    CHECK(g.b.stats().subscribers == 0);
  }
}

TEST_CASE("a user who signs out while a thread is inside write() is served no more when that returns") {
  given g;
  peer to;
  scripted_writer w(to);
  to.script.push_back(answer::take().calling([&] { g.end(ways[0]); }));
  CHECK(ssewire::serve_blocking(std::move(g.from), w, {}, {.heartbeat = 0s}) == close_reason::revoked);
  CHECK(to.taken == support::position_event(0));
}

// ---- walks that let go of the lock

using reactor = ssewire::basic_reactor<scripted_writer, support::epoch_traits>;

void run(reactor& r) {
  while (r.poll(steady_time()).more) {
  }
}

// The wake hook of a stream that a walk meets first: it runs while the walk has let go of the lock.
struct meanwhile {
  std::function<void()> call;
  void operator()(ssewire::wake) { call(); }
};

// Two streams that a reactor serves in step, and a younger one with that hook. An end from outside must end
// all of them, whatever the reactor does in the hook.
template <class Do, class End> void end_while(bool in_step_before, Do act, End end) {
  std::array<peer, 2> to;
  reactor r;
  auto b = std::make_unique<broker>();
  std::vector<ssewire::stream_id> ids;
  for (auto& each : to) ids.push_back(*r.add(scripted_writer(each), std::move(b->subscribe("c").value)));
  if (in_step_before) run(r);
  meanwhile hook{[&] { act(r, ids[0]); }};
  auto met_first = std::move(b->subscribe("c").value);
  met_first.set_hook(ssewire::wake_hook::of(hook));
  end(b);
  run(r);
  for (auto& each : to) {
    CHECK(each.closed.size() == 1);
    CHECK(each.taken.find("after") == std::string::npos);
  }
}

void close_the_channel(std::unique_ptr<broker>& b) {
  CHECK(*b->close_channel("c") == 3);
  REQUIRE(b->publish("c", "after"));
}

TEST_CASE("a stream that falls out of step while close_channel walks is ended too") {
  end_while(
      true, [](reactor& r, auto id) { REQUIRE(r.comment(id, "x") == ssewire::errc::ok); }, close_the_channel);
}

TEST_CASE("a stream that comes in step with a new leader while close_channel walks is ended too") {
  end_while(
      false, [](reactor& r, auto) { run(r); }, close_the_channel);
}

TEST_CASE("a stream that falls out of step, or comes in step, while the broker ends is ended too") {
  end_while(
      true, [](reactor& r, auto id) { REQUIRE(r.comment(id, "x") == ssewire::errc::ok); },
      [](auto& b) { b.reset(); });
  end_while(
      false, [](reactor& r, auto) { run(r); }, [](auto& b) { b.reset(); });
}

TEST_CASE("a stream that was ended before its driver had it does not wait for a stuck writer") {
  given g;
  g.end(ways[0]);
  peer to;
  reactor r;
  to.script.push_back(answer::again(5));
  REQUIRE(r.add(scripted_writer(to), std::move(g.from), {.preamble = "HTTP/1.1 200 OK"}));
  run(r);
  CHECK(to.closed == once(close_reason::revoked));
}

}  // namespace
