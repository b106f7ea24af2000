// SPDX-License-Identifier: MIT
#include <ssewire/stream/stream.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::framing;
using ssewire::stream_state;
using ssewire::write_status;
using support::answer;
using support::checkpoint;
using support::decode_chunked;
using support::frame;
using support::peer;
using support::position_event;
using support::scripted_tls_writer;
using support::scripted_writer;

using broker = ssewire::basic_broker<support::epoch_traits>;
template <class Writer>
using stream_to = ssewire::stream<Writer, ssewire::basic_subscription<support::epoch_traits>>;
using stream = stream_to<scripted_writer>;
// What drivers share a scratch with.
using pumped = ssewire::detail::pump<scripted_writer, ssewire::basic_subscription<support::epoch_traits>>;
using tls_stream = stream_to<scripted_tls_writer>;

static_assert(ssewire::writer<scripted_writer>);
static_assert(!std::is_copy_constructible_v<scripted_writer>, "a writer need not be copyable");
static_assert(!std::is_move_constructible_v<stream>, "a writer may hold on to its bytes");

ssewire::stream_options chunked() { return {.body = framing::chunked}; }

std::string in_chunk(std::string const& body) {
  return std::string(ssewire::chunk_head(body.size()).view()) + body + "\r\n";
}

stream_state turn(pumped& s) { return s.run(); }
template <class Writer> stream_state turn(stream_to<Writer>& s) { return s.pump(); }

/// Until it waits; a test that never gets there fails.
template <class Stream> stream_state pump_all(Stream& s) {
  for (int i = 0; i < 100'000; ++i) {
    auto const state = turn(s);
    if (state != stream_state::more) return state;
  }
  FAIL("the stream never waits");
  return stream_state::more;
}

/// Until it is idle or closed: says writable() and written() whenever it waits.
template <class Stream> stream_state pump_through(Stream& s, peer& to) {
  for (int i = 0; i < 100'000; ++i) {
    auto const state = turn(s);
    if (state == stream_state::idle || state == stream_state::closed) return state;
    if (state == stream_state::blocked) {
      to.let_go();
      s.writable();
    } else if (state == stream_state::pending) {
      to.landed();
      s.written(true);
    }
  }
  FAIL("the stream never ends");
  return stream_state::more;
}

ssewire::basic_subscription<support::epoch_traits> follow(broker& b,
                                                          ssewire::subscribe_options const& how = {}) {
  auto result = b.subscribe("c", how);
  REQUIRE(result.error == errc::ok);
  return std::move(result.value);
}

/// With a subscription of this broker, or, if there is none, without one.
stream make(peer& to, broker* of, ssewire::stream_options const& how = {}) {
  if (of == nullptr) return stream(scripted_writer(to), how);
  return stream(scripted_writer(to), follow(*of), how);
}

std::vector<close_reason> once(close_reason why) { return {why}; }

// ---- without a broker ----

TEST_CASE("what is queued is sent in its order, and then the stream is finished") {
  peer to;
  stream s{scripted_writer(to)};
  CHECK(s.state() == stream_state::more);
  CHECK(s.send({.type = "token", .data = "a"}) == errc::ok);
  CHECK(s.comment("note\nb") == errc::ok);
  CHECK(s.send({.data = "c"}) == errc::ok);
  CHECK(to.offers.empty());
  CHECK(pump_all(s) == stream_state::idle);
  CHECK(to.taken == "event: token\ndata: a\n\n: note\n: b\n\ndata: c\n\n");
  CHECK(s.send({.data = "last"}) == errc::ok);
  s.finish();
  CHECK(to.completed == 0);
  CHECK(s.state() == stream_state::more);
  CHECK(pump_all(s) == stream_state::closed);
  CHECK(to.taken == "event: token\ndata: a\n\n: note\n: b\n\ndata: c\n\ndata: last\n\n");
  CHECK(s.reason() == close_reason::finished);
  CHECK(to.completed == 1);
  CHECK(to.cut == 0);
  CHECK(to.closed == once(close_reason::finished));
  CHECK(s.bytes_sent() == to.taken.size());
}

TEST_CASE("without a broker an event may bring its ID") {
  peer to;
  stream s{scripted_writer(to)};
  CHECK(s.send({.data = "x", .id = "7"}) == errc::ok);
  CHECK(s.send({.data = "y", .id = ""}) == errc::ok);
  pump_all(s);
  CHECK(to.taken == "id: 7\ndata: x\n\nid: \ndata: y\n\n");
}

TEST_CASE("a stream with a subscription refuses an ID in send, and takes the event without it") {
  broker b;
  peer to;
  stream s(scripted_writer(to), follow(b));
  CHECK(s.send({.data = "x", .id = "7"}) == errc::id_refused);
  CHECK(s.send({.data = "x", .id = ""}) == errc::id_refused);
  CHECK(s.send({.data = "x"}) == errc::ok);
  pump_all(s);
  CHECK(to.taken == "data: x\n\n" + position_event(0));
  b.drain({}, {});
  pump_all(s);
  CHECK(s.send({.data = "x", .id = "7"}) == errc::id_refused);  // also when its subscription is gone
}

TEST_CASE("the outbox is full at the byte beyond its limit") {
  auto const size = ssewire::serialized_size({.data = "0123456789"});
  for (auto const& [limit, error] : {std::pair{2 * size, errc::ok}, {2 * size - 1, errc::outbox_full}}) {
    peer to;
    stream s(scripted_writer(to), {.max_outbox_bytes = limit});
    CHECK(s.send({.data = "0123456789"}) == errc::ok);
    CHECK(s.send({.data = "0123456789"}) == error);
    pump_all(s);
    CHECK(to.taken.size() == (error == errc::ok ? 2 * size : size));  // refused: nothing of it was queued
    CHECK(s.send({.data = "0123456789"}) == errc::ok);
  }
  for (auto const& [limit, error] :
       {std::pair{std::size_t{9}, errc::ok}, {std::size_t{8}, errc::outbox_full}}) {
    peer to;
    stream s(scripted_writer(to), {.max_outbox_bytes = limit});
    CHECK(s.comment("note!") == error);
    pump_all(s);
    CHECK(to.taken.empty() == (error != errc::ok));
  }
}

