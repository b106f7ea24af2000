// SPDX-License-Identifier: MIT
// publish_test.cpp - publishing several events, to several channels, with publishers' IDs and tags: all of it
// takes effect, or none.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::event_header;
using ssewire::resume_outcome;
using ssewire::start_at;
using support::checkpoint;
using support::follow;
using support::frame;
using support::gap_event;
using support::id;
using support::opened;
using support::position_event;
using support::pull;
using support::pull_all;

using broker = ssewire::basic_broker<support::epoch_traits>;  // epoch 0, so that every byte is known
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using batch = ssewire::basic_batch<support::epoch_traits>;

std::string replay(broker& of, std::vector<std::string_view> const& channels,
                   std::size_t room = support::all_room) {
  auto s = follow(of, channels, {}, {.start = start_at::beginning()});
  auto const all = pull_all(s, room);
  REQUIRE(all.starts_with("id: "));
  return all.substr(all.find("\n\n") + 2);  // without the position event
}

std::vector<event> numbered(std::vector<std::string> const& texts) {
  std::vector<event> out;
  for (auto const& text : texts) out.push_back({.data = text});
  return out;
}

event own(std::string_view text, std::string_view data = "x") {
  return {.data = data, .id = ssewire::event_id::from(text).value};
}

std::string own_position_event(std::string const& id) {
  return "id: " + id + "\nevent: ssewire.position\nretry: 3000\ndata: {}\n\n";
}
std::string own_gap_event(std::string const& id, std::string const& json) {
  return "id: " + id + '\n' + gap_event(json);
}
std::string own_frame(std::string_view text, std::string_view data = "x") {
  return "id: " + std::string(text) + "\ndata: " + std::string(data) + "\n\n";
}

struct bell {
  int rings = 0;
  void operator()(ssewire::wake) noexcept { ++rings; }
};

// What a refused publish must not change.
void check_unchanged(ssewire::broker_stats const& a, ssewire::broker_stats const& b) {
  CHECK(a.published == b.published);
  CHECK(a.published_bytes == b.published_bytes);
  CHECK(a.trimmed == b.trimmed);
  CHECK(a.channels == b.channels);
  CHECK(a.events == b.events);
  CHECK(a.frame_bytes == b.frame_bytes);
  CHECK(a.log_bytes == b.log_bytes);
}

// ---- several events ----

TEST_CASE("several events take positions that follow each other, and the last one's is returned") {
  broker b;
  auto s = opened(b, {"a"});
  REQUIRE(b.publish("a", {.data = "0"}));
  std::vector<std::string> const texts = {"1", "2", "3"};
  auto const done = b.publish("a", numbered(texts));
  CHECK(done.error == errc::ok);
  CHECK(done.value.view() == id(4));
  CHECK(pull_all(s) == frame(1, "0") + frame(2, "1") + frame(3, "2") + frame(4, "3"));
  CHECK(b.publish("a", {.data = "4"}).value.view() == id(5));
}

TEST_CASE("several events wake a parked stream once, also on several channels") {
  broker b;
  bell rings;
  auto s = opened(b, {"a", "b"});
  s.set_hook(ssewire::wake_hook::of(rings));
  std::vector<std::string> const texts = {"1", "2", "3"};
  std::string_view const both[] = {"a", "b"};
  REQUIRE(s.park());
  REQUIRE(b.publish(both, numbered(texts)));
  CHECK(rings.rings == 1);
}

TEST_CASE("no event at all is ok, takes no position, makes no channel and wakes nobody") {
  broker b;
  bell rings;
  auto s = opened(b, {"a"});
  s.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(s.park());
  auto const done = b.publish("a", std::span<event const>());
  CHECK(done.error == errc::ok);
  CHECK(done.value.view() == "");
  CHECK(b.publish("new", std::span<event const>()).error == errc::ok);
  CHECK(rings.rings == 0);
  CHECK(b.stats().channels == 1);
  CHECK(b.publish("a", {.data = "x"}).value.view() == id(1));
}

TEST_CASE("no event to no channel is refused: there must be a channel") {
  broker b;
  CHECK(b.publish(std::span<std::string_view const>(), event{.data = "x"}).error == errc::no_channel);
  CHECK(b.publish(std::span<std::string_view const>(), std::span<event const>()).error == errc::no_channel);
}

