// SPDX-License-Identifier: MIT
#include <ssewire/core/event.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::event_id;
using ssewire::event_type;
using ssewire::reconnection_time;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

using float_seconds = std::chrono::duration<double>;
constexpr auto most = (std::numeric_limits<std::uint64_t>::max)();

// Text of run time goes through from(): nothing converts by itself.
static_assert(!std::is_convertible_v<std::string_view, event_type>);
static_assert(!std::is_convertible_v<std::string, event_type>);
static_assert(!std::is_convertible_v<char const*, event_type>);
static_assert(!std::is_constructible_v<event_type, std::string_view>);
static_assert(!std::is_constructible_v<event_id, std::string_view>);
static_assert(!std::is_constructible_v<event_id, std::string>);
static_assert(!std::is_convertible_v<char const*, event_id>);

static_assert(!std::is_convertible_v<int, reconnection_time>, "a number has no unit");
static_assert(std::is_convertible_v<std::chrono::seconds, reconnection_time>);
static_assert(std::is_convertible_v<std::chrono::duration<double>, reconnection_time>);

TEST_CASE("an event type is absent until one is given") {
  CHECK(event_type().empty());
  CHECK(event_type("").empty());
  CHECK_FALSE(event_type("tick").empty());
  CHECK(event_type("tick").value() == "tick");
}

TEST_CASE("an empty event type is called message") {
  CHECK(event_type().name() == "message");
  CHECK(event_type().value() == "");
  CHECK(event_type("m").name() == "m");
}

TEST_CASE("from refuses CR, LF and NUL in an event type, wherever they stand, and accepts their neighbours") {
  for (char const bad : {'\r', '\n', '\0'}) {
    for (std::size_t at = 0; at != 4; ++at) {
      std::string text = "abcd";
      text[at] = bad;
      auto const refused = event_type::from(text);
      CHECK_FALSE(refused);
      CHECK(refused.error == errc::type_has_control);
      CHECK(refused.value.empty());
      for (char const good : {'\x01', '\t', '\v', '\f', '\x0e', ':', ' ', '\x7f', '\x85', '\xff'}) {
        text[at] = good;
        auto const accepted = event_type::from(text);
        CHECK(accepted);
        CHECK(accepted.error == errc::ok);
        CHECK(accepted.value.value() == text);
      }
    }
  }
}

TEST_CASE("from refuses CR, LF and NUL in an event ID, wherever they stand, and accepts their neighbours") {
  for (char const bad : {'\r', '\n', '\0'}) {
    for (std::size_t at = 0; at != 4; ++at) {
      std::string text = "abcd";
      text[at] = bad;
      auto const refused = event_id::from(text);
      CHECK_FALSE(refused);
      CHECK(refused.error == errc::id_has_control);
      CHECK_FALSE(refused.value.has_value());
      for (char const good : {'\x01', '\t', '\v', '\f', '\x0e', ':', ' ', '\x7f', '\x85', '\xff'}) {
        text[at] = good;
        auto const accepted = event_id::from(text);
        CHECK(accepted);
        CHECK(accepted.value.value() == text);
      }
    }
  }
}

TEST_CASE("from works in a constant expression") {
  static_assert(event_type::from("tick").value == event_type("tick"));
  static_assert(event_type::from("a\nb"sv).error == errc::type_has_control);
  static_assert(event_id::from("7").value == event_id("7"));
  static_assert(event_id::from("7\0"sv).error == errc::id_has_control);
}

TEST_CASE("an absent ID is not an empty ID") {
  CHECK_FALSE(event_id().has_value());
  CHECK(event_id("").has_value());
  CHECK(event_id::from("").value.has_value());
  CHECK_FALSE(event_id() == event_id(""));
  CHECK(event_id("") == event_id::from("").value);
  CHECK(event_id("1") == event_id::from("1").value);
  CHECK_FALSE(event_id("1") == event_id("2"));
}

TEST_CASE("an event is compared member by member") {
  event const e = {.type = "t", .data = "d", .id = "i", .retry = 1ms};
  CHECK(e == event{.type = "t", .data = "d", .id = "i", .retry = 1ms});
  CHECK_FALSE(e == event{.type = "u", .data = "d", .id = "i", .retry = 1ms});
  CHECK_FALSE(e == event{.type = "t", .data = "e", .id = "i", .retry = 1ms});
  CHECK_FALSE(e == event{.type = "t", .data = "d", .id = "j", .retry = 1ms});
  CHECK_FALSE(e == event{.type = "t", .data = "d", .id = "i", .retry = 2ms});
  CHECK_FALSE(event{.data = ""} == event{});
  CHECK_FALSE(event{.retry = 0ms} == event{});
}

