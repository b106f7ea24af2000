// SPDX-License-Identifier: MIT
// Facts that other projects found worth a test: web-platform-tests and other parsers' suites, each fact under
// the name it has there. Bytes and expectations are written for this table. If a suite expects something else
// than the standard says, the table has the standard's outcome and notes the difference.
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/every_split.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::event;
using ssewire::parser;
using support::every_split;
using support::outcome;
using namespace std::string_literals;
using namespace std::string_view_literals;

#define BOM "\xEF\xBB\xBF"

struct fact {
  std::string_view name;
  std::string bytes;
  outcome expected;
};

void hold(std::vector<fact> const& facts) {
  for (auto const& f : facts) {
    CAPTURE(f.name);
    every_split(f.bytes, f.expected);
  }
}

// web-platform-tests, eventsource/. The test server adds an end to what the test names; here it stands in
// the bytes.

TEST_CASE("F-01 web-platform-tests: eventsource/format-* and event-data") {
  auto const long_text = std::string(2048, 'y');
  hold({
      {"format-bom", BOM "data:a\n\n" BOM "data:b\n\ndata:c\n\n", {.events = {{.data = "a"}, {.data = "c"}}}},
      {"format-bom-2", BOM BOM "data:a\n\ndata:b\n\ndata:c\n\n", {.events = {{.data = "b"}, {.data = "c"}}}},
      {"format-comments",
       "data:a\r:\0\n:\r\ndata:b\n:"s + long_text + "\rdata:c\n:data:no\r:" + long_text + "\ndata:d\n\n",
       {.events = {{.data = "a\nb\nc\nd"}}}},
      {"format-data-before-final-empty-line",
       "retry:1500\ndata:whole\n\nid:never\ndata:unfinished",
       {.events = {{.data = "whole", .retry = 1500}}, .retry = 1500}},
      {"format-data-before-final-empty-line, with the line's end",
       "data:whole\n\nid:never\ndata:unfinished\n",
       {.events = {{.data = "whole"}}}},
      {"format-field-data",
       "data:\n\ndata\ndata\n\ndata:end\n\n",
       {.events = {{.data = ""}, {.data = "\n"}, {.data = "end"}}}},
      {"format-field-event",
       "event:own\ndata:a\n\ndata:a\n\n",
       {.events = {{.type = "own", .data = "a"}, {.data = "a"}}}},
      {"format-field-event-empty", "event: \ndata:text\n\n", {.events = {{.data = "text"}}}},
      {"format-field-id",
       "id: \xE2\x80\xA6\nretry: 250\ndata: first\n\n",
       {.events = {{.data = "first", .id = "\xE2\x80\xA6", .retry = 250}},
        .last_event_id = "\xE2\x80\xA6",
        .retry = 250}},
      {"format-field-id-3, persists",
       "id: a\ndata: 1\n\ndata:2\n\n",
       {.events = {{.data = "1", .id = "a"}, {.data = "2"}}, .last_event_id = "a"}},
      {"format-field-id-3, changes and persists",
       "id: a\ndata: 1\n\nid: b\ndata:2\n\ndata:3\n\n",
       {.events = {{.data = "1", .id = "a"}, {.data = "2", .id = "b"}, {.data = "3"}}, .last_event_id = "b"}},
      {"format-field-id-3, resets",
       "id: a\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n",
       {.events = {{.data = "1", .id = "a"}, {.data = "2", .id = ""}, {.data = "3"}}}},
      {"format-field-id-null, two", "id: \0\0\ndata: x\n\n"s, {.events = {{.data = "x"}}}},
      {"format-field-id-null, behind", "id: a\0\ndata: x\n\n"s, {.events = {{.data = "x"}}}},
      {"format-field-id-null, in front", "id: \0a\ndata: x\n\n"s, {.events = {{.data = "x"}}}},
      {"format-field-id-null, inside", "id: a\0a\ndata: x\n\n"s, {.events = {{.data = "x"}}}},
      {"format-field-id-null, behind a space", "id:  \0\ndata: x\n\n"s, {.events = {{.data = "x"}}}},
      {"format-field-parsing",
       "data:\0\ndata:  b\rData:a\ndata\0:b\ndata:a\r\0data:d\nda-ta:c\rdata_e\ndata:c\rdata:\r\n data:cb\ndata:d\n\n"s,
       {.events = {{.data = "\0\n b\na\nc\n\nd"s}}}},
      {"format-field-retry",
       "retry:02000\ndata:x\n\n",
       {.events = {{.data = "x", .retry = 2000}}, .retry = 2000}},
      {"format-field-retry-bogus",
       "retry:4000\nretry:500x\ndata:x\n\n",
       {.events = {{.data = "x", .retry = 4000}}, .retry = 4000}},
      {"format-field-retry-empty", "retry\ndata:x\n\n", {.events = {{.data = "x"}}}},
      {"format-field-unknown",
       "data:a\n data\ndata\nunknown:b\nwordsonly\n:onlyacomment\ndata:c\n\n",
       {.events = {{.data = "a\n\nc"}}}},
      {"format-leading-space", "data:\tx\rdata: \ndata:y\n\n", {.events = {{.data = "\tx\n\ny"}}}},
      {"format-newlines", "data:x\r\ndata\ndata:y\r\n\r", {.events = {{.data = "x\n\ny"}}}},
      {"format-newlines, and the LF that follows",
       "data:x\r\ndata\ndata:y\r\n\r\n",
       {.events = {{.data = "x\n\ny"}}}},
      {"format-null-character", "data:\0\n\n"s, {.events = {{.data = "\0"s}}}},
      {"format-utf-8", "data:good\xE2\x80\xA6\n\n", {.events = {{.data = "good\xE2\x80\xA6"}}}},
      {"event-data",
       "data:a\ndata:a\n\n:\nunknown:a\n\nunknown:a\nData:b\n\ndata\n\ndata:end\n\n",
       {.events = {{.data = "a\na"}, {.data = ""}, {.data = "end"}}}},
      {"submissions/MOSQUITO/field-name-event",
       "event:typed\ndata:x\n\n",
       {.events = {{.type = "typed", .data = "x"}}}},
  });
  // format-mime-bogus, -trailing-semicolon and -valid-bogus are about the response's head, which no parser
  // sees.
}

