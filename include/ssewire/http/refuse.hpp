// SPDX-License-Identifier: MIT
// refuse.hpp - the response with which a server refuses a client, so that the client does what is meant.
// Source: WHATWG HTML, 9.2.3 Processing model; RFC 9110, 10.2.3 Retry-After, 15 Status Codes.
//
// A browser's EventSource takes every status but 200 for the end: a 503 to one that reconnects, and it never
// comes back. A program takes an empty 200 for a whole answer. A request does not show which of them has
// sent it: the server says so.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/http/response_fields.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

enum class refusal : unsigned char {
  /// Not now: full, or shutting down.
  later,
  /// Not here, not for this client: coming back would not help.
  never,
};

/// The word for it, for logs and counters. A static string.
constexpr std::string_view name(refusal e) noexcept {
  switch (e) {
  case refusal::later: return "later";
  case refusal::never: return "never";
  }
  return "unknown";
}

/// The form of `refusal::later`, by what the endpoint's clients understand.
enum class later_as : unsigned char {
  /// 200, a stream of one `retry:` and its end. For pages: any other status ends an EventSource for good.
  event_stream,
  /// 503 and `Retry-After`. For programs: to them an empty stream is an answer without events.
  status_503,
};

/// The word for it, for logs and counters. A static string.
constexpr std::string_view name(later_as e) noexcept {
  switch (e) {
  case later_as::event_stream: return "event_stream";
  case later_as::status_503: return "status_503";
  }
  return "unknown";
}

struct refuse_options {
  http_version version = http_version::http_1_1;
  later_as later = later_as::event_stream;
  /// `later`: no client is told to come back sooner. 1 s is what a person hardly notices, and a server that
  /// restarts needs; 0 is at once.
  reconnection_time least_retry{1000};
  /// `later`: each client is told another time, and these lie evenly over so long after the floor. With 8 s
  /// the mean is 5 s, as long as the most patient browser waits by itself; 0: all come at the floor.
  reconnection_time spread{8000};
  /// `never`: 401, 403, 404, 410. Not of 400 to 599: 404. With 401 add the `WWW-Authenticate` field that it
  /// must have.
  int never_status = 404;
  /// As for the stream: without it a page of another origin would see a network error, and retry.
  cors allow = {};
};

struct response_field {
  /// A literal.
  std::string_view name;
  std::string value;
};

/// A whole response. Send the body with its length (most servers set Content-Length themselves; it is not
/// among the fields), never as a stream that stays open.
struct refused_response {
  int status = 0;
  std::vector<response_field> fields;
  std::string body;
};

namespace detail {

// Of all refusals of the process: each takes the next multiple of the golden ratio, so that however many
// clients are refused together their times lie evenly. No order is needed between threads, only that each
// number is taken once.
inline std::atomic<std::uint32_t> refusals_made = 0;

inline std::uint64_t next_wait_ms(std::uint64_t floor, std::uint64_t spread) noexcept {
  auto const number = refusals_made.fetch_add(1, std::memory_order_relaxed) + 1;
  std::uint64_t const turn = number * 0x9E3779B9u;  // of 2^32
  auto const part = (spread >> 32) * turn + ((spread & 0xFFFFFFFFu) * turn >> 32);
  return floor + part < floor ? ~std::uint64_t{0} : floor + part;
}

}  // namespace detail

/// Which refusal an error of subscribe() asks for: `never` for a fault of the request, `later` for a limit.
[[nodiscard]] constexpr refusal refusal_of(errc error) noexcept {
  return error == errc::channel_name_refused || error == errc::no_channel ? refusal::never : refusal::later;
}

/// The response to a client that gets no stream. It depends on nothing that the client has sent.
///
/// |         | later_as::event_stream                                              | later_as::status_503 |
/// |---------|---------------------------------------------------------------------|----------------------|
/// | `later` | 200, the stream's fields, `retry:` and the end                      | 503, `Retry-After`   |
/// | `never` | `never_status`                                                      | `never_status`       |
///
/// What real clients make of it stands in docs/writer.md.
/// Returns     all fields but Content-Length and Date. None may be cached: 404 and 410 otherwise are.
///             `retry:` is in
///             milliseconds, `Retry-After` in whole seconds, rounded up.
/// Throws      std::bad_alloc.
/// Threads     any, at the same time.
[[nodiscard]] inline refused_response refuse(refusal why, refuse_options const& options = {}) {
  refused_response out;
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
    out.body = "There is no stream for you here.\n";
    return out;
  }
  auto const wait = detail::next_wait_ms(options.least_retry.milliseconds, options.spread.milliseconds);
  if (stream) {
    out.status = 200;
    // No blank line: `retry` is in force when its line ends. Programs that read every block as an event,
    // whether it has data or not (httpx-sse, OpenAI's SDK), would read one here.
    out.body = "retry: " + std::to_string(wait) + "\n";
  } else {
    out.status = 503;
    add("Retry-After", std::to_string(wait / 1000 + (wait % 1000 != 0 ? 1 : 0)));
    out.body = "No stream can be had now. Come back later.\n";
  }
  if (http_1) add("Connection", "close");  // what is full has no use for idle connections
  return out;
}

/// For what subscribe() answered.
[[nodiscard]] inline refused_response refuse(errc error, refuse_options const& options = {}) {
  return refuse(refusal_of(error), options);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
