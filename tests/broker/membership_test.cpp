// SPDX-License-Identifier: MIT
// membership_test.cpp - streams that change their channels while open, how many streams follow a channel, and
// who hears of that number.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::presence;
using ssewire::presence_hook;
using ssewire::pull_status;
using ssewire::resume_outcome;
using ssewire::start_at;
using support::all_room;
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

void publish(broker& to, std::string_view channel, std::string_view data) {
  REQUIRE(to.publish(channel, {.data = data}).error == errc::ok);
}

struct bell {
  int rings = 0;
  std::function<void()> action = {};

  void operator()(ssewire::wake) {
    ++rings;
    if (action) action();
  }
};

// ---- join ----

TEST_CASE("join follows a channel from now on") {
  broker b;
  auto s = opened(b, {"a"});
  publish(b, "b", "before");
  REQUIRE(s.join("b") == errc::ok);
  publish(b, "b", "2");
  publish(b, "a", "3");
  CHECK(pull_all(s) == checkpoint(1) + frame(2, "2") + frame(3, "3"));
}

TEST_CASE("behind join what has come before comes first, then a position event says where the change was") {
  broker b;
  auto s = opened(b, {"a"});
  publish(b, "a", "1");
  publish(b, "b", "2");
  REQUIRE(s.join("b") == errc::ok);
  publish(b, "b", "3");
  CHECK(pull_all(s) == frame(1, "1") + checkpoint(2) + frame(3, "3"));
}

TEST_CASE("who resumes with the new set from where join said it stands is told no gap of what was before") {
  ssewire::broker_options options;
  options.replay.max_events = 2;
  broker b(options);
  auto s = opened(b, {"a"});
  for (int i = 0; i < 9; ++i) publish(b, "b", "old");
  REQUIRE(s.join("b") == errc::ok);
  CHECK(pull_all(s) == checkpoint(9));
  auto again = follow(b, {"a", "b"}, id(9));
  CHECK(again.outcome() == resume_outcome::up_to_date);
}

TEST_CASE("joining a channel it follows already does nothing") {
  broker b;
  auto s = opened(b, {"a", "b"});
  REQUIRE(s.park());
  CHECK(s.join("a") == errc::ok);
  CHECK(s.join("b") == errc::ok);
  CHECK(b.subscribers("a") == 1);
  CHECK(pull(s) == "");
}

TEST_CASE("join is refused at each limit, and nothing has changed") {
  ssewire::broker_options options;
  options.max_channels = 4;
  options.max_channels_per_stream = 2;
  options.max_subscribers_per_channel = 1;
  broker b(options);
  auto first = opened(b, {"a"});
  auto second = opened(b, {"b"});
  CHECK(first.join("") == errc::channel_name_refused);
  CHECK(first.join("a\n") == errc::channel_name_refused);
  CHECK(first.join(std::string(129, 'n')) == errc::channel_name_refused);
  CHECK(first.join("b") == errc::channel_full);
  publish(b, "c", "x");
  publish(b, "d", "x");
  CHECK(first.join("e") == errc::too_many_channels);
  REQUIRE(first.join("c") == errc::ok);
  CHECK(first.join("d") == errc::too_many_channels);
  CHECK(first.join("c") == errc::ok);  // it is in
  CHECK(b.stats().channels == 4);
  CHECK(b.subscribers("b") == 1);
  CHECK(b.subscribers("d") == 0);
  CHECK(pull(second) == "");
  publish(b, "c", "y");
  CHECK(pull_all(first).ends_with(frame(3, "y")));
}

TEST_CASE("join and leave are refused when the stream is closed, and join when the broker drains") {
  subscription empty;
  CHECK(empty.join("a") == errc::closed);
  CHECK(empty.leave("a") == errc::closed);
  std::optional<broker> b(std::in_place);
  auto s = opened(*b, {"a", "b"});
  b->drain({}, {});
  CHECK(s.join("c") == errc::closed);
  CHECK(b->stats().channels == 2);
  CHECK(s.leave("b") == errc::ok);
  b.reset();
  CHECK(s.join("c") == errc::closed);
  CHECK(s.leave("a") == errc::closed);
  CHECK(s.reason() == close_reason::drained);
}

