// SPDX-License-Identifier: MIT
// http.cpp - HTTP/1.x requests out of bytes in any slices, and plain responses into bytes.
// Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1 messages).

#include "http.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace demo {
namespace {

constexpr auto npos = std::string_view::npos;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  auto const same = [](char x, char y) { return lower(x) == lower(y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// RFC 9110, 5.6.2 Tokens
bool is_token(std::string_view text) noexcept {
  auto const in_token = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != npos);
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), in_token);
}

// RFC 9110, 5.5 Field Values: no control but a tab. Bytes above ASCII are opaque.
bool is_field_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    auto const byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

bool is_target(std::string_view text) noexcept {
  auto const visible = [](char c) { return c > 0x20 && c < 0x7f; };
  return !text.empty() && std::all_of(text.begin(), text.end(), visible);
}

std::string_view trimmed(std::string_view text) noexcept {
  auto const first = text.find_first_not_of(" \t");
  if (first == npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Does a comma-separated list hold this member?
bool list_holds(std::string_view list, std::string_view member) noexcept {
  for (;;) {
    auto const comma = list.find(',');
    if (same_name(trimmed(list.substr(0, comma)), member)) return true;
    if (comma == npos) return false;
    list.remove_prefix(comma + 1);
  }
}

int hex_digit(char c) noexcept {
  if (is_digit(c)) return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string_view reason_of(int status) noexcept {
  switch (status) {
  case 200: return "OK";
  case 201: return "Created";
  case 202: return "Accepted";
  case 204: return "No Content";
  case 304: return "Not Modified";
  case 400: return "Bad Request";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 406: return "Not Acceptable";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 413: return "Content Too Large";
  case 414: return "URI Too Long";
  case 415: return "Unsupported Media Type";
  case 422: return "Unprocessable Content";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 501: return "Not Implemented";
  case 503: return "Service Unavailable";
  case 505: return "HTTP Version Not Supported";
  default: return "";  // RFC 9112, 4: the reason may be empty
  }
}

bool append_fields(std::string& out, http_fields const& fields) {
  for (auto const& [name, value] : fields) {
    if (!is_token(name) || !is_field_value(value)) return false;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  return true;
}

std::string status_line(int status) {
  std::string out = "HTTP/1.1 ";
  out.append(std::to_string(status)).append(" ").append(reason_of(status)).append("\r\n");
  return out;
}

}  // namespace

std::optional<std::string_view> request::field(std::string_view name) const noexcept {
  for (auto const& [held, value] : fields) {
    if (same_name(held, name)) return std::string_view(value);
  }
  return std::nullopt;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    auto const pair = query.substr(0, query.find('&'));
    query.remove_prefix((std::min)(query.size(), pair.size() + 1));
    auto const equals = pair.find('=');
    if (pair.empty() || decoded(pair.substr(0, equals)) != name) continue;
    return equals == npos ? std::string() : decoded(pair.substr(equals + 1));
  }
  return std::nullopt;
}

request_parser::state request_parser::feed(std::string_view bytes) {
  if (state_ == state::error) return state_;
  buffer_.append(bytes);
  return state_ == state::complete ? state_ : advance();
}

request_parser::state request_parser::next() {
  if (state_ != state::complete) return state_;
  request_ = {};
  part_ = part::start;
  head_bytes_ = 0;
  body_bytes_ = 0;
  expects_continue_ = false;
  state_ = state::need_more;
  return advance();
}

request_parser::state request_parser::refuse(int status, std::string_view text) {
  error_status_ = status;
  error_text_ = text;
  buffer_ = {};
  auto method = std::move(request_.method);  // an error is answered without a body, too, if this is HEAD
  request_ = {};
  request_.method = std::move(method);
  return state_ = state::error;
}

request_parser::state request_parser::advance() {
  std::size_t used = 0;  // of buffer_, in lines finished by this call
  while (part_ != part::body) {
    auto const end = buffer_.find('\n', (std::max)(used, searched_));
    auto const line_bytes = (end == std::string::npos ? buffer_.size() : end + 1) - used;
    // A limit holds for what has come of an unfinished line too, or the wait for its end would be unbounded.
    if (part_ == part::start && line_bytes > limits_.max_request_line_bytes) {
      return refuse(414, "the request line is too long");
    }
    if (head_bytes_ + line_bytes > limits_.max_head_bytes) return refuse(431, "the head is too large");
    if (end == std::string::npos) {
      searched_ = buffer_.size() - used;
      buffer_.erase(0, used);
      return state_;
    }
    auto line = std::string_view(buffer_).substr(used, line_bytes - 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    head_bytes_ += line_bytes;
    used += line_bytes;

    if (part_ == part::start) {
      // RFC 9112, 2.2: an empty line before the request line is ignored.
      if (!line.empty() && !on_request_line(line)) return state_;
    } else if (line.empty()) {
      if (!on_head_end()) return state_;
    } else if (!on_field_line(line)) {
      return state_;
    }
  }
  buffer_.erase(0, used);
  searched_ = 0;
  if (buffer_.size() < body_bytes_) return state_;
  expects_continue_ = false;
  request_.body.assign(buffer_, 0, body_bytes_);
  buffer_.erase(0, body_bytes_);
  return state_ = state::complete;
}

bool request_parser::on_request_line(std::string_view line) {
  auto const wrong = [this](int status, std::string_view text) {
    refuse(status, text);
    return false;
  };
  auto const first = line.find(' ');
  auto const last = line.rfind(' ');
  if (first == npos || first == last) return wrong(400, "the request line is not 'method target version'");
  auto const method = line.substr(0, first);
  auto const target = line.substr(first + 1, last - first - 1);
  auto const version = line.substr(last + 1);
  if (!is_token(method)) return wrong(400, "the method is not a token");
  request_.method = method;
  if (method == "CONNECT") return wrong(501, "this server is no proxy");
  if (!is_target(target)) return wrong(400, "the target holds a byte that must be percent-encoded");
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || version[6] != '.' || !is_digit(version[5]) ||
      !is_digit(version[7])) {
    return wrong(400, "the version is not 'HTTP/x.y'");
  }
  if (version[5] != '1') return wrong(505, "this server speaks HTTP/1.0 and HTTP/1.1");

  auto path = target;
  if (path == "*") {
    // RFC 9112, 3.2.4: the server as a whole, of which only OPTIONS can ask.
    if (method != "OPTIONS") return wrong(400, "only OPTIONS asks for '*'");
  } else if (path.front() != '/') {
    // RFC 9112, 3.2.2: a server accepts the absolute form too.
    auto const scheme = path.find("://");
    if (scheme == npos || scheme == 0) return wrong(400, "the target is no path and no address");
    auto const slash = path.find_first_of("/?", scheme + 3);
    path = slash == npos ? std::string_view("/") : path.substr(slash);
  }
  auto const question = path.find('?');
  request_.target = target;
  request_.path = path.substr(0, question);
  request_.query = question == npos ? std::string_view() : path.substr(question + 1);
  if (request_.path.empty()) request_.path = "/";
  request_.minor = version[7] == '0' ? 0 : 1;
  part_ = part::fields;
  return true;
}

bool request_parser::on_field_line(std::string_view line) {
  auto const wrong = [this](int status, std::string_view text) {
    refuse(status, text);
    return false;
  };
  if (line.front() == ' ' || line.front() == '\t') return wrong(400, "a field is folded over two lines");
  if (request_.fields.size() == limits_.max_fields) return wrong(431, "there are too many fields");
  auto const colon = line.find(':');
  if (colon == npos) return wrong(400, "a field has no colon");
  auto const name = line.substr(0, colon);
  auto const value = trimmed(line.substr(colon + 1));
  // A blank before the colon fails here too. Servers that disagreed about it were tricked (RFC 9112, 5.1).
  if (!is_token(name)) return wrong(400, "a field's name is not a token");
  if (!is_field_value(value)) return wrong(400, "a field's value holds a control character");
  request_.fields.emplace_back(name, value);
  return true;
}

bool request_parser::on_head_end() {
  auto const wrong = [this](int status, std::string_view text) {
    refuse(status, text);
    return false;
  };
  std::optional<std::string_view> length;
  bool has_transfer_encoding = false;
  int hosts = 0;
  bool says_close = false;
  bool says_keep_alive = false;
  bool says_continue = false;
  for (auto const& [name, value] : request_.fields) {
    if (same_name(name, "content-length")) {
      // Even two that agree: whoever sent them does not know where the request ends.
      if (length) return wrong(400, "there are two Content-Length fields");
      length = value;
    } else if (same_name(name, "transfer-encoding")) {
      has_transfer_encoding = true;
    } else if (same_name(name, "host")) {
      ++hosts;
    } else if (same_name(name, "connection")) {
      says_close = says_close || list_holds(value, "close");
      says_keep_alive = says_keep_alive || list_holds(value, "keep-alive");
    } else if (same_name(name, "expect")) {
      says_continue = says_continue || list_holds(value, "100-continue");
    }
  }
  if (length && has_transfer_encoding) return wrong(400, "Content-Length and Transfer-Encoding are given");
  if (has_transfer_encoding) return wrong(501, "a transfer encoding is not supported");
  if (hosts > 1 || (hosts == 0 && request_.minor == 1)) return wrong(400, "there must be one Host field");
  if (length) {
    if (length->empty() || !std::all_of(length->begin(), length->end(), is_digit)) {
      return wrong(400, "Content-Length is not a number");
    }
    auto const [end, error] = std::from_chars(length->data(), length->data() + length->size(), body_bytes_);
    bool const fits = error == std::errc{} && body_bytes_ <= limits_.max_body_bytes;
    if (!fits) return wrong(413, "the body is too large");
  }
  request_.keep_alive = !says_close && (request_.minor == 1 || says_keep_alive);
  expects_continue_ = says_continue && request_.minor == 1 && body_bytes_ > 0;
  part_ = part::body;
  return true;
}

std::string format_response(int status, std::string_view type, std::string_view body,
                            http_fields const& extra, body_part part, afterwards then) {
  auto out = status_line(status);
  bool const has_body = status != 204 && status != 304;
  if (has_body) {
    out.append("Content-Type: ").append(type).append("\r\n");
    out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  out.append("Connection: ").append(then == afterwards::close ? "close" : "keep-alive").append("\r\n");
  if (!is_field_value(type) || !append_fields(out, extra)) {
    return format_response(500, "text/plain", "a field of the response was not valid\n", {}, part, then);
  }
  out.append("\r\n");
  if (has_body && part == body_part::sent) out.append(body);
  return out;
}

std::string format_head(int status, http_fields const& fields) {
  auto out = status_line(status);
  if (!append_fields(out, fields)) return {};
  return out.append("\r\n");
}

}  // namespace demo
