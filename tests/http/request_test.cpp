// SPDX-License-Identifier: MIT
#include <ssewire/http/request.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>

namespace {

using ssewire::last_event_id;
using ssewire::query_of;
using namespace std::string_literals;
using namespace std::string_view_literals;

TEST_CASE("the Last-Event-ID field comes first") {
  CHECK(last_event_id("7") == "7");
  CHECK(last_event_id("7", "lastEventId=8") == "7");
  CHECK(last_event_id("a+b%20c") == "a+b%20c");  // a field is not percent-encoded
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
  // A query's value is all that stands there.
  CHECK(last_event_id(std::nullopt, "lastEventId=+7+") == " 7 ");
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
  CHECK(last_event_id(std::nullopt, "lastEventId=null") ==
        "null");  // a publisher may have called an event so
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
      {"/e?lastEventId=7#top", "lastEventId=7"},  // no request should have a fragment
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
  CHECK(of("%2541") == "%41");  // once, not twice
  CHECK(of("%00%0D%0A%FF") == "\0\r\n\xFF"s);
  CHECK(of("%26x%3D") == "&x=");
}

}  // namespace
