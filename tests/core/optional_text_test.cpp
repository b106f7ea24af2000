// SPDX-License-Identifier: MIT
#include <ssewire/core/optional_text.hpp>
#include <ssewire/ssewire.hpp>

#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::optional_text;
using ssewire::resume_outcome;

// What evhttp_find_header, MHD_lookup_connection_value and their kind return for a missing field.
char const* missing() { return nullptr; }
char* missing_and_writable() { return nullptr; }

struct text_of_a_framework {
  operator std::string_view() const noexcept { return "theirs"; }
};

TEST_CASE("every way in which servers say that there is no text is absent") {
  CHECK(!optional_text().has_value());
  CHECK(!optional_text({}).has_value());
  CHECK(!optional_text(nullptr).has_value());
  CHECK(!optional_text(std::nullopt).has_value());
  CHECK(!optional_text(missing()).has_value());
  CHECK(!optional_text(missing_and_writable()).has_value());
  CHECK(!optional_text(missing(), 0).has_value());
  CHECK(!optional_text(std::optional<std::string_view>()).has_value());
  CHECK(!optional_text(std::optional<std::string>()).has_value());
  CHECK(!optional_text(std::optional<char const*>()).has_value());
  CHECK(!optional_text(std::optional<char const*>(missing())).has_value());
  CHECK(optional_text().value() == "");
}

TEST_CASE("every other text is present, also an empty one") {
  std::string const empty;
  for (auto const& text :
       {optional_text(""), optional_text(empty), optional_text(std::string_view()),
        optional_text(std::optional<std::string_view>("")),
        optional_text(std::optional<std::string_view>(std::string_view())), optional_text("", 0)}) {
    CHECK(text.has_value());
    CHECK(text.value() == "");
  }
  std::string const text = "text";
  std::optional<std::string> const maybe = text;
  char writable[] = "text";
  char* const begin = writable;
  for (auto const& present :
       {optional_text("text"), optional_text(text), optional_text(std::string_view(text)),
        optional_text(maybe), optional_text(text.c_str()), optional_text(writable), optional_text(begin),
        optional_text("texts", 4)}) {
    CHECK(present.has_value());
    CHECK(present.value() == "text");
  }
  CHECK(optional_text(text_of_a_framework{}).value() == "theirs");
  CHECK(optional_text("a\0b", 3).value().size() == 3);
}

TEST_CASE("it is read as an optional std::string_view is") {
  optional_text const text = "text";
  CHECK(*text == "text");
  CHECK(text->size() == 4);
  CHECK(static_cast<bool>(text));
  CHECK(text.value_or("other") == "text");
  optional_text const none = missing();
  CHECK(*none == "");
  CHECK(none->empty());
  CHECK(!static_cast<bool>(none));
  CHECK(none.value_or("other") == "other");
  CHECK(none == std::nullopt);
  CHECK(none != optional_text(""));
  CHECK(text == "text");
  CHECK(text != "texts");
}

// Overloads of which an optional_text finds one.
[[maybe_unused]] std::string_view chosen(std::string_view) { return "std::string_view"; }
[[maybe_unused]] std::string_view chosen(std::string const&) { return "std::string"; }
[[maybe_unused]] std::string_view chosen(bool) { return "bool"; }
[[maybe_unused]] std::string_view chosen(char const*) { return "char const*"; }

[[maybe_unused]] std::string_view most_fitting(std::string_view) { return "std::string_view"; }
[[maybe_unused]] std::string_view most_fitting(optional_text) { return "optional_text"; }

TEST_CASE("it goes without an asterisk wherever a std::string_view is wanted, and nowhere else") {
  optional_text const text = "text";
  optional_text const none;

  std::string_view const view = text;
  CHECK(view == "text");
  CHECK(std::string(text) == "text");
  std::string assigned = "before ";
  assigned += text;
  CHECK(assigned == "before text");
  assigned = none;
  CHECK(assigned.empty());
  std::ostringstream printed;
  printed << text << '|' << none << '|';
  CHECK(printed.str() == "text||");

  // Of the types that overloads are made for it becomes one only.
  CHECK(chosen(text) == "std::string_view");
  CHECK(most_fitting(text) == "optional_text");
  static_assert(std::convertible_to<optional_text, std::string_view>);
  static_assert(std::is_nothrow_convertible_v<optional_text, std::string_view>);
  static_assert(!std::convertible_to<optional_text, std::string>, "that copies: say so");
  static_assert(!std::convertible_to<optional_text, char const*>);
  static_assert(!std::convertible_to<optional_text, bool>);
  static_assert(!std::convertible_to<optional_text, int>);
  static_assert(!std::convertible_to<optional_text, ssewire::event_type>, "it may hold a line end");
  static_assert(!std::convertible_to<optional_text, ssewire::event_id>);

  // What is absent becomes no text that is present and empty.
  std::optional<std::string_view> const optional = none;
  CHECK(!optional.has_value());
  std::optional<std::string_view> const full = text;
  CHECK(full == std::string_view("text"));
  CHECK(!optional_text(none).has_value());
  CHECK(!optional_text(std::optional<optional_text>(none)).has_value());

  // Equality sees no conversion: neither is ambiguous, and absent is not empty.
  CHECK(text == std::string_view("text"));
  CHECK(std::string_view("text") == text);
  CHECK(text == std::string("text"));
  CHECK(text == "text");
  CHECK(text != std::string_view("texts"));
  CHECK(none != std::string_view());
  CHECK(none != "");
  CHECK(optional_text("") == std::string_view());
}

