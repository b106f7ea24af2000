// SPDX-License-Identifier: MIT
// broker_counts.cpp - a broker's memory, allocations and instructions, for counts.py.
//   broker_counts check         every replay delivers the newest events; exit status 1 if one does not
//   broker_counts run           each row once inside measured(): count TASK CORPUS CHUNK NAME BYTES
//   broker_counts allocations   each row twice; the same lines with the allocations of the second run behind
//   broker_counts memory        memory NAME CORPUS EVENTS CHANNELS WIRE REQUESTED TAKEN LOG LIMIT
//                               WIRE: bytes of the serialized events. REQUESTED, TAKEN: memory without and
//                               with what the allocator adds. LOG: of the logs alone; LIMIT: what the limits
//                               allow it to be, or 0
//   broker_counts holds         under callgrind, one dump and one line for each time the lock was held:
//                               hold NAME NUMBER
//                               behind the last of a name: holds NAME HOW-MANY, dumped or not
#include <cost/broker_cost_rows.hpp>
#include <cost/counting.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS
#endif

namespace {

// The epoch is also the secret of the channels' hash: a random one would make counts vary.
struct counted_traits : ssewire::default_traits {
  static std::uint64_t epoch() noexcept { return 0x5EED; }
  static void* allocate(std::size_t bytes) noexcept { return bench::counted_allocate(bytes); }
  static void deallocate(void* memory, std::size_t) noexcept { bench::counted_free(memory); }
};

// Collects between lock() and unlock(), and nothing else.
struct lock_watch {
  std::size_t held = 0;    // times
  std::size_t dumped = 0;  // of these
  std::size_t to_dump = 0;

