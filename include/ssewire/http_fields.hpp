// SPDX-License-Identifier: MIT
// http_fields.hpp - the response fields that a stream needs, and the request's last event ID.
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header; RFC 9110, 5.5 Field Values, 7.6.1 Connection;
// RFC 3986, 3.4 Query; Fetch, 3.2 CORS protocol.
#pragma once

#include <ssewire/detail/cplusplus.hpp>

#include <ssewire/framing.hpp>
#include <ssewire/optional_text.hpp>

#include <array>
#include <cstddef>
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

/// The fields of a response with status 200 that carries an event stream. Send them before the first event is
/// there (flush!), and no Content-Length.
/// `Connection` is sent on HTTP/1.x only: later versions treat it as malformed. `Transfer-Encoding` is sent
/// when the library does the chunking; where the server chunks (framing::raw), the server sends it. HTTP/1.0
/// knows no chunks: the body ends with the connection.
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

// A field's value is what is between the blanks around it (RFC 9110, 5.5). Not every server has removed them.
constexpr std::string_view without_blanks(std::string_view text) noexcept {
  auto const first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace detail

/// The query of a request's target: what stands between its first '?' and its end, or a '#'. Empty if there
/// is none. For servers that give the target alone: last_event_id() wants the query.
/// Input       `target`: `/events?channel=news`, also with scheme and host before it; absent is empty.
/// Source      RFC 3986, 3.4 Query: a second '?' is part of the query.
[[nodiscard]] constexpr std::string_view query_of(optional_text target) noexcept {
  auto const text = target.value().substr(0, target.value().find('#'));
  auto const mark = text.find('?');
  return mark == std::string_view::npos ? std::string_view() : text.substr(mark + 1);
}

/// The last event ID a client presents: that of the `Last-Event-ID` field; or else of the query, where
/// clients put it that cannot set a field. Empty: the client has none.
///
/// Names in a query: lastEventId, last_event_id, evs_last_event_id (polyfills), lastEventID and Last-Event-ID
/// (Mercure), to the letter. If several have a value the last one counts: what a client adds when it comes
/// back stands after what the page had put into its address.
///
/// Input       `header`: the field's value; blanks around it are not part of it. `query`: what follows the
///             target's first '?', see query_of(), still percent-encoded. Absent and empty mean the same in
///             both. Hostile bytes: hand the result to subscribe() and after(), which take anything, and
///             never put it into a response.
/// Throws      std::bad_alloc.
[[nodiscard]] inline std::string last_event_id(optional_text header, optional_text query = {}) {
  if (auto const value = detail::without_blanks(header.value()); !value.empty()) return std::string(value);
  std::string last;
  for (auto rest = query.value(); !rest.empty();) {
    auto const pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size() < rest.size() ? pair.size() + 1 : rest.size());
    auto const equals = pair.find('=');
    if (equals == std::string_view::npos || equals + 1 == pair.size()) continue;
    auto const name = detail::percent_decoded(pair.substr(0, equals));
    for (std::string_view const known :
         {"lastEventId", "last_event_id", "evs_last_event_id", "lastEventID", "Last-Event-ID"}) {
      if (name == known) last = detail::percent_decoded(pair.substr(equals + 1));
    }
  }
  return last;
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
