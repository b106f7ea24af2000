// SPDX-License-Identifier: MIT
#include <ssewire/serializer.hpp>
#include <support/events.hpp>
#include <support/literal_parser.hpp>
#include <support/random.hpp>

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
using support::events;
using support::recorded_event;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

std::string frame(std::string_view text) { return serialize({.data = text}); }

TEST_CASE("an event of data alone is its data field and a blank line") { CHECK(frame("x") == "data: x\n\n"); }

TEST_CASE("each field that is present has a line, in the order id, event, retry, data") {
  CHECK(serialize({.type = "tick", .data = "x", .id = "7", .retry = 2s}) ==
        "id: 7\nevent: tick\nretry: 2000\ndata: x\n\n");
  CHECK(serialize({.type = "tick", .data = "x"}) == "event: tick\ndata: x\n\n");
  CHECK(serialize({.data = "x", .id = "7"}) == "id: 7\ndata: x\n\n");
  CHECK(serialize({.data = "x", .retry = 1ms}) == "retry: 1\ndata: x\n\n");
}

TEST_CASE("without data there is no data field") {
  CHECK(serialize({.id = "7"}) == "id: 7\n\n");
  CHECK(serialize({.retry = 3s}) == "retry: 3000\n\n");
  CHECK(serialize({.type = "tick"}) == "event: tick\n\n");
  CHECK(serialize(event{}) == "\n");
}

TEST_CASE("an empty type has no field, an empty ID has one") {
  CHECK(serialize({.type = "", .data = "x"}) == "data: x\n\n");
  CHECK(serialize({.data = "x", .id = ""}) == "id: \ndata: x\n\n");
}

TEST_CASE("retry is written in decimal digits, to the last one of 64 bits") {
  CHECK(serialize({.retry = 0ms}) == "retry: 0\n\n");
  CHECK(serialize({.retry = 9ms}) == "retry: 9\n\n");
  CHECK(serialize({.retry = 10ms}) == "retry: 10\n\n");
  CHECK(serialize({.retry = ssewire::reconnection_time((std::numeric_limits<std::uint64_t>::max)())}) ==
        "retry: 18446744073709551615\n\n");
}

TEST_CASE("empty data is a data field") {
  CHECK(frame("") == "data: \n\n");
  CHECK(frame(std::string_view()) == "data: \n\n");
}

TEST_CASE("every line of data has a field, the last empty one too") {
  CHECK(frame("a\nb") == "data: a\ndata: b\n\n");
  CHECK(frame("a\n") == "data: a\ndata: \n\n");
  CHECK(frame("a\n\n") == "data: a\ndata: \ndata: \n\n");
  CHECK(frame("\n") == "data: \ndata: \n\n");
  CHECK(frame("\na") == "data: \ndata: a\n\n");
  CHECK(frame("a\n\nb") == "data: a\ndata: \ndata: b\n\n");
}

TEST_CASE("data is split at CR, LF and CRLF") {
  CHECK(frame("a\rb") == "data: a\ndata: b\n\n");
  CHECK(frame("a\r\nb") == "data: a\ndata: b\n\n");
  CHECK(frame("a\n\rb") == "data: a\ndata: \ndata: b\n\n");
  CHECK(frame("a\r\rb") == "data: a\ndata: \ndata: b\n\n");
  CHECK(frame("a\r\r\nb") == "data: a\ndata: \ndata: b\n\n");
  CHECK(frame("a\r\n\rb") == "data: a\ndata: \ndata: b\n\n");
  CHECK(frame("a\r\n\r\nb") == "data: a\ndata: \ndata: b\n\n");
  CHECK(frame("a\r\n\nb") == "data: a\ndata: \ndata: b\n\n");
  CHECK(frame("\r") == "data: \ndata: \n\n");
  CHECK(frame("\r\n") == "data: \ndata: \n\n");
  CHECK(frame("a\r") == "data: a\ndata: \n\n");
}

TEST_CASE("data is split nowhere else: U+2028, U+2029, U+0085, VT, FF and NUL stay within their line") {
  for (auto const text : {"a\xE2\x80\xA8z"sv, "a\xE2\x80\xA9z"sv, "a\xC2\x85z"sv, "a\vz"sv, "a\fz"sv,
                          "a\0z"sv, "a\x1Cz"sv, "a\\nz"sv, "a\tz"sv}) {
    CHECK(frame(text) == "data: " + std::string(text) + "\n\n");
  }
}

