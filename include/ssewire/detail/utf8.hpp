// SPDX-License-Identifier: MIT
// utf8.hpp - the repair that the standard's "UTF-8 decode" makes: what is not UTF-8 becomes U+FFFD.
// Source: WHATWG Encoding, 8.1.1 UTF-8 decoder; Unicode 15, table 3-7 (well-formed byte sequences).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <ssewire/detail/begin.hpp>

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
  // The second byte's range excludes overlong forms (E0, F0), surrogates (ED) and what lies beyond U+10FFFF (F4).
  unsigned char const low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char const high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (unsigned char i = 1; i < length; ++i) {
    if (i == text.size()) return {i, false};
    auto const next = byte(i);
    if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF)) return {i, false};
  }
  return {length, true};
}

// How many bytes at the front are well-formed. ASCII goes by eight bytes at a time.
inline std::size_t utf8_good_prefix(std::string_view text) noexcept {
  std::size_t good = 0;
  while (good < text.size()) {
    std::uint64_t word = 0;
    if (text.size() - good >= sizeof word) {
      std::memcpy(&word, text.data() + good, sizeof word);
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
  auto good = utf8_good_prefix(text);
  if (good == text.size()) return text;
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

#include <ssewire/detail/end.hpp>
