// SPDX-License-Identifier: MIT
#include <ssewire/drivers/serve_blocking.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::serve_blocking;
using ssewire::write_status;
using support::answer;
using support::frame;
using support::peer;
using support::position_event;
using support::scripted_writer;

constexpr ssewire::blocking_options no_heartbeat{.heartbeat = 0s};

/// A condition variable that never sleeps: it takes down until when it would have slept, and lets the test
/// act.
struct watched_traits : support::epoch_traits {
  static inline std::vector<ssewire::steady_time> deadlines;
  static inline std::function<void()> asleep;

  struct condition_variable {
    void notify_all() noexcept {}
    void wait(std::unique_lock<std::mutex>& held) {
      held.unlock();
      asleep();
      held.lock();
    }
    void wait_until(std::unique_lock<std::mutex>& held, ssewire::steady_time until) {
      deadlines.push_back(until);
      held.unlock();
      asleep();
      held.lock();
    }
  };
};
using broker = ssewire::basic_broker<support::epoch_traits>;
using watched_broker = ssewire::basic_broker<watched_traits>;

ssewire::broker_options const ticked_by_program = {.ticks = ssewire::ticked_by::program};

template <class Broker> auto follow(Broker& b, ssewire::lag_policy lag = ssewire::lag_policy::tell) {
  auto result = b.subscribe("c", {.lag = lag});
  REQUIRE(result.error == errc::ok);
  return std::move(result.value);
}

std::vector<close_reason> once(close_reason why) { return {why}; }

TEST_CASE("an empty subscription is over at once") {
  peer to;
  scripted_writer w(to);
  CHECK(serve_blocking(broker::subscription{}, w) == close_reason::removed);
  CHECK(to.taken.empty());
  CHECK(to.closed == once(close_reason::removed));
}

TEST_CASE("a heartbeat so long that the clock cannot say when is none") {
  CHECK_FALSE(ssewire::detail::deadline(ssewire::steady_time{} + 1s, ssewire::steady_duration::max()));
  CHECK(ssewire::detail::deadline(ssewire::steady_time{}, ssewire::steady_duration::max()) ==
        ssewire::steady_time::max());
  CHECK_FALSE(ssewire::detail::deadline(ssewire::steady_time{}, 0s));
}

