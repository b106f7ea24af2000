// SPDX-License-Identifier: MIT
// What the two sections demand of a program that writes a stream. Each rule is shown as bytes, and read back
// by both parsers.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#include <ssewire/wire/serializer.hpp>

#include <support/chunked_body.hpp>
#include <support/events.hpp>
#include <support/every_split.hpp>
#include <support/literal_parser.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::event;
using ssewire::event_id;
using ssewire::event_type;
using ssewire::serialize;
using support::events;
using support::every_split;
using support::outcome;
using support::recorded_event;
using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

#define BOM "\xEF\xBB\xBF"
#define FFFD "\xEF\xBF\xBD"

// Written to every kind of place; all must agree. `write(to..., framing)` is serialize() of an event or a
// comment.
template <class Write> std::string written(Write write) {
  std::string const own = write(ssewire::framing::raw);
  std::string appended = "before";
  write(appended, ssewire::framing::raw);
  std::vector<char> exact(own.size());
  auto const fitted = write(std::span<char>(exact), ssewire::framing::raw);
  std::vector<char> roomy(own.size() * 8 + 2000);
  auto const free = write(std::span<char>(roomy), ssewire::framing::raw);
  std::string iterated;
  write(std::back_inserter(iterated), ssewire::framing::raw);
  std::string chunked;
  write(chunked, ssewire::framing::chunked);
  auto const body = support::decode_chunked(chunked);
  auto const view = [](std::vector<char> const& bytes, std::size_t size) {
    return std::string_view(bytes.data(), (std::min)(size, bytes.size()));
  };
  if (appended != "before" + own || fitted.value != own.size() || view(exact, own.size()) != own ||
      free.value != own.size() || view(roomy, own.size()) != own || iterated != own || body.body != own ||
      !body.error.empty() || !body.at_border || body.chunks.size() != 1) {
    CHECK(appended == "before" + own);
    CHECK(view(exact, fitted.value) == own);
    CHECK(view(roomy, free.value) == own);
    CHECK(iterated == own);
    CHECK(chunked == own);
    FAIL("not written alike everywhere");
  }
  return own;
}

std::string frame(event const& e) {
  return written([&](auto&&... to) { return serialize(e, std::forward<decltype(to)>(to)...); });
}

std::string frame(std::string_view text) { return frame(event{.data = text}); }

std::string comment(std::string_view text) {
  return written(
      [&](auto&&... to) { return ssewire::serialize_comment(text, std::forward<decltype(to)>(to)...); });
}

// As a client shows the text: line ends are LF, what is not UTF-8 is U+FFFD.
std::string shown(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i != text.size(); ++i) {
    if (text[i] == '\n' && i != 0 && text[i - 1] == '\r') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return support::literal::repaired(out);
}

// The frame that `e` becomes is `bytes`, and means `e` to both parsers, however it is cut.
void becomes(recorded_event const& e, std::string_view bytes) {
  CHECK(frame(support::view(e)) == bytes);
  auto seen = e;
  if (seen.data) *seen.data = shown(*seen.data);
  every_split(
      bytes,
      {.events = seen.data ? events{seen} : events{}, .last_event_id = e.id.value_or(""), .retry = e.retry});
}

void data_becomes(std::string_view data, std::string_view bytes) {
  becomes({.data = std::string(data)}, bytes);
}

// The frame.

TEST_CASE("S-01 a frame is its fields and one blank line: event = *( comment / field ) end-of-line") {
  data_becomes("x", "data: x\n\n");
  becomes({.type = "tick", .data = "x", .id = "7", .retry = 2000},
          "id: 7\nevent: tick\nretry: 2000\ndata: x\n\n");
  becomes({.type = "tick", .data = "x"}, "event: tick\ndata: x\n\n");
  becomes({.data = "x", .id = "7"}, "id: 7\ndata: x\n\n");
  becomes({.data = "x", .retry = 1}, "retry: 1\ndata: x\n\n");
  CHECK(frame(event{}) == "\n");
  every_split("\n", {});
}

TEST_CASE("S-02 every line ends in LF, and no CR is ever written") {
  for (auto const text : {"a\rb"sv, "a\r\nb"sv, "\r"sv, "\r\r\n\r"sv}) {
    for (auto const& bytes : {frame(text), comment(text)}) CHECK(bytes.find('\r') == std::string::npos);
  }
}

