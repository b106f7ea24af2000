// SPDX-License-Identifier: MIT
#include <ssewire/http/endpoint.hpp>

#include <support/enum_names.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::accepts;
using ssewire::endpoint;
using ssewire::endpoint_options;
using ssewire::errc;
using ssewire::http_response;
using ssewire::http_version;
using ssewire::request_kind;
using ssewire::stream_request;

using fields = std::map<std::string, std::string, std::less<>>;

stream_request read(endpoint const& at, ssewire::optional_text method, ssewire::optional_text target,
                    fields const& with = {}, http_version version = http_version::http_1_1) {
  return at.read(method, target, version, [&](std::string_view name) -> ssewire::optional_text {
    auto const found = with.find(name);
    if (found == with.end()) return {};
    return found->second;
  });
}

std::string value_of(http_response const& response, std::string_view name) {
  std::string all;
  for (auto const& field : response.fields) {
    if (field.name == name) all += (all.empty() ? "" : " | ") + field.value;
  }
  return all.empty() ? "absent" : all;
}

bool allow_letters(std::string_view name) { return name.size() == 1 && name[0] >= 'a' && name[0] <= 'z'; }

endpoint const fixed(endpoint_options{.channels = {"news", "chat"}});
endpoint const by_query(endpoint_options{.channel_parameter = "channel", .allows_channel = allow_letters});

// ---- methods

TEST_CASE("each method has its answer") {
  endpoint const both(endpoint_options{.methods = ssewire::stream_methods::get_and_post, .channels = {"a"}});
  struct {
    char const* method;
    request_kind of_get, of_both;
  } const rows[] = {
      {"GET", request_kind::stream, request_kind::stream},
      {"HEAD", request_kind::head, request_kind::head},
      {"OPTIONS", request_kind::preflight, request_kind::preflight},
      {"POST", request_kind::refused, request_kind::stream},
      {"PUT", request_kind::refused, request_kind::refused},
      {"DELETE", request_kind::refused, request_kind::refused},
      {"get", request_kind::refused, request_kind::refused},  // methods have a case
      {"", request_kind::refused, request_kind::refused},
      {nullptr, request_kind::refused, request_kind::refused},
  };
  for (auto const& row : rows) {
    CAPTURE(std::string(row.method == nullptr ? "null" : row.method));
    auto const asked = read(fixed, row.method, "/events");
    CHECK(asked.kind == row.of_get);
    CHECK(bool(asked) == (row.of_get == request_kind::stream || row.of_get == request_kind::head));
    CHECK(read(both, row.method, "/events").kind == row.of_both);
    if (row.of_get != request_kind::refused) continue;
    auto const answer = fixed.answer(asked);
    CHECK(answer.status == 405);
    CHECK(value_of(answer, "Allow") == "GET, HEAD, OPTIONS");
    CHECK(value_of(answer, "Cache-Control") == "no-store");
    CHECK_FALSE(answer.opens_stream);
    CHECK_FALSE(answer.body.empty());
  }
  CHECK(value_of(both.answer(read(both, "PUT", "/")), "Allow") == "GET, HEAD, OPTIONS, POST");
}

TEST_CASE("a stream is answered by its fields, and HEAD by the same without a body") {
  for (auto const version :
       {http_version::http_1_0, http_version::http_1_1, http_version::http_2, http_version::http_3}) {
    auto const get = fixed.answer(read(fixed, "GET", "/events", {}, version));
    CHECK(get.status == 200);
    CHECK(get.opens_stream);
    CHECK(get.body.empty());
    CHECK(value_of(get, "Content-Type") == "text/event-stream");
    CHECK(value_of(get, "Connection") == (version == http_version::http_1_0   ? "close"
                                          : version == http_version::http_1_1 ? "keep-alive"
                                                                              : "absent"));
    CHECK(value_of(get, "Access-Control-Allow-Origin") == "absent");
    auto const head = fixed.answer(read(fixed, "HEAD", "/events", {}, version));
    CHECK(head.status == 200);
    CHECK_FALSE(head.opens_stream);
    CHECK(head.body.empty());
    CHECK(head.fields.size() == get.fields.size());
    CHECK(fixed.answer(read(fixed, "HEAD", "/events"), errc::not_authenticated).status == 401);
    CHECK(fixed.answer(read(fixed, "HEAD", "/events"), errc::not_authenticated).body.empty());
  }
  auto const chunked = fixed.answer(read(fixed, "GET", "/events"), errc::ok, ssewire::framing::chunked);
  CHECK(value_of(chunked, "Transfer-Encoding") == "chunked");
}

// ---- channels

