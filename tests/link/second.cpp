// SPDX-License-Identifier: MIT
// second.cpp - the other unit; compiled with the same flags as the first, without exceptions, and with
// NDEBUG and -O2.
#include <every_public_header.hpp>

#include <string>

std::string serialized_by_second_unit();
std::string serialized_by_second_unit() { return ssewire::serialize({.data = "x"}); }
