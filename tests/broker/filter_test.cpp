// SPDX-License-Identifier: MIT
// filter_test.cpp - filters: what they are shown, what they may do, and where their stream then reports its
// position.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::event_filter;
using ssewire::event_header;
using ssewire::pull_status;
using ssewire::resume_outcome;
using ssewire::start_at;
using support::all_room;
using support::checkpoint;
using support::frame;
using support::gap_event;
using support::id;
using support::position_event;
using support::pull;
using support::pull_all;

using broker = ssewire::basic_broker<support::epoch_traits>;  // epoch 0, so that every byte is known
using subscription = ssewire::basic_subscription<support::epoch_traits>;
using batch = ssewire::basic_batch<support::epoch_traits>;

ssewire::broker_options holding(std::uint64_t events) {
  ssewire::broker_options options;
  options.replay.max_events = events;
  return options;
}

subscription follow(broker& of, std::vector<std::string_view> const& channels, event_filter filter,
                    std::string_view last_event_id = {},
                    ssewire::lag_policy lag = ssewire::lag_policy::tell) {
  auto made = of.subscribe(std::span(channels),
                           {.last_event_id = last_event_id, .lag = lag, .filter = std::move(filter)});
  REQUIRE(made.error == errc::ok);
  return std::move(made.value);
}

// One that has been told where it stands.
subscription opened(broker& of, std::vector<std::string_view> const& channels, event_filter filter) {
  auto s = follow(of, channels, std::move(filter));
  (void)pull(s);
  return s;
}

bool tagged(event_header const& e) { return e.tag != 0; }
bool odd(event_header const& e) { return e.tag % 2 == 1; }
bool none(event_header const&) { return false; }

// Events 1 to n of channel "a" whose data and tags are their positions.
void fill(broker& b, std::uint64_t n, std::uint64_t from = 1) {
  for (auto i = from; i < from + n; ++i) REQUIRE(b.publish("a", {.data = std::to_string(i)}, {.tag = i}));
}

struct bell {
  int rings = 0;
  void operator()(ssewire::wake) noexcept { ++rings; }
};

// ---- coming back ----

// Publishes so many events of this tag.
void publish_tagged(broker& b, std::uint64_t n, std::uint64_t tag) {
  for (std::uint64_t i = 0; i < n; ++i) REQUIRE(b.publish("a", {.data = "x"}, {.tag = tag}));
}
// Its client's last event ID, when it has read all.
std::string read_to_the_end(subscription& s, std::string id = {}) {
  for (auto const all = pull_all(s); auto const& line : {all}) {
    auto const at = line.rfind("id: ");
    if (at != std::string::npos) id = line.substr(at + 4, line.find('\n', at) - at - 4);
  }
  return id;
}

// Publishes what it does not get, and reads, until so many events lie after its last event ID.
std::string fall_back(broker& b, subscription& s, std::uint64_t behind) {
  std::string last;
  std::uint64_t position = 0;
  do {
    publish_tagged(b, 1, 2);
    ++position;
    last = read_to_the_end(s, last);
  } while (position < 20 || last != id(position - behind));
  return last;
}

TEST_CASE("a client that was up to date is told no gap as long as all that came since it went is held: what "
          "was lost "
          "before that was for others") {
  for (auto const kept : std::initializer_list<std::uint64_t>{1, 2, 3, 10, 100}) {
    for (std::uint64_t before = 0; before < 2 * kept + 3; ++before) {
      for (auto const away : {std::uint64_t{0}, kept / 2, kept - 1, kept}) {
        broker b(holding(kept));
        std::string last;
        {
          auto s = follow(b, {"a"}, odd);
          last = read_to_the_end(s);
          for (std::uint64_t i = 0; i < before; ++i) {
            publish_tagged(b, 1, i == kept / 3 ? 1 : 2);
            last = read_to_the_end(s, last);
          }
        }
        publish_tagged(b, away, 2);
        auto s = follow(b, {"a"}, odd, last);
        CHECK(s.outcome() != resume_outcome::gap);
        CHECK(pull_all(s).find("ssewire.gap") == std::string::npos);
      }
    }
  }
}

