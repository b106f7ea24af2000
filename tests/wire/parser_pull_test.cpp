// SPDX-License-Identifier: MIT
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::parser;
using support::events;

constexpr auto ignore = [](event const&) {};

events pull_all(parser& p) {
  events got;
  while (auto const e = p.next()) got.push_back(support::record(*e));
  return got;
}

bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

TEST_CASE("next answers the events of the fed bytes, one at a time, and then nothing") {
  parser p;
  auto const fed = p.feed("id: 1\ndata: a\n\nevent: t\ndata: b\n\ndata: half");
  CHECK(fed.error == errc::ok);
  CHECK(fed.value == 43);
  CHECK(p.offset() == 0);
  auto const a = p.next();
  REQUIRE(a);
  CHECK(a->data == "a");
  CHECK(p.last_event_id() == "1");
  CHECK(p.offset() == 15);
  auto const b = p.next();
  REQUIRE(b);
  CHECK(b->type.value() == "t");
  CHECK(p.offset() == 33);
  CHECK(!p.next());
  CHECK(!p.next());
  CHECK(p.offset() == 43);
  CHECK(p.feed(" and half\n\n"));
  CHECK(pull_all(p) == events{{.data = "half and half"}});
}

TEST_CASE("an event that lies in the fed bytes is not copied") {
  parser p;
  std::string const bytes = "event: tick\nid: 7\ndata: some text\n\n";
  p.feed(bytes);
  auto const e = p.next();
  REQUIRE(e);
  CHECK(lies_in(*e->data, bytes));
  CHECK(lies_in(e->type.value(), bytes));
}

TEST_CASE("the views of an event that came in pieces live until the next call") {
  parser p;
  std::string first = "data: one\ndata: tw";
  p.feed(first);
  CHECK(!p.next());
  first.assign(first.size(), '!');
  std::string second = "o\n\ndata: x\n\n";
  p.feed(second);
  auto const e = p.next();
  REQUIRE(e);
  CHECK(e->data == "one\ntwo");
  CHECK(pull_all(p) == events{{.data = "x"}});
}

TEST_CASE("bytes that wait to be read are not fed over, nor is the stream finished before them") {
  parser p;
  p.feed("data: a\n\ndata: b\n\n");
  CHECK(p.feed("data: c\n\n").error == errc::bytes_waiting);
  CHECK(p.feed("data: c\n\n", ignore).error == errc::bytes_waiting);
  CHECK(p.finish().error == errc::bytes_waiting);
  CHECK(p.error() == errc::ok);
  REQUIRE(p.next());
  CHECK(p.feed("data: c\n\n").error == errc::bytes_waiting);
  CHECK(pull_all(p) == events{{.data = "b"}});
  CHECK(p.feed("data: c\n\n"));
  CHECK(pull_all(p) == events{{.data = "c"}});
  CHECK(p.finish());
  CHECK(p.error() == errc::closed);
}

TEST_CASE("when next has answered the last event at the very end, more can be fed at once") {
  parser p;
  p.feed("data: a\n\n");
  REQUIRE(p.next());
  CHECK(p.feed("data: b\n\n"));
  REQUIRE(p.next());
  CHECK(p.finish());
}

template <class Parser, class... Arguments> concept feeds = requires(Parser& p, Arguments&&... arguments) {
  p.feed(std::forward<Arguments>(arguments)...);
};

TEST_CASE("what would be read wrongly or too late is refused when it is compiled") {
  static_assert(feeds<parser, std::string_view>);
  static_assert(feeds<parser, std::string&>);
  static_assert(feeds<parser, std::string const&>);
  static_assert(feeds<parser, char const(&)[4]>, "a literal");
  static_assert(feeds<parser, char const*>);
  static_assert(!feeds<parser, std::string>, "gone before next() reads it");
  static_assert(!feeds<parser, char(&)[4]>, "how many bytes of the buffer?");
  auto const count = [](event const&) {};
  auto const hear = [](std::string_view) {};
  static_assert(feeds<parser, std::string, decltype(count)>, "read before it is gone");
  static_assert(!feeds<parser, char(&)[4], decltype(count)>);
  static_assert(!feeds<parser, std::string_view, int>, "no function of an event");
  static_assert(!feeds<parser, std::string_view, decltype(hear)>);
  static_assert(feeds<parser, std::string_view, decltype(count), decltype(hear)>);
  static_assert(!feeds<parser, std::string_view, decltype(hear), decltype(count)>, "the event's comes first");
}

TEST_CASE("nothing fed is nothing waiting") {
  parser p;
  CHECK(!p.next());
  CHECK(p.feed(""));
  CHECK(p.feed("data: a\n\n"));
  CHECK(pull_all(p).size() == 1);
}

TEST_CASE(
    "an LF that belongs to the CR of the blank line in front is no blank line, also between two events") {
  parser p;
  p.feed("data: a\r\n\r\ndata: b\r\r\n\r\rdata: c\r\r");
  CHECK(pull_all(p) == events{{.data = "a"}, {.data = "b"}, {.data = "c"}});
  p.feed("\n");
  CHECK(!p.next());
  p.feed("data: d\r\n\r");
  CHECK(pull_all(p) == events{{.data = "d"}});
}

