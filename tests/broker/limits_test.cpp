// SPDX-License-Identifier: MIT
// limits_test.cpp - how much a broker holds at most, whom it refuses and which streams it ends for that, and
// which counters say why.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::event;
using ssewire::pull_status;
using ssewire::resume_outcome;
using ssewire::start_at;
using ssewire::trim_cause;
using support::all_room;
using support::frame;
using support::id;
using support::pull;
using support::pull_all;

// All that the program allocates, as it asked for it, and the most there has been.
struct meter {
  static inline std::size_t held = 0;
  static inline std::size_t most = 0;

  static void add(std::size_t bytes) noexcept { most = (std::max)(most, held += bytes); }
};

struct metered_traits : support::epoch_traits {
  static inline std::size_t held = 0;  // of the logs alone

  static void* allocate(std::size_t bytes) noexcept {
    meter::add(bytes);
    held += bytes;
    return std::malloc(bytes);
  }
  static void deallocate(void* memory, std::size_t bytes) noexcept {
    if (memory != nullptr) meter::held -= bytes, held -= bytes;
    std::free(memory);
  }
};

}  // namespace

// The size lies before what is given out. Not inlined: g++ would see free() called on what came from
// `operator new`.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  constexpr auto before = alignof(std::max_align_t);
  auto* const memory = static_cast<char*>(std::malloc(bytes + before));
  if (memory == nullptr) throw std::bad_alloc();
  new (memory) std::size_t(bytes);
  meter::add(bytes);
  return memory + before;
}
[[gnu::noinline]] void operator delete(void* given) noexcept {
  if (given == nullptr) return;
  auto* const memory = static_cast<char*>(given) - alignof(std::max_align_t);
  meter::held -= *reinterpret_cast<std::size_t*>(memory);
  std::free(memory);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { operator delete(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }

namespace {

using broker = ssewire::basic_broker<metered_traits>;  // epoch 0, so that every byte is known
using subscription = ssewire::basic_subscription<metered_traits>;
using batch = ssewire::basic_batch<metered_traits>;

subscription follow(broker& of, std::vector<std::string_view> const& channels,
                    std::string_view last_event_id = {}, ssewire::subscribe_options how = {}) {
  how.last_event_id = last_event_id;
  auto made = of.subscribe(std::span(channels), how);
  REQUIRE(made.error == errc::ok);
  return std::move(made.value);
}

subscription opened(broker& of, std::vector<std::string_view> const& channels,
                    ssewire::subscribe_options const& how = {}) {
  auto s = follow(of, channels, {}, how);
  (void)pull_all(s);
  return s;
}

void publish(broker& to, std::string_view channel, std::string_view data) {
  REQUIRE(to.publish(channel, {.data = data}).error == errc::ok);
}

std::uint64_t trims(broker const& b, trim_cause why) {
  return b.stats().trims[static_cast<std::size_t>(why)];
}
std::uint64_t refusals(broker const& b, errc why) {
  return b.stats().refusals[static_cast<std::size_t>(why)];
}
std::uint64_t closes(broker const& b, close_reason why) {
  return b.stats().closes[static_cast<std::size_t>(why)];
}

std::string held(broker& b, std::string_view channel) {
  auto s = follow(b, {channel}, {}, {.start = start_at::beginning()});
  std::string texts;
  for (auto const& e : support::parse_whole(pull_all(s)).events) {
    if (e.type.empty()) texts += *e.data + ' ';
  }
  return texts;
}

// ---- all channels together ----

TEST_CASE("beyond max_events_in_all the oldest events of all channels go, and not before") {
  ssewire::broker_options options;
  options.max_events_in_all = 4;
  broker b(options);
  publish(b, "a", "1");
  publish(b, "b", "2");
  publish(b, "a", "3");
  publish(b, "c", "4");
  CHECK(b.stats().trimmed == 0);
  publish(b, "c", "5");
  CHECK(held(b, "a") == "3 ");
  CHECK(held(b, "b") == "2 ");
  publish(b, "c", "6");
  CHECK(held(b, "b") == "");
  CHECK(b.stats().channels == 2);
  publish(b, "d", "7");
  CHECK(held(b, "c") == "4 5 6 ");
  CHECK(trims(b, trim_cause::all_together) == 3);
  CHECK(b.stats().events == 4);
}

TEST_CASE("max_events_in_all of 0 holds the newest event and of the largest number all") {
  for (auto const most : {std::uint64_t{0}, std::uint64_t{1}, (std::numeric_limits<std::uint64_t>::max)()}) {
    ssewire::broker_options options;
    options.max_events_in_all = most;
    broker b(options);
    for (int i = 0; i < 9; ++i) publish(b, std::to_string(i % 3), "x");
    CHECK(b.stats().events == (most > 1 ? 9 : 1));
    CHECK(b.stats().channels == (most > 1 ? 3 : 1));
  }
}

TEST_CASE("max_events_in_all holds behind a publish of several events, too") {
  ssewire::broker_options options;
  options.max_events_in_all = 3;
  broker b(options);
  publish(b, "other", "x");
  std::vector<event> const many(10, event{.data = "x"});
  REQUIRE(b.publish("a", many));
  CHECK(b.stats().events == 3);
}

TEST_CASE("an event on several channels counts on each, and goes from one after the other") {
  ssewire::broker_options options;
  options.max_events_in_all = 5;
  broker b(options);
  REQUIRE(b.publish({"a", "b", "c"}, {.data = "1"}));
  REQUIRE(b.publish({"a", "b"}, {.data = "2"}));
  CHECK(b.stats().events == 5);
  publish(b, "a", "3");
  CHECK(b.stats().events == 5);
  REQUIRE(b.publish({"a", "b", "c"}, {.data = "4"}));
  CHECK(b.stats().events <= 5);
  CHECK(held(b, "c") == "4 ");
}

TEST_CASE("max_log_bytes is kept behind each publish, to the byte of what the logs allocated") {
  for (std::size_t const limit : {std::size_t{4000}, std::size_t{20'000}, std::size_t{100'000}}) {
    support::random random(limit);
    ssewire::broker_options options;
    options.max_log_bytes = limit;
    auto const before = metered_traits::held;
    broker b(options);
    for (int i = 0; i < 2000; ++i) {
      auto const name = "c" + std::to_string(random.below(30));
      std::string const data(random.one_in(20) ? random.below(limit / 3) : random.below(200), 'x');
      auto const own = "id" + std::to_string(i);
      event e{.data = data};
      if (random.one_in(2)) e.id = ssewire::event_id::from(own).value;
      REQUIRE(b.publish(name, e, {.tag = random.below(2)}));
      auto const s = b.stats();
      REQUIRE(s.log_bytes <= limit);
      REQUIRE(s.log_bytes == metered_traits::held - before);
      REQUIRE(s.events >= 1);
    }
    CHECK(trims(b, trim_cause::all_together) > 100);
  }
}

TEST_CASE("max_log_bytes of 0 holds the newest publish alone, on each of its channels") {
  ssewire::broker_options options;
  options.max_log_bytes = 0;
  broker b(options);
  publish(b, "a", "1");
  REQUIRE(b.publish({"a", "b"}, {.data = "2"}));
  CHECK(held(b, "a") == "2 ");
  CHECK(held(b, "b") == "2 ");
  publish(b, "c", "3");
  CHECK(b.stats().events == 1);
  CHECK(b.stats().channels == 1);
}

TEST_CASE(
    "what goes because of other channels is told to who still wanted it, also when it is all of a channel") {
  ssewire::broker_options options;
  options.max_events_in_all = 3;
  broker b(options);
  auto live = opened(b, {"quiet"});
  for (int i = 0; i < 2; ++i) publish(b, "quiet", "x");
  for (int i = 0; i < 5; ++i) publish(b, "busy", "x");
  CHECK(pull_all(live) == support::gap_event(7, R"({"reason":"trimmed","channel":"quiet","missed":2})"));
  CHECK(follow(b, {"quiet"}, id(1)).outcome() == resume_outcome::gap);
  CHECK(follow(b, {"quiet"}, id(2)).outcome() == resume_outcome::up_to_date);
}

TEST_CASE(
    "logs that are followed but empty take no memory: what is full elsewhere is not paid for with history") {
  ssewire::broker_options options;
  options.max_log_bytes = 256 * 1024;
  broker b(options);
  std::vector<subscription> followers;
  std::string const large(4200, 'x');
  for (int c = 0; c < 600; ++c) {
    auto const name = "c" + std::to_string(c);
    followers.push_back(follow(b, {name}));
    for (int i = 0; i < 60; ++i) publish(b, name, large);
  }
  for (int i = 0; i < 100; ++i) publish(b, "small", "x");
  CHECK(b.stats().frame_bytes > options.max_log_bytes * 8 / 10);
  CHECK(held(b, "small").size() == 200);
}

// ---- replay_limits::max_bytes with own IDs and tags ----

// "Memory taken: at most 2.25 times it, plus 1 KiB; and 18 bytes for each event whose publisher gave it an
// ID, 8 for each where there are tags."
TEST_CASE("a log's memory stays within what replay_limits says, with own IDs and tags, for the smallest and "
          "odd sizes") {
  for (std::size_t const limit : {600u, 5000u, 40'000u, 300'000u}) {
    for (int kind = 0; kind < 8; ++kind) {
      bool const tags = kind % 2 != 0;
      bool const some_without_id = kind / 2 % 2 != 0;
      bool const large = kind / 4 != 0;
      CAPTURE(limit);
      CAPTURE(kind);
      support::random random(static_cast<std::uint64_t>(limit) * 8 + static_cast<std::uint64_t>(kind));
      ssewire::broker_options options;
      options.replay.max_bytes = limit;
      options.replay.max_events = 1'000'000;
      auto const before = metered_traits::held;
      broker b(options);
      std::uint64_t with_id = 0;  // published: at least as many as are held
      std::size_t published = 0;
      for (std::uint64_t n = 0; published < limit * 3; ++n) {
        // "!" to "~" are 94 letters: the shortest IDs that differ
        std::string text;
        for (auto left = n; text.empty() || left != 0; left /= 94) text += static_cast<char>('!' + left % 94);
        std::string const data(large && random.one_in(9) ? random.below(limit / 2) : 0, 'x');
        bool const plain = some_without_id && random.one_in(2);
        event e{.id = plain ? ssewire::event_id() : ssewire::event_id::from(text).value};
        if (!data.empty()) e.data = data;
        REQUIRE(b.publish("a", e, {.tag = tags ? n + 1 : 0}));
        with_id += plain ? 0 : 1;
        published = b.stats().published_bytes;
        auto const s = b.stats();
        auto const ids = (std::min)(with_id, s.events);
        REQUIRE(s.frame_bytes <= limit);
        REQUIRE(metered_traits::held - before <= limit * 9 / 4 + 1024 + 18 * ids + (tags ? 8 * s.events : 0));
      }
    }
  }
}

// ---- what streams hold ----

// A stream that never takes anything from its batch, until it is told to stop.
struct holder {
  subscription s = {};
  batch pulled = {};
  int evicted = 0;
  bool obeys = true;

  void operator()(ssewire::wake why) noexcept {
    if (why != ssewire::wake::evicted) return;
    ++evicted;
    if (obeys) pulled.clear();
  }
  void begin(broker& of, std::string_view channel) {
    s = follow(of, {channel}, {}, {.start = start_at::beginning()});
    s.set_hook(ssewire::wake_hook::of(*this));
    (void)s.pull(pulled, all_room);
  }
};

ssewire::broker_options pinning(std::size_t most) {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  options.max_pinned_bytes = most;
  return options;
}

TEST_CASE("what a stream holds counts as pinned when its log has forgotten it, until it lets go") {
  broker b(pinning(all_room));
  std::string const data(10'000, 'x');
  publish(b, "a", data);
  holder one;
  holder two;
  one.begin(b, "a");
  two.begin(b, "a");
  CHECK(b.stats().pinned_bytes == 0);
  publish(b, "a", data);
  auto const once = b.stats().pinned_bytes;
  CHECK(once >= frame(1, data).size());
  CHECK(once <= frame(1, data).size() + 128);  // two hold it, it is there once
  one.pulled.clear();
  CHECK(b.stats().pinned_bytes == once);
  two.pulled.clear();
  CHECK(b.stats().pinned_bytes == 0);
}

TEST_CASE(
    "at max_pinned_bytes nobody is ended; a byte beyond it the one that pulled first is, and no other") {
  std::string const data(10'000, 'x');
  std::size_t size = 0;
  {
    broker b(pinning(all_room));
    publish(b, "a", data);
    holder one;
    one.begin(b, "a");
    publish(b, "a", data);
    size = b.stats().pinned_bytes;
  }
  for (std::size_t const missing : {0u, 1u}) {
    broker b(pinning(2 * size - missing));
    holder readers[3];
    for (auto& r : readers) {
      publish(b, "a", data);
      r.begin(b, "a");
    }
    CHECK(readers[0].evicted == (missing == 0 ? 0 : 1));  // two are forgotten
    auto const bystander = opened(b, {"a"});
    publish(b, "b", "y");
    publish(b, "a", "z");  // now all three are
    CHECK(readers[0].evicted == 1);
    CHECK(readers[0].s.reason() == close_reason::pinned_too_much);
    CHECK(readers[1].evicted == (missing == 0 ? 0 : 1));
    CHECK(readers[2].evicted == 0);
    CHECK(bystander.reason() == close_reason::none);
    CHECK(b.stats().pinned_bytes == (missing == 0 ? 2 : 1) * size);
    batch more;
    CHECK(readers[0].s.pull(more, all_room) == pull_status::closed);
    readers[0].s.close();
    CHECK(closes(b, close_reason::pinned_too_much) == 1);
  }
}

TEST_CASE("who pulls again, parks, lets go or has given a small rest back is not ended for what it held") {
  for (int how = 0; how < 5; ++how) {
    CAPTURE(how);
    broker b(pinning(0));
    std::string const data(10'000, 'x');
    publish(b, "a", data);
    holder r;
    r.obeys = false;
    r.begin(b, "a");
    batch next;
    switch (how) {
    case 0: (void)r.s.pull(next, all_room); break;
    case 1: (void)r.s.park(); break;
    case 2: r.s.let_go(); break;
    case 3: (void)r.s.give_back(r.pulled, r.pulled.bytes() - 16 * 1024 / 2); break;
    default: break;
    }
    for (int i = 0; i < 3; ++i) publish(b, "a", data);
    CHECK(r.evicted == (how == 4 ? 1 : 0));
  }
}

TEST_CASE("a rest of 16 KiB is copied, and so not held; one of a byte more is") {
  for (std::size_t const rest : {16u * 1024, 16u * 1024 + 1}) {
    broker b(pinning(0));
    std::string const data(40'000, 'x');
    publish(b, "a", data);
    holder r;
    r.begin(b, "a");
    CHECK(r.s.give_back(r.pulled, r.pulled.bytes() - rest).size() == rest);
    for (int i = 0; i < 3; ++i) publish(b, "a", data);
    CHECK(r.evicted == (rest == 16 * 1024 ? 0 : 1));
  }
}

TEST_CASE(
    "max_pinned_bytes is kept though several streams hold what is forgotten, and more come with each event") {
  broker b(pinning(300'000));
  std::string const data(20'000, 'x');
  std::vector<std::unique_ptr<holder>> all;
  std::uint64_t most = 0;
  publish(b, "a", data);
  for (int i = 0; i < 300; ++i) {
    for (int j = 0; j < 3; ++j) {
      all.push_back(std::make_unique<holder>());
      all.back()->begin(b, "a");
    }
    publish(b, "a", data);
    most = (std::max)(most, b.stats().pinned_bytes);
  }
  // One publish forgets one event; and of three who share it, those who go first give nothing back.
  CHECK(most <= 300'000 + 2 * (20'000 + 256));
}

TEST_CASE("tick ends who holds too much, too") {
  auto options = pinning(0);
  options.replay.max_age = std::chrono::seconds(1);
  broker b(options);
  publish(b, "a", "x");
  holder r;
  r.begin(b, "a");
  b.tick(ssewire::steady_time{} + std::chrono::hours(1));
  CHECK(r.evicted == 0);
  b.tick(ssewire::steady_time{} + std::chrono::hours(1) + std::chrono::seconds(2));
  CHECK(r.evicted == 1);
  CHECK(b.stats().pinned_bytes == 0);
}

TEST_CASE("a batch may outlive its stream and its broker") {
  batch pulled;
  auto const before = metered_traits::held;
  {
    broker b(pinning(all_room));
    publish(b, "a", "1");
    auto s = follow(b, {"a"}, {}, {.start = start_at::beginning()});
    (void)s.pull(pulled, all_room);
    publish(b, "a", "2");
  }
  CHECK(support::bytes_of(pulled).ends_with(frame(1, "1")));
  CHECK(metered_traits::held > before);
  pulled.clear();
  CHECK(metered_traits::held == before);
}

// ---- who is admitted ----

TEST_CASE("max_subscribers_per_channel refuses the newcomer on that channel only, until somebody leaves") {
  ssewire::broker_options options;
  options.max_subscribers_per_channel = 2;
  broker b(options);
  auto one = follow(b, {"a"});
  auto two = follow(b, {"b", "a"});
  CHECK(b.subscribe("a").error == errc::channel_full);
  CHECK(b.subscribe({"c", "a"}).error == errc::channel_full);
  CHECK(refusals(b, errc::channel_full) == 2);
  CHECK(b.subscribers("a") == 2);
  CHECK(b.stats().channels == 2);
  CHECK(b.subscribe("b").error == errc::ok);
  REQUIRE(two.leave("a") == errc::ok);
  auto three = follow(b, {"a"});
  CHECK(two.join("a") == errc::channel_full);
  one.close();
  CHECK(two.join("a") == errc::ok);
}

TEST_CASE("max_subscribers_per_user refuses this user's next stream; streams of nobody are not counted") {
  ssewire::broker_options options;
  options.max_subscribers_per_user = 2;
  broker b(options);
  auto one = follow(b, {"a"}, {}, {.user = "ann"});
  auto two = follow(b, {"b"}, {}, {.user = "ann"});
  CHECK(b.subscribe("c", {.user = "ann"}).error == errc::user_full);
  CHECK(b.stats().channels == 2);
  auto bob = follow(b, {"a"}, {}, {.user = "Ann"});
  std::string const hostile("ann\0", 4);
  auto other = follow(b, {"a"}, {}, {.user = hostile});
  std::vector<subscription> nobody;
  for (int i = 0; i < 5; ++i) nobody.push_back(follow(b, {"a"}));
  two.close();
  auto three = follow(b, {"c"}, {}, {.user = "ann"});
  CHECK(b.subscribe("c", {.user = "ann"}).error == errc::user_full);
  CHECK(refusals(b, errc::user_full) == 2);
}

TEST_CASE("a user's stream that is refused for another reason is not counted") {
  ssewire::broker_options options;
  options.max_subscribers_per_user = 1;
  options.max_subscribers_per_channel = 1;
  broker b(options);
  auto full = follow(b, {"full"});
  for (int i = 0; i < 3; ++i) CHECK(b.subscribe("full", {.user = "ann"}).error == errc::channel_full);
  auto one = follow(b, {"a"}, {}, {.user = "ann"});
  one = subscription();
  CHECK(b.subscribe("a", {.user = "ann"}).error == errc::ok);
}

TEST_CASE("admission limits of 0 refuse everybody they concern") {
  ssewire::broker_options options;
  options.max_subscribers_per_user = 0;
  {
    broker b(options);
    CHECK(b.subscribe("a", {.user = "x"}).error == errc::user_full);
    CHECK(b.subscribe("a").error == errc::ok);
  }
  options.max_subscribers_per_channel = 0;
  {
    broker b(options);
    CHECK(b.subscribe("a").error == errc::channel_full);
    CHECK(b.stats().channels == 0);
    publish(b, "a", "x");
  }
  options.max_subscribers = 0;
  {
    broker b(options);
    CHECK(b.subscribe("a").error == errc::too_many_subscribers);
  }
}

TEST_CASE(
    "a stream that the broker has ended counts against the limits until it is closed, but not for its user") {
  ssewire::broker_options options;
  options.max_subscribers_per_user = 1;
  options.max_subscribers_per_channel = 2;
  options.replay.max_events = 1;
  broker b(options);
  auto s = opened(b, {"a"}, {.lag = ssewire::lag_policy::close, .user = "ann"});
  publish(b, "a", "1");
  publish(b, "a", "2");
  b.tick({});
  CHECK(s.reason() == close_reason::lagged);
  auto const again = b.subscribe("a", {.user = "ann"});
  CHECK(again.error == errc::ok);
  CHECK(b.subscribe("a").error == errc::channel_full);
  s.close();
  CHECK(b.subscribe("a").error == errc::ok);
  CHECK(b.subscribe("a", {.user = "ann"}).error == errc::user_full);
}

// ---- the counters ----

TEST_CASE("a user's record takes at most 300 bytes, and there are at most max_users of them") {
  ssewire::broker_options options;
  options.max_connects_per_user_per_minute = 10;
  options.max_users = 1000;
  broker b(options);
  auto const connect = [&](std::size_t n) {
    auto key = std::to_string(n);
    key.resize(128, '.');
    REQUIRE(b.subscribe("c", {.user = key, .now = ssewire::steady_time() + std::chrono::hours(1)}));
  };
  auto const before = meter::held;
  for (std::size_t n = 0; n < 1000; ++n) connect(n);
  CHECK(b.stats().users == 1000);
  CHECK((meter::held - before) / 1000 <= 300);
  auto const full = meter::held;
  for (std::size_t n = 1000; n < 5000; ++n) connect(n);
  CHECK(b.stats().users == 1000);
  CHECK(meter::held <= full + 1000);
  b.tick(ssewire::steady_time() + std::chrono::hours(2));
  CHECK(b.stats().users == 0);
}

TEST_CASE("a user on a channel takes at most 130 bytes and the key, and they go with the last stream") {
  constexpr std::size_t many = 1000;
  constexpr std::size_t key_bytes = 128;
  broker b;
  auto const cost = [&](std::size_t channels, bool with_users, std::size_t streams_each) {
    std::string_view const names[] = {"c", "d"};
    std::vector<subscription> all;
    all.reserve(many * streams_each);
    auto const before = meter::held;
    for (std::size_t n = 0; n < many; ++n) {
      auto key = std::to_string(n);
      key.resize(key_bytes, '.');
      auto const user = with_users ? std::string_view(key) : std::string_view();
      for (std::size_t i = 0; i < streams_each; ++i)
        all.push_back(b.subscribe(std::span(names, channels), {.user = user}).value);
    }
    return meter::held - before;
  };
  (void)cost(2, true, 1);  // the tables have grown
  CHECK(b.users("c") == 0);
  auto const idle = meter::held;
  for (std::size_t const streams_each : {1u, 4u}) {
    auto const one_more = cost(2, true, streams_each) - cost(1, true, streams_each);
    auto const without_users = cost(2, false, streams_each) - cost(1, false, streams_each);
    CHECK((one_more - without_users) / many <= 130 + key_bytes);
  }
  CHECK(meter::held <= idle + 1000);
}

TEST_CASE("counts by a word are those of the arrays; for a word that is none the count is 0") {
  ssewire::broker_stats s;
  s.refusals[static_cast<std::size_t>(errc::event_too_large)] = 1;
  s.closes[static_cast<std::size_t>(close_reason::lagged)] = 2;
  s.trims[static_cast<std::size_t>(trim_cause::age)] = 3;
  s.resumes[static_cast<std::size_t>(resume_outcome::gap)] = 4;
  CHECK(s.count(errc::event_too_large) == 1);
  CHECK(s.count(close_reason::lagged) == 2);
  CHECK(s.count(trim_cause::age) == 3);
  CHECK(s.count(resume_outcome::gap) == 4);
  CHECK(s.count(errc::user_full) == 0);
  CHECK(s.count(static_cast<close_reason>(99)) == 0);
}

TEST_CASE("trims are counted by their cause, and add up") {
  ssewire::broker_options options;
  options.replay.max_events = 2;
  options.replay.max_bytes = 4 * frame(1, "x").size();
  options.replay.max_age = std::chrono::seconds(8);
  options.channel_expiry = std::chrono::seconds(4);
  options.max_events_in_all = 4;
  broker b(options);
  for (int i = 0; i < 3; ++i) publish(b, "a", "x");
  CHECK(trims(b, trim_cause::events) == 1);
  publish(b, "a", std::string(2 * frame(1, "x").size(), 'y'));
  CHECK(trims(b, trim_cause::events) == 2);
  CHECK(trims(b, trim_cause::bytes) == 0);
  publish(b, "a", std::string(2 * frame(1, "x").size(), 'y'));
  CHECK(trims(b, trim_cause::events) == 3);
  CHECK(trims(b, trim_cause::bytes) == 1);
  for (int i = 0; i < 4; ++i) publish(b, "c" + std::to_string(i), "x");
  CHECK(trims(b, trim_cause::all_together) == 1);
  auto const follower = follow(b, {"c3"});
  auto now = ssewire::steady_time{} + std::chrono::hours(1);
  b.tick(now);
  for (int i = 0; i < 5; ++i) b.tick(now += std::chrono::seconds(1));
  CHECK(trims(b, trim_cause::expiry) == 3);
  CHECK(trims(b, trim_cause::age) == 0);
  for (int i = 0; i < 5; ++i) b.tick(now += std::chrono::seconds(1));
  CHECK(trims(b, trim_cause::age) == 1);
  auto const s = b.stats();
  CHECK(s.trimmed == std::accumulate(s.trims.begin(), s.trims.end(), std::uint64_t{0}));
  CHECK(s.trimmed == 9);
  CHECK(s.events == 0);
  CHECK(s.expired_channels >= 3);
}

TEST_CASE("refusals are counted by their error, at every limit of the broker") {
  ssewire::broker_options options;
  options.max_channels = 2;
  options.max_channels_per_stream = 2;
  options.max_subscribers = 3;
  options.max_subscribers_per_channel = 2;
  options.max_subscribers_per_user = 1;
  options.replay.max_bytes = 100;
  broker b(options);
  auto one = follow(b, {"a", "b"}, {}, {.user = "ann"});
  auto two = follow(b, {"a"});
  auto const expect = [&](errc error, errc got, std::uint64_t count) {
    CHECK(got == error);
    CAPTURE(error);
    CHECK(refusals(b, error) == count);
  };
  expect(errc::user_full, b.subscribe("b", {.user = "ann"}).error, 1);
  expect(errc::channel_full, b.subscribe("a").error, 1);
  expect(errc::too_many_channels, b.subscribe("c").error, 1);
  expect(errc::too_many_channels, b.publish("c", {.data = "x"}).error, 2);
  expect(errc::too_many_channels, two.join("c"), 3);
  expect(errc::too_many_channels, one.join("c"), 4);
  auto three = follow(b, {"b"});
  expect(errc::too_many_subscribers, b.subscribe("b").error, 1);
  REQUIRE(b.publish("a", {.data = "x", .id = "mine"}));
  expect(errc::id_in_use, b.publish("a", {.data = "x", .id = "mine"}).error, 1);
  expect(errc::event_too_large, b.publish("a", {.data = std::string(200, 'x')}).error, 1);
  expect(errc::too_many_channels, b.subscribe({"a", "b", "c"}).error, 5);
  expect(errc::too_many_channels, b.publish({"a", "b", "c"}, {.data = "x"}).error, 6);
  b.drain({}, {});
  expect(errc::closed, b.publish("a", {.data = "x"}).error, 1);
  expect(errc::closed, b.subscribe("a").error, 2);
  CHECK(refusals(b, errc::ok) == 0);
}

TEST_CASE("published and delivered events and bytes are counted, an event on several channels once each") {
  broker b;
  auto both = opened(b, {"a", "b"});
  auto one = opened(b, {"b"});
  auto const size = frame(1, "x").size();
  std::vector<event> const three(3, event{.data = "x"});
  std::string_view const names[] = {"a", "b"};
  REQUIRE(b.publish(names, three));
  CHECK(b.stats().published == 3);
  CHECK(b.stats().published_bytes == 3 * size);
  CHECK(b.stats().events == 6);
  CHECK(b.stats().frame_bytes == 6 * size);
  batch pulled;
  (void)both.pull(pulled, all_room);
  CHECK(b.stats().delivered == 3);
  CHECK(b.stats().delivered_bytes == 3 * size);
  (void)both.give_back(pulled, size + 1);
  CHECK(b.stats().delivered == 2);
  CHECK(b.stats().delivered_bytes == 2 * size);
  (void)pull_all(both);
  (void)pull_all(one);
  CHECK(b.stats().delivered == 6);
  CHECK(b.stats().delivered_bytes == 6 * size);
  CHECK(b.stats().replayed == 0);
}

TEST_CASE(
    "replayed counts what was there before the stream was, once, however it is given back and filtered") {
  broker b;
  for (int i = 0; i < 6; ++i)
    REQUIRE(b.publish("a", {.data = "x"}, {.tag = static_cast<std::uint64_t>(i % 2)}));
  auto s = follow(b, {"a"}, id(0), {.filter = [](ssewire::event_header const& e) { return e.tag == 1; }});
  for (int i = 0; i < 2; ++i) REQUIRE(b.publish("a", {.data = "live"}, {.tag = 1}));
  (void)pull(s);
  batch pulled;
  (void)s.pull(pulled, all_room);
  CHECK(b.stats().replayed == 3);
  CHECK(b.stats().delivered == 5);
  (void)s.give_back(pulled, 0);
  CHECK(b.stats().replayed == 0);
  CHECK(b.stats().delivered == 0);
  (void)pull_all(s);
  CHECK(b.stats().replayed == 3);
  CHECK(b.stats().delivered == 5);
  CHECK(b.stats().filtered >= 3);
}

TEST_CASE("gaps, lags and missed count what open streams were told, each channel for itself") {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  broker b(options);
  auto s = opened(b, {"a", "b"});
  for (int i = 0; i < 4; ++i) REQUIRE(b.publish({"a", "b"}, {.data = "x"}));
  auto returned = follow(b, {"a"}, id(1));
  auto lost = follow(b, {"a"}, "garbage");
  (void)pull_all(returned);
  (void)pull_all(lost);
  CHECK(b.stats().gaps == 2);
  CHECK(b.stats().lags == 0);
  CHECK(b.stats().missed == 0);
  (void)pull_all(s);
  CHECK(b.stats().gaps == 4);
  CHECK(b.stats().lags == 2);
  CHECK(b.stats().missed == 6);
}

TEST_CASE("closes are counted by their reason, the broker's own before the owner's") {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  broker b(options);
  for (std::size_t i = 0; i < ssewire::close_reason_count; ++i)
    follow(b, {"a"}).close(static_cast<close_reason>(i));
  auto s = opened(b, {"a"}, {.lag = ssewire::lag_policy::close});
  publish(b, "a", "1");
  publish(b, "a", "2");
  b.tick({});
  s.close(close_reason::finished);
  for (std::size_t i = 0; i < ssewire::close_reason_count; ++i) {
    CAPTURE(i);
    CHECK(b.stats().closes[i] == (static_cast<close_reason>(i) == close_reason::lagged ? 2 : 1));
  }
}

TEST_CASE("behind any history the counters of what is held fall to nothing") {
  support::random random(5);
  auto const before = metered_traits::held;
  {
    ssewire::broker_options options;
    options.replay.max_events = 20;
    options.replay.max_age = std::chrono::seconds(1);
    options.channel_expiry = std::chrono::seconds(1);
    broker b(options);
    std::vector<subscription> open;
    for (int i = 0; i < 2000; ++i) {
      auto const name = "c" + std::to_string(random.below(20));
      auto const other = "c" + std::to_string(random.below(20));
      std::vector<event> const events(1 + random.below(3), event{.data = "x"});
      std::string_view const names[] = {name, other};
      REQUIRE(b.publish(names, events, {.tag = random.below(2)}));
      if (random.one_in(3)) open.push_back(follow(b, {name, other}, {}, {.user = name}));
      if (!open.empty() && random.one_in(3))
        open.erase(open.begin() + static_cast<long>(random.below(open.size())));
      if (!open.empty()) (void)pull(open[random.below(open.size())]);
    }
    open.clear();
    auto const hour = std::chrono::hours(1);
    b.tick(ssewire::steady_time{} + hour);
    b.tick(ssewire::steady_time{} + 2 * hour);
    auto const s = b.stats();
    CHECK(s.subscribers == 0);
    CHECK(s.channels == 0);
    CHECK(s.events == 0);
    CHECK(s.frame_bytes == 0);
    CHECK(s.log_bytes == 0);
    CHECK(s.pinned_bytes == 0);
  }
  CHECK(metered_traits::held == before);
}

// ---- bounded memory, whatever the clients do ----

// A reader that never reads, holds what it pulled, or reads slowly and gives back.
struct reader {
  enum class kind : unsigned char { never, holds, slow } how = kind::never;
  subscription s = {};
  batch pulled = {};

  void operator()(ssewire::wake why) noexcept {
    if (why == ssewire::wake::evicted) pulled.clear();
  }
  void end() {
    pulled.clear();
    s.close(close_reason::peer_gone);
  }
};

// The ceiling, all of it from the limits:
//   max_log_bytes          what the logs hold when a publish has returned
//   max_pinned_bytes       what readers hold that the logs have forgotten, when a publish has returned
//   + one publish          on each of its channels its events, in pages whose size is the larger of these
//   and of 64 KiB or a
//                          quarter of the log; what the channel's index of own IDs and its list of pages
//                          grow by (they exist twice meanwhile); and its working memory: the events again,
//                          128 bytes for each on each channel
//   + fixed bytes a stream 3 KiB: its batch, its cursors and its notices
//   + fixed bytes a channel 1 KiB: its name, its log without pages, its places in the tables
// A page moves from the first line to the second when it is forgotten; nothing is in both.
TEST_CASE("whatever readers do, the program's memory stays below the limits' arithmetic") {
  constexpr std::size_t channels = 8;
  constexpr std::size_t readers = 24;
  constexpr std::size_t log_bytes = 128 * 1024;
  constexpr std::size_t pinned_bytes = 48 * 1024;
  constexpr std::size_t channel_bytes = 32 * 1024;
  constexpr std::size_t most_events = 4;  // of one publish
  constexpr std::size_t most_channels = 3;
  std::uint64_t evicted = 0;
  std::uint64_t gaps = 0;
  std::size_t worst = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    std::string const text(channel_bytes, 'x');
    auto const before = meter::held;
    {
      std::vector<reader> all(readers);
      ssewire::broker_options options;
      options.replay.max_bytes = channel_bytes;
      options.replay.max_events = 1 + random.below(300);
      options.max_log_bytes = log_bytes;
      options.max_pinned_bytes = pinned_bytes;
      options.max_channels = channels;
      options.max_subscribers = readers;
      options.max_expired_channels = channels;
      broker b(options);
      meter::most = meter::held;
      std::size_t one_publish = 0;  // the largest so far
      std::uint64_t ids = 0;
      for (int step = 0; step < 1000; ++step) {
        auto const what = random.below(10);
        auto& r = all[random.below(readers)];
        if (what < 5) {
          char const digits[] = "01234567";
          std::vector<std::string_view> to;
          for (auto n = 1 + random.below(most_channels); n != 0; --n)
            to.push_back(std::string_view(digits).substr(random.below(channels), 1));
          std::string own[most_events];
          std::vector<event> events(1 + random.below(most_events));
          std::size_t bytes = 0;
          for (std::size_t i = 0; i < events.size(); ++i) {
            auto const size =
                random.one_in(6) ? random.below(channel_bytes / most_events - 300) : random.below(300);
            events[i].data = std::string_view(text).substr(0, size);
            own[i] = "event " + std::to_string(ids++);
            own[i][5] = '-';
            if (random.one_in(2)) events[i].id = ssewire::event_id::from(own[i]).value;
            bytes += size + 200;
          }
          auto const page = (std::max)(bytes, channel_bytes / 4) + 128 * (1 + events.size());
          auto const index = 18 * (options.replay.max_events + most_events) + 2048;
          one_publish =
              (std::max)(one_publish, to.size() * (page + index + 128 * events.size()) + bytes + 2048);
          auto const error = b.publish(to, events, {.tag = random.below(3)}).error;
          REQUIRE(error == errc::ok);
        } else if (what < 7) {
          r.end();
          r.how = static_cast<reader::kind>(random.below(3));
          std::string const names[] = {std::to_string(random.below(channels)),
                                       std::to_string(random.below(channels))};
          std::string_view const views[] = {names[0], names[1]};
          auto made =
              b.subscribe(views, {.last_event_id = id(random.below(200)), .start = start_at::beginning()});
          REQUIRE(made.error == errc::ok);
          r.s = std::move(made.value);
          r.s.set_hook(ssewire::wake_hook::of(r));
        } else if (r.how != reader::kind::never && (r.how == reader::kind::slow || r.pulled.empty())) {
          (void)r.s.pull(r.pulled, random.below(channel_bytes));
          if (r.how == reader::kind::slow) {
            auto const rest = r.s.give_back(r.pulled, random.below(r.pulled.bytes() + 1));
            // It is copied, and no more is sent of the batch.
            if (rest.size() <= 16 * 1024) r.pulled.clear();
          }
        }
        auto const ceiling = log_bytes + pinned_bytes + one_publish + readers * std::size_t{3072} +
                             channels * std::size_t{1024};
        REQUIRE(meter::most - before <= ceiling);
        worst = (std::max)(worst, (meter::most - before) * 100 / ceiling);
        auto const s = b.stats();
        REQUIRE(s.log_bytes <= log_bytes);
      }
      for (auto& r : all) r.end();
      evicted += closes(b, close_reason::pinned_too_much);
      gaps += b.stats().gaps;
    }
    CHECK(meter::held == before);
  }
  CHECK(evicted > 30);  // the limits were reached
  CHECK(gaps > 1000);
  MESSAGE("seeds 1 to 30: at most " << worst << " % of the ceiling; " << evicted << " streams ended, " << gaps
                                    << " gaps told");
}

}  // namespace
