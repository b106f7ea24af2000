// SPDX-License-Identifier: MIT
// endpoint.hpp - the decisions of every server that has a URL for event streams: who may ask, for what, and
// what the answer is. Two steps without a server: read() before the program authenticates, answer() after it.
// Source: Fetch, 3.2 CORS protocol; RFC 9110, 9 Methods, 12.5.1 Accept, 15 Status Codes.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/http/credentials.hpp>
#include <ssewire/http/refuse.hpp>
#include <ssewire/http/request.hpp>
#include <ssewire/http/response_fields.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Which requests an endpoint takes for a stream. HEAD and OPTIONS are answered always.
enum class stream_methods : unsigned char {
  /// GET, as EventSource sends it.
  get,
  /// POST, too, as clients of language models send it.
  get_and_post,
};

/// The choice in a word, for labels. A static string.
constexpr std::string_view name(stream_methods methods) noexcept {
  switch (methods) {
  case stream_methods::get: return "get";
  case stream_methods::get_and_post: return "get_and_post";
  }
  return "unknown";
}

/// What an endpoint takes, and how it refuses.
struct endpoint_options {
  /// The methods.
  stream_methods methods = stream_methods::get;
  /// Channels that every stream follows.
  std::vector<std::string> channels = {};
  /// The parameter of the query that names further channels, once for each: `?channel=a&channel=b`. Empty:
  /// there is none.
  std::string channel_parameter = {};
  /// Whether a client may name this channel. It decides by the name alone; what depends on the user belongs
  /// to where the program authenticates. Null: no name is allowed.
  bool (*allows_channel)(std::string_view name) = nullptr;
  /// Origins whose pages may read the stream, beside the endpoint's own: `https://example.com`, spelt as
  /// browsers do. "*": any. If a proxy changes `Host`, name your own origin too.
  std::vector<std::string> origins = {};
  /// Pages of these origins may send cookies. It has no effect for "*".
  bool with_credentials = false;
  /// Fields that a page of these origins may set, beside `Authorization`, `Content-Type` and `Last-Event-ID`.
  std::vector<std::string> request_fields = {};
  /// The parameter of the query that holds a token, for pages whose EventSource cannot set a field. Empty:
  /// there is none. Prefer a cookie: addresses end up in logs and histories. If you need it, see redacted().
  std::string token_parameter = {};
  /// With status 401, the value of `WWW-Authenticate`.
  std::string authenticate = "Bearer";
  /// How a client is refused that may come back later; see refuse_options.
  later_as later = later_as::event_stream;
  /// As in refuse_options.
  reconnection_time least_retry{1000};
  /// As in refuse_options.
  reconnection_time spread{8000};
};

/// What a request asks for.
enum class request_kind : unsigned char {
  /// A stream: authenticate the request, subscribe, and answer.
  stream,
  /// The fields of a stream, without it: authenticate the request, and answer.
  head,
  /// Whether a page may ask: answer.
  preflight,
  /// Nothing that it can have: answer.
  refused,
};

/// The kind in a word, for logs and counters. A static string.
constexpr std::string_view name(request_kind kind) noexcept {
  switch (kind) {
  case request_kind::stream: return "stream";
  case request_kind::head: return "head";
  case request_kind::preflight: return "preflight";
  case request_kind::refused: return "refused";
  }
  return "unknown";
}

/// What a request's `Accept` says of event streams. It is for programs that have another answer, too; an
/// endpoint refuses nobody for it, because SDKs ask for JSON and read a stream.
enum class accepts : unsigned char {
  /// It names `text/event-stream`.
  event_stream,
  /// It is absent, or takes anything.
  anything,
  /// It names other types only.
  other_types,
};

/// The word for labels. A static string.
constexpr std::string_view name(accepts what) noexcept {
  switch (what) {
  case accepts::event_stream: return "event_stream";
  case accepts::anything: return "anything";
  case accepts::other_types: return "other_types";
  }
  return "unknown";
}

