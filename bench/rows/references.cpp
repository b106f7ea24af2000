// SPDX-License-Identifier: MIT
// references.cpp - what the rows are held against: searching, copying, and what one writes by hand.
#include <rows.hpp>

#include <cstddef>
#include <cstring>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace bench {
namespace {

/// Finds every LF and does nothing else. No parser that goes from line to line with memchr can be faster.
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

/// The usual parser: collect up to a blank line, then getline. Knows LF only.
class getline_parser {
 public:
  template <class Sink> void feed(std::string_view bytes, Sink& sink) {
    buffer_.append(bytes);
    std::size_t begin = 0;
    for (std::size_t end; (end = buffer_.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
      read_event(buffer_.substr(begin, end - begin), sink);
    }
    buffer_.erase(0, begin);
  }

 private:
  template <class Sink> static void read_event(std::string const& text, Sink& sink) {
    std::istringstream lines(text);
    std::string id, type, data;
    bool first = true;
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("data: ", 0) == 0) {
        if (!std::exchange(first, false)) data += '\n';
        data += line.substr(6);
      } else if (line.rfind("event: ", 0) == 0) {
        type = line.substr(7);
      } else if (line.rfind("id: ", 0) == 0) {
        id = line.substr(4);
      }
    }
    if (!first) sink(id, type, data);
  }

  std::string buffer_;
};

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

/// The usual serializer: append, and find_first_of for the line ends.
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

row parse_memchr_per_line(corpus const& c, std::size_t chunk) {
  return reference_row<memchr_per_line>("memchr_per_line", c, chunk);
}

row parse_getline(corpus const& c, std::size_t chunk) {
  return parse_row<getline_parser>("getline", c, chunk);
}
row serialize_memcpy(shared_prepared const& p) { return serialize_row<copy_frames>("memcpy", p); }
row serialize_append(shared_prepared const& p) { return serialize_row<append_strings>("append", p); }

}  // namespace bench
