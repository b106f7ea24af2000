// SPDX-License-Identifier: MIT
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/awaitable.hpp>
#include <ssewire/drivers/pull_stream.hpp>

#include <support/broker_bytes.hpp>
#include <support/coroutine.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::read_status;
using support::coroutine;
using support::frame;
using support::position_event;

using broker = ssewire::basic_broker<support::epoch_traits>;
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using batch = ssewire::basic_batch<support::epoch_traits>;
using pull_stream = ssewire::pull_stream<ssewire::basic_subscription<support::epoch_traits>>;

/// What was posted and not run yet.
struct executor {
  std::deque<std::coroutine_handle<>> posted = {};
  int evictions = 0;

  void run() {
    while (!posted.empty()) {
      auto const next = posted.front();
      posted.pop_front();
      next.resume();
    }
  }
};

struct post_to {
  executor* to;
  void operator()(std::coroutine_handle<> h) const noexcept { to->posted.push_back(h); }
  void evicted() const noexcept { ++to->evictions; }
};

/// Resumes where it is called.
struct at_once {
  void operator()(std::coroutine_handle<> h) const noexcept { h.resume(); }
};

auto follow(broker& b) { return support::follow(b, {"c"}); }

/// What a coroutine has seen.
struct journal {
  std::string text = {};
  int waits = 0;
  std::optional<read_status> ended = {};
  std::optional<close_reason> why = {};
  bool gone = false;  // the coroutine's locals are destroyed
};

struct says_when_gone {
  journal* j;
  ~says_when_gone() { j->gone = true; }
};

template <class Resume> coroutine serve(journal& j, Resume resume, subscription from, std::size_t n = 4096) {
  says_when_gone const at_end{&j};
  auto stream = ssewire::make_awaitable<pull_stream>(resume, std::move(from));
  std::string room(n, '\0');
  for (;;) {
    auto const got = stream->read(room.data(), room.size());
    j.text.append(room.data(), got.bytes);
    if (got.status == read_status::bytes) continue;
    if (got.status != read_status::nothing) {
      j.ended = got.status;
      j.why = stream->reason();
      co_return;
    }
    ++j.waits;
    co_await stream;
  }
}

template <class Resume> coroutine pull_each(journal& j, Resume resume, subscription from) {
  says_when_gone const at_end{&j};
  auto source = ssewire::make_awaitable<subscription>(resume, std::move(from));
  batch next;
  for (;;) {
    auto const pulled = source->pull(next, 4096);
    j.text += next.text();
    if (pulled == ssewire::pull_status::ready) continue;
    if (pulled != ssewire::pull_status::nothing) break;
    ++j.waits;
    if (co_await source != close_reason::none) break;
  }
  j.why = source->reason();
}

TEST_CASE("a coroutine waits for a pull stream, and is resumed through the executor, once for each wait") {
  broker b;
  executor e;
  journal j;
  auto const running = serve(j, post_to{&e}, follow(b));
  CHECK(j.text == position_event(0));
  CHECK(j.waits == 1);
  b.publish("c", {.data = "x"});
  b.publish("c", {.data = "y"});
  CHECK(e.posted.size() == 1);
  CHECK(j.waits == 1);
  e.run();
  CHECK(j.text == position_event(0) + frame(1, "x") + frame(2, "y"));
  CHECK(j.waits == 2);
  b.drain({}, {}, ssewire::reconnection_time(0));
  e.run();
  CHECK(j.ended == read_status::complete);
  CHECK(j.why == close_reason::drained);
  CHECK(j.gone);
  CHECK(e.evictions == 0);
}

TEST_CASE("a coroutine waits for a plain subscription, and is told why it ended") {
  auto b = std::make_unique<broker>();
  executor e;
  journal j;
  auto const running = pull_each(j, post_to{&e}, follow(*b));
  b->publish("c", {.data = "x"});
  e.run();
  CHECK(j.text == position_event(0) + frame(1, "x"));
  CHECK(j.waits == 2);
  b.reset();
  CHECK(e.posted.size() == 1);
  e.run();
  CHECK(j.why == close_reason::drained);
  CHECK(j.gone);
}

