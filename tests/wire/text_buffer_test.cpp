// SPDX-License-Identifier: MIT
#include <ssewire/core/utf8.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/wire/serializer.hpp>
#include <ssewire/wire/text_buffer.hpp>

#include <support/events.hpp>
#include <support/failing_allocations.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using ssewire::errc;
using ssewire::utf8_text_buffer;
using ssewire::detail::is_utf8;

using strings = std::vector<std::string>;

// What is taken when everything that is ready goes at once.
strings parts_of(std::string_view text, std::vector<std::size_t> const& cuts) {
  utf8_text_buffer pieces;
  strings parts;
  auto const take = [&] {
    if (pieces.ready().empty()) return;
    parts.emplace_back(pieces.ready());
    pieces.consume();
  };
  std::size_t begin = 0;
  for (auto const cut : cuts) {
    REQUIRE(pieces.append(text.substr(begin, cut - begin)) == errc::ok);
    take();
    begin = cut;
  }
  REQUIRE(pieces.append(text.substr(begin)) == errc::ok);
  take();
  pieces.end();
  take();
  return parts;
}

// What a client has when it joins the data of these events.
std::string at_the_client(strings const& parts) {
  std::string wire, joined;
  for (auto const& part : parts) ssewire::serialize({.data = part}, wire);
  for (auto const& e : support::parse_whole(wire).events) joined += e.data.value();
  return joined;
}

void check_cut(std::string_view text, std::vector<std::size_t> const& cuts) {
  auto const parts = parts_of(text, cuts);
  CAPTURE(support::quoted(text));
  CAPTURE(cuts);
  std::string all;
  for (auto const& part : parts) {
    all += part;
    if (is_utf8(text)) CHECK(is_utf8(part));
  }
  CHECK(all == text);
  CHECK(at_the_client(parts) == at_the_client({std::string(text)}));
}

std::string ready_of(std::string_view text) {
  utf8_text_buffer pieces;
  REQUIRE(pieces.append(text) == errc::ok);
  return std::string(pieces.ready());
}

TEST_CASE("however a text is cut, all of it is taken, in whole parts, and a client reads the same") {
  for (auto const& text :
       {"plain ASCII"s, "gr\xC3\xBC\xC3\x9F dich"s, "5 \xE2\x82\xAC, \xED\x9F\xBF\xEE\x80\x80"s,
        "\xF0\x9F\x99\x82 and \xF4\x8F\xBF\xBF"s, "one\r\ntwo\rthree\nfour\r\r\n\n\r"s,
        "\xE2\x82\xAC\r\n\xE2\x82\xAC\r"s, "a\0b\xC2\x80"s, "\xEF\xBB\xBFin front"s,
        "\xFF lone \xE2\x82 short \xF0\x9F\x99 \x80\x80\x80\x80"s,
        "\xC0\xAF\xE0\x80\xBF\xED\xA0\x80\xF4\x91\x92\x93"s, "it stops in \xF0\x9F\x99"s}) {
    check_cut(text, {});
    std::vector<std::size_t> every;
    for (std::size_t a = 0; a <= text.size(); ++a) {
      every.push_back(a);
      check_cut(text, {a});
      for (auto b = a; b <= text.size(); ++b) check_cut(text, {a, b});
    }
    check_cut(text, every);  // byte by byte
  }
}

// Whether some bytes behind it make a text UTF-8; three are enough.
bool may_become_utf8(std::string const& text, int more = 3) {
  if (is_utf8(text)) return true;
  if (more == 0) return false;
  for (char const next : {'\x80', '\x90', '\xA0', '\xBF'}) {
    if (may_become_utf8(text + next, more - 1)) return true;
  }
  return false;
}

// By the words: read from the front, code point by code point.
std::size_t literal_ready(std::string const& text) {
  std::size_t at = 0;
  while (at < text.size()) {
    auto const rest = text.substr(at);
    if (!ssewire::detail::utf8_next(rest).good && may_become_utf8(rest)) return at;
    at += ssewire::detail::utf8_next(rest).bytes;
  }
  return text.ends_with('\r') ? at - 1 : at;
}