TEST_CASE("one of the lost events was for it: it is told") {
  for (std::uint64_t lost = 0; lost < 10; ++lost) {
    broker b(holding(10));
    std::string last;
    {
      auto s = follow(b, {"a"}, odd);
      publish_tagged(b, 10, 2);
      last = read_to_the_end(s);
    }
    for (std::uint64_t i = 0; i < 15; ++i) publish_tagged(b, 1, i == lost ? 1 : 2);
    auto s = follow(b, {"a"}, odd, last);
    CHECK((s.outcome() == resume_outcome::gap) == (lost < 5));
    CHECK(pull_all(s).starts_with("id: 000000000000-00000000000000" +
                                  std::string(lost < 5 ? "15\nevent: ssewire.gap" : "")));
  }
}

TEST_CASE("an open stream that lags is told no gap, and not closed, if all that is lost was for others") {
  for (auto const policy : {ssewire::lag_policy::tell, ssewire::lag_policy::close}) {
    broker b(holding(10));
    auto s = follow(b, {"a", "b"}, odd, {}, policy);
    (void)pull(s);
    publish_tagged(b, 14, 2);  // four are lost
    CHECK(pull_all(s) == checkpoint(14));
    publish_tagged(b, 12, 2);
    publish_tagged(b, 1, 1);
    CHECK(pull_all(s) == frame(27, "x"));
    publish_tagged(b, 1, 1);
    publish_tagged(b, 10, 2);
    if (policy == ssewire::lag_policy::tell) {
      CHECK(pull_all(s).starts_with(gap_event(28, R"({"reason":"trimmed","channel":"a"})")));
    } else {
      CHECK(pull_all(s).empty());
      CHECK(s.reason() == ssewire::close_reason::lagged);
    }
  }
}

TEST_CASE("what a filtered stream gave back and the log then forgot is told") {
  for (std::uint64_t const kept : {std::uint64_t{2}, std::uint64_t{3}}) {
    broker b(holding(kept));
    auto s = opened(b, {"a"}, odd);
    publish_tagged(b, 1, 1);  // for it
    publish_tagged(b, 1, 2);
    batch pulled;
    (void)s.pull(pulled, support::all_room);
    publish_tagged(b, kept, 2);
    (void)s.give_back(pulled, 0);
    publish_tagged(b, 1, 1);
    CHECK(pull_all(s).find(R"({"reason":"trimmed","channel":"a"})") != std::string::npos);
  }
}

TEST_CASE("a stream that lags is asked after join and leave, too, and after a tick, and as often as needed") {
  for (int how = 0; how < 4; ++how) {
    broker b(holding(8));
    int more = 1;
    auto s = opened(b, {"a", "c"}, [&](event_header const& e) {
      if (how == 3 && more-- > 0) publish_tagged(b, 1, 2);
      return e.tag == 1;
    });
    publish_tagged(b, 11, 2);
    if (how == 0) REQUIRE(s.join("b") == errc::ok);
    if (how == 1) REQUIRE(s.leave("c") == errc::ok);
    auto t = follow(b, {"a"}, odd, id(0), ssewire::lag_policy::close);
    if (how == 2) b.tick({});
    CHECK(pull_all(s).find("ssewire.gap") == std::string::npos);
    CHECK(t.reason() == ssewire::close_reason::none);
  }
}

TEST_CASE("under lag_policy::close a tick leaves it to the filter whether a stream has missed something") {
  broker b(holding(8));
  auto s = follow(b, {"a"}, odd, {}, ssewire::lag_policy::close);
  (void)pull(s);
  publish_tagged(b, 11, 2);
  b.tick({});
  CHECK(s.reason() == ssewire::close_reason::none);
  CHECK(pull_all(s) == checkpoint(11));
  publish_tagged(b, 30, 2);  // more than can be asked about
  b.tick({});
  CHECK(s.reason() == ssewire::close_reason::lagged);
}

TEST_CASE("another filter than before is asked about what was lost itself") {
  broker b(holding(10));
  std::string last;
  {
    auto s = follow(b, {"a"}, odd);
    last = fall_back(b, s, 3);
  }
  publish_tagged(b, 9, 2);
  CHECK(follow(b, {"a"}, odd, last).outcome() == resume_outcome::resumed);
  CHECK(follow(b, {"a"}, tagged, last).outcome() == resume_outcome::gap);
  CHECK(follow(b, {"a"}, {}, last).outcome() == resume_outcome::gap);
}

