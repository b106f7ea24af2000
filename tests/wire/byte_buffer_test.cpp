// SPDX-License-Identifier: MIT
#include <ssewire/wire/detail/byte_buffer.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

using ssewire::detail::byte_buffer;

TEST_CASE("texts of every size go in whole, however much behind them may be read") {
  for (std::size_t size = 0; size <= 600; ++size) {
    for (std::size_t const behind : {0u, 1u, 16u, 31u, 32u, 33u, 200u}) {
      auto const source = std::make_unique<char[]>(size + behind);  // sized to the byte
      for (std::size_t i = 0; i < size + behind; ++i) source[i] = static_cast<char>('a' + i % 26);
      std::string_view const text(source.get(), size);
      auto const* const readable = source.get() + size + behind;
      byte_buffer buffer;
      buffer.append("begin");
      buffer.append_line(text, readable);
      buffer.append(text, readable);
      CHECK(buffer.view() == "begin\n" + std::string(text) + std::string(text));
    }
  }
}

TEST_CASE("a buffer grows as a string does") {
  support::random random(7);
  byte_buffer buffer;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    std::string const part(random.below(random.one_in(50) ? 5000 : 60),
                           static_cast<char>('a' + random.below(26)));
    if (random.one_in(500)) {
      buffer.clear();
      expected.clear();
    }
    buffer.append(part);
    expected += part;
    REQUIRE(buffer.size() == expected.size());
    REQUIRE_UNARY(buffer.view() == expected);
  }
}

TEST_CASE("a buffer is a value") {
  byte_buffer a;
  a.append("text");
  auto b = a;
  b.append(" and more");
  CHECK(a.view() == "text");
  CHECK(b.view() == "text and more");
  auto c = std::move(b);
  CHECK(c.view() == "text and more");
  b = a;
  CHECK(b.view() == "text");
  b.assign("other");
  CHECK(a.view() == "text");
  CHECK(b.view() == "other");
  CHECK(byte_buffer().empty());
}

}  // namespace
