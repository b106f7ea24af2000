// SPDX-License-Identifier: MIT
// line_ends.hpp - where the lines of an event stream end, 64 bytes at a time: at CR or LF, and at nothing else.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream: end-of-line = ( cr lf / cr / lf ).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// SSE2 belongs to the x86-64 baseline, so this choice is the same in every translation unit whatever its -march.
#if (defined(__x86_64__) || defined(_M_X64)) && !defined(SSEWIRE_DETAIL_PORTABLE)
#include <emmintrin.h>
#define SSEWIRE_DETAIL_SSE2 1
#endif

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

inline constexpr std::size_t block_bytes = 64;

// Bit i speaks of byte i of at most 64.
struct line_ends {
  std::uint64_t ends = 0;  // CR or LF
  bool high = false;       // some byte is not ASCII
};

// Two questions about at most 64 bytes at a time. The cheap one, may_end(), finds CR and LF but also every other byte that
// is below 14 or not ASCII. In most blocks of most streams these are the same bytes; where a bit turns out to be another
// byte, the exact question is asked for the block.
class block_scanner {
 public:
  [[nodiscard]] std::uint64_t may_end(char const* at) const noexcept { return join(at, suspects_); }
  [[nodiscard]] std::uint64_t may_end(char const* at, std::size_t bytes) const noexcept {
    return join(at, bytes, suspects_);
  }

  [[nodiscard]] std::uint64_t ends(char const* at, std::size_t bytes) const noexcept {
    return bytes >= block_bytes ? join(at, line_end_) : join(at, bytes, line_end_);
  }
  [[nodiscard]] line_ends exact(char const* at, std::size_t bytes) const noexcept {
    auto const high = bytes >= block_bytes ? join(at, not_ascii_) : join(at, bytes, not_ascii_);
    return {ends(at, bytes), high != 0};
  }

  // Copies a block; answers whether it may hold a line's end.
  [[nodiscard]] bool copy(char* to, char const* from) const noexcept {
#if defined(SSEWIRE_DETAIL_SSE2)
    auto const low = [cr = line_end_.cr](block v) {
      return _mm_cmpeq_epi8(_mm_min_epu8(v, cr), v);
    };  // unsigned
    auto const a = load(from);
    auto const b = load(from + 16);
    auto const c = load(from + 32);
    auto const d = load(from + 48);
    store(to, a);
    store(to + 16, b);
    store(to + 32, c);
    store(to + 48, d);
    return bits(_mm_or_si128(_mm_or_si128(low(a), low(b)), _mm_or_si128(low(c), low(d)))) != 0;
#else
    std::memcpy(to, from, block_bytes);
    return true;
#endif
  }

#if defined(SSEWIRE_DETAIL_SSE2)
 private:
  using block = __m128i;

  static block load(char const* at) noexcept { return _mm_loadu_si128(reinterpret_cast<block const*>(at)); }
  static void store(char* to, block v) noexcept { _mm_storeu_si128(reinterpret_cast<block*>(to), v); }
  static std::uint64_t bits(block v) noexcept { return static_cast<std::uint32_t>(_mm_movemask_epi8(v)); }

  struct suspects {
    block fourteen = _mm_set1_epi8(14);
    std::uint64_t operator()(block v) const noexcept { return bits(_mm_cmpgt_epi8(fourteen, v)); }  // signed
  };
  struct line_end {
    block cr = _mm_set1_epi8('\r');
    block lf = _mm_set1_epi8('\n');
    std::uint64_t operator()(block v) const noexcept {
      return bits(_mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)));
    }
  };
  struct not_ascii {
    std::uint64_t operator()(block v) const noexcept { return bits(v); }
  };

  template <class Ask> static std::uint64_t join(char const* at, Ask const& ask) noexcept {
    auto const a = ask(load(at));
    auto const b = ask(load(at + 16));
    auto const c = ask(load(at + 32));
    auto const d = ask(load(at + 48));
    return (a | b << 16) | (c | d << 16) << 32;
  }

  // Of fewer than 64 bytes. The last vector overlaps the one before it; no byte outside is read.
  template <class Ask> static std::uint64_t join(char const* at, std::size_t bytes, Ask const& ask) noexcept {
    if (bytes < 16) {
      char few[16];
      std::memset(few, '.', sizeof few);
      for (std::size_t i = 0; i < bytes; ++i) few[i] = at[i];
      return ask(load(few));
    }
    std::uint64_t all = 0;
    std::size_t i = 0;
    for (; i + 16 <= bytes; i += 16) all |= ask(load(at + i)) << i;
    return i == bytes ? all : all | ask(load(at + bytes - 16)) << (bytes - 16);
  }