TEST_CASE("the outbox of a blocked stream is bounded") {
  peer to;
  to.otherwise = [](std::size_t) { return answer::again(); };
  stream s(scripted_writer(to), {.max_outbox_bytes = 100});
  std::size_t accepted = 0;
  for (int i = 0; i < 100; ++i) {
    if (s.send({.data = "0123456789"}) == errc::ok) ++accepted;
    s.pump();
  }
  CHECK(accepted <= 2 * 100 / ssewire::serialized_size({.data = "0123456789"}));
  to.otherwise = {};
  pump_through(s, to);
  CHECK(to.taken.size() == accepted * ssewire::serialized_size({.data = "0123456789"}));
}

TEST_CASE("a stream that ends takes nothing more") {
  for (bool const in_order : {true, false}) {
    peer to;
    stream s{scripted_writer(to)};
    CHECK(s.send({.data = "x"}) == errc::ok);
    in_order ? s.finish() : s.close();
    CHECK(s.send({.data = "y"}) == errc::closed);
    CHECK(s.comment("y") == errc::closed);
    pump_all(s);
    s.heartbeat();
    CHECK(s.pump() == stream_state::closed);
    CHECK(s.send({.data = "y"}) == errc::closed);
    CHECK(to.taken == (in_order ? "data: x\n\n" : ""));
    CHECK(to.closed == once(in_order ? close_reason::finished : close_reason::removed));
  }
}

// ---- preamble and framing ----

TEST_CASE("the preamble comes first and outside the framing") {
  for (auto const body : {framing::raw, framing::chunked}) {
    for (std::size_t cut = 0; cut <= 30; ++cut) {
      peer to;
      to.script.push_back(answer::again(cut));
      stream s(scripted_writer(to), {.body = body, .preamble = "HTTP/1.1 200 OK\r\n\r\n"});
      CHECK(s.send({.data = "x"}) == errc::ok);
      CHECK(pump_through(s, to) == stream_state::idle);
      std::string const frames = "data: x\n\n";
      CHECK(to.taken == "HTTP/1.1 200 OK\r\n\r\n" + (body == framing::raw ? frames : in_chunk(frames)));
    }
  }
}

TEST_CASE("raw framing sends the broker's frames as they are") {
  broker b;
  b.publish("c", {.data = "before"});
  peer to;
  stream s(scripted_writer(to), follow(b));
  b.publish("c", {.data = "a"});
  b.publish("other", {.data = "not this"});
  b.publish("c", {.data = "b"});
  CHECK(pump_all(s) == stream_state::idle);
  CHECK(to.taken == position_event(1) + frame(2, "a") + frame(4, "b"));
  CHECK(to.offers.size() == 1);  // one gathered write
}

TEST_CASE("chunked framing puts one chunk around each gathered write, and the last chunk before finish") {
  broker b;
  peer to;
  stream s(scripted_writer(to), follow(b), chunked());
  b.publish("c", {.data = "a"});
  b.publish("c", {.data = "b"});
  CHECK(pump_all(s) == stream_state::idle);
  auto wire = in_chunk(position_event(0) + frame(1, "a") + frame(2, "b"));
  CHECK(to.taken == wire);
  CHECK(to.offers.size() == 1);
  CHECK(s.send({.data = "p"}) == errc::ok);
  CHECK(s.send({.data = "q"}) == errc::ok);
  s.finish();
  CHECK(pump_all(s) == stream_state::closed);
  wire += in_chunk("data: p\n\ndata: q\n\n") + "0\r\n\r\n";
  CHECK(to.taken == wire);
  CHECK(to.completed == 1);
  CHECK(s.bytes_sent() == wire.size());
}

TEST_CASE("an aborted chunked stream has no last chunk: the client must see that it was cut") {
  peer to;
  stream s(scripted_writer(to), chunked());
  CHECK(s.send({.data = "x"}) == errc::ok);
  pump_all(s);
  s.close();
  CHECK(to.taken == in_chunk("data: x\n\n"));
  CHECK(to.cut == 1);
}

template <class Writer> void take_in_two(framing body) {
  std::string const all = position_event(0) + frame(1, "a") + frame(2, std::string(300, 'b')) + frame(3, "c");
  for (auto const how : {answer::kind::take, answer::kind::again}) {
    for (std::size_t first = 0; first <= all.size() + 6; ++first) {
      for (std::size_t const second : {std::size_t{1}, std::size_t{70}}) {
        if (how == answer::kind::take && first == 0) continue;
        CAPTURE(first);
        CAPTURE(second);
        broker b;
        peer to;
        to.chunked = body == framing::chunked;
        stream_to<Writer> s(Writer(to), follow(b), {.body = body, .same_bytes_again = Writer::same_bytes});
        b.publish("c", {.data = "a"});
        b.publish("c", {.data = std::string(300, 'b')});
        to.script.push_back({how, first, {}, {}});
        to.script.push_back({how, second, {}, {}});
        auto state = s.pump();
        b.publish("c", {.data = "c"});  // behind whatever has been begun
        if (state == stream_state::blocked) {
          to.let_go();
          s.writable();
        }
        CHECK(pump_through(s, to) == stream_state::idle);
        if (body == framing::raw) {
          CHECK(to.taken == all);
        } else {
          auto const got = decode_chunked(to.taken);
          CHECK(got.error == "");
          CHECK(got.at_border);
          CHECK(got.body == all);
        }
        CHECK(s.bytes_sent() == to.taken.size());
      }
    }
  }
}

TEST_CASE("wherever a writer stops, the rest follows: raw") { take_in_two<scripted_writer>(framing::raw); }
TEST_CASE("wherever a writer stops, the rest follows: chunked") {
  take_in_two<scripted_writer>(framing::chunked);
}
TEST_CASE("wherever a writer stops, the rest follows: raw, the same bytes again") {
  take_in_two<scripted_tls_writer>(framing::raw);
}
TEST_CASE("wherever a writer stops, the rest follows: chunked, the same bytes again") {
  take_in_two<scripted_tls_writer>(framing::chunked);
}