TEST_CASE("a filter that throws, or publishes, when it is asked about what was lost") {
  broker b(holding(4));
  std::string last;
  {
    auto s = follow(b, {"a"}, odd);
    last = fall_back(b, s, 1);
  }
  publish_tagged(b, 4, 2);
  auto const throws = [](event_header const&) -> bool { throw 1; };
  CHECK(follow(b, {"a"}, throws, last).outcome() == resume_outcome::gap);
  int asked = 0;
  auto s = follow(
      b, {"a"},
      [&](event_header const& e) {
        if (++asked == 1) publish_tagged(b, 6, 1);
        return e.tag == 1;
      },
      last);
  CHECK(s.outcome() ==
        resume_outcome::resumed);  // what its own filter made the log forget is a lag, and told
  CHECK(asked >= 1);
  CHECK(pull_all(s).find("ssewire.gap") != std::string::npos);
}

TEST_CASE("a quiet channel whose events are too old is kept for clients with filters until it expires") {
  broker b({.replay = {.max_age = std::chrono::seconds(1)}, .channel_expiry = std::chrono::seconds(60)});
  std::string last;
  {
    auto s = follow(b, {"a"}, odd);
    publish_tagged(b, 1, 1);
    last = read_to_the_end(s);
    publish_tagged(b, 1, 2);
    last = read_to_the_end(s, last);
    CHECK(last == id(1));
  }
  auto now = ssewire::steady_time{};
  for (int i = 0; i < 40; ++i) b.tick(now += std::chrono::milliseconds(100));
  CHECK(b.stats().events == 0);
  CHECK(b.stats().channels == 1);
  CHECK(follow(b, {"a"}, odd, last).outcome() == resume_outcome::up_to_date);
  CHECK(follow(b, {"a"}, {}, last).outcome() == resume_outcome::gap);
  for (int i = 0; i < 700; ++i) b.tick(now += std::chrono::milliseconds(100));
  CHECK(b.stats().channels == 0);
  CHECK(b.stats().expired_channels == 1);
}

// ---- what a filter is shown ----

TEST_CASE("a filter sees type, ID and tag of each event, once and in order") {
  broker b;
  struct seen {
    std::string type, id;
    std::uint64_t tag;
    bool operator==(seen const&) const = default;
  };
  std::vector<seen> got;
  auto s = opened(b, {"a", "b"}, [&](event_header const& e) {
    got.push_back({std::string(e.type), std::string(e.id), e.tag});
    return true;
  });
  REQUIRE(b.publish("a", {.data = "event: not a type"}));
  REQUIRE(b.publish("b", {.type = "order placed: 1", .data = "x", .id = "mine"}, {.tag = 7}));
  REQUIRE(b.publish("a", {.type = "t"}, {.tag = ~std::uint64_t{0}}));  // without data
  REQUIRE(b.publish("a", {.data = "\nevent: x", .retry = std::chrono::milliseconds(5)}));
  REQUIRE(b.publish({"a", "b"}, {.type = "message", .data = "both"}));
  (void)pull_all(s);
  CHECK(got == std::vector<seen>{{"message", id(1), 0},
                                 {"order placed: 1", "mine", 7},
                                 {"t", id(3), ~std::uint64_t{0}},
                                 {"message", id(4), 0},
                                 {"message", id(5), 0}});
}

TEST_CASE("a stream gets the events that its filter admits, and no other") {
  broker b;
  auto s = opened(b, {"a"}, odd);
  fill(b, 7);
  CHECK(pull_all(s) == frame(1, "1") + frame(3, "3") + frame(5, "5") + frame(7, "7"));
  CHECK(b.stats().filtered == 3);
  CHECK(b.stats().delivered == 4);
  CHECK(b.stats().delivered_bytes == 4 * frame(1, "1").size());
}

TEST_CASE("an empty filter admits all") {
  broker b;
  auto s = opened(b, {"a"}, event_filter());
  fill(b, 2);
  CHECK(pull_all(s) == frame(1, "1") + frame(2, "2"));
  CHECK_UNARY(!event_filter());
  CHECK_UNARY(event_filter(odd));
}

TEST_CASE("copies of a filter share their callable") {
  int calls = 0;
  event_filter const one = [&calls, mine = 0](event_header const&) mutable {
    calls = ++mine;
    return true;
  };
  auto const two = one;
  CHECK(one({}));
  CHECK(two({}));
  CHECK(calls == 2);
}

TEST_CASE("replay is filtered as live events are") {
  broker b;
  fill(b, 6);
  auto s = follow(b, {"a"}, odd, id(2));
  CHECK(s.outcome() == resume_outcome::resumed);
  CHECK(s.backlog() == 4);  // before its filter is asked
  CHECK(pull_all(s) == position_event(2) + frame(3, "3") + frame(5, "5"));
  CHECK(s.backlog() == 0);
}

