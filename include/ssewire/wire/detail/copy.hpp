// SPDX-License-Identifier: MIT
// copy.hpp - inline copies of short texts: a call of memcpy takes longer than most of these copies.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Copies two blocks. The second one ends where the text does, so the two may overlap.
template <std::size_t Block>
inline void copy_overlapping(char* to, char const* from, std::size_t size) noexcept {
  char front[Block];
  char back[Block];
  (memcpy)(front, from, Block);
  (memcpy)(back, from + size - Block, Block);
  (memcpy)(to, front, Block);
  (memcpy)(to + size - Block, back, Block);
}

// Reads no byte outside the text, and writes none outside the copy.
inline void copy_exactly(char* to, std::string_view text) noexcept {
  auto const size = text.size();
#if defined(__GNUC__)
  if (size > PTRDIFF_MAX) __builtin_unreachable();  // g++ warns of sizes that it believes have wrapped around
#endif
  if (size > 32) {
    (memcpy)(to, text.data(), size);
  } else if (size >= 16) {
    copy_overlapping<16>(to, text.data(), size);
  } else if (size >= 8) {
    copy_overlapping<8>(to, text.data(), size);
  } else if (size >= 4) {
    copy_overlapping<4>(to, text.data(), size);
  } else if (size != 0) {
    auto const middle = text[size / 2];
    auto const back = text.back();
    to[0] = text.front();
    to[size / 2] = middle;
    to[size - 1] = back;
  }
}

// Copies [from, end), at most 64 bytes. The bytes from `end` up to `readable` may be read too, and `to` must
// have room for 64 bytes: those after the copy may be overwritten. Returns the end of the copy.
inline char* copy_readable(char* to, char const* from, char const* end, char const* readable) noexcept {
  auto const size = static_cast<std::size_t>(end - from);
  if (readable - from >= 64) {
    (memcpy)(to, from, 64);
  } else {
    copy_exactly(to, {from, size});
  }
  return to + size;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
