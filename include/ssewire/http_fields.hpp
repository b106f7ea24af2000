// SPDX-License-Identifier: MIT
// http_fields.hpp - the response fields that a stream needs, and the request's last event ID.
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header; RFC 9110, 7.6.1 Connection; Fetch, 3.2 CORS protocol.
#pragma once

#include <ssewire/framing.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

enum class http_version : unsigned char { http_1_0, http_1_1, http_2, http_3 };

struct http_field {
  std::string_view name;
  std::string_view value;
};

/// Which pages of another origin may read the stream. Absent origin: none, no field is sent.
struct cors {
  std::string_view origin =
      {};  ///< one exact origin, or "*"; borrowed. One holding CR, LF or NUL is left out
  bool with_credentials =
      false;  ///< pages may send cookies; needs an exact origin, so it is left out beside "*"
};

class http_fields;
constexpr http_fields response_fields(http_version version, framing body = framing::raw,
                                      cors allow = {}) noexcept;

/// A few fields, in order; a range of http_field. Its texts are literals, but for the origin, which is the caller's.
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

/// The fields of a response with status 200 that carries an event stream. Send them before the first event is there
/// (flush!), and no Content-Length.
/// `Connection` is sent on HTTP/1.x only: later versions treat it as malformed. `Transfer-Encoding` is sent when the
/// library does the chunking; where the server chunks (framing::raw), the server sends it. HTTP/1.0 knows no chunks:
/// the body ends with the connection.
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
  bool const clean = allow.origin.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  if (!allow.origin.empty() && clean) {
    fields.add({"Access-Control-Allow-Origin", allow.origin});
    if (allow.origin != "*") {
      fields.add({"Vary", "Origin"});
      if (allow.with_credentials) fields.add({"Access-Control-Allow-Credentials", "true"});
    }
  }
  return fields;
}

namespace detail {

constexpr int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A '%' that begins no escape stands for itself, as URLSearchParams has it.
inline std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    int const high = i + 2 < text.size() && text[i] == '%' ? hex_digit(text[i + 1]) : -1;
    int const low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace detail

/// The last event ID a client presents: of the `Last-Event-ID` field, or else of the query, where polyfills put it
/// under lastEventId, last_event_id or evs_last_event_id, the first that stands there. Empty: the client has none.
/// Input       `header`: the field's value, absent or empty if there is none. `query`: what follows the '?', still
///             percent-encoded. Hostile bytes, both: hand the result to subscribe() and after(), which take anything,
///             and never put it into a response.
/// Throws      std::bad_alloc.
[[nodiscard]] inline std::string last_event_id(std::optional<std::string_view> header,
                                               std::string_view query = {}) {
  if (header && !header->empty()) return std::string(*header);
  if (auto const mark = query.find('?'); mark != std::string_view::npos) query.remove_prefix(mark + 1);
  while (!query.empty()) {
    auto const pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : query.size());
    auto const equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    auto const name = detail::percent_decoded(pair.substr(0, equals));
    if (name == "lastEventId" || name == "last_event_id" || name == "evs_last_event_id") {
      return detail::percent_decoded(pair.substr(equals + 1));
    }
  }
  return {};
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
