// SPDX-License-Identifier: MIT
// What each answer of a writer means in every driver. With `pending` all bytes are taken and with `closed`
// none, whatever number `bytes` holds. A status that does not exist ends the stream. Best run with the
// address sanitizer.
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/wire/serializer.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/closure_executor.hpp>
#include <support/events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
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
using ssewire::stream_state;
using ssewire::write_result;
using ssewire::write_status;
using support::answer;
using support::frame;
using support::peer;
using support::position_event;
using support::scripted_tls_writer;
using support::scripted_writer;

using traits = support::epoch_traits;
using broker = ssewire::basic_broker<traits>;
template <class Writer> using reactor_of = ssewire::basic_reactor<Writer, traits>;
using reactor = reactor_of<scripted_writer>;

constexpr auto unknown = static_cast<write_status>(77);
constexpr auto huge = (std::numeric_limits<std::size_t>::max)();

std::vector<std::size_t> garbage(std::size_t total) {
  return {0, 1, total - 1, total, total + 1, huge - 1, huge};
}

std::vector<close_reason> once(close_reason why) { return {why}; }

std::string body_of(std::string const& bytes, framing body) {
  return body == framing::raw ? bytes : support::decode_chunked(bytes).body;
}

auto follow(broker& b) {
  auto result = b.subscribe("c");
  REQUIRE(result);
  return std::move(result.value);
}

template <class Writer> void run(reactor_of<Writer>& r, ssewire::steady_time now = {}) {
  while (r.poll(now).more) {
  }
}

TEST_CASE("what an answer takes is decided by its status, before its bytes are looked at") {
  using ssewire::detail::no_answer;
  using ssewire::detail::taken_of;
  for (auto const bytes : garbage(10)) {
    CHECK(taken_of({write_status::pending, bytes}, 10) == 10);
    CHECK(taken_of({write_status::closed, bytes}, 10) == 0);
    CHECK(taken_of({write_status::again, bytes}, 10) == (bytes <= 10 ? bytes : no_answer));
    CHECK(taken_of({write_status::ok, bytes}, 10) == (bytes != 0 && bytes <= 10 ? bytes : no_answer));
    CHECK(taken_of({unknown, bytes}, 10) == no_answer);
  }
}

template <class Writer>
ssewire::stream<Writer, ssewire::basic_subscription<traits>> make(peer& to, broker* of,
                                                                  ssewire::stream_options const& how) {
  if (of == nullptr) return ssewire::stream<Writer, ssewire::basic_subscription<traits>>(Writer(to), how);
  return ssewire::stream<Writer, ssewire::basic_subscription<traits>>(Writer(to), follow(*of), how);
}

// `first`: what the writer takes before, with `ok`. Then `pending`, with any number of bytes, and all is
// sent and goes on.
template <class Writer> void stream_that_is_pending(bool of_broker, framing body, std::size_t first) {
  auto const event = of_broker ? position_event(0) : std::string("data: x\n\n");
  auto const size = event.size() + (body == framing::raw ? 0 : event.size() < 16 ? 5 : 6);
  for (auto const bytes : garbage(size - first)) {
    CAPTURE(bytes);
    broker b;
    peer to;
    to.chunked = body == framing::chunked;
    auto s =
        make<Writer>(to, of_broker ? &b : nullptr, {.body = body, .same_bytes_again = Writer::same_bytes});
    if (!of_broker) REQUIRE(s.send({.data = "x"}) == errc::ok);
    if (first != 0) to.script.push_back(answer::take(first));
    to.script.push_back(answer::pending(bytes));
    CHECK(s.pump() == stream_state::pending);
    CHECK(s.reason() == close_reason::none);
    CHECK(s.bytes_sent() == size);
    to.check_in_flight("while it is pending");
    to.landed();
    s.written(true);
    CHECK(s.send({.data = "y"}) == errc::ok);
    CHECK(s.pump() == stream_state::idle);
    CHECK(body_of(to.taken, body) == event + "data: y\n\n");
  }
}

TEST_CASE("a stream keeps what is pending, whatever number of bytes the answer names") {
  for (auto const body : {framing::raw, framing::chunked}) {
    for (bool const of_broker : {false, true}) {
      for (std::size_t const first : {0u, 4u}) {
        stream_that_is_pending<scripted_writer>(of_broker, body, first);
        stream_that_is_pending<scripted_tls_writer>(of_broker, body, first);
      }
    }
  }
}

