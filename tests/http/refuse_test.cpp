// SPDX-License-Identifier: MIT
#include <ssewire/http/refuse.hpp>
#include <ssewire/wire/parser.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::errc;
using ssewire::http_response;
using ssewire::http_version;
using ssewire::later_as;
using ssewire::refusal;
using ssewire::refuse;
using ssewire::refuse_options;

std::string head(http_response const& response) {
  std::string out = std::to_string(response.status) + "\n";
  for (auto const& field : response.fields) out += std::string(field.name) + ": " + field.value + "\n";
  return out;
}

std::string value_of(http_response const& response, std::string_view name) {
  for (auto const& field : response.fields) {
    if (field.name == name) return field.value;
  }
  return "absent";
}

constexpr std::array forms = {later_as::event_stream, later_as::status_503};

// What a client reads: the reconnection time of a refusal that is a stream, in milliseconds.
std::uint64_t told(refuse_options const& options = {}) {
  auto const response = refuse(refusal::later, options);
  ssewire::parser parser;
  int events = 0;
  parser.feed(std::string_view(response.body), [&](ssewire::event const&) { ++events; });
  CHECK(events == 0);
  CHECK(parser.last_event_id() == "");  // nothing of it changes where the client resumes
  REQUIRE(parser.reconnection_time().has_value());
  return parser.reconnection_time()->milliseconds;
}

std::uint64_t retry_after(refuse_options options = {}) {
  options.later = later_as::status_503;
  return std::stoull(value_of(refuse(refusal::later, options), "Retry-After"));
}

TEST_CASE("later is a stream of one retry and its end, which a page's EventSource comes back from") {
  auto const response = refuse(refusal::later, {.least_retry = 5s, .spread = 0s});
  CHECK(head(response) == "200\n"
                          "Content-Type: text/event-stream\n"
                          "Cache-Control: no-store, no-transform\n"
                          "X-Accel-Buffering: no\n"
                          "Connection: close\n");
  CHECK(response.body == "retry: 5000\n");
}

TEST_CASE("later as a stream has no blank line, which some programs read as an event without data") {
  CHECK(refuse(refusal::later).body.find("\n\n") == std::string::npos);
  CHECK(refuse(refusal::later).body.ends_with('\n'));  // or the field would not be read at all
}

TEST_CASE("later is 503 and Retry-After where the endpoint serves programs") {
  auto const response =
      refuse(refusal::later, {.later = later_as::status_503, .least_retry = 5s, .spread = 0s});
  CHECK(head(response) == "503\n"
                          "Cache-Control: no-store\n"
                          "Content-Type: text/plain; charset=utf-8\n"
                          "Retry-After: 5\n"
                          "Connection: close\n");
  CHECK(response.body == "No stream can be had now. Come back later.\n");
}

TEST_CASE("never is the status that the program says, whatever form later has") {
  for (auto const form : forms) {
    auto const response = refuse(refusal::never, {.later = form, .never_status = 401});
    CHECK(head(response) == "401\n"
                            "Cache-Control: no-store\n"
                            "Content-Type: text/plain; charset=utf-8\n");
    CHECK(response.body == "There is no stream for you here.\n");
    CHECK(refuse(refusal::never, {.later = form}).status == 404);
  }
}

TEST_CASE("never is an error, or 404: no status that a client could take for success") {
  for (int const status : {400, 401, 403, 404, 406, 410, 599}) {
    CHECK(refuse(refusal::never, {.never_status = status}).status == status);
  }
  for (int const status : {0, -1, 100, 200, 204, 301, 399, 600}) {
    CHECK(refuse(refusal::never, {.never_status = status}).status == 404);
  }
}

TEST_CASE("nobody is told to come back before the floor, nor later than floor and spread together") {
  struct row {
    refuse_options options;
    std::uint64_t floor;
    std::uint64_t end;
  };
  for (auto const& r : {row{{}, 1000, 9000}, row{{.least_retry = 0s}, 0, 8000},
                        row{{.spread = 0s}, 1000, 1001}, row{{.least_retry = 3s, .spread = 1ms}, 3000, 3001},
                        row{{.least_retry = 1ms, .spread = 24h}, 1, 86'400'001}}) {
    for (int i = 0; i < 1000; ++i) {
      auto const ms = told(r.options);
      CHECK(ms >= r.floor);
      CHECK(ms < r.end);
      auto const seconds = retry_after(r.options);
      CHECK(seconds * 1000 >= r.floor);
      CHECK(seconds * 1000 < r.end + 999);
    }
  }
}

