// SPDX-License-Identifier: MIT
#include <ssewire/parser.hpp>
#include <support/events.hpp>
#include <support/every_split.hpp>
#include <support/literal_parser.hpp>
#include <support/random.hpp>

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
using support::outcome;
using support::parse_whole;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr auto ignore = [](event const&) {};

// The standard's own words, read by the second parser, say the same as the test; and so does every cut.
void means(std::string_view bytes, outcome const& expected) {
  CHECK(support::literal::parse(bytes) == expected);
  support::every_split(bytes, expected);
}

// Line ends.

TEST_CASE("a line ends with CRLF, LF or CR") {
  means("data: x\n\n", {.events = {{.data = "x"}}});
  means("data: x\r\n\r\n", {.events = {{.data = "x"}}});
  means("data: x\r\r", {.events = {{.data = "x"}}});
  means("data: x\n\r\n", {.events = {{.data = "x"}}});
  means("data: x\r\r\n", {.events = {{.data = "x"}}});
  means("data: x\n\r", {.events = {{.data = "x"}}});
  means("data: x\r\n\n", {.events = {{.data = "x"}}});
  means("data: x\r\n\r", {.events = {{.data = "x"}}});
}

TEST_CASE("CRLF is one line end, LFCR is two") {
  means("data: x\r\ndata: y\r\n\r\n", {.events = {{.data = "x\ny"}}});
  means("data: x\n\rdata: y\n\r", {.events = {{.data = "x"}, {.data = "y"}}});
}

