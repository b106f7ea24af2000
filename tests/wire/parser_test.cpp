// SPDX-License-Identifier: MIT
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/every_split.hpp>
#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::parser;
using ssewire::parser_limits;
using support::events;
using support::parse_whole;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr auto ignore = [](event const&) {};

// The end of a stream. What the bytes mean is in conformance/; here is how a parser is used.

TEST_CASE("what becomes of bytes that are not UTF-8 has a word for labels") {
  static_assert(ssewire::name(ssewire::utf8::repair) == "repair");
  static_assert(ssewire::name(ssewire::utf8::keep) == "keep");
  CHECK(ssewire::name(static_cast<ssewire::utf8>(99)) == "unknown");
}

TEST_CASE("a finished parser refuses bytes until it is reset") {
  parser p;
  p.feed("id: 1\n\ndata: x\n", ignore);
  CHECK(p.finish());
  CHECK(p.finish());  // twice is once
  auto const refused = p.feed("\n", [](event const&) { FAIL_CHECK("an event of a finished stream"); });
  CHECK(refused.error == errc::closed);
  CHECK(refused.value == 0);
  p.reset();
  events got;
  CHECK(p.feed("\ndata: y\n\n", [&](event const& e) { got.push_back(support::record(e)); }));
  CHECK(got == events{{.data = "y"}});
  CHECK(p.last_event_id() == "1");
}

TEST_CASE("finish tells the error that stopped the stream") {
  parser p({.max_line_bytes = 4});
  CHECK(p.feed("data: x\n", ignore).error == errc::line_too_long);
  CHECK(p.finish().error == errc::line_too_long);
}

// The next stream.

TEST_CASE("reset forgets the retry of the unfinished block, not that it is in force") {
  parser p;
  events got;
  p.feed("retry: 5\n", ignore);
  p.reset();
  p.feed("data\n\n", [&](event const& e) { got.push_back(support::record(e)); });
  CHECK(got == events{{.data = ""}});
  CHECK(p.reconnection_time()->milliseconds == 5);
}

TEST_CASE("an LF that ends the first line of the next stream does not belong to a CR of the one before") {
  parser p;
  events got;
  p.feed("data: a\r", ignore);
  p.reset();
  p.feed("\xEF\xBB\ndata: b\n\n", [&](event const& e) { got.push_back(support::record(e)); });
  CHECK(got == events{{.data = "b"}});
}

// Limits: the byte at each, and the byte after.

// Read in every way, whole and byte by byte; the literal parser says the same of the limit and of its
// offset.
void limited(std::string_view bytes, parser_limits limits, errc error, events const& expected) {
  CAPTURE(bytes);
  auto const oracle = support::literal::first_exceeded(bytes, limits);
  CHECK(oracle.error == error);
  std::vector<std::size_t> each;
  for (std::size_t i = 1; i < bytes.size(); ++i) each.push_back(i);
  for (auto const w : support::ways) {
    for (auto const& cuts : {std::vector<std::size_t>{}, each}) {
      auto const reading = support::name(w);
      CAPTURE(reading);
      auto const got = support::read_pieces(w, bytes, cuts, {.limits = limits});
      CHECK(got.error == error);
      CHECK(got.read.events == expected);
      CHECK(got.offset == oracle.offset);
      CHECK(got.sound);
    }
  }
}

void accepts(std::string_view bytes, parser_limits limits, events const& expected) {
  limited(bytes, limits, errc::ok, expected);
}

void refuses(std::string_view bytes, parser_limits limits, errc error, events const& before = {}) {
  limited(bytes, limits, error, before);
}

TEST_CASE("a line may have max_line_bytes, its ending not counted, and not one more") {
  parser_limits const limits = {.max_line_bytes = 10};
  for (auto const& end : {"\n"s, "\r"s, "\r\n"s}) {
    accepts("data: 1234" + end + end, limits, {{.data = "1234"}});
    refuses("data: 12345" + end + end, limits, errc::line_too_long);
  }
  accepts("data: a\n\n:234567890\ndata\n\n", limits, {{.data = "a"}, {.data = ""}});
  refuses("data: a\n\n:2345678901\ndata\n\n", limits, errc::line_too_long, {{.data = "a"}});
  refuses("unknown: 12", limits, errc::line_too_long);  // the line's end need not come
  accepts("data: 1234", limits, {});
  refuses("data: 12345", limits, errc::line_too_long);
}

TEST_CASE("a byte order mark is no part of the first line") {
  accepts("\xEF\xBB\xBF"
          "data: 1234\n\n",
          {.max_line_bytes = 10}, {{.data = "1234"}});
  refuses("\xEF\xBB\xBF"
          "data: 12345\n\n",
          {.max_line_bytes = 10}, errc::line_too_long);
}