TEST_CASE("S-03 frames follow each other without a word between: a stream is *event") {
  std::string stream;
  outcome expected;
  for (auto const text : {"a"sv, ""sv, "b\n"sv, "\n"sv, "c"sv}) {
    serialize({.data = text, .id = "1"}, stream);
    ssewire::serialize_comment(text, stream);
    serialize({.id = "2"}, stream);
    serialize(event{}, stream);
    expected.events.push_back({.data = std::string(text), .id = "1"});
  }
  expected.last_event_id = "2";
  every_split(stream, expected);

  // A batch is the same.
  event const batch[] = {
      {.data = "a", .id = "1"}, {.data = "b\r\n"}, {.retry = 7ms}, {}, {.type = "e", .data = ""}};
  std::string frames;
  for (auto const& e : batch) frames += frame(e);
  CHECK(written([&](auto&&... to) { return serialize(batch, std::forward<decltype(to)>(to)...); }) == frames);
  every_split(frames, {.events = {{.data = "a", .id = "1"}, {.data = "b\n"}, {.type = "e", .data = ""}},
                       .last_event_id = "1",
                       .retry = 7});
}

TEST_CASE("S-04 one space stands in front of each value, so that spaces of its own survive") {
  data_becomes(" x", "data:  x\n\n");
  data_becomes("  x ", "data:   x \n\n");
  data_becomes(" ", "data:  \n\n");
  data_becomes("\tx", "data: \tx\n\n");
  data_becomes(" a\n b", "data:  a\ndata:  b\n\n");
  becomes({.type = " e", .data = "", .id = " 1"}, "id:  1\nevent:  e\ndata: \n\n");
}

// Data.

TEST_CASE("S-05 data is split where a client splits: at CRLF, LF and CR, the lone CR too") {
  data_becomes("a\nb", "data: a\ndata: b\n\n");
  data_becomes("a\rb", "data: a\ndata: b\n\n");
  data_becomes("a\r\nb", "data: a\ndata: b\n\n");
  data_becomes("a\n\rb", "data: a\ndata: \ndata: b\n\n");
  data_becomes("a\r\rb", "data: a\ndata: \ndata: b\n\n");
  data_becomes("a\r\r\nb", "data: a\ndata: \ndata: b\n\n");
  data_becomes("a\r\n\rb", "data: a\ndata: \ndata: b\n\n");
  data_becomes("a\r\n\r\nb", "data: a\ndata: \ndata: b\n\n");
  data_becomes("a\r\n\nb", "data: a\ndata: \ndata: b\n\n");
  data_becomes("a\n\nb", "data: a\ndata: \ndata: b\n\n");
}

TEST_CASE(
    "S-06 data is split nowhere else: U+2028, U+2029, U+0085, VT, FF, FS and NUL stay within their line") {
  for (auto const text : {"a\xE2\x80\xA8z"sv, "a\xE2\x80\xA9z"sv, "a\xC2\x85z"sv, "a\vz"sv, "a\fz"sv,
                          "a\0z"sv, "a\x1Cz"sv, "a\x0Ez"sv, "a\x8Az"sv, "a\x8Dz"sv, "a\\nz"sv, "a\tz"sv}) {
    CHECK(frame(text) == "data: " + std::string(text) + "\n\n");
    every_split(frame(text), {.events = {{.data = shown(text)}}});
  }
}

TEST_CASE("S-07 empty data is a data field: without one no event would fire") {
  data_becomes("", "data: \n\n");
  CHECK(frame(std::string_view()) == "data: \n\n");
}

TEST_CASE("S-08 line ends at the begin and at the end of data survive: the last empty line is a line too") {
  data_becomes("a\n", "data: a\ndata: \n\n");
  data_becomes("a\n\n", "data: a\ndata: \ndata: \n\n");
  data_becomes("\n", "data: \ndata: \n\n");
  data_becomes("\n\n", "data: \ndata: \ndata: \n\n");
  data_becomes("\na", "data: \ndata: a\n\n");
  data_becomes("\r", "data: \ndata: \n\n");
  data_becomes("\r\n", "data: \ndata: \n\n");
  data_becomes("\r\r", "data: \ndata: \ndata: \n\n");
  data_becomes("a\r", "data: a\ndata: \n\n");
  data_becomes("a\r\n", "data: a\ndata: \n\n");
}

