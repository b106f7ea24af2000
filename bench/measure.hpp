// SPDX-License-Identifier: MIT
// measure.hpp - what a row of a bench is, and how what it delivers is checked. timing.hpp times rows,
// tests/cost/ counts them.
#pragma once

#include <ssewire/core/event.hpp>

#include <corpora.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
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
  int threads = 1;                     // more: so many run it at once, and it is timed by the clock
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
      std::fprintf(stderr, "wrong %s %c %zu %s: %llu events with hash %08x, expected %llu with %08x\n",
                   g.task.c_str(), g.corpus, g.chunk, r.name.c_str(),
                   static_cast<unsigned long long>(told.events), told.hash,
                   static_cast<unsigned long long>(g.expected.events), g.expected.hash);
    }
  }
  return wrong == 0;
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
