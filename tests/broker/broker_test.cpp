// SPDX-License-Identifier: MIT
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::lag_policy;
using ssewire::pull_status;
using ssewire::resume_outcome;
using ssewire::start_at;
using ssewire::wake;
using support::all_room;
using support::checkpoint;
using support::frame;
using support::gap_event;
using support::id;
using support::position_event;
using support::pull;
using support::pull_all;

using traits = support::epoch_traits;  // epoch 0, so that every byte is known
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
using batch = ssewire::basic_batch<traits>;

ssewire::broker_options holding(std::uint64_t events) {
  ssewire::broker_options options;
  options.replay.max_events = events;
  return options;
}

subscription subscribe(broker& to, std::vector<std::string_view> const& channels,
                       std::string_view last_event_id = {}, ssewire::subscribe_options how = {}) {
  how.last_event_id = last_event_id;
  auto made = to.subscribe(std::span(channels), how);
  REQUIRE(made.error == errc::ok);
  return std::move(made.value);
}

void publish(broker& to, std::string_view channel, std::string_view data) {
  REQUIRE(to.publish(channel, {.data = data}).error == errc::ok);
}

// A hook that counts, and does what the test says.
struct bell {
  int ready = 0;
  int evicted = 0;
  int inside = 0;
  int deepest = 0;
  std::function<void(wake)> action = {};

  void operator()(wake why) {
    ++(why == wake::ready ? ready : evicted);
    deepest = (std::max)(deepest, ++inside);
    if (action) action(why);
    --inside;
  }
};

ssewire::steady_time const start = ssewire::steady_time{} + std::chrono::hours(1);
using std::chrono::milliseconds;
using std::chrono::seconds;

// ---- publish and pull ----

TEST_CASE("a position event comes first, then the events") {
  broker b;
  auto s = subscribe(b, {"a"});
  CHECK(s.outcome() == resume_outcome::fresh);
  publish(b, "a", "one");
  publish(b, "a", "two");
  CHECK(pull(s) == position_event(0) + frame(1, "one") + frame(2, "two"));
  CHECK(pull(s) == "");
  publish(b, "a", "three");
  CHECK(pull(s) == frame(3, "three"));
}

TEST_CASE("a position event comes also where there is no event") {
  broker b;
  publish(b, "other", "x");
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(1));
  CHECK(pull(s) == "");
}

TEST_CASE("publish returns the ID that the stream carries") {
  broker b;
  CHECK(b.publish("a", {.data = "x"}).value.view() == id(1));
  CHECK(b.publish("b", {.data = "x"}).value.view() == id(2));
}

TEST_CASE("an event's type, retry and lines are carried") {
  broker b;
  auto s = subscribe(b, {"a"});
  REQUIRE(b.publish("a", {.type = "t", .data = "1\r\n2", .retry = milliseconds(7)}));
  CHECK(pull(s) == position_event(0) + "id: " + id(1) + "\nevent: t\nretry: 7\ndata: 1\ndata: 2\n\n");
}

TEST_CASE("several channels come in the broker's order") {
  broker b;
  auto s = subscribe(b, {"a", "b", "c"});
  std::string expected = position_event(0);
  std::string_view const order[] = {"b", "a", "a", "c", "b", "c", "c", "a", "b", "b"};
  for (std::uint64_t p = 1; p <= std::size(order); ++p) {
    publish(b, order[p - 1], order[p - 1]);
    expected += frame(p, order[p - 1]);
  }
  CHECK(pull_all(s) == expected);
}

TEST_CASE("a stream gets nothing of other channels") {
  broker b;
  auto s = subscribe(b, {"a"});
  publish(b, "b", "secret");
  publish(b, "a", "x");
  CHECK(pull(s) == position_event(1) + frame(2, "x"));
}

TEST_CASE("a pull brings about the room, but at least one event") {
  broker b;
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  for (int i = 0; i < 3; ++i) publish(b, "a", "x");
  auto const size = frame(1, "x").size();
  CHECK(pull(s, 0) == frame(1, "x"));
  CHECK(pull(s, 2 * size - 1) == frame(2, "x"));
  publish(b, "a", "x");
  CHECK(pull(s, 2 * size) == frame(3, "x") + frame(4, "x"));
}

