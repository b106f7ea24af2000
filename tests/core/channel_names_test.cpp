// SPDX-License-Identifier: MIT
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/channel_names.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using ssewire::channel_names;
using ssewire::errc;
using ssewire::event;

// What a call would read, in its order.
std::string read(channel_names names) {
  ssewire::detail::name_views const views(names);
  std::string all;
  for (auto const name : views.all()) all.append(name).append(",");
  return all;
}

TEST_CASE("channels are a name, some in braces, or a range of texts") {
  std::string const user = "user";
  std::string_view const view = "view";
  CHECK(read("news") == "news,");
  CHECK(read(user) == "user,");
  CHECK(read(std::optional(user)) == "user,");
  CHECK(read({"news"}) == "news,");
  CHECK(read({"news", user, view}) == "news,user,view,");
  CHECK(read({}) == "");
  CHECK(read(std::vector<std::string>{"b", "a"}) == "b,a,");
  CHECK(read(std::set<std::string>{"b", "a"}) == "a,b,");
  CHECK(read(std::list<std::string_view>{"b", "a"}) == "b,a,");
  CHECK(read(std::deque<char const*>{"b", "a"}) == "b,a,");
  CHECK(read(std::vector<std::string>()) == "");
  std::string_view const array[] = {"b", "a"};
  CHECK(read(array) == "b,a,");
  CHECK(read(std::span(array)) == "b,a,");
}

TEST_CASE("more names than have room beside each other are all read") {
  for (std::size_t const count : {7u, 8u, 9u, 1000u}) {
    std::vector<std::string> names;
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += names.emplace_back("c" + std::to_string(i)) + ",";
    CHECK(read(names) == all);
  }
}

// As std::filesystem::path's elements are, or those of a view that makes its texts.
struct made_on_the_way {
  struct iterator {
    int left;
    std::string operator*() const { return "gone before it is read"; }
    iterator& operator++() { return --left, *this; }
    bool operator!=(iterator const& other) const { return left != other.left; }
  };
  [[nodiscard]] iterator begin() const { return {1}; }
  [[nodiscard]] iterator end() const { return {0}; }
};

TEST_CASE("what is no text, or would not live until it is read, is refused when compiled") {
  static_assert(std::is_convertible_v<std::vector<std::string>, channel_names>);
  static_assert(!std::is_convertible_v<std::vector<int>, channel_names>);
  static_assert(!std::is_convertible_v<made_on_the_way, channel_names>);
  static_assert(!std::is_convertible_v<int, channel_names>);
  CHECK(read(std::vector<std::string>{"a"}) == "a,");
}

TEST_CASE("a name that is absent is refused as an empty one is, wherever it stands") {
  ssewire::broker broker;
  char const* const missing = nullptr;
  std::optional<std::string> const none;
  event const two[] = {{.data = "1"}, {.data = "2"}};
  auto const refused = errc::channel_name_refused;
  CHECK(broker.publish({missing}, event{.data = "x"}).error == refused);
  CHECK(broker.publish({"news", missing}, event{.data = "x"}).error == refused);
  CHECK(broker.publish({none, "news"}, event{.data = "x"}).error == refused);
  CHECK(broker.publish({missing}, two).error == refused);
  CHECK(broker.publish(std::vector<char const*>{"news", missing}, two).error == refused);
  CHECK(broker.subscribe({missing}).error == refused);
  CHECK(broker.subscribe({"news", missing}).error == refused);
  CHECK(broker.subscribe(std::vector<std::optional<std::string>>{"news", none}).error == refused);
  CHECK(broker.subscribers("news") == 0);
  CHECK(broker.publish({"news", "sport"}, event{.data = "x"}).error == errc::ok);
}

TEST_CASE("one publish to a range of strings reaches each of its channels") {
  ssewire::broker broker;
  std::vector<std::string> const names = {"a", "b", "a"};
  auto const both = broker.subscribe(names);
  REQUIRE(both);
  CHECK(broker.publish(std::vector<std::string>{"a"}, event{.data = "x"}).error == errc::ok);
  CHECK(both.value.backlog() == 1);
  CHECK(broker.publish(names, event{.data = "x"}).error == errc::ok);
  CHECK(both.value.backlog() == 3);  // on two channels it counts on each
}

}  // namespace
