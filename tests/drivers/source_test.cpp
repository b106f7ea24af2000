// SPDX-License-Identifier: MIT
// Each driver that takes any source, driven from a source that a user might write.
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/serve_blocking.hpp>

#include <support/closure_executor.hpp>
#include <support/prepared_events.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::read_status;
using support::answer;
using support::closure_executor;
using support::peer;
using support::post_to;
using support::prepared_events;
using support::scripted_writer;

std::vector<std::string> const events = {"id: 1\ndata: a\n\n", "id: 2\ndata: b\n\n", "id: 3\ndata: c\n\n"};
std::string const all = events[0] + events[1] + events[2];

TEST_CASE("serve_blocking sends a source until it ends") {
  peer to;
  scripted_writer writer(to);
  to.script = {answer::take(5)};
  CHECK(ssewire::serve_blocking(prepared_events(events), writer) == close_reason::finished);
  CHECK(to.taken == all);
  CHECK(to.completed == 1);
}

TEST_CASE("a posted stream sends a source, is woken by it, and ends with it") {
  closure_executor on;
  peer to;
  auto const s = ssewire::post_stream(scripted_writer(to), post_to{&on},
                                      prepared_events({}, prepared_events::then::wait));
  s->start();
  on.run();
  CHECK(to.taken == "");
  for (auto const& event : events) s->source().add(event);
  on.run();
  CHECK(to.taken == all);
  s->finish();
  on.run();
  CHECK(s->reason() == close_reason::finished);
  CHECK(to.completed == 1);
}

TEST_CASE("a pull stream reads a source, in reads of any size, and says its end") {
  for (std::size_t const most : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    ssewire::pull_stream stream(prepared_events{events});
    static_assert(std::is_same_v<decltype(stream), ssewire::pull_stream<prepared_events>>);
    std::string got;
    std::string room(most, '\0');
    auto said = stream.read(room.data(), most);
    for (; said.status == read_status::bytes; said = stream.read(room.data(), most))
      got.append(room, 0, said.bytes);
    CHECK(said.status == read_status::complete);
    CHECK(got == all);
    CHECK(stream.reason() == close_reason::finished);
  }
}

TEST_CASE("a pull stream that parks is woken by its source") {
  ssewire::pull_stream stream(prepared_events({}, prepared_events::then::wait));
  int calls = 0;
  auto hook = [&](ssewire::wake) { ++calls; };
  stream.set_hook(ssewire::wake_hook::of(hook));
  char room[100];
  CHECK(stream.read(room, sizeof room).status == read_status::nothing);
  REQUIRE(stream.park());
  stream.source().add(events[0]);
  CHECK(calls == 1);
  auto const got = stream.read(room, sizeof room);
  CHECK(std::string(room, got.bytes) == events[0]);
}

// Its ticker() is not const, as no other call of a source has to be.
struct ticked_events : prepared_events {
  int* looks;

  ticked_events(std::vector<std::string> of, then how, int& to)
      : prepared_events(std::move(of), how), looks(&to) {}
  auto ticker() {
    return [to = looks](ssewire::steady_time now) noexcept -> std::optional<ssewire::steady_time> {
      ++*to;
      return now + std::chrono::milliseconds(3);
    };
  }
};

TEST_CASE("each driver calls the ticker of a source that has one, and asks to be called when it says") {
  using then = prepared_events::then;
  constexpr ssewire::steady_time now(std::chrono::hours(1));
  int looks = 0;

  closure_executor on;
  peer to;
  auto const posted =
      ssewire::post_stream(scripted_writer(to), post_to{&on}, ticked_events({}, then::wait, looks));
  CHECK(posted->poll(now) == now + std::chrono::milliseconds(3));
  CHECK(looks == 1);

  ssewire::pull_stream pulled(ticked_events({}, then::wait, looks));
  CHECK(pulled.poll(now) == now + std::chrono::milliseconds(3));
  CHECK(looks == 2);

  struct {
    bool timed_out = false;

    ssewire::write_result write(ssewire::buffers b) noexcept {
      if (!std::exchange(timed_out, true)) return {ssewire::write_status::again, 0};
      std::size_t bytes = 0;
      for (auto const piece : b) bytes += piece.size();
      return {ssewire::write_status::ok, bytes};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  } writer;
  CHECK(ssewire::serve_blocking(ticked_events(events, then::end, looks), writer) == close_reason::finished);
  CHECK(looks == 3);
}

// A stock's symbol, for example.
struct named_events : prepared_events {
  using prepared_events::prepared_events;
  [[nodiscard]] std::string ticker() const { return "ABC"; }
};

TEST_CASE("a source whose ticker() is something else has none for the drivers") {
  ssewire::pull_stream stream(named_events({}, prepared_events::then::wait), {},
                              {.heartbeat = {}, .stall_time = {}});
  CHECK_FALSE(stream.poll(ssewire::steady_time(std::chrono::hours(1))));
}

}  // namespace