TEST_CASE("small room cuts a merge of several channels between events, and loses none") {
  broker b;
  auto s = subscribe(b, {"a", "b"});
  std::string expected = position_event(0);
  for (std::uint64_t p = 1; p <= 200; ++p) {
    auto const data = std::string(p * 7 % 90, 'd');
    publish(b, p % 3 == 0 ? "a" : "b", data);
    expected += frame(p, data);
  }
  for (std::size_t const room : {0u, 100u, 1000u, 100'000u}) {
    auto again = subscribe(b, {"b", "a"}, {}, {.start = start_at::beginning()});
    CHECK(pull_all(again, room) == expected);
  }
  CHECK(pull_all(s, 300) == expected);
}

TEST_CASE("room that the first events fill is not exceeded by the next run") {
  broker b;
  auto s = subscribe(b, {"a", "b"});
  CHECK(pull(s) == position_event(0));
  publish(b, "a", "x");
  publish(b, "b", std::string(5000, 'y'));
  CHECK(pull(s, 4999) == frame(1, "x"));
  CHECK(pull(s, 4999) == frame(2, std::string(5000, 'y')));
}

TEST_CASE("events of every size are carried whole") {
  broker b;
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  std::uint64_t position = 0;
  // 42 bytes of the frame are not data: 4,096 is where copying ends, 65,530 where a page has 64 KiB
  for (std::size_t const size : {0u, 1u, 4053u, 4054u, 4055u, 65'487u, 65'488u, 65'489u, 65'490u, 200'000u}) {
    std::string const data(size, 'd');
    publish(b, "a", data);
    publish(b, "a", "small");
    ++position;
    CHECK(pull(s) == frame(position, data) + frame(position + 1, "small"));
    ++position;
  }
}

TEST_CASE("what a pull brought stays readable when the log forgets it") {
  broker b(holding(1));
  auto s = subscribe(b, {"a"});
  publish(b, "a", "one");
  batch pulled;
  REQUIRE(s.pull(pulled, all_room) == pull_status::ready);
  for (int i = 0; i < 1000; ++i) publish(b, "a", "more");
  s.close();
  CHECK(support::bytes_of(pulled) == position_event(0) + frame(1, "one"));
}

TEST_CASE("bug 3: what was pulled does not grow when its page does") {
  broker b;
  auto s = b.subscribe("a").value;
  pull(s);
  b.publish("a", {.data = "1"});
  ssewire::basic_batch<traits> pulled;
  REQUIRE(s.pull(pulled, support::all_room) == pull_status::ready);
  b.publish("a", {.data = "2"});  // into the same page
  CHECK(support::bytes_of(pulled) == frame(1, "1"));
  CHECK(s.give_back(pulled, 5) == std::string_view(frame(1, "1")).substr(5));
  CHECK(pull(s) == frame(2, "2"));
}

TEST_CASE("publish refuses what is not the publisher's: and then nothing has happened") {
  broker b;
  CHECK(b.publish("a", {.type = "ssewire.", .data = "x"}).error == errc::type_reserved);
  CHECK(b.publish("a", {.type = "ssewire.gap", .data = "x"}).error == errc::type_reserved);
  CHECK(b.publish("a", {.data = "x", .id = "two words"}).error == errc::id_refused);
  CHECK(b.publish("a", {.data = "x", .id = "000000000000-0000000000000009"}).error == errc::id_refused);
  CHECK(b.publish("a", {.data = "x", .id = ""}).error == errc::id_refused);
  CHECK(b.stats().channels == 0);
  CHECK(b.publish("a", {.type = "ssewire", .data = "x"}).value.view() == id(1));
  CHECK(b.publish("a", {.type = "Ssewire.gap", .data = "x"}).value.view() == id(2));
}

TEST_CASE("an event larger than the log is refused, one of its size is not") {
  ssewire::broker_options options;
  options.replay.max_bytes = frame(1, "12345").size();
  broker b(options);
  CHECK(b.publish("a", {.data = "123456"}).error == errc::event_too_large);
  CHECK(b.stats().channels == 0);
  CHECK(b.publish("a", {.data = "12345"}).error == errc::ok);
  CHECK(b.publish("a", {.data = "1"}).error == errc::ok);
  CHECK(b.stats().events == 1);
}

// ---- channel names and limits ----

TEST_CASE("a channel name has 1 to 128 bytes and no control characters") {
  broker b;
  std::string const longest(128, 'n');
  for (std::string_view const name :
       {std::string_view("\0", 1), std::string_view(""), std::string_view("a\n"), std::string_view("\x1F"),
        std::string_view("a\x7F"), std::string_view("\r")}) {
    CHECK(b.publish(name, {.data = "x"}).error == errc::channel_name_refused);
    CHECK(b.subscribe(name).error == errc::channel_name_refused);
    CHECK(b.subscribe({"good", name}).error == errc::channel_name_refused);
  }
  CHECK(b.publish(longest + "n", {.data = "x"}).error == errc::channel_name_refused);
  CHECK(b.subscribe(longest + "n").error == errc::channel_name_refused);
  CHECK(b.stats().channels == 0);
  for (std::string_view const name : {" ", "\x7E", "\x80", "\xC3\xA4", "a/b?c=\"d\"\\"}) {
    CHECK(b.publish(name, {.data = "x"}));
    CHECK(b.subscribe(name));
  }
  CHECK(b.publish(longest, {.data = "x"}));
  CHECK(b.subscribe(longest));
}

TEST_CASE("a subscription names a channel") {
  broker b;
  CHECK(b.subscribe(std::span<std::string_view const>()).error == errc::no_channel);
}

TEST_CASE("a channel beyond max_channels is refused to publishers and subscribers") {
  ssewire::broker_options options;
  options.max_channels = 2;
  broker b(options);
  publish(b, "a", "x");
  auto s = subscribe(b, {"b"});
  CHECK(b.publish("c", {.data = "x"}).error == errc::too_many_channels);
  CHECK(b.subscribe("c").error == errc::too_many_channels);
  CHECK(b.subscribe({"a", "c"}).error == errc::too_many_channels);
  CHECK(b.stats().channels == 2);
  CHECK(b.stats().published == 1);
  publish(b, "b", "x");  // those there are go on
  CHECK(b.subscribe({"a", "b"}));
}

TEST_CASE("a refused subscription leaves none of the channels it would have made") {
  ssewire::broker_options options;
  options.max_channels = 2;
  broker b(options);
  CHECK(b.subscribe({"a", "b", "c"}).error == errc::too_many_channels);
  CHECK(b.stats().channels == 0);
  CHECK(b.subscribe({"d", "e"}));
}

TEST_CASE("a subscriber beyond max_subscribers is refused until one leaves") {
  ssewire::broker_options options;
  options.max_subscribers = 2;
  broker b(options);
  auto first = subscribe(b, {"a"});
  auto second = subscribe(b, {"b"});
  CHECK(b.subscribe("c").error == errc::too_many_subscribers);
  CHECK(b.stats().channels == 2);
  CHECK(b.stats().subscribers == 2);
  first.close();
  CHECK(b.subscribe("c").error == errc::ok);
}

TEST_CASE("a stream has at most max_channels_per_stream channels") {
  ssewire::broker_options options;
  options.max_channels_per_stream = 2;
  broker b(options);
  CHECK(b.subscribe({"a", "b", "c"}).error == errc::too_many_channels);
  CHECK(b.stats().channels == 0);
  CHECK(b.subscribe({"a", "b"}));
  CHECK(b.subscribe({"a", "a", "b", "a"}));
}

TEST_CASE("a channel named twice counts once") {
  broker b;
  auto s = subscribe(b, {"a", "a", "b", "a", "b"});
  publish(b, "a", "x");
  publish(b, "b", "y");
  CHECK(pull(s) == position_event(0) + frame(1, "x") + frame(2, "y"));
  CHECK(b.stats().channels == 2);
  bell rings;
  s.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(s.park());
  publish(b, "a", "x");
  CHECK(rings.ready == 1);
}

TEST_CASE("a channel that nobody follows and that never held an event vanishes") {
  broker b;
  {
    auto s = subscribe(b, {"a", "b"});
    auto t = subscribe(b, {"b"});
    CHECK(b.stats().channels == 2);
    s.close();
    CHECK(b.stats().channels == 1);
  }
  CHECK(b.stats().channels == 0);
  std::vector<subscription> many;
  for (int i = 0; i < 100; ++i) {
    auto const name = "c" + std::to_string(i);
    many.push_back(subscribe(b, {name}));
  }
  for (std::size_t i = 0; i < many.size(); i += 2) many[i].close();
  CHECK(b.stats().channels == 50);
  publish(b, "c0", "new");
  publish(b, "c1", "old");
  CHECK(pull(many[1]) == position_event(1) + frame(2, "old"));
  many.clear();
  CHECK(b.stats().channels == 2);
}

// ---- channels that expire ----

ssewire::broker_options expiring(std::size_t remembered = 10) {
  ssewire::broker_options options;
  options.channel_expiry = std::chrono::seconds(8);
  options.max_expired_channels = remembered;
  return options;
}

// A server that ticks each second.
void pass(broker& b, ssewire::steady_time& now, int ticks) {
  for (int i = 0; i < ticks; ++i) b.tick(now += std::chrono::seconds(1));
}

TEST_CASE("a quiet channel that nobody follows expires, with its events and its memory") {
  broker b(expiring());
  ssewire::steady_time now{};
  for (int i = 0; i < 200; ++i) publish(b, "user" + std::to_string(i % 50), "x");
  CHECK(b.stats().channels == 50);
  pass(b, now, 7);
  CHECK(b.stats().channels == 50);
  pass(b, now, 3);
  auto const s = b.stats();
  CHECK(s.channels == 0);
  CHECK(s.expired_channels == 10);  // of which the newest are remembered
  CHECK(s.events == 0);
  CHECK(s.trimmed == 200);
  CHECK(s.frame_bytes == 0);
  CHECK(s.log_bytes == 0);
}

TEST_CASE("a channel that is followed or published to does not expire") {
  broker b(expiring());
  ssewire::steady_time now{};
  publish(b, "followed", "x");
  publish(b, "busy", "x");
  auto const reader = subscribe(b, {"followed"});
  for (int i = 0; i < 5; ++i) {
    pass(b, now, 6);
    publish(b, "busy", "y");
  }
  CHECK(b.stats().channels == 2);
  CHECK(b.stats().events == 7);
}

TEST_CASE("who comes back to an expired channel is told what is gone, and only who has missed something") {
  broker b(expiring());
  ssewire::steady_time now{};
  publish(b, "a", "1");
  publish(b, "a", "2");
  publish(b, "b", "3");
  pass(b, now, 20);
  CHECK(b.stats().channels == 0);

  auto missed = subscribe(b, {"a"}, id(1));
  CHECK(missed.outcome() == resume_outcome::gap);
  CHECK(pull(missed) == gap_event(3, R"({"reason":"trimmed","channel":"a"})") + position_event(3));
  auto up_to_date = subscribe(b, {"a"}, id(2));
  CHECK(up_to_date.outcome() == resume_outcome::up_to_date);
  auto never_there = subscribe(b, {"new"}, id(1));
  CHECK(never_there.outcome() == resume_outcome::up_to_date);
  CHECK(subscribe(b, {"a", "b"}, id(2)).outcome() == resume_outcome::gap);  // 3 is missing

  publish(b, "a", "4");
  CHECK(pull(missed) == frame(4, "4"));
  missed.close();
  up_to_date.close();
  pass(b, now, 20);  // it expires again, and has lost more now
  CHECK(subscribe(b, {"a"}, id(3)).outcome() == resume_outcome::gap);
  CHECK(subscribe(b, {"a"}, id(4)).outcome() == resume_outcome::up_to_date);
}

std::string replay(broker& b, std::string const& last_event_id) {
  auto s = subscribe(b, {"a"}, last_event_id);
  return pull(s);
}

TEST_CASE("an expired channel that is published to begins behind what it lost") {
  broker b(expiring());
  ssewire::steady_time now{};
  publish(b, "a", "1");
  publish(b, "a", "2");
  pass(b, now, 20);
  publish(b, "a", "3");
  CHECK(replay(b, id(2)) == position_event(2) + frame(3, "3"));
  CHECK(replay(b, id(1)) ==
        gap_event(2, R"({"reason":"trimmed","channel":"a"})") + position_event(2) + frame(3, "3"));
  ssewire::subscribe_options from_the_beginning;
  from_the_beginning.start = start_at::beginning();
  auto all = subscribe(b, {"a"}, {}, from_the_beginning);
  CHECK(pull(all) == position_event(2) + frame(3, "3"));
}

TEST_CASE("an expired channel that is no longer remembered counts as having lost what any such channel has") {
  broker b(expiring(1));
  ssewire::steady_time now{};
  publish(b, "a", "1");
  publish(b, "b", "2");
  publish(b, "c", "3");
  pass(b, now, 20);
  CHECK(b.stats().expired_channels == 1);  // c
  CHECK(subscribe(b, {"a"}, id(0)).outcome() == resume_outcome::gap);
  CHECK(subscribe(b, {"a"}, id(2)).outcome() == resume_outcome::up_to_date);
  CHECK(subscribe(b, {"c"}, id(2)).outcome() == resume_outcome::gap);
  CHECK(subscribe(b, {"c"}, id(3)).outcome() == resume_outcome::up_to_date);
}

TEST_CASE("a channel whose events have all aged out goes when its last follower leaves, and is remembered") {
  auto options = expiring();
  options.replay.max_age = std::chrono::seconds(2);
  broker b(options);
  ssewire::steady_time now{};
  publish(b, "a", "1");
  auto reader = subscribe(b, {"a"});
  pass(b, now, 5);
  CHECK(b.stats().channels == 1);
  reader.close();
  CHECK(b.stats().channels == 0);
  CHECK(subscribe(b, {"a"}, id(0)).outcome() == resume_outcome::gap);
}

TEST_CASE("an expiry of zero keeps every channel that holds an event") {
  ssewire::broker_options options;
  options.channel_expiry = ssewire::steady_duration::zero();
  broker b(options);
  ssewire::steady_time now{};
  publish(b, "a", "1");
  pass(b, now, 100);
  b.tick(now + std::chrono::hours(1000));
  CHECK(b.stats().channels == 1);
}

// ---- where a stream begins ----

TEST_CASE("a fresh stream starts now, at the beginning, or at the last n") {
  broker b;
  for (char const* data : {"1", "2", "3", "4"}) publish(b, data[0] % 2 == 0 ? "even" : "odd", data);
  auto const begin = [&](start_at where, std::vector<std::string_view> channels = {"even", "odd"}) {
    auto s = subscribe(b, channels, {}, {.start = where});
    CHECK(s.outcome() == resume_outcome::fresh);
    return pull_all(s);
  };
  auto const all = frame(1, "1") + frame(2, "2") + frame(3, "3") + frame(4, "4");
  CHECK(begin(start_at::now()) == position_event(4));
  CHECK(begin(start_at::beginning()) == position_event(0) + all);
  CHECK(begin(start_at::last(0)) == position_event(4));
  CHECK(begin(start_at::last(1)) == position_event(3) + frame(4, "4"));
  CHECK(begin(start_at::last(3)) == position_event(1) + frame(2, "2") + frame(3, "3") + frame(4, "4"));
  CHECK(begin(start_at::last(4)) == position_event(0) + all);
  CHECK(begin(start_at::last(5)) == position_event(0) + all);
  CHECK(begin(start_at::last(~std::uint64_t{0})) == position_event(0) + all);
  CHECK(begin(start_at::last(1), {"odd"}) == position_event(2) + frame(3, "3"));
}

TEST_CASE("beginning and last start where nothing is missing on any of the channels") {
  broker b(holding(2));
  publish(b, "a", "1");
  publish(b, "b", "2");
  publish(b, "a", "3");
  publish(b, "a", "4");  // 1 goes
  publish(b, "a", "5");  // 3 goes
  auto s = subscribe(b, {"a", "b"}, {}, {.start = start_at::beginning()});
  CHECK(pull_all(s) == position_event(3) + frame(4, "4") + frame(5, "5"));
  auto t = subscribe(b, {"a", "b"}, {}, {.start = start_at::last(9)});
  CHECK(pull_all(t) == position_event(3) + frame(4, "4") + frame(5, "5"));
  auto u = subscribe(b, {"b"}, {}, {.start = start_at::beginning()});
  CHECK(pull_all(u) == position_event(1) + frame(2, "2"));
}

// ---- resuming ----

TEST_CASE("what follows the last event ID is replayed") {
  broker b;
  for (char const* data : {"1", "2", "3"}) publish(b, "a", data);
  auto s = subscribe(b, {"a"}, id(1));
  CHECK(s.outcome() == resume_outcome::resumed);
  CHECK(pull_all(s) == position_event(1) + frame(2, "2") + frame(3, "3"));
}

TEST_CASE("a start is not for who resumes") {
  broker b;
  for (char const* data : {"1", "2", "3"}) publish(b, "a", data);
  auto s = subscribe(b, {"a"}, id(2), {.start = start_at::beginning()});
  CHECK(pull_all(s) == position_event(2) + frame(3, "3"));
}

TEST_CASE("who has the newest is up to date, whichever channel it came on") {
  broker b;
  publish(b, "a", "1");
  publish(b, "b", "2");
  auto s = subscribe(b, {"a"}, id(2));
  CHECK(s.outcome() == resume_outcome::up_to_date);
  CHECK(pull_all(s) == position_event(2));
  auto t = subscribe(b, {"a"}, id(1));
  CHECK(t.outcome() == resume_outcome::up_to_date);
  auto u = subscribe(b, {"a", "b"}, id(1));
  CHECK(u.outcome() == resume_outcome::resumed);
}

TEST_CASE("who comes back too late is told the channel, not a number") {
  broker b(holding(2));
  for (char const* data : {"1", "2", "3", "4"}) publish(b, "a", data);  // 3 and 4 are left
  auto s = subscribe(b, {"a"}, id(1));
  CHECK(s.outcome() == resume_outcome::gap);
  CHECK(pull_all(s) == gap_event(2, R"({"reason":"trimmed","channel":"a"})") + position_event(2) +
                           frame(3, "3") + frame(4, "4"));
}

TEST_CASE("who comes back at the border of what was forgotten has no gap, one before it has") {
  broker b(holding(2));
  for (char const* data : {"1", "2", "3", "4"}) publish(b, "a", data);
  CHECK(subscribe(b, {"a"}, id(2)).outcome() == resume_outcome::resumed);
  CHECK(subscribe(b, {"a"}, id(1)).outcome() == resume_outcome::gap);
}

TEST_CASE("an idle channel beside a busy one is no gap") {
  broker b(holding(2));
  publish(b, "idle", "1");
  for (int i = 0; i < 100; ++i) publish(b, "busy", "x");
  auto s = subscribe(b, {"idle"}, id(1));
  CHECK(s.outcome() == resume_outcome::up_to_date);
  auto t = subscribe(b, {"idle"}, id(0));
  CHECK(t.outcome() == resume_outcome::resumed);
  auto u = subscribe(b, {"new", "idle"}, id(50));
  CHECK(u.outcome() == resume_outcome::up_to_date);
}

TEST_CASE("of several gaps only the last one carries the ID") {
  broker b(holding(1));
  for (char const* channel : {"a", "b", "c", "a", "b"}) publish(b, channel, channel);
  auto s = subscribe(b, {"a", "b", "c"}, id(0));
  CHECK(s.outcome() == resume_outcome::gap);
  CHECK(pull_all(s) == gap_event(R"({"reason":"trimmed","channel":"a"})") +
                           gap_event(2, R"({"reason":"trimmed","channel":"b"})") + position_event(2) +
                           frame(3, "c") + frame(4, "a") + frame(5, "b"));
}

TEST_CASE("an ID of another run of the process is told as a restart") {
  broker b;
  publish(b, "a", "1");
  traits::next = 7;
  auto const other = std::string(ssewire::position_id(7, 1).view());
  traits::next = 0;
  auto s = subscribe(b, {"a"}, other);
  CHECK(s.outcome() == resume_outcome::unknown);
  CHECK(pull_all(s) == gap_event(1, R"({"reason":"restart"})") + position_event(1));
  auto t = subscribe(b, {"a"}, other, {.start = start_at::beginning()});
  CHECK(pull_all(t) == gap_event(0, R"({"reason":"restart"})") + position_event(0) + frame(1, "1"));
}

TEST_CASE("an ID of the future, and one that is none of ours, are told as unknown") {
  broker b;
  publish(b, "a", "1");
  std::string const hostile[] = {id(2),
                                 id(9'999'999'999'999'999u),
                                 "1",
                                 "garbage",
                                 std::string(100'000, '0'),
                                 std::string(29, '\0'),
                                 id(1) + " ",
                                 " " + id(1),
                                 "000000000000-000000000000001"};
  for (auto const& presented : hostile) {
    auto s = subscribe(b, {"a"}, presented, {.start = start_at::last(1)});
    CHECK(s.outcome() == resume_outcome::unknown);
    CHECK(pull_all(s) == gap_event(0, R"({"reason":"unknown"})") + position_event(0) + frame(1, "1"));
  }
}

TEST_CASE("an unknown ID and a lag before the first pull are both told, the second with the ID") {
  broker b(holding(1));
  auto s = subscribe(b, {"a"}, "garbage");
  publish(b, "a", "1");
  publish(b, "a", "2");
  CHECK(pull_all(s) == gap_event(R"({"reason":"unknown"})") +
                           gap_event(1, R"({"reason":"trimmed","channel":"a","missed":1})") +
                           position_event(1) + frame(2, "2"));
}

TEST_CASE("the gap's type is the option's, and the channel's name is escaped for JSON") {
  auto options = holding(1);
  options.gap_type = "my.gap";
  broker b(options);
  auto const* const name = "q\"\\/\xC3\xA4";
  auto s = subscribe(b, {name});
  CHECK(pull(s) == position_event(0));
  publish(b, name, "1");
  publish(b, name, "2");
  CHECK(pull(s) == "id: " + id(1) + "\nevent: my.gap\ndata: " +
                       R"({"reason":"trimmed","channel":"q\"\\/)"
                       "\xC3\xA4"
                       R"(","missed":1})"
                       "\n\n" +
                       frame(2, "2"));
}

// ---- lag ----

TEST_CASE("a stream that lags is told how many it missed, exactly") {
  broker b(holding(3));
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  for (int i = 1; i <= 3; ++i) publish(b, "a", "x");
  publish(b, "other", "y");
  publish(b, "a", "x");  // 1 goes
  publish(b, "a", "x");  // 2 goes
  CHECK(pull(s) == gap_event(2, R"({"reason":"trimmed","channel":"a","missed":2})") + frame(3, "x") +
                       frame(5, "x") + frame(6, "x"));
  CHECK(pull(s) == "");
  CHECK(b.stats().gaps == 1);
}

TEST_CASE("a stream whose oldest unread event is the oldest held misses nothing") {
  broker b(holding(3));
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  for (int i = 1; i <= 3; ++i) publish(b, "a", "x");
  CHECK(pull(s, 0) == frame(1, "x"));
  publish(b, "a", "x");  // 1 goes
  CHECK(pull(s) == frame(2, "x") + frame(3, "x") + frame(4, "x"));
}

TEST_CASE("a lag on one of several channels is told before what the others have") {
  broker b(holding(1));
  auto s = subscribe(b, {"a", "b"});
  CHECK(pull(s) == position_event(0));
  publish(b, "b", "1");
  publish(b, "a", "2");
  publish(b, "a", "3");
  CHECK(pull(s) ==
        gap_event(0, R"({"reason":"trimmed","channel":"a","missed":1})") + frame(1, "1") + frame(3, "3"));
}

TEST_CASE("under lag_policy::close a stream that lags is closed, and told when it comes back") {
  broker b(holding(1));
  auto s = subscribe(b, {"a"}, {}, {.lag = lag_policy::close});
  CHECK(pull(s) == position_event(0));
  publish(b, "a", "1");
  CHECK(pull(s) == frame(1, "1"));
  publish(b, "a", "2");
  publish(b, "a", "3");
  batch pulled;
  CHECK(s.pull(pulled, all_room) == pull_status::closed);
  CHECK_UNARY(pulled.empty());
  CHECK(s.reason() == close_reason::lagged);
  CHECK_UNARY(!s.park());
  s.close(close_reason::finished);
  CHECK(b.stats().closes[static_cast<std::size_t>(close_reason::lagged)] == 1);
  CHECK(b.stats().closes[static_cast<std::size_t>(close_reason::finished)] == 0);
  auto again = subscribe(b, {"a"}, id(1), {.lag = lag_policy::close});
  CHECK(again.outcome() == resume_outcome::gap);
  CHECK(pull(again) ==
        gap_event(2, R"({"reason":"trimmed","channel":"a"})") + position_event(2) + frame(3, "3"));
}

TEST_CASE("lag_policy::close does not close a stream before its first pull") {
  broker b(holding(1));
  auto s = subscribe(b, {"a"}, {}, {.lag = lag_policy::close});
  publish(b, "a", "1");
  publish(b, "a", "2");
  b.tick(start);
  CHECK(pull(s) ==
        gap_event(1, R"({"reason":"trimmed","channel":"a","missed":1})") + position_event(1) + frame(2, "2"));
}

TEST_CASE("what age takes in a late tick closes nobody: it is told, also under lag_policy::close") {
  using namespace std::chrono_literals;
  for (bool const late : {false, true}) {
    for (auto const pause : {5100ms, 9000ms, 3'600'000ms}) {
      for (int ticks_after = 0; ticks_after < 3; ++ticks_after) {
        ssewire::broker_options options;
        options.replay.max_age = 10s;
        broker b(options);
        auto s = subscribe(b, {"a"}, {}, {.lag = lag_policy::close});
        (void)pull(s);
        for (int i = 0; i < 5; ++i) b.publish("a", {.data = "x"});
        auto now = start;
        b.tick(now);
        b.tick(now += 5s);  // its writer is blocked
        if (!late) b.tick(now += 4s);
        b.tick(now += late ? pause : 1s);
        for (int i = 0; i < 20 && late && b.stats().trimmed == 0; ++i) b.tick(now += 5100ms);
        REQUIRE(b.stats().trimmed == 5);
        for (int i = 0; i < ticks_after; ++i) b.tick(now += 1s);
        CHECK(s.reason() == (late ? close_reason::none : close_reason::lagged));
        if (!late) continue;
        b.publish("a", {.data = "y"});
        CHECK(pull(s) == gap_event(5, R"({"reason":"trimmed","channel":"a","missed":5})") + frame(6, "y"));
        // It goes on, and is closed when it is slow while the program runs.
        b.publish("a", {.data = "z"});
        for (int i = 0; i < 12; ++i) b.tick(now += 1s);
        CHECK(s.reason() == close_reason::lagged);
      }
    }
  }
}

TEST_CASE("other limits that take events after a late tick close a stream as ever") {
  using namespace std::chrono_literals;
  ssewire::broker_options options;
  options.replay.max_age = 10s;
  options.replay.max_events = 3;
  broker b(options);
  auto s = subscribe(b, {"a"}, {}, {.lag = lag_policy::close});
  (void)pull(s);
  for (int i = 0; i < 2; ++i) b.publish("a", {.data = "x"});
  b.tick(start);
  b.tick(start + 1h);
  CHECK(s.reason() == close_reason::none);
  for (int i = 0; i < 3; ++i) b.publish("a", {.data = "y"});
  b.tick(start + 1h + 1s);
  CHECK(s.reason() == close_reason::none);
  b.publish("a", {.data = "y"});
  b.tick(start + 1h + 2s);
  CHECK(s.reason() == close_reason::lagged);
}

TEST_CASE("tick evicts a stream that lags under lag_policy::close, once, and no other") {
  broker b(holding(1));
  auto lagging = subscribe(b, {"a"}, {}, {.lag = lag_policy::close});
  auto patient = subscribe(b, {"a"});
  auto current = subscribe(b, {"b"}, {}, {.lag = lag_policy::close});
  bell rings[3];
  lagging.set_hook(ssewire::wake_hook::of(rings[0]));
  patient.set_hook(ssewire::wake_hook::of(rings[1]));
  current.set_hook(ssewire::wake_hook::of(rings[2]));
  for (auto* s : {&lagging, &patient, &current}) (void)pull(*s);
  publish(b, "a", "1");
  publish(b, "a", "2");
  b.tick(start);
  b.tick(start);
  CHECK(rings[0].evicted == 1);
  CHECK(rings[0].ready == 0);
  CHECK(rings[1].evicted + rings[2].evicted == 0);
  CHECK(lagging.reason() == close_reason::lagged);
  CHECK(patient.reason() == close_reason::none);
  batch pulled;
  CHECK(lagging.pull(pulled, all_room) == pull_status::closed);
}

// ---- give back ----

TEST_CASE("what was not sent is pulled again: nothing twice, nothing missing, at every offset") {
  broker b(holding(7));  // so "a" begins with a gap
  for (int i = 1; i <= 12; ++i)
    publish(b, i % 3 == 0 ? "b" : "a", std::string(static_cast<std::size_t>(i) * 3, 'd'));
  publish(b, "a", std::string(5000, 'L'));
  publish(b, "b", "after");
  publish(b, "a", "end");
  auto first = subscribe(b, {"a", "b"}, id(0));
  auto const whole = pull_all(first);
  auto const events_in = [](std::string const& bytes) {
    std::uint64_t n = 0;
    for (auto const& e : support::parse_whole(bytes).events) n += e.type.empty() ? 1U : 0U;
    return n;
  };
  CHECK(events_in(whole) == 7 + 5);
  auto const large = whole.find("LLL");
  for (std::size_t taken = 0; taken <= whole.size();
       taken += taken > large && taken < large + 4900 ? 97 : 1) {
    CAPTURE(taken);
    auto s = subscribe(b, {"a", "b"}, id(0));
    auto const before = b.stats();
    batch pulled;
    REQUIRE(s.pull(pulled, all_room) == pull_status::ready);
    auto sent = support::bytes_of(pulled).substr(0, taken);
    sent += s.give_back(pulled, taken);
    REQUIRE(b.stats().delivered - before.delivered == events_in(sent));
    REQUIRE(b.stats().replayed - before.replayed == events_in(sent));
    sent += pull_all(s, 200);
    REQUIRE(sent == whole);
    REQUIRE(b.stats().delivered - before.delivered == 12);
  }
}

TEST_CASE("nothing is owed at a border between frames") {
  broker b;
  auto s = subscribe(b, {"a"});
  publish(b, "a", "1");
  publish(b, "a", "2");
  batch pulled;
  REQUIRE(s.pull(pulled, all_room) == pull_status::ready);
  auto const first = position_event(0).size() + frame(1, "1").size();
  CHECK(s.give_back(pulled, first) == "");
  CHECK(pull(s) == frame(2, "2"));
}

TEST_CASE("nothing is owed when all was sent, and nothing comes again") {
  broker b;
  auto s = subscribe(b, {"a"});
  publish(b, "a", "1");
  batch pulled;
  REQUIRE(s.pull(pulled, all_room) == pull_status::ready);
  CHECK(s.give_back(pulled, pulled.bytes()) == "");
  CHECK(pull(s) == "");
}

TEST_CASE("what was given back can be lost to the log, and is told then") {
  broker b(holding(2));
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  publish(b, "a", "1");
  publish(b, "a", "2");
  batch pulled;
  REQUIRE(s.pull(pulled, all_room) == pull_status::ready);
  CHECK(s.give_back(pulled, 1) == frame(1, "1").substr(1));  // this one is safe
  publish(b, "a", "3");
  publish(b, "a", "4");
  CHECK(pull(s) ==
        gap_event(2, R"({"reason":"trimmed","channel":"a","missed":1})") + frame(3, "3") + frame(4, "4"));
}

// ---- park and wake ----

TEST_CASE("a parked stream is woken once, by the first event of any of its channels") {
  broker b;
  auto s = subscribe(b, {"a", "b"});
  bell rings;
  s.set_hook(ssewire::wake_hook::of(rings));
  CHECK_UNARY(!s.park());  // the position event is due
  CHECK(pull(s) == position_event(0));
  publish(b, "a", "unparked");
  CHECK(rings.ready == 0);
  CHECK_UNARY(!s.park());  // there is something
  CHECK(pull(s) != "");
  for (char const* channel : {"a", "b", "a"}) {
    rings.ready = 0;
    REQUIRE(s.park());
    publish(b, "other", "x");
    CHECK(rings.ready == 0);
    publish(b, channel, "1");
    CHECK(rings.ready == 1);
    publish(b, "a", "2");
    publish(b, "b", "3");
    CHECK(rings.ready == 1);
    (void)pull_all(s);
  }
}

TEST_CASE("parking twice wakes once") {
  broker b;
  auto s = subscribe(b, {"a", "b"});
  bell rings;
  s.set_hook(ssewire::wake_hook::of(rings));
  (void)pull(s);
  REQUIRE(s.park());
  REQUIRE(s.park());
  publish(b, "a", "x");
  publish(b, "b", "x");
  CHECK(rings.ready == 1);
}

TEST_CASE("without a hook a parked stream is simply not called") {
  broker b;
  auto s = subscribe(b, {"a"});
  (void)pull(s);
  REQUIRE(s.park());
  publish(b, "a", "x");
  CHECK(pull(s) == frame(1, "x"));
}

TEST_CASE("each of many parked streams is woken") {
  broker b;
  std::vector<subscription> streams;
  std::vector<bell> bells(100);
  for (auto& rings : bells) {
    streams.push_back(subscribe(b, {"a"}));
    (void)pull(streams.back());
    streams.back().set_hook(ssewire::wake_hook::of(rings));
    REQUIRE(streams.back().park());
  }
  for (std::size_t i = 0; i < 100; i += 3) streams[i].close();
  publish(b, "a", "x");
  for (std::size_t i = 0; i < 100; ++i) CHECK(bells[i].ready == (i % 3 == 0 ? 0 : 1));
}

TEST_CASE(
    "a hook may pull and park again; what it publishes itself wakes it again after it, never inside it") {
  broker b;
  auto s = subscribe(b, {"a"});
  bell rings;
  std::string got;
  rings.action = [&](wake) {
    got += pull_all(s);
    REQUIRE(s.park());
    if (rings.ready < 4) {
      publish(b, "a", "more");
      CHECK(rings.inside == 1);
    }
  };
  s.set_hook(ssewire::wake_hook::of(rings));
  (void)pull(s);
  REQUIRE(s.park());
  publish(b, "a", "first");
  CHECK(rings.ready == 4);
  CHECK(rings.deepest == 1);
  CHECK(got == frame(1, "first") + frame(2, "more") + frame(3, "more") + frame(4, "more"));
}

TEST_CASE("a hook may close its own stream") {
  broker b;
  auto s = subscribe(b, {"a", "b"});
  auto beside = subscribe(b, {"a"});
  bell rings;
  bell others;
  rings.action = [&](wake) {
    s.close();
    CHECK(b.stats().subscribers == 1);
  };
  s.set_hook(ssewire::wake_hook::of(rings));
  beside.set_hook(ssewire::wake_hook::of(others));
  for (auto* each : {&s, &beside}) {
    (void)pull(*each);
    REQUIRE(each->park());
  }
  publish(b, "a", "x");
  publish(b, "b", "x");
  CHECK(rings.ready == 1);
  CHECK(others.ready == 1);
  CHECK_UNARY(!s);
}

TEST_CASE("a hook that publishes to itself and then closes is not called again") {
  broker b;
  auto s = subscribe(b, {"a"});
  bell rings;
  rings.action = [&](wake) {
    (void)pull_all(s);
    REQUIRE(s.park());
    publish(b, "a", "x");
    s.close();
  };
  s.set_hook(ssewire::wake_hook::of(rings));
  (void)pull(s);
  REQUIRE(s.park());
  publish(b, "a", "x");
  CHECK(rings.ready == 1);
}

TEST_CASE("a hook may close other streams, also those that would have been woken next") {
  for (int closer = 0; closer < 3; ++closer) {
    broker b;
    std::vector<subscription> streams;
    std::vector<bell> bells(3);
    for (auto& rings : bells) {
      streams.push_back(subscribe(b, {"a"}));
      (void)pull(streams.back());
      streams.back().set_hook(ssewire::wake_hook::of(rings));
      REQUIRE(streams.back().park());
      rings.action = [&](wake) {
        for (std::size_t i = 0; i < 3; ++i) {
          if (&bells[i] != &rings) streams[i].close();
        }
      };
    }
    publish(b, "a", "x");  // whoever comes first ends the others
    CHECK(bells[0].ready + bells[1].ready + bells[2].ready == 1);
    CHECK(b.stats().subscribers == 1);
  }
}

TEST_CASE("a hook may close another stream whose hook is further up on the same stack") {
  broker b;
  auto outer = subscribe(b, {"a"});
  auto inner = subscribe(b, {"b"});
  bell outer_rings;
  bell inner_rings;
  outer_rings.action = [&](wake) { publish(b, "b", "x"); };
  inner_rings.action = [&](wake) { outer.close(); };
  outer.set_hook(ssewire::wake_hook::of(outer_rings));
  inner.set_hook(ssewire::wake_hook::of(inner_rings));
  for (auto* each : {&outer, &inner}) {
    (void)pull(*each);
    REQUIRE(each->park());
  }
  publish(b, "a", "x");
  CHECK(outer_rings.ready == 1);
  CHECK(inner_rings.ready == 1);
  CHECK(b.stats().subscribers == 1);
}

TEST_CASE("a hook may subscribe, and the new stream is not woken by the event that is already there") {
  broker b;
  auto s = subscribe(b, {"a"});
  subscription fresh;
  bell rings;
  bell fresh_rings;
  rings.action = [&](wake) {
    fresh = subscribe(b, {"a"});
    fresh.set_hook(ssewire::wake_hook::of(fresh_rings));
    CHECK(pull(fresh) == position_event(1));
    REQUIRE(fresh.park());
  };
  s.set_hook(ssewire::wake_hook::of(rings));
  (void)pull(s);
  REQUIRE(s.park());
  publish(b, "a", "x");
  CHECK(fresh_rings.ready == 0);
  publish(b, "a", "y");
  CHECK(fresh_rings.ready == 1);
}

// ---- the end ----

TEST_CASE(
    "while the broker drains, a stream gets what was published before, and nothing is published after") {
  broker b;
  auto one = subscribe(b, {"a"});
  auto two = subscribe(b, {"a", "b"});
  publish(b, "a", "1");
  publish(b, "b", "2");
  b.drain(start, start);
  CHECK(b.publish("a", {.data = "3"}).error == errc::closed);
  CHECK(b.stats().published == 2);
  CHECK(b.subscribe("a").error == errc::closed);
  batch pulled;
  CHECK(pull_all(one, 0) == position_event(0) + frame(1, "1"));
  CHECK(one.pull(pulled, all_room) == pull_status::draining);
  CHECK_UNARY(pulled.empty());
  CHECK(pull_all(two) == position_event(0) + frame(1, "1") + frame(2, "2"));
  CHECK(two.pull(pulled, all_room) == pull_status::draining);
  CHECK_UNARY(!one.park());
}

TEST_CASE("a stream whose time in a drain has come does not park, for nothing would wake it") {
  broker b;
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  REQUIRE(s.park());
  b.drain(start, start);
  CHECK_UNARY(!s.park());
}

TEST_CASE("a second drain brings the deadline nearer, and does not put it off") {
  for (auto const second : {5, 9, 12}) {
    broker b;
    auto s = subscribe(b, {"a"});
    publish(b, "a", "1");
    b.drain(start, start + seconds(9));
    b.drain(start + seconds(1), start + seconds(second));
    CHECK(pull_all(s) == position_event(0) + frame(1, "1"));
    b.tick(start + seconds(second == 5 ? 5 : 9) - ssewire::steady_duration(1));
    CHECK(s.reason() == close_reason::none);
    b.tick(start + seconds(second == 5 ? 5 : 9));
    CHECK(s.reason() == close_reason::drain_forced);
  }
}

TEST_CASE(
    "a drain wakes who is parked at its time, once, and tick evicts who is left at the deadline, once") {
  broker b;
  auto parked = subscribe(b, {"a", "b"});
  auto busy = subscribe(b, {"a"});
  auto gone = subscribe(b, {"a"});
  bell rings[3];
  parked.set_hook(ssewire::wake_hook::of(rings[0]));
  busy.set_hook(ssewire::wake_hook::of(rings[1]));
  gone.set_hook(ssewire::wake_hook::of(rings[2]));
  (void)pull(parked);
  REQUIRE(parked.park());
  b.drain(start, start + seconds(5));
  b.drain(start, start + seconds(5));
  CHECK(rings[0].ready == 0);
  b.tick(start + seconds(5) / 2);
  b.tick(start + seconds(5) / 2);
  CHECK(rings[0].ready == 1);
  CHECK(rings[1].ready == 0);
  gone.close(close_reason::drained);
  b.tick(start + seconds(5) - ssewire::steady_duration(1));
  CHECK(rings[0].evicted + rings[1].evicted == 0);
  b.tick(start + seconds(5));
  b.tick(start + seconds(6));
  CHECK(rings[0].evicted == 1);
  CHECK(rings[1].evicted == 1);
  CHECK(rings[2].evicted == 0);
  CHECK(parked.reason() == close_reason::drain_forced);
  batch pulled;
  CHECK(parked.pull(pulled, all_room) == pull_status::closed);
  parked.close();
  busy.close();
  auto const closes = b.stats().closes;
  CHECK(closes[static_cast<std::size_t>(close_reason::drained)] == 1);
  CHECK(closes[static_cast<std::size_t>(close_reason::drain_forced)] == 2);
}

TEST_CASE("drain gives each client its own time to come back, evenly over the spread, after the least time") {
  broker b({.least_retry = ssewire::reconnection_time(700)});
  constexpr std::uint64_t spread = 10'000;
  std::vector<subscription> streams;
  for (int i = 0; i < 1000; ++i) streams.push_back(subscribe(b, {"a"}));
  CHECK(streams[0].drain_retry().milliseconds == 0);
  b.drain(start, start, ssewire::reconnection_time(spread));
  std::vector<int> tenths(10);
  std::set<std::uint64_t> different;
  for (auto const& s : streams) {
    REQUIRE(s.drain_retry().milliseconds >= 700);
    auto const ms = s.drain_retry().milliseconds - 700;
    REQUIRE(ms <= spread);
    different.insert(ms);
    ++tenths[(std::min)(ms / (spread / 10), std::uint64_t{9})];
  }
  for (auto const n : tenths) CHECK((n >= 95 && n <= 105));
  CHECK(different.size() > 990);
  CHECK(subscription().drain_retry().milliseconds == 0);
}

TEST_CASE("the largest spread and no spread are spreads too") {
  broker b;
  auto s = subscribe(b, {"a"});
  b.drain(start, start, ssewire::reconnection_time(~std::uint64_t{0}));
  CHECK(s.drain_retry().milliseconds > std::uint64_t{1} << 62);
  b.drain(start, start, ssewire::reconnection_time(0));
  CHECK(s.drain_retry().milliseconds == 1000);  // nobody comes back sooner
}

TEST_CASE("the largest least time is no overflow") {
  broker b({.least_retry = ssewire::reconnection_time(~std::uint64_t{0})});
  auto s = subscribe(b, {"a"});
  b.drain(start, start, ssewire::reconnection_time(5000));
  CHECK(s.drain_retry().milliseconds == ~std::uint64_t{0});
}

TEST_CASE("each stream is told its client's normal time again, at its beginning only") {
  broker b;
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  REQUIRE(position_event(0).find("\nretry: 3000\n") != std::string::npos);
  CHECK(s.join("b") == errc::ok);
  CHECK(pull(s) == checkpoint(0));

  broker silent({.retry = std::nullopt});
  auto t = subscribe(silent, {"a"});
  CHECK(pull(t) == checkpoint(0));
}

TEST_CASE("a hook that drain or tick calls may close any stream") {
  for (bool const forced : {false, true}) {
    for (std::size_t chooser = 0; chooser < 4; ++chooser) {
      broker b;
      std::vector<subscription> streams;
      std::vector<bell> bells(4);
      for (auto& rings : bells) {
        streams.push_back(subscribe(b, {"a"}));
        streams.back().set_hook(ssewire::wake_hook::of(rings));
        (void)pull(streams.back());
        REQUIRE(streams.back().park());
      }
      bells[chooser].action = [&](wake why) {
        if ((why == wake::evicted) != forced) return;
        b.tick(start - seconds(1));  // a walk inside a walk
        for (auto& s : streams) s.close();
      };
      b.drain(start, start);
      b.tick(start);
      int calls = 0;
      for (auto const& rings : bells) {
        CHECK(rings.ready <= 1);
        CHECK(rings.evicted <= 1);
        calls += rings.evicted;
      }
      CHECK(calls >= (forced ? 1 : 0));
      CHECK(b.stats().subscribers == 0);
    }
  }
}

TEST_CASE("a broker may go before its subscriptions: they are closed then, and told so") {
  std::optional<broker> b(std::in_place);
  auto s = subscribe(*b, {"a"});
  auto t = subscribe(*b, {"a"});
  bell rings;
  s.set_hook(ssewire::wake_hook::of(rings));
  (void)pull(s);
  REQUIRE(s.park());
  publish(*b, "a", "unread");
  rings.action = [&](wake why) {
    if (why == wake::evicted) t.close();
  };
  b.reset();
  CHECK(rings.ready == 1);
  CHECK(rings.evicted == 1);
  CHECK(s.reason() == close_reason::drained);
  batch pulled;
  CHECK(s.pull(pulled, all_room) == pull_status::closed);
  CHECK_UNARY(!s.park());
  s.close();
  CHECK(rings.evicted == 1);
}

TEST_CASE("after a stream was evicted it is not told that there is something to pull") {
  broker b;
  auto s = subscribe(b, {"a"});
  bell rings;
  std::string order;
  rings.action = [&](wake why) {
    order += why == wake::ready ? 'r' : 'e';
    if (order != "r") return;
    (void)pull_all(s);
    REQUIRE(s.park());
    publish(b, "a", "x");  // leaves word: ready
    b.drain(start, start);
    b.tick(start);  // leaves word: evicted
  };
  s.set_hook(ssewire::wake_hook::of(rings));
  (void)pull(s);
  REQUIRE(s.park());
  publish(b, "a", "x");
  CHECK(order == "re");
}

TEST_CASE("an empty subscription is closed and does nothing") {
  subscription s;
  batch pulled;
  CHECK_UNARY(!s);
  CHECK(s.pull(pulled, all_room) == pull_status::closed);
  CHECK(s.give_back(pulled, 0) == "");
  CHECK_UNARY(!s.park());
  CHECK(s.reason() == close_reason::removed);
  CHECK(s.outcome() == resume_outcome::fresh);
  s.set_hook({});
  s.close();
  s.close();
}

TEST_CASE("a subscription can be moved; what it is assigned over is closed") {
  broker b;
  auto s = subscribe(b, {"a"});
  auto moved = std::move(s);
  CHECK_UNARY(!s);
  CHECK_UNARY(moved);
  moved = subscribe(b, {"b"});
  CHECK(b.stats().subscribers == 1);
  auto& same = moved;
  moved = std::move(same);
  CHECK(b.stats().subscribers == 1);
  publish(b, "b", "x");
  CHECK(pull(moved) == position_event(0) + frame(1, "x"));
}

// ---- age ----

TEST_CASE("what is older than max_age goes with tick, and not before") {
  ssewire::broker_options options;
  options.replay.max_age = milliseconds(800);
  broker b(options);
  auto now = start;
  b.tick(now);
  publish(b, "a", "1");
  b.tick(now += milliseconds(100));  // 1 is marked here at the latest
  publish(b, "b", "2");
  for (int i = 0; i < 7; ++i) {
    b.tick(now += milliseconds(100));
    CHECK(b.stats().events == 2);
  }
  b.tick(now += milliseconds(99));
  CHECK(b.stats().events == 2);
  b.tick(now += milliseconds(1));
  CHECK(b.stats().events == 1);
  b.tick(now += milliseconds(100));
  CHECK(b.stats().events == 0);
  CHECK(b.stats().trimmed == 2);
  CHECK(b.stats().frame_bytes == 0);
}

TEST_CASE("an event goes when it is between 1 and 1.25 times as old as max_age, however often tick comes") {
  for (int const step : {1, 7, 50, 99, 100, 101}) {
    ssewire::broker_options options;
    options.replay.max_age = milliseconds(800);
    broker b(options);
    std::vector<ssewire::steady_time> born;
    auto now = start;
    for (int i = 0; i < 4000 / step; ++i) {
      b.tick(now);
      auto const gone = b.stats().trimmed;
      REQUIRE(gone <= born.size());
      if (gone != 0) REQUIRE(now - born[gone - 1] >= milliseconds(800));
      if (gone != born.size()) REQUIRE(now - born[gone] <= milliseconds(1000) + milliseconds(step));
      publish(b, i % 2 == 0 ? "a" : "b", "x");
      born.push_back(now);
      now += milliseconds(step);
    }
    CHECK(b.stats().trimmed > 0);
  }
}

TEST_CASE("without max_age nothing is too old") {
  ssewire::broker_options options;
  options.channel_expiry = ssewire::steady_duration::zero();
  broker b(options);
  publish(b, "a", "1");
  b.tick(start);
  b.tick(start + std::chrono::hours(100'000));
  CHECK(b.stats().events == 1);
}

TEST_CASE("tick trims every channel, also beyond the first slice") {
  ssewire::broker_options options;
  options.replay.max_age = milliseconds(800);
  broker b(options);
  for (int i = 0; i < 200; ++i) publish(b, "c" + std::to_string(i), "x");
  b.tick(start);
  CHECK(b.stats().events == 200);
  b.tick(start + seconds(1));
  CHECK(b.stats().events == 0);
}

TEST_CASE("what went by age is told to who still wanted it, live and coming back") {
  ssewire::broker_options options;
  options.replay.max_age = seconds(1);
  broker b(options);
  auto s = subscribe(b, {"a"});
  CHECK(pull(s) == position_event(0));
  publish(b, "a", "1");
  publish(b, "b", "2");
  b.tick(start);
  b.tick(start + seconds(1));
  CHECK(pull(s) == gap_event(2, R"({"reason":"trimmed","channel":"a","missed":1})"));
  CHECK(pull(s) == "");
  auto t = subscribe(b, {"a"}, id(0));
  CHECK(pull(t) == gap_event(2, R"({"reason":"trimmed","channel":"a"})") + position_event(2));
  auto u = subscribe(b, {"a"}, id(1));
  CHECK(pull(u) == position_event(2));
}

// ---- stats ----

TEST_CASE("the counters say what happened") {
  broker b(holding(3));
  for (int i = 0; i < 5; ++i) publish(b, "a", "x");
  auto const first = b.stats();
  CHECK(first.published == 5);
  CHECK(first.trimmed == 2);
  CHECK(first.events == 3);
  CHECK(first.frame_bytes == 3 * frame(1, "x").size());
  CHECK(first.log_bytes >= first.frame_bytes);
  CHECK(first.channels == 1);
  CHECK(first.subscribers == 0);
  {
    auto fresh = subscribe(b, {"a"}, {}, {.start = start_at::last(2)});
    auto resumed = subscribe(b, {"a"}, id(4));
    auto up_to_date = subscribe(b, {"a"}, id(5));
    auto gap = subscribe(b, {"a"}, id(1));
    auto unknown = subscribe(b, {"a"}, "?");
    publish(b, "a", "live");  // 3 goes
    for (auto* s : {&fresh, &resumed, &up_to_date, &gap, &unknown}) (void)pull_all(*s);
    auto const s = b.stats();
    CHECK(s.subscribers == 5);
    CHECK(s.resumes == std::array<std::uint64_t, 5>{1, 1, 1, 1, 1});
    CHECK(s.replayed == 2 + 1 + 0 + 2 + 0);
    CHECK(s.delivered == s.replayed + 5);
    CHECK(s.gaps == 2);
  }
  auto const last = b.stats();
  CHECK(last.subscribers == 0);
  CHECK(last.closes[static_cast<std::size_t>(close_reason::removed)] == 5);
}

TEST_CASE("the type of the gap event is nobody else's") {
  ssewire::broker_options options;
  options.gap_type = "hole";
  broker b(options);
  CHECK(b.publish("a", {.type = "hole", .data = "x"}).error == errc::type_reserved);
  CHECK(b.publish("a", {.type = "holes", .data = "x"}));
}

TEST_CASE("a hook may take itself away while it runs") {
  broker b;
  auto s = subscribe(b, {"a"});
  int calls = 0;
  auto hook = [&](ssewire::wake) {
    ++calls;
    (void)pull_all(s);
    CHECK(s.park());
    publish(b, "a", "again");  // leaves word that it must run once more
    s.set_hook({});
  };
  s.set_hook(ssewire::wake_hook::of(hook));
  (void)pull(s);
  REQUIRE(s.park());
  publish(b, "a", "x");
  CHECK(calls == 1);
}

TEST_CASE("the newest n are found over several channels, and all of them where fewer are held") {
  broker b;
  for (int i = 1; i <= 12; ++i) publish(b, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "other", "x");
  auto const follow = [&](std::uint64_t n) {
    auto s = b.subscribe({"a", "b"}, {.start = ssewire::start_at::last(n)});
    REQUIRE(s.error == errc::ok);
    return s.value.backlog();
  };
  for (std::uint64_t n = 0; n <= 8; ++n) CHECK(follow(n) == n);
  CHECK(follow(9) == 8);
  CHECK(follow(~std::uint64_t{0}) == 8);
}

}  // namespace
