// SPDX-License-Identifier: MIT
#include <ssewire/core/framing.hpp>

#include <doctest/doctest.h>

#include <charconv>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

namespace {

using ssewire::chunk_head;

TEST_CASE("chunk = chunk-size CRLF, the size in hexadecimal digits without leading zeros") {
  CHECK(chunk_head(1).view() == "1\r\n");
  CHECK(chunk_head(9).view() == "9\r\n");
  CHECK(chunk_head(10).view() == "a\r\n");
  CHECK(chunk_head(15).view() == "f\r\n");
  CHECK(chunk_head(16).view() == "10\r\n");
  CHECK(chunk_head(255).view() == "ff\r\n");
  CHECK(chunk_head(256).view() == "100\r\n");
  CHECK(chunk_head(0x89abcdef).view() == "89abcdef\r\n");
}

TEST_CASE("the largest size has two digits for each byte") {
  constexpr auto most = (std::numeric_limits<std::size_t>::max)();
  CHECK(chunk_head(most).view() == std::string(2 * sizeof most, 'f') + "\r\n");
  CHECK(chunk_head(most / 2 + 1).view() == "8" + std::string(2 * sizeof most - 1, '0') + "\r\n");
}

TEST_CASE("what a reader of hexadecimal digits reads is the size") {
  for (std::size_t size = 1; size < 70'000; size += size < 300 ? 1 : 97) {
    chunk_head const head(size);
    auto const text = head.view();
    std::size_t read = 0;
    auto const end = std::from_chars(text.data(), text.data() + text.size(), read, 16);
    CHECK(read == size);
    CHECK(std::string_view(end.ptr, static_cast<std::size_t>(text.data() + text.size() - end.ptr)) == "\r\n");
  }
}

TEST_CASE("a copy of a head views its own text") {
  auto const* const head = new chunk_head(4096);
  chunk_head const copy = *head;
  delete head;
  CHECK(copy.view() == "1000\r\n");
}

TEST_CASE("a head works in a constant expression") {
  static constexpr chunk_head head(31);
  static_assert(head.view() == "1f\r\n");
}

TEST_CASE("last-chunk = 0 CRLF, then an empty trailer section") {
  CHECK(ssewire::last_chunk == "0\r\n\r\n");
  CHECK(ssewire::chunk_tail == "\r\n");
  CHECK(chunk_head(0).view() == "0\r\n");  // which is why a chunk must never be empty
}

}  // namespace