TEST_CASE("a chunked body whose writer takes a byte at a time says its lengths right") {
  for (auto const how : {answer::kind::take, answer::kind::again}) {
    broker b;
    peer to;
    to.otherwise = [how](std::size_t) { return answer{how, 1, {}, {}}; };
    stream s(scripted_writer(to), follow(b), chunked());
    b.publish("c", {.data = std::string(5000, 'x')});
    b.publish("c", {.data = "y"});
    CHECK(pump_through(s, to) == stream_state::idle);
    s.finish();
    CHECK(pump_through(s, to) == stream_state::closed);
    auto const got = decode_chunked(to.taken);
    CHECK(got.error == "");
    CHECK(got.ended);
    CHECK(got.body == position_event(0) + frame(1, std::string(5000, 'x')) + frame(2, "y"));
  }
}

TEST_CASE("a write holds max_write_bytes, and one larger event goes in one") {
  broker b;
  peer to;
  stream s(scripted_writer(to), follow(b), {.max_write_bytes = 200});
  for (int i = 0; i < 20; ++i) b.publish("c", {.data = "0123456789"});
  b.publish("c", {.data = std::string(900, 'x')});
  b.publish("c", {.data = "after"});
  CHECK(pump_all(s) == stream_state::idle);
  CHECK(std::count_if(to.offers.begin(), to.offers.end(), [](auto n) { return n > 200; }) == 1);
  CHECK(*std::max_element(to.offers.begin(), to.offers.end()) == frame(1, std::string(900, 'x')).size());
  CHECK(to.offers.size() >= 8);
  CHECK(s.bytes_sent() == to.taken.size());
}

TEST_CASE("a pump ends although there is always more") {
  broker b;
  peer to;
  to.otherwise = [&](std::size_t) {
    return answer::take().calling([&] { b.publish("c", {.data = "one more"}); });
  };
  stream s(scripted_writer(to), follow(b));
  CHECK(s.pump() == stream_state::more);
  CHECK(to.offers.size() <= 16);
}

// ---- waiting ----

TEST_CASE("after `again` nothing is offered until writable, whatever happens") {
  broker b;
  peer to;
  to.script.push_back(answer::again(20));
  stream s(scripted_writer(to), follow(b));
  CHECK(s.pump() == stream_state::blocked);
  b.publish("c", {.data = "x"});
  CHECK(s.send({.data = "p"}) == errc::ok);
  s.heartbeat();
  s.written(true);  // nothing is pending
  CHECK(s.pump() == stream_state::blocked);
  s.finish();
  CHECK(s.pump() == stream_state::blocked);
  CHECK(to.offers.size() == 1);
  to.let_go();
  s.writable();
  CHECK(s.state() == stream_state::more);
  CHECK(pump_all(s) == stream_state::closed);
  CHECK(to.taken == position_event(0) + "data: p\n\n");  // finish() sends what was queued, and pulls no more
}

TEST_CASE("writable from inside the write that says `again` is not lost") {
  broker b;
  peer to;
  stream s(scripted_writer(to), follow(b));
  to.script.push_back(answer::again(3).calling([&] {
    to.let_go();
    s.writable();
  }));
  CHECK(pump_all(s) == stream_state::idle);
  CHECK(to.taken == position_event(0));
}

TEST_CASE("written from inside a write that says `again` does not make it writable") {
  peer to;
  stream s{scripted_writer(to)};
  CHECK(s.send({.data = "x"}) == errc::ok);
  to.script.push_back(answer::again(3).calling([&] { s.written(true); }));
  CHECK(s.pump() == stream_state::blocked);
  CHECK(s.pump() == stream_state::blocked);
}

TEST_CASE("writable from inside a write that says `pending` does not end it") {
  for (bool const of_broker : {true, false}) {
    broker b;
    peer to;
    auto s = make(to, of_broker ? &b : nullptr);
    if (!of_broker) CHECK(s.send({.data = "x"}) == errc::ok);
    to.script.push_back(answer::pending().calling([&] { s.writable(); }));
    CHECK(s.pump() == stream_state::pending);
    b.publish("c", {.data = "y"});
    CHECK(s.pump() == stream_state::pending);
    to.landed();
    s.written(true);
    CHECK(pump_all(s) == stream_state::idle);
  }
}

TEST_CASE("the bytes of a pending write stay as they are until written, whatever happens") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b({.replay = {.max_events = 2}});
    peer to;
    to.script.push_back(answer::pending());
    pumped s(scripted_writer(to), follow(b), {.body = body});
    b.publish("c", {.data = std::string(6000, 'x')});
    ssewire::detail::held_write<pumped::batch> scratch;
    CHECK(s.run(scratch) == stream_state::pending);
    peer to_other;
    pumped other(scripted_writer(to_other), follow(b));
    for (int i = 0; i < 50; ++i) {
      b.publish("c", {.data = std::string(3000, static_cast<char>('a' + i % 26))});
      other.run(scratch);  // the driver's streams share it
      s.run(scratch);
    }
    CHECK(s.send({.data = "p"}) == errc::ok);
    s.heartbeat();
    s.writable();
    CHECK(s.run(scratch) == stream_state::pending);
    to.check_in_flight("later");
    CHECK(to.offers.size() == 1);
    to.landed();
    s.written(true);
    CHECK(s.state() == stream_state::more);
    CHECK(pump_all(s) == stream_state::idle);
    auto const bytes = body == framing::raw ? to.taken : decode_chunked(to.taken).body;
    CHECK(bytes == position_event(0) + frame(1, std::string(6000, 'x')) + "data: p\n\n" +
                       support::gap_event(49, "{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":48}") +
                       frame(50, std::string(3000, 'a' + 48 % 26)) +
                       frame(51, std::string(3000, 'a' + 49 % 26)));
  }
}

