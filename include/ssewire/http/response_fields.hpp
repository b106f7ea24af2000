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

enum class http_version : unsigned char { http_1_0, http_1_1, http_2, http_3 };

/// The word for it, for logs and counters. A static string.
constexpr std::string_view name(http_version e) noexcept {
  switch (e) {
  case http_version::http_1_0: return "http_1_0";
  case http_version::http_1_1: return "http_1_1";
  case http_version::http_2: return "http_2";
  case http_version::http_3: return "http_3";
  }
  return "unknown";
}

struct http_field {
  std::string_view name;
  std::string_view value;
};

/// Which pages of another origin may read the stream.
struct cors {
  /// One exact origin, or "*". Absent or empty: none, no field is sent; so is one that holds CR, LF or NUL.
  /// Borrowed.
  optional_text origin = {};
  /// Pages may send cookies. Needs an exact origin, so it is left out beside "*".
  bool with_credentials = false;
};

class http_fields;
constexpr http_fields response_fields(http_version version, framing body = framing::raw,
                                      cors allow = {}) noexcept;

/// A few fields, in order; a range of http_field. Its texts are literals, but for the origin, which is the
/// caller's.
class http_fields {
 public:
  [[nodiscard]] constexpr http_field const* begin() const noexcept { return fields_.data(); }
  [[nodiscard]] constexpr http_field const* end() const noexcept { return fields_.data() + count_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }

 private:
  friend constexpr http_fields response_fields(http_version, framing, cors) noexcept;
  constexpr void add(http_field field) noexcept { fields_[count_++] = field; }

  std::array<http_field, 8> fields_ = {};
  std::size_t count_ = 0;
};

/// The fields of a response with status 200 that carries an event stream. Send them before the first event
/// is there (flush!), and no Content-Length. `Connection` is sent on HTTP/1.x only: later versions treat it
/// as malformed. `Transfer-Encoding` is sent when the library does the chunking; where the server chunks
/// (framing::raw), the server sends it. HTTP/1.0 knows no chunks: the body ends with the connection.
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
