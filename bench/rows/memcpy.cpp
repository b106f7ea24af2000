// SPDX-License-Identifier: MIT
// memcpy.cpp - the least that any serializer does.
#include <rows.hpp>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace bench {
namespace {

/// The least that any serializer does: the same bytes, event by event, from where they lie ready.
struct copy_frames {
  explicit copy_frames(prepared const& from) : p(from), out(from.largest, '\0') {}
  std::string_view operator()(std::size_t i) {
    std::memcpy(out.data(), p.frames[i].data(), p.frames[i].size());
    return {out.data(), p.frames[i].size()};
  }
  prepared const& p;
  std::string out;
};

}  // namespace

row serialize_memcpy(shared_prepared const& p) { return serialize_row<copy_frames>("memcpy", p); }

}  // namespace bench
