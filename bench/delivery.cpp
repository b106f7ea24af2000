// SPDX-License-Identifier: MIT
// delivery.cpp - what it costs, in one process, to bring an event from publish() to the writers of one
// reactor's streams.
//
// Every writer takes all it is offered and adds up its bytes. Beside it stands the least that can be done: a
// loop over the same sinks that adds the same number to each. Use: delivery [N burst repetitions]   with
// arguments: one run without a clock, for callgrind
#include <ssewire/drivers/reactor.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace {

std::uint64_t allocations = 0;
std::uint64_t hooks = 0;
std::uint64_t signals = 0;

// The broker asks once for each hook that it calls which thread it is on.
struct counting_traits : ssewire::default_traits {
  static auto this_thread() noexcept {
    ++hooks;
    return default_traits::this_thread();
  }
  static void* allocate(std::size_t bytes) noexcept {
    ++allocations;
    return std::malloc(bytes);
  }
};

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

constexpr auto no_time = ssewire::steady_time{};

struct fan_out {
  ssewire::basic_broker<counting_traits> broker{{.replay = {.max_events = 64}}};
  std::vector<sink> sinks;
  ssewire::basic_reactor<sink_writer, counting_traits> reactor{
      {[](void*) noexcept { ++signals; }, nullptr},
      {ssewire::steady_duration::zero(), ssewire::steady_duration::zero()}};
  std::string const data = std::string(100, 'x');

  explicit fan_out(std::size_t streams) : sinks(streams) {
    for (auto& s : sinks) {
      auto from = broker.subscribe("channel");
      if (!from || !reactor.add(sink_writer{&s}, std::move(from.value))) std::abort();
    }
    drain();
    for (int i = 0; i < 200; ++i) deliver(1);  // the log has its size
  }

  void drain() {
    while (reactor.poll(no_time).more) {
    }
  }

  void deliver(std::size_t burst) {
    for (std::size_t i = 0; i < burst; ++i) {
      if (!broker.publish("channel", {.data = data})) std::abort();
    }
    drain();
  }
};

// Not inlined: the loop must be done each time.
[[gnu::noinline]] void add_to_each(std::vector<sink>& sinks, std::uint64_t bytes) {
  for (auto& s : sinks) s.bytes += bytes;
}

// Of the processor, not of the wall: the machine may be busy. A round is some milliseconds.
template <class Action> double nanoseconds(Action action) {
  auto const begin = std::clock();
  action();
  return static_cast<double>(std::clock() - begin) * (1e9 / CLOCKS_PER_SEC);
}

double median(std::array<double, 11> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

void measure(std::size_t streams, std::size_t burst) {
  fan_out f(streams);
  auto const publishes = (std::max)(std::size_t{2'000'000} / streams, std::size_t{1});
  auto const deliveries = static_cast<double>(publishes * burst * streams);
  std::array<double, 11> ours;
  std::array<double, 11> bare;
  auto const frame_bytes = f.sinks[0].bytes / 200;
  auto const before = f.broker.stats().delivered;
  allocations = hooks = signals = 0;
  for (std::size_t round = 0; round < ours.size(); ++round) {
    ours[round] = nanoseconds([&] {
      for (std::size_t i = 0; i < publishes; ++i) f.deliver(burst);
    });
    bare[round] = nanoseconds([&] {
      for (std::size_t i = 0; i < publishes; ++i) add_to_each(f.sinks, burst * frame_bytes);
    });
  }
  auto const rounds = static_cast<double>(ours.size());
  auto const delivered = static_cast<double>(f.broker.stats().delivered - before);
  if (delivered != deliveries * rounds) std::abort();
  auto const published = rounds * static_cast<double>(publishes * burst);
  std::printf("%8zu %6zu %14.2f %10.2f %14.5f %10.3f %10.3f\n", streams, burst, median(ours) / deliveries,
              median(bare) / deliveries, static_cast<double>(allocations) / delivered,
              static_cast<double>(hooks) / published, static_cast<double>(signals) / published);
}

}  // namespace

// Not inlined: g++ would see free() called on what came from `operator new`, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (auto* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  if (argc == 4) {
    auto const number = [&](int i) { return static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)); };
    fan_out f(number(1));
    for (std::size_t i = 0; i < number(3); ++i) f.deliver(number(2));
    return 0;
  }
  std::printf("%8s %6s %14s %10s %14s %10s %10s\n", "streams", "burst", "ns a delivery", "bare loop",
              "allocations", "hooks", "signals");
  std::printf("%8s %6s %14s %10s %14s %10s %10s\n", "", "", "median of 11", "", "a delivery", "a publish",
              "a publish");
  for (auto const streams : {100u, 1000u, 10'000u}) {
    for (auto const burst : {1u, 16u}) measure(streams, burst);
  }
  return 0;
}