  void lock() const noexcept {
    if (dumped < to_dump) CALLGRIND_TOGGLE_COLLECT;
  }
  void unlock() noexcept {
    if (dumped < to_dump) {
      CALLGRIND_TOGGLE_COLLECT;
      CALLGRIND_DUMP_STATS;
      ++dumped;
    }
    ++held;
  }
};
lock_watch watch;

struct watched_traits : counted_traits {
  struct mutex {
    void lock() noexcept { watch.lock(); }
    void unlock() noexcept { watch.unlock(); }
  };
  struct condition_variable {
    void notify_all() noexcept {}
    void wait(std::unique_lock<mutex>&) noexcept {}
  };
};

// A broker's code of its own: what is inlined in the one that is measured does not depend on what else is
// called here.
struct apart_traits : counted_traits {};

struct unlocked_traits : counted_traits {
  using mutex = ssewire::single_threaded_traits::mutex;
  using condition_variable = ssewire::single_threaded_traits::condition_variable;
};

constexpr std::size_t all = (std::numeric_limits<std::size_t>::max)();

template <class Action> void watch_holds(std::string_view name, std::size_t to_dump, Action action) {
  watch = {.to_dump = to_dump};
  action();
  auto const seen = watch;
  watch = {};
  for (std::size_t i = 0; i < seen.dumped; ++i) std::printf("hold %s %zu\n", std::string(name).c_str(), i);
  std::printf("holds %s %zu\n", std::string(name).c_str(), seen.held);
}

// The same log each time, whoever is parked: what is counted then differs by nothing else.
void publish_holds(std::string_view name, std::size_t parked, bool hooks, std::size_t to_dump,
                   bench::corpus const& c) {
  bench::parked_crowd<watched_traits> crowd(1, parked, hooks);
  auto const e = bench::event_of(c.records.front());
  for (int i = 0; i < 2'000; ++i) crowd.publish_all(e);
  crowd.park_all();
  watch_holds(name, to_dump, [&] { crowd.publish_all(e); });
  bench::must(crowd.woken == (hooks ? parked : 0), "each one is woken once");
}

void trimming_holds(bench::corpus const& c) {
  constexpr std::size_t events = 10'000;
  ssewire::broker_options options;
  options.replay = {.max_events = events, .max_bytes = 1024 * 1024};
  ssewire::basic_broker<watched_traits> broker(options);
  for (std::size_t i = 0; i < events; ++i) (void)broker.publish(bench::news, bench::event_of(c.records[i]));
  std::string const large(options.replay.max_bytes - 64, 'x');
  watch_holds("publish_that_trims_all", all, [&] {
    bench::must(static_cast<bool>(broker.publish(bench::news, {.data = large})), "publish");
  });
  bench::must(broker.stats().events == 1, "one event is left");
}

void print_holds(bench::corpus const& c) {
  watch_holds("empty", all, [] {
    watched_traits::mutex mutex;
    std::unique_lock const held(mutex);
  });
  for (std::size_t const parked : {0u, 1u, 100u, 10'000u}) {
    publish_holds("publish/" + std::to_string(parked), parked, true, 1, c);
  }
  publish_holds("publish_every_hold/1000", 1'000, true, all, c);
  publish_holds("publish_without_hooks/1000", 1'000, false, all, c);
  trimming_holds(c);
  bench::filled_broker<watched_traits> filled(c, bench::full_log);
  decltype(filled.broker.subscribe(bench::news)) got;
  watch_holds("subscribe", all, [&] {
    got = filled.broker.subscribe(bench::news, {.last_event_id = filled.id_before(4'000)});
  });
  ssewire::basic_batch<watched_traits> batch;
  watch_holds("pull_64_KiB", all, [&] {
    bench::must(got.value.pull(batch, bench::one_pull) == ssewire::pull_status::ready, "pull");
  });
  bench::pull_all(got.value, batch, [](std::string_view) {});
  watch_holds("park", all, [&] { bench::must(got.value.park(), "park"); });
}

// ---- memory ----

struct held_memory {
  std::size_t requested = bench::memory.requested;
  std::size_t taken = bench::memory.taken;
};

void print_memory(std::string_view name, char corpus, std::size_t events, std::size_t channels,
                  std::size_t wire, held_memory const& before, std::size_t log = 0, std::size_t limit = 0) {
  held_memory const now;
  std::printf("memory %s %c %zu %zu %zu %zu %zu %zu %zu\n", std::string(name).c_str(), corpus, events,
              channels, wire, now.requested - before.requested, now.taken - before.taken, log, limit);
}

// What replay_limits says.
std::size_t log_limit(std::size_t max_bytes, std::size_t events = 0,
                      bench::with what = bench::with::position) {
  std::size_t const more = what == bench::with::own_id ? 18 : what == bench::with::tag ? 8 : 0;
  return max_bytes * 9 / 4 + 1024 + more * events;
}

// A log that has just been filled, and one that has been full for long; max_bytes is what it really has.
void one_channel(bench::corpus const& c, std::size_t publishes, bench::with what, std::string_view name) {
  std::size_t wire = 0;
  for (bool const probe : {true, false}) {
    held_memory const before;
    auto options = bench::room_for(bench::full_log);
    if (!probe) options.replay.max_bytes = wire;
    ssewire::basic_broker<counted_traits> broker(options);
    for (std::size_t i = 0; i < publishes; ++i) bench::publish_one(broker, c, i, what);
    auto const stats = broker.stats();
    wire = stats.frame_bytes;
    if (probe) continue;
    print_memory(name, c.name, stats.events, 1, wire, before, stats.log_bytes,
                 log_limit(wire, stats.events, what));
  }
}

void many_channels(bench::corpus const& c) {
  constexpr std::size_t channels = 100'000;
  auto const e = bench::event_of(c.records.front());
  auto numbered = e;
  numbered.id = ssewire::position_id(1, 1);
  auto const wire = ssewire::serialize(numbered).size();
  ssewire::broker_options options;
  options.replay.max_bytes = wire;
  held_memory const before;
  ssewire::basic_broker<counted_traits> broker(options);
  for (std::size_t i = 0; i < channels; ++i) {
    bench::must(static_cast<bool>(broker.publish("users/" + bench::detail::digits(i, 6) + "/inbox", e)),
                "publish");
  }
  auto const stats = broker.stats();
  bench::must(stats.frame_bytes == channels * wire, "one event a channel");
  print_memory("many_channels", c.name, stats.events, channels, stats.frame_bytes, before, stats.log_bytes,
               channels * log_limit(wire));
}

void parked_subscribers() {
  constexpr std::size_t many = 10'000;
  ssewire::basic_broker<counted_traits> broker;
  std::vector<ssewire::basic_subscription<counted_traits>> crowd(many);
  ssewire::basic_batch<counted_traits> batch;
  (void)broker.publish(bench::news, {.data = "a channel, and the batch's buffer"});
  held_memory before;
  for (auto& s : crowd) {
    s = broker.subscribe(bench::news).value;
    while (!s.park()) bench::must(s.pull(batch, bench::one_pull) == ssewire::pull_status::ready, "pull");
    if (&s == &crowd.front()) before = {};  // what the batch has grown to is not theirs
  }
  print_memory("parked_subscribers", '-', many - 1, 1, 0, before);
}

void stand_in(bench::corpus const& c) {
  std::size_t wire = 0;
  for (std::size_t i = 0; i < bench::full_log; ++i) wire += bench::wire_of(bench::numbered(c, i)).size();
  held_memory const before;
  auto const store = bench::filled_frames(c);
  print_memory("frames", c.name, bench::full_log, 1, wire, before);
}

void print_all_memory(std::vector<bench::corpus> const& corpora) {
  for (auto const& c : corpora) {
    constexpr auto filled = bench::full_log;
    constexpr auto long_full = filled * 5 / 2;
    one_channel(c, filled, bench::with::position, "log_just_filled");
    one_channel(c, long_full, bench::with::position, "log_long_full");
    one_channel(c, long_full, bench::with::tag, "log_with_tags");
    one_channel(c, long_full, bench::with::own_id, "log_with_own_ids");
    many_channels(c);
    stand_in(c);
  }
  parked_subscribers();
}

// ---- many channels ----

}  // namespace

int main(int count, char** arguments) {
  std::string_view const command = count == 2 ? arguments[1] : "";
  std::vector<bench::corpus> const corpora = {bench::corpus_a(), bench::corpus_b()};
  if (command == "memory") {
    print_all_memory(corpora);
    return 0;
  }
  if (command == "check") {
    for (auto const& c : corpora) {
      if (!bench::check(bench::replay_groups<counted_traits>(c, false))) return 1;
    }
    return 0;
  }
  if (command == "holds") {
    print_holds(corpora[1]);
    return 0;
  }
  if (command != "run" && command != "allocations") {
    std::fprintf(stderr, "usage: broker_counts check | run | allocations | memory | holds\n");
    return 2;
  }
  bench::print_head();
  auto const count_all = [&](std::vector<bench::group> const& groups) {
    for (auto const& g : groups) {
      for (auto const& r : g.rows) bench::count_row(g, r, command == "allocations");
    }
  };
  for (auto const& c : corpora) {
    count_all({bench::publish_group<counted_traits, unlocked_traits>(c)});
    count_all(bench::replay_groups<counted_traits>(c, false));
  }
  count_all({bench::lookup_group<counted_traits>(corpora[1])});
  count_all({bench::wake_group<counted_traits>(corpora[1])});
  count_all({bench::channels_group<apart_traits>(corpora[1])});
}
