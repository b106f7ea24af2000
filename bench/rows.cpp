// SPDX-License-Identifier: MIT
// rows.cpp - the list of the rows, and what each group of them has in common.
#include <rows.hpp>

#include <algorithm>

namespace bench {
namespace {

group parse_group(corpus const& c, std::size_t chunk) {
  group made{.task = "parse", .corpus = c.name, .chunk = chunk};
  for (auto const& r : c.records) made.expected(r.id, r.type, r.data);
  for (auto const row_of :
       {parse_callback, parse_callback_bytes, parse_pull, parse_memchr_per_line, parse_getline}) {
    made.rows.push_back(row_of(c, chunk));
  }
  return made;
}

group serialize_group(corpus const& c) {
  group made{.task = "serialize", .corpus = c.name};
  auto const p = std::make_shared<prepared const>(c);
  for (auto const frame : p->frames) made.expected({}, {}, frame);
  for (auto const row_of : {serialize_string, serialize_span, serialize_memcpy, serialize_append}) {
    made.rows.push_back(row_of(p));
  }
  return made;
}

}  // namespace

prepared::prepared(corpus const& from) : records(from.records) {
  for (auto const& r : records) {
    auto e = event_of(r);
    if (!r.id.empty()) e.id = ssewire::event_id::from(r.id).value;
    events.push_back(e);
    auto const end = from.stream.find("\n\n", bytes) + 2;
    frames.push_back(std::string_view(from.stream).substr(bytes, end - bytes));
    largest = (std::max)(largest, end - bytes);
    bytes = end;
  }
}

wire_bench::wire_bench() : corpora({corpus_a(), corpus_b(), corpus_c(), corpus_d(), corpus_u()}) {
  for (auto const& c : corpora) {
    if (c.name == 'd') continue;
    groups.push_back(parse_group(c, 65536));
    if (c.name == 'u') continue;
    groups.push_back(parse_group(c, 1460));
    groups.push_back(parse_group(c, 16));
  }
  for (auto const& c : corpora) {
    if (c.name != 'u') groups.push_back(serialize_group(c));
  }
}

}  // namespace bench