TEST_CASE("S-09 line ends are found at every place of long data") {
  for (std::size_t before = 0; before != 150; ++before) {
    for (auto const after : {0u, 1u, 15u, 16u, 63u, 64u, 100u}) {
      std::string const head(before, 'h');
      std::string const tail(after, 't');
      for (auto const& end : {"\n"s, "\r"s, "\r\n"s, "\n\n"s, "\r\r"s}) {
        auto const middle = end.size() == 2 && end != "\r\n" ? "\ndata: \ndata: "s : "\ndata: "s;
        auto const expected = "data: " + head + middle + tail + "\n\n";
        if (frame(head + end + tail) == expected) continue;
        CAPTURE(before);
        CAPTURE(after);
        CAPTURE(end);
        CHECK(frame(head + end + tail) == expected);
        return;
      }
    }
  }
}

TEST_CASE("S-10 a byte order mark in the first event's data is not taken for the stream's") {
  data_becomes(BOM, "data: " BOM "\n\n");
  data_becomes(BOM "a\n" BOM, "data: " BOM "a\ndata: " BOM "\n\n");
  becomes({.type = BOM, .data = "", .id = BOM}, "id: " BOM "\nevent: " BOM "\ndata: \n\n");
  every_split(comment(BOM) + frame("x"), {.events = {{.data = "x"}}});
}

TEST_CASE("S-11 bytes are written as they are; a client shows U+FFFD for what is not UTF-8") {
  data_becomes("\xE2\x82\xAC \xF0\x9F\x98\x80", "data: \xE2\x82\xAC \xF0\x9F\x98\x80\n\n");
  data_becomes("\xE2\x82", "data: \xE2\x82\n\n");
  data_becomes("\xF0\x9F\n\x98\x80", "data: \xF0\x9F\ndata: \x98\x80\n\n");
  data_becomes("\xE2\r\x82", "data: \xE2\ndata: \x82\n\n");
}

// The other fields.

TEST_CASE(
    "S-12 without data there is no data field: an ID, a reconnection time or a type alone fires nothing") {
  becomes({.id = "7"}, "id: 7\n\n");
  becomes({.retry = 3000}, "retry: 3000\n\n");
  becomes({.id = "7", .retry = 3000}, "id: 7\nretry: 3000\n\n");
  becomes({.type = "tick"}, "event: tick\n\n");
  auto const stream = "data: a\n\n" + serialize({.type = "tick"}) + "data: b\n\n";
  every_split(stream, {.events = {{.data = "a"}, {.data = "b"}}});  // and the type is gone
}

TEST_CASE("S-13 an empty type has no field, for it means the default; an empty ID has one, for it resets the "
          "client's") {
  becomes({.type = "", .data = "x"}, "data: x\n\n");
  becomes({.data = "x", .id = ""}, "id: \ndata: x\n\n");
  becomes({.id = ""}, "id: \n\n");
  every_split(serialize({.id = "1"}) + serialize({.id = ""}), {});
  every_split(serialize({.id = "1"}) + serialize(event{}), {.last_event_id = "1"});
}

TEST_CASE("S-14 a type or an ID that holds CR, LF or NUL is refused, its neighbour one byte away is not") {
  for (auto const bad : {"\r"sv, "\n"sv, "\0"sv, "a\rb"sv, "a\n"sv, "\r\n"sv, "a\0"sv, "\nid: evil"sv}) {
    CHECK_FALSE(event_type::from(bad));
    CHECK(event_type::from(bad).error == ssewire::errc::type_has_control);
    CHECK_FALSE(event_id::from(bad));
    CHECK(event_id::from(bad).error == ssewire::errc::id_has_control);
  }
  for (auto const& good : {"\t"s, "\v"s, "\f"s, "\x01"s, "\x0E"s, "a:b"s, ": a"s, ":"s, "data: x"s,
                           "\xC2\x85"s, "\xE2\x80\xA8"s, "\\n"s}) {
    REQUIRE(event_type::from(good));
    REQUIRE(event_id::from(good));
    becomes({.type = good, .data = "x", .id = good}, "id: " + good + "\nevent: " + good + "\ndata: x\n\n");
  }
}