TEST_CASE(
    "a parked stream that joins or leaves is woken, is told where, and parks again on its new channels") {
  broker b;
  bell rings;
  auto s = opened(b, {"a"});
  s.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(s.park());
  REQUIRE(s.join("b") == errc::ok);
  CHECK(rings.rings == 1);
  CHECK_UNARY(!s.park());
  CHECK(pull(s) == checkpoint(0));
  REQUIRE(s.park());
  publish(b, "b", "1");
  CHECK(rings.rings == 2);
  CHECK(pull(s) == frame(1, "1"));
  REQUIRE(s.park());
  REQUIRE(s.leave("a") == errc::ok);
  CHECK(rings.rings == 3);
  CHECK(pull(s) == checkpoint(1));
  REQUIRE(s.park());
  publish(b, "a", "2");
  CHECK(rings.rings == 3);
  publish(b, "b", "3");
  CHECK(rings.rings == 4);
}

TEST_CASE("the hook that join, leave or set_filter calls may close the stream") {
  for (int what = 0; what < 3; ++what) {
    for (bool const heard : {false, true}) {
      auto hook = [](presence const&) {};
      ssewire::broker_options options;
      if (heard) options.on_presence = presence_hook::of(hook);
      broker b(options);
      auto s = opened(b, {"a", "b"});
      bell rings;
      rings.action = [&] { s.close(); };
      s.set_hook(ssewire::wake_hook::of(rings));
      REQUIRE(s.park());
      if (what == 0) CHECK(s.join("a channel whose name is long enough to be allocated") == errc::ok);
      if (what == 1) CHECK(s.leave("a") == errc::ok);
      if (what == 2) CHECK(s.set_filter([](ssewire::event_header const&) { return true; }) == errc::ok);
      CHECK(rings.rings == 1);
      CHECK(b.stats().subscribers == 0);
      CHECK(b.stats().channels == 0);
    }
  }
}

TEST_CASE("what was published to a channel before join does not come because something else was given back") {
  broker b;
  auto s = opened(b, {"a"});
  publish(b, "a", "1");
  publish(b, "c", "before the join");
  batch pulled;
  (void)s.pull(pulled, all_room);
  REQUIRE(s.join("c") == errc::ok);
  CHECK(s.give_back(pulled, 0) == "");
  publish(b, "c", "3");
  auto const got = pull_all(s);
  CHECK(got.find("before the join") == std::string::npos);
  CHECK(got.find(frame(1, "1")) != std::string::npos);
  CHECK(got.ends_with(frame(3, "3")));
}

// ---- leave ----

TEST_CASE("leave: what was not pulled of the channel is not pulled, and no gap is told") {
  broker b;
  auto s = opened(b, {"a", "b"});
  publish(b, "a", "1");
  publish(b, "b", "2");
  publish(b, "a", "3");
  REQUIRE(s.leave("b") == errc::ok);
  publish(b, "b", "4");
  CHECK(pull_all(s).find("data: 2") == std::string::npos);
  CHECK(b.stats().delivered == 2);
  CHECK(b.stats().gaps == 0);
}

TEST_CASE("leaving a channel it does not follow does nothing; leaving the last one is refused") {
  broker b;
  auto s = opened(b, {"a"});
  REQUIRE(s.park());
  CHECK(s.leave("b") == errc::ok);
  CHECK(s.leave("") == errc::ok);
  CHECK(s.leave("a") == errc::no_channel);
  CHECK(b.subscribers("a") == 1);
  CHECK(pull(s) == "");
  CHECK(b.stats().channels == 1);
}

