// SPDX-License-Identifier: MIT
// broker.cpp - times a broker. Use: see run_program() in timing.hpp.
#include <ssewire/drivers/reactor.hpp>

#include <broker_rows.hpp>
#include <timing.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using bench::must;

// ---- delivery: from publish() to the writers of one reactor's streams, in one process ----

struct adding_writer {
  std::uint64_t* sum;

  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::size_t bytes = 0;
    for (auto const piece : pieces) bytes += piece.size();
    *sum += bytes;
    return {ssewire::write_status::ok, bytes};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

struct fan_out {
  ssewire::broker broker{{.replay = {.max_events = 64}}};
  std::vector<std::uint64_t> sums;  // of each stream's bytes
  ssewire::reactor<adding_writer> reactor{
      {[](void*) noexcept {}, nullptr}, {ssewire::steady_duration::zero(), ssewire::steady_duration::zero()}};
  std::string const data = std::string(100, 'x');

  explicit fan_out(std::size_t streams) : sums(streams) {
    for (auto& sum : sums) {
      auto from = broker.subscribe("channel");
      must(from && reactor.add(adding_writer{&sum}, std::move(from.value)), "add");
    }
    for (int i = 0; i < 200; ++i) deliver(1);  // the log has its size
  }
  void deliver(std::size_t burst) {
    for (std::size_t i = 0; i < burst; ++i) must(broker.publish("channel", {.data = data}), "publish");
    while (reactor.poll({}).more) {
    }
  }
};

// The least that can be done. Not inlined: the loop must be done each time.
[[gnu::noinline]] void add_to_each(std::vector<std::uint64_t>& sums, std::uint64_t bytes) {
  for (auto& sum : sums) sum += bytes;
}

// `bytes`: deliveries.
bench::group delivery_group(std::size_t streams, std::size_t burst) {
  auto const f = std::make_shared<fan_out>(streams);
  auto const frame =
      std::string_view("id: 000000000000-0000000000000000\ndata: \n\n").size() + f->data.size();
  bench::group made{.task = "deliver", .corpus = '-', .chunk = burst, .expected = {.events = streams}};
  auto const name = std::to_string(streams);
  auto const deliver = [f, burst] { f->deliver(burst); };
  auto const add = [f, burst, frame] { add_to_each(f->sums, burst * frame); };
  auto const tell = [f, burst, frame] {  // who gets all bytes of one more burst
    auto const before = f->sums;
    f->deliver(burst);
    bench::digest told;
    for (std::size_t i = 0; i < before.size(); ++i) told.events += f->sums[i] == before[i] + burst * frame;
    return told;
  };
  made.rows = {{"reactor/" + name, burst * streams, deliver, tell},
               {"loop/" + name, burst * streams, add, {}}};
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
      for (std::size_t const burst : {1u, 16u}) visit({delivery_group(streams, burst)});
    }
  });
}
