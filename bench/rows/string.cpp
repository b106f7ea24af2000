// SPDX-License-Identifier: MIT
// string.cpp - ssewire's serializer into a string that is used again.
#include <ssewire/wire/serializer.hpp>

#include <rows.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace bench {
namespace {

struct into_string {
  explicit into_string(prepared const& from) : p(from) {}
  std::string_view operator()(std::size_t i) {
    out.clear();
    ssewire::serialize(p.events[i], out);
    return out;
  }
  prepared const& p;
  std::string out;
};

}  // namespace

row serialize_string(shared_prepared const& p) { return serialize_row<into_string>("string", p); }

}  // namespace bench