TEST_CASE("more events than a batch has runs are admitted one by one: none is lost, none comes twice") {
  for (std::size_t const room : {std::size_t{0}, std::size_t{500}, all_room}) {
    broker b;
    auto s = opened(b, {"a"}, odd);
    fill(b, 200);
    std::string expected;
    for (std::uint64_t i = 1; i <= 200; i += 2) expected += frame(i, std::to_string(i));
    CHECK_UNARY(pull_all(s, room) == expected);
    CHECK(b.stats().delivered == 100);
    CHECK(b.stats().filtered == 100);
  }
}

TEST_CASE("a stream of several channels is filtered in the broker's order, an event on both asked once") {
  broker b;
  int asked = 0;
  auto s = opened(b, {"a", "b"}, [&](event_header const& e) {
    ++asked;
    return e.tag % 3 != 0;
  });
  std::string expected;
  for (std::uint64_t i = 1; i <= 90; ++i) {
    auto const data = std::to_string(i);
    std::string_view const both[] = {"b", "a"};
    auto const to = i % 4 == 0 ? std::span(both) : std::span(both).subspan(i % 2, 1);
    REQUIRE(b.publish(to, {.data = data}, {.tag = i}));
    if (i % 3 != 0) expected += frame(i, data);
  }
  CHECK_UNARY(pull_all(s) == expected);
  CHECK(asked >= 90);
}

TEST_CASE(
    "what a filtered stream gave back is pulled again at every offset, nothing twice and nothing missing") {
  std::string expected;
  for (std::uint64_t i = 1; i <= 9; i += 2) expected += frame(i, std::to_string(i));
  for (std::size_t taken = 0; taken <= expected.size(); ++taken) {
    broker b;
    auto s = opened(b, {"a"}, odd);
    fill(b, 9);
    batch pulled;
    (void)s.pull(pulled, all_room);
    auto got = support::bytes_of(pulled).substr(0, taken);
    got += s.give_back(pulled, taken);
    got += pull_all(s);
    REQUIRE(got == expected);
    REQUIRE(b.stats().delivered == 5);
    REQUIRE(b.stats().delivered_bytes == expected.size());
  }
}

// ---- where it stands ----