TEST_CASE("a channel that its last follower has left, and that holds nothing, is gone") {
  broker b;
  auto s = opened(b, {"a", "b", "c"});
  publish(b, "c", "x");
  REQUIRE(s.leave("b") == errc::ok);
  REQUIRE(s.leave("c") == errc::ok);
  CHECK(b.stats().channels == 2);
}

TEST_CASE("what was given back of a channel that was left does not come again, the rest of a frame is owed") {
  auto const size = frame(1, "1").size();
  for (std::size_t taken = 0; taken <= 3 * size; ++taken) {
    broker b;
    auto s = opened(b, {"a", "b"});
    publish(b, "b", "1");
    publish(b, "a", "2");
    publish(b, "b", "3");
    batch pulled;
    (void)s.pull(pulled, all_room);
    REQUIRE(s.leave("b") == errc::ok);
    auto got = support::bytes_of(pulled).substr(0, taken);
    got += s.give_back(pulled, taken);
    auto const whole = (taken + size - 1) / size;  // frames that went, or are owed
    std::string expected;
    for (std::uint64_t p = 1; p <= whole; ++p) expected += frame(p, std::to_string(p));
    CHECK(got == expected);
    auto const rest = pull_all(s);
    CHECK((rest.find(frame(2, "2")) != std::string::npos) == (whole < 2));
    CHECK(rest.find("data: 1") == std::string::npos);
    CHECK(rest.find("data: 3") == std::string::npos);
  }
}

TEST_CASE(
    "leaving and joining again between pull and give_back loses nothing that was given back of others") {
  broker b;
  auto s = opened(b, {"a", "b"});
  publish(b, "b", "1");
  publish(b, "a", "2");
  batch pulled;
  (void)s.pull(pulled, all_room);
  REQUIRE(s.leave("b") == errc::ok);
  REQUIRE(s.join("b") == errc::ok);
  CHECK(s.give_back(pulled, 0) == "");
  publish(b, "b", "3");
  auto const got = pull_all(s);
  CHECK(got.find(frame(2, "2")) != std::string::npos);
  CHECK(got.ends_with(frame(3, "3")));
}

TEST_CASE("after any joins and leaves a stream gets exactly the events of the channels it followed then") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    broker b;
    std::string_view const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    std::set<std::string_view> in = {"a"};
    auto s = opened(b, {"a"});
    std::vector<std::uint64_t> expected;
    std::vector<std::uint64_t> got;
    auto const receive = [&](std::string const& bytes) {
      for (auto const& e : support::parse_whole(bytes).events) {
        REQUIRE(e.type != "ssewire.gap");
        if (e.type.empty()) got.push_back(std::stoull(*e.data));
      }
    };
    std::uint64_t position = 0;
    for (int step = 0; step < 300; ++step) {
      auto const name = random.pick(names);
      auto const what = random.below(10);
      if (what < 5) {
        ++position;
        bool const both = random.one_in(4);
        auto const second = random.pick(names);
        auto const data = std::to_string(position);
        if (both) {
          REQUIRE(b.publish({name, second}, {.data = data}));
        } else {
          publish(b, name, data);
        }
        if (in.count(name) != 0 || (both && in.count(second) != 0)) expected.push_back(position);
      } else if (what < 7) {
        batch pulled;
        (void)s.pull(pulled, random.below(400));
        auto const bytes = support::bytes_of(pulled);
        auto const taken = random.one_in(2) ? bytes.size() : random.below(bytes.size() + 1);
        receive(bytes.substr(0, taken) + std::string(s.give_back(pulled, taken)));
      } else {
        receive(pull_all(s));  // so that what is expected does not depend on what was left unread
        if (what == 7) {
          REQUIRE(s.join(name) == errc::ok);
          in.insert(name);
        } else {
          CHECK(s.leave(name) == (in.size() == 1 && in.count(name) != 0 ? errc::no_channel : errc::ok));
          if (in.size() > 1) in.erase(name);
        }
        for (auto const each : names) CHECK(b.subscribers(each) == in.count(each));
      }
    }
    receive(pull_all(s));
    CHECK(got == expected);
    s.close();
    for (auto const each : names) CHECK(b.subscribers(each) == 0);
  }
}

