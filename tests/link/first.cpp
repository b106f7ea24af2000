// SPDX-License-Identifier: MIT
// first.cpp - one of two translation units that include every public header. It compares the bytes that both
// serialize.
#include <every_public_header.hpp>

#include <cstdio>
#include <string>

std::string serialized_by_second_unit();

int main() {
  std::string const expected = "data: x\n\n";
  std::string const first = ssewire::serialize({.data = "x"});
  std::string const second = serialized_by_second_unit();
  if (first == expected && second == expected) return 0;
  std::fprintf(stderr, "first unit: %s\nsecond unit: %s\n", first.c_str(), second.c_str());
  return 1;
}
