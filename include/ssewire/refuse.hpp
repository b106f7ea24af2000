// SPDX-License-Identifier: MIT
// refuse.hpp - the response with which a server refuses a client, so that each kind of client does what is meant.
// Source: WHATWG HTML, 9.2.3 Processing model; RFC 9110, 10.2.3 Retry-After, 12.5.1 Accept, 15 Status Codes.
//
// A browser's EventSource takes every status but 200 for the end: a 503 to one that reconnects, and it never comes back.
#pragma once

#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/framing.hpp>
#include <ssewire/http_fields.hpp>
#include <ssewire/serializer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What a request's Accept field says of event streams.
enum class stream_wish : unsigned char {
  excluded,   ///< it names what the client takes, and event streams are not among it
  taken,      ///< they are, as anything is: `*/*`, `text/*`, or no Accept at all. A program
  asked_for,  ///< by name, as EventSource does
};

enum class refusal : unsigned char {
  later,  ///< not now: full, or shutting down
  never,  ///< not here, not for this client: coming back would not help
};

struct refuse_options {
  http_version version = http_version::http_1_1;
  reconnection_time come_back{
      5000};  ///< when to ask again, for `later`. Draw it from a range, or all come at once; 0 is at once
  int never_status =
      404;  ///< for `never`, to other clients than EventSource: 401, 403, 404, 410. Not of 400 to 599: 404
  cors allow =
      {};  ///< as for the stream: without it, a page of another origin would see a network error and retry
};

struct response_field {
  std::string_view name;  ///< a literal
  std::string value;
};

/// A whole response. Send the body with its length (most servers set Content-Length themselves; it is not among the
/// fields), never as a stream that stays open.
struct refused_response {
  int status = 0;
  std::vector<response_field> fields;
  std::string body;  ///< empty for 204
};

namespace detail {

constexpr bool is_token_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// `lower` is in lower case.
constexpr bool same_word(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char const c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c) != lower[i]) return false;
  }
  return true;
}

// One value of an Accept field, read from the front.
struct accept_reader {
  std::string_view rest;

  constexpr void skip_blanks() noexcept {
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  }
  constexpr bool take(char c) noexcept {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  constexpr std::string_view token() noexcept {
    std::size_t n = 0;
    while (n < rest.size() && is_token_char(rest[n])) ++n;
    auto const found = rest.substr(0, n);
    rest.remove_prefix(n);
    return found;
  }
  // What stands in quotes is skipped, a comma in it too.
  constexpr bool quoted() noexcept {
    if (!take('"')) return false;
    while (!rest.empty()) {
      if (take('"')) return true;
      if (take('\\') && rest.empty()) return false;
      rest.remove_prefix(1);
    }
    return false;
  }
  // Behind something malformed: to the next comma that is not in quotes.
  constexpr void skip_element() noexcept {
    while (!rest.empty() && rest.front() != ',') {
      if (rest.front() != '"') {
        rest.remove_prefix(1);
      } else if (!quoted()) {
        return;
      }
    }
  }
};

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ). Whether it is above 0, or nothing.
constexpr std::optional<bool> weight_above_zero(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  bool above = text[0] == '1';
  for (auto const c : text.substr(text.size() > 1 ? 2 : 1)) {
    if (c < '0' || c > (text[0] == '1' ? '0' : '9')) return std::nullopt;
    above = above || c != '0';
  }
  return above;
}

}  // namespace detail

