// SPDX-License-Identifier: MIT
// request_reader.hpp - the requests of a connection, out of its bytes in any slices, and a response as text:
// for the servers of this folder that have a socket and no HTTP. Source: RFC 9112 (HTTP/1.1 messages).
//
// It takes what the clients of this program send: no chunked request, and no `Expect: 100-continue`.
#pragma once

#include <ssewire/ssewire.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace app {

// Whether both are the same but for the case of letters.
inline bool same_word(std::string_view a, std::string_view b) {
  auto const lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  auto const same = [&](char x, char y) { return lower(x) == lower(y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

struct request {
  std::string method = {};
  std::string target = {};
  ssewire::http_version version = ssewire::http_version::http_1_1;
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string body = {};

  // The value of the first field of this name, in any case; empty: there is none. It lives as long as this.
  std::string_view field(std::string_view name) const {
    for (auto const& [its, value] : fields) {
      if (same_word(its, name)) return value;
    }
    return {};
  }
  // Whether the client may send another request on this connection.
  bool keep_alive() const {
    return version == ssewire::http_version::http_1_1 && !same_word(field("Connection"), "close");
  }
};

class request_reader {
 public:
  // `refused`: answer refused_status(), and close the connection. It takes no more bytes.
  enum class state { needs_more, complete, refused };

  static constexpr std::size_t most_head_bytes = 16 * 1024;
  static constexpr std::size_t most_body_bytes = 1024 * 1024;

  // Takes the next bytes. While a request is complete they wait, so do not go on reading from the socket.
  state read(std::string_view bytes) {
    if (state_ != state::refused) waiting_ += bytes;
    return state_ == state::needs_more ? go_on() : state_;
  }
  // Forgets the complete request, and goes on with the bytes that came after it.
  state next() {
    request_ = {};
    state_ = state::needs_more;
    return go_on();
  }
  // The request, while it is complete.
  request const& current() const { return request_; }
  int refused_status() const { return refused_status_; }

 private:
  state go_on() {
    if (!has_head_) {
      while (waiting_.starts_with("\r\n")) waiting_.erase(0, 2);  // RFC 9112, 2.2: some clients send one
      auto const end = waiting_.find("\r\n\r\n", searched_);
      if ((end == std::string::npos ? waiting_.size() : end + 4) > most_head_bytes) return refuse(431);
      searched_ = waiting_.size() - (std::min<std::size_t>)(waiting_.size(), 3);  // the end may be cut
      if (end == std::string::npos) return state_;
      if (int const status = read_head(std::string_view(waiting_).substr(0, end + 2))) return refuse(status);
      waiting_.erase(0, end + 4);
      searched_ = 0;
      has_head_ = true;
    }
    if (waiting_.size() < body_bytes_) return state_;
    request_.body = waiting_.substr(0, body_bytes_);
    waiting_.erase(0, body_bytes_);
    has_head_ = false;
    return state_ = state::complete;
  }

  // `head` ends with a line end. This and the next two return the status to refuse the request with, or 0.
  int read_head(std::string_view head) {
    for (bool first = true; !head.empty(); first = false) {
      auto const line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      // Others may take these for a line's end.
      if (line.find_first_of(std::string_view("\r\n\0", 3)) != line.npos) return 400;
      if (int const status = first ? read_request_line(line) : read_field(line)) return status;
    }
    return 0;
  }
  int read_request_line(std::string_view line) {
    auto const a = line.find(' '), b = line.rfind(' ');
    if (a == line.npos || a == 0 || b <= a + 1) return 400;
    request_.method = line.substr(0, a);
    request_.target = line.substr(a + 1, b - a - 1);
    if (request_.target.find(' ') != std::string::npos) return 400;
    auto const version = line.substr(b + 1);
    if (version == "HTTP/1.0") request_.version = ssewire::http_version::http_1_0;
    body_bytes_ = 0;
    return version == "HTTP/1.1" || version == "HTTP/1.0" ? 0 : 505;
  }
  int read_field(std::string_view line) {
    auto const name = line.substr(0, line.find(':'));
    auto value = line.substr((std::min)(name.size() + 1, line.size()));
    // A blank in the name: a line that goes on with the one before, or a name that proxies read differently.
    if (name.empty() || name.size() == line.size() || name.find_first_of(" \t") != name.npos) return 400;
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    if (same_word(name, "Transfer-Encoding")) return 501;
    if (same_word(name, "Content-Length")) {
      if (value.empty() || !request_.field(name).empty()) return 400;
      for (char const c : value) {
        if (c < '0' || c > '9') return 400;
        body_bytes_ = body_bytes_ * 10 + static_cast<std::size_t>(c - '0');
        if (body_bytes_ > most_body_bytes) return 413;
      }
    }
    request_.fields.emplace_back(name, value);
    return 0;
  }

  state refuse(int status) {
    refused_status_ = status;
    waiting_ = {};
    return state_ = state::refused;
  }

  state state_ = state::needs_more;
  bool has_head_ = false;
  std::string waiting_;       // bytes that no request has taken
  std::size_t searched_ = 0;  // so many of them hold no end of a head
  std::size_t body_bytes_ = 0;
  int refused_status_ = 0;
  request request_;
};

// A response without a body.
inline std::string empty_response(int status, bool keep_alive) {
  return "HTTP/1.1 " + std::to_string(status) + " \r\nContent-Length: 0\r\n" +
         (keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
}

}  // namespace app
