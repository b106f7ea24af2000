// SPDX-License-Identifier: MIT
// broker.cpp - times a broker. Use: see run_program() in timing.hpp.
#include <broker_rows.hpp>
#include <timing.hpp>

namespace bench {
group delivery_group(std::size_t streams, std::size_t burst);  // delivery.cpp is a source of its own
}

int main(int count, char** arguments) {
  std::vector<bench::corpus> const corpora = {bench::corpus_a(), bench::corpus_b(), bench::corpus_c()};
  return bench::run_program(count, arguments, corpora, [&](auto visit) {
    // First, while the heap is in order.
    for (std::size_t const streams : {100u, 1'000u, 10'000u}) {
      for (std::size_t const burst : {1u, 16u}) visit({bench::delivery_group(streams, burst)});
    }
    // One after the other: together they would hold 300 MB.
    for (auto const* c : {&corpora[0], &corpora[1]}) {
      visit({bench::publish_group<ssewire::default_traits, ssewire::single_threaded_traits>(*c)});
      visit(bench::replay_groups<ssewire::default_traits>(*c, true));
    }
  });
}
