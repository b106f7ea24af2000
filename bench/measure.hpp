// SPDX-License-Identifier: MIT
// measure.hpp - a bench's rows, and the check of what they deliver. timing.hpp times, tests/cost/ counts.
#pragma once

#include <ssewire/core/event.hpp>

#include <corpora.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

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
  std::size_t events = 0;
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

/// Whether every row delivers what its group expects; says which does not.
inline bool check(std::vector<group> const& groups) {
  bool right = true;
  for (auto const& g : groups) {
    for (auto const& r : g.rows) {
      if (!r.tell) continue;
      auto const told = r.tell();
      if (told == g.expected) continue;
      right = false;
      std::fprintf(stderr, "wrong %s %c %zu %s: %zu events with hash %08x, expected %zu with %08x\n",
                   g.task.c_str(), g.corpus, g.chunk, r.name.c_str(), told.events, told.hash,
                   g.expected.events, g.expected.hash);
    }
  }
  return right;
}

}  // namespace bench
