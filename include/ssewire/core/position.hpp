// SPDX-License-Identifier: MIT
// position.hpp - the IDs that the library gives: <epoch>-<sequence>, of fixed width. So a frame can be
// serialized before its place in the order is known, and its ID is written over afterwards.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event.hpp>

#include <string.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The ID of one event: 12 characters of 0-9a-v name the run of the process (the epoch), 16 digits the
/// event's position in it.
class position_id {
 public:
  /// The characters of the epoch.
  static constexpr std::size_t epoch_bytes = 12;
  /// The digits of the position.
  static constexpr std::size_t sequence_bytes = 16;
  /// The characters of an ID: both, and the `-` between them.
  static constexpr std::size_t bytes = epoch_bytes + 1 + sequence_bytes;

  constexpr position_id() noexcept = default;

  /// The ID of a position. Of `epoch` the lowest 60 bits are used.
  constexpr position_id(std::uint64_t epoch, std::uint64_t sequence) noexcept {
    auto* out = text_;
    for (int shift = 55; shift >= 0; shift -= 5)
      *out++ = "0123456789abcdefghijklmnopqrstuv"[(epoch >> shift) % 32];
    *out++ = '-';
    put_16_digits(out, sequence);
  }

  /// The ID of another position of the same epoch.
  [[nodiscard]] constexpr position_id at(std::uint64_t sequence) const noexcept {
    auto other = *this;
    put_16_digits(other.text_ + epoch_bytes + 1, sequence);
    return other;
  }

  /// The ID whose characters put_at() has written.
  [[nodiscard]] static position_id from(char const* written) noexcept {
    position_id id;
    (memcpy)(id.text_, written, bytes);
    return id;
  }

  /// Writes the ID of another position of the same epoch to `out`, which has room for `bytes` characters.
  void put_at(char* out, std::uint64_t sequence) const noexcept {
    (memcpy)(out, text_, epoch_bytes + 1);
    put_16_digits(out + epoch_bytes + 1, sequence);
  }

  /// The characters; none for a `position_id{}`.
  ///
  /// @par Lifetime  A view of this object.
  [[nodiscard]] constexpr std::string_view view() const noexcept {
    return {text_, text_[0] == '\0' ? 0 : bytes};
  }
  /// The same as an event ID; absent for a `position_id{}`.
  [[nodiscard]] constexpr operator event_id() const noexcept {
    return text_[0] == '\0' ? event_id() : detail::stream_access::id(view());
  }

 private:
  static constexpr void put_16_digits(char* out, std::uint64_t n) noexcept {
    constexpr std::uint64_t half = 100'000'000;
    put_8_digits(out, n / half % half);
    put_8_digits(out + 8, n % half);
  }

  // All at once: halves, quarters and digits side by side in one word, the first one lowest. This runs under
  // the broker's lock, where 16 divisions in a row took a fifth of a publish.
  static constexpr void put_8_digits(char* out, std::uint64_t n) noexcept {
    n = n / 10'000 | n % 10'000 << 32;
    auto tens = (n * 10'486 >> 20) & 0x7F0000007F;  // hundreds of each half
    n = tens | (n - tens * 100) << 16;
    tens = (n * 103 >> 10) & 0x000F000F000F000F;
    n = (tens | (n - tens * 10) << 8) + 0x3030303030303030;
    auto const digits = std::bit_cast<std::array<char, 8>>(n);
    if constexpr (std::endian::native == std::endian::little) {
      if (!std::is_constant_evaluated()) {
        (memcpy)(out, digits.data(), digits.size());  // one store, which a loop is not
        return;
      }
      for (std::size_t i = 0; i < digits.size(); ++i) out[i] = digits[i];
    } else {
      for (std::size_t i = 0; i < digits.size(); ++i) out[i] = digits[digits.size() - 1 - i];
    }
  }

  char text_[bytes] = {};
};

namespace detail {

// What a client's last event ID says.
struct id_reading {
  enum class kind : unsigned char { foreign, other_epoch, ours } kind = kind::foreign;
  std::uint64_t sequence = 0;  // of `ours` only
};

constexpr bool is_epoch_character(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'v');
}

// Whether the text looks like an ID that the library gives, in this run or in another.
constexpr bool has_position_form(std::string_view text) noexcept {
  if (text.size() != position_id::bytes || text[position_id::epoch_bytes] != '-') return false;
  for (char const c : text.substr(0, position_id::epoch_bytes)) {
    if (!is_epoch_character(c)) return false;
  }
  for (char const c : text.substr(position_id::epoch_bytes + 1)) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// Every position has exactly one spelling, so that no two texts name the same one. `unset`: any position of
// the epoch.
constexpr id_reading read_position(std::string_view text, position_id const& unset) noexcept {
  if (!has_position_form(text)) return {};
  bool const same =
      text.substr(0, position_id::epoch_bytes) == unset.view().substr(0, position_id::epoch_bytes);
  if (!same) return {id_reading::kind::other_epoch, 0};
  std::uint64_t sequence = 0;
  for (char const c : text.substr(position_id::epoch_bytes + 1))
    sequence = sequence * 10 + static_cast<std::uint64_t>(c - '0');
  return {id_reading::kind::ours, sequence};
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
