// SPDX-License-Identifier: MIT
#include <ssewire/wire/detail/line_ends.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::detail::for_each_line;

using list = std::vector<std::string>;

list naive(std::string_view text) {
  list lines(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      lines.back() += text[i];
    } else if (text[i] == '\r' || i == 0 || text[i - 1] != '\r') {
      lines.emplace_back();
    }
  }
  return lines;
}

// The text lies at `offset` of a buffer of line ends, so that a byte read outside would be seen.
list found(std::size_t offset, std::string_view text) {
  auto const buffer = std::string(offset, '\n') + std::string(text) + std::string(80, '\r');
  list lines;
  for_each_line(std::string_view(buffer).substr(offset, text.size()),
                [&](char const* first, char const* end) { lines.emplace_back(first, end); });
  return lines;
}

TEST_CASE("a text without line ends is one line, at every offset and length") {
  for (std::size_t offset = 0; offset != 17; ++offset) {
    for (std::size_t size = 0; size <= 140; ++size) {
      auto const text = std::string(size, 'x');
      REQUIRE(found(offset, text) == list{text});
    }
  }
}

TEST_CASE("a line ends at CR, LF or CRLF wherever it stands, also between two blocks, and whatever follows") {
  for (std::string_view const end :
       {"\r", "\n", "\r\n", "\n\r", "\r\r", "\n\n", "\r\n\n", "\r\r\n", "\r\x8d\n"}) {
    for (std::size_t size = end.size(); size <= 140; ++size) {
      for (std::size_t at = 0; at + end.size() <= size; at += size < 70 ? 1 : 3) {
        auto text = std::string(size, '\x8d');
        text.replace(at, end.size(), end);
        REQUIRE(found(at % 17, text) == naive(text));
      }
    }
  }
}

TEST_CASE("no other byte ends a line") {
  for (int byte = 0; byte != 256; ++byte) {
    CAPTURE(byte);
    for (std::size_t const size : {1u, 7u, 8u, 16u, 33u, 64u, 65u}) {
      auto const text = std::string(size, static_cast<char>(static_cast<unsigned char>(byte)));
      bool const ends = byte == '\r' || byte == '\n';
      CHECK(found(0, text).size() == (ends ? size + 1 : 1));
    }
  }
}

TEST_CASE("a byte that borrows from its neighbour is not taken for a line end") {
  // Searching eight bytes at a time by subtraction, 0x0b above 0x0a and 0x0e above 0x0d are where a borrow
  // would show.
  std::string const text = "\x0b\x0b\x0e\x0e\x0c\x8a\x8d\x09\nxxx\x0b\x0b\x0e\x0e\x0c\x8a\x8d\x09";
  CHECK(found(0, text) == list{text.substr(0, 8), text.substr(9)});
}

TEST_CASE("in a constant expression the lines are the same") {
  static constexpr auto count = [](std::string_view text) {
    std::size_t lines = 0;
    std::size_t bytes = 0;
    for_each_line(text, [&](char const* first, char const* end) {
      ++lines;
      bytes += static_cast<std::size_t>(end - first);
    });
    return lines * 100 + bytes;
  };
  static_assert(count("") == 100);
  static_assert(count("one\rtwo\r\nthree\n\r") == 511);
  static_assert(count("\r\r\n\n") == 400);
}

TEST_CASE("nothing at all is one empty line") {
  CHECK(found(0, {}) == list{""});
  std::size_t lines = 0;
  for_each_line(std::string_view(),
                [&](char const* first, char const* end) { lines += first == end ? 1 : 100; });
  CHECK(lines == 1);
}

}  // namespace
