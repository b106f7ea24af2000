// SPDX-License-Identifier: MIT
// enum_names.hpp - what must hold for name(e) of every public enum: each value has a word of its own, fit for
// a label.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <initializer_list>
#include <string_view>

namespace support {

// `words`: the names of all values, in their order. `beyond`: the name of a number after the last value.
template <class Enum>
void expect_names(std::initializer_list<std::string_view> words, std::string_view beyond = "unknown") {
  std::size_t value = 0;
  for (auto const word : words) {
    CAPTURE(value);
    CHECK(name(static_cast<Enum>(value)) == word);
    CHECK(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") == word.npos);
    ++value;
  }
  CHECK(name(static_cast<Enum>(value)) == beyond);
}

}  // namespace support
