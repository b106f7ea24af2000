// SPDX-License-Identifier: MIT
// frame_header.hpp - reads the fields at the head of a serialized event.
#pragma once

#include <ssewire/core/event_header.hpp>
#include <ssewire/core/position.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

inline constexpr std::size_t max_own_id_bytes = 128;

// Every frame of a log begins with its `id:` field. No ID and no type holds a line end: event_id and
// event_type refuse one when they are made.
inline std::string_view id_of(std::string_view frame) noexcept {
  constexpr std::string_view field = "id: ";
  return frame.substr(field.size(), frame.find('\n') - field.size());
}

inline event_header header_of(std::string_view frame, std::uint64_t tag) noexcept {
  event_header header;
  header.id = id_of(frame);
  header.tag = tag;
  constexpr std::string_view field = "event: ";
  auto const next = frame.substr(frame.find('\n') + 1);
  if (next.substr(0, field.size()) == field)
    header.type = next.substr(field.size(), next.find('\n') - field.size());
  return header;
}

// Whether a publisher may give its event this ID: visible ASCII, and not an ID that the library could give,
// in this run or in another.
constexpr bool good_own_id(std::string_view id) noexcept {
  for (char const c : id) {
    if (c <= 0x20 || c >= 0x7F) return false;
  }
  return !id.empty() && id.size() <= max_own_id_bytes && !has_position_form(id);
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
