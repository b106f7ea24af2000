// SPDX-License-Identifier: MIT
// refuse.hpp - the response with which a server refuses a client, so that the client does what the server
// means.
// Source: WHATWG HTML, 9.2.3 Processing model; RFC 9110, 10.2.3 Retry-After, 15 Status Codes.
//
// For a browser's EventSource every status but 200 is the end: after a 503 it never reconnects. For a program
// an empty 200 is a whole answer. A request does not show which of the two sent it, so the server must say.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/http/request.hpp>
#include <ssewire/http/response_fields.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Whether a client that is refused should come back.
enum class refusal : unsigned char {
  /// Later: the server is full, or shuts down.
  later,
  /// Never: there is nothing here for this client.
  never,
};

/// The refusal in a word, for logs and counters. A static string.
constexpr std::string_view name(refusal e) noexcept {
  switch (e) {
  case refusal::later: return "later";
  case refusal::never: return "never";
  }
  return "unknown";
}

/// The form of refusal::later, which depends on what the clients of the endpoint understand.
enum class later_as : unsigned char {
  /// 200, and a stream of one `retry:` that ends. For pages: any other status ends an EventSource for good.
  event_stream,
  /// 503 and `Retry-After`. For programs: they take an empty stream for an answer without events.
  status_503,
};

/// The form in a word, for logs and counters. A static string.
constexpr std::string_view name(later_as e) noexcept {
  switch (e) {
  case later_as::event_stream: return "event_stream";
  case later_as::status_503: return "status_503";
  }
  return "unknown";
}

/// How refuse() answers.
struct refuse_options {
  /// The version of the request.
  http_version version = http_version::http_1_1;
  /// The form of refusal::later.
  later_as later = later_as::event_stream;
  /// With refusal::later, the shortest time that a client gets. A person hardly notices 1 s, and a server
  /// needs it to restart. 0: at once.
  reconnection_time least_retry{1000};
  /// With refusal::later, each client gets another time, and the times lie evenly over this span after
  /// least_retry. With 8 s the mean is 5 s, as long as the most patient browser waits by itself. 0: every
  /// client gets least_retry.
  reconnection_time spread{8000};
  /// With refusal::never, the status: 401, 403, 404 or 410. Outside 400 to 599 it becomes 404.
  int never_status = 404;
  /// With status 401, the value of `WWW-Authenticate`, which HTTP requires: "Bearer", for example. Empty, or
  /// with CR, LF or NUL in it: the field is left out, and the program adds it. Borrowed.
  std::string_view authenticate = {};
  /// As for the stream: without it a page of another origin would see a network error, and retry.
  cors allow = {};
};

/// A field of an http_response.
struct response_field {
  /// The name, a literal.
  std::string_view name;
  /// The value.
  std::string value;
};

/// A response. Send the body with its length, unless the response opens a stream. Most servers set
/// Content-Length themselves; it is not among the fields.
struct http_response {
  /// The status code.
  int status = 0;
  /// All fields but Content-Length and Date.
  std::vector<response_field> fields = {};
  /// The body; of a refusal it is never empty.
  std::string body = {};
  /// An event stream follows the fields, in place of the body.
  bool opens_stream = false;
};

namespace detail {

// How many refusals the process has made. Each takes the next multiple of the golden ratio, so the times lie
// evenly, however many clients are refused together. No order is needed between threads, only that each
// number is taken once.
inline std::atomic<std::uint32_t> refusals_made = 0;

inline std::uint64_t next_wait_ms(std::uint64_t floor, std::uint64_t spread) noexcept {
  auto const number = refusals_made.fetch_add(1, std::memory_order_relaxed) + 1;
  std::uint64_t const turn = number * 0x9E3779B9u;  // of 2^32
  auto const part = (spread >> 32) * turn + ((spread & 0xFFFFFFFFu) * turn >> 32);
  return floor + part < floor ? ~std::uint64_t{0} : floor + part;
}

}  // namespace detail

/// The refusal for an error: `never` if the request is at fault, `later` for a limit.
[[nodiscard]] constexpr refusal refusal_of(errc error) noexcept {
  switch (error) {
  case errc::channel_name_refused:
  case errc::no_channel:
  case errc::user_key_refused:
  case errc::not_authenticated:
  case errc::not_allowed: return refusal::never;
  default: return refusal::later;
  }
}

/// The response to a client that gets no stream. It depends on nothing that the client has sent.
///
/// |         | later_as::event_stream                                              | later_as::status_503 |
/// |---------|---------------------------------------------------------------------|----------------------|
/// | `later` | 200, the stream's fields, `retry:` and the end                      | 503, `Retry-After`   |
/// | `never` | `never_status`                                                      | `never_status`       |
///
/// docs/writer.md shows what real clients do with each of them.
///
/// @param why      Whether the client should come back.
/// @param options  How to say so.
/// @return         The response. A cache may keep none of them; without `Cache-Control` it could keep 404 and
///   410. `retry:` is in milliseconds, `Retry-After` in whole seconds, rounded up.
/// @throws         std::bad_alloc.
/// @par Threads    Any thread, at the same time.
[[nodiscard]] inline http_response refuse(refusal why, refuse_options const& options = {}) {
  http_response out;
  auto const add = [&out](std::string_view name, std::string_view value) {
    out.fields.push_back({name, std::string(value)});
  };
  bool const later = why == refusal::later;
  bool const stream = later && options.later == later_as::event_stream;
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
  if (!stream) add("Content-Type", "text/plain; charset=utf-8");
  if (!later) {
    bool const an_error = options.never_status >= 400 && options.never_status <= 599;
    out.status = an_error ? options.never_status : 404;
    bool const may_say = !options.authenticate.empty() && detail::is_field_value(options.authenticate);
    if (out.status == 401 && may_say) add("WWW-Authenticate", options.authenticate);
    out.body = "There is no stream for you here.\n";
    return out;
  }
  auto const wait = detail::next_wait_ms(options.least_retry.milliseconds, options.spread.milliseconds);
  if (stream) {
    out.status = 200;
    // No blank line: `retry` is in force when its line ends. With one, programs that read every block as an
    // event, whether it has data or not (httpx-sse, OpenAI's SDK), would read an event here.
    out.body = "retry: " + std::to_string(wait) + "\n";
  } else {
    out.status = 503;
    add("Retry-After", std::to_string(wait / 1000 + (wait % 1000 != 0 ? 1 : 0)));
    out.body = "No stream can be had now. Come back later.\n";
  }
  if (http_1) add("Connection", "close");  // what is full has no use for idle connections
  return out;
}

/// The response for an error of subscribe(), or of a program that lets nobody in; see refusal_of().
///
/// The status is 401 for not_authenticated, 403 for not_allowed, and 400 for user_key_refused, whatever
/// `never_status` is.
[[nodiscard]] inline http_response refuse(errc error, refuse_options options = {}) {
  if (error == errc::not_authenticated) options.never_status = 401;
  if (error == errc::not_allowed) options.never_status = 403;
  if (error == errc::user_key_refused) options.never_status = 400;
  return refuse(refusal_of(error), options);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
