// SPDX-License-Identifier: MIT
// corpora.hpp - what the benches parse and serialize: about 2 MB each, from fixed seeds.
//   (a) tokens of a language model: one line of JSON, 156 bytes an event
//   (b) notifications: id, event and data, 76 bytes an event
//   (c) 16 KiB events of 205 lines of 80 bytes
//   (d) (c) with line ends drawn from LF, CR and CRLF; for the serializer only: on the wire it is (c) again
//   (u) (a) with the token in Greek, Japanese and emoji: the price of looking at UTF-8 where there is some
#pragma once

#include <support/random.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

inline constexpr std::size_t corpus_bytes = 2'000'000;

/// A bench of what did not happen would be a fast one.
template <class Result> void must(Result const& happened, char const* what) {
  if (happened) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

/// One event as a program holds it. Empty: the field is absent.
struct record {
  std::string id = {};
  std::string type = {};
  std::string data = {};
};

struct corpus {
  char name = '?';
  std::vector<record> records = {};
  std::string stream = {};  // the records as an event stream with LF ends
};

namespace detail {

inline std::string digits(std::size_t value, std::size_t width) {
  auto text = std::to_string(value);
  return std::string(width > text.size() ? width - text.size() : 0, '0') + text;
}

inline std::string letters(support::random& draw, std::size_t count) {
  std::string text;
  while (text.size() < count) text += static_cast<char>('a' + draw.below(26));
  return text;
}

// `token` makes the text that fills the line up to its length.
template <class Token> std::string chat_chunk(support::random& draw, Token token) {
  auto text = R"({"id":"chatcmpl-)" + digits(draw.below(100'000'000), 8) +
              R"(","object":"chat.completion.chunk","created":17)" + digits(draw.below(100'000'000), 8) +
              R"(,"model":"m-1","choices":[{"index":0,"delta":{"content":")";
  std::string_view const end = R"("}}]})";
  text += token(148 - text.size() - end.size());
  return text.append(end);
}

inline std::string greek_and_japanese(support::random& draw, std::size_t bytes) {
  static constexpr std::string_view tokens[] = {"\u03BB\u03CC\u03B3\u03BF\u03C2", "\u65E5\u672C\u8A9E",
                                                "\u6771\u4EAC", "\U0001F642", "\u03BD\u03B1\u03B9"};
  std::string text;
  for (;;) {
    auto const token = draw.pick(tokens);
    if (text.size() + token.size() > bytes) break;
    text += token;
  }
  return text.append(bytes - text.size(), ' ');
}

inline void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\n");
}

// The way to the wire is written out once more here, so that the serializer is not measured against itself.
inline void append_event(std::string& out, record const& r) {
  if (!r.id.empty()) append_field(out, "id", r.id);
  if (!r.type.empty()) append_field(out, "event", r.type);
  std::string_view rest = r.data;
  for (;;) {
    auto const end = rest.find('\n');
    append_field(out, "data", rest.substr(0, end));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  out += '\n';
}

// An event whose size is not the one the figures are about would be a bench of something else.
template <class Make> corpus make(char name, std::size_t event_bytes, Make make_record) {
  corpus made{.name = name};
  while (made.stream.size() < corpus_bytes) {
    auto const before = made.stream.size();
    made.records.push_back(make_record(made.records.size()));
    append_event(made.stream, made.records.back());
    must(made.stream.size() - before == event_bytes, "events of the size that the figures are about");
  }
  return made;
}

}  // namespace detail

inline corpus corpus_a() {
  support::random draw(1);
  return detail::make('a', 156, [&](std::size_t) -> record {
    auto const ascii = [&](std::size_t bytes) { return detail::letters(draw, bytes); };
    return {.data = detail::chat_chunk(draw, ascii)};
  });
}

inline corpus corpus_b() {
  support::random draw(2);
  return detail::make('b', 76, [&](std::size_t number) -> record {
    return {.id = detail::digits(number, 10),
            .type = "notify",
            .data = R"({"user":)" + detail::digits(draw.below(1'000'000), 6) + R"(,"n":)" +
                    detail::digits(draw.below(10'000), 4) + R"(,"state":"open"})"};
  });
}

inline corpus corpus_c() {
  support::random draw(3);
  return detail::make('c', 205 * 80 + 1, [&](std::size_t) -> record {
    record r;
    for (int line = 0; line < 205; ++line) {
      if (line != 0) r.data += '\n';
      r.data += detail::letters(draw, 80 - 7);
    }
    return r;
  });
}

/// Its `stream` is (c)'s: that is what its events become on the wire.
inline corpus corpus_d() {
  auto mixed = corpus_c();
  mixed.name = 'd';
  support::random draw(4);
  static constexpr std::string_view ends[] = {"\n", "\r", "\r\n"};
  for (auto& r : mixed.records) {
    std::string text;
    for (char const c : r.data) {
      text += c == '\n' ? draw.pick(ends) : std::string_view(&c, 1);
    }
    r.data = text;
  }
  return mixed;
}

inline corpus corpus_u() {
  support::random draw(5);
  return detail::make('u', 156, [&](std::size_t) -> record {
    auto const other = [&](std::size_t bytes) { return detail::greek_and_japanese(draw, bytes); };
    return {.data = detail::chat_chunk(draw, other)};
  });
}

}  // namespace bench
