// SPDX-License-Identifier: MIT
// parser_limits.hpp - how much a parser may hold of one stream, and what becomes of bytes that are not UTF-8.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// How much a parser may hold of one stream, in bytes as they arrive (a repair to U+FFFD can turn one byte
/// into three). Beyond a limit the stream is in error: the parser never truncates.
///
/// @par Memory  At most about 5 times max_event_bytes, or 12 times where every byte has to be repaired. The
///   parser keeps it until it is destroyed.
struct parser_limits {
  /// One line, its ending excluded. The default is enough for one-line JSON with a picture in it.
  std::size_t max_line_bytes = 8 * 1024 * 1024;
  /// Type and data of one event. The default is two such lines.
  std::size_t max_event_bytes = 16 * 1024 * 1024;
  /// One event ID. A client sends it back as a request field, and servers refuse heads over 8 KiB.
  std::size_t max_id_bytes = 4 * 1024;
};

/// What to do with bytes that are not UTF-8.
enum class utf8 : unsigned char {
  /// Decode them to U+FFFD, as the standard says.
  repair,
  /// Leave them as they are: for a relay.
  keep,
};

/// The choice in a word, for labels. A static string.
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