TEST_CASE("channels are the endpoint's, then those that the query names, if they are allowed") {
  endpoint const mixed(
      endpoint_options{.channels = {"all"}, .channel_parameter = "c", .allows_channel = allow_letters});
  using names = std::vector<std::string>;
  CHECK(read(fixed, "GET", "/e").channels == names{"news", "chat"});
  CHECK(read(fixed, "GET", "/e?channel=a&c=b").channels == names{"news", "chat"});
  CHECK(read(mixed, "GET", "/e").channels == names{"all"});
  CHECK(read(mixed, "GET", "/e?c=a&x=y&c=b").channels == names{"all", "a", "b"});
  CHECK(read(by_query, "GET", "?channel=%61&channel=b").channels == names{"a", "b"});
  struct {
    char const* target;
    int status;
  } const refused[] = {
      {"/e", 400},
      {"/e?", 400},
      {"/e?channel", 400},
      {"/e?Channel=a", 400},
      {"/e#channel=a", 400},
      {nullptr, 400},
      {"/e?channel=", 404},
      {"/e?channel=A", 404},
      {"/e?channel=ab", 404},
      {"/e?channel=a%0a", 404},
      {"/e?channel=a&channel=B", 404},
      {"/e?channel=%2A", 404},
  };
  for (auto const& row : refused) {
    CAPTURE(std::string(row.target == nullptr ? "null" : row.target));
    auto const asked = read(by_query, "GET", row.target);
    CHECK(asked.kind == request_kind::refused);
    CHECK(by_query.answer(asked).status == row.status);
    CHECK(by_query.answer(asked, errc::ok).status == row.status);
    CHECK_FALSE(by_query.answer(asked).opens_stream);
  }
  endpoint const unguarded(endpoint_options{.channel_parameter = "channel"});
  CHECK(unguarded.answer(read(unguarded, "GET", "/e?channel=a")).status == 404);
}

// ---- origins

TEST_CASE("pages of the endpoint's own origin and of those named may read it, and no others") {
  endpoint const named(endpoint_options{.methods = ssewire::stream_methods::get_and_post,
                                        .channels = {"a"},
                                        .origins = {"https://a.example", "http://b.example:81"},
                                        .with_credentials = true});
  struct {
    char const* origin;
    char const* host;
    bool allowed;
    bool named;
  } const rows[] = {
      {nullptr, "own.example", true, false},
      {"", "own.example", true, false},
      {"https://a.example", "own.example", true, true},
      {" https://a.example\t", "own.example", true, true},
      {"http://b.example:81", "own.example", true, true},
      {"https://own.example", "own.example", true, false},
      {"https://OWN.example:8080", "own.example:8080", true, false},
      {"http://own.example", "own.example:8080", false, false},
      {"https://evil.example", "own.example", false, false},
      {"https://evil.example", nullptr, false, false},
      {"https://a.example.evil", "own.example", false, false},
      {"https://a.example/", "own.example", false, false},
      {"HTTPS://A.EXAMPLE", "own.example", false, false},
      {"null", "own.example", false, false},
      {"null", "null", false, false},
      {"://", "", false, false},
      {"https://", "", false, false},
      {"https://", " ", false, false},
      {"*", "own.example", false, false},
      {"https://a.example\r\nX: y", "own.example", false, false},
  };
  for (auto const& row : rows) {
    for (std::string const method : {"GET", "HEAD", "POST", "OPTIONS"}) {
      CAPTURE(method);
      CAPTURE(std::string(row.origin == nullptr ? "null" : row.origin));
      fields with;
      if (row.origin != nullptr) with["Origin"] = row.origin;
      if (row.host != nullptr) with["Host"] = row.host;
      auto const asked = read(named, method, "/e", with);
      auto const answer = named.answer(asked);
      CHECK((asked.kind == request_kind::refused) == !row.allowed);
      if (!row.allowed) CHECK(answer.status == 403);
      auto const said = value_of(answer, "Access-Control-Allow-Origin");
      CHECK(said == (row.named ? std::string(ssewire::detail::without_blanks(row.origin)) : "absent"));
      CHECK(value_of(answer, "Access-Control-Allow-Credentials") == (row.named ? "true" : "absent"));
      CHECK(value_of(answer, "Vary") == (row.named ? "Origin" : "absent"));
      // A refusal can be read by whoever may read the stream.
      if (row.allowed)
        CHECK(value_of(named.answer(asked, errc::closed), "Access-Control-Allow-Origin") == said);
    }
  }
}

TEST_CASE("with * any page may read it, without cookies") {
  endpoint const any(endpoint_options{.channels = {"a"}, .origins = {"*"}, .with_credentials = true});
  for (char const* origin : {"https://x.example", "null", ""}) {
    auto const answer = any.answer(read(any, "GET", "/e", {{"Origin", origin}}));
    CHECK(answer.opens_stream);
    CHECK(value_of(answer, "Access-Control-Allow-Origin") == "*");
    CHECK(value_of(answer, "Access-Control-Allow-Credentials") == "absent");
  }
}

