// SPDX-License-Identifier: MIT
// references.cpp - what the parsers are held against: searching and copying, and nothing else.
#include <rows.hpp>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace bench {
namespace {

/// "L": finds every LF and does nothing else. No parser that visits lines one by one with memchr can be
/// faster.
struct memchr_per_line {
  template <class Sink> void feed(std::string_view bytes, Sink& sink) {
    auto const* at = bytes.data();
    auto const* const last = at + bytes.size();
    while (at != last) {
      auto const* const end =
          static_cast<char const*>(std::memchr(at, '\n', static_cast<std::size_t>(last - at)));
      if (end == nullptr) break;
      ++sink.touched;
      at = end + 1;
    }
  }
};

/// One search for a byte that is not there: how fast memory can be looked at.
struct memchr_whole {
  template <class Sink> void feed(std::string_view bytes, Sink& sink) {
    sink.touched += std::memchr(bytes.data(), 1, bytes.size()) == nullptr;
  }
};

struct memcpy_chunk {
  template <class Sink> void feed(std::string_view bytes, Sink&) {
    if (to.size() < bytes.size()) to.resize(bytes.size());
    std::memcpy(to.data(), bytes.data(), bytes.size());
    keep(to.data());
  }
  std::string to;
};

}  // namespace

row parse_memchr_per_line(corpus const& c, std::size_t chunk) {
  return reference_row<memchr_per_line>("memchr_per_line", c, chunk);
}

row parse_memchr_whole(corpus const& c, std::size_t chunk) {
  return reference_row<memchr_whole>("memchr_whole", c, chunk);
}

row parse_memcpy(corpus const& c, std::size_t chunk) {
  return reference_row<memcpy_chunk>("memcpy", c, chunk);
}

}  // namespace bench
