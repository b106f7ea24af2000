// SPDX-License-Identifier: MIT
// Each normative sentence of the section, in its order: the number is the sentence's place in this file.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream.
#include <ssewire/http/response_fields.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/every_split.hpp>
#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace {

using ssewire::event;
using ssewire::parser;
using support::events;
using support::every_split;
using namespace std::string_literals;
using namespace std::string_view_literals;

#define BOM "\xEF\xBB\xBF"

// Every scalar value that is neither CR nor LF. (Surrogates have no UTF-8.)
template <class Each> void for_each_character(Each each) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == U'\r' || c == U'\n' || (c >= 0xD800 && c <= 0xDFFF)) continue;
    each(c, support::literal::utf8_encode(std::u32string_view(&c, 1)));
  }
}

TEST_CASE("9.2.5-01 the MIME type of an event stream is text/event-stream") {
  for (auto const version : {ssewire::http_version::http_1_1, ssewire::http_version::http_2}) {
    std::string found;
    for (auto const& field : ssewire::response_fields(version)) {
      if (field.name == "Content-Type") found += field.value;
    }
    CHECK(found == "text/event-stream");
  }
}

// The productions.

TEST_CASE("9.2.5-02 stream = [ bom ] *event") {
  every_split("", {});
  every_split(BOM, {});
  every_split("\n", {});
  every_split(BOM "\n", {});
  every_split("data: a\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
  every_split(BOM "data: a\n\ndata: b\n\n", {.events = {{.data = "a"}, {.data = "b"}}});
}

TEST_CASE("9.2.5-03 event = *( comment / field ) end-of-line") {
  every_split("\n\n\n", {});
  every_split(":\n\n", {});
  every_split(":a\ndata: x\n:b\nid: 1\n\n", {.events = {{.data = "x", .id = "1"}}, .last_event_id = "1"});
  every_split("id: 1\n:\n:\ndata: x\n:c\n\n", {.events = {{.data = "x", .id = "1"}}, .last_event_id = "1"});
  every_split(
      "data: x\nevent: e\nretry: 7\nid: 1\n\n",
      {.events = {{.type = "e", .data = "x", .id = "1", .retry = 7}}, .last_event_id = "1", .retry = 7});
}

TEST_CASE("9.2.5-04 comment = colon *any-char end-of-line") {
  every_split(":\ndata: x\n\n", {.events = {{.data = "x"}}});
  every_split("::\ndata: x\n\n", {.events = {{.data = "x"}}});
  every_split(": a: b\rdata: x\r\r", {.events = {{.data = "x"}}});
  every_split(":a\0b\r\ndata: x\r\n\r\n"sv, {.events = {{.data = "x"}}});
}

TEST_CASE("9.2.5-05 field = 1*name-char [ colon [ space ] *any-char ] end-of-line") {
  every_split("data\n\n", {.events = {{.data = ""}}});
  every_split("data:\n\n", {.events = {{.data = ""}}});
  every_split("data: \n\n", {.events = {{.data = ""}}});
  every_split("data:x\n\n", {.events = {{.data = "x"}}});
  every_split("data: x\n\n", {.events = {{.data = "x"}}});
  every_split("d\nda\ndat\ndata\n\n", {.events = {{.data = ""}}});
  every_split("x:data: y\ndata\n\n", {.events = {{.data = ""}}});
}

TEST_CASE("9.2.5-06 end-of-line = ( cr lf / cr / lf )") {
  for (auto const& a : {"\n"s, "\r"s, "\r\n"s}) {
    for (auto const& b : {"\n"s, "\r"s, "\r\n"s}) {
      if (a == "\r" && b == "\n") continue;  // these two are one, see 9.2.5-15
      every_split("data: x" + a + "data: y" + a + b + "data: z" + b + b,
                  {.events = {{.data = "x\ny"}, {.data = "z"}}});
    }
  }
}

// The characters.

TEST_CASE("9.2.5-07 lf is U+000A and cr is U+000D: of all characters only these end a line") {
  std::string stream;
  std::string data;
  for_each_character([&](char32_t c, std::string const& character) {
    stream += c % 64 == 0 ? "\ndata:x" + character : character;
    data += c % 64 == 0 ? "\nx" + character : character;
  });
  stream += "\n\n";
  auto const got = support::parse_whole(stream);
  REQUIRE(got.events.size() == 1);
  CHECK((*got.events[0].data == std::string_view(data).substr(1)));

  for (auto const& c : {"\0"s, "\t"s, "\v"s, "\f"s, "\x0E"s, "\x1C"s, "\x1E"s, "\x85"s, "\x8A"s, "\x8D"s,
                        "\xC2\x85"s, "\xC2\x8A"s, "\xC2\x8D"s, "\xE2\x80\xA8"s, "\xE2\x80\xA9"s}) {
    every_split("data: a" + c + "z\n\n", {.events = {{.data = support::literal::repaired("a" + c + "z")}}});
  }
}

TEST_CASE("9.2.5-08 space is U+0020: no other character is dropped behind the colon") {
  std::string stream;
  events expected;
  for (char32_t c = 0; c < 0x3100; ++c) {
    if (c == U'\r' || c == U'\n') continue;
    auto const character = support::literal::utf8_encode(std::u32string_view(&c, 1));
    stream += "data:" + character + "\n\n";
    expected.push_back({.data = c == U' ' ? "" : character});
  }
  CHECK((support::parse_whole(stream).events == expected));

  for (auto const& c : {"\0"s, "\t"s, "\v"s, "\x1F"s, "!"s, "\xA0"s, "\xC2\xA0"s, "\xE2\x80\x80"s,
                        "\xE3\x80\x80"s, "" BOM ""s}) {
    every_split("data:" + c + "x\n\n", {.events = {{.data = support::literal::repaired(c + "x")}}});
  }
}

TEST_CASE("9.2.5-09 colon is U+003A: no other character parts a name from its value") {
  std::string stream;
  for_each_character([&](char32_t c, std::string const& character) {
    if (c != U':') stream += "data" + character + "x\n";
  });
  stream += "\ndata:end\n\n";
  CHECK((support::parse_whole(stream).events == events{{.data = "end"}}));

  for (auto const& c : {"\0"s, ";"s, "9"s, "="s, " "s, "\xBA"s, "\xC2\xBA"s, "\xEF\xBC\x9A"s}) {
    every_split("data" + c + "x\ndata\n\n", {.events = {{.data = ""}}});
    every_split("id" + c + "1\nevent" + c + "e\nretry" + c + "1\ndata\n\n", {.events = {{.data = ""}}});
  }
}

TEST_CASE("9.2.5-10 bom is U+FEFF, as UTF-8: nothing else is dropped in front of the stream") {
  for (auto const& c :
       {"\xEF"s, "\xEF\xBB"s, "\xBB\xBF"s, "\xBF"s, "\xEF\xBB\xBE"s, "\xEF\xBB\xBD"s, "\xEF\xBA\xBF"s,
        "\xEE\xBB\xBF"s, "\xEF\xBF\xBE"s, "\xFE\xFF"s, "\xFF\xFE"s, "\xEF\xEF\xBB\xBF"s,
        "\xEF\xBB\xEF\xBB\xBF"s, "\xC3\xAF\xC2\xBB\xC2\xBF"s, " "s, " " BOM ""s, "\0" BOM ""s}) {
    every_split(c + "data: x\ndata: y\n\n", {.events = {{.data = "y"}}});
    every_split(c + "\ndata: x\n\n", {.events = {{.data = "x"}}});
    every_split(c, {});
  }
}

TEST_CASE("9.2.5-11 name-char is any character but LF, CR and colon") {
  // Wherever it stands in the name, it belongs to it, and makes it another name.
  std::string stream;
  for_each_character([&](char32_t c, std::string const& character) {
    if (c == U':') return;
    stream += character + "data: x\n";
    if (c < 0x3000) stream += "da" + character + "ta: x\n" + "data" + character + ": x\n" + character + "\n";
  });
  stream += "\ndata: end\n\n";
  CHECK((support::parse_whole(stream).events == events{{.data = "end"}}));

  every_split("\0: x\n \n\t\ndata\0: x\n\xC3\xA9\n\xFF: x\ndata: x\n\n"sv, {.events = {{.data = "x"}}});
}

TEST_CASE("9.2.5-12 any-char is any character but LF and CR") {
  std::string stream;
  events expected;
  for (char32_t c = 0; c < 0x3100; ++c) {
    if (c == U'\r' || c == U'\n') continue;
    auto const character = support::literal::utf8_encode(std::u32string_view(&c, 1));
    stream += ":" + character + "\nevent: e" + character + "\ndata: a" + character + "z\n\n";
    expected.push_back({.type = "e" + character, .data = "a" + character + "z"});
  }
  CHECK((support::parse_whole(stream).events == expected));

  every_split("event: \0:\ndata: : \0\x7F\n\n"sv, {.events = {{.type = "\0:"s, .data = ": \0\x7F"s}}});
}

// The prose behind the grammar.

TEST_CASE("9.2.5-13 event streams are encoded as UTF-8, whatever the server says of their charset") {
  every_split("event: gr\xC3\xBC\xC3\x9F\nid: \xE2\x82\xAC\ndata: \xF0\x9F\x98\x80\n\n",
              {.events = {{.type = "gr\xC3\xBC\xC3\x9F", .data = "\xF0\x9F\x98\x80", .id = "\xE2\x82\xAC"}},
               .last_event_id = "\xE2\x82\xAC"});
  every_split("data: ok\x85\n\n",
              {.events = {{.data = "ok\xEF\xBF\xBD"}}});  // not the ellipsis of windows-1252
  every_split("d\0a\0t\0a\0:\0x\0\n\0\n\0"sv, {});        // nor UTF-16
}

TEST_CASE("9.2.5-14 lines are separated by CRLF, LF or CR, also by each of them in one stream") {
  every_split("data: 1\rdata: 2\ndata: 3\r\ndata: 4\r\r\n", {.events = {{.data = "1\n2\n3\n4"}}});
  every_split("data: x\n\r\n", {.events = {{.data = "x"}}});
  every_split("data: x\n\r", {.events = {{.data = "x"}}});
  every_split("data: x\r\n\n", {.events = {{.data = "x"}}});
  every_split("data: x\r\n\r", {.events = {{.data = "x"}}});
}

TEST_CASE("9.2.5-15 CRLF is one line end, LFCR is two") {
  every_split("data: x\r\ndata: y\r\n\r\n", {.events = {{.data = "x\ny"}}});
  every_split("data: x\n\rdata: y\n\r", {.events = {{.data = "x"}, {.data = "y"}}});
  every_split("data: x\r\n", {});
}

TEST_CASE("9.2.5-16 no buffer delays an event: the byte that ends its blank line fires it") {
  for (auto const& end : {"\n"s, "\r"s, "\r\n"s}) {
    parser p;
    std::size_t fired = 0;
    auto const count = [&](event const&) { ++fired; };
    std::size_t expected = 0;
    for (std::size_t n = 0; n < 200; n += 7) {
      for (char const c : "data: " + std::string(n, 'x') + end) p.feed({&c, 1}, count);
      CHECK(fired == expected);
      p.feed(end.substr(0, 1), count);  // a CR ends its line now; an LF may follow or not
      CHECK(fired == ++expected);
      p.feed(end.substr(1), count);
      CHECK(fired == expected);
    }
  }
}

}  // namespace
