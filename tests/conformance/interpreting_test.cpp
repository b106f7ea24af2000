// SPDX-License-Identifier: MIT
// Each normative sentence of the section, in its order: the number is the sentence's place in this file.
// Source: WHATWG HTML, 9.2.6 Interpreting an event stream; WHATWG Encoding, 6 "UTF-8 decode".
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/every_split.hpp>
#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::event;
using ssewire::parser;
using support::events;
using support::every_split;
using support::outcome;
using namespace std::string_literals;
using namespace std::string_view_literals;

#define BOM "\xEF\xBB\xBF"
#define FFFD "\xEF\xBF\xBD"

// "Streams must be decoded using the UTF-8 decode algorithm."

TEST_CASE(
    "9.2.6-01 what is not UTF-8 is decoded to U+FFFD in data, type and ID, one for each maximal subpart") {
  struct ill_formed {
    std::string_view bytes;
    std::size_t replacements;
  };
  for (auto const& [bytes, replacements] : std::vector<ill_formed>{
           {"\x80", 1},                  // a continuation byte alone
           {"\xBF\x80", 2},              //
           {"\xC0\x80", 2},              // overlong: C0 and C1 begin nothing
           {"\xC1\xBF", 2},              //
           {"\xC2", 1},                  // cut short
           {"\xC2\xC2", 2},              //
           {"\xE0\x80\x80", 3},          // overlong: the second byte of E0 is A0 at least
           {"\xE0\x9F\xBF", 3},          //
           {"\xE0\xA0", 1},              // cut short
           {"\xE2\x82", 1},              //
           {"\xE2\x82\xE2\x82", 2},      //
           {"\xED\xA0\x80", 3},          // a surrogate
           {"\xED\xBF\xBF", 3},          //
           {"\xED\x9F", 1},              // cut short
           {"\xF0\x80\x80\x80", 4},      // overlong
           {"\xF0\x8F\xBF\xBF", 4},      //
           {"\xF0\x90\x80", 1},          // cut short
           {"\xF0\x9F", 1},              //
           {"\xF0\x9F\x98\xF0\x9F", 2},  //
           {"\xF4\x90\x80\x80", 4},      // beyond U+10FFFF
           {"\xF4\x8F\xBF", 1},          // cut short
           {"\xF5\x80\x80\x80", 4},      // F5 and above begin nothing
           {"\xF8\x88\x80\x80\x80", 5},  //
           {"\xFE\xFF", 2},              //
       }) {
    std::string text;
    for (std::size_t i = 0; i < replacements; ++i) text += FFFD;
    for (auto const& behind : {""s, "A"s, " "s, "\xC3\xA9"s}) {
      auto const raw = std::string(bytes) + behind;
      auto const decoded = text + behind;
      every_split("data: " + raw + "\n\n", {.events = {{.data = decoded}}});
      every_split("event: " + raw + "\ndata\n\n", {.events = {{.type = decoded, .data = ""}}});
      every_split("id: " + raw + "\n\n", {.last_event_id = decoded});
    }
  }
  // Each event for itself, also where several lie in one block of the parser's.
  every_split("data: \xFF\n\ndata: \xFE\n\ndata: a\n\n",
              {.events = {{.data = FFFD}, {.data = FFFD}, {.data = "a"}}});
  every_split("data: \xFF\n\ndata: a\n\ndata: \xFE\n\n",
              {.events = {{.data = FFFD}, {.data = "a"}, {.data = FFFD}}});
}

TEST_CASE("9.2.6-02 what is UTF-8 is left as it is, to the borders of every length") {
  for (auto const good :
       {"\x7F"sv, "\xC2\x80"sv, "\xDF\xBF"sv, "\xE0\xA0\x80"sv, "\xED\x9F\xBF"sv, "\xEE\x80\x80"sv,
        "\xEF\xBF\xBD"sv, "\xEF\xBF\xBF"sv, "\xF0\x90\x80\x80"sv, "\xF4\x8F\xBF\xBF"sv}) {
    auto const text = std::string(good);
    every_split("event: " + text + "\nid: " + text + "\ndata: " + text + "\n\n",
                {.events = {{.type = text, .data = text, .id = text}}, .last_event_id = text});
  }
}