TEST_CASE("S-15 retry is ASCII digits, in base ten, to the last one of 64 bits") {
  CHECK(serialize({.retry = 2s}) == "retry: 2000\n\n");
  becomes({.retry = 0}, "retry: 0\n\n");
  becomes({.retry = 9}, "retry: 9\n\n");
  becomes({.retry = 10}, "retry: 10\n\n");
  becomes({.retry = 99}, "retry: 99\n\n");
  becomes({.retry = 100}, "retry: 100\n\n");
  becomes({.retry = (std::numeric_limits<std::uint64_t>::max)()}, "retry: 18446744073709551615\n\n");
  std::uint64_t power = 1;
  for (int digits = 1; digits <= 20; ++digits, power *= 10) {
    becomes({.retry = power}, "retry: 1" + std::string(static_cast<std::size_t>(digits - 1), '0') + "\n\n");
    if (power > 1) {
      becomes({.retry = power - 1},
              "retry: " + std::string(static_cast<std::size_t>(digits - 1), '9') + "\n\n");
    }
  }
}

// Comments.

TEST_CASE("S-16 each line of a comment begins with a colon, and a blank line ends the frame") {
  CHECK(comment("hello") == ": hello\n\n");
  CHECK(comment("") == ": \n\n");
  CHECK(comment("a\nb") == ": a\n: b\n\n");
  CHECK(comment("a\r\nb\rc\n") == ": a\n: b\n: c\n: \n\n");
  CHECK(comment("a\n\r\r\n") == ": a\n: \n: \n: \n\n");
  CHECK(comment(" a") == ":  a\n\n");
}

TEST_CASE("S-17 a comment fires nothing and changes nothing") {
  for (auto const text : {""sv, "x"sv, "\n"sv, "\r"sv, "a\r\nb"sv, "\ndata: evil"sv, "\rid: evil"sv,
                          "\n\nretry: 1\n\n"sv, "\xE2\x82\r\xE2"sv, "\0\n\0"sv, ":"sv, BOM ""sv}) {
    auto const stream = serialize({.data = "a", .id = "1"}) + comment(text) + serialize({.data = "b"});
    every_split(stream, {.events = {{.data = "a", .id = "1"}, {.data = "b"}}, .last_event_id = "1"});
  }
}

TEST_CASE("S-18 who reads comments gets the lines of the text") {
  for (auto const text : {""sv, "x"sv, " x"sv, "a\nb"sv, "a\rb\r\nc\n"sv, ": x"sv}) {
    auto const lines = [&] {
      std::string joined;
      for (auto const& c : support::literal::read(comment(text)).comments) joined += c.text + '\n';
      return joined;
    };
    CHECK(lines() == shown(text) + '\n');
    every_split(comment(text), {});
  }
}

// No injection.

TEST_CASE("S-19 what looks like a field, a comment or a blank line in data stays data") {
  for (auto const text :
       {"x\n\nevent: evil\nid: 666\rretry: 1\r\n\r\n: comment\ndata: y"sv, "\n\ndata: evil\n\n"sv,
        "\r\rdata: evil\r\r"sv, "x\rid: 666"sv, "x\r\rdata: evil"sv, "x\r\n\r\ndata: evil"sv,
        "x\nid: 666\n"sv, "\nretry: 1"sv, "\revent: evil"sv, "data: data: x"sv, ": x"sv, ":\n:"sv,
        "\xE2\x82\rid: 666"sv, "\xF0\x9F\n\ndata: evil\n\n"sv, "\0\rid: 666"sv}) {
    every_split(frame(text), {.events = {{.data = shown(text)}}});
  }
}

TEST_CASE("S-20 what looks like a field in a type or an ID stays there") {
  for (auto const& text : {"data: evil"s, ": x"s, "e\xE2\x80\xA8id: 666"s, "e\xC2\x85id: 666"s,
                           "e\vdata: evil"s, "\\r\\nid: 666"s, "e id: 666"s}) {
    becomes({.type = text, .data = "x", .id = text}, "id: " + text + "\nevent: " + text + "\ndata: x\n\n");
  }
}

// Laws, over generated events. Each has the seed that makes it again.

constexpr std::uint64_t seeds = 20'000;

