// SPDX-License-Identifier: MIT
// second.cpp - the other translation unit: once compiled with the flags of the first, once without
// exceptions, and once with NDEBUG and -O2.
#include <every_public_header.hpp>

#include <string>

std::string serialized_by_second_unit();
std::string serialized_by_second_unit() { return ssewire::serialize({.data = "x"}); }