TEST_CASE("9.2.6-03 a broken sequence swallows no line end, no colon, no space and no digit") {
  every_split("data: \xE2\x82\n\n", {.events = {{.data = FFFD}}});
  every_split("data: \xE2\x82\r\r", {.events = {{.data = FFFD}}});
  every_split("data: \xF0\x9F\r\n\r\n", {.events = {{.data = FFFD}}});
  every_split("data: \xF0\x9F\ndata: \x98\x80\n\n", {.events = {{.data = FFFD "\n" FFFD FFFD}}});
  every_split("\xE2:\ndata: x\n\n", {.events = {{.data = "x"}}});
  every_split("data\xE2: x\n\n", {});
  every_split("data:\xE2 x\n\n", {.events = {{.data = FFFD " x"}}});
  every_split("data: \xE2 x\n\n", {.events = {{.data = FFFD " x"}}});
  every_split("retry: \xF0"
              "10\nretry: 20\xF0\n",
              {});
}

TEST_CASE("9.2.6-04 field names are compared when they are decoded: an ill-formed one is no known one") {
  every_split("\xFF"
              "data: x\nda\xC0ta: x\ndata\x80: x\n\n",
              {});
  every_split("\xE5\x80\xA4: x\nd\xC1\xA1ta: x\n\n", {});  // C1 A1 is an overlong a
}

TEST_CASE("9.2.6-05 the decode algorithm strips one leading byte order mark") {
  every_split(BOM "data: x\n\n", {.events = {{.data = "x"}}});
  every_split(BOM "\n\ndata: x\n\n", {.events = {{.data = "x"}}});
  every_split(BOM ":\rid: 1\r\r", {.last_event_id = "1"});
  every_split(BOM, {});
}

TEST_CASE("9.2.6-06 it strips only one, and only at the stream's begin") {
  every_split(BOM BOM "data: x\n\n", {});
  every_split(BOM BOM "data: x\ndata: y\n\n", {.events = {{.data = "y"}}});
  every_split(BOM BOM BOM "\ndata: x\n\n", {.events = {{.data = "x"}}});
  every_split("\n" BOM "data: x\n\n", {});
  every_split("data: x\n\n" BOM "data: y\n\n", {.events = {{.data = "x"}}});
  every_split("data: " BOM "\n\n", {.events = {{.data = BOM}}});
  every_split("data:" BOM " x\n\n", {.events = {{.data = BOM " x"}}});
  every_split(BOM "event: " BOM "\nid: " BOM "\ndata\n\n",
              {.events = {{.type = BOM, .data = "", .id = BOM}}, .last_event_id = BOM});
}

TEST_CASE("9.2.6-07 each stream may have its own byte order mark, however the one before it ended") {
  for (auto const before :
       {""sv, BOM "data: a\n\n"sv, "\xEF"sv, "\xEF\xBB"sv, BOM ""sv, "data: unfinis"sv, "data\r"sv}) {
    parser p;
    events got;
    auto const record = [&](event const& e) { got.push_back(support::record(e)); };
    p.feed(before, record);
    got.clear();
    p.reset();
    for (char const c : BOM "data: b\n\n"sv) p.feed({&c, 1}, record);
    CHECK(got == events{{.data = "b"}});
  }
}

// "The stream must then be parsed by reading everything line by line ..."

