// SPDX-License-Identifier: MIT
#include <ssewire/log/replay_buffer.hpp>

#include <support/broker_bytes.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <ranges>
#include <string>
#include <string_view>

namespace {

using ssewire::errc;
using ssewire::replay_limits;
using ssewire::resume_outcome;
using support::frame;
using support::id;
using buffer = ssewire::basic_replay_buffer<support::epoch_traits>;  // epoch 0, so that every byte is known

static_assert(std::ranges::forward_range<buffer::replay const>);
static_assert(std::is_same_v<std::ranges::range_value_t<buffer::replay>, std::string_view>);

std::string joined(buffer::replay const& frames) {
  std::string all;
  std::uint64_t n = 0;
  for (std::string_view const f : frames) {
    all += f;
    ++n;
  }
  CHECK(n == frames.size());
  CHECK(frames.empty() == (n == 0));
  return all;
}

void fill(buffer& b, int events) {
  for (int i = 1; i <= events; ++i) REQUIRE(b.append({.data = std::to_string(i)}));
}

}  // namespace

TEST_CASE("events are numbered from 1, and their frames carry the number") {
  buffer b;
  auto const one = b.append({.type = "t", .data = "a\nb", .retry = ssewire::reconnection_time(5)});
  CHECK(one.error == errc::ok);
  CHECK(one.value.view() == id(1));
  CHECK(b.append({.data = "x"}).value.view() == id(2));
  CHECK(joined(b.after("")) == "id: " + id(1) + "\nevent: t\nretry: 5\ndata: a\ndata: b\n\n" + frame(2, "x"));
}

TEST_CASE("fresh: no ID is followed by all that is held") {
  buffer b;
  CHECK(b.after("").outcome() == resume_outcome::fresh);
  CHECK(joined(b.after("")) == "");
  fill(b, 3);
  CHECK(b.after("").outcome() == resume_outcome::fresh);
  CHECK(joined(b.after({})) == frame(1, "1") + frame(2, "2") + frame(3, "3"));
}

TEST_CASE("resumed: an ID is followed by what came after it") {
  buffer b;
  fill(b, 3);
  CHECK(b.after(id(1)).outcome() == resume_outcome::resumed);
  CHECK(joined(b.after(id(1))) == frame(2, "2") + frame(3, "3"));
  CHECK(b.after(id(0)).outcome() == resume_outcome::resumed);
  CHECK(b.after(id(0)).size() == 3);
}

TEST_CASE("up to date: the newest ID is followed by nothing") {
  buffer b;
  CHECK(b.after(id(0)).outcome() == resume_outcome::up_to_date);
  fill(b, 3);
  CHECK(b.after(id(3)).outcome() == resume_outcome::up_to_date);
  CHECK(joined(b.after(id(3))) == "");
}

TEST_CASE("gap: when some of what followed is gone, all that is left comes; at the border there is no gap") {
  buffer b(replay_limits{.max_events = 2});
  fill(b, 5);
  CHECK(b.after(id(2)).outcome() == resume_outcome::gap);
  CHECK(joined(b.after(id(2))) == frame(4, "4") + frame(5, "5"));
  CHECK(b.after(id(0)).outcome() == resume_outcome::gap);
  CHECK(b.after(id(3)).outcome() == resume_outcome::resumed);
  CHECK(joined(b.after(id(3))) == frame(4, "4") + frame(5, "5"));
}

