// SPDX-License-Identifier: MIT
// Where the serializer writes to. Which bytes it writes is tested in conformance/serializing_test.cpp.
#include <ssewire/wire/serializer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::event_id;
using ssewire::event_type;
using ssewire::serialize;
using ssewire::serialized_size;
using namespace std::chrono_literals;

TEST_CASE("a span that is one byte too small has nothing written to it, one that fits has all") {
  event const e = {.type = "tick", .data = "one\rtwo\n", .id = "7", .retry = 250ms};
  auto const whole = serialize(e);
  REQUIRE(serialized_size(e) == whole.size());
  for (std::size_t room = 0; room <= whole.size() + 3; ++room) {
    CAPTURE(room);
    std::string buffer(room + 8, '#');
    auto const result = serialize(e, std::span<char>(buffer).first(room));
    if (room < whole.size()) {
      CHECK_FALSE(result);
      CHECK(result.error == errc::buffer_too_small);
      CHECK(result.value == 0);
      CHECK(buffer == std::string(room + 8, '#'));
    } else {
      CHECK(result);
      CHECK(result.error == errc::ok);
      CHECK(result.value == whole.size());
      CHECK(buffer == whole + std::string(room + 8 - whole.size(), '#'));
    }
  }
}

TEST_CASE(
    "whatever the event is made of, no byte is written behind the span, nor into one that is too small") {
  std::string const lines(300, '\n');
  std::string const text(1100, 'x');
  event const events[] = {
      {},
      {.retry = ssewire::reconnection_time((std::numeric_limits<std::uint64_t>::max)())},
      {.id = event_id::from(text).value},
      {.type = event_type::from(text).value},
      {.data = text},
      {.data = lines},
      {.type = "t", .data = "", .id = "i", .retry = 1ms},
  };
  for (auto const& e : events) {
    auto const whole = serialize(e);
    std::string buffer;
    for (std::size_t room = 0; room <= 2 * whole.size() + 700; ++room) {
      buffer.assign(room + 2500, '#');
      auto const result = serialize(e, std::span<char>(buffer).first(room));
      bool const fits = room >= whole.size();
      bool const right = result.error == (fits ? errc::ok : errc::buffer_too_small) &&
                         result.value == (fits ? whole.size() : 0) &&
                         buffer.substr(0, result.value) == whole.substr(0, result.value) &&
                         buffer.find_first_not_of('#', fits ? room : 0) == std::string::npos;
      if (right) continue;
      CAPTURE(whole);
      CAPTURE(room);
      CHECK(right);
      break;
    }
  }
}

TEST_CASE("appending keeps what was there") {
  std::string out = "kept";
  serialize({.data = "a"}, out);
  serialize({.data = "b"}, out);
  ssewire::serialize_comment("c", out);
  CHECK(out == "keptdata: a\n\ndata: b\n\n: c\n\n");
}

TEST_CASE("serializing into a span works in a constant expression") {
  constexpr auto written = [] {
    std::array<char, 64> buffer = {};
    auto const result = serialize({.type = "t", .data = "a\r\nb", .id = "7", .retry = 12s}, buffer);
    std::array<char, 48> exact = {};
    std::copy_n(buffer.begin(), result.value, exact.begin());
    return std::pair(exact, result.value);
  }();
  static_assert(std::string_view(written.first.data(), written.second) ==
                "id: 7\nevent: t\nretry: 12000\ndata: a\ndata: b\n\n");
  constexpr auto split = [] {
    std::array<char, 96> buffer = {};
    auto const result = serialize({.data = "a\r\nb\v\f\xC2\x85z\r\rc\n\rd\n"}, buffer);
    return std::pair(buffer, result.value);
  }();
  static_assert(std::string_view(split.first.data(), split.second) ==
                "data: a\ndata: b\v\f\xC2\x85z\ndata: \ndata: c\ndata: \ndata: d\ndata: \n\n");
  static_assert(serialized_size({.data = "a\nb"}) == 17);
  constexpr bool refused = [] {
    std::array<char, 8> buffer = {};
    auto const result = serialize({.data = "x"}, buffer);
    return result.error == errc::buffer_too_small && buffer == std::array<char, 8>{};
  }();
  static_assert(refused);
}

}  // namespace
