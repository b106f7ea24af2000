// SPDX-License-Identifier: MIT
// rows.hpp - the rows of parser and serializer. wire.cpp times them, wire_counts.cpp counts them.
//
// Each row is a source of its own in rows/: a compiler that gets many of them at once inlines less of each
// (g++ 12 makes the parser half as fast then), and a program has one.
#pragma once

#include <ssewire/core/event.hpp>

#include <corpora.hpp>
#include <measure.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// Takes events as a program would that does next to nothing: counts them, looks at the data's first and
/// last byte.
struct counting_sink {
  std::uint64_t events = 0;
  std::uint64_t touched = 0;

  void operator()(std::string_view, std::string_view, std::string_view data) noexcept {
    ++events;
    if (!data.empty()) {
      touched += static_cast<unsigned char>(data.front());
      touched += static_cast<unsigned char>(data.back());
    }
  }
};

row parse_callback(corpus const&, std::size_t chunk);
row parse_callback_bytes(corpus const&, std::size_t chunk);
row parse_pull(corpus const&, std::size_t chunk);
row parse_memchr_per_line(corpus const&, std::size_t chunk);
row parse_getline(corpus const&, std::size_t chunk);

/// What is to be written, its types and IDs checked before anything is measured.
struct prepared {
  explicit prepared(corpus const& from);

  std::vector<record> const& records;
  std::vector<ssewire::event> events = {};
  std::vector<std::string_view> frames = {};  // each event as it stands in the corpus's stream
  std::size_t bytes = 0;                      // of all frames
  std::size_t largest = 0;                    // frame
};

using shared_prepared = std::shared_ptr<prepared const>;
row serialize_string(shared_prepared const&);
row serialize_span(shared_prepared const&);
row serialize_memcpy(shared_prepared const&);
row serialize_append(shared_prepared const&);

/// The corpora and what is done with each. The rows look into it: it must outlive them and not move.
class wire_bench {
 public:
  wire_bench();
  wire_bench(wire_bench const&) = delete;

  std::vector<corpus> const corpora;  // a, b, c, d, u
  std::vector<group> groups;
};

// ---- for the sources in rows/ ----

/// `Parser` has feed(bytes, sink).
/// Not inlined: two rows with one type of parser run the same code.
template <class Parser, class Sink>
[[gnu::noinline]] void feed_all(Parser& parser, std::string_view stream, std::size_t chunk, Sink& sink) {
  for (std::size_t at = 0; at < stream.size(); at += chunk) parser.feed(stream.substr(at, chunk), sink);
}

template <class Parser, class... Options>
row reference_row(std::string name, corpus const& c, std::size_t chunk, Options... options) {
  row made{.name = std::move(name), .bytes = c.stream.size(), .run = {}, .tell = {}};
  // A corpus ends with a whole event, so a parser may go on with the next run: it stays warm.
  made.run = [&c, chunk, parser = std::make_shared<Parser>(options...)] {
    counting_sink sink;
    feed_all(*parser, c.stream, chunk, sink);
    keep(&sink);
  };
  return made;
}

template <class Parser, class... Options>
row parse_row(std::string name, corpus const& c, std::size_t chunk, Options... options) {
  auto made = reference_row<Parser>(std::move(name), c, chunk, options...);
  made.tell = [&c, chunk, options...] {
    Parser parser(options...);
    digest told;
    feed_all(parser, c.stream, chunk, told);
    return told;
  };
  return made;
}

/// `Write` is made from a prepared, and writes the i-th event: std::string_view operator()(std::size_t i).
template <class Write> row serialize_row(std::string name, shared_prepared const& p) {
  row made{.name = std::move(name), .bytes = p->bytes, .run = {}, .tell = {}};
  made.run = [p, write = std::make_shared<Write>(*p)] {
    auto& write_one = *write;
    for (std::size_t i = 0, events = p->events.size(); i < events; ++i) keep(write_one(i).data());
  };
  made.tell = [p] {
    Write write(*p);
    digest told;
    for (std::size_t i = 0; i < p->events.size(); ++i) told({}, {}, write(i));
    return told;
  };
  return made;
}

}  // namespace bench
