// SPDX-License-Identifier: MIT
// main.cpp - the smallest program that uses ssewire.
#include <ssewire/ssewire.hpp>

int main() { return ssewire::serialize({.data = "x"}) == "data: x\n\n" ? 0 : 1; }