TEST_CASE("leading spaces survive, for one is written before the value") {
  CHECK(frame(" x") == "data:  x\n\n");
  CHECK(support::parse_whole(frame("  x ")).events == events{{.data = "  x "}});
}

TEST_CASE("what looks like a field in data stays data") {
  auto const hostile = "x\n\nevent: evil\nid: 666\rretry: 1\r\n\r\n: comment\ndata: y"sv;
  auto const got = support::parse_whole(frame(hostile));
  CHECK(got.events == events{{.data = "x\n\nevent: evil\nid: 666\nretry: 1\n\n: comment\ndata: y"}});
  CHECK(got.last_event_id == "");
  CHECK_FALSE(got.retry.has_value());
}

TEST_CASE("line ends are found in data longer than a machine word, at every offset") {
  for (std::size_t before = 0; before != 40; ++before) {
    for (std::size_t after = 0; after != 20; ++after) {
      std::string const head(before, 'h');
      std::string const tail(after, 't');
      for (auto const end : {"\n"sv, "\r"sv, "\r\n"sv}) {
        if (frame(head + std::string(end) + tail) != "data: " + head + "\ndata: " + tail + "\n\n") {
          CAPTURE(before);
          CAPTURE(after);
          FAIL_CHECK("split at the wrong place");
        }
      }
    }
  }
}

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
      CHECK(result.bytes == 0);
      CHECK(buffer == std::string(room + 8, '#'));
    } else {
      CHECK(result);
      CHECK(result.error == errc::ok);
      CHECK(result.bytes == whole.size());
      CHECK(buffer == whole + std::string(room + 8 - whole.size(), '#'));
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

TEST_CASE("a comment is one comment line for each of its lines, and a blank line") {
  auto const comment = [](std::string_view text) {
    std::string out;
    ssewire::serialize_comment(text, out);
    return out;
  };
  CHECK(comment("hello") == ": hello\n\n");
  CHECK(comment("") == ": \n\n");
  CHECK(comment("a\nb") == ": a\n: b\n\n");
  CHECK(comment("a\r\nb\rc\n") == ": a\n: b\n: c\n: \n\n");
}

TEST_CASE("serializing into a span works in a constant expression") {
  constexpr auto written = [] {
    std::array<char, 64> buffer = {};
    auto const result = serialize({.type = "t", .data = "a\r\nb", .id = "7", .retry = 12s}, buffer);
    std::array<char, 48> exact = {};
    std::copy_n(buffer.begin(), result.bytes, exact.begin());
    return std::pair(exact, result.bytes);
  }();
  static_assert(std::string_view(written.first.data(), written.second) ==
                "id: 7\nevent: t\nretry: 12000\ndata: a\ndata: b\n\n");
  static_assert(serialized_size({.data = "a\nb"}) == 17);
  constexpr bool refused = [] {
    std::array<char, 8> buffer = {};
    auto const result = serialize({.data = "x"}, buffer);
    return result.error == errc::buffer_too_small && buffer == std::array<char, 8>{};
  }();
  static_assert(refused);
}

// Laws, over generated events. Each has the seed that makes it again.

constexpr std::uint64_t seeds = 20'000;

constexpr std::string_view fragments[] = {
    "", " ", "  ", ":", "x", "data", "data: ", "event: e", "id: 1", "\t", "\v", "\f", "\x1C", "retry:", "{}",
    "\xC2\x85", "\xE2\x80\xA8", "\xEF\xBB\xBF", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
    "\xEF\xBF\xBD", "0", "sixteen bytes ok", "\x7F", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF",
};
constexpr std::string_view ill_formed[] = {"\x80", "\xBF", "\xC0\x80", "\xC3", "\xE2\x82", "\xED\xA0\x80",
                                           "\xF0\x9F\x98", "\xF5", "\xFF", "\xEF\xBB"};
constexpr std::string_view line_ends[] = {"\n", "\r", "\r\n", "\n\n", "\r\r", "\r\r\n", "\r\n\r", "\n\r"};

std::string one_line(support::random& random) {
  std::string text;
  for (auto n = random.below(5); n != 0; --n) text += random.pick(fragments);
  return text;
}

recorded_event random_event(support::random& random) {
  recorded_event e;
  if (random.one_in(2)) e.type = one_line(random);
  if (random.one_in(2)) e.id = one_line(random);
  if (random.one_in(3)) e.retry = random.next() >> random.below(64);
  return e;
}

TEST_CASE("parse(serialize(e)) == e for data that is UTF-8 with LF as line ends") {
  for (std::uint64_t seed = 0; seed != seeds; ++seed) {
    support::random random(seed);
    auto e = random_event(random);
    e.data = one_line(random);
    if (random.one_in(8)) *e.data += '\0';
    for (auto n = random.below(4); n != 0; --n) *e.data += '\n' + one_line(random);

    auto const bytes = serialize(support::view(e));
    auto const got = support::parse_whole(bytes);
    if (got.events == events{e} && serialized_size(support::view(e)) == bytes.size() &&
        got.last_event_id == e.id.value_or("") && got.retry == e.retry) {
      continue;
    }
    CAPTURE(seed);
    CHECK(got.events == events{e});
    CHECK(serialized_size(support::view(e)) == bytes.size());
    CHECK(got.last_event_id == e.id.value_or(""));
    CHECK(got.retry == e.retry);
    break;
  }
}

// As a browser shows the text: line ends are LF, what is not UTF-8 is U+FFFD.
std::string normalised(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i != text.size(); ++i) {
    if (text[i] == '\n' && i != 0 && text[i - 1] == '\r') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return support::literal::repaired(out);
}

TEST_CASE("any bytes as data make one event with that data, its line ends normalised, its UTF-8 repaired") {
  for (std::uint64_t seed = 0; seed != seeds; ++seed) {
    support::random random(seed + 1'000'000);
    auto e = random_event(random);
    std::string bytes;
    for (auto n = random.below(12); n != 0; --n) {
      switch (random.below(4)) {
      case 0: bytes += random.pick(fragments); break;
      case 1: bytes += random.pick(ill_formed); break;
      case 2: bytes += random.pick(line_ends); break;
      default: bytes += random.byte(); break;
      }
    }
    e.data = bytes;
    auto const stream = serialize(support::view(e));
    e.data = normalised(bytes);
    auto const got = support::parse_whole(stream);
    auto const second = support::literal::parse(stream);
    if (got.events == events{e} && second.events == events{e}) continue;
    CAPTURE(seed);
    CHECK(got.events == events{e});
    CHECK(second.events == events{e});
    break;
  }
}

TEST_CASE("a type and an ID of any bytes but CR, LF and NUL change no other field") {
  for (std::uint64_t seed = 0; seed != seeds / 4; ++seed) {
    support::random random(seed + 2'000'000);
    auto const bytes = [&] {
      std::string text;
      for (auto n = random.below(6); n != 0; --n) {
        auto const c = random.byte();
        text += c == '\r' || c == '\n' || c == '\0' ? ':' : c;
      }
      return text;
    };
    recorded_event const e = {.type = bytes(), .data = "d", .id = bytes()};
    recorded_event const seen = {.type = support::literal::repaired(e.type), .data = "d",
                                 .id = support::literal::repaired(*e.id)};
    auto const stream = serialize(support::view(e));
    auto const got = support::parse_whole(stream);
    auto const second = support::literal::parse(stream);
    if (got.events == events{seen} && second.events == events{seen}) continue;
    CAPTURE(seed);
    CHECK(got.events == events{seen});
    CHECK(second.events == events{seen});
    break;
  }
}

TEST_CASE("a comment of any bytes makes no event and changes nothing") {
  for (std::uint64_t seed = 0; seed != seeds / 4; ++seed) {
    support::random random(seed + 3'000'000);
    std::string text;
    for (auto n = random.below(10); n != 0; --n) {
      text += random.one_in(2) ? random.pick(line_ends) : random.pick(fragments);
      if (random.one_in(4)) text += random.byte();
    }
    std::string stream = "id: 1\ndata: before\n\n";
    ssewire::serialize_comment(text, stream);
    stream += "data: after\n\n";
    support::outcome const expected = {.events = {{.data = "before", .id = "1"}, {.data = "after"}},
                                       .last_event_id = "1"};
    support::outcome const got = support::parse_whole(stream);
    if (got == expected && support::literal::parse(stream) == expected) continue;
    CAPTURE(seed);
    CHECK(got == expected);
    CHECK(support::literal::parse(stream) == expected);
    break;
  }
}

} // namespace
