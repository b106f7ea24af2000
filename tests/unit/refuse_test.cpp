// SPDX-License-Identifier: MIT
#include <ssewire/parser.hpp>
#include <ssewire/refuse.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace std::chrono_literals;
using namespace std::string_view_literals;
using ssewire::errc;
using ssewire::http_version;
using ssewire::refusal;
using ssewire::refuse;
using ssewire::refuse_options;
using ssewire::refused_response;
using ssewire::stream_wish;
using ssewire::wish_of;

std::string head(refused_response const& response) {
  std::string out = std::to_string(response.status) + "\n";
  for (auto const& field : response.fields) out += std::string(field.name) + ": " + field.value + "\n";
  return out;
}

std::string value_of(refused_response const& response, std::string_view name) {
  for (auto const& field : response.fields) {
    if (field.name == name) return field.value;
  }
  return "absent";
}

constexpr auto event_source = "text/event-stream"sv;
constexpr auto curl = "*/*"sv;
constexpr auto json_only = "application/json"sv;

TEST_CASE("each kind of client is told what it understands") {
  struct row {
    refusal why;
    std::optional<std::string_view> accept;
    int status;
  };
  for (auto const& r : {
           row{refusal::later, event_source, 200},
           row{refusal::later, curl, 503},
           row{refusal::later, std::nullopt, 503},
           row{refusal::later, json_only, 406},
           row{refusal::never, event_source, 204},
           row{refusal::never, curl, 404},
           row{refusal::never, std::nullopt, 404},
           row{refusal::never, json_only, 406},
       }) {
    CAPTURE(r.accept.value_or("absent"));
    CHECK(refuse(r.why, r.accept).status == r.status);
  }
}

TEST_CASE("an EventSource that is to come back gets a stream of one retry, and the end") {
  auto const response = refuse(refusal::later, event_source, {.come_back = 5s});
  CHECK(head(response) == "200\n"
                          "Content-Type: text/event-stream\n"
                          "Cache-Control: no-store, no-transform\n"
                          "X-Accel-Buffering: no\n"
                          "Connection: close\n");
  CHECK(response.body == "retry: 5000\n\n");

  ssewire::parser parser;
  int events = 0;
  parser.feed(std::string_view(response.body), [&](ssewire::event const&) { ++events; });
  CHECK(events == 0);
  REQUIRE(parser.reconnection_time().has_value());
  CHECK(parser.reconnection_time()->milliseconds == 5000);
  CHECK(parser.last_event_id() == "");  // nothing of it changes where the client resumes
}

TEST_CASE("an EventSource that is never to come back gets 204, with no body and nothing that speaks of one") {
  auto const response = refuse(refusal::never, event_source, {.never_status = 410});
  CHECK(head(response) == "204\nCache-Control: no-store\n");
  CHECK(response.body == "");
}

TEST_CASE("other clients get 503 and Retry-After, in whole seconds and rounded up") {
  auto const response = refuse(refusal::later, curl, {.come_back = 1500ms});
  CHECK(head(response) == "503\n"
                          "Cache-Control: no-store\n"
                          "Content-Type: text/plain; charset=utf-8\n"
                          "Retry-After: 2\n"
                          "Connection: close\n");
  CHECK(response.body == "No stream can be had now. Come back later.\n");
  CHECK(value_of(refuse(refusal::later, curl, {.come_back = 2s}), "Retry-After") == "2");
  CHECK(value_of(refuse(refusal::later, curl, {.come_back = 1ms}), "Retry-After") == "1");
  CHECK(value_of(refuse(refusal::later, curl, {.come_back = 0s}), "Retry-After") == "0");
  constexpr ssewire::reconnection_time longest((std::numeric_limits<std::uint64_t>::max)());
  CHECK(value_of(refuse(refusal::later, curl, {.come_back = longest}), "Retry-After") == "18446744073709552");
  CHECK(refuse(refusal::later, event_source, {.come_back = longest}).body ==
        "retry: 18446744073709551615\n\n");
}

