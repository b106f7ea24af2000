// SPDX-License-Identifier: MIT
// timing.hpp - checks rows and times them with Google Benchmark.
// In one round each row of a group runs once, the next round begins with another of them: what disturbs the
// machine disturbs the rows of a group alike, and their ratio in a round is worth more than the ratio of
// their averages. Google Benchmark's own random interleaving would shuffle the rounds, too.
#pragma once

#include <benchmark/benchmark.h>
#include <measure.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

// A sample shorter than this would tell more about the clock.
inline constexpr double sample_seconds = 0.003;

/// One JSON document for all rounds.
class rounds_reporter : public benchmark::JSONReporter {
 public:
  bool ReportContext(Context const& context) override {
    return std::exchange(begun_, true) || JSONReporter::ReportContext(context);
  }
  void Finalize() override {}
  void end() { JSONReporter::Finalize(); }

 private:
  bool begun_ = false;
};

inline void time_rows(group const& g, std::size_t rounds, rounds_reporter& to) {
  for (std::size_t round = 0; round < rounds; ++round) {
    benchmark::ClearRegisteredBenchmarks();
    for (std::size_t k = 0; k < g.rows.size(); ++k) {
      auto const& r = g.rows[(round + k) % g.rows.size()];
      auto const name = g.task + "/" + g.corpus + "/" + std::to_string(g.chunk) + "/" + r.name;
      auto const run = [&r](benchmark::State& state) {
        for (auto _ : state) r.run();
        state.counters["bytes"] = static_cast<double>(r.bytes);
      };
      benchmark::RegisterBenchmark(name.c_str(), run)->MinTime(sample_seconds);
    }
    benchmark::RunSpecifiedBenchmarks(&to, ".");
  }
}

/// Writes the corpora that peers get as files, and prints for each a line: corpus NAME EVENTS HASH
inline void write_corpora(std::vector<corpus> const& all, std::string const& directory) {
  for (auto const& c : all) {
    if (c.name > 'c') continue;
    must(std::ofstream(directory + "/" + c.name + ".txt", std::ios::binary) << c.stream << std::flush,
         "write");
    digest told;
    for (auto const& r : c.records) told(r.id, r.type, r.data);
    std::printf("corpus %c %zu %08x\n", c.name, told.events, told.hash);
  }
}

/// The whole program. `parts` calls what it is given with one std::vector<group> after the other.
///   check             every row delivers what its group expects; exit status 1 if one does not
///   time ROUNDS       the same, then the samples of all rounds in Google Benchmark's JSON
///   write DIRECTORY   the corpora as files, for the peers: see write_corpora()
template <class Parts>
int run_program(int count, char** arguments, std::vector<corpus> const& corpora, Parts parts) {
  std::string_view const command = count > 1 ? arguments[1] : "";
  must(command == "check" || count == 3, "usage: check | time ROUNDS | write DIRECTORY");
  if (command == "write") return write_corpora(corpora, arguments[2]), 0;
  auto const rounds = command == "time" ? std::strtoul(arguments[2], nullptr, 10) : 0;
  rounds_reporter reporter;
  parts([&](std::vector<group> const& groups) {
    must(check(groups), "what a row delivers");
    for (auto const& g : groups) time_rows(g, rounds, reporter);
  });
  if (rounds != 0) reporter.end();
  return 0;
}

}  // namespace bench
