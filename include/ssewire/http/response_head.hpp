// SPDX-License-Identifier: MIT
// response_head.hpp - the head of a response as text, for servers that write to the socket themselves.
// Source: RFC 9112, 4 Status Line, 6 Message Body, 9.6 Tear-down.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/http/refuse.hpp>

#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The words that follow a status code. A static string; empty for a status that no response of this library
/// has.
[[nodiscard]] constexpr std::string_view reason_phrase(int status) noexcept {
  switch (status) {
  case 200: return "OK";
  case 204: return "No Content";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 410: return "Gone";
  case 503: return "Service Unavailable";
  default: return "";
  }
}

/// The head of a response on a connection of HTTP/1.x that ends with it. What follows is the stream, or
/// `said.body`.
///
/// It says `Connection: close`: a driver throws away what a client sends while its stream is open, so there
/// is no next request. There is a Content-Length if there is a body.
///
/// @param said  What endpoint::answer() or refuse() returned.
/// @throws      std::bad_alloc.
[[nodiscard]] inline std::string response_head(http_response const& said) {
  auto head = "HTTP/1.1 " + std::to_string(said.status) + ' ';
  head.append(reason_phrase(said.status)).append("\r\n");
  for (auto const& [name, value] : said.fields) {
    if (name != "Connection") head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!said.body.empty()) head += "Content-Length: " + std::to_string(said.body.size()) + "\r\n";
  return head += "Connection: close\r\n\r\n";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
