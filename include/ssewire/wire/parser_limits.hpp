// SPDX-License-Identifier: MIT
// parser_limits.hpp - what one stream may make a parser hold, and what becomes of bytes that are not UTF-8.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What one stream may make a parser hold, in bytes as they arrive (a repair to U+FFFD can make three of
/// one). Beyond a limit the stream is in error: nothing is ever cut short. The most memory a parser takes is
/// about 5 times max_event_bytes, 12 times where all of it has to be repaired. It keeps it until it is
/// destroyed.
struct parser_limits {
  /// One line, its ending excluded: one-line JSON with a picture in it.
  std::size_t max_line_bytes = 8 * 1024 * 1024;
  /// Type and data of one event: two such lines.
  std::size_t max_event_bytes = 16 * 1024 * 1024;
  /// It goes back as a request field; servers refuse heads over 8 KiB.
  std::size_t max_id_bytes = 4 * 1024;
};

/// What to do with bytes that are not UTF-8: the standard decodes them to U+FFFD; a relay may want them
/// untouched.
enum class utf8 : unsigned char { repair, keep };

/// A word for labels: a static string.
constexpr std::string_view name(utf8 encoding) noexcept {
  switch (encoding) {
  case utf8::repair: return "repair";
  case utf8::keep: return "keep";
  }
  return "unknown";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
