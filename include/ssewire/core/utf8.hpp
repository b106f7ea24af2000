// SPDX-License-Identifier: MIT
// utf8.hpp - the repair of the standard's "UTF-8 decode": bytes that are not UTF-8 become U+FFFD.
// Source: WHATWG Encoding, 8.1.1 UTF-8 decoder; Unicode 15, table 3-7 (well-formed byte sequences).
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <string.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

struct utf8_step {
  unsigned char bytes;  // how many were looked at: a whole code point, or the longest broken prefix of one
  bool good;
};

// The code point, or the maximal broken subpart, at the front of a text that is not empty.
constexpr utf8_step utf8_next(std::string_view text) noexcept {
  auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto const lead = byte(0);
  if (lead < 0x80) return {1, true};
  unsigned char const length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  // The second byte's range excludes overlong forms (E0, F0), surrogates (ED) and what lies beyond U+10FFFF
  // (F4).
  unsigned char const low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char const high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (unsigned char i = 1; i < length; ++i) {
    if (i == text.size()) return {i, false};
    auto const next = byte(i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return {i, false};
  }
  return {length, true};
}

// Recognizes well-formed text in one pass, by a look-up and a shift for each byte. States are multiples of
// six: the row of a byte holds, in six bits each, the state that follows each state.
class utf8_automaton {
 public:
  enum : std::uint64_t {
    whole = 0,      // between two code points
    broken = 6,     // for good
    tail1 = 12,     // wants one more byte of 80 to BF
    tail2 = 18,     // two more
    tail3 = 24,     // three more
    after_e0 = 30,  // these want a second byte from a smaller range, see utf8_next()
    after_ed = 36,
    after_f0 = 42,
    after_f4 = 48,
  };

  static constexpr std::uint64_t next(std::uint64_t state, unsigned byte) noexcept {
    auto const in = [byte](unsigned low, unsigned high) { return byte >= low && byte <= high; };
    switch (state) {
    case whole:
      if (byte < 0x80) return whole;
      if (in(0xC2, 0xDF)) return tail1;
      if (in(0xE0, 0xEF)) return byte == 0xE0 ? after_e0 : byte == 0xED ? after_ed : tail2;
      if (in(0xF0, 0xF4)) return byte == 0xF0 ? after_f0 : byte == 0xF4 ? after_f4 : tail3;
      return broken;
    case tail1: return in(0x80, 0xBF) ? whole : broken;
    case tail2: return in(0x80, 0xBF) ? tail1 : broken;
    case tail3: return in(0x80, 0xBF) ? tail2 : broken;
    case after_e0: return in(0xA0, 0xBF) ? tail1 : broken;
    case after_ed: return in(0x80, 0x9F) ? tail1 : broken;
    case after_f0: return in(0x90, 0xBF) ? tail2 : broken;
    case after_f4: return in(0x80, 0x8F) ? tail2 : broken;
    default: return broken;
    }
  }

  static constexpr std::uint64_t row(unsigned byte) noexcept {
    std::uint64_t row = 0;
    for (std::uint64_t state = whole; state <= after_f4; state += 6) row |= next(state, byte) << state;
    return row;
  }
};

struct utf8_rows {
  std::uint64_t of[256] = {};

  constexpr utf8_rows() noexcept {
    for (unsigned byte = 0; byte < 256; ++byte) of[byte] = utf8_automaton::row(byte);
  }
};
inline constexpr utf8_rows utf8_table;

inline bool is_utf8(std::string_view text) noexcept {
  constexpr std::uint64_t mask = 63;
  std::uint64_t state = utf8_automaton::whole;
  auto const step = [&](char byte) {
    state = utf8_table.of[static_cast<unsigned char>(byte)] >> (state & mask);
  };
  auto const* at = text.data();
  auto left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word = 0;
    (memcpy)(&word, at, sizeof word);
    if ((word & 0x8080808080808080u) == 0 && (state & mask) == utf8_automaton::whole) continue;
    for (int i = 0; i < 8; ++i) step(at[i]);
  }
  for (; left != 0; ++at, --left) step(*at);
  return (state & mask) == utf8_automaton::whole;
}

// How many bytes at the front are well-formed. ASCII goes by eight bytes at a time.
inline std::size_t utf8_good_prefix(std::string_view text) noexcept {
  std::size_t good = 0;
  while (good < text.size()) {
    std::uint64_t word = 0;
    if (text.size() - good >= sizeof word) {
      (memcpy)(&word, text.data() + good, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        good += sizeof word;
        continue;
      }
    }
    auto const step = utf8_next(text.substr(good));
    if (!step.good) break;
    good += step.bytes;
  }
  return good;
}

// `text`, or, when it is not all UTF-8, its repaired copy in `repaired`.
inline std::string_view utf8_repair(std::string_view text, std::string& repaired) {
  if (is_utf8(text)) return text;
  auto good = utf8_good_prefix(text);
  repaired.clear();
  while (!text.empty()) {
    repaired.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) break;
    repaired.append("\xEF\xBF\xBD");
    text.remove_prefix(utf8_next(text).bytes);
    good = utf8_good_prefix(text);
  }
  return repaired;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
