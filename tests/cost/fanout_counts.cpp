// SPDX-License-Identifier: MIT
// fanout_counts.cpp - what a fan-out costs in instructions, allocations and memory, for counts.py. The loop,
// the writer and the system calls are those of fanout.cpp; the subscribers are pairs of sockets in
// this process.
//   fanout_counts run           each row once inside measured(): count TASK CORPUS CHUNK NAME BYTES
//   fanout_counts allocations   each row twice; the same lines with the allocations of the second run behind
//                  task `deliver`: BYTES deliveries of bursts of CHUNK events; `publish`: one of CHUNK
//                  channels, each with a subscriber of its own; `beside`: BYTES deliveries of one event
//                  while CHUNK others are stalled
//   fanout_counts memory        idle NAME BYTES         so much for each of 10,000 subscribers, the
//   allocator's share too
//                               pending NAME BYTES      for each event that one of 20 stalled subscribers
//                               has not read
#include <fanout_loop.hpp>
#include <measure.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// The epoch is also the secret of the channels' hash: a random one would make counts vary.
struct steady_traits : bench::fanout_traits {
  static std::uint64_t epoch() noexcept { return 0x5EED; }
};
using ours = bench::through_reactor<steady_traits>;

// Streams that a reactor has to look at one by one.
struct subscribe_filtered {
  auto operator()(auto& broker, std::string_view channel) const {
    ssewire::subscribe_options options;
    options.filter = [](ssewire::event_header const&) { return true; };
    return broker.subscribe(channel, std::move(options));
  }
};
struct subscribe_to_two {
  auto operator()(auto& broker, std::string_view channel) const {
    std::array<std::string_view, 2> const channels = {channel, "quiet"};
    return broker.subscribe(channels);
  }
};

std::string const data(150, 'x');
constexpr std::size_t log_events = 64;
constexpr std::size_t frame_bytes = bench::bare_head.size() + 150 + 2;

// Both ends of a connection.
struct pair_of_sockets {
  std::array<int, 2> ends = {-1, -1};

  pair_of_sockets() {
    bench::must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0, "socketpair");
  }
  // Reads what has arrived, 64 KiB at most; says how many bytes.
  [[nodiscard]] std::size_t drain() const {
    static std::array<char, 64 * 1024> bytes;
    auto const n = ::recv(ends[1], bytes.data(), bytes.size(), 0);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
};

// A loop whose subscribers are here, too.
template <class Sender> class crowd {
 public:
  template <class... Options> explicit crowd(Options... options) : loop_(options...) {}

  // Everybody on one channel, each with a connection of its own.
  void share_channel(std::size_t subscribers) {
    for (std::size_t i = 0; i < subscribers; ++i) loop_.add(connections_.emplace_back().ends[0]);
    loop_.obey(control_.ends[0]);
  }

  // Everybody on a channel of their own. All but the one who gets what is published can share a connection.
  void own_channels(std::size_t subscribers) {
    auto const name = [](std::size_t i) { return "channel/" + bench::detail::digits(i, 6); };
    auto const theirs = connections_.emplace_back();
    auto const chosen = connections_.emplace_back();
    for (std::size_t i = 0; i < subscribers; ++i) {
      loop_.add(i == subscribers / 2 ? chosen.ends[0] : ::dup(theirs.ends[0]), name(i));
      if (i % 256 != 0) continue;
      loop_.settle();  // what newcomers get would not all fit
      (void)theirs.drain();
    }
    loop_.obey(control_.ends[0], name(subscribers / 2));
  }

  // Publishes until the log is full, and everybody has got what newcomers get.
  void warm_up() {
    for (std::size_t i = 0; i < 2 * log_events / 16; ++i) {
      prepare(16);
      loop_.settle();
    }
  }

  // Leaves so many events to be published, and nothing unread.
  void prepare(std::size_t events) {
    received_ = 0;
    for (auto const& c : connections_) received_ += c.drain();
    loop_.settle();  // such sockets say each time that there is room again
    std::string lines;
    for (std::size_t i = 0; i < events; ++i) lines.append("P ").append(data).append("\n");
    bench::must(::write(control_.ends[1], lines.data(), lines.size()) == static_cast<ssize_t>(lines.size()),
                "control");
  }

  void deliver() { loop_.settle(); }

  // Bytes that the last burst but one brought.
  [[nodiscard]] std::size_t received() const noexcept { return received_; }

 private:
  pair_of_sockets control_;
  std::vector<pair_of_sockets> connections_;
  std::size_t received_ = 0;
  bench::fanout_loop<Sender> loop_;
};

template <class Sender, class... Options>
void count_deliveries(std::string const& name, bool allocations, Options... options) {
  constexpr std::size_t subscribers = 1'000;
  crowd<Sender> c(options...);
  c.share_channel(subscribers);
  c.warm_up();
  for (std::size_t const burst : {1u, 16u}) {
    bench::row const r = {name, burst * subscribers, [&] { c.deliver(); }, {}, [&] { c.prepare(burst); }};
    bench::count_row({.task = "deliver", .corpus = '-', .chunk = burst}, r, allocations);
    c.prepare(1);
    bench::must(c.received() == subscribers * burst * frame_bytes, "everybody got the burst");
    c.deliver();
  }
}

void count_publish(std::size_t channels, bool allocations, ssewire::broker_options const& options) {
  crowd<ours> c(options);
  c.own_channels(channels);
  c.warm_up();
  bench::row const r = {"ours", 1, [&] { c.deliver(); }, {}, [&] { c.prepare(1); }};
  bench::count_row({.task = "publish", .corpus = '-', .chunk = channels}, r, allocations);
  c.prepare(1);
  bench::must(c.received() == frame_bytes, "one of them got the event");
}