/// Reads an Accept field. The most specific range decides: `text/event-stream;q=0, */*` excludes event streams.
/// Input       the field's value, several fields joined by ", "; absent if there is none. Hostile bytes: elements that are
///             malformed are passed over, and if none is left it is as if there were no field.
/// Complexity  O(accept.size()), no memory.
[[nodiscard]] constexpr stream_wish wish_of(std::optional<std::string_view> accept) noexcept {
  std::optional<bool> by_name, by_text, by_any;  // whether its weight is above 0
  bool any_element = false;
  detail::accept_reader in{accept.value_or(std::string_view())};
  while (!in.rest.empty()) {
    in.skip_blanks();
    if (in.take(',')) continue;
    auto const type = in.token();
    bool good = in.take('/') && !type.empty();
    auto const subtype = in.token();
    good = good && !subtype.empty();
    std::optional<bool> above = true;
    bool weighed = false;
    while (good) {
      in.skip_blanks();
      if (!in.take(';')) break;
      in.skip_blanks();
      auto const name = in.token();
      if (name.empty()) continue;  // "; ;" is allowed
      if (!in.take('=')) {
        good = weighed;  // behind the weight stood what is called accept-ext, which needed no value
        continue;
      }
      auto const value = in.token();
      bool const is_weight = !weighed && detail::same_word(name, "q");
      if (value.empty()) {
        good = !is_weight && in.quoted();
      } else if (is_weight) {
        weighed = true;
        above = detail::weight_above_zero(value);
        good = above.has_value();
      }
    }
    in.skip_blanks();
    if (!good || (!in.rest.empty() && in.rest.front() != ',')) {
      in.skip_element();
      continue;
    }
    any_element = true;
    auto* const range = detail::same_word(type, "text") && detail::same_word(subtype, "event-stream")
                            ? &by_name
                        : detail::same_word(type, "text") && subtype == "*" ? &by_text
                        : type == "*" && subtype == "*"                     ? &by_any
                                                                            : nullptr;
    if (range != nullptr) *range = range->value_or(false) || *above;  // twice: the kinder of the two
  }
  if (!any_element) return stream_wish::taken;
  if (by_name) return *by_name ? stream_wish::asked_for : stream_wish::excluded;
  return by_text.value_or(by_any.value_or(false)) ? stream_wish::taken : stream_wish::excluded;
}

/// Which refusal an error of subscribe() asks for: `never` where the request is at fault, `later` for a limit.
[[nodiscard]] constexpr refusal refusal_of(errc error) noexcept {
  return error == errc::channel_name_refused || error == errc::no_channel ? refusal::never : refusal::later;
}

/// The response to a client that gets no stream.
///
/// |         | EventSource (asks by name)                                          | other clients          | event streams excluded |
/// |---------|---------------------------------------------------------------------|------------------------|------------------------|
/// | `later` | 200, the stream's fields, `retry:` and the end; it comes back, with its last event ID | 503, Retry-After | 406 |
/// | `never` | 204, the one status that is meant to stop it for good               | `never_status`         | 406                    |
///
/// Input       `accept`: the request's Accept field, see wish_of(). Nothing of it gets into the response.
/// Returns     all fields but Content-Length and Date. None may be cached: 204, 404 and 410 otherwise are.
/// Throws      std::bad_alloc.
[[nodiscard]] inline refused_response refuse(refusal why, std::optional<std::string_view> accept,
                                             refuse_options const& options = {}) {
  auto const wish = wish_of(accept);
  refused_response out;
  auto const add = [&out](std::string_view name, std::string_view value) {
    out.fields.push_back({name, std::string(value)});
  };
  bool const stream = why == refusal::later && wish == stream_wish::asked_for;
  bool const http_1 = options.version == http_version::http_1_0 || options.version == http_version::http_1_1;
  for (auto const& field : response_fields(options.version, framing::raw, options.allow)) {
    bool const of_the_stream = field.name == "Content-Type" || field.name == "X-Accel-Buffering";
    if (field.name == "Connection" || (of_the_stream && !stream)) continue;
    if (field.name == "Cache-Control" && !stream) {
      add("Cache-Control", "no-store");
    } else {
      add(field.name, field.value);
    }
  }
  auto const say = [&](int status, std::string_view words) {
    out.status = status;
    add("Content-Type", "text/plain; charset=utf-8");
    out.body = words;
  };
  if (stream) {
    out.status = 200;
    serialize({.retry = options.come_back}, out.body);
  } else if (wish == stream_wish::excluded) {
    say(406, "This is an event stream. Accept text/event-stream.\n");
  } else if (why == refusal::later) {
    say(503, "No stream can be had now. Come back later.\n");
    auto const ms = options.come_back.milliseconds;
    add("Retry-After", std::to_string(ms / 1000 + (ms % 1000 != 0 ? 1 : 0)));
  } else if (wish == stream_wish::asked_for) {
    out.status = 204;
  } else {
    bool const an_error = options.never_status >= 400 && options.never_status <= 599;
    say(an_error ? options.never_status : 404, "There is no stream for you here.\n");
  }
  if (why == refusal::later && http_1)
    add("Connection", "close");  // what is full has no use for idle connections
  return out;
}

/// For what subscribe() answered.
[[nodiscard]] inline refused_response refuse(errc error, std::optional<std::string_view> accept,
                                             refuse_options const& options = {}) {
  return refuse(refusal_of(error), accept, options);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