TEST_CASE("unknown: the future, another epoch and garbage are followed by all that is held") {
  buffer b;
  fill(b, 2);
  auto const other = std::string(ssewire::position_id(1, 1).view());
  for (auto const& presented :
       {id(3), id(9'999'999'999'999'999), other, std::string("1"), std::string(" "), std::string(29, '\0'),
        id(1).append("\n"), std::string("x").append(id(1)), std::string(1'000'000, '9')}) {
    auto const got = b.after(presented);
    CHECK(got.outcome() == resume_outcome::unknown);
    CHECK(joined(got) == frame(1, "1") + frame(2, "2"));
  }
}

TEST_CASE("hostile IDs, whatever their bytes, have an outcome") {
  support::random random(1);
  buffer b(replay_limits{.max_events = 5});
  fill(b, 20);
  for (int i = 0; i < 5000; ++i) {
    auto text = random.one_in(2) ? id(random.below(25)) : std::string(random.below(40), '0');
    for (auto n = random.below(4); n != 0 && !text.empty(); --n)
      text[random.below(text.size())] = random.byte();
    auto const got = b.after(text);
    CHECK(joined(got).size() == got.size() * frame(20, "20").size());
    CHECK(got.size() <= 5);
  }
}

TEST_CASE("a restart is another epoch: its IDs are unknown") {
  ssewire::replay_buffer before;
  auto const last = before.append({.data = "x"});
  ssewire::replay_buffer after;
  REQUIRE(after.append({.data = "x"}));
  CHECK(before.after(last.value.view()).outcome() == resume_outcome::up_to_date);
  CHECK(after.after(last.value.view()).outcome() == resume_outcome::unknown);
}

TEST_CASE("max_events is kept to the event; 0 means 1") {
  for (std::uint64_t const most : {0u, 1u, 2u, 10u}) {
    buffer b(replay_limits{.max_events = most});
    auto const held = most == 0 ? 1 : most;
    fill(b, static_cast<int>(held));
    CHECK(b.events() == held);
    fill(b, 1);
    CHECK(b.events() == held);
    CHECK(b.after("").size() == held);
  }
}

TEST_CASE("max_bytes is kept to the byte") {
  auto const size = frame(1, "x").size();
  for (std::size_t const more : {0u, 1u}) {
    buffer b(replay_limits{.max_bytes = 3 * size - 1 + more});
    for (int i = 0; i < 3; ++i) REQUIRE(b.append({.data = "x"}));
    CHECK(b.events() == 2 + more);
    CHECK(b.frame_bytes() == (2 + more) * size);
  }
}

TEST_CASE("an event larger than max_bytes is refused and no number is used; one of that size is held alone") {
  buffer b(replay_limits{.max_bytes = frame(1, "12345").size()});
  REQUIRE(b.append({.data = "1"}));
  auto const refused = b.append({.data = "123456"});
  CHECK(refused.error == errc::event_too_large);
  CHECK(refused.value.view() == "");
  CHECK(b.events() == 1);
  CHECK(b.append({.data = "12345"}).value.view() == id(2));
  CHECK(joined(b.after("")) == frame(2, "12345"));
}

TEST_CASE("a type and an ID like the library's are refused, and no number is used") {
  buffer b;
  CHECK(b.append({.type = "ssewire.gap", .data = "x"}).error == errc::type_reserved);
  CHECK(b.append({.data = "x", .id = "two words"}).error == errc::id_refused);
  CHECK(b.append({.data = "x", .id = "000000000000-0000000000000009"}).error == errc::id_refused);
  CHECK(b.append({.data = "x", .id = ""}).error == errc::id_refused);
  CHECK(b.events() == 0);
  CHECK(b.append({.type = "ssewire", .data = "x"}).value.view() == id(1));
}

TEST_CASE("what follows every ID is right, for every size and trim") {
  support::random random(2);
  buffer b(replay_limits{.max_events = 40, .max_bytes = 60'000});
  std::vector<std::string> all;
  std::size_t first = 0;  // held
  for (int i = 0; i < 400; ++i) {
    std::string const data(random.one_in(8) ? random.below(9000) : random.below(300), 'd');
    REQUIRE(b.append({.data = data}));
    all.push_back(frame(all.size() + 1, data));
    auto const held = [&] {
      std::size_t bytes = 0;
      for (auto at = first; at < all.size(); ++at) bytes += all[at].size();
      return bytes;
    };
    while (all.size() - first > 40 || held() > 60'000) ++first;
    CHECK(b.events() == all.size() - first);
    auto const k = random.below(all.size() + 1);
    auto const got = b.after(id(k));
    std::string expected;
    for (auto at = (std::max)(k, first); at < all.size(); ++at) expected += all[at];
    REQUIRE_UNARY(joined(got) == expected);
    CHECK(got.outcome() == (k < first         ? resume_outcome::gap
                            : k == all.size() ? resume_outcome::up_to_date
                                              : resume_outcome::resumed));
  }
}

TEST_CASE("an event goes when it is older than max_age, also the newest, and its loss is told") {
  using std::chrono::seconds;
  buffer b(replay_limits{.max_age = seconds(80)});
  ssewire::steady_time const start{};
  b.append({.data = "old"});
  b.tick(start);
  b.append({.data = "young"});
  b.tick(start + seconds(20));
  b.tick(start + seconds(79));
  CHECK(b.events() == 2);
  b.tick(start + seconds(80));
  CHECK(b.events() == 1);
  CHECK(b.after(id(0)).outcome() == resume_outcome::gap);
  CHECK(b.after(id(1)).outcome() == resume_outcome::resumed);
  b.tick(start + seconds(100));
  CHECK(b.events() == 0);
  CHECK(b.after(id(1)).outcome() == resume_outcome::gap);
  CHECK(b.after(id(2)).outcome() == resume_outcome::up_to_date);
}

// ---- publishers' own IDs ----

namespace {

std::string own_frame(std::string_view own, std::string_view data) {
  return "id: " + std::string(own) + "\ndata: " + std::string(data) + "\n\n";
}

}  // namespace

TEST_CASE("an ID of one's own is kept, and what follows it is found") {
  buffer b;
  CHECK(b.append({.data = "1", .id = "first"}).value.view() == id(1));
  CHECK(b.append({.data = "2"}).value.view() == id(2));
  CHECK(b.append({.data = "3", .id = "third"}).value.view() == id(3));
  CHECK(joined(b.after("")) == own_frame("first", "1") + frame(2, "2") + own_frame("third", "3"));
  CHECK(b.after("first").outcome() == resume_outcome::resumed);
  CHECK(joined(b.after("first")) == frame(2, "2") + own_frame("third", "3"));
  CHECK(joined(b.after(id(1))) == joined(b.after("first")));
  CHECK(b.after("third").outcome() == resume_outcome::up_to_date);
  CHECK(b.after("Third").outcome() == resume_outcome::unknown);
  CHECK(b.after("third ").outcome() == resume_outcome::unknown);
}

TEST_CASE("an ID of one's own is in use while its event is held, and a refused append uses no number") {
  buffer b(replay_limits{.max_events = 2});
  REQUIRE(b.append({.data = "1", .id = "mine"}));
  auto const refused = b.append({.data = "2", .id = "mine"});
  CHECK(refused.error == errc::id_in_use);
  CHECK(refused.value.view() == "");
  CHECK(b.append({.data = "2"}).value.view() == id(2));
  CHECK(b.append({.data = "3", .id = "mine"}).error == errc::id_in_use);
  CHECK(b.append({.data = "3"}).value.view() == id(3));
  CHECK(b.append({.data = "4", .id = "mine"}).value.view() == id(4));
  CHECK(b.after("mine").outcome() == resume_outcome::up_to_date);
}

TEST_CASE(
    "an ID of one's own that is gone is unknown, but behind the last one that went nothing is missing") {
  buffer b(replay_limits{.max_events = 2});
  for (auto const& name : {std::string("a"), std::string("b"), std::string("c"), std::string("d")})
    REQUIRE(b.append({.data = name, .id = ssewire::event_id::from(name).value}));
  CHECK(b.after("a").outcome() == resume_outcome::unknown);
  CHECK(joined(b.after("a")) == own_frame("c", "c") + own_frame("d", "d"));
  CHECK(b.after("b").outcome() == resume_outcome::resumed);
  CHECK(joined(b.after("b")) == own_frame("c", "c") + own_frame("d", "d"));
}

TEST_CASE("an ID of one's own has at most 128 bytes of visible ASCII") {
  buffer b;
  for (std::string const& text : {std::string(128, 'x'), std::string("!"), std::string("~"), id(1) + "0"})
    CHECK(b.append({.data = "x", .id = ssewire::event_id::from(text).value}).error == errc::ok);
  for (std::string const& text : {std::string(129, 'x'), std::string("\x7F"), std::string("\xC3\xA4"),
                                  std::string("a b"), id(1), std::string("vvvvvvvvvvvv-0000000000000001")})
    CHECK(b.append({.data = "x", .id = ssewire::event_id::from(text).value}).error == errc::id_refused);
}

TEST_CASE("the memory of own IDs is 18 bytes for each that is held, and goes with them") {
  buffer b(replay_limits{.max_events = 500, .max_bytes = 20'000});
  for (int i = 0; i < 5000; ++i) {
    auto const name = std::to_string(i);
    REQUIRE(b.append({.id = ssewire::event_id::from(name).value}));
    REQUIRE(b.allocated_bytes() <= 20'000 * 9 / 4 + 1024 + 18 * b.events());
    REQUIRE(b.after(name).outcome() == resume_outcome::up_to_date);
  }
  CHECK(b.events() == 500);
}
