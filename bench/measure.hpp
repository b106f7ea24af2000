// SPDX-License-Identifier: MIT
// measure.hpp - what a row of a bench is, and how rows are checked and timed: what the benches share.
// In one round each row of a group runs once, the next round begins with another of them: what disturbs the
// machine disturbs the rows of a group alike, and their ratio in a round is worth more than the ratio of
// their averages.
#pragma once

#include <ssewire/core/event.hpp>

#include <corpora.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// A bench of what did not happen would be a fast one.
inline void must(bool happened, char const* what) {
  if (happened) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

/// Makes the compiler believe that somebody reads these bytes.
inline void keep(void const* bytes) { asm volatile("" : : "r"(bytes) : "memory"); }

/// The record's event, without its ID.
inline ssewire::event event_of(record const& r) {
  ssewire::event e;
  e.type = ssewire::event_type::from(r.type).value;
  e.data = r.data;
  return e;
}

/// FNV-1a of 32 bits, because that is a few lines in the language of every peer.
struct digest {
  std::uint64_t events = 0;
  std::uint32_t hash = 2166136261u;

  void add(std::string_view text) noexcept {
    for (char const c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  void operator()(std::string_view id, std::string_view type, std::string_view data) noexcept {
    ++events;
    add(id);
    add("\n");
    add(type.empty() ? "message" : type);
    add("\n");
    add(data);
    add("\n\n");
  }
  friend bool operator==(digest const&, digest const&) = default;
};

struct row {
  std::string name;
  std::size_t bytes = 0;      // of the stream that one run reads or writes; of the broker: what one run does
  std::function<void()> run;  // the whole corpus once
  std::function<digest()> tell;        // not timed: what it delivers; empty where nothing is delivered
  std::function<void()> prepare = {};  // not timed: before each run; may be empty
};

/// Rows that are compared: the same bytes, cut in the same way.
struct group {
  std::string task;  // "parse" or "serialize"; of the broker: see broker_rows.hpp
  char corpus = '?';
  std::size_t chunk = 0;
  digest expected = {};
  std::vector<row> rows = {};
};

/// "g++ 12.2.0"
inline std::string compiler() {
#if defined(__clang__)
  return "clang++ " + std::to_string(__clang_major__) + "." + std::to_string(__clang_minor__) + "." +
         std::to_string(__clang_patchlevel__);
#else
  return "g++ " + std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) + "." +
         std::to_string(__GNUC_PATCHLEVEL__);
#endif
}

/// The library's: "SSE2" or "portable".
inline std::string path() {
#if defined(__x86_64__) && !defined(SSEWIRE_DETAIL_PORTABLE)
  return "SSE2";
#else
  return "portable";
#endif
}

inline void print_head() { std::printf("compiler %s\npath %s\n", compiler().c_str(), path().c_str()); }

/// Whether every row delivers what its group expects; says which does not.
inline bool check(std::vector<group> const& groups) {
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

// A sample shorter than this would tell more about the clock.
inline constexpr double sample_seconds = 0.003;

// Of processor time: what else runs on the core meanwhile does not count.
inline double seconds_of(row const& r, std::size_t times) {
  std::clock_t spent = 0;
  if (!r.prepare) {
    auto const begin = std::clock();
    for (std::size_t i = 0; i < times; ++i) r.run();
    spent = std::clock() - begin;
  } else {
    for (std::size_t i = 0; i < times; ++i) {
      r.prepare();
      auto const begin = std::clock();
      r.run();
      spent += std::clock() - begin;
    }
  }
  return static_cast<double>(spent) / CLOCKS_PER_SEC / static_cast<double>(times);
}

/// Prints for each row a line: row TASK CORPUS CHUNK NAME BYTES SECONDS-OF-EACH-ROUND...
inline void time_rows(group const& g, std::size_t rounds) {
  std::vector<std::size_t> times;
  for (auto const& r : g.rows) {
    (void)seconds_of(r, 1);
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

/// Writes the corpora that peers get as files, and prints for each a line: corpus NAME EVENTS HASH
inline int write_corpora(std::vector<corpus> const& all, std::string const& directory) {
  for (auto const& c : all) {
    if (c.name > 'c') continue;
    auto const name = directory + "/" + c.name + ".txt";
    auto* const file = std::fopen(name.c_str(), "wb");
    auto const written = file != nullptr ? std::fwrite(c.stream.data(), 1, c.stream.size(), file) : 0;
    if (file == nullptr || std::fclose(file) != 0 || written != c.stream.size()) {
      std::fprintf(stderr, "cannot write %s\n", name.c_str());
      return 1;
    }
    digest told;
    for (auto const& r : c.records) told(r.id, r.type, r.data);
    std::printf("corpus %c %llu %08x\n", c.name, static_cast<unsigned long long>(told.events), told.hash);
  }
  return 0;
}

}  // namespace bench