TEST_CASE(
    "a filtered stream that skips 4,096 events in one pull is told where it stands, though all are held") {
  auto options = holding(100'000);
  options.replay.max_bytes = std::size_t{1} << 30;
  broker b(options);
  fill(b, 20'000);
  auto s = opened(b, {"a"}, none);
  fill(b, 4095, 20'001);
  CHECK(pull(s) == "");
  fill(b, 1);
  CHECK(pull(s) == "");
  fill(b, 9000);
  auto const told = pull(s, 10'000);  // whole batches are asked about
  CHECK(told.ends_with("\nevent: ssewire.position\ndata: {}\n\n"));
  CHECK(told >= checkpoint(24'096 + 4096));
  CHECK(told < checkpoint(24'096 + 9000));
}

TEST_CASE(
    "a filtered stream whose client would come back from the older half of the log is told where it stands") {
  broker b(holding(10));
  auto s = opened(b, {"a"}, tagged);
  REQUIRE(b.publish("a", {.data = "mine"}, {.tag = 1}));
  CHECK(pull(s) == frame(1, "mine"));
  std::uint64_t stands = 1;
  for (std::uint64_t p = 2; p <= 100; ++p) {
    REQUIRE(b.publish("a", {.data = "other"}));
    auto const got = pull(s);
    if (!got.empty()) {
      CHECK(got == checkpoint(p));
      stands = p;
    }
    // So whoever comes back now is told no gap.
    CHECK(follow(b, {"a"}, tagged, id(stands)).outcome() != resume_outcome::gap);
  }
  CHECK(stands > 90);
  CHECK(b.stats().gaps == 0);
}

TEST_CASE("a filtered stream is told where it stands no more often than half the log is skipped") {
  broker b(holding(100));
  auto s = opened(b, {"a"}, none);
  fill(b, 100);
  (void)pull_all(s);
  int told = 0;
  for (std::uint64_t p = 101; p <= 1100; ++p) {
    fill(b, 1, p);
    told += pull(s).empty() ? 0 : 1;
  }
  CHECK(told >= 10);
  CHECK(told <= 21);
}

TEST_CASE("tick tells a parked filtered stream where it stands, before what it skipped is too old") {
  auto options = holding(1000);
  options.replay.max_age = std::chrono::seconds(80);
  broker b(options);
  bell rings;
  ssewire::steady_time now{};
  b.tick(now);
  auto s = opened(b, {"a"}, tagged);
  s.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(b.publish("a", {.data = "mine"}, {.tag = 1}));
  for (int i = 0; i < 100; ++i) REQUIRE(b.publish("a", {.data = "young"}));
  CHECK(pull_all(s).starts_with(frame(1, "mine")));
  for (int i = 0; i < 9; ++i) REQUIRE(b.publish("a", {.data = "other"}));
  std::string told = pull_all(s);
  REQUIRE(s.park());
  for (int i = 0; i < 79; ++i) {
    b.tick(now += std::chrono::seconds(1));
    if (rings.rings != 0) break;
  }
  CHECK(rings.rings == 1);
  told += pull_all(s);
  CHECK(told.ends_with(checkpoint(110)));
  REQUIRE(s.park());
  for (int i = 0; i < 40; ++i) b.tick(now += std::chrono::seconds(1));
  CHECK(rings.rings == 1);  // once is enough
}

TEST_CASE("a filtered stream that drains says where it stands before it ends, though all is held") {
  for (bool const draining : {true, false}) {
    broker b;
    auto s = opened(b, {"a"}, tagged);
    for (int i = 0; i < 10; ++i) REQUIRE(b.publish("a", {.data = "other"}));
    fill(b, 1, 11);
    CHECK(pull(s) == frame(11, "11"));
    for (int i = 0; i < 3; ++i) REQUIRE(b.publish("a", {.data = "other"}));
    if (draining) b.drain({}, {});
    CHECK(pull(s) == (draining ? checkpoint(14) : ""));
    batch pulled;
    CHECK(s.pull(pulled, all_room) == (draining ? pull_status::draining : pull_status::nothing));
  }
}

TEST_CASE(
    "a filtered stream that lags is told so, but not a number that its filter would have made smaller") {
  broker b(holding(2));
  auto s = opened(b, {"a"}, odd);
  fill(b, 5);
  CHECK(pull_all(s) == gap_event(3, R"({"reason":"trimmed","channel":"a"})") + frame(5, "5"));
  CHECK(b.stats().lags == 1);
  CHECK(b.stats().missed == 3);
}

// ---- another filter ----

TEST_CASE("set_filter says where, and admits from the next pull on") {
  broker b;
  auto s = opened(b, {"a"}, odd);
  fill(b, 2);
  CHECK(pull_all(s) == frame(1, "1"));
  REQUIRE(s.set_filter([](event_header const& e) { return e.tag % 2 == 0; }) == errc::ok);
  fill(b, 2, 3);
  CHECK(pull_all(s) == checkpoint(2) + frame(4, "4"));
  REQUIRE(s.set_filter({}) == errc::ok);
  fill(b, 2, 5);
  CHECK(pull_all(s) == checkpoint(4) + frame(5, "5") + frame(6, "6"));
  REQUIRE(s.set_filter(none) == errc::ok);
  CHECK(pull_all(s) == checkpoint(6));
}

TEST_CASE("set_filter wakes a parked stream, which cannot park before it has been told") {
  broker b;
  bell rings;
  auto s = opened(b, {"a"}, odd);
  s.set_hook(ssewire::wake_hook::of(rings));
  REQUIRE(s.park());
  REQUIRE(s.set_filter(none) == errc::ok);
  CHECK(rings.rings == 1);
  CHECK_UNARY(!s.park());
  CHECK(pull(s) == checkpoint(0));
  CHECK_UNARY(s.park());
}

TEST_CASE("a filter that is replaced is destroyed when set_filter has returned, one that ends with its "
          "stream, then") {
  broker b;
  auto const first = std::make_shared<int>(1);
  auto const second = std::make_shared<int>(2);
  auto s = opened(b, {"a"}, [first](event_header const&) { return true; });
  CHECK(first.use_count() == 2);
  REQUIRE(s.set_filter([second](event_header const&) { return true; }) == errc::ok);
  CHECK(first.use_count() == 1);
  s.close();
  CHECK(second.use_count() == 1);
}

TEST_CASE("a filter whose destructor calls the broker may do so: it runs under no lock") {
  struct caller {
    broker* of;
    ~caller() {
      if (of != nullptr) (void)of->stats();
    }
    caller(broker* b) : of(b) {}
    caller(caller&& other) noexcept : of(std::exchange(other.of, nullptr)) {}
    bool operator()(event_header const&) const { return true; }
  };
  ssewire::broker_options options;
  options.max_subscribers = 1;
  broker b(options);
  auto s = opened(b, {"a"}, caller(&b));
  CHECK(b.subscribe("a", {.filter = caller(&b)}).error == errc::too_many_subscribers);
  REQUIRE(s.set_filter(caller(&b)) == errc::ok);
  s.close();
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("a closed stream takes no filter") {
  broker b;
  subscription none_at_all;
  CHECK(none_at_all.set_filter(odd) == errc::closed);
  std::optional<broker> gone(std::in_place);
  auto s = opened(*gone, {"a"}, odd);
  gone.reset();
  CHECK(s.set_filter(odd) == errc::closed);
}

// ---- what a filter may do ----

TEST_CASE(
    "what a filter throws leaves pull, and nothing was pulled: it comes all the same, whichever it was") {
  for (std::uint64_t bad = 1; bad <= 40; ++bad) {
    broker b;
    bool angry = true;
    auto s = opened(b, {"a", "b"}, [&](event_header const& e) {
      if (angry && e.tag == bad) throw std::runtime_error("no");
      return e.tag % 2 == 1;
    });
    std::string expected;
    for (std::uint64_t i = 1; i <= 40; ++i) {
      auto const data = std::to_string(i);
      REQUIRE(b.publish(i % 3 == 0 ? "b" : "a", {.data = data}, {.tag = i}));
      if (i % 2 == 1) expected += frame(i, data);
    }
    batch pulled;
    std::string got;
    try {
      while (s.pull(pulled, all_room) == pull_status::ready) got += support::bytes_of(pulled);
      CHECK(got == "an exception");
    } catch (std::runtime_error const&) {
    }
    auto const delivered = b.stats().delivered;
    angry = false;
    got += pull_all(s);
    REQUIRE(got == expected);
    CHECK(b.stats().delivered == 20);
    CHECK(delivered <= 20);
  }
}

TEST_CASE("events that the log forgot while a filter ran that then throws are told as missing") {
  broker b(holding(3));
  bool angry = true;
  auto s = opened(b, {"a"}, [&](event_header const&) {
    if (!std::exchange(angry, false)) return true;
    fill(b, 2, 4);
    throw std::runtime_error("no");
  });
  fill(b, 3);
  batch pulled;
  CHECK_THROWS_AS((void)s.pull(pulled, all_room), std::runtime_error);
  CHECK(pull_all(s) == gap_event(2, R"({"reason":"trimmed","channel":"a"})") + frame(3, "3") + frame(4, "4") +
                           frame(5, "5"));
}

TEST_CASE("events that found no room in the batch, and that the log forgot meanwhile, are told as missing") {
  broker b(holding(100));
  bool first = true;
  auto s = opened(b, {"a"}, [&](event_header const& e) {
    if (std::exchange(first, false)) {
      for (int i = 0; i < 90; ++i) REQUIRE(b.publish("a", {.data = "other"}));
    }
    return e.tag % 2 == 1;
  });
  fill(b, 100);
  auto const got = pull_all(s);
  std::string expected;
  for (std::uint64_t i = 1; i <= 55; i += 2)
    expected += frame(i, std::to_string(i));  // as many runs as a batch has
  REQUIRE(got.starts_with(expected));
  CHECK(got.substr(expected.size()).starts_with(gap_event(90, R"({"reason":"trimmed","channel":"a"})")));
}

TEST_CASE(
    "the log may move past a stream while its filter runs, by any number of pages: what is left comes") {
  for (int const events : {1, 5, 20, 200, 3000}) {
    broker b(holding(10));
    bool first = true;
    auto s = opened(b, {"a"}, [&](event_header const& e) {
      if (std::exchange(first, false)) {
        for (int i = 0; i < events; ++i) REQUIRE(b.publish("a", {.data = std::string(60, 'n')}, {.tag = 1}));
      }
      return e.tag != 0;
    });
    for (int i = 0; i < 10; ++i) REQUIRE(b.publish("a", {.data = "x"}));
    std::string got;
    for (int i = 0; i < 5; ++i) got += pull(s, 100);
    got += pull_all(s);
    auto const last = static_cast<std::uint64_t>(10 + events);
    CHECK(got.ends_with(frame(last, std::string(60, 'n'))));
    if (events > 10) CHECK(got.find("ssewire.gap") != std::string::npos);
  }
}

TEST_CASE("a filter may publish, also to the channel it is asked about") {
  broker b;
  auto s = opened(b, {"a"}, [&](event_header const& e) {
    if (e.tag <= 3) REQUIRE(b.publish("a", {.data = "more"}, {.tag = 10 + e.tag}));
    return true;
  });
  fill(b, 3);
  CHECK(pull_all(s) == frame(1, "1") + frame(2, "2") + frame(3, "3") + frame(4, "more") + frame(5, "more") +
                           frame(6, "more"));
}

TEST_CASE("a filter that always publishes another event that it refuses does not keep pull for ever") {
  broker b(holding(100'000));
  int asked = 0;
  auto s = opened(b, {"a"}, [&](event_header const&) {
    ++asked;
    REQUIRE(b.publish("a", {.data = "more"}));
    return false;
  });
  fill(b, 1);
  CHECK(pull(s) == checkpoint(4096));
  CHECK(asked == 4096);
}

TEST_CASE("inside its filter a stream refuses what would change it, and pulls nothing") {
  broker b;
  subscription* self = nullptr;
  int asked = 0;
  auto s = opened(b, {"a", "b"}, [&](event_header const&) {
    ++asked;
    batch inner;
    CHECK(self->join("c") == errc::called_from_inside);
    CHECK(self->leave("b") == errc::called_from_inside);
    CHECK(self->set_filter(none) == errc::called_from_inside);
    CHECK(self->pull(inner, all_room) == pull_status::nothing);
    CHECK_UNARY(inner.empty());
    CHECK_UNARY(!self->park());
    CHECK(self->reason() == close_reason::none);
    (void)self->backlog();
    return true;
  });
  self = &s;
  fill(b, 3);
  CHECK(pull_all(s) == frame(1, "1") + frame(2, "2") + frame(3, "3"));
  CHECK(asked == 3);
  CHECK(b.stats().channels == 2);
}

TEST_CASE("inside its filter a stream that pulls into the batch being filled harms nothing") {
  broker b;
  batch pulled;
  subscription* self = nullptr;
  auto s = opened(b, {"a"}, [&](event_header const& e) {
    if (e.tag == 4) CHECK(self->pull(pulled, all_room) == pull_status::nothing);
    return e.tag != 2;
  });
  self = &s;
  fill(b, 5);
  CHECK(s.pull(pulled, all_room) == pull_status::ready);
  auto const got = support::bytes_of(pulled) + pull_all(s);
  CHECK(got == frame(1, "1") + frame(3, "3") + frame(4, "4") + frame(5, "5"));
}

// What a filter does to its own stream, at which event.
struct deed {
  std::optional<broker> b = std::optional<broker>(std::in_place);
  std::optional<subscription> s;
  bool gone = false;  // the filter

  template <class Action> std::pair<pull_status, bool> run(std::uint64_t at, Action action) {
    struct on_end {
      bool* set;
      on_end(bool* what) : set(what) {}
      on_end(on_end&& other) noexcept : set(std::exchange(other.set, nullptr)) {}
      ~on_end() {
        if (set != nullptr) *set = true;
      }
    };
    s.emplace(opened(*b, {"a"}, [this, at, action, end = on_end(&gone)](event_header const& e) {
      if (e.tag == at) action(*this);
      CHECK_UNARY(!gone);  // it lives while it runs
      return true;
    }));
    fill(*b, 5);
    batch pulled;
    auto const status = s->pull(pulled, all_room);
    return {status, pulled.empty()};
  }
};

TEST_CASE(
    "a filter may close its stream: pull brings nothing then, and the filter has ended when it returns") {
  for (std::uint64_t at = 1; at <= 5; ++at) {
    deed d;
    auto const [status, empty] = d.run(at, [](deed& of) {
      of.s->close();
      CHECK(of.b->stats().subscribers == 0);
    });
    CHECK(status == pull_status::closed);
    CHECK_UNARY(empty);
    CHECK_UNARY(d.gone);
    CHECK(d.b->stats().closes[static_cast<std::size_t>(close_reason::removed)] == 1);
  }
}

TEST_CASE("a filter may close its stream and throw") {
  broker b;
  std::optional<subscription> s;
  s.emplace(opened(b, {"a"}, [&](event_header const&) -> bool {
    s->close();
    throw std::runtime_error("and goes");
  }));
  fill(b, 2);
  batch pulled;
  CHECK_THROWS_AS((void)s->pull(pulled, all_room), std::runtime_error);
  CHECK(b.stats().subscribers == 0);
  CHECK(s->pull(pulled, all_room) == pull_status::closed);
}

TEST_CASE("a filter may put another subscription in the place of its own") {
  deed d;
  auto const [status, empty] =
      d.run(3, [](deed& of) { *of.s = follow(*of.b, {"a"}, event_filter(), id(4)); });
  CHECK(status == pull_status::closed);
  CHECK_UNARY(empty);
  CHECK_UNARY(d.gone);
  CHECK(pull_all(*d.s) == position_event(4) + frame(5, "5"));
}

TEST_CASE("a filter may destroy the broker: its stream is closed") {
  deed d;
  auto const [status, empty] = d.run(2, [](deed& of) { of.b.reset(); });
  CHECK(status == pull_status::closed);
  CHECK_UNARY(empty);
  CHECK(d.s->reason() == close_reason::drained);
  d.s.reset();
  CHECK_UNARY(d.gone);
}

TEST_CASE("a filter may destroy the broker and then close its stream, the last that keeps anything of it") {
  deed d;
  auto const [status, empty] = d.run(2, [](deed& of) {
    of.b.reset();
    of.s->close();
  });
  CHECK(status == pull_status::closed);
  CHECK_UNARY(empty);
  CHECK_UNARY(d.gone);
}

TEST_CASE("a filter may end its stream by a drain's deadline: pull brings nothing then") {
  deed d;
  auto const [status, empty] = d.run(2, [](deed& of) {
    of.b->drain({}, {});
    of.b->tick({});
  });
  CHECK(status == pull_status::closed);
  CHECK_UNARY(empty);
  CHECK(d.s->reason() == close_reason::drain_forced);
}

TEST_CASE("a filter may subscribe, and close other streams") {
  broker b;
  auto other = opened(b, {"a"}, odd);
  std::optional<subscription> made;
  auto s = opened(b, {"a"}, [&](event_header const& e) {
    if (e.tag == 1) {
      other.close();
      made.emplace(follow(b, {"a"}, odd));
    }
    return true;
  });
  fill(b, 2);
  CHECK(pull_all(s) == frame(1, "1") + frame(2, "2"));
  CHECK(b.stats().subscribers == 2);
  CHECK(pull(*made) == position_event(2));
}

TEST_CASE("a stream whose policy is to close is closed when the log moved past it while its filter ran") {
  broker b(holding(10));
  bool first = true;
  auto s = follow(
      b, {"a"},
      [&](event_header const&) {
        if (std::exchange(first, false)) fill(b, 100, 11);
        return false;
      },
      {}, ssewire::lag_policy::close);
  CHECK(pull(s) == position_event(0));
  fill(b, 10);
  batch pulled;
  auto status = s.pull(pulled, 50);
  for (int i = 0; i < 3 && status != pull_status::closed; ++i) {
    CHECK_UNARY(!s.park());
    status = s.pull(pulled, 50);
  }
  CHECK(status == pull_status::closed);
  CHECK(s.reason() == close_reason::lagged);
}

TEST_CASE("publish does not wait for a filter that is stuck") {
  broker b;
  std::atomic<int> stage{0};
  auto s = opened(b, {"a"}, [&](event_header const&) {
    if (stage == 0) stage = 1;
    while (stage != 2) std::this_thread::yield();
    return true;
  });
  fill(b, 1);
  std::string got;
  std::thread reader([&] { got = pull_all(s); });
  while (stage != 1) std::this_thread::yield();
  fill(b, 1, 2);  // would hang here
  CHECK(b.stats().published == 2);
  stage = 2;
  reader.join();
  CHECK(got == frame(1, "1") + frame(2, "2"));
}

TEST_CASE("streams that share a filter call it from their threads at the same time") {
  broker b;
  fill(b, 500);
  std::atomic<int> inside{0};
  std::atomic<bool> met{false};
  event_filter const shared = [&](event_header const& e) {
    ++inside;
    if (e.tag == 1) {  // both wait here for each other: a lock between them would hang
      while (inside < 2 && !met) std::this_thread::yield();
      met = true;
    }
    return e.tag % 2 == 1;
  };
  std::string got[2];
  std::thread readers[2];
  for (std::size_t i = 0; i < 2; ++i) {
    readers[i] = std::thread([&, i] {
      auto s = b.subscribe("a", {.last_event_id = id(0), .filter = shared}).value;
      got[i] = pull_all(s);
    });
  }
  for (auto& each : readers) each.join();
  CHECK_UNARY(got[0] == got[1]);
  CHECK(got[0].size() > 250 * frame(1, "1").size());
}

}  // namespace