TEST_CASE("what is queued can be pending too") {
  for (auto const body : {framing::raw, framing::chunked}) {
    peer to;
    to.otherwise = [](std::size_t) { return answer::pending(); };
    stream s(scripted_writer(to), {.body = body, .preamble = "head\r\n\r\n"});
    CHECK(s.send({.data = "x"}) == errc::ok);
    CHECK(s.pump() == stream_state::pending);
    CHECK(s.send({.data = "y"}) == errc::ok);
    to.check_in_flight("later");
    CHECK(pump_through(s, to) == stream_state::idle);
    s.finish();
    CHECK(pump_through(s, to) == stream_state::closed);
    auto const frames = std::string("data: x\n\ndata: y\n\n");
    CHECK(to.taken == "head\r\n\r\n" + (body == framing::raw ? frames : in_chunk(frames) + "0\r\n\r\n"));
  }
}

TEST_CASE("written from inside the write that says `pending` is not lost") {
  for (bool const of_broker : {true, false}) {
    broker b;
    peer to;
    auto s = make(to, of_broker ? &b : nullptr);
    if (!of_broker) CHECK(s.send({.data = "x"}) == errc::ok);
    to.otherwise = [&](std::size_t) {
      return answer::pending().calling([&] {
        to.landed();
        s.written(true);
      });
    };
    CHECK(pump_all(s) == stream_state::idle);
    b.publish("c", {.data = "y"});
    CHECK(pump_all(s) == stream_state::idle);
    CHECK(to.taken == (of_broker ? position_event(0) + frame(1, "y") : "data: x\n\n"));
  }
}

TEST_CASE("a pending write that fails says that the peer is gone") {
  broker b;
  for (bool const inside : {false, true}) {
    peer to;
    stream s(scripted_writer(to), follow(b));
    auto const fail = [&] {
      to.landed();
      s.written(false);
    };
    to.script.push_back(inside ? answer::pending().calling(fail) : answer::pending());
    s.pump();
    if (!inside) fail();
    CHECK(s.state() == stream_state::closed);
    CHECK(to.closed == once(close_reason::peer_gone));
    CHECK(to.cut == 1);
    s.written(true);
    s.written(false);
    CHECK(s.pump() == stream_state::closed);
  }
}

TEST_CASE("written when nothing is pending means nothing") {
  broker b;
  peer to;
  stream s(scripted_writer(to), follow(b));
  s.written(true);
  s.written(false);
  CHECK(pump_all(s) == stream_state::idle);
  s.written(false);
  CHECK(s.state() == stream_state::idle);
  to.script.push_back(answer::pending());
  b.publish("c", {.data = "x"});
  CHECK(s.pump() == stream_state::pending);
  to.landed();
  s.written(true);
  s.written(false);
  CHECK(pump_all(s) == stream_state::idle);
  CHECK(to.taken == position_event(0) + frame(1, "x"));
}

TEST_CASE("a stream that is aborted keeps its pending bytes until they were written, or until its end") {
  for (bool const of_broker : {true, false}) {
    for (bool const is_written : {true, false}) {
      broker b({.replay = {.max_events = 1}});
      peer to;
      {
        auto s = make(to, of_broker ? &b : nullptr);
        b.publish("c", {.data = std::string(6000, 'x')});
        if (!of_broker) CHECK(s.send({.data = std::string(6000, 'x')}) == errc::ok);
        to.script.push_back(answer::pending());
        CHECK(s.pump() == stream_state::pending);
        s.close();
        CHECK(to.closed == once(close_reason::removed));
        for (int i = 0; i < 9; ++i) b.publish("c", {.data = std::string(6000, 'y')});
        to.check_in_flight("after abort()");
        if (is_written) {
          to.landed();
          s.written(true);
        } else {
          to.stop_transport();
        }
        CHECK(s.pump() == stream_state::closed);
      }
      CHECK(to.closed.size() == 1);
    }
  }
}

TEST_CASE("a stream that is aborted from inside the write that becomes pending keeps its bytes") {
  broker b({.replay = {.max_events = 1}});
  peer to;
  stream s(scripted_writer(to), follow(b));
  b.publish("c", {.data = std::string(6000, 'x')});
  to.script.push_back(answer::pending().calling([&] { s.close(); }));
  CHECK(s.pump() == stream_state::closed);
  CHECK(to.closed == once(close_reason::removed));
  for (int i = 0; i < 9; ++i) b.publish("c", {.data = std::string(6000, 'y')});
  to.landed();
  s.written(true);
}

TEST_CASE("a pump from inside the writer does nothing and says so") {
  broker b;
  peer to;
  stream s(scripted_writer(to), follow(b));
  to.script.push_back(answer::take(5).calling([&] { CHECK(s.pump() == stream_state::more); }));
  CHECK(pump_all(s) == stream_state::idle);
  CHECK(to.taken == position_event(0));
}

// ---- heartbeats ----

TEST_CASE("a heartbeat is a comment, and only an idle stream sends it") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b;
    peer to;
    stream s(scripted_writer(to), follow(b), {.body = body});
    s.heartbeat();  // not pumped yet
    CHECK(pump_all(s) == stream_state::idle);
    to.taken.clear();
    s.heartbeat();
    s.heartbeat();  // one is enough
    CHECK(pump_all(s) == stream_state::idle);
    CHECK(to.taken == (body == framing::raw ? ":\n\n" : "3\r\n:\n\n\r\n"));

    to.taken.clear();
    CHECK(s.send({.data = "x"}) == errc::ok);
    s.heartbeat();  // there is something to send anyway
    to.script.push_back(answer::again(2));
    CHECK(s.pump() == stream_state::blocked);
    s.heartbeat();  // inside a frame
    to.let_go();
    s.writable();
    s.heartbeat();
    to.script.push_back(answer::pending());
    CHECK(s.pump() == stream_state::pending);
    s.heartbeat();
    CHECK(pump_through(s, to) == stream_state::idle);
    CHECK(to.taken == (body == framing::raw ? "data: x\n\n" : in_chunk("data: x\n\n")));
  }
}

// ---- how a stream ends ----

