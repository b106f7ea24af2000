// SPDX-License-Identifier: MIT
// line_ends.hpp - finds where the lines of an event stream end, 64 bytes at a time: at CR or LF, and at
// nothing else.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream: end-of-line = ( cr lf / cr / lf ).
#pragma once

#include <string.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

// SSE2 belongs to the x86-64 baseline, so this choice is the same in every translation unit whatever its
// -march.
#if (defined(__x86_64__) || defined(_M_X64)) && !defined(SSEWIRE_DETAIL_PORTABLE)
#include <emmintrin.h>
#define SSEWIRE_DETAIL_SSE2 1
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

inline constexpr std::size_t block_bytes = 64;

// Used in place of std::min: including <algorithm> costs half of what <string> alone costs.
template <class T> constexpr T const& lesser(T const& a, T const& b) noexcept { return b < a ? b : a; }

// An answer about at most 64 bytes. Bit i is about byte i.
struct line_ends {
  std::uint64_t ends = 0;  // CR or LF
  bool high = false;       // some byte is not ASCII
};

// Answers questions about at most 64 bytes at a time. The cheap question, may_end(), finds every CR and LF,
// but may also find other bytes that are below 14 or not ASCII. In most blocks of most streams it finds only
// line ends. Where a bit turns out to be another byte, the caller asks the exact question about the block.
class block_scanner {
 public:
  [[nodiscard, gnu::always_inline]] std::uint64_t may_end(char const* at) const noexcept {
    return ~join(at, plain_);
  }
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

  // Copies a block, and answers the cheap question about it.
  [[nodiscard]] std::uint64_t copy(char* to, char const* from) const noexcept {
    auto const ends = may_end(from);
    (memcpy)(to, from, block_bytes);
    return ends;
  }

#if defined(SSEWIRE_DETAIL_SSE2)
 private:
  using block = __m128i;

  static block load(char const* at) noexcept { return _mm_loadu_si128(reinterpret_cast<block const*>(at)); }
  static std::uint64_t bits(block v) noexcept { return static_cast<std::uint32_t>(_mm_movemask_epi8(v)); }

  struct suspects {
    block fourteen = _mm_set1_epi8(14);
    std::uint64_t operator()(block v) const noexcept { return bits(_mm_cmpgt_epi8(fourteen, v)); }  // signed
  };
  // The bytes that `suspects` does not find. Compilers make two comparisons of `suspects`; this answer takes
  // one, and is inverted once for a whole block.
  struct plain {
    block thirteen = _mm_set1_epi8(13);
    std::uint64_t operator()(block v) const noexcept { return bits(_mm_cmpgt_epi8(v, thirteen)); }  // signed
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

  template <class Ask>
  [[gnu::always_inline]] static std::uint64_t join(char const* at, Ask const& ask) noexcept {
    auto const a = ask(load(at));
    auto const b = ask(load(at + 16));
    auto const c = ask(load(at + 32));
    auto const d = ask(load(at + 48));
    return (a | b << 16) | (c | d << 16) << 32;
  }

  // For fewer than 64 bytes. The last vector overlaps the one before it, so no byte outside is read.
  template <class Ask> static std::uint64_t join(char const* at, std::size_t bytes, Ask const& ask) noexcept {
    if (bytes < 16) {
      char few[16];
      (memset)(few, '.', sizeof few);
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
    (memcpy)(&word, at, bytes);
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

  // Sets the top bit of each byte that is zero. Adding 0x7F to the low seven bits carries into the top bit,
  // unless they are all zero.
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
  struct plain {
    std::uint64_t operator()(std::uint64_t word) const noexcept {
      return bits(~(zeros(word ^ ones * '\r') | zeros(word ^ ones * '\n') | word));
    }
  };
  struct not_ascii {
    std::uint64_t operator()(std::uint64_t word) const noexcept { return bits(word); }
  };

  template <class Ask>
  [[gnu::always_inline]] static std::uint64_t join(char const* at, Ask const& ask) noexcept {
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
  plain plain_;
  line_end line_end_;
  not_ascii not_ascii_;
};

inline bool may_hold_line_end(std::string_view few) noexcept {
  return few.size() >= block_bytes || block_scanner().may_end(few.data(), few.size()) != 0;
}

// Calls use(first, end) for every line of `text`. A text has one line more than it has line ends. Reads no
// byte outside the text.
template <class Use> void for_each_line_in_blocks(std::string_view text, Use use) {
  block_scanner const scanner;
  auto const* const last = text.data() + text.size();
  auto const* line = text.data();
  char const* behind_cr = nullptr;  // an LF at this place belongs to the CR before it
  auto const* block = line;
  for (auto left = text.size(); left != 0;) {
    auto const bytes = lesser(left, block_bytes);
    auto ends = left >= block_bytes ? scanner.may_end(block) : scanner.may_end(block, left);
    while (ends != 0) {
      auto const* const end = block + static_cast<unsigned>(std::countr_zero(ends));
      if (*end == '\r') {
        behind_cr = end + 1;
      } else if (*end != '\n') {
        ends &= scanner.ends(block, left);
        continue;
      }
      ends &= ends - 1;
      auto const* const first = std::exchange(line, end + 1);
      if (*end == '\r' || end != behind_cr) use(first, end);
    }
    block += bytes;
    left -= bytes;
  }
  use(line, last);
}

template <class Use> constexpr void for_each_line(std::string_view text, Use use) {
  if (!std::is_constant_evaluated()) return for_each_line_in_blocks(text, use);
  for (;;) {
    auto const end = text.find_first_of("\r\n");
    use(text.data(), text.data() + lesser(end, text.size()));
    if (end == text.npos) return;
    text.remove_prefix(text.substr(end, 2) == "\r\n" ? end + 2 : end + 1);
  }
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#undef SSEWIRE_DETAIL_SSE2
#include <ssewire/core/end.hpp>