/// A request, read: what the program needs to authenticate it and to subscribe. It owns its texts, and all of
/// them may hold hostile bytes, except for the channels, which the endpoint allows.
struct stream_request {
  /// What it asks for.
  request_kind kind = request_kind::refused;
  /// The status of its refusal; 0: it is not refused.
  int refused_status = 0;
  /// Its version.
  http_version version = http_version::http_1_1;
  /// What it says of event streams.
  accepts accept = accepts::anything;
  /// The channels: the endpoint's, then those that it names.
  std::vector<std::string> channels = {};
  /// The last event ID; empty: none.
  std::string last_event_id = {};
  /// The value of `Authorization`; empty: none.
  std::string authorization = {};
  /// The value of `Cookie`; see ssewire::cookie().
  std::string cookies = {};
  /// The token in its query; empty: none.
  std::string token = {};
  /// The origin of a page that may read the answer, "*", or empty.
  std::string allowed_origin = {};

  /// Whether the program is to authenticate it.
  [[nodiscard]] explicit operator bool() const noexcept {
    return kind == request_kind::stream || kind == request_kind::head;
  }

  /// The token of `Authorization: Bearer`, else the one in the query; empty: none.
  [[nodiscard]] std::string_view bearer() const noexcept {
    std::string_view const scheme = "Bearer ";
    auto const text = detail::without_blanks(authorization);
    if (text.size() <= scheme.size() || !detail::same_token(text.substr(0, scheme.size()), scheme))
      return token;
    return detail::without_blanks(text.substr(scheme.size()));
  }
};

/// A URL for event streams.
///
/// @par Threads  Any thread, at the same time: it does not change.
class endpoint {
 public:
  /// An endpoint that follows no channel yet, unless the options name one.
  explicit endpoint(endpoint_options options) : options_(std::move(options)) {}

  /// Reads a request.
  ///
  /// @param method   GET, HEAD, OPTIONS or POST, as it was sent.
  /// @param target   `/events?channel=a`. Of a server that gives the query alone: `?` and the query.
  /// @param version  Its version.
  /// @param field    `field(name)` returns the value of a request field: a text, which may be absent. The
  ///   names are written as in `Last-Event-ID`; for HTTP/2 answer `Host` with `:authority`.
  /// @throws         std::bad_alloc, and what `field` throws.
  template <class Field>
  [[nodiscard]] stream_request read(optional_text method, optional_text target, http_version version,
                                    Field&& field) const {
    auto const value = [&](char const* name) { return std::string(optional_text(field(name)).value()); };
    auto const query = query_of(target);
    stream_request asked;
    asked.version = version;
    auto const origin = std::string(detail::without_blanks(value("Origin")));
    if (!allow_origin(asked, origin, value("Host"))) return refuse_with(std::move(asked), 403);
    if (method.value() == "OPTIONS") {
      asked.kind = request_kind::preflight;
      return asked;
    }
    bool const is_post = method.value() == "POST" && options_.methods == stream_methods::get_and_post;
    if (method.value() != "GET" && method.value() != "HEAD" && !is_post)
      return refuse_with(std::move(asked), 405);
    asked.accept = accept_of(value("Accept"));
    asked.channels = options_.channels;
    if (!options_.channel_parameter.empty()) {
      for (auto& channel : query_values(query, options_.channel_parameter)) {
        if (options_.allows_channel == nullptr || !options_.allows_channel(channel))
          return refuse_with(std::move(asked), 404);
        asked.channels.push_back(std::move(channel));
      }
    }
    if (asked.channels.empty()) return refuse_with(std::move(asked), 400);
    asked.last_event_id = ssewire::last_event_id(value("Last-Event-ID"), query);
    asked.authorization = value("Authorization");
    asked.cookies = value("Cookie");
    if (!options_.token_parameter.empty()) {
      if (auto tokens = query_values(query, options_.token_parameter); !tokens.empty())
        asked.token = std::move(tokens.back());
    }
    asked.kind = method.value() == "HEAD" ? request_kind::head : request_kind::stream;
    return asked;
  }

  /// The answer to a request.
  ///
  /// | error                              | status                  |
  /// |------------------------------------|-------------------------|
  /// | ok                                 | 200, and the stream     |
  /// | not_authenticated                  | 401                     |
  /// | not_allowed                        | 403                     |
  /// | channel_name_refused, no_channel   | 404                     |
  /// | user_key_refused                   | 400                     |
  /// | any other: a limit, or the end     | 200 with `retry:`, or 503 with `Retry-After` |
  ///
  /// @param asked  What read() returned. A preflight and a refused request are answered whatever `error` is.
  /// @param error  Why the client gets no stream: what the program says, or an error of subscribe().
  /// @param body   Who frames the stream; see response_fields().
  /// @return       The response. If `opens_stream`, the stream follows its fields, without a Content-Length.
  /// @throws       std::bad_alloc.
  [[nodiscard]] http_response answer(stream_request const& asked, errc error = errc::ok,
                                     framing body = framing::raw) const {
    auto response = answer_to(asked, error, body);
    if (asked.kind == request_kind::head) {
      response.body.clear();
      response.opens_stream = false;
    }
    return response;
  }

