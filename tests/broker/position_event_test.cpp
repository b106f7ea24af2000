// SPDX-License-Identifier: MIT
// What the library itself says in a stream about its position: when, by which ID, and in which words.
#include <ssewire/broker/broker.hpp>
#include <ssewire/stream/stream.hpp>

#include <support/broker_bytes.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>

namespace {

using ssewire::errc;
using ssewire::position_events;
using ssewire::resume_outcome;
using support::checkpoint;
using support::frame;
using support::gap_event;
using support::position_event;
using support::pull;
using support::pull_all;

using broker = ssewire::basic_broker<support::epoch_traits>;

std::string opening(std::string const& id) {
  return "id: " + id + "\nevent: ssewire.position\nretry: 3000\ndata: {}\n\n";
}
bool tagged(ssewire::event_header const& e) { return e.tag != 0; }

// ---- by which ID ----

TEST_CASE(
    "a client that keeps the publisher's IDs keeps its own one, and comes back with it to another process") {
  std::string kept;
  {
    broker b;
    b.publish("a", {.data = "1", .id = "order-1"});
    b.publish("b", {.data = "of another channel"});
    auto s = b.subscribe("a", {.last_event_id = "order-1"}).value;
    CHECK(s.outcome() == resume_outcome::up_to_date);
    CHECK(pull_all(s) == opening("order-1"));
    kept = "order-1";
  }
  broker after;  // which has been given its history again
  after.publish("a", {.data = "1", .id = "order-1"});
  after.publish("a", {.data = "2", .id = "order-2"});
  auto s = after.subscribe("a", {.last_event_id = kept}).value;
  CHECK(s.outcome() == resume_outcome::resumed);
  CHECK(pull_all(s) == opening("order-1") + "id: order-2\ndata: 2\n\n");
}

TEST_CASE("a stream that begins now stands at the newest event of its channels, by whichever ID that has") {
  broker b;
  b.publish("a", {.data = "1", .id = "mine"});
  auto s = b.subscribe("a").value;
  CHECK(pull_all(s) == opening("mine"));
  b.publish("a", {.data = "2"});
  auto t = b.subscribe("a").value;
  CHECK(pull_all(t) == position_event(2));
  auto elsewhere = b.subscribe("b").value;
  CHECK(pull_all(elsewhere) == position_event(2));  // nothing of another channel is said
}

TEST_CASE("an ID that the filter does not admit is not said") {
  broker b;
  b.publish("a", {.data = "1", .id = "not-yours"}, {.tag = 0});
  auto s = b.subscribe("a", {.filter = tagged}).value;
  CHECK(pull_all(s) == position_event(1));
  b.publish("a", {.data = "2", .id = "yours"}, {.tag = 1});
  auto t = b.subscribe("a", {.filter = tagged}).value;
  CHECK(pull_all(t) == opening("yours"));
}

TEST_CASE("a filter is asked about the ID with no lock held, and may throw; then nothing was said") {
  broker b;
  b.publish("a", {.data = "1", .id = "x"});
  int asked = 0;
  auto s = b.subscribe("a", {.filter =
                                 [&](ssewire::event_header const& e) {
                                   CHECK(e.id == "x");
                                   if (++asked == 1) throw 1;
                                   b.publish("b", {.data = "from inside"});
                                   return true;
                                 }})
               .value;
  ssewire::basic_batch<support::epoch_traits> pulled;
  CHECK_THROWS_AS((void)s.pull(pulled, support::all_room), int);
  CHECK(pulled.empty());
  CHECK(pull_all(s) == opening("x"));
  CHECK(asked == 2);
}

TEST_CASE("a filter that is asked about the ID may end its own stream") {
  broker b;
  b.publish("a", {.data = "1", .id = "x"});
  ssewire::basic_subscription<support::epoch_traits> s;
  s = b.subscribe("a", {.filter =
                            [&](ssewire::event_header const&) {
                              s.close();
                              return true;
                            }})
          .value;
  CHECK(pull(s).empty());
  CHECK_UNARY(!s);
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("an ID of a publisher's that is gone, or leads back to another event, is not said") {
  broker b({.replay = {.max_events = 1}});
  b.publish("a", {.data = "1", .id = "x"});
  b.publish("b", {.data = "2", .id = "y"});
  auto s = b.subscribe({"a", "b"}).value;
  CHECK(pull_all(s) == opening("y"));
  b.publish("a", {.data = "3", .id = "y"});  // the same ID on both of its channels
  auto t = b.subscribe({"a", "b"}).value;
  CHECK(pull_all(t) == position_event(3));
  b.publish("a", {.data = "4"});
  CHECK(pull_all(t) == frame(4, "4"));
  REQUIRE(t.leave("b") == errc::ok);
  CHECK(pull_all(t) == checkpoint(4));
}

// ---- in which words ----

TEST_CASE("type and data of the position event are the program's choice") {
  broker b({.position_type = "here", .position_data = R"({"kind":"here"})"});
  auto s = b.subscribe("a").value;
  CHECK(pull(s) == "id: " + support::id(0) + "\nevent: here\nretry: 3000\ndata: {\"kind\":\"here\"}\n\n");
  CHECK(b.publish("a", {.type = "here", .data = "x"}).error == errc::type_reserved);
  CHECK(b.publish("a", {.type = "there", .data = "x"}).error == errc::ok);
}

TEST_CASE("events of the library's that have no type of their own do not take it from publishers") {
  for (bool const named : {false, true}) {
    broker b({.replay = {.max_events = 1},
              .gap_type = named ? ssewire::event_type("message") : ssewire::event_type(),
              .position_type = named ? ssewire::event_type("message") : ssewire::event_type()});
    CHECK(b.publish("a", {.data = "1"}).error == errc::ok);
    CHECK(b.publish("a", {.type = "message", .data = "2"}).error == errc::ok);
    ssewire::event const two[] = {{.data = "3"}, {.type = "message", .data = "4"}};
    CHECK(b.publish("a", two).error == errc::ok);
    auto s = b.subscribe("a", {.last_event_id = support::id(1)}).value;
    auto const got = pull(s);
    CHECK(got.find(R"(data: {"reason":"trimmed","channel":"a"})") != std::string::npos);
  }
}

TEST_CASE("without position events a stream begins with its first event") {
  broker b({.replay = {.max_events = 2}});
  b.publish("a", {.data = "1"}, {.tag = 1});
  auto s = b.subscribe("a", {.filter = tagged, .position = position_events::left_out}).value;
  CHECK(s.position() == position_events::left_out);
  CHECK(pull(s).empty());
  CHECK(s.park());
  b.publish("a", {.data = "2"}, {.tag = 1});
  CHECK(pull_all(s) == frame(2, "2"));
  CHECK(s.join("b") == errc::ok);
  CHECK(s.set_filter({}) == errc::ok);
  CHECK(pull_all(s).empty());
  CHECK(s.park());
  for (int i = 0; i < 3; ++i) b.publish("a", {.data = "x"});
  CHECK(pull_all(s) ==
        gap_event(3, R"({"reason":"trimmed","channel":"a","missed":1})") + frame(4, "x") + frame(5, "x"));
}

struct to_string {
  std::string* text;
  ssewire::write_result write(ssewire::buffers pieces) {
    text->append(pieces[0]);
    return {ssewire::write_status::ok, pieces[0].size()};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("without position events a stream is not told when to come back from a drain: the field would come "
          "alone") {
  for (auto const says : {position_events::sent, position_events::left_out}) {
    broker b;
    std::string text;
    ssewire::stream<to_string, ssewire::basic_subscription<support::epoch_traits>> s(
        {&text}, std::move(b.subscribe("a", {.position = says}).value));
    b.drain({}, {});
    while (s.pump() == ssewire::stream_state::more) {
    }
    CHECK(s.state() == ssewire::stream_state::closed);
    CHECK(s.reason() == ssewire::close_reason::drained);
    auto const told = text.find("retry: ", position_event(0).size());
    CHECK((told != std::string::npos) == (says == position_events::sent));
    CHECK(text.empty() == (says == position_events::left_out));
  }
}

TEST_CASE("a gap event is JSON in UTF-8, whatever bytes the name of its channel has") {
  struct {
    std::string_view name, written;
  } const cases[] = {{"a\"b\\c", R"(a\"b\\c)"},
                     {"caf\xC3\xA9", "caf\xC3\xA9"},
                     {"caf\xE9", "caf\xEF\xBF\xBD"},
                     {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
                     {"\xC0\x80z", "\xEF\xBF\xBD\xEF\xBF\xBDz"}};
  for (auto const& one : cases) {
    broker b({.replay = {.max_events = 1}});
    for (int i = 0; i < 2; ++i) REQUIRE(b.publish(one.name, {.data = "x"}));
    auto s = b.subscribe(one.name, {.last_event_id = support::id(0)}).value;
    auto const json = R"({"reason":"trimmed","channel":")" + std::string(one.written) + "\"}";
    CHECK(pull(s).starts_with(gap_event(1, json)));
  }
}

}  // namespace
