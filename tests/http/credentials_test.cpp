// SPDX-License-Identifier: MIT
#include <ssewire/http/credentials.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::cookie;
using ssewire::query_values;
using ssewire::redacted;
using namespace std::string_literals;

TEST_CASE("all values of a parameter are given, in order and decoded") {
  using values = std::vector<std::string>;
  CHECK(query_values("c=a&x=y&c=b%20&%63=d", "c") == values{"a", "b ", "d"});
  CHECK(query_values("c=&c", "c") == values{""});
  CHECK(query_values("C=a&cc=b&=c", "c").empty());
  CHECK(query_values("=a", "") == values{"a"});
  CHECK(query_values("c=a=b&&c=;", "c") == values{"a=b", ";"});
  CHECK(query_values(nullptr, "c").empty());
  CHECK(query_values("c=%0D%0A%00", "c") == values{"\r\n\0"s});
}

TEST_CASE("a cookie is found by its exact name, and the first one counts") {
  CHECK(cookie("a=1; session=x y; b=2", "session") == "x y");
  CHECK(cookie("a=1;session=2;session=3", "session") == "2");
  CHECK(cookie(" session = \"q\" ", "session") == "\"q\"");
  CHECK(cookie("session=", "session") == "");
  CHECK(cookie("session=a=b", "session") == "a=b");
  for (char const* without : {"xsession=1", "session", "Session=1", "a=session=1", ";;", "=", ""})
    CHECK(cookie(without, "session") == std::nullopt);
  CHECK(cookie(nullptr, "session") == std::nullopt);
  static_assert(cookie("a=b", "a") == "b");
}

TEST_CASE("a redacted target hides each value of the parameter, and nothing else") {
  CHECK(redacted("/e?token=secret", "token") == "/e?token=***");
  CHECK(redacted("/e?a=b&token=s%20x&c&token=#token=x", "token") == "/e?a=b&token=***&c&token=***#token=x");
  CHECK(redacted("/e?tok%65n=secret", "token") == "/e?tok%65n=***");
  CHECK(redacted("/e?tokens=a&xtoken=b&", "token") == "/e?tokens=a&xtoken=b&");
  CHECK(redacted("/token=x", "token") == "/token=x");
  CHECK(redacted("/e?", "token") == "/e?");
  CHECK(redacted(nullptr, "token") == "");
}

}  // namespace
