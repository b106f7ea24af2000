// SPDX-License-Identifier: MIT
#include <ssewire/core/position.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace {

using ssewire::position_id;

constexpr auto read_position(std::string_view text, std::uint64_t epoch) {
  return ssewire::detail::read_position(text, position_id(epoch, 0));
}

using kind = enum ssewire::detail::id_reading::kind;  // the member has the same name

constexpr std::uint64_t largest_epoch = (std::uint64_t{1} << 60) - 1;
constexpr std::uint64_t largest_sequence = 9'999'999'999'999'999;

static_assert(position_id(0, 1).view() == "000000000000-0000000000000001");
static_assert(read_position("000000000000-0000000000000001", 0).sequence == 1);
static_assert(position_id::bytes == 29);

}  // namespace

TEST_CASE("a position is written as its epoch in base 32 and its sequence in base 10, of fixed width") {
  CHECK(position_id(0, 0).view() == "000000000000-0000000000000000");
  CHECK(position_id(31, 1234567890).view() == "00000000000v-0000001234567890");
  CHECK(position_id(32, 9).view() == "000000000010-0000000000000009");
  CHECK(position_id(largest_epoch, largest_sequence).view() == "vvvvvvvvvvvv-9999999999999999");
}

TEST_CASE("60 bits of an epoch are used") {
  CHECK(position_id(largest_epoch + 1, 5).view() == position_id(0, 5).view());
  CHECK(position_id(std::uint64_t{1} << 59, 5).view() != position_id(0, 5).view());
}

TEST_CASE("a default one is empty") { CHECK(position_id().view() == ""); }

TEST_CASE("a position is an event ID") {
  position_id const p(1, 2);
  ssewire::event_id const id = p;
  CHECK(id.has_value());
  CHECK(id.value() == p.view());
}

TEST_CASE("positions sort as their sequences") {
  support::random random(1);
  for (int i = 0; i < 1000; ++i) {
    auto const a = random.next() % largest_sequence;
    auto const b = random.one_in(2) ? random.next() % largest_sequence : a + 1;
    CHECK((position_id(3, a).view() < position_id(3, b).view()) == (a < b));
  }
}

TEST_CASE("what is written is read") {
  support::random random(2);
  for (int i = 0; i < 1000; ++i) {
    auto const epoch = random.next();
    auto const sequence = random.next() % (largest_sequence + 1);
    CAPTURE(epoch);
    CAPTURE(sequence);
    auto const read = read_position(position_id(epoch, sequence).view(), epoch);
    CHECK((read.kind == kind::ours));
    CHECK(read.sequence == sequence);
    CHECK((read_position(position_id(epoch, sequence).view(), epoch ^ (std::uint64_t{1} << random.below(60)))
               .kind == kind::other_epoch));
  }
}

TEST_CASE("a position has one spelling: a byte changed, added or dropped makes it foreign or another one") {
  std::string const good(position_id(0x123456789ABCDEF, 1234567890123456).view());
  auto const read = [](std::string_view text) { return read_position(text, 0x123456789ABCDEF); };
  REQUIRE((read(good).kind == kind::ours));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      auto text = good;
      text[at] = static_cast<char>(static_cast<unsigned char>(byte));
      if (text == good) continue;
      auto const c = text[at];
      auto const digit = c >= '0' && c <= '9';
      CAPTURE(at);
      CAPTURE(byte);
      auto const got = read(text);
      if (at < 12) {
        CHECK((got.kind == (digit || (c >= 'a' && c <= 'v') ? kind::other_epoch : kind::foreign)));
      } else if (at == 12) {
        CHECK((got.kind == kind::foreign));
      } else {
        CHECK((got.kind == (digit ? kind::ours : kind::foreign)));
        if (digit) CHECK(got.sequence != 1234567890123456);
      }
    }
    CHECK((read(std::string(good).erase(at, 1)).kind == kind::foreign));
    CHECK((read(std::string(good).insert(at, 1, '0')).kind == kind::foreign));
  }
  CHECK((read(good + "0").kind == kind::foreign));
  CHECK((read("").kind == kind::foreign));
  CHECK((read(std::string(1'000'000, '0')).kind == kind::foreign));
}
