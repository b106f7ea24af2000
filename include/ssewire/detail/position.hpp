// SPDX-License-Identifier: MIT
// position.hpp - the IDs the library gives: <epoch>-<sequence>, of fixed width, so that a frame can be serialized
// before its place in the order is known and patched when it is.
#pragma once

#include <ssewire/event.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The ID of one event: 12 characters of 0-9a-v name the run of the process, 16 digits the event's position in it.
class position_id {
 public:
  static constexpr std::size_t epoch_bytes = 12;
  static constexpr std::size_t sequence_bytes = 16;
  static constexpr std::size_t bytes = epoch_bytes + 1 + sequence_bytes;

  constexpr position_id() noexcept = default;

  constexpr position_id(std::uint64_t epoch, std::uint64_t sequence) noexcept {
    auto* out = text_;
    for (int shift = 55; shift >= 0; shift -= 5)
      *out++ = "0123456789abcdefghijklmnopqrstuv"[(epoch >> shift) % 32];
    *out++ = '-';
    for (auto* digit = out + sequence_bytes; digit != out; sequence /= 10) {
      *--digit = static_cast<char>('0' + sequence % 10);
    }
  }

  /// Valid while this object lives, and where it lives. Empty for a position_id{}.
  [[nodiscard]] constexpr std::string_view view() const noexcept {
    return {text_, text_[0] == '\0' ? 0 : bytes};
  }
  [[nodiscard]] constexpr operator event_id() const noexcept {
    return text_[0] == '\0' ? event_id() : detail::stream_access::id(view());
  }

 private:
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

// Every position has exactly one spelling, so that no two texts name the same one.
constexpr id_reading read_position(std::string_view text, std::uint64_t epoch) noexcept {
  if (text.size() != position_id::bytes || text[position_id::epoch_bytes] != '-') return {};
  for (char const c : text.substr(0, position_id::epoch_bytes)) {
    if (!is_epoch_character(c)) return {};
  }
  std::uint64_t sequence = 0;
  for (char const c : text.substr(position_id::epoch_bytes + 1)) {
    if (c < '0' || c > '9') return {};
    sequence = sequence * 10 + static_cast<std::uint64_t>(c - '0');
  }
  auto const own = position_id(epoch, 0);
  bool const same =
      text.substr(0, position_id::epoch_bytes) == own.view().substr(0, position_id::epoch_bytes);
  if (!same) return {id_reading::kind::other_epoch, 0};
  return {id_reading::kind::ours, sequence};
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
