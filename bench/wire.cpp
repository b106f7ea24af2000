// SPDX-License-Identifier: MIT
// wire.cpp - times parser and serializer. Use: see run_program() in timing.hpp.
#include <rows.hpp>
#include <timing.hpp>

int main(int count, char** arguments) {
  bench::wire_bench const all;
  return bench::run_program(count, arguments, all.corpora, [&](auto visit) { visit(all.groups); });
}
