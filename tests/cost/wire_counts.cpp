// SPDX-License-Identifier: MIT
// wire_counts.cpp - runs each row once inside measured(), for counts.py to count its instructions with
// callgrind.
//   wire_counts check         every row delivers what the corpus says; exit status 1 if one does not
//   wire_counts run           one line for each call of measured(), in their order:
//                             count TASK CORPUS CHUNK NAME BYTES
//   wire_counts allocations   each row twice; the same lines with the allocations of the second run behind
// Beside the bench's rows there is a line of 512 KiB and one of 1 MiB, in chunks of 16 bytes and of 1: twice
// the bytes must be twice the work.
#include <cost/counting.hpp>
#include <rows.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace {

bench::corpus one_line(std::size_t bytes) {
  bench::corpus made{.name = 'l'};
  made.records.push_back({.data = std::string(bytes - 8, 'x')});
  bench::detail::append_event(made.stream, made.records.back());
  return made;
}

// Slow, and nobody asks.
bool left_out(bench::group const& g, bench::row const& r) { return r.name == "getline" && g.chunk != 65536; }

}  // namespace

int main(int count, char** arguments) {
  std::string_view const command = count == 2 ? arguments[1] : "";
  if (command == "check") return bench::check(bench::wire_bench().groups) ? 0 : 1;
  if (command != "run" && command != "allocations") {
    std::fprintf(stderr, "usage: wire_counts check | run | allocations\n");
    return 2;
  }
  bench::print_head();
  bench::wire_bench all;
  auto const half = one_line(512 * 1024);
  auto const whole = one_line(1024 * 1024);
  for (auto const* line : {&half, &whole}) {
    for (std::size_t const chunk : {16u, 1u}) {
      all.groups.push_back({.task = "parse", .corpus = 'l', .chunk = chunk});
      for (auto const row_of : {bench::parse_callback, bench::parse_callback_bytes, bench::parse_pull}) {
        all.groups.back().rows.push_back(row_of(*line, chunk));
      }
    }
  }
  for (auto const& g : all.groups) {
    for (auto const& r : g.rows) {
      if (left_out(g, r)) continue;
      bench::count_row(g, r, command == "allocations");
    }
  }
}
