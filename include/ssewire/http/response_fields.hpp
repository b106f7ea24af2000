// SPDX-License-Identifier: MIT
// response_fields.hpp - the response fields that a stream needs.
// Source: RFC 9110, 5.5 Field Values, 7.6.1 Connection; Fetch, 3.2 CORS protocol.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/optional_text.hpp>

#include <array>
#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The version of HTTP that a response is sent by.
enum class http_version : unsigned char {
  /// HTTP/1.0.
  http_1_0,
  /// HTTP/1.1.
  http_1_1,
  /// HTTP/2.
  http_2,
  /// HTTP/3.
  http_3,
};

/// The version in a word, for logs and counters. A static string.
constexpr std::string_view name(http_version e) noexcept {
  switch (e) {
  case http_version::http_1_0: return "http_1_0";
  case http_version::http_1_1: return "http_1_1";
  case http_version::http_2: return "http_2";
  case http_version::http_3: return "http_3";
  }
  return "unknown";
}

/// A response field.
struct http_field {
  /// The name, a literal.
  std::string_view name;
  /// The value: a literal, or the caller's origin.
  std::string_view value;
};

/// Which pages of another origin may read the stream.
struct cors {
  /// One exact origin, or "*". If it is absent or empty, or holds CR, LF or NUL, no field is sent. Borrowed.
  optional_text origin = {};
  /// Pages may send cookies. This needs an exact origin: with "*" the field is left out.
  bool with_credentials = false;
};

class http_fields;
constexpr http_fields response_fields(http_version version, framing body = framing::raw,
                                      cors allow = {}) noexcept;

/// A few fields, in order: a range of http_field.
///
/// @par Lifetime  The texts are literals, except for the origin, which is the caller's.
class http_fields {
 public:
  /// The first field.
  [[nodiscard]] constexpr http_field const* begin() const noexcept { return fields_.data(); }
  /// The place after the last field.
  [[nodiscard]] constexpr http_field const* end() const noexcept { return fields_.data() + count_; }
  /// How many fields there are.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }

 private:
  friend constexpr http_fields response_fields(http_version, framing, cors) noexcept;
  constexpr void add(http_field field) noexcept { fields_[count_++] = field; }

  std::array<http_field, 8> fields_ = {};
  std::size_t count_ = 0;
};

/// The fields of a response with status 200 that carries an event stream. Send and flush them before there is
/// a first event, and send no Content-Length.
///
/// @param version  Only HTTP/1.x gets `Connection`: later versions treat it as malformed. HTTP/1.0 has no
///   chunks: the body ends with the connection.
/// @param body     With framing::chunked `Transfer-Encoding` is among the fields. Where the server chunks
///   (framing::raw), the server sends it.
/// @param allow    Which pages of another origin may read the stream.
[[nodiscard]] constexpr http_fields response_fields(http_version version, framing body, cors allow) noexcept {
  http_fields fields;
  fields.add({"Content-Type", "text/event-stream"});
  fields.add(
      {"Cache-Control", "no-store, no-transform"});  // a cache or a compressing proxy would hold events back
  fields.add({"X-Accel-Buffering", "no"});           // nginx buffers a whole stream otherwise
  if (version == http_version::http_1_0) fields.add({"Connection", "close"});
  if (version == http_version::http_1_1) {
    fields.add({"Connection", "keep-alive"});
    if (body == framing::chunked) fields.add({"Transfer-Encoding", "chunked"});
  }
  auto const origin = allow.origin.value();
  bool const clean = origin.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  if (!origin.empty() && clean) {
    fields.add({"Access-Control-Allow-Origin", origin});
    if (origin != "*") {
      fields.add({"Vary", "Origin"});
      if (allow.with_credentials) fields.add({"Access-Control-Allow-Credentials", "true"});
    }
  }
  return fields;
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
