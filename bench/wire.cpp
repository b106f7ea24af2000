// SPDX-License-Identifier: MIT
// wire.cpp - times the rows of the bench and prints samples, for wire.py to read.
//   wire check             every row delivers what the corpus says; exit status 1 and its name if one does
//   not wire time ROUNDS       the same, then for each row a line: row TASK CORPUS CHUNK NAME BYTES
//   SECONDS-OF-EACH-ROUND... wire write DIRECTORY   the corpora as files, for the peers: a line each: corpus
//   NAME EVENTS HASH
#include <rows.hpp>

#include <cstdio>
#include <cstdlib>
#include <string_view>

int main(int count, char** arguments) {
  std::string_view const command = count > 1 ? arguments[1] : "";
  bench::wire_bench const all;
  if (command == "write" && count == 3) return bench::write_corpora(all.corpora, arguments[2]);
  if (command != "check" && !(command == "time" && count == 3)) {
    std::fprintf(stderr, "usage: wire check | time ROUNDS | write DIRECTORY\n");
    return 2;
  }
  bench::print_head();
  if (!bench::check(all.groups)) return 1;
  if (command == "check") return 0;
  auto const rounds = std::strtoul(arguments[2], nullptr, 10);
  for (auto const& g : all.groups) bench::time_rows(g, rounds);
}