constexpr std::string_view fragments[] = {
    "",
    " ",
    "  ",
    ":",
    "x",
    "data",
    "data: ",
    "event: e",
    "id: 1",
    "\t",
    "\v",
    "\f",
    "\x1C",
    "retry:",
    "{}",
    "\xC2\x85",
    "\xE2\x80\xA8",
    BOM,
    "\xC3\xA9",
    "\xE2\x82\xAC",
    "\xF0\x9F\x98\x80",
    FFFD,
    "0",
    "sixteen bytes ok",
    "\x7F",
    "\xED\x9F\xBF",
    "\xF4\x8F\xBF\xBF",
    "a line of more than sixty-four bytes, so that it fills a block, and more",
};
constexpr std::string_view ill_formed[] = {"\x80",         "\xBF",         "\xC0\x80", "\xC3", "\xE2\x82",
                                           "\xED\xA0\x80", "\xF0\x9F\x98", "\xF5",     "\xFF", "\xEF\xBB"};
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

// Whether both parsers, ours also in pieces of one size, read `expected`.
bool both_read(std::string_view stream, outcome const& expected, std::size_t piece) {
  if (support::literal::parse(stream) != expected) return false;
  std::vector<std::size_t> cuts;
  for (auto cut = piece; cut < stream.size(); cut += piece) cuts.push_back(cut);
  support::literal::reading const reading = {expected, {}};
  for (auto const w : {support::way::push, support::way::pull}) {
    if (!agrees(support::read_pieces(w, stream, {}), w, reading)) return false;
    if (!agrees(support::read_pieces(w, stream, cuts, {.empty_pieces = false}), w, reading)) return false;
  }
  return true;
}

TEST_CASE("S-21 parse(serialize(e)) == e for data that is UTF-8 with LF as line ends") {
  for (std::uint64_t seed = 0; seed != seeds; ++seed) {
    support::random random(seed);
    auto e = random_event(random);
    e.data = one_line(random);
    if (random.one_in(8)) *e.data += '\0';
    for (auto n = random.below(4); n != 0; --n) *e.data += '\n' + one_line(random);

    auto const bytes = frame(support::view(e));
    outcome const expected = {.events = {e}, .last_event_id = e.id.value_or(""), .retry = e.retry};
    if (both_read(bytes, expected, 1 + seed % 40) &&
        ssewire::serialized_size(support::view(e)) == bytes.size())
      continue;
    CAPTURE(seed);
    CHECK(ssewire::serialized_size(support::view(e)) == bytes.size());
    every_split(bytes, expected);
    FAIL("it does not come back");
  }
}

TEST_CASE("S-22 any bytes as data make one event with that data, its line ends LF, its UTF-8 repaired") {
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
    auto const stream = frame(support::view(e));
    e.data = shown(bytes);
    outcome const expected = {.events = {e}, .last_event_id = e.id.value_or(""), .retry = e.retry};
    if (both_read(stream, expected, 1 + seed % 40)) continue;
    CAPTURE(seed);
    every_split(stream, expected);
    FAIL("another event was read");
  }
}

TEST_CASE("S-23 a type and an ID of any bytes but CR, LF and NUL change no other field") {
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
    recorded_event const seen = {
        .type = support::literal::repaired(e.type), .data = "d", .id = support::literal::repaired(*e.id)};
    auto const stream = frame(support::view(e));
    outcome const expected = {.events = {seen}, .last_event_id = *seen.id};
    if (both_read(stream, expected, 1 + seed % 40)) continue;
    CAPTURE(seed);
    every_split(stream, expected);
    FAIL("another event was read");
  }
}

TEST_CASE("S-24 a comment of any bytes makes no event and changes nothing") {
  for (std::uint64_t seed = 0; seed != seeds / 4; ++seed) {
    support::random random(seed + 3'000'000);
    std::string text;
    for (auto n = random.below(10); n != 0; --n) {
      text += random.one_in(2) ? random.pick(line_ends) : random.pick(fragments);
      if (random.one_in(4)) text += random.byte();
    }
    auto const stream = "id: 1\ndata: before\n\n" + comment(text) + "data: after\n\n";
    outcome const expected = {.events = {{.data = "before", .id = "1"}, {.data = "after"}},
                              .last_event_id = "1"};
    if (both_read(stream, expected, 1 + seed % 40)) continue;
    CAPTURE(seed);
    every_split(stream, expected);
    FAIL("the comment was more than one");
  }
}

}  // namespace