// ---- memory ----

// A peer that takes everything, or one that takes a little and then no more.
struct peer_writer {
  int socket;  // as real ones have
  std::size_t takes = static_cast<std::size_t>(-1);

  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::size_t bytes = 0;
    for (auto const piece : pieces) bytes += piece.size();
    auto const taken = (std::min)(bytes, takes);
    takes -= taken;
    return {taken == bytes ? ssewire::write_status::ok : ssewire::write_status::again, taken};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

struct idle_writer {
  int socket;

  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::size_t bytes = 0;
    for (auto const piece : pieces) bytes += piece.size();
    return {ssewire::write_status::ok, bytes};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

template <class Writer> struct driven {
  ssewire::basic_broker<steady_traits> broker;
  ssewire::basic_reactor<Writer, steady_traits> streams;

  explicit driven(ssewire::broker_options options = {}) : broker(options) {}

  [[nodiscard]] auto subscribe() {
    auto from = broker.subscribe(bench::fanout_loop<ours>::all);
    bench::must(static_cast<bool>(from), "subscribe");
    return std::move(from.value);
  }
  void add(Writer to, ssewire::basic_subscription<steady_traits> from) {
    bench::must(static_cast<bool>(streams.add(to, std::move(from))), "add");
  }
  void publish(std::string_view text) {
    bench::must(static_cast<bool>(broker.publish(bench::fanout_loop<ours>::all, {.data = text})), "publish");
    send();
  }
  void send() {
    while (streams.poll({}).more) {
    }
  }
};

// Everything that grows when there are 10,000 more of them: whatever the broker, the reactor and the
// allocator take.
void print_idle() {
  constexpr std::size_t many = 10'000;
  driven<idle_writer> d;
  std::vector<ssewire::basic_subscription<steady_traits>> subscriptions(many);
  d.add({}, d.subscribe());  // a channel, its log, and what the reactor sends from
  for (int i = 0; i < 3; ++i) d.publish(data);
  auto const before = bench::memory.taken;
  auto const print = [&](char const* when) {
    std::printf("idle %s %.2f\n", when, static_cast<double>(bench::memory.taken - before) / many);
  };
  for (auto& s : subscriptions) s = d.subscribe();
  print("subscribed");
  for (auto& s : subscriptions) d.add({}, std::move(s));
  print("added");
  d.send();
  print("parked");
  for (int i = 0; i < 3; ++i) d.publish(data);
  print("served");
}

constexpr std::size_t many_pending = 5'000;

// 20 that read everything, and so many that soon read no more; the log holds what they have not read.
struct beside_stalled : driven<peer_writer> {
  std::string const large = std::string(4'000, 'x');

  explicit beside_stalled(std::size_t stalled)
      : driven<peer_writer>({.replay = {.max_events = 2 * many_pending, .max_bytes = std::size_t{1} << 30}}) {
    for (std::size_t i = 0; i < 20; ++i) add({}, subscribe());
    for (std::size_t i = 0; i < stalled; ++i) add({.socket = 0, .takes = 1'000 + 100 * i}, subscribe());
    send();
    for (std::size_t i = 0; i < 1'000; ++i) publish(large);
  }
};

void count_beside_stalled(std::size_t stalled, bool allocations) {
  beside_stalled d(stalled);
  bench::row const r = {"ours", 20, [&] { d.publish(d.large); }, {}};
  bench::count_row({.task = "beside", .corpus = '-', .chunk = stalled}, r, allocations);
}

// Beyond the log, which is there anyway.
void print_pending() {
  constexpr std::size_t stalled = 20, few = 1'000;
  auto const growth = [](std::size_t of_them) {
    beside_stalled d(of_them);
    auto const before = bench::memory.taken;
    for (std::size_t i = few; i < many_pending; ++i) d.publish(d.large);
    bench::must(d.broker.stats().delivered >= 20 * many_pending, "the others get everything");
    bench::must(d.streams.size() == 20 + of_them, "nobody is dropped");
    return static_cast<double>(bench::memory.taken) - static_cast<double>(before);
  };
  std::printf("pending stalled %.3f\n", (growth(stalled) - growth(0)) / (stalled * (many_pending - few)));
}

}  // namespace

int main(int count, char** arguments) {
  std::string_view const command = count == 2 ? arguments[1] : "";
  if (command == "memory") {
    print_idle();
    print_pending();
    return 0;
  }
  if (command != "run" && command != "allocations") {
    std::fprintf(stderr, "usage: fanout_counts run | allocations | memory\n");
    return 2;
  }
  bench::raise_file_limit();
  bench::print_head();
  bool const allocations = command == "allocations";
  ssewire::broker_options options;
  options.replay.max_events = log_events;
  count_deliveries<ours>("ours", allocations, options);
  count_deliveries<bench::through_reactor<steady_traits, subscribe_filtered>>("filtered", allocations,
                                                                              options);
  count_deliveries<bench::through_reactor<steady_traits, subscribe_to_two>>("two_channels", allocations,
                                                                            options);
  count_deliveries<bench::bare>("bare", allocations, bench::bare::way::send_each);
  for (std::size_t const channels : {10u, 10'000u}) count_publish(channels, allocations, options);
  for (std::size_t const stalled : {0u, 20u}) count_beside_stalled(stalled, allocations);
}