TEST_CASE("a stream that has changed its channels often holds what it pulled as any other does") {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  options.max_pinned_bytes = 0;
  broker b(options);
  auto s = opened(b, {"a"});
  for (int i = 0; i < 20; ++i) {
    REQUIRE(s.join("b") == errc::ok);
    REQUIRE(s.leave("a") == errc::ok);
    REQUIRE(s.join("a") == errc::ok);
    REQUIRE(s.leave("b") == errc::ok);
  }
  (void)pull_all(s);
  publish(b, "a", "1");
  batch pulled;
  CHECK(s.pull(pulled, all_room) == pull_status::ready);
  publish(b, "a", std::string(600, '2'));  // another page: the first one is forgotten, and held
  CHECK(b.stats().pinned_bytes > 0);
  CHECK(s.reason() == close_reason::pinned_too_much);
  CHECK(support::bytes_of(pulled) == frame(1, "1"));
}

TEST_CASE("a stream that leaves a channel while it holds events of it can still be ended for that") {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  options.max_pinned_bytes = 0;
  broker b(options);
  auto s = opened(b, {"a", "b"});
  publish(b, "a", "1");
  batch pulled;
  CHECK(s.pull(pulled, all_room) == pull_status::ready);
  REQUIRE(s.leave("a") == errc::ok);
  for (int i = 0; i < 3; ++i) publish(b, "a", std::string(600, 'x'));
  CHECK(b.stats().pinned_bytes > 0);
  CHECK(s.reason() == close_reason::pinned_too_much);
}

// ---- how many ----

TEST_CASE("subscribers counts the subscriptions that follow a channel now; a name nobody knows has none") {
  broker b;
  CHECK(b.subscribers("a") == 0);
  CHECK(b.subscribers("") == 0);
  CHECK(b.subscribers(std::string(1000, '\0')) == 0);
  publish(b, "a", "x");
  CHECK(b.subscribers("a") == 0);
  auto one = follow(b, {"a", "b", "a"});
  auto two = follow(b, {"a"});
  CHECK(b.subscribers("a") == 2);
  CHECK(b.subscribers("b") == 1);
  one.close();
  CHECK(b.subscribers("a") == 1);
  CHECK(b.subscribers("b") == 0);
  CHECK(b.stats().channels == 1);
}