TEST_CASE("a preflight says what a page may send, and only to pages that may ask") {
  endpoint const at(endpoint_options{.methods = ssewire::stream_methods::get_and_post,
                                     .channel_parameter = "channel",
                                     .allows_channel = allow_letters,
                                     .origins = {"https://a.example"},
                                     .request_fields = {"X-Csrf", "bad\r\nX: y"}});
  auto const good =
      at.answer(read(at, "OPTIONS", "/e?channel=NOT-ALLOWED", {{"Origin", "https://a.example"}}));
  CHECK(good.status == 204);
  CHECK(good.body.empty());
  CHECK_FALSE(good.opens_stream);
  CHECK(value_of(good, "Access-Control-Allow-Origin") == "https://a.example");
  CHECK(value_of(good, "Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS, POST");
  CHECK(value_of(good, "Access-Control-Allow-Headers") ==
        "Authorization, Content-Type, Last-Event-ID, X-Csrf");
  CHECK(value_of(good, "Access-Control-Max-Age") == "600");
  CHECK(value_of(good, "Vary") == "Origin");
  auto const plain = at.answer(read(at, "OPTIONS", "/e"));
  CHECK(plain.status == 204);
  CHECK(value_of(plain, "Allow") == "GET, HEAD, OPTIONS, POST");
  CHECK(value_of(plain, "Access-Control-Allow-Methods") == "absent");
  CHECK(at.answer(read(at, "OPTIONS", "/e", {{"Origin", "https://evil.example"}})).status == 403);
}

// ---- what the client says of itself

TEST_CASE("credentials and the last event ID are given as text") {
  endpoint const at(endpoint_options{.channels = {"a"}, .token_parameter = "token"});
  auto const asked = read(at, "GET", "/e?lastEventId=7&token=one&token=t%20w",
                          {{"Authorization", "bearer  abc "}, {"Cookie", "a=1; session=s%3D; b=2"}});
  CHECK(asked.last_event_id == "7");
  CHECK(asked.authorization == "bearer  abc ");
  CHECK(asked.bearer() == "abc");
  CHECK(asked.token == "t w");
  CHECK(ssewire::cookie(asked.cookies, "session") == "s%3D");
  CHECK(read(at, "GET", "/e?lastEventId=7", {{"Last-Event-ID", " 8 "}}).last_event_id == "8");
  CHECK(read(at, "GET", "/e?token=x").bearer() == "x");
  CHECK(read(at, "GET", "/e?token=x", {{"Authorization", "Basic abc"}}).bearer() == "x");
  CHECK(read(at, "GET", "/e?token=x", {{"Authorization", "Bearer "}}).bearer() == "x");
  CHECK(read(at, "GET", "/e").bearer() == "");
  CHECK(read(fixed, "GET", "/e?token=x").token == "");
}

TEST_CASE("Accept is told and refuses nobody") {
  struct {
    char const* accept;
    accepts is;
  } const rows[] = {
      {nullptr, accepts::anything},
      {" ", accepts::anything},
      {"text/event-stream", accepts::event_stream},
      {"application/json, TEXT/Event-Stream;q=0.9", accepts::event_stream},
      {"*/*", accepts::anything},
      {"text/*", accepts::anything},
      {"application/json", accepts::other_types},
      {"application/json,", accepts::other_types},
      {",,", accepts::other_types},
      {"text/event-streams", accepts::other_types},
  };
  for (auto const& row : rows) {
    fields with;
    if (row.accept != nullptr) with["Accept"] = row.accept;
    auto const asked = read(fixed, "GET", "/e", with);
    CHECK(asked.accept == row.is);
    CHECK(asked.kind == request_kind::stream);
  }
}

// ---- answers

TEST_CASE("each error has its answer, by the endpoint's form") {
  for (auto const form : {ssewire::later_as::event_stream, ssewire::later_as::status_503}) {
    endpoint const at(endpoint_options{.channels = {"a"},
                                       .authenticate = "Basic",
                                       .later = form,
                                       .least_retry = ssewire::reconnection_time(7000),
                                       .spread = ssewire::reconnection_time(0)});
    auto const asked = read(at, "GET", "/e");
    bool const as_stream = form == ssewire::later_as::event_stream;
    struct {
      errc error;
      int status;
    } const rows[] = {
        {errc::not_authenticated, 401},
        {errc::not_allowed, 403},
        {errc::channel_name_refused, 404},
        {errc::no_channel, 404},
        {errc::user_key_refused, 400},
        {errc::too_many_subscribers, as_stream ? 200 : 503},
        {errc::channel_full, as_stream ? 200 : 503},
        {errc::user_full, as_stream ? 200 : 503},
        {errc::too_many_users, as_stream ? 200 : 503},
        {errc::connects_too_often, as_stream ? 200 : 503},
        {errc::revoked, as_stream ? 200 : 503},
        {errc::closed, as_stream ? 200 : 503},
        {errc::no_memory, as_stream ? 200 : 503},
    };
    for (auto const& row : rows) {
      CAPTURE(std::string(ssewire::name(row.error)));
      auto const answer = at.answer(asked, row.error);
      CHECK(answer.status == row.status);
      CHECK_FALSE(answer.opens_stream);
      CHECK(value_of(answer, "WWW-Authenticate") == (row.status == 401 ? "Basic" : "absent"));
      if (row.status == 200) CHECK(answer.body == "retry: 7000\n");
      if (row.status == 503) CHECK(value_of(answer, "Retry-After") == "7");
    }
  }
}

TEST_CASE("its values have names") {
  support::expect_names<ssewire::stream_methods>({"get", "get_and_post"});
  support::expect_names<request_kind>({"stream", "head", "preflight", "refused"});
  support::expect_names<accepts>({"event_stream", "anything", "other_types"});
}

}  // namespace
