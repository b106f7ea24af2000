// SPDX-License-Identifier: MIT
// append.cpp - a serializer as one writes it without much thought.
#include <rows.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace bench {
namespace {

/// What one writes without much thought: append, and find_first_of for the line ends.
struct append_strings {
  explicit append_strings(prepared const& from) : p(from) {}
  std::string_view operator()(std::size_t i) {
    auto const& r = p.records[i];
    out.clear();
    if (!r.id.empty()) out += "id: " + r.id + "\n";
    if (!r.type.empty()) out += "event: " + r.type + "\n";
    for (std::size_t begin = 0;;) {
      auto const end = r.data.find_first_of("\r\n", begin);
      out += "data: ";
      out.append(r.data, begin, end - begin);
      out += '\n';
      if (end == std::string::npos) break;
      begin = end + (r.data.compare(end, 2, "\r\n") == 0 ? 2 : 1);
    }
    out += '\n';
    return out;
  }
  prepared const& p;
  std::string out;
};

}  // namespace

row serialize_append(shared_prepared const& p) { return serialize_row<append_strings>("append", p); }

}  // namespace bench