TEST_CASE("never is the status that the program says, if it is an error") {
  for (int const status : {400, 401, 403, 404, 410, 599}) {
    CHECK(refuse(refusal::never, curl, {.never_status = status}).status == status);
  }
  for (int const status : {0, -1, 100, 200, 204, 301, 399, 600}) {
    CHECK(refuse(refusal::never, curl, {.never_status = status}).status == 404);
  }
}

TEST_CASE("a connection is closed on HTTP/1.x only, and only when the client may come back") {
  for (auto const accept : {event_source, curl}) {
    for (auto const version : {http_version::http_1_0, http_version::http_1_1}) {
      CHECK(value_of(refuse(refusal::later, accept, {.version = version}), "Connection") == "close");
      CHECK(value_of(refuse(refusal::never, accept, {.version = version}), "Connection") == "absent");
    }
    for (auto const version : {http_version::http_2, http_version::http_3}) {
      CHECK(value_of(refuse(refusal::later, accept, {.version = version}), "Connection") == "absent");
    }
  }
}

TEST_CASE("nothing is ever kept by a cache, and nothing is ever said of chunks or length") {
  for (auto const why : {refusal::later, refusal::never}) {
    for (auto const accept : {event_source, curl, json_only}) {
      auto const response = refuse(why, accept);
      CHECK(value_of(response, "Cache-Control").starts_with("no-store"));
      CHECK(value_of(response, "Transfer-Encoding") == "absent");
      CHECK(value_of(response, "Content-Length") == "absent");
      CHECK((value_of(response, "Content-Type") == "absent") == response.body.empty());
    }
  }
}

TEST_CASE("a page of another origin may read the refusal if it may read the stream") {
  for (auto const why : {refusal::later, refusal::never}) {
    for (auto const accept : {event_source, curl, json_only}) {
      auto const response =
          refuse(why, accept, {.allow = {.origin = "https://a.example", .with_credentials = true}});
      CHECK(value_of(response, "Access-Control-Allow-Origin") == "https://a.example");
      CHECK(value_of(response, "Access-Control-Allow-Credentials") == "true");
      CHECK(value_of(response, "Vary") == "Origin");
      CHECK(value_of(refuse(why, accept, {.allow = {.origin = "a\r\nSet-Cookie: b"}}),
                     "Access-Control-Allow-Origin") == "absent");
      CHECK(value_of(refuse(why, accept), "Access-Control-Allow-Origin") == "absent");
    }
  }
}

TEST_CASE("what subscribe() answered says whether coming back helps") {
  for (auto const error : {errc::channel_name_refused, errc::no_channel}) {
    CHECK(refuse(error, curl).status == 404);
    CHECK(refuse(error, event_source).status == 204);
  }
  for (auto const error : {errc::too_many_channels, errc::too_many_subscribers, errc::channel_full,
                           errc::user_full, errc::closed, errc::no_memory}) {
    CHECK(refuse(error, curl).status == 503);
    CHECK(refuse(error, event_source).status == 200);
  }
}

