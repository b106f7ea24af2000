// SPDX-License-Identifier: MIT
// response_head_test.cpp - the head of a response on a connection that ends with it.
#include <ssewire/core/errc.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/refuse.hpp>
#include <ssewire/http/response_fields.hpp>
#include <ssewire/http/response_head.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using ssewire::errc;
using ssewire::framing;
using ssewire::reason_phrase;
using ssewire::response_head;

namespace {

std::string head(char const* method, framing body, errc error = errc::ok) {
  ssewire::endpoint const at({.channels = {"news"}});
  auto const none = [](char const*) { return ""; };
  return response_head(
      at.answer(at.read(method, "/events", ssewire::http_version::http_1_1, none), error, body));
}
bool has(std::string const& text, std::string_view what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a head has its status, its fields but for Connection, and an end") {
  CHECK(response_head({.status = 200, .fields = {{"A", "b"}, {"Connection", "x"}, {"C", "d"}}}) ==
        "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nConnection: close\r\n\r\n");
}

TEST_CASE("a body has a length") {
  CHECK(response_head({.status = 404, .body = "none\n"}) ==
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
  CHECK(has(head("GET", framing::chunked, errc::not_allowed), "HTTP/1.1 403 Forbidden\r\n"));
  CHECK(has(head("GET", framing::chunked, errc::not_allowed), "\r\nContent-Length: 33\r\n"));
}

TEST_CASE("what has no body, or a stream for one, has no length") {
  for (auto const* method : {"GET", "HEAD"}) {
    for (auto const body : {framing::raw, framing::chunked}) {
      CAPTURE(method);
      auto const text = head(method, body);
      CHECK(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
      CHECK_FALSE(has(text, "Content-Length"));
      CHECK(has(text, "Transfer-Encoding: chunked\r\n") == (body == framing::chunked));
      CHECK(text.ends_with("\r\nConnection: close\r\n\r\n"));
      CHECK_FALSE(has(text, "keep-alive"));
    }
  }
  CHECK(head("OPTIONS", framing::raw).starts_with("HTTP/1.1 204 No Content\r\n"));
  CHECK_FALSE(has(head("OPTIONS", framing::raw), "Content-Length"));
  CHECK_FALSE(has(head("HEAD", framing::raw, errc::not_authenticated), "Content-Length"));
}

TEST_CASE("each status of a refusal has its words, and any other has none") {
  for (int const status : {200, 204, 400, 401, 403, 404, 405, 410, 503}) CHECK(reason_phrase(status) != "");
  CHECK(reason_phrase(418) == "");
  CHECK(response_head({.status = 418}) == "HTTP/1.1 418 \r\nConnection: close\r\n\r\n");
}