TEST_CASE("of several events one that is refused takes all of them along, wherever it stands") {
  struct {
    event what;
    errc error;
  } const refused[] = {{own("taken"), errc::id_in_use},
                       {own("two words"), errc::id_refused},
                       {{.type = "ssewire.x", .data = "x"}, errc::type_reserved}};
  for (std::size_t bad = 0; bad < 5; ++bad) {
    broker b;
    REQUIRE(b.publish("a", own("taken")));
    auto const before = b.stats();
    for (auto const& each : refused) {
      std::vector<event> events(5, event{.data = "new"});
      events[bad] = each.what;
      auto const done = b.publish("a", events);
      CHECK(done.error == each.error);
      CHECK(done.value.view() == "");
      check_unchanged(b.stats(), before);
    }
    CHECK(b.publish("a", {.data = "next"}).value.view() == id(2));  // no position was used
    CHECK(replay(b, {"a"}) == own_frame("taken") + frame(2, "next"));
  }
}

TEST_CASE(
    "several events may fill the log to the byte; a byte more is too large, though each of them is not") {
  auto const size = frame(1, "x").size();
  for (std::size_t const missing : {0u, 1u}) {
    ssewire::broker_options options;
    options.replay.max_bytes = 4 * size - missing;
    broker b(options);
    std::vector<event> const four(4, event{.data = "x"});
    auto const done = b.publish("a", four);
    CHECK(done.error == (missing == 0 ? errc::ok : errc::event_too_large));
    CHECK(b.stats().events == (missing == 0 ? 4 : 0));
    CHECK(b.stats().channels == (missing == 0 ? 1 : 0));
  }
}

TEST_CASE("more events at once than a log holds: the newest stay, the others are told as missing") {
  ssewire::broker_options options;
  options.replay.max_events = 3;
  broker b(options);
  auto s = opened(b, {"a"});
  std::vector<std::string> texts;
  for (int i = 1; i <= 10; ++i) texts.push_back(std::to_string(i));
  CHECK(b.publish("a", numbered(texts)).value.view() == id(10));
  CHECK(b.stats().events == 3);
  CHECK(pull_all(s) == gap_event(7, R"({"reason":"trimmed","channel":"a","missed":7})") + frame(8, "8") +
                           frame(9, "9") + frame(10, "10"));
}