TEST_CASE("clients that are refused together come back evenly over the spread, however many they are") {
  for (std::size_t const clients : {2u, 10u, 100u, 1000u}) {
    std::vector<std::uint64_t> times;
    for (std::size_t i = 0; i < clients; ++i) times.push_back(told({.least_retry = 1s, .spread = 10'000s}));
    std::sort(times.begin(), times.end());
    CHECK(std::adjacent_find(times.begin(), times.end()) == times.end());
    // Multiples of the golden ratio leave no hole wider than 2.62 of the mean distance, the ends included.
    auto const mean = 10'000'000 / clients;
    auto widest = times.front() + 10'000'000 - times.back();
    for (std::size_t i = 1; i < clients; ++i) widest = (std::max)(widest, times[i] - times[i - 1]);
    CAPTURE(clients);
    CHECK(widest <= mean * 27 / 10);
  }
}

TEST_CASE("Retry-After is in whole seconds, rounded up, and spread as retry is") {
  CHECK(retry_after({.least_retry = 1500ms, .spread = 0s}) == 2);
  CHECK(retry_after({.least_retry = 2s, .spread = 0s}) == 2);
  CHECK(retry_after({.least_retry = 2001ms, .spread = 0s}) == 3);
  CHECK(retry_after({.least_retry = 1ms, .spread = 0s}) == 1);
  CHECK(retry_after({.least_retry = 0s, .spread = 0s}) == 0);
  std::array<int, 10> at_second = {};
  for (int i = 0; i < 800; ++i) ++at_second.at(retry_after());
  CHECK(at_second[0] == 0);
  for (std::size_t second = 2; second <= 9; ++second) {
    CAPTURE(second);
    CHECK(at_second[second] >= 90);
    CHECK(at_second[second] <= 110);
  }
}

TEST_CASE("a floor and a spread beyond 64 bits together are the longest time there is") {
  constexpr auto most = (std::numeric_limits<std::uint64_t>::max)();
  constexpr ssewire::reconnection_time longest(most);
  CHECK(told({.least_retry = longest, .spread = 0s}) == most);
  CHECK(retry_after({.least_retry = longest, .spread = 0s}) == 18446744073709552);
  for (int i = 0; i < 100; ++i) {
    CHECK(told({.least_retry = longest, .spread = longest}) >= most - 1);
    CHECK(told({.least_retry = longest, .spread = 1s}) >= most - 1);
    CHECK(told({.least_retry = 1s, .spread = longest}) >= 1000);
  }
}

TEST_CASE("a connection is closed on HTTP/1.x only, and only when the client may come back") {
  for (auto const form : forms) {
    for (auto const version : {http_version::http_1_0, http_version::http_1_1}) {
      CHECK(value_of(refuse(refusal::later, {.version = version, .later = form}), "Connection") == "close");
      CHECK(value_of(refuse(refusal::never, {.version = version, .later = form}), "Connection") == "absent");
    }
    for (auto const version : {http_version::http_2, http_version::http_3}) {
      CHECK(value_of(refuse(refusal::later, {.version = version, .later = form}), "Connection") == "absent");
    }
  }
}

TEST_CASE("nothing is ever kept by a cache, and nothing is ever said of chunks or length") {
  for (auto const why : {refusal::later, refusal::never}) {
    for (auto const form : forms) {
      auto const response = refuse(why, {.later = form});
      CHECK(value_of(response, "Cache-Control").starts_with("no-store"));
      CHECK(value_of(response, "Transfer-Encoding") == "absent");
      CHECK(value_of(response, "Content-Length") == "absent");
      CHECK(value_of(response, "Content-Type") != "absent");
      CHECK(!response.body.empty());
    }
  }
}

TEST_CASE("a page of another origin may read the refusal if it may read the stream") {
  for (auto const why : {refusal::later, refusal::never}) {
    for (auto const form : forms) {
      auto const response =
          refuse(why, {.later = form, .allow = {.origin = "https://a.example", .with_credentials = true}});
      CHECK(value_of(response, "Access-Control-Allow-Origin") == "https://a.example");
      CHECK(value_of(response, "Access-Control-Allow-Credentials") == "true");
      CHECK(value_of(response, "Vary") == "Origin");
      CHECK(value_of(refuse(why, {.later = form, .allow = {.origin = "a\r\nSet-Cookie: b"}}),
                     "Access-Control-Allow-Origin") == "absent");
      CHECK(value_of(refuse(why, {.later = form}), "Access-Control-Allow-Origin") == "absent");
    }
  }
}

TEST_CASE("what subscribe() answered says whether coming back helps") {
  for (auto const error : {errc::channel_name_refused, errc::no_channel}) {
    CHECK(refuse(error).status == 404);
    CHECK(refuse(error, {.never_status = 403}).status == 403);
  }
  for (auto const error : {errc::too_many_channels, errc::too_many_subscribers, errc::channel_full,
                           errc::user_full, errc::closed, errc::no_memory}) {
    CHECK(refuse(error).status == 200);
    CHECK(refuse(error, {.later = later_as::status_503}).status == 503);
  }
}

TEST_CASE("what the program says of a client has its own status, and 401 says how to log in") {
  for (auto const form : forms) {
    refuse_options const options{.later = form, .never_status = 410, .authenticate = "Bearer"};
    CHECK(refuse(errc::not_authenticated, options).status == 401);
    CHECK(refuse(errc::not_allowed, options).status == 403);
    CHECK(refuse(errc::user_key_refused, options).status == 400);
    CHECK(value_of(refuse(errc::not_authenticated, options), "WWW-Authenticate") == "Bearer");
    CHECK(value_of(refuse(errc::not_allowed, options), "WWW-Authenticate") == "absent");
  }
  CHECK(value_of(refuse(refusal::never, {.never_status = 401, .authenticate = "Basic realm=\"x\""}),
                 "WWW-Authenticate") == "Basic realm=\"x\"");
  for (auto const* bad : {"", "a\r\nb", "a\nb"})
    CHECK(value_of(refuse(errc::not_authenticated, {.authenticate = bad}), "WWW-Authenticate") == "absent");
}

TEST_CASE("each value has a name, and a number that names none is unknown") {
  CHECK(name(ssewire::refusal::later) == "later");
  CHECK(name(ssewire::refusal::never) == "never");
  CHECK(name(static_cast<ssewire::refusal>(99)) == "unknown");
  CHECK(name(ssewire::later_as::event_stream) == "event_stream");
  CHECK(name(ssewire::later_as::status_503) == "status_503");
  CHECK(name(static_cast<ssewire::later_as>(99)) == "unknown");
}

}  // namespace