TEST_CASE("a reconnection time takes any duration, in milliseconds") {
  CHECK(reconnection_time().milliseconds == 0);
  CHECK(reconnection_time(2500).milliseconds == 2500);
  CHECK(reconnection_time(3s).milliseconds == 3000);
  CHECK(reconnection_time(2min).milliseconds == 120'000);
  CHECK(reconnection_time(1h).milliseconds == 3'600'000);
  CHECK(reconnection_time(250ms).milliseconds == 250);
  CHECK(reconnection_time(1.5s).milliseconds == 1500);
  CHECK(reconnection_time(std::chrono::days(1)).milliseconds == 86'400'000);
  static_assert(reconnection_time(3s).milliseconds == 3000);
}

TEST_CASE("a fraction of a millisecond is rounded up, a whole one stays") {
  CHECK(reconnection_time(1us).milliseconds == 1);
  CHECK(reconnection_time(999us).milliseconds == 1);
  CHECK(reconnection_time(1000us).milliseconds == 1);
  CHECK(reconnection_time(1001us).milliseconds == 2);
  CHECK(reconnection_time(1ns).milliseconds == 1);
  CHECK(reconnection_time(0.0005s).milliseconds == 1);
  CHECK(reconnection_time(std::chrono::duration<int, std::ratio<1, 60>>(1)).milliseconds == 17);  // 16.67 ms
  CHECK(reconnection_time(std::chrono::duration<int, std::ratio<1, 60>>(60)).milliseconds == 1000);
}

TEST_CASE("a negative duration, and one that is no number, is zero") {
  CHECK(reconnection_time(0s).milliseconds == 0);
  CHECK(reconnection_time(-1s).milliseconds == 0);
  CHECK(reconnection_time(-1ns).milliseconds == 0);
  CHECK(reconnection_time(-0.5s).milliseconds == 0);
  CHECK(reconnection_time(float_seconds(std::numeric_limits<double>::quiet_NaN())).milliseconds == 0);
}

TEST_CASE("a duration beyond 64 bits of milliseconds is the largest, the longest within is exact") {
  using unsigned_seconds = std::chrono::duration<std::uint64_t>;
  CHECK(reconnection_time((std::chrono::hours::max)()).milliseconds == most);
  CHECK(reconnection_time(unsigned_seconds(most)).milliseconds == most);
  CHECK(reconnection_time(unsigned_seconds(most / 1000)).milliseconds == most / 1000 * 1000);
  CHECK(reconnection_time(unsigned_seconds(most / 1000 + 1)).milliseconds == most);
  CHECK(reconnection_time((std::chrono::milliseconds::max)()).milliseconds == most / 2);
  CHECK(reconnection_time((std::chrono::nanoseconds::max)()).milliseconds == 9'223'372'036'855);
  CHECK(reconnection_time(float_seconds(1e300)).milliseconds == most);
  CHECK(reconnection_time(float_seconds(std::numeric_limits<double>::infinity())).milliseconds == most);
}

TEST_CASE("text of char8_t is data as it is, and a type and an ID with as_text(): the same bytes") {
  std::u8string const text = u8"gr\u00FC\u00DF";
  event const e{.type = event_type::from(ssewire::as_text(u8"gru\u00DF")).value,
                .data = text,
                .id = event_id::from(ssewire::as_text(text)).value};
  CHECK(e.type.value() == "gru\xC3\x9F");
  CHECK(e.data == "gr\xC3\xBC\xC3\x9F");
  CHECK(e.id.value() == e.data);
  CHECK(static_cast<void const*>(e.data->data()) == text.data());
  CHECK(ssewire::as_text({}).empty());
  CHECK(event{.data = u8"gr\u00FC\u00DF"} == event{.data = "gr\xC3\xBC\xC3\x9F"});
  CHECK(event{.data = std::u8string_view(text)}.data == *e.data);
  CHECK(event{.data = std::optional(text)}.data == *e.data);
  char8_t const* absent = nullptr;
  CHECK_FALSE(event{.data = absent}.data);
  CHECK_FALSE(event{.data = nullptr}.data);
}

}  // namespace
