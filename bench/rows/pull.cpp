// SPDX-License-Identifier: MIT
// pull.cpp - ssewire's parser, asked for one event after the other.
#include <ssewire/wire/parser.hpp>

#include <rows.hpp>

#include <string_view>

namespace bench {
namespace {

class pull_parser {
 public:
  template <class Sink> void feed(std::string_view bytes, Sink& sink) {
    parser_.feed(bytes);
    while (auto const e = parser_.next()) sink(e->id.value(), e->type.value(), *e->data);
  }

 private:
  ssewire::parser parser_;
};

}  // namespace

row parse_pull(corpus const& c, std::size_t chunk) { return parse_row<pull_parser>("pull", c, chunk); }

}  // namespace bench
