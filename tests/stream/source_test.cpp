// SPDX-License-Identifier: MIT
// A stream takes any source: one that a user wrote, one that reads a replay buffer, or none.
#include <ssewire/log/replay_buffer.hpp>
#include <ssewire/stream/replay_source.hpp>
#include <ssewire/stream/source.hpp>
#include <ssewire/stream/stream.hpp>

#include <support/chunked_body.hpp>
#include <support/prepared_events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::framing;
using ssewire::replay_source;
using ssewire::resume_outcome;
using ssewire::stream_state;
using support::answer;
using support::peer;
using support::prepared_events;
using support::scripted_writer;

// Until it is over: says writable() and written() whenever it waits.
template <class Stream> close_reason run(Stream& s, peer& to) {
  for (int turn = 0; turn < 10'000; ++turn) {
    switch (s.pump()) {
    case stream_state::closed: return s.reason();
    case stream_state::blocked: to.let_go(), s.writable(); break;
    case stream_state::pending: to.landed(), s.written(true); break;
    default: break;
    }
  }
  FAIL("the stream never ends");
  return s.reason();
}

// What it writes that has no source is what the serializer writes, and it needs none of the broker's
// headers.
TEST_CASE("a stream without a source is not one whose source has ended") {
  peer to;
  ssewire::stream s{scripted_writer(to)};
  static_assert(std::is_same_v<decltype(s), ssewire::stream<scripted_writer, ssewire::no_source>>);
  CHECK(s.pump() == stream_state::idle);
  REQUIRE(s.send({.data = "x", .id = "7"}) == errc::ok);  // its IDs are the program's
  CHECK(s.pump() == stream_state::idle);
  s.finish();
  CHECK(s.pump() == stream_state::closed);
  CHECK(to.taken == "id: 7\ndata: x\n\n");

  peer to_ended;
  prepared_events ended({});
  ended.close(close_reason::peer_gone);
  ssewire::stream over{scripted_writer(to_ended), std::move(ended)};
  CHECK(over.pump() == stream_state::closed);
  CHECK(over.reason() == close_reason::peer_gone);
}

TEST_CASE("a source of your own is sent whole and in order, whatever the writer answers") {
  std::vector<std::string> const events = {"data: 1\n\n", "data: " + std::string(40'000, 'x') + "\n\n",
                                           "data: 3\n\n"};
  std::string const all = events[0] + events[1] + events[2];
  for (auto const body : {framing::raw, framing::chunked}) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      CAPTURE(seed);
      peer to;
      to.otherwise = ssewire::testing::answers_at_random(seed, {.pending = 1});
      ssewire::stream s{scripted_writer(to), prepared_events(events), {.body = body}};
      CHECK(run(s, to) == close_reason::finished);
      CHECK((body == framing::raw ? to.taken : support::decode_chunked(to.taken).body) == all);
      CHECK(to.completed == 1);
      CHECK(to.violations == "");
    }
  }
}

TEST_CASE("a source that waits is parked, and its hook wakes the stream") {
  peer to;
  bool woken = false;
  auto wake = [&](ssewire::wake) { woken = true; };
  ssewire::stream s{scripted_writer(to), prepared_events({}, prepared_events::then::wait)};
  s.set_hook(ssewire::wake_hook::of(wake));
  CHECK(s.pump() == stream_state::idle);
  s.source().add("data: late\n\n");
  CHECK(woken);
  CHECK(s.pump() == stream_state::idle);
  CHECK(to.taken == "data: late\n\n");
  s.finish();
  CHECK(s.pump() == stream_state::closed);
}

TEST_CASE("what a program sends goes between the source's events, and has no ID") {
  peer to;
  ssewire::stream s{scripted_writer(to),
                    prepared_events({"id: 1\ndata: a\n\n"}, prepared_events::then::wait)};
  CHECK(s.pump() == stream_state::idle);
  CHECK(s.send({.data = "own", .id = "2"}) == errc::id_refused);
  CHECK(s.send({.data = "own"}) == errc::ok);
  CHECK(s.pump() == stream_state::idle);
  CHECK(to.taken == "id: 1\ndata: a\n\ndata: own\n\n");
}

// ---- a replay buffer ----

std::string frame(std::string_view id, std::string_view data) {
  return "id: " + std::string(id) + "\ndata: " + std::string(data) + "\n\n";
}

TEST_CASE("a replay buffer's source sends what follows an ID, and ends") {
  ssewire::replay_buffer log;
  auto const one = log.append({.data = "1"});
  auto const two = log.append({.data = "2"});
  auto const three = log.append({.data = "3"});
  for (std::size_t const most : {std::size_t{1}, std::size_t{64 * 1024}}) {
    peer to;
    ssewire::stream s{scripted_writer(to), replay_source(log, one->view()), {.max_write_bytes = most}};
    CHECK(s.source().outcome() == resume_outcome::resumed);
    CHECK(run(s, to) == close_reason::finished);
    CHECK(to.taken == frame(two->view(), "2") + frame(three->view(), "3"));
    CHECK(to.completed == 1);
  }
  peer up_to_date;
  ssewire::stream s{scripted_writer(up_to_date), replay_source(log, three->view())};
  CHECK(run(s, up_to_date) == close_reason::finished);
  CHECK(up_to_date.taken == "");
  peer fresh;
  ssewire::stream all{scripted_writer(fresh), replay_source(log)};
  CHECK(run(all, fresh) == close_reason::finished);
  CHECK(fresh.taken == frame(one->view(), "1") + frame(two->view(), "2") + frame(three->view(), "3"));
}

TEST_CASE("what is appended while it reads is sent, too; what is forgotten ends it as lagged") {
  ssewire::replay_buffer log({.max_events = 2});
  auto const one = log.append({.data = "1"});
  REQUIRE(log.append({.data = "2", .id = "my-two"}));
  peer to;
  ssewire::stream s{scripted_writer(to), replay_source(log, one->view()), {.max_write_bytes = 1}};
  to.script = {answer::again(100)};
  CHECK(s.pump() == stream_state::blocked);
  CHECK(to.taken == frame("my-two", "2"));
  auto const three = log.append({.data = "3"});
  to.script = {answer::again(100)};
  to.let_go(), s.writable();
  CHECK(s.pump() == stream_state::blocked);
  CHECK(to.taken == frame("my-two", "2") + frame(three->view(), "3"));
  for (auto const* data : {"4", "5", "6"}) REQUIRE(log.append({.data = data}));
  CHECK(run(s, to) == close_reason::lagged);
  CHECK(to.taken == frame("my-two", "2") + frame(three->view(), "3"));
}

TEST_CASE("a replay that begins behind a gap says so, and sends all that is left") {
  ssewire::replay_buffer log({.max_events = 1});
  auto const one = log.append({.data = "1"});
  REQUIRE(log.append({.data = "2"}));
  auto const three = log.append({.data = "3"});
  peer to;
  ssewire::stream s{scripted_writer(to), replay_source(log, one->view())};
  CHECK(s.source().outcome() == resume_outcome::gap);
  CHECK(run(s, to) == close_reason::finished);
  CHECK(to.taken == frame(three->view(), "3"));
}

}  // namespace