TEST_CASE("9.2.6-08 a line ends with CRLF, an LF not behind a CR, or a CR not before an LF") {
  every_split("data: x\n\n", {.events = {{.data = "x"}}});
  every_split("data: x\r\n\r\n", {.events = {{.data = "x"}}});
  every_split("data: x\r\r", {.events = {{.data = "x"}}});
  every_split("data: x\r\r\n", {.events = {{.data = "x"}}});
  every_split("\n\r\n\rdata: x\r\n\n", {.events = {{.data = "x"}}});
}

TEST_CASE("9.2.6-09 after a CR only an LF directly next belongs to it") {
  every_split("data: a\rx\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
  every_split("data: a\r\r\n\ndata: b\r\r", {.events = {{.data = "a"}, {.data = "b"}}});
  every_split("data: a\r:\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
  every_split("data: a\r\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
  every_split("data: a\rdata: b\n\n", {.events = {{.data = "a\nb"}}});
  every_split("data: a\r\ndata: b\r\n\n", {.events = {{.data = "a\nb"}}});
}

TEST_CASE("9.2.6-10 lines are found in long chunks, at every place of a block") {
  for (std::size_t before = 0; before < 140; ++before) {
    for (auto const& end : {"\n"s, "\r"s, "\r\n"s}) {
      std::string const text(before, 'x');
      auto const stream = "data:" + text + end + "data: y\xE2\x80\xA8" + end + end + "data" + end + end;
      support::literal::reading expected;
      expected.events = {{.data = text + "\ny\xE2\x80\xA8"}, {.data = ""}};
      for (auto const w : support::ways) {
        auto const got = support::read_pieces(w, stream, {});
        if (support::agrees(got, w, expected)) continue;
        CAPTURE(before);
        CAPTURE(stream);
        CHECK(got.read == expected);
        return;
      }
    }
  }
}

// "... a data buffer, an event type buffer, and a last event ID buffer ... must be initialized to the empty
// string."

TEST_CASE("9.2.6-11 the data buffer is empty at first: a blank line alone fires nothing") {
  every_split("\n", {});
  every_split("\r\r\n\n\r", {});
  every_split("\ndata: x\n\n", {.events = {{.data = "x"}}});
}

TEST_CASE("9.2.6-12 the event type buffer is empty at first: the default type") {
  every_split("data\n\n", {.events = {{.type = "", .data = ""}}});
  parser p;
  std::string name;
  p.feed("data\n\n", [&](event const& e) { name = e.type.name(); });
  CHECK(name == "message");
}

TEST_CASE("9.2.6-13 the last event ID buffer is empty at first") {
  every_split("data\n\n", {.events = {{.data = ""}}, .last_event_id = ""});
  CHECK(parser().last_event_id() == "");
}

TEST_CASE("9.2.6-14 a new stream has empty buffers; the client's last event ID and reconnection time outlive "
          "the old one") {
  parser p;
  events got;
  auto const record = [&](event const& e) { got.push_back(support::record(e)); };
  p.feed("id: 1\nretry: 5\ndata: a\n\nevent: lost\nid: 2\ndata: lost\nda", record);
  p.reset();
  CHECK(p.last_event_id() == "1");
  CHECK(p.reconnection_time()->milliseconds == 5);
  p.feed("ta: b\n\ndata: c\n\n", record);
  CHECK(got == events{{.data = "a", .id = "1", .retry = 5}, {.data = "c"}});
  CHECK(p.last_event_id() == "1");
}

// "Lines must be processed, in the order they are received ..."

TEST_CASE("9.2.6-15 lines are processed in the order they come") {
  every_split("data: a\nevent: 1\ndata: b\nevent: 2\nid: 1\nid: 2\n\n",
              {.events = {{.type = "2", .data = "a\nb", .id = "2"}}, .last_event_id = "2"});
  every_split("data: b\ndata: a\n\ndata: d\n\ndata: c\n\n",
              {.events = {{.data = "b\na"}, {.data = "d"}, {.data = "c"}}});
}

TEST_CASE("9.2.6-16 an empty line dispatches the event") {
  every_split("data: a\n\ndata: b\n\n\n\ndata: c\n\n",
              {.events = {{.data = "a"}, {.data = "b"}, {.data = "c"}}});
}

TEST_CASE("9.2.6-17 a line of white space or control characters is not empty") {
  for (auto const line :
       {" "sv, "\t"sv, "\v"sv, "\f"sv, "\0"sv, "  "sv, "\xC2\x85"sv, "\xC2\xA0"sv, BOM ""sv, "\xFF"sv}) {
    every_split("data: x\n" + std::string(line) + "\ndata: y\n\n", {.events = {{.data = "x\ny"}}});
  }
}

TEST_CASE("9.2.6-18 a line that starts with a colon is ignored, whatever stands behind it") {
  every_split(":\ndata: x\n:data: y\n: z\n\n", {.events = {{.data = "x"}}});
  every_split(":\n\n", {});
  every_split(":id: 1\n:event: e\n:retry: 1\ndata\n\n", {.events = {{.data = ""}}});
  every_split("data: a\n:\r\n:\rdata: b\n\n", {.events = {{.data = "a\nb"}}});
  every_split(":" + std::string(200, 'x') + "\ndata: y\n\n", {.events = {{.data = "y"}}});
}

TEST_CASE("9.2.6-19 the name is what stands before the first colon, the value what stands after it") {
  every_split("data:a:b\n\n", {.events = {{.data = "a:b"}}});
  every_split("data: :\n\n", {.events = {{.data = ":"}}});
  every_split("data::\n\n", {.events = {{.data = ":"}}});
  every_split("x:data: y\nevent:data:y\ndata\n\n", {.events = {{.type = "data:y", .data = ""}}});
}

TEST_CASE("9.2.6-20 one space in front of the value is removed, and one only") {
  every_split("data:x\n\n", {.events = {{.data = "x"}}});
  every_split("data: x\n\n", {.events = {{.data = "x"}}});
  every_split("data:  x\n\n", {.events = {{.data = " x"}}});
  every_split("data:\tx\n\n", {.events = {{.data = "\tx"}}});
  every_split("data: \tx\n\n", {.events = {{.data = "\tx"}}});
  every_split("data: x \n\n", {.events = {{.data = "x "}}});
  every_split("data:   \n\n", {.events = {{.data = "  "}}});
  every_split("event:  e\nid:  1\ndata\n\n",
              {.events = {{.type = " e", .data = "", .id = " 1"}}, .last_event_id = " 1"});
  every_split(
      "event:e\nid:1\nretry:1\ndata\n\n",
      {.events = {{.type = "e", .data = "", .id = "1", .retry = 1}}, .last_event_id = "1", .retry = 1});
}

TEST_CASE("9.2.6-21 a line without a colon is a name with an empty value") {
  every_split("data\n\n", {.events = {{.data = ""}}});
  every_split("event: e\nevent\ndata\n\n", {.events = {{.data = ""}}});
  every_split("id: 1\n\nid\ndata\n\n", {.events = {{.data = "", .id = ""}}});
  every_split("retry: 1\nretry\n\n", {.retry = 1});
  every_split("dat\nda\nd\ndataa\ni\nidd\neven\nevents\n\n", {});
}

// "Once the end of the file is reached ..."

TEST_CASE("9.2.6-22 at the end what is pending is discarded: data, type and ID") {
  every_split("data: x", {});
  every_split("data: x\n", {});
  every_split("data: x\r", {});
  every_split("data: a\n\ndata: x", {.events = {{.data = "a"}}});
  every_split("data: a\n\ndata: x\n", {.events = {{.data = "a"}}});
  every_split("event: e\nid: 1\ndata: x\n", {});
  every_split("id: 1\n", {});
  every_split("id: 1\ndata: a\n", {});
  every_split("id: 1\n\nid: 2\n", {.last_event_id = "1"});
  every_split("id: 1\n\nid\n", {.last_event_id = "1"});
}

TEST_CASE("9.2.6-23 a file that ends in the middle of an event does not fire it; a final CR may be its blank "
          "line") {
  every_split("data: x\n", {});
  every_split("data: x\n\n", {.events = {{.data = "x"}}});
  every_split("data: x\n\r", {.events = {{.data = "x"}}});
  every_split("data: x\r\r", {.events = {{.data = "x"}}});
  every_split("data: x\r\n", {});
  every_split("data: x\r\n\r", {.events = {{.data = "x"}}});
  every_split("id: 1\r\r", {.last_event_id = "1"});
}

// "The steps to process the field ..."

TEST_CASE("9.2.6-24 field names are compared literally, without folding case") {
  every_split("Data: x\nDATA: x\ndatA: x\n\n", {});
  every_split("Event: e\nID: 1\nId: 1\nRETRY: 1\ndata\n\n", {.events = {{.data = ""}}});
  every_split("data : x\n\n", {});
  every_split(" data: x\n\n", {});
  every_split("\tdata: x\n\n", {});
  every_split("dat: x\ndatas: x\ndata\0: x\n\n"sv, {});
  every_split("\xC4\x91"
              "ata: x\nd\xC4\x85ta: x\n\xEF\xBD\x84"
              "ata: x\n\n",
              {});  // letters that only look like these
}

TEST_CASE("9.2.6-25 event sets the event type buffer: the last one counts, an empty one empties it") {
  every_split("event: e\ndata\n\n", {.events = {{.type = "e", .data = ""}}});
  every_split("event: e\nevent: f\ndata\n\n", {.events = {{.type = "f", .data = ""}}});
  every_split("data\nevent: e\n\n", {.events = {{.type = "e", .data = ""}}});
  every_split("event: e\nevent\ndata\n\n", {.events = {{.data = ""}}});
  every_split("event:\ndata\n\n", {.events = {{.data = ""}}});
  every_split("event: \ndata\n\n", {.events = {{.data = ""}}});
  every_split("event: message\ndata\n\n", {.events = {{.type = "message", .data = ""}}});
  every_split("event: a\0b\ndata\n\n"sv, {.events = {{.type = "a\0b"s, .data = ""}}});
}

TEST_CASE("9.2.6-26 data appends the value and an LF") {
  every_split("data: a\ndata: b\n\n", {.events = {{.data = "a\nb"}}});
  every_split("data\ndata\n\n", {.events = {{.data = "\n"}}});
  every_split("data\ndata\ndata: x\n\n", {.events = {{.data = "\n\nx"}}});
  every_split("data: x\ndata\n\n", {.events = {{.data = "x\n"}}});
  every_split("data: x\ndata:\ndata:\n\n", {.events = {{.data = "x\n\n"}}});
  every_split("data: a\rdata: b\r\ndata: c\n\n",
              {.events = {{.data = "a\nb\nc"}}});  // an LF, whatever ended the line
  every_split("data: a\nfoo\n:c\nid: 1\ndata: b\n\n",
              {.events = {{.data = "a\nb", .id = "1"}}, .last_event_id = "1"});
  every_split("data: a\0b\n\n"sv, {.events = {{.data = "a\0b"s}}});
}

TEST_CASE("9.2.6-27 id sets the last event ID buffer: the last one counts, an empty one empties it") {
  every_split("id: 1\nid: 2\ndata\n\n", {.events = {{.data = "", .id = "2"}}, .last_event_id = "2"});
  every_split("id: 1\n\nid\n\n", {});
  every_split("id: 1\n\nid:\n\n", {});
  every_split("id: 1\n\nid: \ndata\n\n", {.events = {{.data = "", .id = ""}}});
  every_split("id: 1\nid\ndata\n\n", {.events = {{.data = "", .id = ""}}});
}

TEST_CASE("9.2.6-28 an id with a NULL is ignored, its neighbour one byte away is not") {
  every_split("id: 1\n\nid: 2\0\n\n"sv, {.last_event_id = "1"});
  every_split("id: \0\ndata\n\n"sv, {.events = {{.data = ""}}});
  every_split("id:\0\n\n"sv, {});
  every_split("id: 1\nid: \0002\ndata\n\n"sv, {.events = {{.data = "", .id = "1"}}, .last_event_id = "1"});
  every_split("id: 1\nid: 2\0003\ndata\n\n"sv, {.events = {{.data = "", .id = "1"}}, .last_event_id = "1"});
  every_split("id: 1\n\nid: 2\x01\n\n", {.last_event_id = "2\x01"});
  every_split("id\0: 1\n\n"sv, {});
  every_split("id: 1\n\nid: 2\xC0\x80\n\n", {.last_event_id = "2" FFFD FFFD});  // an overlong NULL is none
}

TEST_CASE("9.2.6-29 retry of ASCII digits only is an integer in base ten") {
  every_split("retry: 3000\n\n", {.retry = 3000});
  every_split("retry:0\n\n", {.retry = 0});
  every_split("retry: 02000\n\n", {.retry = 2000});
  every_split("retry: 08\n\n", {.retry = 8});
  every_split("retry: 9876543210\n\n", {.retry = 9876543210});
  every_split("retry: 000000000000000000000000000000000000007\n\n", {.retry = 7});
}

TEST_CASE("9.2.6-30 retry sets the reconnection time when its line ends, without a blank line") {
  every_split("retry: 1\n", {.retry = 1});
  every_split("retry: 1\r", {.retry = 1});
  every_split("retry: 1", {});
  every_split("retry: 1\nretry: 2\n", {.retry = 2});
  every_split("retry: 1\nretry: 2\ndata\n\n", {.events = {{.data = "", .retry = 2}}, .retry = 2});
  every_split("retry: 1\n\ndata\n\n", {.events = {{.data = ""}}, .retry = 1});
  every_split("retry: 5\n\nretry: 4\n", {.retry = 4});
}

TEST_CASE("9.2.6-31 any other retry is ignored, and leaves the one before in force") {
  for (auto const bad : {"retry"sv,           "retry:"sv,
                         "retry: "sv,         "retry: 1000x"sv,
                         "retry: x1000"sv,    "retry: 1 000"sv,
                         "retry: +1"sv,       "retry: -1"sv,
                         "retry: 1.5"sv,      "retry: 0x10"sv,
                         "retry: 1e3"sv,      "retry:  1"sv,
                         "retry: 1 "sv,       "retry: 1\t"sv,
                         "retry: 1/"sv,       "retry: 1:"sv,
                         "retry: 1\0"sv,      "retry: \0001"sv,
                         "retry: \xD9\xA1"sv, "retry: \xEF\xBC\x91"sv,
                         "Retry: 1"sv,        "retr: 1"sv,
                         "retryy: 1"sv,       "retry: 18446744073709551616000000000000000000000x"sv}) {
    every_split(std::string(bad) + "\n\n", {});
    every_split("retry: 7\n" + std::string(bad) + "\n\n", {.retry = 7});
  }
  every_split("retry: 1\nretry: x\ndata\n\n", {.events = {{.data = "", .retry = 1}}, .retry = 1});
  every_split("retry: 1\n\nretry: x\ndata\n\n", {.events = {{.data = ""}}, .retry = 1});
}

TEST_CASE("9.2.6-32 the standard has no largest integer, we have: what is beyond 64 bits is the largest, and "
          "does not wrap") {
  constexpr auto most = (std::numeric_limits<std::uint64_t>::max)();
  every_split("retry: 18446744073709551609\n\n", {.retry = most - 6});
  every_split("retry: 18446744073709551614\n\n", {.retry = most - 1});
  every_split("retry: 18446744073709551615\n\n", {.retry = most});
  every_split("retry: 18446744073709551616\n\n", {.retry = most});
  every_split("retry: 18446744073709551617\n\n", {.retry = most});
  every_split("retry: 18446744073709551620\n\n", {.retry = most});
  every_split("retry: 36893488147419103232\n\n", {.retry = most});
  every_split("retry: 99999999999999999999999999\n\n", {.retry = most});
}

TEST_CASE("9.2.6-33 any other field is ignored") {
  every_split("foo: bar\ndata: x\nfoo\n\n", {.events = {{.data = "x"}}});
  every_split("foo: bar\n\n", {});
  every_split("comment: x\nmessage: x\nlastEventId: x\nreconnect: 1\n\n", {});
  every_split("{\"error\":\"not an event stream\"}\n<html>\n\n", {});
}

// "When the user agent is required to dispatch the event ..."

TEST_CASE("9.2.6-34 the last event ID string is set to the buffer when a block ends, also without data") {
  every_split("id: 1\n\n", {.last_event_id = "1"});
  every_split("id: 1\n\ndata: a\n\n", {.events = {{.data = "a"}}, .last_event_id = "1"});
  parser p;
  std::string seen;
  auto const look = [&](event const&) { seen += p.last_event_id(); };
  p.feed("id: 1\ndata\n", look);
  CHECK(p.last_event_id() == "");
  p.feed("\n", look);
  CHECK(seen == "1");  // in force when its own event fires
  CHECK(p.last_event_id() == "1");
}

TEST_CASE("9.2.6-35 the buffer is not reset: the ID stays until the server sets another") {
  every_split(
      "id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n\n\n",
      {.events = {{.data = "a", .id = "1"}, {.data = "b"}, {.data = "c", .id = "2"}}, .last_event_id = "2"});
}

TEST_CASE("9.2.6-36 without data nothing fires, and data and type are set to the empty string") {
  every_split("event: e\n\n", {});
  every_split("event: e\n\ndata\n\n", {.events = {{.data = ""}}});
  every_split("event: e\nid: 1\nretry: 1\n\ndata\n\n",
              {.events = {{.data = ""}}, .last_event_id = "1", .retry = 1});
  every_split(": data: x\n\n", {});
  every_split("event: e\n\n\n\nevent: f\n\n", {});
}

TEST_CASE("9.2.6-37 one LF at the end of the data is removed, and one only") {
  every_split("data\n\n", {.events = {{.data = ""}}});
  every_split("data: a\n\n", {.events = {{.data = "a"}}});
  every_split("data: a\ndata\n\n", {.events = {{.data = "a\n"}}});
  every_split("data: a\ndata\ndata\n\n", {.events = {{.data = "a\n\n"}}});
}

TEST_CASE("9.2.6-38 the event has the data, the last event ID, and the type message") {
  parser p;
  std::string seen;
  p.feed("id: 7\ndata: x\n\n", [&](event const& e) {
    seen = std::string(e.type.name()) + ' ' + std::string(*e.data) + ' ' + std::string(p.last_event_id());
  });
  CHECK(seen == "message x 7");
}

TEST_CASE("9.2.6-39 if the event type buffer is not empty it is the event's type") {
  parser p;
  std::string seen;
  auto const name = [&](event const& e) { seen += std::string(e.type.name()) + ' '; };
  p.feed("event: e\ndata\n\nevent\ndata\n\nevent: message\ndata\n\nevent:  \ndata\n\n", name);
  CHECK(seen == "e message message   ");
}

TEST_CASE("9.2.6-40 data and type are empty again behind the event") {
  every_split("event: e\ndata: a\n\ndata: b\n\n", {.events = {{.type = "e", .data = "a"}, {.data = "b"}}});
  every_split("event: e\ndata: a\n\n\n\nid: 1\n\n",
              {.events = {{.type = "e", .data = "a"}}, .last_event_id = "1"});
  every_split("data: a\ndata: b\n\nevent: e\n\ndata\n\n", {.events = {{.data = "a\nb"}, {.data = ""}}});
}

TEST_CASE("9.2.6-41 each event fires once, in the order of the stream") {
  std::string stream;
  outcome expected;
  for (int i = 0; i != 12; ++i) {
    auto const text = std::to_string(i);
    stream += "data: " + text + (i % 3 == 0 ? "\r\r" : "\n\n");
    expected.events.push_back({.data = text});
  }
  every_split(stream, expected);
}

TEST_CASE("9.2.6-42 an event without an id has the last one seen, which the parser knows while it fires") {
  parser p;
  std::string seen;
  p.feed("data\n\nid: 1\ndata\n\ndata\n\nid: 2\n\ndata\n\nid\ndata\n\n",
         [&](event const&) { seen += '[' + std::string(p.last_event_id()) + ']'; });
  CHECK(seen == "[][1][1][2][]");
}

// The section's examples, in our words.

TEST_CASE("9.2.6-43 example: a value on three lines is one event of three lines") {
  every_split("data: NAME\ndata: +1\ndata: 25\n\n", {.events = {{.data = "NAME\n+1\n25"}}});
}

TEST_CASE(
    "9.2.6-44 example: a comment, an ID, its reset, a second space that is kept, and an unfinished end") {
  every_split(": a stream\n\ndata: one\nid: 1\n\ndata:two\nid\n\ndata:  three\n\ndata: four\n",
              {.events = {{.data = "one", .id = "1"}, {.data = "two", .id = ""}, {.data = " three"}}});
}

TEST_CASE("9.2.6-45 example: empty data, an LF as data, and a block that the end discards") {
  every_split("data\n\ndata\ndata\n\ndata:", {.events = {{.data = ""}, {.data = "\n"}}});
}

TEST_CASE("9.2.6-46 example: with the space and without it the event is the same") {
  every_split("data:same\n\ndata: same\n\n", {.events = {{.data = "same"}, {.data = "same"}}});
}

// Where the standard lets us choose.

TEST_CASE("9.2.6-47 utf8::keep hands the bytes on as they came, and strips the mark all the same") {
  auto const keep = ssewire::utf8::keep;
  every_split("event: \xC3\ndata: a\xFFz\nid: \xE2\x82\n\n",
              {.events = {{.type = "\xC3", .data = "a\xFFz", .id = "\xE2\x82"}}, .last_event_id = "\xE2\x82"},
              keep);
  every_split(BOM "data: x\n\n", {.events = {{.data = "x"}}}, keep);
  every_split(BOM BOM "data: x\ndata: \xC0\x80\n\n", {.events = {{.data = "\xC0\x80"}}}, keep);
  every_split("id: \xC0\x80\n\n", {.last_event_id = "\xC0\x80"}, keep);
}

TEST_CASE("9.2.6-48 comments are told on request, in their place, less the colon and one space") {
  struct expectation {
    std::string_view bytes;
    std::vector<support::literal::comment> comments;
  };
  for (auto const& e : std::vector<expectation>{
           {":\n", {{0, ""}}},
           {": \r", {{0, ""}}},
           {":  x\r\n", {{0, " x"}}},
           {"::\n", {{0, ":"}}},
           {":x", {}},
           {":a\ndata\n:b\n\n:c\n\n:d\n", {{0, "a"}, {0, "b"}, {1, "c"}, {1, "d"}}},
           {BOM ":a\n", {{0, "a"}}},
           {" :a\n", {}},
           {":data: x\n\n", {{0, "data: x"}}},
           {":\xE2\x82\n", {{0, FFFD}}},
           {":a\0b\n"sv, {{0, "a\0b"s}}},
       }) {
    CAPTURE(e.bytes);
    CHECK(support::literal::read(e.bytes).comments == e.comments);
    every_split(e.bytes, support::literal::parse(e.bytes));  // asks every way of reading for them
  }
}

}  // namespace
