// SPDX-License-Identifier: MIT
// laws.hpp - what the fuzz targets share: taking an input apart, and reporting a law that does not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

namespace fuzz {

/// What is being run, for who reads of a broken law.
inline std::string now_running = "a new input";

/// The targets' only verdict. One that does not hold ends the process: libFuzzer keeps the input then, and
/// the replay fails. `tell(std::ostream&)` shows the values.
template <class Tell> void law(bool holds, std::string_view words, Tell tell) {
  if (holds) return;
  std::cerr << "broken law: " << words << "\nin: " << now_running << '\n';
  tell(std::cerr);
  std::cerr << '\n' << std::endl;
  std::abort();
}
inline void law(bool holds, std::string_view words) {
  law(holds, words, [](std::ostream&) {});
}

/// '~', a count and a byte stand for so many of that byte: a short input reaches past blocks and buffers. At
/// most `most` bytes come of it.
inline std::string stretched(std::string_view text, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < most; ++i) {
    if (text[i] != '~' || i + 2 >= text.size()) {
      out += text[i];
      continue;
    }
    out.append(static_cast<unsigned char>(text[i + 1]), text[i + 2]);
    i += 2;
  }
  if (out.size() > most) out.resize(most);
  return out;
}

/// The bytes of an input, taken from the front. Behind its end it is all zeros.
class input {
 public:
  input(std::uint8_t const* data, std::size_t size)
      : left_(reinterpret_cast<char const*>(data), size) {}  // NOLINT: bytes are bytes

  [[nodiscard]] bool empty() const { return left_.empty(); }

  unsigned byte() {
    if (left_.empty()) return 0;
    auto const b = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return b;
  }
  bool flag() { return byte() % 2 != 0; }

  std::uint64_t number() {
    std::uint64_t n = 0;
    for (int i = 0; i < 8; ++i) n = n << 8 | byte();
    return n;
  }

  /// Up to the next FF, which is taken too; FF FF is an FF of the text.
  std::string text(std::size_t most = 4096) {
    std::string raw;
    while (!left_.empty()) {
      char const c = left_.front();
      left_.remove_prefix(1);
      if (c == '\xFF') {
        if (left_.empty() || left_.front() != '\xFF') break;
        left_.remove_prefix(1);
      }
      raw += c;
    }
    return stretched(raw, most);
  }

  std::string_view rest() {
    auto const all = left_;
    left_ = {};
    return all;
  }

 private:
  std::string_view left_;
};

}  // namespace fuzz
