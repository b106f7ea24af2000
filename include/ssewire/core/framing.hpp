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

/// Who frames the body. `raw`: the server does, or the connection's end is the body's end (HTTP/1.0), or
/// HTTP/2 and 3. `chunked`: the library puts one chunk around each gathered write, for servers that hand out
/// the bare socket.
enum class framing : unsigned char { raw, chunked };

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

/// The line that begins a chunk of `body_bytes` bytes, which must not be 0: that would be the last chunk.
class chunk_head {
 public:
  explicit constexpr chunk_head(std::size_t body_bytes) noexcept {
    text_[--first_] = '\n';
    text_[--first_] = '\r';
    do {
      text_[--first_] = "0123456789abcdef"[body_bytes % 16];
      body_bytes /= 16;
    } while (body_bytes != 0);
  }

  /// Valid while this object lives, and where it lives.
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