TEST_CASE("a stream never sees a part of several events, however a log was filled before") {
  broker b;
  std::vector<std::string> const texts = {std::string(700, 'a'), std::string(5000, 'b'), "c",
                                          std::string(70'000, 'd'), "e"};
  std::string expected;
  for (std::uint64_t round = 0; round < 10; ++round) {
    REQUIRE(b.publish("a", numbered(texts)));
    for (std::uint64_t i = 0; i < 5; ++i) expected += frame(round * 5 + i + 1, texts[i]);
  }
  CHECK_UNARY(replay(b, {"a"}) == expected);
}

// ---- several channels ----

TEST_CASE("one event on several channels has one position, and a stream on several of them gets it once") {
  broker b;
  auto both = opened(b, {"a", "b"});
  auto one = opened(b, {"b"});
  auto other = opened(b, {"c"});
  CHECK(b.publish({"a", "b"}, {.data = "x"}).value.view() == id(1));
  CHECK(b.publish("a", {.data = "y"}).value.view() == id(2));
  CHECK(pull_all(both) == frame(1, "x") + frame(2, "y"));
  CHECK(pull_all(one) == frame(1, "x"));
  CHECK(pull_all(other) == "");
  CHECK(b.stats().published == 2);
  CHECK(b.stats().delivered == 3);
  CHECK(b.stats().events == 3);  // one on several channels is held by each
}

TEST_CASE("channels in braces are channels for several events, too") {
  broker b;
  ssewire::event const two[] = {{.data = "1"}, {.data = "2"}};
  CHECK(b.publish({"a", "b"}, two).value.view() == id(2));
  CHECK(b.stats().channels == 2);
  CHECK(b.stats().events == 4);
}

TEST_CASE("a channel named twice by a publish gets the event once") {
  broker b;
  auto s = opened(b, {"a"});
  CHECK(b.publish({"a", "b", "a", "a"}, {.data = "x"}).value.view() == id(1));
  CHECK(pull_all(s) == frame(1, "x"));
  CHECK(b.stats().events == 2);
  CHECK(b.publish({"a", "a"}, own("mine")).error == errc::ok);  // and does not hold its ID already
}

TEST_CASE(
    "several events on several channels come in one order, whatever a stream follows and has room for") {
  broker b;
  std::string_view const names[] = {"a", "b", "c"};
  std::string expected[8];
  std::uint64_t position = 0;
  for (std::size_t round = 0; round < 40; ++round) {
    auto const which = 1 + round * 5 % 7;  // a set of names, as bits
    std::vector<std::string_view> to;
    for (std::size_t i = 0; i < 3; ++i) {
      if ((which >> i) % 2 != 0) to.push_back(names[i]);
    }
    std::vector<std::string> texts(1 + round % 3, std::string(round * 7 % 100, 'x'));
    if (round % 11 == 0) texts.push_back(std::string(4200, 'L'));
    REQUIRE(b.publish(to, numbered(texts)));
    for (auto const& text : texts) {
      ++position;
      for (std::size_t set = 1; set < 8; ++set) {
        if ((set & which) != 0) expected[set] += frame(position, text);
      }
    }
  }
  for (std::size_t set = 1; set < 8; ++set) {
    std::vector<std::string_view> of;
    for (std::size_t i = 0; i < 3; ++i) {
      if ((set >> i) % 2 != 0) of.push_back(names[i]);
    }
    for (std::size_t const room : {std::size_t{0}, std::size_t{300}, support::all_room})
      CHECK_UNARY(replay(b, of, room) == expected[set]);
  }
}

TEST_CASE("an event may go to max_channels_per_stream channels, and to one more it may not") {
  broker b;
  std::vector<std::string> names;
  for (int i = 0; i < 65; ++i) names.push_back("c" + std::to_string(i));
  std::vector<std::string_view> views(names.begin(), names.end());
  CHECK(b.publish(std::span(views), {.data = "x"}).error == errc::too_many_channels);
  CHECK(b.stats().channels == 0);
  views.pop_back();
  auto s = opened(b, views);
  CHECK(b.publish(std::span(views), {.data = "x"}).value.view() == id(1));
  CHECK(b.publish("c63", {.data = "y"}).value.view() == id(2));
  CHECK(b.stats().events == 65);
  CHECK(pull_all(s) == frame(1, "x") + frame(2, "y"));
}

TEST_CASE("of several channels one that is refused takes all of them along") {
  ssewire::broker_options options;
  options.max_channels = 3;
  broker b(options);
  REQUIRE(b.publish("a", own("mine")));
  auto const before = b.stats();
  CHECK(b.publish({"b", "bad\n", "c"}, {.data = "x"}).error == errc::channel_name_refused);
  CHECK(b.publish({"b", ""}, {.data = "x"}).error == errc::channel_name_refused);
  CHECK(b.publish({"b", "c", "d", "a"}, {.data = "x"}).error == errc::too_many_channels);
  for (auto const& names : {std::vector<std::string_view>{"a", "b", "c"}, {"b", "a", "c"}, {"b", "c", "a"}}) {
    CHECK(b.publish(std::span(names), own("mine")).error == errc::id_in_use);  // of which one holds the ID
    check_unchanged(b.stats(), before);
  }
  CHECK(b.publish({"b", "c"}, own("mine")).value.view() == id(2));
}

TEST_CASE("a publish that is refused for its last channel takes every kind of event back from the others") {
  std::string const large(5000, 'L');
  std::string const huge(70'000, 'H');
  for (int held = 0; held < 40; ++held) {  // so that pages end at different events
    broker b;
    std::string expected;
    for (int i = 1; i <= held; ++i) {
      REQUIRE(b.publish("a", {.data = "held"}, {.tag = static_cast<std::uint64_t>(i % 2)}));
      expected += frame(static_cast<std::uint64_t>(i), "held");
    }
    REQUIRE(b.publish("z", own("mine")));
    auto const before = b.stats();
    std::vector<event> const events = {
        own("new"), {.data = "small"}, {.data = large}, own("other", huge), own("mine")};
    std::string_view const names[] = {"a", "z"};
    CHECK(b.publish(names, events, {.tag = 7}).error == errc::id_in_use);
    auto const after = b.stats();
    CHECK(after.events == before.events);
    CHECK(after.frame_bytes == before.frame_bytes);
    CHECK(after.published == before.published);
    auto const next = static_cast<std::uint64_t>(held) + 2;
    std::vector<event> const again = {own("new"), own("other")};  // their IDs were taken back, too
    CHECK(b.publish("a", again).value.view() == id(next + 1));
    CHECK_UNARY(replay(b, {"a"}) == expected + own_frame("new") + own_frame("other"));
  }
}

TEST_CASE("a large event on several channels lies whole on each, with its tag and its own ID") {
  // 4,096 bytes of a frame: where copying ends; 65,530 and with a tag 65,522: where a page has 64 KiB
  for (std::size_t const size :
       {4080u, 4081u, 5000u, 65'500u, 65'506u, 65'510u, 65'514u, 65'518u, 65'522u, 65'530u, 200'000u}) {
    broker b;
    std::string const data(size, 'd');
    std::vector<std::uint64_t> tags;
    auto const remember = [&](event_header const& e) {
      tags.push_back(e.tag);
      CHECK(e.id == "my-id");
      return true;
    };
    REQUIRE(b.publish({"a", "b", "c"}, own("my-id", data), {.tag = 99}));
    for (std::string_view const name : {"a", "b", "c"}) {
      auto s = follow(b, {name}, {}, {.start = start_at::beginning(), .filter = remember});
      (void)pull(s);
      CHECK_UNARY(pull_all(s) == own_frame("my-id", data));
      CHECK(follow(b, {name}, "my-id").outcome() == resume_outcome::up_to_date);
    }
    CHECK(tags == std::vector<std::uint64_t>(3, 99));
  }
}

TEST_CASE("a stream on two channels of an event, cut in the middle of its frame, owes the rest once") {
  for (std::string_view const left : {"a", "b"}) {
    for (std::size_t const taken : {std::size_t{1}, frame(1, "x").size() - 1}) {
      broker b;
      auto s = opened(b, {"a", "b"});
      REQUIRE(b.publish({"a", "b"}, {.data = "x"}));
      REQUIRE(b.publish({"b", "a"}, {.data = "y"}));
      batch pulled;
      (void)s.pull(pulled, support::all_room);
      auto const all = support::bytes_of(pulled);
      auto const rest = std::string(s.give_back(pulled, taken));
      CHECK(all.substr(0, taken) + rest == frame(1, "x"));
      REQUIRE(s.leave(left) == errc::ok);
      CHECK(pull_all(s) == checkpoint(1) + frame(2, "y"));
    }
  }
}

TEST_CASE("an event of two channels that was given back whole comes again from the channel that is left") {
  for (std::string_view const left : {"a", "b"}) {
    for (bool const leave_first : {false, true}) {
      broker b;
      auto s = opened(b, {"a", "b"});
      REQUIRE(b.publish({"a", "b"}, {.data = "x"}));
      batch pulled;
      (void)s.pull(pulled, support::all_room);
      if (leave_first) REQUIRE(s.leave(left) == errc::ok);
      CHECK(s.give_back(pulled, 0) == "");
      if (!leave_first) REQUIRE(s.leave(left) == errc::ok);
      CHECK(pull_all(s).ends_with(frame(1, "x")));
      CHECK(b.stats().delivered == 1);
    }
  }
}

TEST_CASE(
    "an event of two channels that was given back is delivered or told, though the channels have changed") {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  broker b(options);
  auto s = opened(b, {"a", "b"});
  REQUIRE(b.publish({"a", "b"}, {.data = "both"}));
  batch pulled;
  (void)s.pull(pulled, support::all_room);
  REQUIRE(s.leave("a") == errc::ok);
  REQUIRE(b.publish("b", {.data = "next"}));  // and b forgets it
  CHECK(s.give_back(pulled, 0) == "");
  auto const got = pull_all(s);
  CHECK(got.find("ssewire.gap") != std::string::npos);
  CHECK(got.ends_with(frame(2, "next")));
}

TEST_CASE("a broker that drains takes neither several events nor an event for several channels") {
  broker b;
  std::vector<std::string> const texts = {"1", "2"};
  b.drain({}, {});
  CHECK(b.publish("a", numbered(texts)).error == errc::closed);
  CHECK(b.publish({"a", "b"}, {.data = "x"}).error == errc::closed);
  CHECK(b.stats().channels == 0);
}

// ---- own IDs ----

TEST_CASE("an ID of one's own stays as it is, and publish returns the position") {
  broker b;
  auto s = opened(b, {"a"});
  CHECK(b.publish("a", own("order/17?x=\"1\"")).value.view() == id(1));
  CHECK(b.publish("a", {.data = "y"}).value.view() == id(2));
  CHECK(pull_all(s) == own_frame("order/17?x=\"1\"") + frame(2, "y"));
}

TEST_CASE("an ID of one's own has 1 to 128 bytes of visible ASCII") {
  broker b;
  for (int c = 1; c < 256; ++c) {
    if (c == '\n' || c == '\r') continue;  // no event_id holds one
    std::string const text = std::string("a") + static_cast<char>(c);
    CAPTURE(c);
    CHECK(b.publish("a", own(text)).error == (c > 0x20 && c < 0x7F ? errc::ok : errc::id_refused));
  }
  CHECK(b.publish("a", own("")).error == errc::id_refused);
  CHECK(b.publish("a", own(std::string(129, 'i'))).error == errc::id_refused);
  CHECK(b.publish("a", own(std::string(128, 'i'))).error == errc::ok);
  CHECK(b.publish("a", own("!")).error == errc::ok);
  CHECK(b.publish("a", own("~")).error == errc::ok);
  CHECK(follow(b, {"a"}, std::string(128, 'i')).backlog() == 2);
}

TEST_CASE("an ID of the form of the broker's is refused, one a character off is not") {
  for (auto const& text : {id(0), id(7), std::string("0123456789ab-0000000000000001"),
                           std::string("vvvvvvvvvvvv-9999999999999999")}) {
    broker b;
    CHECK(b.publish("a", own(text)).error == errc::id_refused);
    for (std::size_t at = 0; at < text.size(); ++at) {
      auto other = text;
      other[at] = 'w';
      CHECK(b.publish("a", own(other)).error == errc::ok);
    }
    CHECK(b.publish("a", own(text + "0")).error == errc::ok);
    CHECK(b.publish("a", own(text.substr(1))).error == errc::ok);
  }
}

TEST_CASE("an ID is in use as long as the channel holds its event, and in this channel only") {
  ssewire::broker_options options;
  options.replay.max_events = 2;
  broker b(options);
  REQUIRE(b.publish("a", own("mine", "1")));
  CHECK(b.publish("a", own("mine", "2")).error == errc::id_in_use);
  CHECK(b.publish("a", own("Mine", "2")).error == errc::ok);
  CHECK(b.publish("b", own("mine", "3")).error == errc::ok);
  CHECK(b.publish("a", own("mine", "4")).error == errc::id_in_use);  // though this one would make it go
  REQUIRE(b.publish("a", {.data = "5"}));
  CHECK(b.publish("a", own("mine", "6")).error == errc::ok);
}

TEST_CASE("several events of which two have one ID are refused, also where the log would not hold both") {
  for (std::uint64_t const most : {1u, 10u}) {
    ssewire::broker_options options;
    options.replay.max_events = most;
    broker b(options);
    std::vector<event> const events = {own("one"), own("two"), own("one")};
    CHECK(b.publish("a", events).error == errc::id_in_use);
    CHECK(b.stats().channels == 0);
    CHECK(b.publish("a", std::span(events).first(2)).value.view() == id(2));
  }
}

TEST_CASE("a client resumes from an ID of the publisher's, from the first, the middle and the last") {
  broker b;
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("id-" + std::to_string(i * i));
  for (auto const& name : names) REQUIRE(b.publish("a", own(name, name)));
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto s = follow(b, {"a"}, names[i]);
    REQUIRE(s.backlog() == names.size() - 1 - i);
    CHECK(s.outcome() == (i + 1 == names.size() ? resume_outcome::up_to_date : resume_outcome::resumed));
    auto const got = pull_all(s);
    auto const told = own_position_event(names[i]);  // its own cursor stays its own
    REQUIRE(got.starts_with(told));
    if (i + 1 < names.size())
      REQUIRE(got.substr(told.size()).starts_with(own_frame(names[i + 1], names[i + 1])));
  }
}

TEST_CASE("a client that presents an ID of the publisher's that is gone is told so; behind the last that "
          "went, nothing is missing") {
  ssewire::broker_options options;
  options.replay.max_events = 2;
  broker b(options);
  for (std::string_view const name : {"one", "two", "three", "four"}) REQUIRE(b.publish("a", own(name)));
  auto gone = follow(b, {"a"}, "one");
  CHECK(gone.outcome() == resume_outcome::unknown);
  CHECK(pull(gone) == own_gap_event("four", R"({"reason":"unknown"})") + own_position_event("four"));
  auto last_gone = follow(b, {"a"}, "two");
  CHECK(last_gone.outcome() == resume_outcome::resumed);
  CHECK(pull(last_gone) == position_event(2) + own_frame("three") + own_frame("four"));
  CHECK(follow(b, {"a"}, "three").outcome() == resume_outcome::resumed);
  CHECK(follow(b, {"b"}, "three").outcome() == resume_outcome::unknown);  // another channel's
  CHECK(follow(b, {"b", "a"}, "three").outcome() == resume_outcome::resumed);
  REQUIRE(b.publish("a", {.data = "x"}));
  CHECK(follow(b, {"a"}, "two").outcome() == resume_outcome::unknown);
}

TEST_CASE(
    "who else follows a channel does not decide whether a client can come back with its publisher's ID") {
  for (bool const followed : {true, false}) {
    broker b({.replay = {.max_age = std::chrono::seconds(1)}});
    auto const other = followed ? follow(b, {"a"}) : decltype(follow(b, {"a"}))();
    REQUIRE(b.publish("a", own("older")));
    REQUIRE(b.publish("a", own("mine")));
    ssewire::steady_time now{};
    for (int i = 0; i < 40; ++i) b.tick(now += std::chrono::milliseconds(100));
    REQUIRE(b.stats().events == 0);
    REQUIRE(b.stats().channels == (followed ? 1 : 0));
    CHECK(follow(b, {"a"}, "mine").outcome() == resume_outcome::up_to_date);
    CHECK(follow(b, {"a"}, "older").outcome() == resume_outcome::unknown);
    REQUIRE(b.publish("a", {.data = "next"}));
    CHECK(follow(b, {"a"}, "mine").outcome() == resume_outcome::resumed);
    REQUIRE(b.publish("a", own("mine")));  // the ID is free
  }
}

TEST_CASE("an ID that several of a stream's channels hold resumes behind the oldest: rather twice than not "
          "at all") {
  broker b;
  REQUIRE(b.publish("a", own("same", "1")));
  REQUIRE(b.publish("b", {.data = "2"}));
  REQUIRE(b.publish("b", own("same", "3")));
  for (auto const& channels : {std::vector<std::string_view>{"a", "b"}, {"b", "a"}}) {
    auto s = follow(b, channels, "same");
    CHECK(pull_all(s) == position_event(1) + frame(2, "2") + own_frame("same", "3"));
  }
  auto s = follow(b, {"b"}, "same");
  CHECK(s.outcome() == resume_outcome::up_to_date);
}

TEST_CASE("an event of one's own ID on several channels resumes exactly on any set of them") {
  broker b;
  REQUIRE(b.publish({"a", "b", "c"}, own("same", "1")));
  REQUIRE(b.publish({"a", "c"}, {.data = "2"}));
  for (auto const& channels : {std::vector<std::string_view>{"a"}, {"a", "c"}, {"c", "b", "a"}}) {
    auto s = follow(b, channels, "same");
    CHECK(pull_all(s) == own_position_event("same") + frame(2, "2"));
  }
  CHECK(follow(b, {"b"}, "same").outcome() == resume_outcome::up_to_date);
}

TEST_CASE("hostile last event IDs beside IDs of the publisher's have an outcome") {
  broker b;
  REQUIRE(b.publish("a", own(std::string(128, 'i'))));
  for (auto const& text :
       {std::string(127, 'i'), std::string(129, 'i'), std::string(100'000, 'i'), std::string(128, '\0'),
        std::string("\xFF\xFE"), std::string("\n"), std::string(" ")}) {
    CHECK(follow(b, {"a"}, text).outcome() == resume_outcome::unknown);
  }
}

// ---- tags ----

TEST_CASE("each event has the tag it was published with, whatever the others' tags and sizes") {
  broker b;
  std::vector<std::pair<std::string, std::uint64_t>> expected;
  std::uint64_t const values[] = {0, 0, 1, ~std::uint64_t{0}, 0, std::uint64_t{1} << 63};
  for (std::size_t i = 0; i < 300; ++i) {
    auto const tag = i < 50 ? 0 : values[i % 6];  // the first pages have none
    std::string const data(i % 13 == 0 ? 4090 + i : i % 90, 'x');
    auto const done = b.publish("a", {.data = data}, {.tag = tag});
    REQUIRE(done);
    expected.emplace_back(done.value.view(), tag);
  }
  std::vector<std::pair<std::string, std::uint64_t>> got;
  auto const remember = [&](event_header const& e) {
    got.emplace_back(e.id, e.tag);
    return false;
  };
  auto s = follow(b, {"a"}, {}, {.start = start_at::beginning(), .filter = remember});
  (void)pull_all(s);
  CHECK(got == expected);
}

TEST_CASE("a tag goes to all of several events on all of several channels, and is not sent") {
  broker b;
  std::vector<std::uint64_t> tags;
  auto const remember = [&](event_header const& e) {
    tags.push_back(e.tag);
    return true;
  };
  std::vector<std::string> const texts = {"1", "2"};
  std::string_view const names[] = {"a", "b"};
  REQUIRE(b.publish(names, numbered(texts), {.tag = 5}));
  for (auto const name : names) {
    auto s = follow(b, {name}, {}, {.start = start_at::beginning(), .filter = remember});
    CHECK(pull_all(s) == position_event(0) + frame(1, "1") + frame(2, "2"));
  }
  CHECK(tags == std::vector<std::uint64_t>(4, 5));
}

// ---- what may be called from where ----

TEST_CASE("a hook that publishes several events to several channels is told of them, and they come behind") {
  broker b;
  auto s = opened(b, {"a", "b"});
  int calls = 0;
  std::vector<std::string> const texts = {"2", "3"};
  std::string_view const names[] = {"b", "a"};
  auto hook = [&](ssewire::wake) {
    if (++calls == 1) REQUIRE(b.publish(names, numbered(texts)));
  };
  s.set_hook(ssewire::wake_hook::of(hook));
  REQUIRE(s.park());
  CHECK(b.publish({"a", "b"}, {.data = "1"}).value.view() == id(1));
  CHECK(calls == 1);  // it was not parked again
  CHECK(pull_all(s) == frame(1, "1") + frame(2, "2") + frame(3, "3"));
}

TEST_CASE("a text alone is published as an event of that data, also to several channels and with a tag") {
  ssewire::broker b;
  std::string const text = "two\nlines";
  char const* const absent = nullptr;
  std::string tags;
  auto const keep = [&](ssewire::event_header const& e) {
    tags += std::to_string(e.tag) + ' ';
    return true;
  };
  auto s = b.subscribe({"a", "b"}, {.filter = keep, .position = ssewire::position_events::left_out}).value;
  REQUIRE(b.publish("a", "hello"));
  REQUIRE(b.publish({"a", "b"}, text, {.tag = 7}));
  REQUIRE(b.publish("a", absent));  // no data: clients get an ID and no event
  ssewire::batch next;
  REQUIRE(s.pull(next, 4096) == ssewire::pull_status::ready);
  auto const got = next.text();
  CHECK(got.find("data: hello\n\n") != std::string::npos);
  CHECK(got.find("data: two\ndata: lines\n\n") != std::string::npos);
  CHECK(got.substr(got.rfind("id: ")).find("data") == std::string::npos);
  CHECK(tags == "0 7 0 ");
}

}  // namespace
