// SPDX-License-Identifier: MIT
// delivery.cpp - from publish() to the writers of one reactor, in one process. A row's bytes: deliveries.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>

#include <measure.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

struct sink {  // and not a mere number, which could be one of the reactor's own
  std::uint64_t bytes = 0;
};

struct adding_writer {
  sink* to;
  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::size_t bytes = 0;
    for (auto const piece : pieces) bytes += piece.size();
    to->bytes += bytes;
    return {ssewire::write_status::ok, bytes};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

struct fan_out {
  ssewire::broker broker{{.replay = {.max_events = 64}}};
  std::vector<sink> sums;  // of each stream's bytes
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
[[gnu::noinline]] void add_to_each(std::vector<sink>& sums, std::uint64_t bytes) {
  for (auto& sum : sums) sum.bytes += bytes;
}

}  // namespace

group delivery_group(std::size_t streams, std::size_t burst) {
  auto const f = std::make_shared<fan_out>(streams);
  auto const frame = f->data.size() + std::size("id: 000000000000-0000000000000000\ndata: \n\n") - 1;
  group made{.task = "deliver", .corpus = '-', .chunk = burst, .expected = {.events = streams}};
  auto const name = std::to_string(streams);
  auto const deliver = [f, burst] { f->deliver(burst); };
  auto const add = [f, burst, frame] { add_to_each(f->sums, burst * frame); };
  auto const tell = [f, burst, frame] {  // who gets all bytes of one more burst
    auto const before = f->sums;
    f->deliver(burst);
    digest told;
    for (std::size_t i = 0; i < before.size(); ++i)
      told.events += f->sums[i].bytes == before[i].bytes + burst * frame;
    return told;
  };
  made.rows = {{"reactor/" + name, burst * streams, deliver, tell},
               {"loop/" + name, burst * streams, add, {}}};
  return made;
}

}  // namespace bench