// RFC 9110, 12.5.1, and what hostile clients make of it.
TEST_CASE("what an Accept field says of event streams") {
  struct row {
    std::string_view accept;
    stream_wish wish;
  };
  constexpr auto excluded = stream_wish::excluded;
  constexpr auto taken = stream_wish::taken;
  constexpr auto asked = stream_wish::asked_for;
  constexpr row rows[] = {
      {"text/event-stream", asked},
      {"Text/Event-Stream", asked},
      {" \ttext/event-stream\t ", asked},
      {"text/event-stream;charset=utf-8", asked},
      {"text/event-stream ; charset=\"utf-8\" ; q=0.5", asked},
      {"text/html, text/event-stream", asked},
      {"application/json, text/event-stream", asked},
      {",, ,text/event-stream,", asked},
      {"text/event-stream;q=0.001", asked},
      {"text/event-stream;Q=1.000", asked},
      {"text/event-stream;", asked},
      {"text/event-stream; ;q=1", asked},
      {"text/event-stream;q=1;ext", asked},
      {"text/event-stream;q=0, text/event-stream", asked},
      {"text/event-stream, text/event-stream;q=0", asked},

      {"*/*", taken},
      {"text/*", taken},
      {"TEXT/*;q=0.1", taken},
      {"application/json, */*;q=0.1", taken},
      {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", taken},
      {"", taken},
      {" , ,\t", taken},

      {"application/json", excluded},
      {"text/html", excluded},
      {"*/*;q=0", excluded},
      {"text/*;q=0, */*", excluded},
      {"text/event-stream;q=0", excluded},
      {"text/event-stream;q=0.000, */*", excluded},
      {"text/event-stream;q=0, text/*, */*", excluded},
      {"text/event-streams", excluded},
      {"text/event", excluded},
      {"xtext/event-stream", excluded},

      // What is malformed is passed over.
      {"text", taken},
      {"/", taken},
      {"text/", taken},
      {"/event-stream", taken},
      {"text/event-stream/x", taken},
      {"text/event-stream x", taken},
      {"text /event-stream", taken},
      {"text/event-stream;q", taken},
      {"text/event-stream;q=", taken},
      {"text/event-stream;q=2", taken},
      {"text/event-stream;q=1.001", taken},
      {"text/event-stream;q=1x", taken},
      {"text/event-stream;q=1x00", taken},
      {"text/event-stream;q=0.0001", taken},
      {"text/event-stream;q=-1", taken},
      {"text/event-stream;q=\"1\"", taken},
      {"text/event-stream;=x", taken},
      {"text/event-stream\r\nX: y", taken},
      {"text/event-stream\0"sv, taken},
      {"text/event-stream;q=nan, text/html", excluded},
      {"garbage, text/event-stream", asked},
      {"garbage, */*", taken},
      {"\xff\xfe, text/event-stream", asked},

      // A comma or a name in quotes is no element.
      {"text/html;a=\", text/event-stream\"", excluded},
      {"text/html;a=\"\\\", text/event-stream\"", excluded},
      {"text/html;a=\"\\\", text/event-stream, \"", excluded},
      {"text/html;a=\"x\", text/event-stream", asked},
      {"text/html;a=\", text/event-stream", taken},
      {"garbage\", text/event-stream\", text/html", excluded},
      {"text/html;a=\"\\", taken},
      {"text/html;a=\"", taken},
      {"\"", taken},
  };
  for (auto const& r : rows) {
    CAPTURE(r.accept);
    CHECK(static_cast<int>(wish_of(r.accept)) == static_cast<int>(r.wish));
  }
  CHECK(wish_of(std::nullopt) == taken);
  static_assert(wish_of("text/event-stream;q=0, */*"sv) == excluded);
}

TEST_CASE("no Accept field gets a byte into the response, and each is read in linear time") {
  support::random random(20261120);
  constexpr std::string_view parts[] = {"text/event-stream",
                                        "text/*",
                                        "*/*",
                                        ";q=0",
                                        ";q=0.5",
                                        ";a=\"",
                                        "\"",
                                        "\\",
                                        ",",
                                        ";",
                                        "\r\n",
                                        "\t ",
                                        "=",
                                        "/",
                                        "x",
                                        "\xff"};
  for (int i = 0; i < 20'000; ++i) {
    std::string accept;
    for (auto n = random.below(12); n > 0; --n) accept += random.pick(parts);
    auto const response = refuse(random.one_in(2) ? refusal::later : refusal::never, accept);
    auto const all = head(response) + response.body;
    CAPTURE(accept);
    CHECK((response.status == 200 || response.status == 204 || response.status == 404 ||
           response.status == 406 || response.status == 503));
    CHECK(std::all_of(all.begin(), all.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  }
  std::string const deep =
      std::string(1 << 20, ';') + "," + std::string(1 << 20, '"') + "," + std::string(1 << 20, ',');
  CHECK(wish_of(deep + "text/event-stream") == stream_wish::asked_for);
}

}  // namespace
