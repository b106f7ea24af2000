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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

// A sample shorter than this would tell more about the clock.
inline constexpr double sample_seconds = 0.003;
inline constexpr double sample_seconds_of_threads = 0.2;

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

inline void register_row(group const& g, row const& r) {
  auto const name = g.task + "/" + g.corpus + "/" + std::to_string(g.chunk) + "/" + r.name;
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), [&r](benchmark::State& state) {
    for (auto _ : state) {
      if (r.prepare) {
        state.PauseTiming();
        r.prepare();
        state.ResumeTiming();
      }
      r.run();
    }
    if (state.thread_index() == 0) state.counters["bytes"] = static_cast<double>(r.bytes);
  });
  added->MinTime(r.threads == 1 ? sample_seconds : sample_seconds_of_threads);
  if (r.threads > 1) added->Threads(r.threads)->UseRealTime();
}

inline void time_rows(group const& g, std::size_t rounds, rounds_reporter& to) {
  for (std::size_t round = 0; round < rounds; ++round) {
    benchmark::ClearRegisteredBenchmarks();
    for (std::size_t k = 0; k < g.rows.size(); ++k) register_row(g, g.rows[(round + k) % g.rows.size()]);
    benchmark::RunSpecifiedBenchmarks(&to, ".");
  }
}

/// The whole program. `parts` calls what it is given with one std::vector<group> after the other.
///   check             every row delivers what its group expects; exit status 1, and its name, if one does not
///   time ROUNDS       the same, then the samples of all rounds in Google Benchmark's JSON
///   write DIRECTORY   the corpora as files, for the peers: see write_corpora()
template <class Parts>
int run_program(int count, char** arguments, std::vector<corpus> const& corpora, Parts parts) {
  std::string_view const command = count > 1 ? arguments[1] : "";
  if (command == "write" && count == 3) return write_corpora(corpora, arguments[2]);
  if (command != "check" && !(command == "time" && count == 3)) {
    std::fprintf(stderr, "usage: check | time ROUNDS | write DIRECTORY\n");
    return 2;
  }
  benchmark::AddCustomContext("compiler", compiler());
  benchmark::AddCustomContext("path", path());
  rounds_reporter reporter;
  parts([&](std::vector<group> const& groups) {
    if (!check(groups)) std::exit(1);
    for (auto const& g : groups) {
      if (command == "time") time_rows(g, std::strtoul(arguments[2], nullptr, 10), reporter);
    }
  });
  if (command == "time") reporter.end();
  return 0;
}

}  // namespace bench
