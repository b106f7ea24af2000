// SPDX-License-Identifier: MIT
// every_split.hpp - a stream means the same however it is cut: whole, byte by byte, and at every offset.
#pragma once

#include <ssewire/parser.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// Feeds the pieces of `bytes` that `cuts` (offsets, ascending) make, an empty piece before, between and after them.
/// Each piece has a buffer of its own that is overwritten after the call: a view kept into it would show.
inline outcome parse_pieces(std::string_view bytes, std::vector<std::size_t> const& cuts,
                            ssewire::utf8 encoding = ssewire::utf8::repair) {
  outcome got;
  ssewire::parser p(ssewire::parser_limits{}, encoding);
  auto const on_event = [&](ssewire::event const& e) { got.events.push_back(record(e)); };
  auto const feed = [&](std::string_view piece) {
    std::vector<char> buffer(piece.begin(), piece.end());
    auto const result = p.feed({buffer.data(), buffer.size()}, on_event);
    CHECK_UNARY(result.error == ssewire::errc::ok && result.consumed == piece.size());
    std::fill(buffer.begin(), buffer.end(), '!');
  };
  feed({});
  std::size_t begin = 0;
  for (auto const cut : cuts) {
    feed(bytes.substr(begin, cut - begin));
    feed({});
    begin = cut;
  }
  feed(bytes.substr(begin));
  feed({});
  CHECK_UNARY(p.finish().error == ssewire::errc::ok);
  got.last_event_id = p.last_event_id();
  if (auto const time = p.reconnection_time()) got.retry = time->milliseconds;
  return got;
}

/// Asserts that `bytes` mean `expected`: whole, byte by byte, cut in two at every offset, and, up to 24 bytes, cut in
/// three at every pair of offsets.
inline void every_split(std::string_view bytes, outcome const& expected,
                        ssewire::utf8 encoding = ssewire::utf8::repair) {
  auto const run = [&](std::vector<std::size_t> const& cuts) {
    auto const got = parse_pieces(bytes, cuts, encoding);
    if (got == expected) return true;
    std::string where;
    for (auto const cut : cuts) where += std::to_string(cut) + ' ';
    auto const text = quoted(bytes);
    CAPTURE(text);
    CAPTURE(where);
    CHECK(got == expected);
    return false;
  };

  if (!run({})) return;
  std::vector<std::size_t> each;
  for (std::size_t i = 1; i < bytes.size(); ++i) each.push_back(i);
  if (!run(each)) return;
  for (std::size_t i = 0; i <= bytes.size(); ++i) {
    if (!run({i})) return;
    if (bytes.size() > 24) continue;
    for (std::size_t j = i; j <= bytes.size(); ++j) {
      if (!run({i, j})) return;
    }
  }
}

} // namespace support
