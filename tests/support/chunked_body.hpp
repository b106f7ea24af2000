// SPDX-License-Identifier: MIT
// chunked_body.hpp - a decoder of chunked bodies, whole or cut.
// Source: RFC 9112, 7.1 Chunked Transfer Coding.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace support {

struct chunked_body {
  // Includes the part of a chunk that has come.
  std::string body = {};
  // The sizes that chunk heads named, without the 0 of the last chunk.
  std::vector<std::size_t> chunks = {};
  // The bytes end between two chunks.
  bool at_border = true;
  // The last chunk and its trailer have come.
  bool ended = false;
  std::string error = {};
};

/// chunked-body = *chunk last-chunk trailer-section CRLF, as far as it has come. Knows no extensions and no
/// trailers.
inline chunked_body decode_chunked(std::string_view bytes) {
  chunked_body out;
  while (!bytes.empty()) {
    if (out.ended) {
      out.error = "bytes after the end";
      return out;
    }
    out.at_border = false;
    // chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF;  chunk-size = 1*HEXDIG
    std::size_t size = 0;
    std::size_t digits = 0;
    for (; digits < bytes.size(); ++digits) {
      auto const value = std::string_view("0123456789abcdef").find(bytes[digits]);
      if (value == std::string_view::npos) break;
      size = size * 16 + value;
    }
    if (digits == bytes.size()) return out;
    if (digits == 0) {
      out.error = "no chunk-size";
      return out;
    }
    bytes.remove_prefix(digits);
    if (bytes.substr(0, 2) != std::string_view("\r\n").substr(0, bytes.size())) {
      out.error = "no CRLF after chunk-size";
      return out;
    }
    if (bytes.size() < 2) return out;
    bytes.remove_prefix(2);
    if (size != 0) out.chunks.push_back(size);
    out.body += bytes.substr(0, size);
    if (bytes.size() < size) return out;
    bytes.remove_prefix(size);
    // CRLF after chunk-data. After the last chunk, the CRLF that ends the empty trailer section.
    if (bytes.substr(0, 2) != std::string_view("\r\n").substr(0, bytes.size())) {
      out.error = "no CRLF after chunk-data";
      return out;
    }
    if (bytes.size() < 2) return out;
    bytes.remove_prefix(2);
    out.at_border = true;
    out.ended = size == 0;
  }
  return out;
}

}  // namespace support