  /// Its options.
  [[nodiscard]] endpoint_options const& options() const noexcept { return options_; }

 private:
  static stream_request refuse_with(stream_request&& asked, int status) noexcept {
    asked.kind = request_kind::refused;
    asked.refused_status = status;
    return std::move(asked);
  }

  // Whether the request may come from a page of this origin. One without an origin is no page's of another
  // origin.
  bool allow_origin(stream_request& asked, std::string const& origin, std::string_view host) const {
    bool const any = contains(options_.origins, "*");
    if (any) asked.allowed_origin = "*";
    if (origin.empty() || any) return true;
    if (contains(options_.origins, origin)) {
      asked.allowed_origin = origin;
      return true;
    }
    auto const scheme = origin.find("://");
    auto const own = detail::without_blanks(host);
    return scheme != std::string::npos && !own.empty() &&
           detail::same_token(std::string_view(origin).substr(scheme + 3), own);
  }

  static bool contains(std::vector<std::string> const& list, std::string_view text) noexcept {
    for (auto const& each : list) {
      if (each == text) return true;
    }
    return false;
  }

  static accepts accept_of(std::string_view accept) noexcept {
    if (detail::without_blanks(accept).empty()) return accepts::anything;
    auto found = accepts::other_types;
    while (!accept.empty()) {
      auto const part = accept.substr(0, accept.find(','));
      accept.remove_prefix(part.size() < accept.size() ? part.size() + 1 : accept.size());
      auto const type = detail::without_blanks(part.substr(0, part.find(';')));
      if (detail::same_token(type, "text/event-stream")) return accepts::event_stream;
      if (type == "*/*" || detail::same_token(type, "text/*")) found = accepts::anything;
    }
    return found;
  }

  [[nodiscard]] cors allowed(stream_request const& asked) const noexcept {
    return {.origin = asked.allowed_origin, .with_credentials = options_.with_credentials};
  }

  [[nodiscard]] http_response answer_to(stream_request const& asked, errc error, framing body) const {
    if (asked.kind == request_kind::preflight) return preflight(asked);
    if (asked.kind != request_kind::refused && error == errc::ok) {
      http_response response{.status = 200, .opens_stream = true};
      for (auto const& field : response_fields(asked.version, body, allowed(asked)))
        response.fields.push_back({field.name, std::string(field.value)});
      return response;
    }
    refuse_options how{.version = asked.version,
                       .later = options_.later,
                       .least_retry = options_.least_retry,
                       .spread = options_.spread,
                       .authenticate = options_.authenticate,
                       .allow = allowed(asked)};
    if (asked.kind != request_kind::refused) return refuse(error, how);
    how.never_status = asked.refused_status;
    auto response = refuse(refusal::never, how);
    if (asked.refused_status == 405) response.fields.push_back({"Allow", methods()});
    return response;
  }

  [[nodiscard]] http_response preflight(stream_request const& asked) const {
    http_response response{.status = 204, .fields = {{"Allow", methods()}, {"Cache-Control", "no-store"}}};
    if (asked.allowed_origin.empty()) return response;
    auto const add = [&response](std::string_view name, std::string value) {
      response.fields.push_back({name, std::move(value)});
    };
    for (auto const& field : response_fields(asked.version, framing::raw, allowed(asked))) {
      if (field.name.starts_with("Access-Control") || field.name == "Vary")
        add(field.name, std::string(field.value));
    }
    std::string fields = "Authorization, Content-Type, Last-Event-ID";
    for (auto const& more : options_.request_fields) {
      if (detail::is_field_value(more)) fields += ", " + more;
    }
    add("Access-Control-Allow-Methods", methods());
    add("Access-Control-Allow-Headers", std::move(fields));
    add("Access-Control-Max-Age", "600");
    return response;
  }

  [[nodiscard]] std::string methods() const {
    return options_.methods == stream_methods::get ? "GET, HEAD, OPTIONS" : "GET, HEAD, OPTIONS, POST";
  }

  endpoint_options options_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
