// SPDX-License-Identifier: MIT
// A tool: reads an event stream from standard input and prints each event as a line of JSON, as soon as it
// is there:
//
//     curl -sN http://localhost:8080/events | parse_stream
//
// `type`, `data` and `lastEventId` are what a browser's MessageEvent has; `id` and `retry` are there where
// the event's own block has them. With --comments a comment is a line {"comment":"..."}, in its place. What
// was wrong with the stream, and at which byte, goes to standard error; then the exit status is 1.

// Input:
//   retry: 3000
//   id: 7
//   data: {"price":10}
//
//   event: note
//   data: two
//   data: lines
//

// Output:
//   {"type":"message","data":"{\"price\":10}","lastEventId":"7","id":"7","retry":3000}
//   {"type":"note","data":"two\nlines","lastEventId":"7"}

#include <ssewire/wire/parser.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#else
#include <unistd.h>
#endif

namespace {

// What is there now, and at least one byte of it unless the input ends. Negative: an error, in errno.
long read_some(char* to, unsigned bytes) {
#if defined(_WIN32)
  return ::_read(0, to, bytes);
#else
  for (;;) {
    auto const got = ::read(STDIN_FILENO, to, bytes);
    if (got >= 0 || errno != EINTR) return static_cast<long>(got);
  }
#endif
}

void append_string(std::string& json, std::string_view text) {
  json += '"';
  for (char const c : text) {
    switch (c) {
    case '"': json += "\\\""; break;
    case '\\': json += "\\\\"; break;
    case '\n': json += "\\n"; break;
    case '\r': json += "\\r"; break;
    case '\t': json += "\\t"; break;
    default:
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
        json += escaped;
      } else {
        json += c;  // the parser has repaired what was not UTF-8
      }
    }
  }
  json += '"';
}

void append_event(std::string& json, ssewire::event const& e, std::string_view last_event_id) {
  json += "{\"type\":";
  append_string(json, e.type.name());
  json += ",\"data\":";
  append_string(json, e.data);
  json += ",\"lastEventId\":";
  append_string(json, last_event_id);
  if (e.id.has_value()) {
    json += ",\"id\":";
    append_string(json, e.id.value());
  }
  if (e.retry) json += ",\"retry\":" + std::to_string(e.retry->milliseconds);
  json += "}\n";
}

bool print(std::string& json) {
  bool const good =
      std::fwrite(json.data(), 1, json.size(), stdout) == json.size() && std::fflush(stdout) == 0;
  json.clear();
  return good;
}

int fail(std::string_view what, unsigned long long at) {
  std::fprintf(stderr, "parse_stream: byte %llu: %.*s\n", at, static_cast<int>(what.size()), what.data());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  bool const comments = argc == 2 && std::string_view(argv[1]) == "--comments";
  if (argc > 2 || (argc == 2 && !comments)) {
    std::fputs("usage: parse_stream [--comments] < event-stream\n", stderr);
    return 2;
  }
#if defined(_WIN32)
  ::_setmode(0, _O_BINARY);
#endif

  ssewire::parser parser;
  std::string json;
  auto const on_comment = [&](std::string_view text) {
    if (!comments) return;
    json += "{\"comment\":";
    append_string(json, text);
    json += "}\n";
  };

  char bytes[64 * 1024];
  while (auto const got = read_some(bytes, sizeof bytes)) {
    if (got < 0) return fail(std::strerror(errno), parser.offset());
    parser.feed({bytes, static_cast<std::size_t>(got)});
    while (auto const e = parser.next(on_comment)) append_event(json, *e, parser.last_event_id());
    if (!print(json)) return fail("standard output takes no more", parser.offset());
    if (parser.error() != ssewire::errc::ok) return fail(ssewire::message(parser.error()), parser.offset());
  }
  if (parser.has_partial_event())
    return fail("the stream ends inside an event or a line, which is dropped", parser.offset());
  return 0;
}