TEST_CASE("a writer that breaks its contract loses its stream") {
  using enum write_status;
  for (auto const& [status, extra, breaks] :
       {std::tuple{ok, 1, true}, {ok, 0, false}, {again, 1, true}, {again, 0, false}}) {
    for (bool const of_broker : {true, false}) {
      for (auto const body : {framing::raw, framing::chunked}) {
        broker b;
        peer to;
        auto s = make(to, of_broker ? &b : nullptr, {.body = body});
        if (!of_broker) CHECK(s.send({.data = "x"}) == errc::ok);
        auto size = of_broker ? position_event(0).size() : 9;
        if (body == framing::chunked) size += of_broker ? 6 : 5;
        to.script.push_back(answer::exactly(status, size + static_cast<std::size_t>(extra)));
        s.pump();
        CHECK((s.state() == stream_state::closed) == breaks);
        CHECK(s.reason() == (breaks ? close_reason::writer_broke_contract : close_reason::none));
        CHECK(to.cut == (breaks ? 1 : 0));
        CHECK(s.pump() == (breaks            ? stream_state::closed
                           : status == again ? stream_state::blocked
                                             : stream_state::idle));
        CHECK(to.offers.size() == 1);
      }
    }
  }
  peer to;
  stream s{scripted_writer(to)};
  CHECK(s.send({.data = "x"}) == errc::ok);
  to.script.push_back(answer::exactly(ok, 0));
  CHECK(s.pump() == stream_state::closed);
  CHECK(to.closed == once(close_reason::writer_broke_contract));
  CHECK(s.bytes_sent() == 0);
}

