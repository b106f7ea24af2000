// SPDX-License-Identifier: MIT
// span.cpp - ssewire's serializer into the caller's memory, with room enough that nothing is counted first.
#include <ssewire/wire/serializer.hpp>

#include <rows.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace bench {
namespace {

struct into_span {
  explicit into_span(prepared const& from) : p(from), out(8 * (from.largest + 64), '\0') {}
  std::string_view operator()(std::size_t i) {
    return {out.data(), ssewire::serialize(p.events[i], std::span<char>(out)).value};
  }
  prepared const& p;
  std::string out;
};

}  // namespace

row serialize_span(shared_prepared const& p) { return serialize_row<into_span>("span", p); }

}  // namespace bench
