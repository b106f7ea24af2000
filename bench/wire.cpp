// SPDX-License-Identifier: MIT
// wire.cpp - times the rows of the bench and prints samples, for wire.py to read.
//   wire check             every row delivers what the corpus says; exit status 1 and its name if one does not
//   wire time ROUNDS       the same, then for each row a line: row TASK CORPUS CHUNK NAME BYTES SECONDS-OF-EACH-ROUND...
//   wire write DIRECTORY   the corpora as files, for the peers: a line each: corpus NAME EVENTS HASH
// In one round each row of a group runs once, the next round begins with another of them: what disturbs the machine
// disturbs the rows of a group alike, and their ratio in a round is worth more than the ratio of their averages.
#include <rows.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bench::group;
using bench::row;

// A sample shorter than this would tell more about the clock.
constexpr double sample_seconds = 0.003;

// Of processor time: what else runs on the core meanwhile does not count.
double seconds_of(row const& r, std::size_t times) {
  auto const begin = std::clock();
  for (std::size_t i = 0; i < times; ++i) r.run();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / static_cast<double>(times);
}

bool check(std::vector<group> const& groups) {
  std::size_t wrong = 0;
  for (auto const& g : groups) {
    for (auto const& r : g.rows) {
      if (!r.tell) continue;
      auto const told = r.tell();
      if (told == g.expected) continue;
      ++wrong;
      std::printf("wrong %s %c %zu %s: %llu events with hash %08x, expected %llu with %08x\n", g.task.c_str(),
                  g.corpus, g.chunk, r.name.c_str(), static_cast<unsigned long long>(told.events), told.hash,
                  static_cast<unsigned long long>(g.expected.events), g.expected.hash);
    }
  }
  return wrong == 0;
}

void time_rows(group const& g, std::size_t rounds) {
  std::vector<std::size_t> times;
  for (auto const& r : g.rows) {
    r.run();
    times.push_back(1 + static_cast<std::size_t>(sample_seconds / (seconds_of(r, 1) + 1e-6)));
  }
  std::vector<std::vector<double>> samples(g.rows.size());
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t k = 0; k < g.rows.size(); ++k) {
      auto const i = (round + k) % g.rows.size();
      samples[i].push_back(seconds_of(g.rows[i], times[i]));
    }
  }
  for (std::size_t i = 0; i < g.rows.size(); ++i) {
    std::printf("row %s %c %zu %s %zu", g.task.c_str(), g.corpus, g.chunk, g.rows[i].name.c_str(),
                g.rows[i].bytes);
    for (double const seconds : samples[i]) std::printf(" %.9f", seconds);
    std::printf("\n");
  }
  std::fflush(stdout);
}

int write_corpora(std::vector<bench::corpus> const& all, std::string const& directory) {
  for (auto const& c : all) {
    if (c.name > 'c') continue;
    auto const name = directory + "/" + c.name + ".txt";
    auto* const file = std::fopen(name.c_str(), "wb");
    auto const written = file != nullptr ? std::fwrite(c.stream.data(), 1, c.stream.size(), file) : 0;
    if (file == nullptr || std::fclose(file) != 0 || written != c.stream.size()) {
      std::fprintf(stderr, "cannot write %s\n", name.c_str());
      return 1;
    }
    bench::digest told;
    for (auto const& r : c.records) told(r.id, r.type, r.data);
    std::printf("corpus %c %llu %08x\n", c.name, static_cast<unsigned long long>(told.events), told.hash);
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::string_view const command = count > 1 ? arguments[1] : "";
  bench::wire_bench const all;
  if (command == "write" && count == 3) return write_corpora(all.corpora, arguments[2]);
  if (command != "check" && !(command == "time" && count == 3)) {
    std::fprintf(stderr, "usage: wire check | time ROUNDS | write DIRECTORY\n");
    return 2;
  }
  std::printf("compiler %s\npath %s\n", bench::compiler().c_str(), bench::path().c_str());
  if (!check(all.groups)) return 1;
  if (command == "check") return 0;
  auto const rounds = std::strtoul(arguments[2], nullptr, 10);
  for (auto const& g : all.groups) time_rows(g, rounds);
}