#else
 private:
  static constexpr std::uint64_t ones = 0x0101010101010101u;
  static constexpr std::uint64_t tops = 0x8080808080808080u;

  static std::uint64_t load(char const* at, std::size_t bytes) noexcept {
    std::uint64_t word = ones * '.';
    std::memcpy(&word, at, bytes);
    if constexpr (std::endian::native == std::endian::big) {
      word = (word & 0x00FF00FF00FF00FFu) << 8 | (word >> 8 & 0x00FF00FF00FF00FFu);
      word = (word & 0x0000FFFF0000FFFFu) << 16 | (word >> 16 & 0x0000FFFF0000FFFFu);
      word = word << 32 | word >> 32;
    }
    return word;
  }

  // Gathers the top bit of each byte.
  static constexpr std::uint64_t bits(std::uint64_t word) noexcept {
    return ((word & tops) >> 7) * 0x0102040810204080u >> 56;
  }

  // The top bit of each byte that is zero: adding 0x7F to the low seven bits carries into it unless they are all zero.
  static constexpr std::uint64_t zeros(std::uint64_t word) noexcept {
    return ~(((word & ~tops) + ~tops) | word);
  }

  struct line_end {
    std::uint64_t operator()(std::uint64_t word) const noexcept {
      return bits(zeros(word ^ ones * '\r') | zeros(word ^ ones * '\n'));
    }
  };
  struct suspects {
    std::uint64_t operator()(std::uint64_t word) const noexcept {
      return bits(zeros(word ^ ones * '\r') | zeros(word ^ ones * '\n') | word);
    }
  };
  struct not_ascii {
    std::uint64_t operator()(std::uint64_t word) const noexcept { return bits(word); }
  };

  template <class Ask> static std::uint64_t join(char const* at, Ask const& ask) noexcept {
    return join(at, block_bytes, ask);
  }

  template <class Ask> static std::uint64_t join(char const* at, std::size_t bytes, Ask const& ask) noexcept {
    std::uint64_t all = 0;
    std::size_t i = 0;
    for (; i + 8 <= bytes; i += 8) all |= ask(load(at + i, 8)) << i;
    return i == bytes ? all : all | ask(load(at + i, bytes - i)) << i;
  }
#endif

  suspects suspects_;
  line_end line_end_;
  not_ascii not_ascii_;
};

// The first CR or LF in [first, last), or last. Reads no byte outside.
inline char const* find_line_end_in_blocks(char const* first, char const* last) noexcept {
  block_scanner const scanner;
  while (first != last) {
    auto const bytes = (std::min)(static_cast<std::size_t>(last - first), block_bytes);
    if (auto const ends = scanner.ends(first, bytes); ends != 0) {
      return first + static_cast<unsigned>(std::countr_zero(ends));
    }
    first += bytes;
  }
  return last;
}

constexpr char const* find_line_end(char const* first, char const* last) noexcept {
  if (!std::is_constant_evaluated()) return find_line_end_in_blocks(first, last);
  while (first != last && *first != '\n' && *first != '\r') ++first;
  return first;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#undef SSEWIRE_DETAIL_SSE2
#include <ssewire/detail/end.hpp>