TEST_CASE("what only begins like a byte order mark counts in its line") {
  accepts("\xEF\xBB"
          "345\n",
          {.max_line_bytes = 5}, {});
  refuses("\xEF\xBB"
          "3456\n",
          {.max_line_bytes = 5}, errc::line_too_long);
  accepts("\xEF\xBB\n", {.max_line_bytes = 2}, {});
  for (auto const& end : {"\n"s, "\r"s, "\r\n"s})
    refuses("\xEF\xBB" + end, {.max_line_bytes = 1}, errc::line_too_long);
  accepts("\xEF\n", {.max_line_bytes = 1}, {});
  refuses("\xEF\n", {.max_line_bytes = 0}, errc::line_too_long);
  accepts("\xEF\xBB", {.max_line_bytes = 0}, {});  // it may still become one
}

TEST_CASE("an event may have max_event_bytes of type and data, and not one more") {
  parser_limits const limits = {.max_event_bytes = 6};
  accepts("data: 123456\n\n", limits, {{.data = "123456"}});
  refuses("data: 1234567\n\n", limits, errc::event_too_long);
  accepts("event: 12\ndata: 3456\n\n", limits, {{.type = "12", .data = "3456"}});
  refuses("event: 12\ndata: 34567\n\n", limits, errc::event_too_long);
  refuses("data: 34567\nevent: 12\n\n", limits, errc::event_too_long);
  accepts("data: 12\ndata: 456\n\n", limits, {{.data = "12\n456"}});  // the line end between counts
  refuses("data: 123\ndata: 567\n\n", limits, errc::event_too_long);
  accepts("data\ndata\ndata\ndata\ndata\ndata\ndata\n\n", limits, {{.data = "\n\n\n\n\n\n"}});
  refuses("data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n", limits, errc::event_too_long);
  accepts("event: 123456\nevent: 1\ndata: 23456\n\n", limits, {{.type = "1", .data = "23456"}});
  refuses("event: 1234567\n\n", limits, errc::event_too_long);
}

TEST_CASE("each event has the limit for itself") {
  accepts("data: 123456\n\ndata: 123456\n\nevent: 123456\n\ndata: 123456\n\n", {.max_event_bytes = 6},
          {{.data = "123456"}, {.data = "123456"}, {.data = "123456"}});
}

TEST_CASE("an ID may have max_id_bytes, and not one more") {
  parser_limits const limits = {.max_id_bytes = 3};
  accepts("id: 123\ndata\n\n", limits, {{.data = "", .id = "123"}});
  refuses("id: 1234\ndata\n\n", limits, errc::id_too_long);
  accepts("id: 123\0\ndata\n\n"sv, limits, {{.data = ""}});  // ignored, not too long
  accepts("id\ndata\n\n", {.max_id_bytes = 0}, {{.data = "", .id = ""}});
  refuses("id: 1\n\n", {.max_id_bytes = 0}, errc::id_too_long);
}

TEST_CASE("limits of zero still let blank lines pass") {
  accepts("\n\r\r\n\n", {.max_line_bytes = 0, .max_event_bytes = 0, .max_id_bytes = 0}, {});
  refuses("\nx", {.max_line_bytes = 0}, errc::line_too_long);
  accepts("data\n\n", {.max_event_bytes = 0}, {{.data = ""}});
  refuses("data: 1\n\n", {.max_event_bytes = 0}, errc::event_too_long);
}

TEST_CASE("the largest limits do not wrap around") {
  constexpr auto most = (std::numeric_limits<std::size_t>::max)();
  accepts("event: e\nid: 1\ndata: a\ndata: b\n\n",
          {.max_line_bytes = most, .max_event_bytes = most, .max_id_bytes = most},
          {{.type = "e", .data = "a\nb", .id = "1"}});
}

TEST_CASE("an error sticks until reset, and the last event ID and reconnection time before it stay") {
  parser p({.max_line_bytes = 10});
  events got;
  auto const record = [&](event const& e) { got.push_back(support::record(e)); };
  auto const first = p.feed("id: 1\nretry: 5\n\nid: 2\ndata: 123456\n\ndata: a\n\n", record);
  CHECK(first.error == errc::line_too_long);
  CHECK(first.value == 22);
  for (auto const more : {""sv, "\n"sv, "\n\ndata: b\n\n"sv}) {
    auto const again = p.feed(more, record);
    CHECK(again.error == errc::line_too_long);
    CHECK(again.value == 0);
  }
  CHECK(got.empty());
  CHECK(p.last_event_id() == "1");
  p.reset();
  CHECK(p.feed("data: c\n\n", record));
  CHECK(got == events{{.data = "c"}});
  CHECK(p.last_event_id() == "1");
  CHECK(p.reconnection_time()->milliseconds == 5);
}

// Calls from inside the callback, and exceptions that leave it.

TEST_CASE("feed and finish from inside the callback are refused, and the stream goes on") {
  parser p;
  events got;
  auto const never = [](event const&) { FAIL_CHECK("an event of a refused call"); };
  auto const outer = p.feed("data: a\n\ndata: b\n\n", [&](event const& e) {
    auto const inner = p.feed("data: nested\n\n", never);
    CHECK(inner.error == errc::called_from_inside);
    CHECK(inner.value == 0);
    CHECK(p.finish().error == errc::called_from_inside);
    got.push_back(support::record(e));
  });
  CHECK(outer);
  CHECK(outer.value == 18);
  CHECK(got == events{{.data = "a"}, {.data = "b"}});
  CHECK(p.feed("data: c\n\n", ignore));
}

