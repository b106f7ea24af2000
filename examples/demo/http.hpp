// SPDX-License-Identifier: MIT
// http.hpp - HTTP/1.x requests out of bytes in any slices, and plain responses into bytes.
// Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1 messages).

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace demo {

using http_fields = std::vector<std::pair<std::string, std::string>>;

struct request {
  std::string method;
  /// As it came.
  std::string target;
  /// The target up to '?', not percent-decoded.
  std::string path;
  /// What follows '?', not percent-decoded.
  std::string query;
  /// 0: an HTTP/1.0 client, which knows no chunked body.
  int minor = 1;
  http_fields fields;
  std::string body;
  bool keep_alive = true;

  /// The value of the first field of this name, in any case. The view lives as long as the request.
  std::optional<std::string_view> field(std::string_view name) const noexcept;
};

/// The first `name=value` of a query, percent-decoded, '+' being a space. A '%' without two hexadecimal
/// digits after it stays as it is.
/// Source      WHATWG URL, 5.1 application/x-www-form-urlencoded parsing
std::optional<std::string> query_value(std::string_view query, std::string_view name);

struct request_limits {
  /// RFC 9112, 3 asks for 8000 at least; beyond it 414.
  std::size_t max_request_line_bytes = 8 * 1024;
  /// Request line and fields; beyond it 431.
  std::size_t max_head_bytes = 16 * 1024;
  /// Beyond it 431; browsers send fewer than 30.
  std::size_t max_fields = 100;
  /// Beyond it 413, before a byte of the body is read.
  std::size_t max_body_bytes = 16 * 1024;
};

/// Turns bytes, in any slices, into requests, one after the other.
/// Complexity  O(bytes), no byte is searched twice. Memory: the limits, and what a call of `feed` adds.
/// Threads     one parser: one thread at a time.
class request_parser {
 public:
  enum class state { need_more, complete, error };

  request_parser() = default;
  explicit request_parser(request_limits limits) : limits_(limits) {}

  /// Takes the next bytes. While a request is complete they are only kept, so the caller bounds them by not
  /// reading on. After an error they are dropped.
  state feed(std::string_view bytes);

  /// Forgets the complete request and goes on with the bytes that came after it.
  state next();

  state current_state() const noexcept { return state_; }

  /// The request, while the state is `complete`. Before that, and after an error: its method, once that is
  /// known, and no more.
  request const& current() const noexcept { return request_; }

  /// While the state is `error`: 400, 413, 414, 431, 501 or 505, and a sentence for the response's body.
  int error_status() const noexcept { return error_status_; }
  std::string_view error_text() const noexcept { return error_text_; }

  /// No byte of a request has come yet. The empty lines that some clients send after a body are none of it.
  bool idle() const noexcept { return state_ == state::need_more && part_ == part::start && buffer_.empty(); }

  /// True once, when the head asked for `100 Continue` and the body is still to come.
  bool take_expects_continue() noexcept { return std::exchange(expects_continue_, false); }

 private:
  enum class part { start, fields, body };

  state advance();
  state refuse(int status, std::string_view text);
  bool on_request_line(std::string_view line);
  bool on_field_line(std::string_view line);
  bool on_head_end();

  request_limits limits_ = {};
  state state_ = state::need_more;
  part part_ = part::start;
  std::string buffer_;          // bytes that no finished line or body has taken
  std::size_t searched_ = 0;    // of buffer_, known to hold no line end
  std::size_t head_bytes_ = 0;  // of this request, in finished lines, empty ones before it included
  std::size_t body_bytes_ = 0;  // announced by Content-Length
  bool expects_continue_ = false;
  request request_ = {};
  int error_status_ = 0;
  std::string_view error_text_ = {};
};

/// left_out answers HEAD: the fields of GET without the bytes.
enum class body_part { sent, left_out };
enum class afterwards { keep_alive, close };

/// A whole response with its length. A type or field that would break the head makes it a 500.
std::string format_response(int status, std::string_view type, std::string_view body,
                            http_fields const& extra, body_part part, afterwards then);

/// A head alone, for a response whose body is a stream. Empty if a field would break it.
std::string format_head(int status, http_fields const& fields);

}  // namespace demo
