// SPDX-License-Identifier: MIT
#include <ssewire/core/utf8.hpp>

#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace {

using namespace std::string_literals;
using support::literal::repaired;

std::string repair(std::string_view text) {
  std::string scratch = "left over";
  return std::string(ssewire::detail::utf8_repair(text, scratch));
}

#define FFFD "\xEF\xBF\xBD"

TEST_CASE("well-formed text is answered as it is, without a copy") {
  std::string scratch;
  for (std::string_view const text :
       {"", "a", "eight by", "gr\xC3\xBC\xC3\x9F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xEF\xBB\xBF",
        "\xEF\xBF\xBD", "long enough for a word, then \xC3\xA9"}) {
    auto const same = ssewire::detail::utf8_repair(text, scratch);
    CHECK(same.data() == text.data());
    CHECK(same.size() == text.size());
  }
  CHECK(scratch.empty());
}

TEST_CASE("NUL is well-formed") { CHECK(repair("a\0b"s) == "a\0b"s); }

TEST_CASE("each maximal subpart becomes one U+FFFD, as in Unicode's table 3-8: non-shortest forms") {
  CHECK(repair("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
}

TEST_CASE("each maximal subpart becomes one U+FFFD, as in Unicode's table 3-9: surrogates") {
  CHECK(repair("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
}

TEST_CASE("each maximal subpart becomes one U+FFFD, as in Unicode's table 3-10: other ill-formed sequences") {
  CHECK(repair("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B");
}

TEST_CASE("each maximal subpart becomes one U+FFFD, as in Unicode's table 3-11: truncated sequences") {
  CHECK(repair("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == FFFD FFFD FFFD FFFD "A");
}

TEST_CASE("the first and the last code point of each length are well-formed, those beyond are not") {
  CHECK(repair("\x7F") == "\x7F");
  CHECK(repair("\xC2\x80") == "\xC2\x80");
  CHECK(repair("\xC1\xBF") == FFFD FFFD);
  CHECK(repair("\xDF\xBF") == "\xDF\xBF");
  CHECK(repair("\xE0\xA0\x80") == "\xE0\xA0\x80");
  CHECK(repair("\xE0\x9F\xBF") == FFFD FFFD FFFD);
  CHECK(repair("\xED\x9F\xBF") == "\xED\x9F\xBF");
  CHECK(repair("\xED\xA0\x80") == FFFD FFFD FFFD);
  CHECK(repair("\xEE\x80\x80") == "\xEE\x80\x80");
  CHECK(repair("\xEF\xBF\xBF") == "\xEF\xBF\xBF");
  CHECK(repair("\xF0\x90\x80\x80") == "\xF0\x90\x80\x80");
  CHECK(repair("\xF0\x8F\xBF\xBF") == FFFD FFFD FFFD FFFD);
  CHECK(repair("\xF4\x8F\xBF\xBF") == "\xF4\x8F\xBF\xBF");
  CHECK(repair("\xF4\x90\x80\x80") == FFFD FFFD FFFD FFFD);
  CHECK(repair("\xF5\x80\x80\x80") == FFFD FFFD FFFD FFFD);
}

TEST_CASE("a sequence that ASCII cuts in two is two broken ones, wherever it stands") {
  for (std::size_t before = 0; before < 9; ++before) {
    auto const front = std::string(before, 'a');
    CHECK(repair(front + "\xC3"
                         "abcdefgh"
                         "\xA9") == front + "\xEF\xBF\xBD"
                                            "abcdefgh"
                                            "\xEF\xBF\xBD");
  }
}

TEST_CASE("a sequence cut short by the end is one U+FFFD") {
  CHECK(repair("a\xC3") == "a" FFFD);
  CHECK(repair("a\xE2\x82") == "a" FFFD);
  CHECK(repair("a\xF0\x9F\x98") == "a" FFFD);
}

TEST_CASE("every sequence of two bytes is repaired as the standard's decoder does, alone and inside words") {
  std::size_t failed = 0;
  std::string text(2, ' ');
  std::string inside = "1234567..1234567";
  for (int i = 0; i != 65536; ++i) {
    text[0] = inside[7] = static_cast<char>(i >> 8);
    text[1] = inside[8] = static_cast<char>(i & 255);
    auto const alone = repaired(text);
    if (repair(text) != alone || repair(inside) != "1234567" + alone + "1234567") ++failed;
  }
  CHECK(failed == 0);
}

TEST_CASE("sequences of three and four bytes at every border are repaired as the standard's decoder does") {
  constexpr char border[] = {'\x00', 'A',    '\x7F', '\x80', '\x8F', '\x90', '\x9F',
                             '\xA0', '\xBF', '\xC1', '\xC2', '\xDF', '\xE0', '\xE1',
                             '\xED', '\xEF', '\xF0', '\xF1', '\xF4', '\xF5', '\xFF'};
  std::size_t failed = 0;
  std::string text(3, ' ');
  for (char const a : border) {
    for (char const b : border) {
      for (char const c : border) {
        text.assign({a, b, c});
        if (repair(text) != repaired(text)) ++failed;
        if (static_cast<unsigned char>(a) < 0xE0) continue;
        for (char const d : border) {
          text.assign({a, b, c, d});
          if (repair(text) != repaired(text)) ++failed;
        }
      }
    }
  }
  CHECK(failed == 0);
}

}  // namespace