TEST_CASE("it sends what is there, and returns when the broker has drained") {
  for (auto const body : {ssewire::framing::raw, ssewire::framing::chunked}) {
    broker b;
    peer to;
    scripted_writer w(to);
    auto from = follow(b);
    b.publish("c", {.data = "x"});
    b.publish("c", {.data = "y"});
    b.drain({}, {}, ssewire::reconnection_time(0));
    CHECK(serve_blocking(std::move(from), w, {.body = body, .preamble = "head\n"}) == close_reason::drained);
    auto const frames = position_event(0) + frame(1, "x") + frame(2, "y") + "retry: 1000\n\n";
    CHECK(to.taken.substr(0, 5) == "head\n");
    CHECK((body == ssewire::framing::raw ? to.taken.substr(5)
                                         : support::decode_chunked(to.taken.substr(5)).body) == frames);
    CHECK(to.completed == 1);
    CHECK(to.closed == once(close_reason::drained));
    CHECK_FALSE(to.writer_gone);  // the writer stays the caller's
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("it sleeps while there is nothing, and goes on with each event") {
  watched_broker b;
  peer to;
  scripted_writer w(to);
  int slept = 0;
  watched_traits::asleep = [&] {
    CHECK(to.offers.size() == static_cast<std::size_t>(slept) + 1);  // nothing was offered in vain
    if (++slept <= 3) {
      b.publish("c", {.data = std::to_string(slept)});
    } else {
      b.drain({}, {}, ssewire::reconnection_time(0));
    }
  };
  CHECK(serve_blocking(follow(b), w, {}, no_heartbeat) == close_reason::drained);
  CHECK(slept == 4);
  CHECK(to.taken == position_event(0) + frame(1, "1") + frame(2, "2") + frame(3, "3") + "retry: 1000\n\n");
}

TEST_CASE("in a drain it sleeps on until its turn") {
  watched_broker b;
  peer to;
  scripted_writer w(to);
  int slept = 0;
  watched_traits::asleep = [&] {
    CHECK(to.taken == position_event(0));
    if (++slept == 1) b.drain({}, ssewire::steady_time{} + 2h, ssewire::reconnection_time(0));
    if (slept == 3) b.tick(ssewire::steady_time{} + 1h);
  };
  CHECK(serve_blocking(follow(b), w, {}, no_heartbeat) == close_reason::drained);
  CHECK(slept == 3);
  CHECK(to.taken == position_event(0) + "retry: 1000\n\n");
}

TEST_CASE("an eviction wakes it: a lagging stream, a forced drain, a broker that ends") {
  watched_broker b;
  peer to;
  scripted_writer w(to);
  watched_traits::asleep = [&] {
    b.drain({}, {});
    b.tick({});
  };
  CHECK(serve_blocking(follow(b), w, {}, no_heartbeat) == close_reason::drain_forced);
  CHECK(to.closed == once(close_reason::drain_forced));

  auto ending = std::make_unique<watched_broker>();
  peer to_ending;
  scripted_writer w2(to_ending);
  watched_traits::asleep = [&] { ending.reset(); };
  CHECK(serve_blocking(follow(*ending), w2, {}, no_heartbeat) == close_reason::drained);
  CHECK(to_ending.completed == 1);
}

TEST_CASE("a peer that is asked for each second, and has gone, ends the stream before the next heartbeat") {
  broker b;
  peer to;
  scripted_writer w(to);
  int asked = 0;
  auto const is_there = [&] { return ++asked < 2; };
  auto const began = ssewire::steady_time::clock::now();
  CHECK(
      serve_blocking(follow(b), w, {}, {.heartbeat = 1h, .alive = ssewire::callback<bool()>::of(is_there)}) ==
      close_reason::peer_gone);
  CHECK(asked == 2);
  CHECK(ssewire::steady_time::clock::now() - began >= 2s);
  CHECK(to.taken == position_event(0));
  CHECK(to.closed == once(close_reason::peer_gone));
  CHECK(to.cut == 1);
}

TEST_CASE("a peer that is there is asked, and gets its heartbeats all the same") {
  watched_broker b;
  peer to;
  scripted_writer w(to);
  int asked = 0;
  auto const is_there = [&] { return ++asked != 0; };
  watched_traits::deadlines.clear();
  watched_traits::asleep = [&] {
    if (to.taken.find(":\n\n") != std::string::npos) b.drain({}, {}, ssewire::reconnection_time(0));
  };
  CHECK(serve_blocking(follow(b), w, {},
                       {.heartbeat = 1100ms, .alive = ssewire::callback<bool()>::of(is_there)}) ==
        close_reason::drained);
  CHECK(asked >= 1);
  CHECK(to.taken == position_event(0) + ":\n\n" + "retry: 1000\n\n");
}

TEST_CASE("a lagging stream whose policy is close ends so") {
  broker b({.replay = {.max_events = 1}});
  peer to;
  scripted_writer w(to);
  to.script.push_back(answer::take().calling([&] {
    for (int i = 0; i < 3; ++i) b.publish("c", {.data = "x"});
  }));
  CHECK(serve_blocking(follow(b, ssewire::lag_policy::close), w) == close_reason::lagged);
}

TEST_CASE("a spurious wake-up sends nothing") {
  watched_broker b(ticked_by_program);
  peer to;
  scripted_writer w(to);
  int slept = 0;
  watched_traits::asleep = [&] {
    if (++slept == 5) b.drain({}, {}, ssewire::reconnection_time(0));
  };
  watched_traits::deadlines.clear();
  CHECK(serve_blocking(follow(b), w, {}, {.heartbeat = 1h}) == close_reason::drained);
  CHECK(to.taken == position_event(0) + "retry: 1000\n\n");
  for (auto const d : watched_traits::deadlines) CHECK(d == watched_traits::deadlines.front());
}

TEST_CASE("the heartbeat counts from the last byte that was sent") {
  // For some number of events the last pump before the sleep has sent nothing itself.
  for (int events = 0; events < 20; ++events) {
    CAPTURE(events);
    watched_broker b(ticked_by_program);
    peer to;
    scripted_writer w(to);
    ssewire::steady_time last_write{};
    to.otherwise = [&](std::size_t) {
      auto const before = ssewire::steady_time::clock::now();
      do last_write = ssewire::steady_time::clock::now();
      while (last_write == before);
      return answer::take();
    };
    auto from = follow(b);
    for (int i = 0; i < events; ++i) b.publish("c", {.data = "x"});
    watched_traits::deadlines.clear();
    watched_traits::asleep = [&] {
      CHECK(watched_traits::deadlines.back() >= last_write + 1h);
      b.drain({}, {});
    };
    CHECK(serve_blocking(std::move(from), w, {.max_write_bytes = 1}, {.heartbeat = 1h}) ==
          close_reason::drained);
    CHECK(watched_traits::deadlines.size() == 1);
    CHECK(to.offers.size() == static_cast<std::size_t>(events) + 2);
  }
}

TEST_CASE("heartbeats come while it is idle, between frames, and end with the stream") {
  broker b;
  peer to;
  scripted_writer w(to);
  int heartbeats = 0;
  to.otherwise = [&](std::size_t size) {
    if (size != 3) return answer::take();
    ++heartbeats;
    return answer::take(1).calling([&] {
      if (heartbeats == 2) b.publish("c", {.data = "x"});
      if (heartbeats == 4) b.drain({}, {}, ssewire::reconnection_time(0));
    });
  };
  CHECK(serve_blocking(follow(b), w, {}, {.heartbeat = 2ms}) == close_reason::drained);
  std::string const beat = ":\n\n";
  auto const events = position_event(0) + beat + beat + frame(1, "x") + beat + beat + "retry: 1000\n\n";
  CHECK(to.taken == events);
}

TEST_CASE("what the writer throws leaves serve_blocking, and the subscription is closed") {
  broker b;
  peer to;
  scripted_writer w(to);
  to.script.push_back(answer::take(3));
  to.script.push_back(answer::raise());
  CHECK_THROWS_AS(serve_blocking(follow(b), w), support::scripted_error);
  CHECK(to.closed == once(close_reason::writer_threw));
  CHECK(to.cut == 1);
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("a peer that is gone, one whose send times out twice, and a writer that may not wait end it") {
  struct row {
    answer says;
    close_reason why;
  };
  row const rows[] = {{answer::closed(), close_reason::peer_gone},
                      {answer::pending(), close_reason::writer_broke_contract},
                      {answer::exactly(write_status::ok, 0), close_reason::writer_broke_contract},
                      {answer::exactly(write_status::ok, 99999), close_reason::writer_broke_contract}};
  for (auto const& r : rows) {
    broker b;
    peer to;
    scripted_writer w(to);
    to.script.push_back(r.says);
    to.at_closed = [&](close_reason, ssewire::ending) { to.stop_transport(); };
    CHECK(serve_blocking(follow(b), w) == r.why);
    CHECK(to.closed == once(r.why));
    CHECK(to.cut == 1);
    CHECK(to.offers.size() == 1);
    CHECK(b.stats().subscribers == 0);
  }
}

// A send timeout passes while the process stands still, too; then the next write finds the room that its
// peer has made.
TEST_CASE("one send timeout ends nothing, two in a row do, and a byte between them counts") {
  struct row {
    std::vector<std::size_t> answers;  // `again` with so many bytes, then all is taken
    bool ends;
  };
  for (auto const& r : {row{{0}, false}, row{{0, 0}, true}, row{{0, 1, 0}, false}, row{{0, 1, 0, 0}, true},
                        row{{3, 0, 3, 0, 3, 0, 3, 0}, false}, row{{0, 5, 0, 0, 1}, true}}) {
    for (auto const body : {ssewire::framing::raw, ssewire::framing::chunked}) {
      broker b;
      peer to;
      scripted_writer w(to);
      auto from = follow(b);
      b.publish("c", {.data = "x"});
      b.drain({}, {}, ssewire::reconnection_time(0));
      for (auto const bytes : r.answers)
        to.script.push_back(answer::again(bytes).calling([&] { to.let_go(); }));
      auto const why = serve_blocking(std::move(from), w, {.body = body});
      CHECK(why == (r.ends ? close_reason::stalled : close_reason::drained));
      CHECK(to.closed == once(why));
      auto const all = position_event(0) + frame(1, "x") + "retry: 1000\n\n";
      if (!r.ends)
        CHECK((body == ssewire::framing::raw ? to.taken : support::decode_chunked(to.taken).body) == all);
      CHECK(to.offers.size() >= r.answers.size() - (r.ends && r.answers.back() != 0 ? 1 : 0));
    }
  }
}

TEST_CASE("`again` with some bytes goes on, and the frame with it") {
  broker b;
  // The peer objects to a write that writable() did not precede; here serve_blocking says it itself.
  std::string taken;
  struct slow {
    std::string* to;
    ssewire::write_result write(ssewire::buffers offered) {
      *to += offered.front().substr(0, 1);
      return {write_status::again, 1};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  } w{&taken};
  auto from = follow(b);
  b.publish("c", {.data = "x"});
  b.drain({}, {}, ssewire::reconnection_time(0));
  CHECK(serve_blocking(std::move(from), w) == close_reason::drained);
  CHECK(taken == position_event(0) + frame(1, "x") + "retry: 1000\n\n");
}

// A chunk is three pieces: its size, the event, and a line end.
TEST_CASE("a stream that the broker ends gets its last event, also if the writer sends a piece at a time") {
  for (std::size_t const short_by : {0U, 1U}) {
    watched_broker b;
    auto from = b.subscribe("c", {.user = "ann"});
    REQUIRE(from.error == errc::ok);
    std::string taken;
    struct piecewise {
      std::string* to;
      std::size_t* short_by;
      ssewire::write_result write(ssewire::buffers offered) {
        auto const part = offered.front().substr(0, offered.front().size() - std::exchange(*short_by, 0));
        *to += part;
        return {write_status::ok, part.size()};
      }
      void on_closed(close_reason, ssewire::ending how) noexcept {
        *to += how == ssewire::ending::complete ? "[complete]" : "[cut]";
      }
    };
    std::size_t missing = 0;
    piecewise one_by_one{&taken, &missing};
    std::size_t before = 0;
    watched_traits::asleep = [&] {
      before = taken.size();
      missing = short_by;  // in the next write
      CHECK(b.close_user("ann", ssewire::event{.data = "bye"}).value == 1);
    };
    auto const why = serve_blocking(std::move(from.value), one_by_one, {.body = ssewire::framing::chunked});
    CHECK(why == close_reason::revoked);
    auto const last = std::string_view(taken).substr(before);
    CHECK(last == (short_by == 0 ? "b\r\ndata: bye\n\n\r\n0\r\n\r\n[complete]" : "b\r[cut]"));
  }
}

struct tls_like {
  std::string taken = {};
  std::string rest = {};
  bool same = true;
  std::size_t pieces = 0;
  ssewire::write_result write(ssewire::buffers offered) {
    pieces = offered.size() > pieces ? offered.size() : pieces;
    auto const all = std::string(offered.front());
    if (!rest.empty() && all != rest) same = false;
    auto const n = all.size() < 50 ? all.size() : std::size_t{50};
    taken += all.substr(0, n);
    rest = all.substr(n);
    return {write_status::again, n};
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("a writer that must be offered the same bytes again is") {
  broker b;
  tls_like w;
  auto from = follow(b);
  for (int i = 0; i < 9; ++i) b.publish("c", {.data = "x"});
  b.drain({}, {}, ssewire::reconnection_time(0));
  CHECK(serve_blocking(std::move(from), w, {.body = ssewire::framing::chunked, .same_bytes_again = true}) ==
        close_reason::drained);
  CHECK(w.same);
  CHECK(w.pieces == 1);
  CHECK(support::decode_chunked(w.taken).ended);
}

TEST_CASE("a writer needs nothing but write, and may be incapable of moving") {
  struct fixed {
    std::string got = {};
    fixed() = default;
    fixed(fixed const&) = delete;
    ssewire::write_result write(ssewire::buffers offered) {
      got += offered.front();
      return {write_status::ok, offered.front().size()};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  } w;
  broker b;
  auto from = follow(b);
  b.drain({}, {}, ssewire::reconnection_time(0));
  CHECK(serve_blocking(std::move(from), w) == close_reason::drained);
  CHECK(w.got == position_event(0) + "retry: 1000\n\n");
}

TEST_CASE("the question comes each second also where the filter refuses what wakes the stream all the time") {
  broker b;
  auto from = b.subscribe("c", {.filter = [](ssewire::event_header const&) { return false; }});
  REQUIRE(from);
  peer to;
  scripted_writer w(to);
  std::atomic<bool> over = false;
  std::thread publishing([&] {
    while (!over) {
      (void)b.publish("c", "x");
      std::this_thread::sleep_for(20ms);
    }
  });
  auto const gone = [] { return false; };
  auto const began = std::chrono::steady_clock::now();
  CHECK(serve_blocking(std::move(*from), w, {},
                       {.heartbeat = 4s, .alive = ssewire::callback<bool()>::of(gone)}) ==
        close_reason::peer_gone);
  CHECK(std::chrono::steady_clock::now() - began < 3s);
  over = true;
  publishing.join();
}

}  // namespace
