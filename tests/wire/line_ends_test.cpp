// SPDX-License-Identifier: MIT
#include <ssewire/wire/detail/line_ends.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace {

using ssewire::detail::block_scanner;

struct naive {
  std::uint64_t ends = 0;
  std::uint64_t high = 0;

  naive(char const* at, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
      if (at[i] == '\r' || at[i] == '\n') ends |= std::uint64_t{1} << i;
      if (static_cast<unsigned char>(at[i]) >= 0x80) high |= std::uint64_t{1} << i;
    }
  }
};

// Sized to the byte, so that the sanitizer sees a read outside.
void check(std::string_view bytes) {
  auto const block = std::make_unique<char[]>(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) block[i] = bytes[i];
  block_scanner const scanner;
  naive const expected(block.get(), bytes.size());
  auto const exact = scanner.exact(block.get(), bytes.size());
  CHECK(exact.ends == expected.ends);
  CHECK(exact.high == (expected.high != 0));
  auto const suspects =
      bytes.size() == 64 ? scanner.may_end(block.get()) : scanner.may_end(block.get(), bytes.size());
  CHECK((suspects & expected.ends) == expected.ends);
  CHECK((suspects & expected.high) == expected.high);
  if (bytes.size() < 64) CHECK((suspects >> bytes.size()) == 0);
}

TEST_CASE("every byte value at every place of a block of every size is told right") {
  char block[64];
  for (std::size_t size = 1; size <= 64; ++size) {
    for (std::size_t at = 0; at < size; at += size < 20 ? 1 : 7) {
      for (int value = 0; value < 256; ++value) {
        for (auto& c : block) c = 'x';
        block[at] = static_cast<char>(value);
        check({block, size});
      }
    }
  }
}

TEST_CASE("blocks of any bytes are told right") {
  support::random random(1);
  char block[64];
  for (int round = 0; round < 4000; ++round) {
    auto const kind = random.below(3);
    for (auto& c : block) {
      c = kind == 0   ? static_cast<char>(random.below(256))
          : kind == 1 ? "\r\n\t x\xC3"[random.below(6)]
                      : 'x';
    }
    check({block, random.below(65)});
  }
}

TEST_CASE("plain text asks for no second look") {
  block_scanner const scanner;
  std::string_view const text = "data: nothing here but plain text, of sixty-four bytes, no more!";
  REQUIRE(text.size() == 64);
  CHECK(scanner.may_end(text.data()) == 0);
}

}  // namespace