TEST_CASE(
    "in a reactor, alone and in step, what is pending is kept, whatever number of bytes the answer names") {
  for (auto const body : {framing::raw, framing::chunked}) {
    auto const size = frame(1, "x").size() + (body == framing::raw ? 0 : 6);
    for (bool const beat : {false, true}) {
      std::string const sent = beat ? (body == framing::raw ? ":\n\n" : "3\r\n:\n\n\r\n") : "";
      for (std::size_t const first : {0u, 2u}) {
        for (auto const bytes : garbage((beat ? sent.size() : size) - first)) {
          for (bool const alone : {false, true}) {
            for (std::size_t const who : {0u, 1u, 2u}) {
              CAPTURE(bytes);
              broker b;
              std::array<peer, 3> to;
              reactor r({}, {.heartbeat = 10s, .stall_time = 0s});
              std::array<ssewire::stream_id, 3> ids;
              for (std::size_t i = 0; i < 3; ++i) {
                if (alone && i != who) continue;
                ids[i] = r.add(scripted_writer(to[i]), follow(b), {.body = body}).value;
              }
              run(r);
              for (auto& p : to) p.taken.clear();
              if (first != 0) to[who].script.push_back(answer::take(first));
              to[who].script.push_back(answer::pending(bytes));
              if (!beat) REQUIRE(b.publish("c", {.data = "x"}));
              run(r, ssewire::steady_time(beat ? 10s : 1s));
              CHECK(r.state(ids[who]) == stream_state::pending);
              for (int i = 0; i < 3; ++i) REQUIRE(b.publish("c", {.data = "y"}));
              run(r, ssewire::steady_time(11s));
              to[who].landed();
              r.written(ids[who], true);
              run(r, ssewire::steady_time(11s));
              auto const first_id = beat ? 1u : 2u;
              for (std::size_t i = 0; i < 3; ++i) {
                if (alone && i != who) continue;
                CHECK(body_of(to[i].taken, body) == (beat ? ":\n\n" : frame(1, "x")) + frame(first_id, "y") +
                                                        frame(first_id + 1, "y") + frame(first_id + 2, "y"));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a posted stream keeps what is pending, whatever number of bytes the answer names") {
  for (auto const bytes : garbage(position_event(0).size())) {
    CAPTURE(bytes);
    broker b;
    support::closure_executor on;
    peer to;
    auto const s = ssewire::post_stream(scripted_writer(to), support::post_to{&on}, follow(b));
    to.script.push_back(answer::pending(bytes));
    s->start();
    CHECK(s->state() == stream_state::pending);
    REQUIRE(b.publish("c", {.data = "x"}));
    on.run();
    to.landed();
    s->written(true);
    on.run();
    CHECK(to.taken == position_event(0) + frame(1, "x"));
    CHECK(s->reason() == close_reason::none);
  }
}

// ---- closed, and no status at all ----

struct ending {
  write_result says;
  close_reason why;
};

std::vector<ending> endings(std::size_t total) {
  std::vector<ending> all;
  for (auto const bytes : garbage(total)) {
    all.push_back({{write_status::closed, bytes}, close_reason::peer_gone});
    all.push_back({{unknown, bytes}, close_reason::writer_broke_contract});
    if (bytes > total) all.push_back({{write_status::again, bytes}, close_reason::writer_broke_contract});
    if (bytes > total || bytes == 0)
      all.push_back({{write_status::ok, bytes}, close_reason::writer_broke_contract});
  }
  return all;
}

TEST_CASE(
    "closed, whatever number of bytes it names, is the peer's going, and no status is a broken contract") {
  auto const size = frame(1, "x").size();
  for (auto const& [says, why] : endings(size)) {
    CAPTURE(static_cast<int>(says.status));
    CAPTURE(says.bytes);
    auto const last = answer::exactly(says.status, says.bytes);
    for (std::size_t const in_step : {1u, 3u}) {
      broker b;
      std::vector<std::unique_ptr<peer>> to;
      reactor r;
      for (std::size_t i = 0; i < in_step; ++i) {
        to.push_back(std::make_unique<peer>());
        REQUIRE(r.add(scripted_writer(*to[i]), follow(b)));
      }
      run(r);
      to[0]->script.push_back(last);
      REQUIRE(b.publish("c", {.data = "x"}));
      run(r);
      CHECK(to[0]->closed == once(why));
      CHECK(to[0]->taken == position_event(0));
      CHECK(r.size() == in_step - 1);
      if (in_step == 3) CHECK(to[2]->taken == position_event(0) + frame(1, "x"));
    }
    {
      broker b;
      support::closure_executor on;
      peer to;
      auto const s = ssewire::post_stream(scripted_writer(to), support::post_to{&on}, follow(b));
      s->start();
      to.script.push_back(last);
      REQUIRE(b.publish("c", {.data = "x"}));
      on.run();
      CHECK(to.closed == once(why));
    }
    {
      peer to;
      ssewire::stream<scripted_writer> s{scripted_writer(to)};
      REQUIRE(s.send({.data = std::string(size - 8, 'x')}) == errc::ok);
      to.script.push_back(last);
      CHECK(s.pump() == stream_state::closed);
      CHECK(to.closed == once(why));
      CHECK(s.bytes_sent() == 0);
    }
  }
}

TEST_CASE(
    "serve_blocking looks at the bytes of ok and again only, also when the broker has ended the stream") {
  for (bool const ended : {false, true}) {
    auto const size = position_event(0).size();
    auto all = endings(size);
    for (auto const bytes : garbage(size))
      all.push_back({{write_status::pending, bytes}, close_reason::writer_broke_contract});
    for (auto const& [says, why] : all) {
      CAPTURE(static_cast<int>(says.status));
      CAPTURE(says.bytes);
      broker b;
      peer to;
      scripted_writer w(to);
      to.at_closed = [&](close_reason, ssewire::ending) { to.stop_transport(); };
      to.script.push_back(answer::exactly(says.status, says.bytes).calling([&] {
        if (!ended) return;
        b.drain({}, {});
        b.tick({});
      }));
      auto const got = ssewire::serve_blocking(follow(b), w);
      CHECK(got == (ended ? close_reason::drain_forced : why));
      CHECK(to.closed == once(got));
      CHECK(to.offers.size() == 1);
    }
  }
}

}  // namespace