TEST_CASE("bytes that are no UTF-8 are repaired in every event that is pulled, and only there") {
  parser p;
  p.feed("data: a\n\ndata: \xFF"
         "b\n\ndata: c\n\ndata: \xC3\xA9\n\n");
  CHECK(pull_all(p) == events{{.data = "a"},
                              {.data = "\xEF\xBF\xBD"
                                       "b"},
                              {.data = "c"},
                              {.data = "\xC3\xA9"}});
}

TEST_CASE("an exceeded limit ends the pulling; error says which and offset where") {
  parser p({.max_line_bytes = 8});
  p.feed("data: a\n\ndata: abc\n\ndata: b\n\n");
  CHECK(pull_all(p) == events{{.data = "a"}});
  CHECK(p.error() == errc::line_too_long);
  CHECK(p.offset() == 9);
  CHECK(p.feed("data: b\n\n").error == errc::line_too_long);
  CHECK(p.finish().error == errc::line_too_long);
  p.reset();
  CHECK(p.error() == errc::ok);
  CHECK(p.offset() == 0);
  p.feed("data: b\n\n");
  CHECK(pull_all(p) == events{{.data = "b"}});
}

TEST_CASE("reset forgets the bytes that wait") {
  parser p;
  p.feed("data: a\n\ndata: b\n\n");
  REQUIRE(p.next());
  p.reset();
  CHECK(!p.next());
  p.feed("data: c\n\n");
  CHECK(pull_all(p) == events{{.data = "c"}});
}

TEST_CASE("push and pull may take turns") {
  parser p;
  events pushed;
  auto const record = [&](event const& e) { pushed.push_back(support::record(e)); };
  p.feed("data: a", record);
  p.feed("\n\ndata: b");
  CHECK(pull_all(p) == events{{.data = "a"}});
  p.feed("\n\n", record);
  CHECK(pushed == events{{.data = "b"}});
}

TEST_CASE("the parser that runs a callback cannot be pulled from inside it") {
  parser p;
  p.feed("data: a\n\n", [&](event const&) {
    CHECK(!p.next());
    CHECK(p.feed("data: b\n\n").error == errc::called_from_inside);
    CHECK(p.error() == errc::ok);
  });
  CHECK(p.error() == errc::ok);
}

TEST_CASE("a copy pulls the same events from the same bytes") {
  std::string const bytes = "data: a\n\ndata: b\ndata: b\n\n";
  parser p;
  p.feed(bytes);
  REQUIRE(p.next());
  parser copy = p;
  CHECK(pull_all(copy) == pull_all(p));
}

// Comments.

struct heard {
  std::string all;
  void operator()(event const& e) { all += "<" + std::string(e.data.value_or("")) + ">"; }
  void operator()(std::string_view comment) { all += "[" + std::string(comment) + "]"; }
};

std::string hear(std::vector<std::string_view> pieces, ssewire::utf8 encoding = ssewire::utf8::repair) {
  parser p({}, encoding);
  heard h;
  for (auto const piece : pieces) {
    std::string own(piece);
    p.feed(own, h, h);
    own.assign(own.size(), '!');
  }
  return h.all;
}

std::string hear_by_pull(std::vector<std::string_view> pieces) {
  parser p;
  heard h;
  for (auto const piece : pieces) {
    p.feed(piece);
    while (auto const e = p.next(h)) h(*e);
  }
  return h.all;
}

TEST_CASE("comments come in their place, less the colon and one space") {
  for (auto const& how : {+[](std::vector<std::string_view> v) { return hear(v); }, +hear_by_pull}) {
    CHECK(how({": a\ndata: x\n:b\n\n:  c\n:\n::d\r:e\r\n"}) == "[a][b]<x>[ c][][:d][e]");
    CHECK(how({":", " keep", "-alive\n", "data: x\n", ":\n\n"}) == "[keep-alive][]<x>");
    CHECK(how({":never ended"}).empty());
    CHECK(how({"data: x\n\n:", "\n", ":", "\n"}) == "<x>[][]");
    CHECK(how({"\xEF\xBB\xBF: a\n"}) == "[a]");
    CHECK(how({" : no comment\ndata:: none\n\n"}) == "<: none>");
  }
}

TEST_CASE("comments are repaired like data, or left as they are") {
  CHECK(hear({": a\xFFz\n"}) == "[a\xEF\xBF\xBDz]");
  CHECK(hear({": a\xFFz\n"}, ssewire::utf8::keep) == "[a\xFFz]");
}

TEST_CASE("a comment does not disturb the event it stands in") {
  CHECK(hear({"data: \xFFx\n: \xFE\ndata: y\n\n"}) == "[\xEF\xBF\xBD]<\xEF\xBF\xBDx\ny>");
}

