// SPDX-License-Identifier: MIT
// copy.hpp - copies of short texts, made in line: a call of memcpy takes longer than most of them.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Two blocks, the second ending where the text does.
template <std::size_t Block>
inline void copy_overlapping(char* to, char const* from, std::size_t size) noexcept {
  char front[Block];
  char back[Block];
  std::memcpy(front, from, Block);
  std::memcpy(back, from + size - Block, Block);
  std::memcpy(to, front, Block);
  std::memcpy(to + size - Block, back, Block);
}

// Reads and writes no byte outside.
inline void copy_exactly(char* to, std::string_view text) noexcept {
  auto const size = text.size();
  if (size > 32) {
    std::memcpy(to, text.data(), size);
  } else if (size >= 16) {
    copy_overlapping<16>(to, text.data(), size);
  } else if (size >= 8) {
    copy_overlapping<8>(to, text.data(), size);
  } else {
    for (std::size_t i = 0; i < size; ++i) to[i] = text[i];
  }
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
