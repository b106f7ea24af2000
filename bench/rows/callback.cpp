// SPDX-License-Identifier: MIT
// callback.cpp - ssewire's parser as it is by default, and with bytes that are not UTF-8 left as they are.
// Both run the same code, so that their difference is the price of the repair.
#include <ssewire/wire/parser.hpp>

#include <rows.hpp>

#include <string_view>

namespace bench {
namespace {

class alignas(64) callback_parser {  // where it lies must not decide which of two rows is faster
 public:
  explicit callback_parser(ssewire::utf8 encoding) : parser_(ssewire::parser_limits{}, encoding) {}

  template <class Sink> void feed(std::string_view bytes, Sink& sink) {
    parser_.feed(bytes, [&](ssewire::event const& e) { sink(e.id.value(), e.type.value(), *e.data); });
  }

 private:
  ssewire::parser parser_;
};

}  // namespace

row parse_callback(corpus const& c, std::size_t chunk) {
  return parse_row<callback_parser>("callback", c, chunk, ssewire::utf8::repair);
}

row parse_callback_bytes(corpus const& c, std::size_t chunk) {
  return parse_row<callback_parser>("callback_bytes", c, chunk, ssewire::utf8::keep);
}

}  // namespace bench