TEST_CASE("after a CR only an LF directly next belongs to it") {
  means("data: a\rx\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
  means("data: a\r\r\n\ndata: b\r\r", {.events = {{.data = "a"}, {.data = "b"}}});
  means("data: a\r:\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
}

TEST_CASE("a lone CR ends its line at once, also at the end of a chunk") {
  parser p;
  events got;
  auto const record = [&](event const& e) { got.push_back(support::record(e)); };
  p.feed("data: a\r", record);
  CHECK(got.empty());
  p.feed("\r", record);
  CHECK(got == events{{.data = "a"}}); // nothing waits for a possible LF
  p.feed("\ndata: b\r\n", record);     // it belonged to the CR, and is no blank line of its own
  CHECK(got.size() == 1);
  p.feed("\r", record);
  CHECK(got == events{{.data = "a"}, {.data = "b"}});
}

TEST_CASE("a final CR that makes a blank line dispatches") {
  means("data: x\n\r", {.events = {{.data = "x"}}});
  means("id: 1\r\r", {.last_event_id = "1"});
}

TEST_CASE("U+2028, U+2029, U+0085, VT, FF and NUL end no line") {
  means("data: a\xE2\x80\xA8z\n\n", {.events = {{.data = "a\xE2\x80\xA8z"}}});
  means("data: a\xE2\x80\xA9z\n\n", {.events = {{.data = "a\xE2\x80\xA9z"}}});
  means("data: a\xC2\x85z\n\n", {.events = {{.data = "a\xC2\x85z"}}});
  means("data: a\vb\fz\n\n", {.events = {{.data = "a\vb\fz"}}});
  means("data: a\0z\n\n"sv, {.events = {{.data = "a\0z"s}}});
}

// The byte order mark.

TEST_CASE("one leading byte order mark is dropped") {
  means("\xEF\xBB\xBF" "data: x\n\n", {.events = {{.data = "x"}}});
  means("\xEF\xBB\xBF\n\ndata: x\n\n", {.events = {{.data = "x"}}});
  means("\xEF\xBB\xBF", {});
}

TEST_CASE("a second byte order mark is content") {
  means("\xEF\xBB\xBF\xEF\xBB\xBF" "data: x\n\n", {});
  means("\xEF\xBB\xBF\xEF\xBB\xBF" "data: x\ndata: y\n\n", {.events = {{.data = "y"}}});
}

TEST_CASE("a byte order mark elsewhere is content") {
  means("\n\xEF\xBB\xBF" "data: x\n\n", {});
  means(" \xEF\xBB\xBF" "data: x\n\n", {});
  means("data: \xEF\xBB\xBF\n\n", {.events = {{.data = "\xEF\xBB\xBF"}}});
  means("data:\xEF\xBB\xBF x\n\n", {.events = {{.data = "\xEF\xBB\xBF x"}}});
}

TEST_CASE("what only begins like a byte order mark is content") {
  means("\xEF" "data: x\n\n", {});
  means("\xEF\xBB" "data: x\n\n", {});
  means("\xEF\xBB\xBE" "data: x\n\n", {});
  means("\xBB\xBF" "data: x\n\n", {});
  means("\xEF\xBB\ndata: x\n\n", {.events = {{.data = "x"}}});
  means("\xEF\xEF\xBB\xBF\ndata: x\n\n", {.events = {{.data = "x"}}});
  means("\xEF\xBB", {});
}

TEST_CASE("each stream may have a byte order mark") {
  parser p;
  events got;
  auto const record = [&](event const& e) { got.push_back(support::record(e)); };
  p.feed("\xEF\xBB\xBF" "data: a\n\n", record);
  p.reset();
  p.feed("\xEF\xBB", record);
  p.reset();
  p.feed("\xEF\xBB\xBF" "data: b\n\n", record);
  CHECK(got == events{{.data = "a"}, {.data = "b"}});
}

// Fields.

TEST_CASE("a data field without a value gives an event with empty data") {
  means("data\n\n", {.events = {{.data = ""}}});
  means("data:\n\n", {.events = {{.data = ""}}});
  means("data: \n\n", {.events = {{.data = ""}}});
}

TEST_CASE("every data field is a line of the data, the empty ones too") {
  means("data: a\ndata: b\n\n", {.events = {{.data = "a\nb"}}});
  means("data\ndata\n\n", {.events = {{.data = "\n"}}});
  means("data\ndata\ndata: x\n\n", {.events = {{.data = "\n\nx"}}});
  means("data: x\ndata\n\n", {.events = {{.data = "x\n"}}});
  means("data: x\ndata:\ndata:\n\n", {.events = {{.data = "x\n\n"}}});
}

TEST_CASE("without data no event fires") {
  means("event: e\n\n", {});
  means("id: 1\n\n", {.last_event_id = "1"});
  means("retry: 1\n\n", {.retry = 1});
  means("\n\n\n", {});
  means(": data: x\n\n", {});
  means("", {});
}

TEST_CASE("a value keeps all but one leading space") {
  means("data:x\n\n", {.events = {{.data = "x"}}});
  means("data: x\n\n", {.events = {{.data = "x"}}});
  means("data:  x\n\n", {.events = {{.data = " x"}}});
  means("data:\tx\n\n", {.events = {{.data = "\tx"}}});
  means("data: x \n\n", {.events = {{.data = "x "}}});
  means("data:\xC2\xA0x\n\n", {.events = {{.data = "\xC2\xA0x"}}});
  means("event:  e\nid:  1\ndata\n\n",
        {.events = {{.type = " e", .data = "", .id = " 1"}}, .last_event_id = " 1"});
}

TEST_CASE("only the first colon separates") {
  means("data:a:b\n\n", {.events = {{.data = "a:b"}}});
  means("data: :\n\n", {.events = {{.data = ":"}}});
  means("data::\n\n", {.events = {{.data = ":"}}});
}

TEST_CASE("a line that starts with a colon is a comment") {
  means(":\ndata: x\n:data: y\n: z\n\n", {.events = {{.data = "x"}}});
}

TEST_CASE("field names are taken to the byte, in lower case") {
  means("Data: x\nDATA: x\n\n", {});
  means("data : x\n\n", {});
  means(" data: x\n\n", {});
  means("dat: x\ndatas: x\n\n", {});
  means("data\0: x\n\n"sv, {});
  means("\xEF\xBB\xBF" "data: y\n data: x\n\n", {.events = {{.data = "y"}}});
}

TEST_CASE("unknown fields are ignored") {
  means("foo: bar\ndata: x\nfoo\n\n", {.events = {{.data = "x"}}});
  means("foo: bar\n\n", {});
}

TEST_CASE("a line of white space is not a blank line") {
  means("data: x\n \ndata: y\n\n", {.events = {{.data = "x\ny"}}});
  means("data: x\n\t\ndata: y\n\n", {.events = {{.data = "x\ny"}}});
  means("data: x\n\v\ndata: y\n\n", {.events = {{.data = "x\ny"}}});
}

// The type.

TEST_CASE("the event field sets the type, the last one counts, an empty one means message") {
  means("event: e\ndata\n\n", {.events = {{.type = "e", .data = ""}}});
  means("event: e\nevent: f\ndata\n\n", {.events = {{.type = "f", .data = ""}}});
  means("data\nevent: e\n\n", {.events = {{.type = "e", .data = ""}}});
  means("event: e\nevent\ndata\n\n", {.events = {{.data = ""}}});
  means("event:\ndata\n\n", {.events = {{.data = ""}}});
}

TEST_CASE("a blank line resets the type, also where no event fires") {
  means("event: e\ndata\n\ndata\n\n", {.events = {{.type = "e", .data = ""}, {.data = ""}}});
  means("event: e\n\ndata\n\n", {.events = {{.data = ""}}});
}

// The ID.

TEST_CASE("the last event ID stays until another comes") {
  means("id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n",
        {.events = {{.data = "a", .id = "1"}, {.data = "b"}, {.data = "c", .id = "2"}},
         .last_event_id = "2"});
}

TEST_CASE("an ID takes effect at the blank line, also without data") {
  means("id: 1\n\n", {.last_event_id = "1"});
  means("id: 1\n\ndata: a\n\n", {.events = {{.data = "a"}}, .last_event_id = "1"});
  means("id: 1\n", {});
  means("id: 1\ndata: a\n", {});
  means("id: 1\n\nid: 2\n", {.last_event_id = "1"});
}

TEST_CASE("the last ID of a block counts") {
  means("id: 1\nid: 2\ndata\n\n", {.events = {{.data = "", .id = "2"}}, .last_event_id = "2"});
}

TEST_CASE("an empty ID resets the last event ID") {
  means("id: 1\n\nid\n\n", {});
  means("id: 1\n\nid:\n\n", {});
  means("id: 1\n\nid: \ndata\n\n", {.events = {{.data = "", .id = ""}}});
}

TEST_CASE("an ID that holds NUL is ignored, its neighbour one byte away is not") {
  means("id: 1\n\nid: 2\0\n\n"sv, {.last_event_id = "1"});
  means("id: \0\ndata\n\n"sv, {.events = {{.data = ""}}});
  means("id: 1\nid: \0002\ndata\n\n"sv, {.events = {{.data = "", .id = "1"}}, .last_event_id = "1"});
  means("id: 1\n\nid: 2\x01\n\n", {.last_event_id = "2\x01"});
  // An overlong NUL is none.
  means("id: 1\n\nid: 2\xC0\x80\n\n", {.last_event_id = "2\xEF\xBF\xBD\xEF\xBF\xBD"});
}

TEST_CASE("the last event ID changes when the block ends, and is in force when its event fires") {
  parser p;
  std::string seen;
  p.feed("id: 1\ndata\n", [&](event const&) { seen += p.last_event_id(); });
  CHECK(p.last_event_id() == "");
  p.feed("\n", [&](event const&) { seen += p.last_event_id(); });
  CHECK(seen == "1");
  CHECK(p.last_event_id() == "1");
}

// The reconnection time.

TEST_CASE("retry takes ASCII digits and nothing else") {
  means("retry: 3000\n\n", {.retry = 3000});
  means("retry:0\n\n", {.retry = 0});
  means("retry: 02000\n\n", {.retry = 2000});
  for (auto const bad : {"retry"sv, "retry:"sv, "retry: "sv, "retry: 1000x"sv, "retry: x1000"sv,
                         "retry: +1"sv, "retry: -1"sv, "retry: 1.5"sv, "retry: 0x10"sv, "retry: 1e3"sv, "retry:  1"sv,
                         "retry: 1 "sv, "retry: 1\t"sv, "retry: 1/"sv, "retry: 1:"sv, "retry: 1\0"sv,
                         "retry: \xD9\xA1"sv, "Retry: 1"sv}) {
    means(std::string(bad) + "\n\n", {});
  }
}

TEST_CASE("a bad retry leaves the one before in force") {
  means("retry: 1\nretry: x\ndata\n\n", {.events = {{.data = "", .retry = 1}}, .retry = 1});
  means("retry: 1\nretry: 2\ndata\n\n", {.events = {{.data = "", .retry = 2}}, .retry = 2});
  means("retry: 1\n\nretry: x\ndata\n\n", {.events = {{.data = ""}}, .retry = 1});
}

TEST_CASE("retry is in force when its line ends, without a blank line") {
  means("retry: 1\n", {.retry = 1});
  means("retry: 1\r", {.retry = 1});
  means("retry: 1", {});
  means("retry: 1\n\ndata\n\n", {.events = {{.data = ""}}, .retry = 1});
}

TEST_CASE("a number beyond 64 bits is the largest, and does not wrap around") {
  constexpr auto most = (std::numeric_limits<std::uint64_t>::max)();
  means("retry: 18446744073709551614\n\n", {.retry = most - 1});
  means("retry: 18446744073709551615\n\n", {.retry = most});
  means("retry: 18446744073709551616\n\n", {.retry = most});
  means("retry: 18446744073709551617\n\n", {.retry = most});
  means("retry: 18446744073709551620\n\n", {.retry = most});
  means("retry: 99999999999999999999999999\n\n", {.retry = most});
  means("retry: 18446744073709551616000000000000000000000x\n\n", {});
  means("retry: 000000000000000000000000000000000000007\n\n", {.retry = 7});
}

// UTF-8.

TEST_CASE("what is not UTF-8 is U+FFFD in data, type and ID") {
  means("data: a\xFFz\n\n", {.events = {{.data = "a\xEF\xBF\xBDz"}}});
  means("event: \xC3\ndata\n\n", {.events = {{.type = "\xEF\xBF\xBD", .data = ""}}});
  means("id: \xE2\x82\n\n", {.last_event_id = "\xEF\xBF\xBD"});
  means("data: \xF0\x9F\x98\x80\n\n", {.events = {{.data = "\xF0\x9F\x98\x80"}}});
}

TEST_CASE("a broken sequence swallows no CR, LF, colon or space") {
  means("data: \xE2\x82\n\n", {.events = {{.data = "\xEF\xBF\xBD"}}});
  means("data: \xE2\x82\r\r", {.events = {{.data = "\xEF\xBF\xBD"}}});
  means("data: \xF0\x9F\ndata: \x98\x80\n\n",
        {.events = {{.data = "\xEF\xBF\xBD\n\xEF\xBF\xBD\xEF\xBF\xBD"}}});
  means("\xE2:\ndata: x\n\n", {.events = {{.data = "x"}}});
  means("data\xE2: x\n\n", {});
  means("data: \xE2 x\n\n", {.events = {{.data = "\xEF\xBF\xBD x"}}});
}

TEST_CASE("utf8::keep hands the bytes on as they came") {
  outcome const raw = {.events = {{.type = "\xC3", .data = "a\xFFz", .id = "\xE2\x82"}},
                       .last_event_id = "\xE2\x82"};
  support::every_split("event: \xC3\ndata: a\xFFz\nid: \xE2\x82\n\n", raw, ssewire::utf8::keep);
  support::every_split("\xEF\xBB\xBF" "data: x\n\n", {.events = {{.data = "x"}}}, ssewire::utf8::keep);
}

// The end of the stream.

TEST_CASE("at the end an unfinished line and an event without its blank line are dropped") {
  means("data: x", {});
  means("data: x\n", {});
  means("data: a\n\ndata: x", {.events = {{.data = "a"}}});
  means("data: a\n\ndata: x\n", {.events = {{.data = "a"}}});
  means("event: e\nid: 1\ndata: x\n", {});
}

TEST_CASE("a finished parser refuses bytes until it is reset") {
  parser p;
  p.feed("id: 1\n\ndata: x\n", ignore);
  CHECK(p.finish());
  CHECK(p.finish()); // twice is once
  auto const refused = p.feed("\n", [](event const&) { FAIL_CHECK("an event of a finished stream"); });
  CHECK(refused.error == errc::closed);
  CHECK(refused.consumed == 0);
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

TEST_CASE("reset keeps the last event ID and the reconnection time, and nothing of the unfinished block") {
  parser p;
  events got;
  auto const record = [&](event const& e) { got.push_back(support::record(e)); };
  p.feed("id: 1\nretry: 5\ndata: a\n\nevent: e\nid: 2\ndata: lost\nda", record);
  p.reset();
  CHECK(p.last_event_id() == "1");
  CHECK(p.reconnection_time()->milliseconds == 5);
  p.feed("ta: b\n\ndata: c\n\n", record);
  CHECK(got == events{{.data = "a", .id = "1", .retry = 5}, {.data = "c"}});
  CHECK(p.last_event_id() == "1");
}

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

TEST_CASE("a block without data leaves the reconnection time of its own to no other event") {
  means("retry: 5\n\ndata\n\n", {.events = {{.data = ""}}, .retry = 5});
}

// Limits: the byte at each, and the byte after.

struct limited {
  support::parsed whole;
  errc bytewise = errc::ok;
  events bytewise_events = {};
};

limited run_limited(std::string_view bytes, parser_limits limits) {
  limited result = {.whole = parse_whole(bytes, limits)};
  parser p(limits);
  auto const record = [&](event const& e) { result.bytewise_events.push_back(support::record(e)); };
  for (char const c : bytes) {
    auto const fed = p.feed({&c, 1}, record);
    result.bytewise = fed.error;
    if (!fed) break;
  }
  return result;
}

void accepts(std::string_view bytes, parser_limits limits, events const& expected) {
  CAPTURE(bytes);
  auto const got = run_limited(bytes, limits);
  CHECK(got.whole.error == errc::ok);
  CHECK(got.whole.consumed == bytes.size());
  CHECK(got.whole.events == expected);
  CHECK(got.bytewise == errc::ok);
  CHECK(got.bytewise_events == expected);
}

void refuses(std::string_view bytes, parser_limits limits, errc error, events const& before = {}) {
  CAPTURE(bytes);
  auto const got = run_limited(bytes, limits);
  CHECK(got.whole.error == error);
  CHECK(got.whole.consumed < bytes.size());
  CHECK(got.whole.events == before);
  CHECK(got.bytewise == error);
  CHECK(got.bytewise_events == before);
}

TEST_CASE("a line may have max_line_bytes, its ending not counted, and not one more") {
  parser_limits const limits = {.max_line_bytes = 10};
  for (auto const& end : {"\n"s, "\r"s, "\r\n"s}) {
    accepts("data: 1234" + end + end, limits, {{.data = "1234"}});
    refuses("data: 12345" + end + end, limits, errc::line_too_long);
  }
  accepts("data: a\n\n:234567890\ndata\n\n", limits, {{.data = "a"}, {.data = ""}});
  refuses("data: a\n\n:2345678901\ndata\n\n", limits, errc::line_too_long, {{.data = "a"}});
  refuses("unknown: 12", limits, errc::line_too_long); // the line's end need not come
  accepts("data: 1234", limits, {});
  refuses("data: 12345", limits, errc::line_too_long);
}

TEST_CASE("a byte order mark is no part of the first line") {
  accepts("\xEF\xBB\xBF" "data: 1234\n\n", {.max_line_bytes = 10}, {{.data = "1234"}});
  refuses("\xEF\xBB\xBF" "data: 12345\n\n", {.max_line_bytes = 10}, errc::line_too_long);
}

TEST_CASE("what only begins like a byte order mark counts in its line") {
  accepts("\xEF\xBB" "345\n", {.max_line_bytes = 5}, {});
  refuses("\xEF\xBB" "3456\n", {.max_line_bytes = 5}, errc::line_too_long);
}

TEST_CASE("an event may have max_event_bytes of type and data, and not one more") {
  parser_limits const limits = {.max_event_bytes = 6};
  accepts("data: 123456\n\n", limits, {{.data = "123456"}});
  refuses("data: 1234567\n\n", limits, errc::event_too_long);
  accepts("event: 12\ndata: 3456\n\n", limits, {{.type = "12", .data = "3456"}});
  refuses("event: 12\ndata: 34567\n\n", limits, errc::event_too_long);
  refuses("data: 34567\nevent: 12\n\n", limits, errc::event_too_long);
  accepts("data: 12\ndata: 456\n\n", limits, {{.data = "12\n456"}}); // the line end between counts
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
  accepts("id: 123\0\ndata\n\n"sv, limits, {{.data = ""}}); // ignored, not too long
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
  CHECK(first.consumed == 22);
  for (auto const more : {""sv, "\n"sv, "\n\ndata: b\n\n"sv}) {
    auto const again = p.feed(more, record);
    CHECK(again.error == errc::line_too_long);
    CHECK(again.consumed == 0);
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
    CHECK(inner.consumed == 0);
    CHECK(p.finish().error == errc::called_from_inside);
    got.push_back(support::record(e));
  });
  CHECK(outer);
  CHECK(outer.consumed == 18);
  CHECK(got == events{{.data = "a"}, {.data = "b"}});
  CHECK(p.feed("data: c\n\n", ignore));
}

TEST_CASE("after reset from inside the callback the rest of the bytes is not read") {
  parser p;
  events got;
  auto const record = [&](event const& e) {
    got.push_back(support::record(e));
    p.reset();
    got.push_back(support::record(e)); // its views live until the callback returns
  };
  auto const result = p.feed("id: 1\ndata: a\n\ndata: b\n\n", record);
  CHECK(result);
  CHECK(result.consumed == 15);
  CHECK(got == events{{.data = "a", .id = "1"}, {.data = "a", .id = "1"}});
  CHECK(p.last_event_id() == "1");
  got.clear();
  CHECK(p.feed("\xEF\xBB\xBF" "data: c\n\n", record)); // the next stream, from its first byte
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
    first->feed("id: xxxxx\nevent: xxxxx\ndata: xxxxx\ndata: yyy", ignore); // writes over what was there
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
  CHECK(copy->feed("data: b\n\n", ignore).error == errc::called_from_inside);
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

// The second parser.

constexpr std::string_view pieces[] = {
    "data", "event", "id", "retry", ":", ":", ": ", " ", "\n", "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n",
    "data: x\n\n", "data:y\r", "id: 7\n", "event: e\r\n", "retry: 10\n", "id\n", "event\n", "data\n",
    "Data: x\n", "\xEF\xBB\xBF", "\xEF\xBB", "\xEF", "\xBF", "\0"sv, "\t", "\v", "\f", "\xC2\x85",
    "\xE2\x80\xA8", "0", "42", "18446744073709551615", "18446744073709551616", "\xC3\xA9", "\xF0\x9F\x98\x80",
    "\xF0\x9F", "\x98\x80", "\xE2\x82", "\xC0\x80", "\xED\xA0\x80", "sixteen and more bytes of text",
    "id: \0x\n"sv, ":comment\n",
};

constexpr std::string_view names[] = {
    "data", "data", "data", "event", "id", "retry", "Data", "", "dat", "\xEF\xBB\xBF" "data",
};
constexpr std::string_view ends[] = {"\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\n\r", "\r\n\r"};

// Half of it well-formed lines, half of it anything: either alone would miss what the other finds.
std::string hostile_stream(support::random& random) {
  std::string stream;
  for (auto n = random.below(16); n != 0; --n) {
    if (random.one_in(2)) {
      stream += random.pick(names);
      stream += random.one_in(2) ? ": "sv : ":"sv;
      stream += random.pick(pieces);
      stream += random.pick(ends);
    } else {
      stream += random.one_in(16) ? std::string(1, random.byte()) : std::string(random.pick(pieces));
    }
  }
  return stream;
}

TEST_CASE("on hostile streams, whole and cut anywhere, the parser says what the standard's text says") {
  std::size_t dispatched = 0;
  for (std::uint64_t seed = 0; seed != 20'000; ++seed) {
    support::random random(seed);
    auto const stream = hostile_stream(random);
    auto const expected = support::literal::parse(stream);
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < stream.size(); ++i) {
      if (random.one_in(6)) cuts.push_back(i);
    }
    auto const whole = support::parse_pieces(stream, {});
    auto const cut = support::parse_pieces(stream, cuts);
    dispatched += expected.events.size();
    if (whole == expected && cut == expected) continue;
    CAPTURE(seed);
    auto const text = support::quoted(stream);
    CAPTURE(text);
    CHECK(whole == expected);
    CHECK(cut == expected);
    break;
  }
  CHECK(dispatched > 10'000); // or the streams are not what they are meant to be
}

} // namespace
