// SPDX-License-Identifier: MIT
// open_stream_test.cpp - from a request to a stream, without a server: open_stream() and event_service.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/drivers/open_stream.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/http/endpoint.hpp>

#include <support/broker_bytes.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::endpoint;
using ssewire::errc;
using ssewire::stream_request;
using ssewire::verdict;

using traits = support::epoch_traits;
using broker = ssewire::basic_broker<traits>;

// A server's request.
struct request {
  std::string method = "GET";
  std::string target = "/events";
  std::string last_event_id = {};
  std::string user = {};
};
using service = ssewire::event_service<request, traits>;

stream_request read(endpoint const& at, request const& from) {
  return at.read(from.method, from.target, ssewire::http_version::http_1_1,
                 [&](std::string_view name) -> ssewire::optional_text {
                   if (name == "Last-Event-ID") return from.last_event_id;
                   return {};
                 });
}

constexpr ssewire::steady_time now{1h};

TEST_CASE("a request that may have a stream gets its fields and a subscription as the program says") {
  broker b;
  endpoint const at({.channels = {"a", "b"}});
  REQUIRE(b.publish("a", "1"));
  REQUIRE(b.publish("b", "2", {.tag = 2}));
  auto const first = ssewire::open_stream(at, b, read(at, {}), verdict{.user = "ann"}, b.closes(), now);
  CHECK(first.response.status == 200);
  CHECK(first.response.opens_stream);
  CHECK(b.users("a") == 1);
  CHECK(b.subscribers("b") == 1);
  auto resumed = ssewire::open_stream(at, b, read(at, {.last_event_id = support::id(1)}), verdict{}, 0, now);
  CHECK(support::pull_all(resumed.from) == support::position_event(1) + support::frame(2, "2"));
  auto begun =
      ssewire::open_stream(at, b, read(at, {}), verdict{.start = ssewire::start_at::last(1)}, 0, now);
  CHECK(begun.from.backlog() == 1);
  auto filtered = ssewire::open_stream(
      at, b, read(at, {.last_event_id = support::id(0)}),
      verdict{.filter = [](ssewire::event_header const& e) { return e.tag == 2; }}, 0, now);
  CHECK(support::pull_all(filtered.from) == support::position_event(0) + support::frame(2, "2"));
  auto expiring = ssewire::open_stream(at, b, read(at, {}), verdict{.expires = now + 1s}, 0, now);
  b.tick(now + 1s);
  CHECK(expiring.from.reason() == close_reason::expired);
}

TEST_CASE("who may not have a stream gets an answer, and nothing is subscribed") {
  broker b({.max_subscribers = 1});
  endpoint const at({.channels = {"a"}});
  struct {
    request from;
    errc says;
    int status;
  } const rows[] = {
      {{.method = "HEAD"}, errc::ok, 200},
      {{.method = "OPTIONS"}, errc::ok, 204},
      {{.method = "OPTIONS"}, errc::not_authenticated, 204},
      {{.method = "DELETE"}, errc::ok, 405},
      {{}, errc::not_authenticated, 401},
      {{}, errc::not_allowed, 403},
      {{.method = "HEAD"}, errc::not_allowed, 403},
  };
  for (auto const& row : rows) {
    auto const opened = ssewire::open_stream(at, b, read(at, row.from), verdict{.refused = row.says}, 0, now);
    CAPTURE(row.from.method);
    CHECK(opened.response.status == row.status);
    CHECK_FALSE(opened.response.opens_stream);
    CHECK_FALSE(opened.from);
    CHECK(b.stats().subscribers == 0);
  }
  auto const only = ssewire::open_stream(at, b, read(at, {}), verdict{}, 0, now);
  auto const refused = ssewire::open_stream(at, b, read(at, {}), verdict{}, 0, now);
  CHECK(refused.response.status == 200);
  CHECK(refused.response.body.starts_with("retry: "));
  CHECK_FALSE(refused.from);
}

