// SPDX-License-Identifier: MIT
#include <ssewire/http_fields.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>

namespace {

using ssewire::cors;
using ssewire::framing;
using ssewire::http_version;
using ssewire::last_event_id;
using ssewire::query_of;
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

TEST_CASE("the Last-Event-ID field comes first") {
  CHECK(last_event_id("7") == "7");
  CHECK(last_event_id("7", "lastEventId=8") == "7");
  CHECK(last_event_id("a+b%20c") == "a+b%20c"); // a field is not percent-encoded
}

TEST_CASE("an absent or empty field leaves it to the query") {
  CHECK(last_event_id(std::nullopt, "lastEventId=8") == "8");
  CHECK(last_event_id("", "lastEventId=8") == "8");
  CHECK(last_event_id(std::nullopt) == "");
  CHECK(last_event_id("") == "");
  CHECK(last_event_id("", "") == "");
}

TEST_CASE("blanks around a field's value are not part of it, those within are") {
  CHECK(last_event_id(" 7 ") == "7");
  CHECK(last_event_id("\t 7\t") == "7");
  CHECK(last_event_id("a b") == "a b");
  CHECK(last_event_id(" \t ", "lastEventId=8") == "8");
  CHECK(last_event_id("\v7") == "\v7");
  CHECK(last_event_id(std::nullopt, "lastEventId=+7+") == " 7 "); // a query's value is all that stands there
}

TEST_CASE("the names that clients use in a query are known, by the byte, and no others") {
  for (std::string_view const good :
       {"lastEventId=8", "last_event_id=8", "evs_last_event_id=8", "lastEventID=8", "Last-Event-ID=8",
        "a=b&lastEventId=8", "&&lastEventId=8&&", "lastEventId=8&a=b", "=&lastEventId=8", "a&lastEventId=8",
        "lastEventI%64=8", "%6castEventId=8", "lastEventId=%38"}) {
    CAPTURE(good);
    CHECK(last_event_id(std::nullopt, good) == "8");
  }
  for (std::string_view const bad :
       {"lasteventid=8", "LastEventId=8", "lastEventId", "lastEventI=8", "lastEventIds=8", "xlastEventId=8",
        "last-event-id=8", "=lastEventId=8", "a=lastEventId", "&", "=", "lastEventId%3D8", " lastEventId=8",
        "lastEventId =8", "Last-Event-Id=8", "LASTEVENTID=8", "?lastEventId=8", "a=b;lastEventId=8"}) {
    CAPTURE(bad);
    CHECK(last_event_id(std::nullopt, bad) == "");
  }
}

TEST_CASE("the last name that has a value counts: a client adds it to the address that a page gave") {
  CHECK(last_event_id(std::nullopt, "last_event_id=1&lastEventId=2") == "2");
  CHECK(last_event_id(std::nullopt, "lastEventId=2&last_event_id=1") == "1");
  CHECK(last_event_id(std::nullopt, "lastEventId=7&lastEventId=9") == "9");
  CHECK(last_event_id(std::nullopt, "lastEventId=&last_event_id=9") == "9");
  CHECK(last_event_id(std::nullopt, "lastEventId=9&last_event_id=") == "9");
  CHECK(last_event_id(std::nullopt, "lastEventId=9&last_event_id") == "9");
  CHECK(last_event_id(std::nullopt, "lastEventId=") == "");
}

// RFC 3986, 3.4: "The characters slash ("/") and question mark ("?") may represent data within the query
// component."
TEST_CASE("a question mark in a query is data, wherever it stands") {
  for (std::string_view const query :
       {"lastEventId=7&back=/page?x=1", "back=/page?x=1&lastEventId=7", "back=?&lastEventId=7",
        "?&lastEventId=7", "lastEventId=7?", "a=?lastEventId=6&lastEventId=7", "lastEventId=7&?lastEventId=6",
        "back=/e?lastEventId=6&lastEventId=7", "lastEventId=7&back=/e?lastEventId=6"}) {
    CAPTURE(query);
    CHECK(last_event_id(std::nullopt, query) == (query.ends_with("7?") ? "7?" : "7"));
  }
  CHECK(last_event_id(std::nullopt, "lastEventId=a?b") == "a?b");
  CHECK(last_event_id(std::nullopt, "lastEventId=a=b") == "a=b");
  CHECK(last_event_id(std::nullopt, "lastEventId=a/b;c:d@e,f$g!h'i(j)*k") == "a/b;c:d@e,f$g!h'i(j)*k");
  CHECK(last_event_id(std::nullopt, "lastEventId=null") == "null"); // a publisher may have called an event so
}

TEST_CASE("the query of a target is what follows its first question mark") {
  struct row {
    std::string_view target;
    std::string_view query;
  };
  constexpr row rows[] = {
      {"/events?lastEventId=7", "lastEventId=7"},
      {"/events?lastEventId=7&back=/page?x=1", "lastEventId=7&back=/page?x=1"},
      {"/events??a", "?a"},
      {"https://a.example:8080/events?a=b", "a=b"},
      {"https://a.example?a=b", "a=b"},
      {"/events", ""},
      {"/events?", ""},
      {"?a", "a"},
      {"", ""},
      {"*", ""},
      {"/e?lastEventId=7#top", "lastEventId=7"}, // no request should have a fragment
      {"/e#top?lastEventId=7", ""},
      {"#", ""},
  };
  for (auto const& r : rows) {
    CAPTURE(r.target);
    CHECK(query_of(r.target) == r.query);
  }
  static_assert(query_of("/events?a") == "a");
  CHECK(last_event_id(std::nullopt, query_of("/events?lastEventId=7&back=/page?x=1")) == "7");
}

TEST_CASE("a query value is percent-decoded; what is no escape stands for itself") {
  auto const of = [](std::string const& text) { return last_event_id(std::nullopt, "lastEventId=" + text); };
  CHECK(of("a%2Bb") == "a+b");
  CHECK(of("a%2bb") == "a+b");
  CHECK(of("a+b") == "a b");
  CHECK(of("%41") == "A");
  CHECK(of("%4") == "%4");
  CHECK(of("%") == "%");
  CHECK(of("%%41") == "%A");
  CHECK(of("%4g") == "%4g");
  CHECK(of("%g4") == "%g4");
  CHECK(of("%2541") == "%41"); // once, not twice
  CHECK(of("%00%0D%0A%FF") == "\0\r\n\xFF"s);
  CHECK(of("%26x%3D") == "&x=");
}

} // namespace
