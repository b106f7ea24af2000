// SPDX-License-Identifier: MIT
#include <ssewire/detail/line_ends.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace {

using ssewire::detail::find_line_end;

std::size_t naive(char const* first, std::size_t size) {
  std::size_t i = 0;
  while (i != size && first[i] != '\r' && first[i] != '\n') ++i;
  return i;
}

// The text lies at `offset` of a buffer of line ends, so that a byte read outside would be seen.
std::size_t wrong(std::size_t offset, std::vector<char> const& text) {
  std::vector<char> buffer(offset, '\n');
  buffer.insert(buffer.end(), text.begin(), text.end());
  buffer.insert(buffer.end(), 32, '\r');
  auto const* const first = buffer.data() + offset;
  auto const* const found = find_line_end(first, first + text.size());
  return found == first + naive(first, text.size()) ? 0 : 1;
}

TEST_CASE("a text without a line end has its end as line end, at every offset and length") {
  std::size_t failed = 0;
  for (std::size_t offset = 0; offset != 17; ++offset) {
    for (std::size_t size = 0; size <= 80; ++size) failed += wrong(offset, std::vector<char>(size, 'x'));
  }
  CHECK(failed == 0);
}

TEST_CASE("the first CR or LF is found wherever it stands, whatever follows") {
  std::size_t failed = 0;
  for (std::size_t offset = 0; offset != 17; ++offset) {
    for (std::size_t size = 1; size <= 80; ++size) {
      for (std::size_t at = 0; at != size; ++at) {
        std::vector<char> text(size, '\x8d');
        text[at] = at % 2 == 0 ? '\r' : '\n';
        failed += wrong(offset, text);
        if (at + 1 != size) text[at + 1] = '\n';
        failed += wrong(offset, text);
      }
    }
  }
  CHECK(failed == 0);
}

TEST_CASE("no other byte ends a line") {
  for (int byte = 0; byte != 256; ++byte) {
    CAPTURE(byte);
    for (std::size_t const size : {1u, 7u, 8u, 16u, 33u}) {
      std::vector<char> const text(size, static_cast<char>(static_cast<unsigned char>(byte)));
      bool const ends = byte == '\r' || byte == '\n';
      CHECK(find_line_end(text.data(), text.data() + size) == text.data() + (ends ? 0 : size));
    }
  }
}

TEST_CASE("a byte that borrows from its neighbour is not taken for a line end") {
  // Searching eight bytes at a time by subtraction, 0x0b above 0x0a and 0x0e above 0x0d are where a borrow would show.
  std::string_view const text = "\x0b\x0b\x0e\x0e\x0c\x8a\x8d\x09\nxxx\x0b\x0b\x0e\x0e\x0c\x8a\x8d\x09";
  CHECK(find_line_end(text.data(), text.data() + text.size()) == text.data() + 8);
}

TEST_CASE("the search works in a constant expression") {
  static constexpr std::string_view text = "one\rtwo\n";
  static_assert(find_line_end(text.data(), text.data() + text.size()) == text.data() + 3);
  static_assert(find_line_end(text.data() + 4, text.data() + text.size()) == text.data() + 7);
  static_assert(find_line_end(text.data(), text.data() + 3) == text.data() + 3);
}

TEST_CASE("nothing at all has no line end") {
  CHECK(find_line_end(nullptr, nullptr) == nullptr);
}

} // namespace
