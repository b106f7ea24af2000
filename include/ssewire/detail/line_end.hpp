// SPDX-License-Identifier: MIT
// line_end.hpp - finds where a line of an event stream ends: at CR or LF, and at nothing else.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream: end-of-line = ( cr lf / cr / lf ).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

// SSE2 belongs to the x86-64 baseline, so this choice is the same in every translation unit whatever its -march.
#if defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
#define SSEWIRE_DETAIL_SSE2 1
#endif

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

constexpr bool is_line_end(char c) noexcept { return c == '\n' || c == '\r'; }

// The first CR or LF in [first, last), or last. Reads no byte outside.
constexpr char const* find_line_end(char const* first, char const* last) noexcept {
  if (!std::is_constant_evaluated()) {
#if defined(SSEWIRE_DETAIL_SSE2)
    auto const cr = _mm_set1_epi8('\r');
    auto const lf = _mm_set1_epi8('\n');
    for (; last - first >= 16; first += 16) {
      auto const block = _mm_loadu_si128(reinterpret_cast<__m128i const*>(first));
      auto const hits = _mm_or_si128(_mm_cmpeq_epi8(block, cr), _mm_cmpeq_epi8(block, lf));
      auto const mask = static_cast<std::uint32_t>(_mm_movemask_epi8(hits));
      if (mask != 0) return first + std::countr_zero(mask);
    }
#else
    // Eight bytes in a word: (w - 0x01..) & ~w & 0x80.. is not zero exactly if a byte of w is zero.
    constexpr std::uint64_t ones = 0x0101010101010101u;
    constexpr std::uint64_t tops = 0x8080808080808080u;
    for (; last - first >= 8; first += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, first, 8);
      auto const cr = word ^ (ones * 0x0d);
      auto const lf = word ^ (ones * 0x0a);
      if ((((cr - ones) & ~cr) | ((lf - ones) & ~lf)) & tops) break;
    }
#endif
  }
  while (first != last && !is_line_end(*first)) ++first;
  return first;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#undef SSEWIRE_DETAIL_SSE2
#include <ssewire/detail/end.hpp>
