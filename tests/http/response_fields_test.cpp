// SPDX-License-Identifier: MIT
#include <ssewire/http/response_fields.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace {

using ssewire::cors;
using ssewire::framing;
using ssewire::http_version;
using ssewire::response_fields;
using namespace std::string_literals;
using namespace std::string_view_literals;

std::string head(ssewire::http_fields const& fields) {
  std::string out;
  for (auto const& field : fields) out += std::string(field.name) + ": " + std::string(field.value) + "\n";
  return out;
}

constexpr auto always = "Content-Type: text/event-stream\n"
                        "Cache-Control: no-store, no-transform\n"
                        "X-Accel-Buffering: no\n";

std::string head_for(cors allow) { return head(response_fields(http_version::http_2, framing::raw, allow)); }

TEST_CASE("every response names its type and keeps caches and proxies from holding it back") {
  CHECK(head(response_fields(http_version::http_2)) == always);
  CHECK(head(response_fields(http_version::http_3)) == always);
}

TEST_CASE("Connection is sent on HTTP/1.x only") {
  CHECK(head(response_fields(http_version::http_1_1)) == always + "Connection: keep-alive\n"s);
  CHECK(head(response_fields(http_version::http_1_0)) == always + "Connection: close\n"s);
}

TEST_CASE("Transfer-Encoding is sent on HTTP/1.1 when the library does the chunking, and never else") {
  CHECK(head(response_fields(http_version::http_1_1, framing::chunked)) ==
        always + "Connection: keep-alive\nTransfer-Encoding: chunked\n"s);
  CHECK(head(response_fields(http_version::http_1_0, framing::chunked)) == always + "Connection: close\n"s);
  CHECK(head(response_fields(http_version::http_2, framing::chunked)) == always);
  CHECK(head(response_fields(http_version::http_3, framing::chunked)) == always);
}

TEST_CASE("CORS fields are sent only when asked for") {
  CHECK(head_for({}) == always);
  CHECK(head_for({.with_credentials = true}) == always);
  CHECK(head_for({.origin = "*"}) == always + "Access-Control-Allow-Origin: *\n"s);
  CHECK(head_for({.origin = "https://a.example"}) ==
        always + "Access-Control-Allow-Origin: https://a.example\nVary: Origin\n"s);
}

TEST_CASE("credentials need one exact origin, and Vary: Origin") {
  CHECK(head_for({.origin = "https://a.example", .with_credentials = true}) ==
        always + "Access-Control-Allow-Origin: https://a.example\nVary: Origin\n"
                 "Access-Control-Allow-Credentials: true\n"s);
  CHECK(head_for({.origin = "*", .with_credentials = true}) == always + "Access-Control-Allow-Origin: *\n"s);
}

TEST_CASE("an origin that would break the head is left out, its neighbour one byte away is sent") {
  auto const fields = [](std::string_view origin) {
    return head_for({.origin = origin, .with_credentials = true});
  };
  CHECK(fields("https://a\r\nX: y") == always);
  CHECK(fields("https://a\rX: y") == always);
  CHECK(fields("https://a\nX: y") == always);
  CHECK(fields("https://a\0X: y"sv) == always);
  CHECK(fields("\n") == always);
  CHECK(fields("https://a\tX: y").find("https://a\tX: y") != std::string::npos);
}

TEST_CASE("all fields together fit") {
  auto const fields = response_fields(http_version::http_1_1, framing::chunked,
                                      {.origin = "https://a.example", .with_credentials = true});
  CHECK(fields.size() == 8);
  CHECK(fields.end() - fields.begin() == 8);
}

TEST_CASE("the fields work in a constant expression") {
  static_assert(response_fields(http_version::http_2).size() == 3);
  static_assert(response_fields(http_version::http_1_1).begin()->value == "text/event-stream");
}

TEST_CASE("each value has a name, and a number that names none is unknown") {
  CHECK(name(ssewire::http_version::http_1_0) == "http_1_0");
  CHECK(name(ssewire::http_version::http_1_1) == "http_1_1");
  CHECK(name(ssewire::http_version::http_2) == "http_2");
  CHECK(name(ssewire::http_version::http_3) == "http_3");
  CHECK(name(static_cast<ssewire::http_version>(99)) == "unknown");
}

}  // namespace