TEST_CASE("what a writer throws leaves pump, and the stream is closed") {
  for (bool const of_broker : {true, false}) {
    broker b;
    peer to;
    auto s = make(to, of_broker ? &b : nullptr);
    if (!of_broker) CHECK(s.send({.data = "x"}) == errc::ok);
    to.script.push_back(answer::take(3));
    to.script.push_back(answer::raise().calling([&] { s.close(close_reason::stalled); }));
    CHECK_THROWS_AS(pump_all(s), support::scripted_error);
    CHECK(s.state() == stream_state::closed);
    CHECK(s.reason() == close_reason::writer_threw);
    CHECK(to.cut == 1);
    CHECK(to.completed == 0);
    CHECK(to.closed == once(close_reason::writer_threw));
    CHECK(s.pump() == stream_state::closed);
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("what on_closed throws is dropped") {
  for (bool const in_order : {true, false}) {
    peer to;
    to.at_closed = [](close_reason, ssewire::ending) { throw std::runtime_error("no"); };
    stream s{scripted_writer(to)};
    in_order ? s.finish() : s.close();
    CHECK(s.pump() == stream_state::closed);
    CHECK(to.closed.size() == 1);
  }
}

TEST_CASE("a writer that says `closed` hears that it was cut and nothing more") {
  for (bool const of_broker : {true, false}) {
    broker b;
    peer to;
    auto s = make(to, of_broker ? &b : nullptr);
    CHECK(s.send({.data = "x"}) == errc::ok);
    b.publish("c", {.data = "y"});
    to.script.push_back(answer::closed());
    CHECK(s.pump() == stream_state::closed);
    CHECK(to.closed == once(close_reason::peer_gone));
    CHECK(to.cut == 1);
    CHECK(to.offers.size() == 1);
    CHECK(s.bytes_sent() == 0);
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("a stream destroyed in any state tells its writer once") {
  for (int how = 0; how < 5; ++how) {
    CAPTURE(how);
    broker b;
    peer to;
    {
      stream s(scripted_writer(to), follow(b));
      if (how == 1) pump_all(s);
      if (how == 2) to.script.push_back(answer::again(5));
      if (how == 3) to.script.push_back(answer::pending());
      if (how == 4) s.finish();
      if (how >= 2) pump_all(s);
      to.stop_transport();
    }
    CHECK(to.writer_gone);
    CHECK(to.completed == (how == 4 ? 1 : 0));
    CHECK(to.cut == (how == 4 ? 0 : 1));
    CHECK(to.closed == once(how == 4 ? close_reason::finished : close_reason::removed));
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("abort from inside the writer comes after it, whatever it answers") {
  for (int how = 0; how < 6; ++how) {
    for (bool const of_broker : {true, false}) {
      CAPTURE(how);
      broker b;
      peer to;
      auto s = make(to, of_broker ? &b : nullptr);
      if (!of_broker) CHECK(s.send({.data = "x"}) == errc::ok);
      answer answers[] = {answer::take(),  answer::take(4),  answer::again(4),
                          answer::again(), answer::closed(), answer::exactly(write_status::ok, 0)};
      to.script.push_back(std::move(answers[how]).calling([&] {
        s.close(close_reason::stalled);
        s.close(close_reason::removed);  // the first reason counts
        CHECK(to.closed.empty());
      }));
      CHECK(s.pump() == stream_state::closed);
      CHECK(to.offers.size() == 1);
      CHECK(to.cut == 1);
      CHECK(to.closed == once(how == 4   ? close_reason::peer_gone
                              : how == 5 ? close_reason::writer_broke_contract
                                         : close_reason::stalled));
    }
  }
}

TEST_CASE("an idle stream that is finished has more to do") {
  peer to;
  stream s{scripted_writer(to)};
  CHECK(pump_all(s) == stream_state::idle);
  s.finish();
  CHECK(s.state() == stream_state::more);
  CHECK(s.pump() == stream_state::closed);
}

TEST_CASE("finish from inside the writer lets the frame it has begun be sent") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b;
    peer to;
    stream s(scripted_writer(to), follow(b), {.body = body});
    b.publish("c", {.data = "x"});
    to.script.push_back(answer::again(position_event(0).size() + 3).calling([&] { s.finish(); }));
    CHECK(pump_through(s, to) == stream_state::closed);
    CHECK(to.closed == once(close_reason::finished));
    auto const frames = position_event(0) + frame(1, "x");
    CHECK(to.taken == (body == framing::raw ? frames : in_chunk(frames) + "0\r\n\r\n"));
  }
}

TEST_CASE("calls from inside on_closed do no harm") {
  for (bool const in_order : {true, false}) {
    broker b;
    peer to;
    stream* self = nullptr;
    auto const call_everything = [&] {
      self->close();
      self->finish();
      self->evicted();
      self->heartbeat();
      self->writable();
      self->written(true);
      self->written(false);
      CHECK(self->pump() == stream_state::closed);
      CHECK(self->send({.data = "x"}) == errc::closed);
      b.publish("c", {.data = "x"});
    };
    to.at_closed = [&](close_reason, ssewire::ending) { call_everything(); };
    stream s(scripted_writer(to), follow(b));
    self = &s;
    pump_all(s);
    in_order ? s.finish() : s.close();
    CHECK(pump_all(s) == stream_state::closed);
    CHECK(to.closed.size() == 1);
  }
}

TEST_CASE("a drain sends what was published, the time to come back, and the end") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b;
    peer to;
    stream s(scripted_writer(to), follow(b), {.body = body});
    pump_all(s);
    b.publish("c", {.data = "x"});
    b.drain({}, {}, ssewire::reconnection_time(0));
    b.publish("c", {.data = "too late"});
    CHECK(s.send({.data = "p"}) == errc::ok);
    CHECK(pump_all(s) == stream_state::closed);
    CHECK(to.closed == once(close_reason::drained));
    CHECK(to.completed == 1);
    auto const got = body == framing::raw ? to.taken : decode_chunked(to.taken).body;
    CHECK(got == position_event(0) + "data: p\n\n" + frame(1, "x") + "retry: 1000\n\n");
    if (body == framing::chunked) CHECK(decode_chunked(to.taken).ended);
  }
}

TEST_CASE("a broker that ends ends its streams in order") {
  auto b = std::make_unique<broker>();
  peer to;
  stream s(scripted_writer(to), follow(*b), chunked());
  pump_all(s);
  b.reset();
  s.evicted();
  CHECK(pump_all(s) == stream_state::closed);
  CHECK(to.closed == once(close_reason::drained));
  CHECK(to.completed == 1);
  CHECK(decode_chunked(to.taken).ended);
}

TEST_CASE("an eviction ends an idle stream in order, and one that waits or has begun a frame at once") {
  for (int how = 0; how < 5; ++how) {
    CAPTURE(how);
    broker b({.replay = {.max_events = 1}});
    peer to;
    stream s(scripted_writer(to), follow(b, {.lag = ssewire::lag_policy::close}));
    pump_all(s);
    b.publish("c", {.data = "x"});
    if (how == 1) to.script.push_back(answer::again(5));
    if (how == 2) to.script.push_back(answer::again());
    if (how == 3) to.script.push_back(answer::pending());
    if (how == 4) to.script.push_back(answer::again(5).calling([&] { to.let_go(); }));
    s.pump();
    s.evicted();  // nobody has evicted it
    CHECK(s.state() != stream_state::closed);
    for (int i = 0; i < 3; ++i) b.publish("c", {.data = "y"});
    b.tick({});
    if (how == 4) {  // a rest is owed, and it is writable
      to.let_go();
      s.writable();
    }
    s.evicted();
    CHECK((s.state() == stream_state::closed) == (how != 0));
    to.stop_transport();
    CHECK(pump_all(s) == stream_state::closed);
    CHECK(to.closed == once(close_reason::lagged));
    CHECK(to.completed == (how == 0 ? 1 : 0));
    CHECK(b.stats().closes[static_cast<std::size_t>(close_reason::lagged)] == 1);
  }
}

TEST_CASE("an eviction from inside the writer ends the stream after it") {
  auto b = std::make_unique<broker>();
  peer to;
  stream s(scripted_writer(to), follow(*b));
  to.script.push_back(answer::take(5).calling([&] {
    b.reset();
    s.evicted();
  }));
  CHECK(s.pump() == stream_state::closed);
  CHECK(to.closed == once(close_reason::drained));
  CHECK(to.cut == 1);
}

TEST_CASE("one that the broker has ended ends for the broker's reason, as stats counts it, whatever its "
          "owner says then") {
  for (int how = 0; how < 4; ++how) {
    CAPTURE(how);
    broker b;
    peer to;
    stream s(scripted_writer(to), follow(b));
    pump_all(s);
    if (how == 0) s.finish();
    b.drain({}, {});
    b.tick({});
    if (how == 1) s.finish();
    if (how == 2) s.close();
    if (how == 3) s.close(close_reason::peer_gone);
    CHECK(pump_all(s) == stream_state::closed);
    CHECK(s.reason() == close_reason::drain_forced);
    CHECK(to.closed == once(close_reason::drain_forced));
    CHECK(b.stats().closes[static_cast<std::size_t>(close_reason::drain_forced)] == 1);
  }
}

TEST_CASE("a lagging stream whose policy is close ends with that reason, without a gap") {
  broker b({.replay = {.max_events = 1}});
  peer to;
  stream s(scripted_writer(to), follow(b, {.lag = ssewire::lag_policy::close}), chunked());
  pump_all(s);
  for (int i = 0; i < 3; ++i) b.publish("c", {.data = "y"});
  CHECK(pump_all(s) == stream_state::closed);
  CHECK(to.closed == once(close_reason::lagged));
  CHECK(decode_chunked(to.taken).body == position_event(0));
  CHECK(decode_chunked(to.taken).ended);
}

// ---- notices and same bytes ----

template <class Writer> void notices_are_kept(framing body) {
  // gap + position, then the events; at every offset the writer takes no more, and the log moves on
  // meanwhile
  auto const gap = support::gap_event(1, "{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":1}");
  for (std::size_t cut = 0; cut <= gap.size() + 10; ++cut) {
    CAPTURE(cut);
    broker b({.replay = {.max_events = 2}});
    peer to;
    to.chunked = body == framing::chunked;
    stream_to<Writer> s(Writer(to), follow(b), {.body = body, .same_bytes_again = Writer::same_bytes});
    CHECK(pump_all(s) == stream_state::idle);
    to.taken.clear();
    for (int i = 0; i < 3; ++i) b.publish("c", {.data = "d"});
    to.script.push_back(answer::again(cut));
    CHECK(s.pump() == stream_state::blocked);
    CHECK(s.send({.data = "p"}) == errc::ok);
    to.let_go();
    s.writable();
    CHECK(pump_through(s, to) == stream_state::idle);
    auto const got =
        support::parse_whole(body == framing::raw ? to.taken : decode_chunked(to.taken).body).events;
    std::vector<std::string> data;
    for (auto const& e : got) {
      if (e.data != "p") data.push_back(e.data.value_or("none"));
    }
    CHECK(data ==
          std::vector<std::string>{"{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":1}", "d", "d"});
    CHECK(got.size() == 4);
  }
}

TEST_CASE("a notice is told once, wherever the writer stops") {
  notices_are_kept<scripted_writer>(framing::raw);
  notices_are_kept<scripted_writer>(framing::chunked);
  notices_are_kept<scripted_tls_writer>(framing::raw);
  notices_are_kept<scripted_tls_writer>(framing::chunked);
}

TEST_CASE("frames that were not begun stay in the log: what lags is told, not kept") {
  broker b({.replay = {.max_events = 2}});
  peer to;
  stream s(scripted_writer(to), follow(b));
  b.publish("c", {.data = "1"});
  b.publish("c", {.data = "2"});
  to.script.push_back(answer::again(position_event(0).size() + 10));  // inside the first event
  CHECK(s.pump() == stream_state::blocked);
  for (int i = 3; i <= 6; ++i) b.publish("c", {.data = std::to_string(i)});
  CHECK(pump_through(s, to) == stream_state::idle);
  CHECK(to.taken == position_event(0) + frame(1, "1") +
                        support::gap_event(4, "{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":3}") +
                        frame(5, "5") + frame(6, "6"));
}

TEST_CASE("a stream that waits behind a partial frame pins nothing of the log") {
  broker b({.replay = {.max_events = 1}});
  peer to;
  {
    ssewire::detail::held_write<pumped::batch> scratch;
    pumped s(scripted_writer(to), follow(b));
    b.publish("c", {.data = "1"});
    to.script.push_back(answer::again(3));
    CHECK(s.run(scratch) == stream_state::blocked);
    REQUIRE(scratch);
    CHECK(scratch->batch.empty());
  }
}

TEST_CASE("a writer that must be offered the same bytes again is, and news wait behind them") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b({.replay = {.max_events = 2}});
    peer to;
    to.chunked = body == framing::chunked;
    tls_stream s(scripted_tls_writer(to), follow(b), {.body = body, .same_bytes_again = true});
    b.publish("c", {.data = "1"});
    for (int i = 0; i < 5; ++i) {
      to.script.push_back(answer::again(i == 3 ? 7 : 0));
      CHECK(s.pump() == stream_state::blocked);
      b.publish("c", {.data = "more"});
      CHECK(s.send({.data = "p"}) == errc::ok);
      s.heartbeat();
      to.let_go();
      s.writable();
    }
    CHECK(pump_through(s, to) == stream_state::idle);
    auto const got = body == framing::raw ? to.taken : decode_chunked(to.taken).body;
    CHECK(got.substr(0, 20) == position_event(0).substr(0, 20));
    auto const events = support::parse_whole(got).events;
    REQUIRE(events.size() == 2 + 5 + 1 + 2);
    CHECK(events[1].data == "1");
    CHECK(events[7].type == "ssewire.gap");
  }
}

TEST_CASE("a writer that must be offered the same bytes again is offered 16 KiB at most") {
  for (auto const body : {framing::raw, framing::chunked}) {
    broker b;
    peer to;
    to.chunked = body == framing::chunked;
    tls_stream s(scripted_tls_writer(to), follow(b), {.body = body, .same_bytes_again = true});
    for (int i = 0; i < 100; ++i) b.publish("c", {.data = std::string(1000, 'x')});
    to.otherwise = [n = 0](std::size_t) mutable { return ++n % 2 != 0 ? answer::again() : answer::take(); };
    CHECK(pump_through(s, to) == stream_state::idle);
    b.publish("c", {.data = std::string(40'000, 'y')});  // one event that is larger
    CHECK(pump_through(s, to) == stream_state::idle);
    auto const got = body == framing::raw ? to.taken : decode_chunked(to.taken).body;
    CHECK(support::parse_whole(got).events.size() == 102);
  }
}

TEST_CASE("what is queued is offered in 16 KiB at most, too, where the same bytes must come again") {
  for (auto const body : {framing::raw, framing::chunked}) {
    peer to;
    to.chunked = body == framing::chunked;
    tls_stream s(scripted_tls_writer(to), {.body = body, .same_bytes_again = true});
    for (int i = 0; i < 50; ++i) CHECK(s.send({.data = std::string(1000, 'x')}) == errc::ok);
    to.otherwise = [n = 0](std::size_t) mutable {
      return ++n % 3 != 0 ? answer::again(n % 3 == 1 ? 9 : 0) : answer::take();
    };
    CHECK(pump_through(s, to) == stream_state::idle);
    auto const got = body == framing::raw ? to.taken : decode_chunked(to.taken).body;
    CHECK(support::parse_whole(got).events.size() == 50);
  }
}

// ---- writers of all kinds ----

struct plain_writer {
  std::string* to;
  ssewire::write_result write(ssewire::buffers b) {
    std::size_t n = 0;
    for (auto const piece : b) {
      *to += piece;
      n += piece.size();
    }
    return {write_status::ok, n};
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("a writer needs nothing but write") {
  std::string got;
  broker b;
  {
    stream_to<plain_writer> s(plain_writer{&got}, follow(b), chunked());
    b.publish("c", {.data = "x"});
    CHECK(s.pump() == stream_state::idle);
    s.finish();
    CHECK(s.pump() == stream_state::closed);
    CHECK(s.reason() == close_reason::finished);
    stream_to<plain_writer> aborted(plain_writer{&got}, follow(b));
    aborted.close(close_reason::stalled);
    CHECK(aborted.reason() == close_reason::stalled);
  }
  CHECK(got == in_chunk(position_event(0) + frame(1, "x")) + "0\r\n\r\n");
}

struct owning_writer {
  std::unique_ptr<std::string> own = std::make_unique<std::string>();
  ssewire::write_result write(ssewire::buffers b) { return plain_writer{own.get()}.write(b); }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("a writer may be move-only, and stays reachable") {
  ssewire::stream<owning_writer> s{owning_writer{}};
  CHECK(s.send({.data = "x"}) == errc::ok);
  CHECK(s.pump() == stream_state::idle);
  CHECK(*s.writer().own == "data: x\n\n");
}

struct undecided_writer {
  ssewire::write_result write(ssewire::buffers b) {
    pieces = b.size();
    return {write_status::again, 0};
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
  std::size_t pieces = 0;
};

TEST_CASE("a writer that does not ask for the same bytes is offered all pieces at once") {
  broker b;
  stream_to<undecided_writer> s(undecided_writer{}, follow(b), chunked());
  CHECK(s.pump() == stream_state::blocked);
  CHECK(s.writer().pieces == 3);  // head, frames and tail, gathered
}

// ---- the decoder itself ----

TEST_CASE("the decoder of chunks tells good from bad") {
  std::string const good = "3\r\nabc\r\n1f\r\n" + std::string(31, 'x') + "\r\n0\r\n\r\n";
  for (std::size_t n = 0; n <= good.size(); ++n) {
    auto const got = decode_chunked(std::string_view(good).substr(0, n));
    CHECK(got.error == "");
    CHECK(got.ended == (n == good.size()));
  }
  CHECK(decode_chunked(good).body == "abc" + std::string(31, 'x'));
  CHECK(decode_chunked(good).chunks == std::vector<std::size_t>{3, 31});
  for (std::string_view const bad :
       {"\r\n", "3\nabc", "3\r\nabcd", "3\r\nab\r\n3", "g\r\n", "0\r\n\r\n0\r\n", "3;a\r\n"})
    CHECK(decode_chunked(bad).error != "");
}

TEST_CASE("streams that owe the rest of one large event share it") {
  broker b({.replay = {.max_events = 2, .max_bytes = 4 * 1024 * 1024}});
  std::string const large(1024 * 1024, 'x');
  for (auto const body : {ssewire::framing::raw, ssewire::framing::chunked}) {
    std::vector<std::unique_ptr<peer>> peers;
    std::vector<std::unique_ptr<stream>> streams;
    for (int i = 0; i < 50; ++i) {
      peers.push_back(std::make_unique<peer>());
      streams.push_back(std::make_unique<stream>(scripted_writer(*peers.back()), follow(b),
                                                 ssewire::stream_options{.body = body}));
      CHECK(streams.back()->pump() == stream_state::idle);
    }
    REQUIRE(b.publish("c", {.data = large}));
    for (std::size_t i = 0; i < streams.size(); ++i) {
      peers[i]->script.push_back(answer::again(1000));
      CHECK(streams[i]->pump() == stream_state::blocked);
      CHECK(streams[i]->held_bytes() < 1024);
    }
    for (auto const* const text : {"1", "2", "3"})
      REQUIRE(b.publish("c", {.data = text}));  // the log forgets it
    for (std::size_t i = 0; i < streams.size(); ++i) {
      peers[i]->let_go();
      streams[i]->writable();
      while (streams[i]->pump() == stream_state::more) {
      }
      auto const got = body == ssewire::framing::raw ? peers[i]->taken : decode_chunked(peers[i]->taken).body;
      CHECK(got.find(large + "\n\n") != std::string::npos);
      CHECK(got.find("\"missed\":1") != std::string::npos);  // of 1, 2 and 3 it gets the newest two
    }
  }
}

TEST_CASE("a filter that sends to its own stream, ends it and pumps it tears no frame apart") {
  for (int how = 0; how < 6; ++how) {
    CAPTURE(how);
    broker b;
    peer to;
    stream* self = nullptr;
    bool asked = false;
    auto const filter = [&](ssewire::event_header const&) {
      if (!std::exchange(asked, true)) {
        CHECK(self->send({.data = "own"}) == errc::ok);
        if (how >= 3) self->finish();
        CHECK(self->pump() == stream_state::more);
      }
      return how % 3 != 2;
    };
    stream s(scripted_writer(to), std::move(b.subscribe("c", {.filter = filter}).value));
    self = &s;
    pump_all(s);
    if (how % 3 == 0) to.script = {answer::again(8), answer::again(3)};
    if (how % 3 == 1) to.script = {answer::pending(), answer::again(30)};
    b.publish("c", {.data = "x"});
    CHECK(pump_through(s, to) == (how >= 3 ? stream_state::closed : stream_state::idle));
    auto const own = std::string("data: own\n\n");
    CHECK(to.taken == position_event(0) + (how % 3 == 2 ? checkpoint(1) : frame(1, "x")) + own);
  }
}

TEST_CASE("streams that share what they gather in may pump each other from inside their writers") {
  for (bool const pends : {false, true}) {
    CAPTURE(pends);
    broker b{{.replay = {.max_events = 1}}};
    peer one;
    peer two;
    pumped first(scripted_writer(one), std::move(b.subscribe("a").value));
    pumped second(scripted_writer(two), std::move(b.subscribe("b").value));
    ssewire::detail::held_write<pumped::batch> scratch;
    auto wake = [&](ssewire::wake) { (void)second.run(scratch); };
    second.set_hook(ssewire::wake_hook::of(wake));
    (void)first.run(scratch);
    (void)second.run(scratch);
    if (pends) two.script.push_back(answer::pending());
    one.script.push_back(answer::again(5).calling([&] {
      b.publish("b", {.data = std::string(600, 's')});
      b.publish("b", {.data = std::string(600, 't')});
    }));
    b.publish("a", {.data = "open"});
    (void)first.run(scratch);
    pump_through(first, one);
    pump_through(second, two);
    CHECK(one.taken == position_event(0) + frame(1, "open"));
    CHECK(two.taken.find("open") == std::string::npos);
    CHECK(two.taken.ends_with(frame(3, std::string(600, 't'))));
  }
}

TEST_CASE("each value has a name, and a number that names none is unknown") {
  CHECK(name(ssewire::stream_state::idle) == "idle");
  CHECK(name(ssewire::stream_state::more) == "more");
  CHECK(name(ssewire::stream_state::blocked) == "blocked");
  CHECK(name(ssewire::stream_state::pending) == "pending");
  CHECK(name(ssewire::stream_state::closed) == "closed");
  CHECK(name(static_cast<ssewire::stream_state>(99)) == "unknown");
}

}  // namespace