TEST_CASE("on_comment may reset the parser: the rest is not read") {
  for (auto const& pieces : {std::vector<std::string_view>{"data: a\n: stop\n\ndata: b\n\n"},
                             std::vector<std::string_view>{"data: a\n: st", "op\n\ndata: b\n\n"}}) {
    parser p;
    events got;
    auto const record = [&](event const& e) { got.push_back(support::record(e)); };
    ssewire::result<std::size_t> last;
    for (auto const piece : pieces) last = p.feed(piece, record, [&](std::string_view) { p.reset(); });
    CHECK(last.error == errc::ok);
    CHECK(pieces.back().substr(last.value) == "\ndata: b\n\n");
    CHECK(p.offset() == 0);
    p.feed("data: c\n\n", record);
    CHECK(got == events{{.data = "c"}});

    parser q;
    for (auto const piece : pieces) {
      q.feed(piece);
      CHECK(!q.next([&](std::string_view) { q.reset(); }));
    }
    q.feed("data: c\n\n");
    CHECK(pull_all(q) == events{{.data = "c"}});
  }
}

#if defined(__cpp_exceptions)
TEST_CASE("on_comment may throw: then the parser wants a reset") {
  parser p;
  auto const thrower = [](std::string_view) { throw 1; };
  CHECK_THROWS_AS(p.feed(": a\ndata: b\n\n", ignore, thrower), int);
  CHECK(p.error() == errc::called_from_inside);
  CHECK(p.feed("data: b\n\n", ignore).error == errc::called_from_inside);
  p.reset();
  p.feed(": a\ndata: b\n\n");
  CHECK_THROWS_AS(p.next(thrower), int);
  CHECK(!p.next());
  CHECK(p.error() == errc::called_from_inside);
  p.reset();
  CHECK(p.feed("data: b\n\n"));
  CHECK(pull_all(p).size() == 1);
}
#endif

// What finish() would drop.

TEST_CASE("there is a partial event inside a line and inside a block, and not between them") {
  struct {
    std::string_view bytes;
    bool unfinished;
  } const cases[] = {
      {"", false},
      {"\xEF\xBB", true},
      {"data: a", true},
      {"data: a\n", true},
      {"data: a\n\n", false},
      {"id: 1\r", true},
      {"id: 1\r\r", false},
      {"event: a\n", true},
      {": a", true},
      {": a\n", false},
      {"retry: 1\n", true},
      {"other\n", false},
      {"\xEF\xBB\xBF", false},
      {"data: a\n\nd", true},
      {"data: a\n\ndata\n\n\n", false},
  };
  for (auto const& c : cases) {
    CAPTURE(support::quoted(c.bytes));
    parser p;
    for (auto const byte : c.bytes) p.feed({&byte, 1}, ignore);
    CHECK(p.has_partial_event() == c.unfinished);
    p.finish();
    CHECK(!p.has_partial_event());
  }
  parser p;
  p.feed("data: a\n\n");
  CHECK(p.has_partial_event());
  CHECK(p.next());
  CHECK(!p.has_partial_event());
}

// Where an error stands.

struct stop {
  errc error;
  std::uint64_t offset;
  friend bool operator==(stop, stop) = default;
};

TEST_CASE("an exceeded limit is reported for the same byte however the stream was cut") {
  struct {
    std::string_view bytes;
    stop expected;
  } const cases[] = {
      {"data: a\n\ndata: 123456789\n\n", {errc::line_too_long, 9}},
      {"data: a\n\n: a comment that never ends", {errc::line_too_long, 9}},
      {"\xEF\xBB\xBF"
       "data: a\n\ndata: 123456789\n\n",
       {errc::line_too_long, 12}},
      {"\xEF\xBB"
       "data: a, no byte order mark\n",
       {errc::line_too_long, 0}},
      {"data: 123\ndata: 456\ndata: 7\n\n", {errc::event_too_long, 20}},
      {"event: 1234\r\ndata: 56\r\ndata: 78\r\n", {errc::event_too_long, 23}},
      {"data: a\r\n\r\nid: 12345\r\n\r\n", {errc::id_too_long, 11}},
      {"data: a\n\n", {errc::ok, 9}},
  };
  ssewire::parser_limits const limits{.max_line_bytes = 13, .max_event_bytes = 8, .max_id_bytes = 4};
  for (auto const& c : cases) {
    CAPTURE(support::quoted(c.bytes));
    for (std::size_t piece = 1; piece <= c.bytes.size(); ++piece) {
      CAPTURE(piece);
      parser pushed(limits);
      parser pulled(limits);
      for (std::size_t i = 0; i < c.bytes.size(); i += piece) {
        pushed.feed(c.bytes.substr(i, piece), ignore);
        pulled.feed(c.bytes.substr(i, piece));
        while (pulled.next()) {
        }
      }
      CHECK(stop{pushed.error(), pushed.offset()} == c.expected);
      CHECK(stop{pulled.error(), pulled.offset()} == c.expected);
    }
  }
}

}  // namespace
