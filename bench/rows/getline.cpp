// SPDX-License-Identifier: MIT
// getline.cpp - a parser as one writes it on an afternoon.
#include <rows.hpp>

#include <cstddef>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace bench {
namespace {

/// The usual few lines: collect up to a blank line, then getline. Knows LF only, and wants it only.
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

}  // namespace

row parse_getline(corpus const& c, std::size_t chunk) {
  return parse_row<getline_parser>("getline", c, chunk);
}

}  // namespace bench
