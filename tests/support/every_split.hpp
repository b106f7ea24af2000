// SPDX-License-Identifier: MIT
// every_split.hpp - checks that a stream means the same however it is read: pushed or pulled, whole, byte by
// byte, or cut anywhere.
#pragma once

#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// The ways to read a stream with ssewire::parser.
enum class way { push, push_with_comments, pull, pull_with_comments };
inline constexpr way ways[] = {way::push, way::push_with_comments, way::pull, way::pull_with_comments};

inline std::string_view name(way w) {
  switch (w) {
  case way::push: return "push";
  case way::push_with_comments: return "push, with comments";
  case way::pull: return "pull";
  default: return "pull, with comments";
  }
}

constexpr bool tells_comments(way w) { return w == way::push_with_comments || w == way::pull_with_comments; }

/// How the parser is made, and what else it is given to read.
struct how {
  ssewire::utf8 encoding = ssewire::utf8::repair;
  ssewire::parser_limits limits = {};
  // Before, between and after the other pieces.
  bool empty_pieces = true;
  // Each piece lies in a buffer of exactly its size, so that a sanitizer notices a read outside it.
  bool exact_buffers = true;
  // A stream that the parser has read before this one.
  std::string_view before = {};
};

/// What the parser reported, and what else it answered.
struct told {
  literal::reading read = {};
  ssewire::errc error = ssewire::errc::ok;  // the answer of error() after the last piece
  std::uint64_t offset = 0;
  bool sound = true;  // each call answered as its contract says
};

/// Reads `bytes` in the pieces that `cuts` (ascending offsets) make. The buffer of each piece is overwritten
/// after the parser is done with it, so a view kept into it would be noticed.
inline told read_pieces(way w, std::string_view bytes, std::vector<std::size_t> const& cuts,
                        how const& options = {}) {
  using ssewire::errc;
  told got;
  auto& read = got.read;
  ssewire::parser p(options.limits, options.encoding);
  auto const on_event = [&](ssewire::event const& e) { read.events.push_back(record(e)); };
  auto const on_comment = [&](std::string_view text) {
    read.comments.push_back({read.events.size(), std::string(text)});
  };
  if (!options.before.empty()) {
    p.feed(options.before, [](ssewire::event const&) {});
    p.reset();
  }
  std::size_t fed = 0;
  std::vector<char> buffer;
  auto const feed = [&](std::string_view piece) {
    if (options.exact_buffers) buffer = std::vector<char>();
    buffer.assign(piece.begin(), piece.end());
    std::string_view const view(buffer.data(), buffer.size());
    auto const before = p.error();
    ssewire::result<std::size_t> result;
    switch (w) {
    case way::push: result = p.feed(view, on_event); break;
    case way::push_with_comments: result = p.feed(view, on_event, on_comment); break;
    case way::pull:
      result = p.feed(view);
      while (auto const e = p.next()) on_event(*e);
      break;
    case way::pull_with_comments:
      result = p.feed(view);
      while (auto const e = p.next(on_comment)) on_event(*e);
      break;
    }
    std::fill(buffer.begin(), buffer.end(), '!');
    fed += piece.size();
    bool const pulled = w == way::pull || w == way::pull_with_comments;
    if (before != errc::ok) {  // an error sticks
      got.sound = got.sound && result.error == before && result.value == 0 && p.error() == before;
    } else if (p.error() == errc::ok) {
      got.sound = got.sound && result.error == errc::ok && result.value == piece.size() && p.offset() == fed;
    } else {
      got.sound = got.sound && (pulled ? result.error == errc::ok && result.value == piece.size()
                                       : result.error == p.error() && result.value <= piece.size());
    }
  };
  auto const feed_nothing = [&] {
    if (options.empty_pieces) feed({});
  };
  feed_nothing();
  std::size_t begin = 0;
  for (auto const cut : cuts) {
    feed(bytes.substr(begin, cut - begin));
    feed_nothing();
    begin = cut;
  }
  feed(bytes.substr(begin));
  feed_nothing();
  got.error = p.error();
  got.offset = p.offset();
  got.sound = got.sound && p.finish().error == got.error;
  read.last_event_id = p.last_event_id();
  if (auto const time = p.reconnection_time()) read.retry = time->milliseconds;
  return got;
}

/// Whether `got` is `expected`, comments included if this way of reading reports them.
inline bool agrees(told const& got, way w, literal::reading const& expected) {
  bool const same = tells_comments(w)
                        ? got.read == expected
                        : got.read.comments.empty() && static_cast<outcome const&>(got.read) == expected;
  return same && got.sound && got.error == ssewire::errc::ok;
}

/// Asserts that `bytes` mean `expected` to the literal parser, and to the library's parser in every way of
/// reading: whole, byte by byte, cut in two at every offset, and, up to 24 bytes, cut in three at every pair
/// of offsets. A stream of more than 4 KiB is cut only at every 97th offset.
inline void every_split(std::string_view bytes, outcome const& expected,
                        ssewire::utf8 encoding = ssewire::utf8::repair) {
  auto const text = bytes.size() <= 4096 ? quoted(bytes) : quoted(bytes.substr(0, 4096)) + "...";
  CAPTURE(text);
  auto const oracle = literal::read(bytes, encoding);
  CHECK(static_cast<outcome const&>(oracle) == expected);
  if (!(static_cast<outcome const&>(oracle) == expected)) return;

  auto const run = [&](std::vector<std::size_t> const& cuts) {
    for (auto const w : ways) {
      auto const got = read_pieces(w, bytes, cuts, {.encoding = encoding});
      if (agrees(got, w, oracle)) continue;
      std::string where;
      for (auto const cut : cuts) where += std::to_string(cut) + ' ';
      CAPTURE(where);
      auto const reading = name(w);
      CAPTURE(reading);
      CHECK(got.read == oracle);
      CHECK(got.error == ssewire::errc::ok);
      CHECK(got.sound);
      return false;
    }
    return true;
  };

  if (!run({})) return;
  std::vector<std::size_t> each;
  for (std::size_t i = 1; i < bytes.size(); ++i) each.push_back(i);
  if (!run(each)) return;
  std::size_t const step = bytes.size() <= 4096 ? 1 : 97;
  for (std::size_t i = 0; i <= bytes.size(); i += step) {
    if (!run({i})) return;
    if (bytes.size() > 24) continue;
    for (std::size_t j = i; j <= bytes.size(); ++j) {
      if (!run({i, j})) return;
    }
  }
}

}  // namespace support