TEST_CASE("F-02 web-platform-tests: format-field-id-2, the last event ID outlives two reconnections") {
  parser p;
  std::string seen;
  auto const look = [&](event const& e) {
    seen += std::string(*e.data) + '[' + std::string(p.last_event_id()) + ']';
  };
  p.feed("id: \xE2\x80\xA6\ndata: first\n\n", look);
  for (int reconnection = 0; reconnection != 2; ++reconnection) {
    p.finish();
    p.reset();
    CHECK(p.last_event_id() == "\xE2\x80\xA6");  // what the request presents
    p.feed("data: again\n\n", look);
  }
  CHECK(seen == "first[\xE2\x80\xA6]again[\xE2\x80\xA6]again[\xE2\x80\xA6]");
}

TEST_CASE("F-03 eventsource-parser") {
  auto const colons = std::string(300, ':');
  auto const long_text = std::string(2049, 'y');
  hold({
      {"basic unnamed events",
       "data: 0\n\ndata: 1\n\nevent: done\ndata: \xE2\x9C\x94\n\n",
       {.events = {{.data = "0"}, {.data = "1"}, {.type = "done", .data = "\xE2\x9C\x94"}}}},
      {"identified events with a retry interval",
       "event: beat\nretry: 60\nid: 41\ndata: 41\n\nevent: beat\nretry: 60\nid: 42\ndata: 42\n\n",
       {.events = {{.type = "beat", .data = "41", .id = "41", .retry = 60},
                   {.type = "beat", .data = "42", .id = "42", .retry = 60}},
        .last_event_id = "42",
        .retry = 60}},
      {"heartbeat comments between events",
       ": \xE2\x99\xA5\n\ndata: A\n\n: \xE2\x99\xA5\n\ndata: B\n\n",
       {.events = {{.data = "A"}, {.data = "B"}}}},
      {"multi-line data of a type",
       "event: row\ndata: a\ndata: -1\ndata: 20\n\nevent: row\ndata: b\ndata: 3\n\n",
       {.events = {{.type = "row", .data = "a\n-1\n20"}, {.type = "row", .data = "b\n3"}}}},
      {"multi-byte text with empty lines in front",
       "\n\n\n\nid: 1\ndata: \xE6\x88\x91\xE7\x9C\x8B\xE6\xB3\x81\n\n",
       {.events = {{.data = "\xE6\x88\x91\xE7\x9C\x8B\xE6\xB3\x81", .id = "1"}}, .last_event_id = "1"}},
      {"leading mark", BOM "data: a\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}}},
      {"marks in several places",
       BOM "data: a\n\n" BOM "data: b\n\ndata: c\n\n",
       {.events = {{.data = "a"}, {.data = "c"}}}},
      {"a mark in front of the first of two data lines",
       BOM "data: a\ndata: b\n\n",
       {.events = {{.data = "a\nb"}}}},
      {"carriage returns",
       "data: a\rdata: b\r\rdata: c\rdata: d\r\r",
       {.events = {{.data = "a\nb"}, {.data = "c\nd"}}}},
      {"line feeds",
       "data: a\ndata: b\n\ndata: c\ndata: d\n\n",
       {.events = {{.data = "a\nb"}, {.data = "c\nd"}}}},
      {"carriage returns and line feeds",
       "data: a\r\ndata: b\r\n\r\ndata: c\r\ndata: d\r\n\r\n",
       {.events = {{.data = "a\nb"}, {.data = "c\nd"}}}},
      {"odd comments",
       ": a\n\n" + colons +
           "\ndata: 1\n\n: \xD0\x9F: \xE7\xAC\xAC\ndata: 2\n\n: b \n: b \n:\xE0\xB4\xA8\ndata: 3\n\n",
       {.events = {{.data = "1"}, {.data = "2"}, {.data = "3"}}}},
      {"odder comments, and no line end after the last data",
       "data:1\r\r:\0\n:\r\ndata:2\n\n:"s + long_text + "\rdata:3\n\n:data:no\r:" + long_text +
           "\ndata:4\n\ndata:5",
       {.events = {{.data = "1"}, {.data = "2"}, {.data = "3"}, {.data = "4"}}}},
      {"empty event field, with data and without",
       "event:\ndata: a\n\nevent:\n\n",
       {.events = {{.data = "a"}}}},
      {"empty retry field",
       "id: 1\nretry: 400\ndata: a\n\nid:2\nretry:\ndata:b\n\n",
       {.events = {{.data = "a", .id = "1", .retry = 400}, {.data = "b", .id = "2"}},
        .last_event_id = "2",
        .retry = 400}},
      {"oddly shaped data",
       "data:\n\ndata\ndata\n\ndata:a\n\n",
       {.events = {{.data = ""}, {.data = "\n"}, {.data = "a"}}}},
      {"CR that parts chunks of one event",
       "data: a\r\ndata: b\r\ndata: c\r\n\r\n",
       {.events = {{.data = "a\nb\nc"}}}},
      {"CR at a chunk's end that was the whole line end",
       "data: a\r\ndata: b\rdata: c\r\n\n",
       {.events = {{.data = "a\nb\nc"}}}},
      {"partly invalid retry",
       "retry:700\nretry:800x\ndata:a\n\n",
       {.events = {{.data = "a", .retry = 700}}, .retry = 700}},
      {"id with NULL leaves the one in front of it",
       "id: 1\nid: not\0this\ndata: a\n\n"s,
       {.events = {{.data = "a", .id = "1"}}, .last_event_id = "1"}},
      {"id of a block without data", "id: 1\n\nid: not\0this\n\n"s, {.last_event_id = "1"}},
      {"id of a block without data, reset", "id: 1\n\nid:\n\n", {}},
      {"id of a block that ends in CR CR", "id: 1\r\r", {.last_event_id = "1"}},
      {"id of a block that ends in CRLF CRLF", "id: 1\r\n\r\n", {.last_event_id = "1"}},
      {"invalid retry between events",
       "\nretry: 300\n\ndata: a\n\nretry: 30x\n\ndata: b\n\n",
       {.events = {{.data = "a"}, {.data = "b"}}, .retry = 300}},
      {"unknown fields",
       "data:a\n data\ndata\nother:b\nwords\n:c\ndata:1\n\n",
       {.events = {{.data = "a\n\n1"}}}},
      {"not an event stream at all", "{\"error\":\"none\"}\nSome words instead\n", {}},
      {"discarded line, CRLF", "data: a\n:ignored\r\ndata: b\n\n", {.events = {{.data = "a\nb"}}}},
      {"discarded line, CR", "data: a\n:ignored\rdata: b\n\n", {.events = {{.data = "a\nb"}}}},
      {"bare field line in front of CRLF", "data: a\ndata\r\ndata: b\n\n", {.events = {{.data = "a\n\nb"}}}},
      {"unknown line in front of CR", "words\rdata: a\n\n", {.events = {{.data = "a"}}}},
      {"blank line that is CRLF behind a CR", "data: a\r\r\n", {.events = {{.data = "a"}}}},
  });
}

TEST_CASE("F-04 go-sse") {
  auto const text = "abc\rde\nfgh\r\nijkl"s;
  auto const long_line = [] {
    std::string line;
    for (int i = 0; i != 190; ++i) line += "the letters of a line ";
    return line;
  }();
  hold({
      {"normal data",
       "event: soup\ndata:of beans\ndata:  with bread  \r\n\n",
       {.events = {{.type = "soup", .data = "of beans\n with bread  "}}}},
      {"no line end at the end", ":a\r: b\ndata: c", {}},
      {"fields without data: a name with spaces behind it is another",
       "data\ndata  \ndata:\n\n",
       {.events = {{.data = "\n"}}}},
      {"invalid fields",
       "what's this:\nor that\nretry: 90\nid: 5\r\n\r\n",
       {.last_event_id = "5", .retry = 90}},
      {"one line end at the end", "data: a\ndata: b\r\n", {}},
      {"a NULL in the id, an x as retry",
       "id:\0\nretry:x\ndata: Hello\n\n"s,
       {.events = {{.data = "Hello"}}}},
      {"ids alone (go-sse tells an event for each, the standard none)",
       "id: a\n\nid: b\n\nid: c\n",
       {.last_event_id = "b"}},
      {"CRLF CRLF LF and CRLF CR CR LF part events",
       "data: " + text.substr(0, 3) + "\ndata\r\n\r\n\ndata: b\r\n\r\r\ndata: c\n\n",
       {.events = {{.data = "abc\n"}, {.data = "b"}, {.data = "c"}}}},
      {"a stream with comments between fields, colons in values and blank lines too many",
       "\nevent: scan\ndata: 1\ndata: 2\n:c\ndata: 3\nid: 1\n\n: c\nevent: other\ndata: 4\nid: 2\nretry: "
       "15\n\n\nevent: why\ndata: a, b: "
       "c\n\n",
       {.events = {{.type = "scan", .data = "1\n2\n3", .id = "1"},
                   {.type = "other", .data = "4", .id = "2", .retry = 15},
                   {.type = "why", .data = "a, b: c"}},
        .last_event_id = "2",
        .retry = 15}},
      {"a long line",
       "\nid:2\ndata:" + long_line + "\n\n",
       {.events = {{.data = long_line, .id = "2"}}, .last_event_id = "2"}},
      {"a mark", BOM "data: hello\n\n", {.events = {{.data = "hello"}}}},
      {"the last of several ids, types and retries counts",
       "data: a\nretry: 1\nretry: 2\nid: 1\nid: 2\n: c\ndata: b\nevent: x\nevent: y z\n\ndata: lost",
       {.events = {{.type = "y z", .data = "a\nb", .id = "2", .retry = 2}},
        .last_event_id = "2",
        .retry = 2}},
      {"retry alone, typed and untyped events, an end without blank line",
       "retry: 1000\n\nevent: a\ndata: 1\nid: 1\n\nevent: b\ndata: 2\n\ndata: 3\nid: 2\n\ndata: lost",
       {.events = {{.type = "a", .data = "1", .id = "1"},
                   {.type = "b", .data = "2"},
                   {.data = "3", .id = "2"}},
        .last_event_id = "2",
        .retry = 1000}},
      {"dispatchDirty (go-sse tells the unfinished event, the standard discards it)",
       "data: a\ndata: b\n",
       {}},
  });
}

TEST_CASE("F-05 eventsource-stream, httpx-sse, undici and sseclient-py") {
  hold({
      {"eventsource-stream: populate_fields, mixed line ends",
       "event: own\r\ndata:a\ndata: b\n:\nid: my-id\n:ignored too\rretry:42\n\n",
       {.events = {{.type = "own", .data = "a\nb", .id = "my-id", .retry = 42}},
        .last_event_id = "my-id",
        .retry = 42}},
      {"httpx-sse: iter_sse_event",
       "event: line\ndata: somebody came\n\n",
       {.events = {{.type = "line", .data = "somebody came"}}}},
      {"httpx-sse: id_null", "data: x\nid: 123\0\n\n"s, {.events = {{.data = "x"}}}},
      {"httpx-sse: id_retry (httpx-sse tells an event, the standard none)",
       "retry: 9000\n\n",
       {.retry = 9000}},
      {"httpx-sse: id_retry_invalid", "retry: 1848a\n\n", {}},
      {"httpx-sse: unknown_field", "anything: x\n\n", {}},
      {"httpx-sse: U+2028 is no line end",
       "data: {\"a\":\"b\xE2\x80\xA8"
       "c\"}\n\n",
       {.events = {{.data = "{\"a\":\"b\xE2\x80\xA8"
                            "c\"}"}}}},
      {"undici: data field, one space behind the colon", "data: \n\n", {.events = {{.data = ""}}}},
      {"undici: data field, three spaces", "data:   \n\n", {.events = {{.data = "  "}}}},
      {"undici: several colons", "data: : \n\n", {.events = {{.data = ": "}}}},
      {"undici: comment that looks like data", ":data: Hello\n\n", {}},
      {"undici: a name that looks like a word", "comment: x\n\n", {}},
      {"undici: custom type", "event: custom\ndata\n\n", {.events = {{.type = "custom", .data = ""}}}},
      {"undici: mark, then a field without its end", BOM "data: Hello", {}},
      {"undici: two events, a third unfinished",
       "data\n\ndata\ndata\n\ndata:",
       {.events = {{.data = ""}, {.data = "\n"}}}},
      {"undici: two identical events", "data:x\n\ndata: x\n\n", {.events = {{.data = "x"}, {.data = "x"}}}},
      {"sseclient-py: multi-byte characters",
       "id: 1\ndata: \xE2\x82\xAC\xE8\xB1\x86\n\n",
       {.events = {{.data = "\xE2\x82\xAC\xE8\xB1\x86", .id = "1"}}, .last_event_id = "1"}},
      {"sseclient-py: multi-byte characters behind CR and CRLF",
       "data: A\r\rdata: s\xC3\xB8y\r\rdata: A\r\n\r\ndata: s\xC3\xB8y\r\n\r\n",
       {.events = {{.data = "A"}, {.data = "s\xC3\xB8y"}, {.data = "A"}, {.data = "s\xC3\xB8y"}}}},
      {"sseclient-py: two types one after the other",
       "event: a\ndata: 1\n\nevent: b\ndata: 2\n\n",
       {.events = {{.type = "a", .data = "1"}, {.type = "b", .data = "2"}}}},
      {"sseclient-py: comments between",
       "data: a\n\n:nothing\n\ndata: b\n\n:\n\ndata: c\n\n",
       {.events = {{.data = "a"}, {.data = "b"}, {.data = "c"}}}},
      {"sseclient-py: empty lines of data, first and between",
       "data:\ndata:a\n\ndata: a\ndata:\ndata: b\n\n",
       {.events = {{.data = "\na"}, {.data = "a\n\nb"}}}},
      {"sseclient-py: no data, no event", "event: hello\n\n", {}},
      {"sseclient-py: white space at the ends of lines is kept",
       "event: hello \ndata: Hello  \n\n",
       {.events = {{.type = "hello ", .data = "Hello  "}}}},
      {"sseclient-py: universal newlines are no line ends",
       "data: a\v\f\x1C\x1D\x1E\xC2\x85\xE2\x80\xA8\xE2\x80\xA9z\n\n",
       {.events = {{.data = "a\v\f\x1C\x1D\x1E\xC2\x85\xE2\x80\xA8\xE2\x80\xA9z"}}}},
      {"sseclient-py: a chunk that begins with a line end, spaces that indent",
       "event: own type\r\ndata: {\r\ndata:     \"a\": 1,\r\ndata:     \"b\": 2\r\ndata: }\r\n\r\n",
       {.events = {{.type = "own type", .data = "{\n    \"a\": 1,\n    \"b\": 2\n}"}}}},
      {"sseclient-py: a large event",
       "data: " + std::string(10'000, 'a') + "\n\n",
       {.events = {{.data = std::string(10'000, 'a')}}}},
  });
}

TEST_CASE("F-06 LaunchDarkly: the contract tests for clients, and the C++ parser's own") {
  std::vector<fact> facts = {
      {"fields in reverse order",
       "data: a\nid: 1\nevent: e\n\n",
       {.events = {{.type = "e", .data = "a", .id = "1"}}, .last_event_id = "1"}},
      {"ID with a null", "id: a\0b\ndata: x\n\n"s, {.events = {{.data = "x"}}}},
      {"ID overridden by an empty value",
       "id: 1\ndata: a\n\nid: \ndata: b\n\n",
       {.events = {{.data = "a", .id = "1"}, {.data = "b", .id = ""}}}},
      {"fields without leading space", "event:e\ndata:a\n\n", {.events = {{.type = "e", .data = "a"}}}},
      {"fields with two leading spaces",
       "event:  e\ndata:  a\n\n",
       {.events = {{.type = " e", .data = " a"}}}},
      {"CRLF cut between CR and LF",
       "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n",
       {.events = {{.data = "a\nb"}, {.data = "c"}}}},
      {"mark in front of type and ID",
       BOM "event: e\nid: 1\ndata: a\n\n",
       {.events = {{.type = "e", .data = "a", .id = "1"}}, .last_event_id = "1"}},
      {"mark in a later event's data",
       "data: a\n\ndata: " BOM "b\n\n",
       {.events = {{.data = "a"}, {.data = BOM "b"}}}},
      {"a second mark, in the first event's data", BOM "data: " BOM "a\n\n", {.events = {{.data = BOM "a"}}}},
      {"mark in front of a comment", BOM ":c\ndata: a\n\n", {.events = {{.data = "a"}}}},
      {"mark in front of empty data", BOM "data:\n\n", {.events = {{.data = ""}}}},
      {"blank lines behind an event", "data: a\n\n\n\n", {.events = {{.data = "a"}}}},
      {"only empty data fields", "data:\ndata:\ndata:\n\n", {.events = {{.data = "\n\n"}}}},
      {"no data field (the C++ parser tells an event, the standard none)",
       "id: 1\nevent: e\n\n",
       {.last_event_id = "1"}},
      {"a CR at the end, and nothing behind it", "data: a\r", {}},
      {"an ID stays for the next event, also behind one with a null",
       "id: 1\ndata: a\n\nid: 1\0002\ndata: b\n\n"s,
       {.events = {{.data = "a", .id = "1"}, {.data = "b"}}, .last_event_id = "1"}},
      {"colons in a value", "data: a:b:c\n\n", {.events = {{.data = "a:b:c"}}}},
  };
  for (auto const& end : {"\n"s, "\r\n"s, "\r"s}) {
    facts.push_back({"one line", "data: a" + end + end, {.events = {{.data = "a"}}}});
    facts.push_back({"one line, then two",
                     "data: a" + end + end + "data: b" + end + "data: c" + end + end,
                     {.events = {{.data = "a"}, {.data = "b\nc"}}}});
    facts.push_back(
        {"an empty line first", "data:" + end + "data: b" + end + end, {.events = {{.data = "\nb"}}}});
    facts.push_back({"an empty line between",
                     "data: a" + end + "data:" + end + "data: c" + end + end,
                     {.events = {{.data = "a\n\nc"}}}});
    facts.push_back({"one blank line too many",
                     "data: a" + end + end + end + "data: b" + end + end,
                     {.events = {{.data = "a"}, {.data = "b"}}}});
    facts.push_back({"two blank lines too many",
                     "data: a" + end + end + end + end + "data: b" + end + end,
                     {.events = {{.data = "a"}, {.data = "b"}}}});
  }
  fact many = {"a hundred events in one chunk", {}, {}};
  for (int i = 0; i != 100; ++i) {
    many.bytes += "data: event " + std::to_string(i) + "\n\n";
    many.expected.events.push_back({.data = "event " + std::to_string(i)});
  }
  facts.push_back(many);
  hold(facts);

  // Payload sizes around the borders of other programs' buffers: whole, and with the cut that TCP would
  // make.
  for (std::size_t const size :
       {1u,    128u,  512u,  1023u, 1024u,  1025u,  2048u,  3999u,  4094u,   4096u,   4098u,
        6144u, 8189u, 8192u, 8195u, 12288u, 16384u, 32768u, 65536u, 262144u, 1048576u}) {
    auto const stream = "data: " + std::string(size, 'x') + "\n\n";
    support::literal::reading expected;
    expected.events = {{.data = std::string(size, 'x')}};
    for (auto const w : support::ways) {
      CAPTURE(size);
      CHECK(agrees(support::read_pieces(w, stream, {}), w, expected));
      CHECK(agrees(support::read_pieces(w, stream, {stream.size() / 2, stream.size() - 1}), w, expected));
    }
  }
}

TEST_CASE("F-07 faults that were reported of other parsers") {
  hold({
      {"a CR at a chunk's end waits for nothing, an LF behind it is no blank line (eventsource-parser 17)",
       "data: a\r\ndata: b\rdata: c\r\n\r\n",
       {.events = {{.data = "a\nb\nc"}}}},
      {"CRLF and LF in one chunk", "data: a\r\ndata: b\n\n", {.events = {{.data = "a\nb"}}}},
      {"lone CRs only: some deliver nothing",
       "event: e\rdata: a\r\rdata: b\r\r",
       {.events = {{.type = "e", .data = "a"}, {.data = "b"}}}},
      {"an LF far behind a CR is swallowed, and two events become one",
       "data: a\rdata: b\n\ndata: c\n\n",
       {.events = {{.data = "a\nb"}, {.data = "c"}}}},
      {"the type leaks into the next event", "event: e\n\ndata: a\n\n", {.events = {{.data = "a"}}}},
      {"an empty first line of data is dropped", "data:\ndata: a\n\n", {.events = {{.data = "\na"}}}},
      {"data that is empty drops the event", "data:\n\n", {.events = {{.data = ""}}}},
      {"a trailing line of data is dropped", "data: a\ndata:\n\n", {.events = {{.data = "a\n"}}}},
      {"a mark takes the first field with it",
       BOM "id: 1\ndata: a\n\n",
       {.events = {{.data = "a", .id = "1"}}, .last_event_id = "1"}},
      {"digits with something behind them are taken", "retry: 1000x\n\n", {}},
      {"the value is trimmed", "data:  a \n\n", {.events = {{.data = " a "}}}},
      {"an ID of an unfinished block is committed", "id: 1\n\nid: 2\ndata: a\n", {.last_event_id = "1"}},
      {"the unfinished event fires at the end", "data: a\n\ndata: b\n", {.events = {{.data = "a"}}}},
      {"a line of a space is taken for a blank line",
       "data: a\n \ndata: b\n\n",
       {.events = {{.data = "a\nb"}}}},
  });
}

}  // namespace
