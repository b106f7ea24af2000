// SPDX-License-Identifier: MIT
// broker.cpp - times a broker and prints samples, for broker.py to read.
//   broker check             every replay delivers the newest events; exit status 1 and its name if one does
//   not broker time ROUNDS       the same, then a line for each row: row TASK CORPUS CHUNK NAME BYTES
//   SECONDS-OF-EACH-ROUND... broker write DIRECTORY   the corpora as files, for the peers: a line each:
//   corpus NAME EVENTS HASH broker contend SECONDS [STREAMS]   two publishers, and two threads that pull, or
//   that run a reactor of so many streams
//                            each: contend PUBLISHES-A-SECOND DELIVERED TOLD P50 P99 MAX, times of one
//                            publish in ns on the clock
#include <ssewire/drivers/reactor.hpp>

#include <broker_rows.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

// Pulls and looks at what comes, and sleeps while nothing does, as a thread does that serves one stream.
void pull_until(std::atomic<bool> const& over, ssewire::broker& broker, std::uint64_t& sum) {
  std::atomic<bool> ready = false;
  auto got = broker.subscribe(bench::news);
  bench::must(static_cast<bool>(got), "subscribe");
  auto wake = [&](ssewire::wake) {
    ready = true;
    ready.notify_one();
  };
  got.value.set_hook(ssewire::wake_hook::of(wake));
  ssewire::batch batch;
  while (!over) {
    bench::pull_all(got.value, batch, bench::touch{sum});
    if (got.value.park() && !over) {  // `over` comes before the last event, which wakes who is parked
      ready.wait(false);
      ready = false;
    }
  }
  got.value.close();  // before `wake` goes
}

// A writer that takes everything, and looks at it.
struct toucher {
  std::uint64_t* sum;

  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::size_t bytes = 0;
    for (auto const piece : pieces) {
      bench::touch{*sum}(piece);
      bytes += piece.size();
    }
    return {ssewire::write_status::ok, bytes};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

// An event loop that has nothing but its streams.
void serve_until(std::atomic<bool> const& over, ssewire::broker& broker, std::size_t streams,
                 std::uint64_t& sum) {
  std::atomic<bool> signaled = false;
  ssewire::loop_signal const signal{[](void* at) noexcept {
                                      auto& flag = *static_cast<std::atomic<bool>*>(at);
                                      flag = true;
                                      flag.notify_one();
                                    },
                                    &signaled};
  ssewire::reactor<toucher> reactor(signal);
  for (std::size_t i = 0; i < streams; ++i) {
    auto got = broker.subscribe(bench::news);
    bench::must(static_cast<bool>(got), "subscribe");
    bench::must(static_cast<bool>(reactor.add(toucher{&sum}, std::move(got.value))), "add");
  }
  while (!over) {
    if (reactor.poll(clock_type::now()).more) continue;
    signaled.wait(false);
    signaled = false;
  }
}

void publish_until(std::atomic<bool> const& over, ssewire::broker& broker, bench::corpus const& c,
                   std::vector<unsigned>& took) {
  bench::event_ring events(c);
  while (!over) {
    auto const begin = clock_type::now();
    bench::must(static_cast<bool>(broker.publish(bench::news, events.next())), "publish");
    std::chrono::nanoseconds const spent = clock_type::now() - begin;
    took.push_back(static_cast<unsigned>(spent.count()));
  }
}

void contend(bench::corpus const& c, double seconds, std::size_t streams) {
  ssewire::broker broker;
  std::atomic<bool> over = false;
  std::uint64_t sums[2] = {};
  std::vector<unsigned> took[2];
  for (auto& each : took) each.reserve(static_cast<std::size_t>(seconds * 20e6));
  std::vector<std::thread> pulling;
  for (auto& sum : sums) {
    pulling.emplace_back(
        [&] { streams == 0 ? pull_until(over, broker, sum) : serve_until(over, broker, streams, sum); });
  }
  auto const begin = clock_type::now();
  std::vector<std::thread> publishing;
  for (auto& each : took) publishing.emplace_back([&] { publish_until(over, broker, c, each); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  over = true;
  for (auto& thread : publishing) thread.join();
  auto const lasted = std::chrono::duration<double>(clock_type::now() - begin).count();
  (void)broker.publish(bench::news, bench::event_of(c.records.front()));  // who sleeps sees that it is over
  for (auto& thread : pulling) thread.join();
  bench::keep(sums);

  took[0].insert(took[0].end(), took[1].begin(), took[1].end());
  std::sort(took[0].begin(), took[0].end());
  auto const at = [&](double part) {
    return took[0][static_cast<std::size_t>(part * static_cast<double>(took[0].size() - 1))];
  };
  auto const stats = broker.stats();
  std::printf("contend %.0f %llu %llu %u %u %u\n", static_cast<double>(took[0].size()) / lasted,
              static_cast<unsigned long long>(stats.delivered), static_cast<unsigned long long>(stats.gaps),
              at(0.5), at(0.99), took[0].back());
}

}  // namespace

int main(int count, char** arguments) {
  std::string_view const command = count > 1 ? arguments[1] : "";
  std::vector<bench::corpus> const corpora = {bench::corpus_a(), bench::corpus_b()};
  if (command == "write" && count == 3) return bench::write_corpora(corpora, arguments[2]);
  if (command == "contend" && (count == 3 || count == 4)) {
    contend(corpora[1], std::strtod(arguments[2], nullptr),
            count == 4 ? std::strtoul(arguments[3], nullptr, 10) : 0);
    return 0;
  }
  if (command != "check" && !(command == "time" && count == 3)) {
    std::fprintf(stderr, "usage: broker check | time ROUNDS | write DIRECTORY | contend SECONDS [STREAMS]\n");
    return 2;
  }
  bench::print_head();
  auto const rounds = command == "time" ? std::strtoul(arguments[2], nullptr, 10) : 0;
  using traits = ssewire::default_traits;
  auto const time_all = [&](std::vector<bench::group> const& groups) {
    if (!bench::check(groups)) std::exit(1);
    for (auto const& g : groups) {
      if (rounds != 0) bench::time_rows(g, rounds);
    }
  };
  // One after the other: together they would hold 300 MB.
  for (auto const& c : corpora) {
    time_all({bench::publish_group<traits, ssewire::single_threaded_traits>(c)});
    time_all(bench::replay_groups<traits>(c, true));
  }
  time_all({bench::lookup_group<traits>(corpora[1])});
  time_all({bench::wake_group<traits>(corpora[1])});
}
