// SPDX-License-Identifier: MIT
// framing.hpp - how a stream's bytes stand in the response: as they are, or in chunks of HTTP/1.1.
// Source: RFC 9112, 7.1 Chunked Transfer Coding.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Who frames the body.
enum class framing : unsigned char {
  /// Not the library: the server does, or the end of the connection ends the body (HTTP/1.0), or the version
  /// is HTTP/2 or 3.
  raw,
  /// The library puts one chunk around each gathered write: for servers that hand out the bare socket.
  chunked,
};

/// The framing in a word, for labels. A static string.
constexpr std::string_view name(framing how) noexcept {
  switch (how) {
  case framing::raw: return "raw";
  case framing::chunked: return "chunked";
  }
  return "unknown";
}

/// The chunk that ends a chunked body.
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

/// What ends each chunk.
inline constexpr std::string_view chunk_tail = "\r\n";

/// The line that begins a chunk.
class chunk_head {
 public:
  /// The line for a chunk of `body_bytes` bytes.
  ///
  /// @pre  Not 0: that would be the last chunk.
  explicit constexpr chunk_head(std::size_t body_bytes) noexcept {
    text_[--first_] = '\n';
    text_[--first_] = '\r';
    do {
      text_[--first_] = "0123456789abcdef"[body_bytes % 16];
      body_bytes /= 16;
    } while (body_bytes != 0);
  }

  /// The characters of the line.
  ///
  /// @par Lifetime  A view of this object.
  [[nodiscard]] constexpr std::string_view view() const noexcept {
    return {text_ + first_, sizeof text_ - first_};
  }

 private:
  char text_[2 * sizeof(std::size_t) + 2] = {};
  unsigned char first_ = sizeof text_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