TEST_CASE("a request that was authenticated before its user was signed out gets no stream") {
  broker b;
  service events(
      b, {.channels = {"a"}},
      [&](stream_request const&, request const& from) {
        b.close_user(from.user);  // meanwhile
        return verdict{.user = from.user};
      },
      10);
  auto const answer = events.open(read(events.at(), {}), {.user = "ann"});
  CHECK_FALSE(answer.response.opens_stream);
  CHECK(answer.stream == nullptr);
  CHECK(b.stats().refusals[static_cast<std::size_t>(errc::revoked)] == 1);
  CHECK(events.open(read(events.at(), {}), {.user = ""}).response.opens_stream);
}

TEST_CASE("a service opens so many streams and no more, and a place is free when its stream is gone") {
  broker b;
  service events(b, {.channels = {"a"}}, {}, 2);
  auto const open = [&] { return events.open(read(events.at(), {}), {}); };
  auto one = open();
  auto two = open();
  REQUIRE((one.stream && two.stream));
  CHECK(events.streams() == 2);
  auto const refused = open();
  CHECK_FALSE(refused.response.opens_stream);
  CHECK(refused.response.body.starts_with("retry: "));
  CHECK(events.streams() == 2);
  for (auto const* method : {"HEAD", "OPTIONS", "PUT"}) {
    (void)events.open(read(events.at(), {.method = method}), {});
    CHECK(events.streams() == 2);
  }
  auto copy = two.stream;
  two.stream.reset();
  CHECK(events.streams() == 2);
  copy.reset();
  CHECK(events.streams() == 1);
  CHECK(b.stats().subscribers == 1);
  CHECK(open().stream != nullptr);
}

TEST_CASE("requests that get no stream take nobody's place, not even for a moment") {
  ssewire::broker b;
  ssewire::event_service<request> events(
      b, {.channels = {"a"}},
      [](stream_request const&, request const& from) {
        return verdict{.refused = from.user.empty() ? errc::ok : errc::not_allowed};
      },
      1);
  std::atomic<bool> over{false};
  std::thread asks([&] {
    while (!over) {
      for (auto const* method : {"HEAD", "OPTIONS", "PUT", "GET"})
        (void)events.open(read(events.at(), {.method = method}), {.user = "banned"});
    }
  });
  int opened = 0;
  for (int i = 0; i < 2000; ++i) opened += events.open(read(events.at(), {}), {}).stream != nullptr ? 1 : 0;
  over = true;
  asks.join();
  CHECK(opened == 2000);
}

TEST_CASE("what the program throws leaves no stream and takes no place") {
  broker b;
  service events(
      b, {.channels = {"a"}}, [](auto const&, auto const&) -> verdict { throw 7; }, 1);
  for (int i = 0; i < 3; ++i) {
    bool threw = false;
    try {
      (void)events.open(read(events.at(), {}), {});
    } catch (int) {
      threw = true;
    }
    CHECK(threw);
    CHECK(events.streams() == 0);
    CHECK(b.stats().subscribers == 0);
  }
  CHECK(events.open(read(events.at(), {.method = "PUT"}), {}).response.status ==
        405);  // the program is not asked
}

struct in_memory {
  ssewire::write_result write(ssewire::buffers b) {
    std::size_t all = 0;
    for (auto const piece : b) all += piece.size();
    return {ssewire::write_status::ok, all};
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("a drain ends the streams and returns when they are gone, or soon after its time") {
  for (bool const stuck : {false, true}) {
    CAPTURE(stuck);
    ssewire::broker b;
    ssewire::event_service<request> events(b, {.channels = {"a"}}, {}, 10);
    auto const request_of = [&] { return read(events.at(), {}); };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([its = events.open(request_of(), {}).stream]() mutable {
        in_memory to;
        CHECK(ssewire::serve_blocking(std::move(its->from), to) == close_reason::drained);
        its.reset();
      });
    }
    auto held = stuck ? events.open(request_of(), {}).stream : nullptr;  // no driver serves it
    auto const began = std::chrono::steady_clock::now();
    events.drain(200ms);
    CHECK(events.streams() == (stuck ? 1 : 0));
    if (stuck) CHECK(std::chrono::steady_clock::now() - began >= 200ms);
    if (stuck) CHECK(held->from.reason() == close_reason::drain_forced);
    for (auto& each : threads) each.join();
    CHECK_FALSE(events.open(request_of(), {}).response.opens_stream);
  }
}

}  // namespace