TEST_CASE("what is held back is exactly what more bytes could change: all texts of four bytes of all kinds") {
  constexpr char kinds[] = {'a',    '\r',   '\n',   '\x80', '\x90', '\xA0', '\xBF', '\xC1',
                            '\xC2', '\xE0', '\xE2', '\xED', '\xF0', '\xF1', '\xF4', '\xF5'};
  std::size_t texts = 0, wrong = 0;
  std::string text;
  auto const extend = [&](auto const& self) -> void {
    ++texts;
    if (text.size() - ssewire::detail::unsettled_bytes(text) != literal_ready(text)) {
      MESSAGE(support::quoted(text));
      ++wrong;
    }
    if (text.size() == 4) return;
    for (char const kind : kinds) {
      text += kind;
      self(self);
      text.pop_back();
    }
  };
  extend(extend);
  CHECK(wrong == 0);
  CHECK(texts == 69'905);  // 16^0 + ... + 16^4
}

TEST_CASE("a sequence waits for its last byte, and not for anything behind it") {
  CHECK(ready_of("a\xF0\x9F\x99") == "a");
  CHECK(ready_of("a\xF0\x9F\x99\x82") == "a\xF0\x9F\x99\x82");
}

TEST_CASE("bytes that can never become UTF-8 are not held back") {
  CHECK(ready_of("a\xFF") == "a\xFF");
  CHECK(ready_of("a\x80\x80\x80") == "a\x80\x80\x80");
  CHECK(ready_of("a\xE0\x80") == "a\xE0\x80");
  CHECK(ready_of("a\xE0\xA0") == "a");
}

TEST_CASE("a CR waits for the LF that may follow, and for nothing else") {
  CHECK(ready_of("a\r") == "a");
  CHECK(ready_of("a\r\n") == "a\r\n");
  CHECK(ready_of("a\r\r") == "a\r");
  CHECK(ready_of("a\rb") == "a\rb");
}

TEST_CASE("what comes before it was taken is merged") {
  utf8_text_buffer pieces;
  for (auto const* piece : {"5 ", "\xE2", "\x82", "\xAC", "\r", "\n!", "\xC3"})
    CHECK(pieces.append(piece) == errc::ok);
  CHECK(pieces.ready() == "5 \xE2\x82\xAC\r\n!");
  CHECK(pieces.ready() == "5 \xE2\x82\xAC\r\n!");  // asking takes nothing
  pieces.consume();
  CHECK(pieces.ready().empty());
  pieces.consume();  // of nothing
  CHECK(pieces.append("\xBC") == errc::ok);
  CHECK(pieces.ready() == "\xC3\xBC");
}

TEST_CASE("at the end the rest is ready, and a piece behind it begins another text") {
  utf8_text_buffer pieces;
  pieces.end();
  CHECK(pieces.ready().empty());
  for (auto const& [piece, again] : {std::pair{"cut \xE2\x82"s, "\xE2\x82"s}, {"a\r"s, "\r"s}}) {
    CHECK(pieces.append(piece) == errc::ok);
    pieces.end();
    CHECK(pieces.append("") == errc::ok);  // is no piece
    CHECK(pieces.ready() == piece);
    pieces.consume();
    CHECK(pieces.append(again) == errc::ok);
    CHECK(pieces.ready().empty());
    pieces.end();
    CHECK(pieces.ready() == again);
    pieces.consume();
  }
}

TEST_CASE("the byte at the limit is taken, the one behind it refused, and nothing of its piece is taken") {
  utf8_text_buffer pieces(8);
  CHECK(pieces.append("123456789") == errc::outbox_full);
  CHECK(pieces.ready().empty());
  CHECK(pieces.append("12345\xF0\x9F") == errc::ok);
  CHECK(pieces.append("\x99\x82") == errc::outbox_full);
  CHECK(pieces.append("\x99") == errc::ok);
  CHECK(pieces.append("\x82") == errc::outbox_full);
  CHECK(pieces.append("") == errc::ok);
  CHECK(pieces.ready() == "12345");
  pieces.consume();
  CHECK(pieces.append("\x82-----") == errc::outbox_full);  // three bytes wait
  CHECK(pieces.append("\x82---\r") == errc::ok);
  CHECK(pieces.append("\n") == errc::outbox_full);
  CHECK(pieces.ready() == "\xF0\x9F\x99\x82---");
}

TEST_CASE("a limit of nothing takes nothing") {
  utf8_text_buffer pieces(0);
  CHECK(pieces.append("") == errc::ok);
  CHECK(pieces.append("x") == errc::outbox_full);
  pieces.end();
  CHECK(pieces.ready().empty());
}

TEST_CASE("the largest text fits into the outbox of a stream, also if all of it is line ends") {
  utf8_text_buffer pieces;
  std::string const worst(8 * 1024, '\n');
  CHECK(pieces.append(worst) == errc::ok);
  CHECK(pieces.append("x") == errc::outbox_full);
  CHECK(pieces.ready() == worst);
  CHECK(ssewire::serialized_size({.data = pieces.ready()}) < ssewire::stream_options().max_outbox_bytes);
}

TEST_CASE("it may be given parts of itself") {
  utf8_text_buffer pieces;
  CHECK(pieces.append("0123456789abcdef") == errc::ok);
  CHECK(pieces.append(pieces.ready()) == errc::ok);
  CHECK(pieces.ready() == "0123456789abcdef0123456789abcdef");
}

TEST_CASE("copied, a text goes on twice; moved, it goes on elsewhere, and nothing is left") {
  utf8_text_buffer first;
  CHECK(first.append("long enough not to lie in the object itself, and \xE2\x82") == errc::ok);
  auto second = first;
  auto third = std::move(first);
  CHECK(first.ready().empty());  // NOLINT: that is the question
  for (auto* const pieces : {&second, &third}) {
    CHECK(pieces->ready() == "long enough not to lie in the object itself, and ");
    CHECK(pieces->append("\xAC") == errc::ok);
    CHECK(pieces->ready() == "long enough not to lie in the object itself, and \xE2\x82\xAC");
  }
  first = utf8_text_buffer(3);
  CHECK(first.append("1234") == errc::outbox_full);
  CHECK(first.append("123") == errc::ok);
}

TEST_CASE("when memory fails, nothing of the piece was taken and nothing is lost") {
  std::string const piece = std::string(100, 'x') + "\xE2";
  int failures = 0;
  for (bool failed = true; failed; failures += failed ? 1 : 0) {
    utf8_text_buffer pieces;
    std::size_t taken = 0;
    bool told = true;
    auto const before = support::allocations_failed;
    support::allocations_left = failures;
    for (int i = 0; i < 10; ++i) {
      auto const failed_before = support::allocations_failed;
      auto const error = pieces.append(piece);
      bool const good = support::allocations_failed == failed_before;
      told = told && error == (good ? errc::ok : errc::no_memory);
      taken += good ? piece.size() : 0;
    }
    support::allocations_left = -1;
    failed = support::allocations_failed != before;
    CHECK(told);
    CHECK(taken == (failed ? 9 : 10) * piece.size());
    CHECK(pieces.ready().size() == taken - 1);
    pieces.end();
    CHECK(pieces.ready().size() == taken);
  }
  CHECK(failures >= 3);
}

}  // namespace
