// SPDX-License-Identifier: MIT
// mutations_found_test.cpp - faults that ./dev mutate made and no other test saw.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::event_header;
using ssewire::resume_outcome;
using support::frame;
using support::pull;

using broker = ssewire::basic_broker<support::epoch_traits>;  // epoch 0, so that every byte is known
using subscription = ssewire::basic_subscription<support::epoch_traits>;

struct bell {
  int rings = 0;
  void operator()(ssewire::wake) noexcept { ++rings; }
};

// publish.only_the_first_channel_woken
TEST_CASE("an event on several channels wakes who is parked on any of them") {
  broker b;
  bell rings[3];
  subscription streams[3];
  std::string_view const channels[] = {"a", "b", "c"};
  for (std::size_t i = 0; i < 3; ++i) {
    streams[i] = b.subscribe(channels[i]).value;
    streams[i].set_hook(ssewire::wake_hook::of(rings[i]));
    (void)pull(streams[i]);
    REQUIRE(streams[i].park());
  }
  REQUIRE(b.publish({"a", "b", "c"}, {.data = "x"}));
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(rings[i].rings == 1);
    CHECK(pull(streams[i]) == frame(1, "x"));
  }
}

// publish.large_event_beyond_the_log
TEST_CASE("a large event of max_bytes is published, alone and among several, and one a byte larger is not") {
  constexpr std::size_t most = 20'000;
  auto const frame_around = frame(1, "").size();
  ssewire::broker_options options;
  options.replay.max_bytes = most;
  for (std::size_t const more : {0u, 1u}) {
    broker b(options);
    std::string const data(most - frame_around + more, 'x');
    auto const wanted = more == 0 ? errc::ok : errc::event_too_large;
    CHECK(b.publish("a", {.data = data}).error == wanted);
    CHECK(b.publish({"a", "b"}, {.data = data}).error == wanted);
    CHECK(b.stats().published == (more == 0 ? 2 : 0));
  }
}

// publish.gap_type_passes_in_a_batch
TEST_CASE("the type of the gap event is refused in every way of publishing, its neighbour is not") {
  ssewire::broker_options options;
  options.gap_type = "gone";
  broker b(options);
  event const good{.type = "gon", .data = "x"};
  std::vector<event> const events = {good, {.type = "gone", .data = "x"}};
  CHECK(b.publish("a", events[1]).error == errc::type_reserved);
  CHECK(b.publish({"a", "b"}, events[1]).error == errc::type_reserved);
  CHECK(b.publish("a", events).error == errc::type_reserved);
  CHECK(b.stats().published == 0);
  CHECK(b.publish("a", std::vector<event>{good, good}).error == errc::ok);
}

// filter.no_checkpoint_in_time
TEST_CASE("behind a pull a filtered stream's client can stay away for half a log, and has no gap") {
  constexpr std::uint64_t held = 8;
  ssewire::broker_options options;
  options.replay.max_events = held;
  broker b(options);
  auto const none = [](event_header const&) { return false; };
  auto s = b.subscribe("a", {.filter = none}).value;
  std::string said;  // the last event ID of its client
  for (std::uint64_t round = 0; round < 50; ++round) {
    CAPTURE(round);
    auto const told = pull(s);
    if (!told.empty()) said = told.substr(4, told.find('\n') - 4);
    for (std::uint64_t i = 0; i < held / 2; ++i) REQUIRE(b.publish("a", {.data = "x"}));
    CHECK(b.subscribe("a", {.last_event_id = said, .filter = none}).value.outcome() ==
          resume_outcome::resumed);
  }
}

// A log that holds one event, of which a subscription has pulled one that lies in a page of its own.
constexpr std::size_t large = 20'000;

ssewire::broker_options one_large_event(std::size_t max_pinned_bytes) {
  ssewire::broker_options options;
  options.replay.max_events = 1;
  options.max_pinned_bytes = max_pinned_bytes;
  return options;
}

struct holder {
  subscription s;
  ssewire::basic_batch<support::epoch_traits> batch;

  holder(broker& b, std::string_view channel) : s(b.subscribe(channel).value) {
    (void)s.pull(batch, support::all_room);
    REQUIRE(b.publish(channel, {.data = std::string(large, 'x')}));
    REQUIRE(s.pull(batch, support::all_room) == ssewire::pull_status::ready);
  }
};

// pinned.all_ended_where_one_must
TEST_CASE("where the end of one stream is enough for max_pinned_bytes, the others stay") {
  broker b(one_large_event(large + large / 2));
  holder first(b, "a");
  holder second(b, "b");
  REQUIRE(b.publish({"a", "b"}, {.data = "x"}));
  CHECK(first.s.reason() == ssewire::close_reason::pinned_too_much);
  CHECK(second.s.reason() == ssewire::close_reason::none);
}

// pinned.innocent_ended
TEST_CASE("who still sends what the log holds is not ended for max_pinned_bytes, though it pulled first") {
  broker b(one_large_event(large / 2));
  holder innocent(b, "a");
  holder guilty(b, "b");
  REQUIRE(b.publish("b", {.data = "x"}));
  CHECK(innocent.s.reason() == ssewire::close_reason::none);
  CHECK(guilty.s.reason() == ssewire::close_reason::pinned_too_much);
}

TEST_CASE("a reactor holds no event that a writer threw at") {
  struct throwing_writer {
    ssewire::write_result write(ssewire::buffers offered) {
      if (offered[0].size() > large) throw 1;
      return {ssewire::write_status::ok, offered[0].size()};
    }
    void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
  };
  broker b(one_large_event(std::size_t{1} << 20));
  ssewire::basic_reactor<throwing_writer, support::epoch_traits> r;
  auto const id = r.add({}, b.subscribe("a").value).value;
  r.poll({});
  REQUIRE(r.writer(id) != nullptr);
  REQUIRE(b.publish("a", {.data = std::string(large, 'x')}));
  r.poll({});
  CHECK(r.writer(id) == nullptr);
  REQUIRE(b.publish("a", {.data = "x"}));
  CHECK(b.stats().pinned_bytes == 0);
}

}  // namespace
