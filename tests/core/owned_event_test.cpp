// SPDX-License-Identifier: MIT
#include <ssewire/core/owned_event.hpp>
#include <ssewire/ssewire.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using ssewire::event;
using ssewire::owned_event;
using namespace std::chrono_literals;

// An event made of it is a view: only something with a name may be viewed.
static_assert(std::convertible_to<owned_event const&, event>);
static_assert(std::convertible_to<owned_event&, event>);
static_assert(!std::convertible_to<owned_event, event>);
static_assert(!std::convertible_to<owned_event const, event>);

template <class Owned> concept gives_data = requires(Owned&& e) { std::forward<Owned>(e).data(); };
static_assert(gives_data<owned_event const&>);
static_assert(!gives_data<owned_event>);

static_assert(std::constructible_from<owned_event, event const&>);
static_assert(!std::convertible_to<event, owned_event>, "a copy of the text is asked for");
static_assert(std::regular<owned_event>);
static_assert(std::is_nothrow_move_constructible_v<owned_event>);
static_assert(std::is_nothrow_move_assignable_v<owned_event>);

// Long enough to be allocated.
constexpr std::string_view words = "a text that is longer than any string keeps inside of itself";

TEST_CASE("an owned event is equal to the event it was made from, member by member") {
  for (event const& e : {event{}, event{.data = ""}, event{.data = words}, event{.type = "t"},
                         event{.id = ""}, event{.id = "7"}, event{.retry = 0ms},
                         event{.type = "t", .data = "d\nd", .id = "i", .retry = 1500ms}}) {
    owned_event const owned(e);
    CHECK(event(owned) == e);
    CHECK(owned == e);
    CHECK(owned.type() == e.type);
    CHECK(owned.data() == e.data);
    CHECK(owned.id() == e.id);
    CHECK(owned.retry() == e.retry);
    CHECK(owned == owned_event(e));
    CHECK(owned_event(owned) == owned);
  }
  CHECK(owned_event() == event());
}

TEST_CASE("owned events that differ in one member are not equal") {
  event const e = {.type = "t", .data = "d", .id = "i", .retry = 1ms};
  owned_event const owned(e);
  for (event other : {event{.type = "u", .data = "d", .id = "i", .retry = 1ms},
                      event{.type = "t", .data = "e", .id = "i", .retry = 1ms},
                      event{.type = "t", .data = "d", .id = "j", .retry = 1ms},
                      event{.type = "t", .data = "d", .id = "i", .retry = 2ms}}) {
    CHECK_FALSE(owned == owned_event(other));
    CHECK_FALSE(owned == other);
  }
  CHECK_FALSE(owned_event(event{.data = ""}) == owned_event());
  CHECK_FALSE(owned_event(event{.id = ""}) == owned_event());
}

TEST_CASE("it outlives the bytes and the parser") {
  std::vector<owned_event> kept;
  {
    std::string bytes =
        "id: 7\nevent: said\nretry: 5\ndata: " + std::string(words) + "\ndata: more\n\ndata:\n\n";
    ssewire::parser parser;
    (void)parser.feed(bytes, [&](event const& e) { kept.emplace_back(e); });
    bytes.assign(bytes.size(), 'x');
  }
  REQUIRE(kept.size() == 2);
  auto const text = std::string(words) + "\nmore";
  CHECK(kept[0] == event{.type = "said", .data = text, .id = "7", .retry = 5ms});
  CHECK(kept[1] == event{.data = ""});
}

TEST_CASE("a copy and a moved-to object have text of their own") {
  auto first = owned_event({.type = "t", .data = words, .id = "i"});
  event const expected = {.type = "t", .data = words, .id = "i"};
  auto const copy = first;
  auto const moved = std::move(first);
  first = owned_event({.data = "other"});
  CHECK(copy == expected);
  CHECK(moved == expected);
  CHECK(first == event{.data = "other"});
}

TEST_CASE("it goes wherever an event goes") {
  owned_event const owned({.type = "t", .data = "d", .id = "7"});
  CHECK(ssewire::serialize(owned) == "id: 7\nevent: t\ndata: d\n\n");
  CHECK(ssewire::serialized_size(owned) == ssewire::serialize(owned).size());
  ssewire::broker broker;
  CHECK(broker.publish("news", owned));
}

}  // namespace