TEST_CASE("after reset from inside the callback the rest of the bytes is not read") {
  parser p;
  events got;
  auto const record = [&](event const& e) {
    got.push_back(support::record(e));
    p.reset();
    got.push_back(support::record(e));  // its views live until the callback returns
  };
  auto const result = p.feed("id: 1\ndata: a\n\ndata: b\n\n", record);
  CHECK(result);
  CHECK(result.value == 15);
  CHECK(got == events{{.data = "a", .id = "1"}, {.data = "a", .id = "1"}});
  CHECK(p.last_event_id() == "1");
  got.clear();
  CHECK(p.feed("\xEF\xBB\xBF"
               "data: c\n\n",
               record));  // the next stream, from its first byte
  CHECK(got == events{{.data = "c"}, {.data = "c"}});
}

TEST_CASE("inside the callback feed is refused also behind a reset, for the event's views still live") {
  parser p;
  bool refused = false;
  std::string seen;
  p.feed("data: first, and longer than a short string\n", ignore);
  p.feed("\n", [&](event const& e) {
    p.reset();
    auto const fed = p.feed("data: another, and longer than a short string\ndata\n\n", ignore);
    refused = fed.error == errc::called_from_inside && p.finish().error == errc::called_from_inside;
    seen = *e.data;
  });
  CHECK(refused);
  CHECK(seen == "first, and longer than a short string");
  CHECK(p.feed("data: b\n\n", [&](event const& e) { seen = *e.data; }));
  CHECK(seen == "b");
}

#if defined(__cpp_exceptions)
TEST_CASE("after a callback threw the parser refuses until reset") {
  parser p;
  CHECK_THROWS_AS(p.feed("id: 1\ndata: a\n\ndata: b\n\n", [](event const&) { throw 7; }), int);
  CHECK(p.feed("data: c\n\n", ignore).error == errc::called_from_inside);
  CHECK(p.finish().error == errc::called_from_inside);
  p.reset();
  events got;
  CHECK(p.feed("data: d\n\n", [&](event const& e) { got.push_back(support::record(e)); }));
  CHECK(got == events{{.data = "d"}});
  CHECK(p.last_event_id() == "1");
}

TEST_CASE("a callback that resets and then throws leaves a parser that reads the next stream") {
  parser p;
  auto const leave = [&](event const&) {
    p.reset();
    throw 7;
  };
  CHECK_THROWS_AS(p.feed("data: a\n\n", leave), int);
  events got;
  CHECK(p.feed("data: b\n\n", [&](event const& e) { got.push_back(support::record(e)); }));
  CHECK(got == events{{.data = "b"}});
}
#endif

// A parser is a value.

TEST_CASE("a copied and a moved parser go on where the first one was, without looking into it") {
  for (auto const& text : {"short"s, "a text that does not fit into the string object itself"s}) {
    std::optional<parser> first(std::in_place);
    auto const head = "id: " + text + "\nevent: " + text + "\ndata: " + text + "\ndata: unfinish";
    first->feed(head, ignore);
    auto copy = *first;
    auto moved = std::move(*first);
    first.emplace();
    first->feed("id: xxxxx\nevent: xxxxx\ndata: xxxxx\ndata: yyy", ignore);  // writes over what was there
    for (auto* const p : {&copy, &moved}) {
      events got;
      p->feed("ed\n\n", [&](event const& e) { got.push_back(support::record(e)); });
      CHECK(got == events{{.type = text, .data = text + "\nunfinished", .id = text}});
      CHECK(p->last_event_id() == text);
    }
  }
}

TEST_CASE("a copy made inside the callback reads again after reset") {
  parser p;
  std::optional<parser> copy;
  p.feed("id: 1\ndata: a\n\n", [&](event const&) { copy = p; });
  CHECK(copy->error() != errc::ok);
  CHECK(copy->feed("data: b\n\n", ignore).error == copy->error());
  copy->reset();
  CHECK(copy->feed("data: b\n\n", ignore));
  CHECK(copy->last_event_id() == "1");
}

// Size.

TEST_CASE("a line of one MiB, fed a byte at a time, is the event's data") {
  std::string text(1024 * 1024, ' ');
  for (std::size_t i = 0; i != text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
  parser p;
  std::string got;
  auto const record = [&](event const& e) { got = *e.data; };
  for (auto const& part : {"data: "s, text, "\n\n"s}) {
    for (char const c : part) p.feed({&c, 1}, record);
  }
  CHECK((got == text));
}

TEST_CASE("an event of 64 Ki lines is the event's data") {
  std::string stream;
  std::string text;
  for (int i = 0; i != 65536; ++i) {
    stream += "data: line\n";
    text += i == 0 ? "line" : "\nline";
  }
  stream += '\n';
  auto const got = parse_whole(stream);
  REQUIRE(got.events.size() == 1);
  CHECK((*got.events[0].data == text));
}

}  // namespace