TEST_CASE("a text is taken without a cast, what is no text is not taken") {
  static_assert(std::convertible_to<char const*, optional_text>);
  static_assert(std::convertible_to<char const(&)[5], optional_text>);
  static_assert(std::convertible_to<std::string const&, optional_text>);
  static_assert(std::convertible_to<std::string_view, optional_text>);
  static_assert(std::convertible_to<std::optional<std::string_view>, optional_text>);
  static_assert(std::convertible_to<std::nullptr_t, optional_text>);
  static_assert(std::convertible_to<std::nullopt_t, optional_text>);
  static_assert(!std::is_constructible_v<optional_text, int>);
  static_assert(!std::is_constructible_v<optional_text, std::optional<int>>);
  static_assert(!std::is_constructible_v<optional_text, std::vector<std::string_view>>);
  static_assert(std::is_trivially_copyable_v<optional_text>);
  static_assert(optional_text("constant").value() == "constant");
}

TEST_CASE("a null text is absent in every function that reads a request") {
  CHECK(ssewire::last_event_id(missing()) == "");
  CHECK(ssewire::last_event_id(missing(), missing()) == "");
  CHECK(ssewire::last_event_id(missing(), "lastEventId=7") == "7");
  CHECK(ssewire::last_event_id(nullptr, nullptr) == "");
  CHECK(ssewire::query_of(missing()) == "");

  auto const fields = ssewire::response_fields(ssewire::http_version::http_2, ssewire::framing::raw,
                                               {.origin = missing(), .with_credentials = true});
  CHECK(fields.size() == ssewire::response_fields(ssewire::http_version::http_2).size());
  CHECK(ssewire::refuse(ssewire::refusal::never, {.allow = {.origin = missing()}}).fields.size() == 2);

  CHECK(ssewire::event_type::from(missing()).value == ssewire::event_type());
  CHECK(!ssewire::event_id::from(missing()).value.has_value());
  CHECK(ssewire::event_id::from("").value.has_value());
  CHECK(ssewire::serialize({.data = missing(), .id = "7"}) == ssewire::serialize({.id = "7"}));
  CHECK(ssewire::serialize({.data = "", .id = "7"}) == "id: 7\ndata: \n\n");
}

TEST_CASE("a null text is absent in a broker and a replay buffer") {
  ssewire::broker broker({.max_subscribers_per_user = 1});
  REQUIRE(broker.publish("news", {.data = "one"}));

  auto const one = broker.subscribe("news", {.last_event_id = missing(), .user = missing()});
  REQUIRE(one);
  CHECK(one.value.outcome() == resume_outcome::fresh);
  auto const two = broker.subscribe({"news", "sport"}, {.last_event_id = missing(), .user = missing()});
  CHECK(two);  // nobody's, both

  CHECK(broker.subscribe(missing()).error == errc::channel_name_refused);
  CHECK(broker.publish(missing(), {.data = "two"}).error == errc::channel_name_refused);
  CHECK(broker.publish(missing(), std::span<ssewire::event const>()).error == errc::channel_name_refused);
  CHECK(broker.subscribers(missing()) == 0);
  CHECK(broker.publish("news", {.data = missing()}));

  auto three = broker.subscribe("news");
  CHECK(three.value.join(missing()) == errc::channel_name_refused);
  CHECK(three.value.leave(missing()) == errc::ok);  // a channel that it does not follow
  CHECK(broker.subscribers("news") == 3);

  ssewire::replay_buffer log;
  CHECK(log.after(missing()).outcome() == resume_outcome::fresh);
  CHECK(log.after(nullptr).outcome() == resume_outcome::fresh);
}

TEST_CASE("each form of channels and ID finds the overload that it means") {
  ssewire::broker broker;
  auto const id = std::string(broker.publish({"news", "sport"}, {.data = "one"}).value.view());
  auto const means = [&](auto&& result, std::uint64_t channels, resume_outcome outcome) {
    REQUIRE(result);
    CHECK(result.value.outcome() == outcome);
    CHECK(broker.subscribers("news") + broker.subscribers("sport") == channels);
  };
  std::string const channel = "news";
  std::optional<std::string_view> const header = id;
  std::vector<std::string_view> const channels = {"news", "sport"};
  auto const fresh = resume_outcome::fresh;
  auto const up_to_date = resume_outcome::up_to_date;
  means(broker.subscribe("news"), 1, fresh);
  means(broker.subscribe("news"), 1, fresh);
  means(broker.subscribe("news"), 1, fresh);
  means(broker.subscribe("news"), 1, fresh);
  means(broker.subscribe("news", {.user = channel}), 1, fresh);
  means(broker.subscribe("news", {.start = ssewire::start_at::beginning(), .user = header}), 1, fresh);
  means(broker.subscribe("news", {.last_event_id = id}), 1, up_to_date);
  means(broker.subscribe("news", {.last_event_id = id.c_str()}), 1, up_to_date);
  means(broker.subscribe("news", {.last_event_id = {id.data(), id.size()}}), 1, up_to_date);
  means(broker.subscribe(channel, {.last_event_id = std::string_view(id)}), 1, up_to_date);
  means(broker.subscribe(std::string_view("news"), {.last_event_id = header}), 1, up_to_date);
  means(broker.subscribe({"news"}, {.last_event_id = header}), 1, up_to_date);
  means(broker.subscribe({"news", "sport"}, {.last_event_id = header}), 2, up_to_date);
  means(broker.subscribe({channel, "sport"}), 2, fresh);
  means(broker.subscribe(channels, {.last_event_id = header}), 2, up_to_date);
  means(broker.subscribe(std::array<std::string_view, 2>{"news", "sport"}, {.last_event_id = id}), 2,
        up_to_date);
  CHECK(broker.subscribe({}).error == errc::no_channel);
}

}  // namespace
