// SPDX-License-Identifier: MIT
// broker.cpp - times a broker. Use: see run_program() in timing.hpp.
#include <broker_rows.hpp>
#include <delivery.hpp>
#include <timing.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace {

// Two threads publish on one channel that nobody follows, each as fast as it can.
bench::group contend_group(bench::corpus const& c) {
  bench::group made{.task = "contend", .corpus = c.name};
  auto const broker = std::make_shared<ssewire::broker>();
  made.rows.push_back({.name = "publish",
                       .bytes = 1,
                       .run =
                           [broker, e = bench::event_of(c.records.front())] {
                             bench::must(static_cast<bool>(broker->publish(bench::news, e)), "publish");
                           },
                       .tell = {},
                       .prepare = {},
                       .threads = 2});
  return made;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<bench::corpus> const corpora = {bench::corpus_a(), bench::corpus_b(), bench::corpus_c()};
  using traits = ssewire::default_traits;
  return bench::run_program(count, arguments, corpora, [&](auto visit) {
    // One after the other: together they would hold 300 MB.
    for (auto const* c : {&corpora[0], &corpora[1]}) {
      visit({bench::publish_group<traits, ssewire::single_threaded_traits>(*c)});
      visit(bench::replay_groups<traits>(*c, true));
    }
    for (std::size_t const streams : {100u, 1'000u, 10'000u}) {
      for (std::size_t const burst : {1u, 16u}) visit({bench::delivery_group(streams, burst)});
    }
    visit({contend_group(corpora[1])});
  });
}