TEST_CASE("a name that no channel can have has no subscribers") {
  broker b;
  CHECK(b.subscribers("") == 0);
  CHECK(b.subscribers(std::string(100'000, 'x')) == 0);
}

TEST_CASE("of many names each counts once, in the order of their first places, however many there are") {
  struct listener {
    std::vector<std::string> heard;
    void operator()(ssewire::presence const& now) { heard.emplace_back(now.channel); }
  };
  for (std::size_t const many : {1u, 15u, 16u, 17u, 18u, 64u, 300u}) {
    CAPTURE(many);
    listener ear;
    ssewire::broker_options options;
    options.max_channels_per_stream = many;
    options.on_presence = ssewire::presence_hook::of(ear);
    broker b(options);
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < many; ++i) expected.push_back("channel " + std::to_string(i * 7919 % 1009));
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < many; ++i) {
      names.emplace_back(expected[i]);
      names.emplace_back(expected[i / 2]);  // again
      names.emplace_back(expected[i]);
    }
    auto const made = b.subscribe(std::span<std::string_view const>(names));
    REQUIRE(made);
    CHECK(ear.heard == expected);
    CHECK(b.publish(std::span<std::string_view const>(names), {.data = "x"}).error == errc::ok);
    CHECK(b.stats().events == many);

    // What comes first decides: a name too many, or one that is refused.
    names.emplace_back("one too many");
    CHECK(b.subscribe(std::span<std::string_view const>(names)).error == errc::too_many_channels);
    names.emplace_back("\n");
    CHECK(b.subscribe(std::span<std::string_view const>(names)).error == errc::too_many_channels);
    names.erase(names.end() - 2);
    CHECK(b.publish(std::span<std::string_view const>(names), {.data = "x"}).error ==
          errc::channel_name_refused);
    names.back() = expected.front();
    CHECK(b.publish(std::span<std::string_view const>(names), {.data = "x"}).error == errc::ok);
  }
}

TEST_CASE("a refused subscription is counted nowhere") {
  ssewire::broker_options options;
  options.max_subscribers_per_channel = 1;
  broker b(options);
  auto full = follow(b, {"full"});
  CHECK(b.subscribe({"a", "full"}).error == errc::channel_full);
  CHECK(b.subscribers("a") == 0);
  CHECK(b.subscribers("full") == 1);
  CHECK(b.stats().channels == 1);
}

// ---- the presence hook ----

struct told {
  std::string channel;
  std::uint64_t before, now;
  bool operator==(told const&) const = default;
};

struct listener {
  std::vector<told> heard = {};
  std::function<void(presence const&)> action = {};

  void operator()(presence const& p) {
    heard.push_back({std::string(p.channel), p.before, p.now});
    if (action) action(p);
  }
  ssewire::broker_options options() {
    ssewire::broker_options of;
    of.on_presence = presence_hook::of(*this);
    return of;
  }
};

std::ostream& operator<<(std::ostream& out, told const& t) {
  return out << t.channel << ' ' << t.before << "->" << t.now;
}

TEST_CASE("the presence hook hears of each channel that is subscribed, joined, left and closed") {
  listener ear;
  broker b(ear.options());
  auto one = follow(b, {"a", "b"});
  CHECK(ear.heard == std::vector<told>{{"a", 0, 1}, {"b", 0, 1}});
  ear.heard.clear();
  auto two = follow(b, {"a"});
  REQUIRE(two.join("c") == errc::ok);
  REQUIRE(two.leave("a") == errc::ok);
  CHECK(ear.heard == std::vector<told>{{"a", 1, 2}, {"c", 0, 1}, {"a", 2, 1}});
  ear.heard.clear();
  one.close();
  two.close();
  CHECK(ear.heard == std::vector<told>{{"a", 1, 0}, {"b", 1, 0}, {"c", 1, 0}});
  CHECK(b.stats().channels == 0);
}

TEST_CASE("the presence hook does not hear of what is refused, nor of what changes nothing") {
  listener ear;
  auto options = ear.options();
  options.max_subscribers_per_channel = 1;
  broker b(options);
  auto s = follow(b, {"a"});
  ear.heard.clear();
  CHECK(b.subscribe({"b", "a"}).error == errc::channel_full);
  CHECK(s.join("a") == errc::ok);
  CHECK(s.leave("b") == errc::ok);
  CHECK(s.leave("a") == errc::no_channel);
  publish(b, "a", "x");
  CHECK(ear.heard.empty());
}

TEST_CASE("the presence hook hears nothing when the broker is destroyed, nor after") {
  listener ear;
  std::optional<broker> b(std::in_place, ear.options());
  auto s = follow(*b, {"a"});
  ear.heard.clear();
  b.reset();
  s.close();
  CHECK(ear.heard.empty());
}

TEST_CASE("what happens in the presence hook is told in one further call, and left out where it was undone") {
  listener ear;
  broker b(ear.options());
  int deep = 0;
  int deepest = 0;
  std::vector<subscription> more;  // last: its end calls the hook
  ear.action = [&](presence const& p) {
    deepest = (std::max)(deepest, ++deep);
    CHECK(b.subscribers(p.channel) == p.now);
    if (p.before == 0 && p.now == 1) {
      for (int i = 0; i < 3; ++i) more.push_back(follow(b, {"a"}));
      more.pop_back();
    } else if (p.now == 3) {
      more.push_back(follow(b, {"a"}));
      more.pop_back();  // undone
    }
    --deep;
  };
  auto s = follow(b, {"a"});
  CHECK(ear.heard == std::vector<told>{{"a", 0, 1}, {"a", 1, 3}});
  CHECK(deepest == 1);
}

TEST_CASE("a presence hook may publish to the channel, and subscribe to others") {
  listener ear;
  broker b(ear.options());
  std::vector<subscription> more;
  ear.action = [&](presence const& p) {
    publish(b, p.channel, "somebody is here");
    if (p.channel == "a") more.push_back(follow(b, {"b"}));
  };
  auto s = follow(b, {"a"});
  CHECK(ear.heard == std::vector<told>{{"a", 0, 1}, {"b", 0, 1}});
  CHECK(pull_all(s) == position_event(0) + frame(1, "somebody is here"));
}

TEST_CASE("a presence hook may close another subscription of the channel") {
  listener ear;
  broker b(ear.options());
  auto first = follow(b, {"a"});
  ear.action = [&](presence const& p) {
    if (p.now == 2) first.close();
  };
  auto second = follow(b, {"a"});
  CHECK(ear.heard == std::vector<told>{{"a", 0, 1}, {"a", 1, 2}, {"a", 2, 1}});
  CHECK(b.subscribers("a") == 1);
}

TEST_CASE("a presence hook may close the subscription that joins or leaves, and no channel is left behind") {
  for (bool const joins : {true, false}) {
    listener ear;
    broker b(ear.options());
    auto s = follow(b, {"a", "b"});
    ear.action = [&](presence const&) {
      ear.action = {};
      s.close();
    };
    if (joins) {
      CHECK(s.join("c") == errc::ok);
    } else {
      CHECK(s.leave("b") == errc::ok);
    }
    CHECK(b.stats().subscribers == 0);
    CHECK(b.stats().channels == 0);
    std::map<std::string, std::uint64_t> now;
    for (auto const& t : ear.heard) now[t.channel] = t.now;
    for (auto const& each : now) {
      CAPTURE(each.first);
      CHECK(each.second == 0);
    }
  }
}

TEST_CASE("a presence hook may assign to the subscription that is being closed, or destroy it") {
  for (int how = 0; how < 3; ++how) {
    CAPTURE(how);
    std::unique_ptr<subscription> s = std::make_unique<subscription>();
    broker* at = nullptr;
    int left = 1;
    auto hook = [&](ssewire::presence const& p) {
      if (p.now != 0 || left-- == 0) return;
      if (how == 2) {
        s.reset();
      } else {
        *s = std::move(at->subscribe("x").value);
      }
    };
    ssewire::broker_options options;
    options.on_presence = ssewire::presence_hook::of(hook);
    broker b(options);
    at = &b;
    *s = std::move(b.subscribe("x").value);
    left = 1;
    if (how == 1) {
      *s = std::move(b.subscribe("y").value);
    } else {
      s->close();
    }
    if (s) {
      pull_all(*s);
      CHECK(s->park());
    }
    CHECK(b.stats().subscribers == (how == 2 ? 0 : 1));
    left = 0;
    s.reset();
    CHECK(b.stats().subscribers == 0);
  }
}

TEST_CASE("a presence hook that ends what feeds a channel may begin it again: the last word is right") {
  listener ear;
  broker b(ear.options());
  std::optional<subscription> again;
  auto s = follow(b, {"a"});
  ear.action = [&](presence const& p) {
    if (p.now == 0) again.emplace(follow(b, {"a"}));
  };
  s.close();
  ear.action = {};
  CHECK(ear.heard == std::vector<told>{{"a", 0, 1}, {"a", 1, 0}, {"a", 0, 1}});
  CHECK(b.subscribers("a") == 1);
}

TEST_CASE("a channel that went and came back is told from 0") {
  listener ear;
  broker b(ear.options());
  for (int i = 0; i < 3; ++i) auto const s = follow(b, {"a"});
  CHECK(ear.heard ==
        std::vector<told>{{"a", 0, 1}, {"a", 1, 0}, {"a", 0, 1}, {"a", 1, 0}, {"a", 0, 1}, {"a", 1, 0}});
}

TEST_CASE(
    "publish does not wait for a presence hook, and who joins meanwhile leaves it to the one that is told") {
  std::atomic<int> stage{0};
  std::vector<told> heard;
  auto hook = [&](presence const& p) {
    heard.push_back({std::string(p.channel), p.before, p.now});
    if (stage == 0) stage = 1;
    while (stage != 2) std::this_thread::yield();
  };
  ssewire::broker_options options;
  options.on_presence = presence_hook::of(hook);
  broker b(options);
  std::optional<subscription> first;
  std::thread slow([&] { first.emplace(follow(b, {"a"})); });
  while (stage != 1) std::this_thread::yield();
  {
    auto second = follow(b, {"a"});  // these would hang
    auto third = follow(b, {"a"});
    publish(b, "a", "x");
    third.close();
    CHECK(b.subscribers("a") == 2);
    CHECK(heard.size() == 1);
    stage = 2;
    slow.join();
    CHECK(heard == std::vector<told>{{"a", 0, 1}, {"a", 1, 2}});
  }
  CHECK(heard.back() == told{"a", 2, 1});
}

TEST_CASE("the broker's destructor waits for a presence hook that is running") {
  std::atomic<bool> inside{false};
  std::atomic<bool> over{false};
  auto hook = [&](presence const& p) {
    if (p.now != 1) return;
    inside = true;
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    over = true;
  };
  ssewire::broker_options options;
  options.on_presence = presence_hook::of(hook);
  std::optional<broker> b(std::in_place, options);
  auto s = follow(*b, {"first"}, {}, {});
  inside = over = false;
  std::thread joiner([&] { (void)s.join("second"); });
  while (!inside) std::this_thread::yield();
  b.reset();
  CHECK_UNARY(over.load());
  joiner.join();
}

TEST_CASE("while threads join and leave, what a slow presence hook hears of a channel links up and never "
          "overlaps") {
  struct heard_of {
    std::atomic<int> inside{0};
    std::uint64_t last = 0;
    std::uint64_t calls = 0;
    bool linked = true;
  };
  std::map<std::string, heard_of, std::less<>> channels;
  for (auto const name : {"a", "b", "home 0", "home 1"}) channels[name];
  auto hook = [&](presence const& p) {
    auto& of = channels.find(p.channel)->second;
    of.linked = of.linked && ++of.inside == 1 && p.before == of.last && p.now != p.before;
    of.last = p.now;
    ++of.calls;
    for (int i = 0; i < 5; ++i) std::this_thread::yield();
    --of.inside;
  };
  ssewire::broker_options options;
  options.on_presence = presence_hook::of(hook);
  broker b(options);
  std::thread threads[2];
  for (std::size_t t = 0; t < 2; ++t) {
    threads[t] = std::thread([&, t] {
      support::random random(t + 1);
      auto const home = "home " + std::to_string(t);
      auto s = b.subscribe(home).value;
      for (int i = 0; i < 600; ++i) {
        auto const name = random.one_in(2) ? "a" : "b";
        switch (random.below(3)) {
        case 0: (void)s.join(name); break;
        case 1: (void)s.leave(name); break;
        default: auto const short_lived = b.subscribe({"a", "b"}).value; break;
        }
      }
    });
  }
  for (auto& each : threads) each.join();
  for (auto const& each : channels) {
    CAPTURE(each.first);
    CHECK_UNARY(each.second.linked);
    CHECK(each.second.calls > 0);
    CHECK(each.second.last == 0);
  }
  CHECK(b.stats().channels == 0);
}

}  // namespace
