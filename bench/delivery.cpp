// SPDX-License-Identifier: MIT
// delivery.cpp - what it costs, in one process, to bring an event from publish() to the writers of one
// reactor's streams. Every writer takes all it is offered and adds up its bytes. Beside it stands the least
// that can be done: a loop over the same sinks that adds the same number to each.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>

#include <delivery.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

struct sink {
  std::uint64_t bytes = 0;
};

struct sink_writer {
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
  std::vector<sink> sinks;
  ssewire::reactor<sink_writer> reactor{{[](void*) noexcept {}, nullptr},
                                        {ssewire::steady_duration::zero(), ssewire::steady_duration::zero()}};
  std::string const data = std::string(100, 'x');

  explicit fan_out(std::size_t streams) : sinks(streams) {
    for (auto& s : sinks) {
      auto from = broker.subscribe("channel");
      must(from && reactor.add(sink_writer{&s}, std::move(from.value)), "add");
    }
    drain();
    for (int i = 0; i < 200; ++i) deliver(1);  // the log has its size
    auto const before = sinks.back().bytes;
    deliver(1);
    frame_bytes = sinks.back().bytes - before;
    must(frame_bytes > data.size(), "the last stream gets the event");
  }

  void drain() {
    while (reactor.poll({}).more) {
    }
  }

  void deliver(std::size_t burst) {
    for (std::size_t i = 0; i < burst; ++i) {
      must(static_cast<bool>(broker.publish("channel", {.data = data})), "publish");
    }
    drain();
  }

  std::uint64_t frame_bytes = 0;
};

// Not inlined: the loop must be done each time.
[[gnu::noinline]] void add_to_each(std::vector<sink>& sinks, std::uint64_t bytes) {
  for (auto& s : sinks) s.bytes += bytes;
}

}  // namespace

group delivery_group(std::size_t streams, std::size_t burst) {
  auto const f = std::make_shared<fan_out>(streams);
  // As many deliveries in a run, whoever they go to.
  auto const publishes = (std::max)(std::size_t{200'000} / streams, std::size_t{1});
  group made{.task = "deliver", .corpus = '-', .chunk = burst, .expected = {.events = streams}};
  auto const add = [&](std::string name, auto action, auto tell) {
    made.rows.push_back({.name = name + "/" + std::to_string(streams),
                         .bytes = publishes * burst * streams,
                         .run =
                             [publishes, action] {
                               for (std::size_t i = 0; i < publishes; ++i) action();
                             },
                         .tell = tell});
  };
  // Who has got the bytes of one more burst.
  auto const tell = [f, burst] {
    auto const before = f->sinks;
    f->deliver(burst);
    digest told;
    for (std::size_t i = 0; i < before.size(); ++i) {
      told.events += f->sinks[i].bytes == before[i].bytes + burst * f->frame_bytes;
    }
    return told;
  };
  add(
      "reactor", [f, burst] { f->deliver(burst); }, std::function<digest()>(tell));
  add(
      "loop", [f, burst] { add_to_each(f->sinks, burst * f->frame_bytes); }, std::function<digest()>());
  return made;
}

}  // namespace bench