TEST_CASE("resumed inside publish it may pull, wait again, publish, and end with the frame and all") {
  for (bool const by_stream : {true, false}) {
    broker b;
    journal j;
    auto const running = by_stream ? serve(j, at_once{}, follow(b)) : pull_each(j, at_once{}, follow(b));
    for (int i = 1; i <= 3; ++i) b.publish("c", {.data = "x"});
    CHECK(j.text == position_event(0) + frame(1, "x") + frame(2, "x") + frame(3, "x"));
    CHECK(j.waits == 4);
    b.tick({});
    b.drain({}, {}, ssewire::reconnection_time(0));
    b.tick(ssewire::steady_time{} + 1s);
    CHECK(j.gone);
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("it does not wait if there is something already, or if it is over") {
  broker b;
  executor e;
  std::vector<close_reason> reasons;
  auto const run = [&](subscription from) -> coroutine {
    auto source = ssewire::make_awaitable<subscription>(post_to{&e}, std::move(from));
    reasons.push_back(co_await source);  // where it stands is to be pulled
    batch next;
    (void)source->pull(next, 4096);
    b.publish("c", {.data = "x"});
    reasons.push_back(co_await source);
    (void)source->pull(next, 4096);
    b.drain({}, {});
    b.tick(ssewire::steady_time{});
    reasons.push_back(co_await source);
    reasons.push_back(co_await source);
    source->close();
    reasons.push_back(co_await source);
  };
  auto const running = run(follow(b));
  CHECK(running.done());
  CHECK(reasons == std::vector<close_reason>{close_reason::none, close_reason::none,
                                             close_reason::drain_forced, close_reason::drain_forced,
                                             close_reason::removed});
  CHECK(e.posted.empty());
  CHECK(e.evictions == 1);  // nobody waited: the coroutine might have been in a write
}

TEST_CASE("an empty subscription is over; an empty stream waits for what is sent to it") {
  executor e;
  journal none;
  auto const over = pull_each(none, post_to{&e}, subscription{});
  CHECK(none.why == close_reason::removed);

  std::string text;
  ssewire::awaitable<pull_stream, post_to> stream(post_to{&e});
  auto const run = [&]() -> coroutine {
    char room[7];
    for (;;) {
      auto const got = stream->read(room, sizeof room);
      text.append(room, got.bytes);
      if (got.status == read_status::complete) co_return;
      if (got.status == read_status::nothing) CHECK(co_await stream == close_reason::none);
    }
  };
  auto const running = run();
  CHECK((*stream).send({.data = "token"}) == errc::ok);
  CHECK(stream->send({.data = "token"}) == errc::ok);
  CHECK(e.posted.size() == 1);
  e.run();
  CHECK(text == "data: token\n\ndata: token\n\n");
  stream->finish();
  e.run();
  CHECK(running.done());
}

TEST_CASE("destroyed while it waits: nobody is resumed any more") {
  for (bool const by_stream : {true, false}) {
    broker b;
    executor e;
    journal j;
    {
      auto const running =
          by_stream ? serve(j, post_to{&e}, follow(b)) : pull_each(j, post_to{&e}, follow(b));
      CHECK_FALSE(running.done());
    }
    CHECK(j.gone);
    b.publish("c", {.data = "x"});
    CHECK(e.posted.empty());
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE(
    "a coroutine that is dropped while it waits for what outlives it is not resumed; another may wait then") {
  broker b;
  executor e;
  ssewire::awaitable<subscription, post_to> source(post_to{&e}, follow(b));
  batch next;
  (void)source->pull(next, 4096);
  int resumed = 0;
  auto const wait = [&]() -> coroutine {
    co_await source;
    ++resumed;
  };
  { auto const dropped = wait(); }
  b.publish("c", {.data = "x"});
  e.run();
  CHECK(resumed == 0);
  CHECK_FALSE((source->pull(next, 4096) == ssewire::pull_status::nothing));
  auto const second = wait();
  b.publish("c", {.data = "y"});
  e.run();
  CHECK(resumed == 1);
}

TEST_CASE("the awaitable may go before the coroutine that waits for it, also when its handle was posted") {
  for (bool const posted : {false, true}) {
    broker b;
    executor e;
    int resumed = 0;
    auto source = std::make_unique<ssewire::awaitable<subscription, post_to>>(post_to{&e}, follow(b));
    batch next;
    (void)(*source)->pull(next, 4096);
    auto const wait = [&]() -> coroutine {
      co_await *source;
      ++resumed;
    };
    {
      auto const running = wait();
      if (posted) b.publish("c", {.data = "x"});
      CHECK(e.posted.size() == (posted ? 1 : 0));
      source.reset();
      CHECK(b.stats().subscribers == 0);
      b.publish("c", {.data = "y"});
      CHECK(e.posted.size() == (posted ? 1 : 0));
    }
    CHECK(resumed == 0);
  }
}

TEST_CASE("evicted while the coroutine writes: resume.evicted() is called, once, and no resume") {
  for (bool const by_stream : {true, false}) {
    broker b;
    executor e;
    std::coroutine_handle<> writing;
    journal j;
    auto const run = [&](auto& source) -> coroutine {
      co_await support::suspends{&writing};
      j.why = co_await source;
    };
    ssewire::awaitable<pull_stream, post_to> stream(post_to{&e}, by_stream ? follow(b) : subscription{});
    ssewire::awaitable<subscription, post_to> plain(post_to{&e}, by_stream ? subscription{} : follow(b));
    auto const running = by_stream ? run(stream) : run(plain);
    b.drain({}, {});
    b.tick(ssewire::steady_time{});
    CHECK(e.evictions == 1);
    CHECK(e.posted.empty());
    writing.resume();
    CHECK(running.done());
    // A stream's end is read.
    CHECK(j.why == (by_stream ? close_reason::none : close_reason::drain_forced));
    if (by_stream) CHECK(stream->read(nullptr, 0).status == read_status::nothing);
    char room[10];
    if (by_stream) CHECK(stream->read(room, sizeof room).status == read_status::complete);
  }
}

TEST_CASE("wake_up() ends a wait, and means nothing to one that does not wait") {
  broker b;
  executor e;
  journal j;
  ssewire::awaitable<subscription, post_to> source(post_to{&e}, follow(b));
  batch next;
  (void)source->pull(next, 4096);
  auto const wait = [&]() -> coroutine {
    for (;;) {
      ++j.waits;
      co_await source;
    }
  };
  source.wake_up();
  auto const running = wait();
  CHECK(j.waits == 1);
  source.wake_up();
  source.wake_up();
  CHECK(e.posted.size() == 1);
  e.run();
  CHECK(j.waits == 2);
  b.publish("c", {.data = "x"});
  CHECK(e.posted.size() == 1);
  (void)source->pull(next, 4096);
  e.run();
  CHECK(j.waits == 3);
}

TEST_CASE("a heartbeat that is due resumes the coroutine, which reads it") {
  broker b;
  executor e;
  std::string text;
  ssewire::awaitable<pull_stream, post_to> stream(post_to{&e}, follow(b), ssewire::stream_options{},
                                                  ssewire::timing_options{10s, 0s});
  auto const run = [&]() -> coroutine {
    char room[100];
    for (;;) {
      auto const got = stream->read(room, sizeof room);
      text.append(room, got.bytes);
      if (got.status == read_status::nothing) co_await stream;
    }
  };
  auto const running = run();
  auto now = ssewire::steady_time{1h};
  stream->poll(now);
  stream->poll(now += 5s);
  CHECK(e.posted.empty());
  stream->poll(now += 5s);
  CHECK(e.posted.size() == 1);
  e.run();
  CHECK(text == position_event(0) + ":\n\n");
}

TEST_CASE("the awaitable and the frame may be gone as soon as it is resumed") {
  // Its end is inside the hook that resumes it, inside the stream's own call.
  for (int call = 0; call < 3; ++call) {
    broker b;
    journal j;
    ssewire::awaitable<pull_stream, at_once>* stream = nullptr;
    auto const run = [&](subscription from) -> coroutine {
      says_when_gone const at_end{&j};
      ssewire::awaitable<pull_stream, at_once> mine(at_once{}, std::move(from));
      stream = &mine;
      char room[100];
      while (mine->read(room, sizeof room).status == read_status::bytes) {
      }
      co_await mine;
    };
    auto const running = run(follow(b));
    CHECK_FALSE(j.gone);
    if (call == 0) b.publish("c", {.data = "x"});
    if (call == 1) CHECK((*stream)->send({.data = "x"}) == errc::ok);
    if (call == 2) stream->wake_up();
    CHECK(j.gone);
    CHECK(b.stats().subscribers == 0);
  }
}

}  // namespace
