// SPDX-License-Identifier: MIT
// Posted streams under faults: writers that take any number of bytes, stall, are cut or throw, posts that
// fail, and memory that fails. A client still gets a prefix of well-formed frames, in order, and hears of
// every gap.
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/testing/scripted_writer.hpp>

#include <support/broker_bytes.hpp>
#include <support/closure_executor.hpp>
#include <support/failing_allocations.hpp>
#include <support/frugal_writer.hpp>
#include <support/numbered_events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::framing;
using ssewire::testing::answer;
using ssewire::testing::peer;
using support::closure_executor;
using support::data_of;
using support::frugal_writer;
using support::post_to;

using traits = support::failing_traits;
using broker = ssewire::basic_broker<traits>;
template <class Writer>
using posted = ssewire::posted_stream<Writer, post_to, ssewire::basic_subscription<traits>>;

template <class Writer> struct history {
  struct connection {
    support::numbered_reader reader = {};
    std::unique_ptr<peer> wire = {};
    std::shared_ptr<posted<Writer>> stream = {};
  };

  support::random random;
  framing body;
  broker b;
  closure_executor on = {};
  std::uint64_t last = 0;
  std::vector<connection> all = {};
  ssewire::steady_time now = ssewire::steady_time{} + 1h;

  history(std::uint64_t seed, framing f, std::uint64_t max_events)
      : random(seed), body(f), b({.replay = {.max_events = max_events}}) {}
  ~history() {
    for (auto const& c : all) {
      if (c.wire) c.wire->stop_transport();
    }
    on.tasks.clear();  // they hold streams, whose peers go first
  }

  void connect(connection& c, ssewire::testing::script answers = {}) {
    auto from = b.subscribe("c", {.last_event_id = c.reader.last_event_id});
    REQUIRE(from);
    c.stream.reset();  // before its peer
    c.reader.begin(last);
    c.wire = std::make_unique<peer>();
    c.wire->chunked = body == framing::chunked;
    c.wire->otherwise = std::move(answers);
    c.stream = ssewire::post_stream(
        Writer(*c.wire), post_to{&on}, std::move(from.value),
        {.body = body, .max_write_bytes = 200 + random.below(2000), .same_bytes_again = Writer::same_bytes},
        {10s, 0s});
    c.stream->start();
  }

  void publish() {
    auto const data = data_of(++last);  // before: tasks that run at once may publish, too
    REQUIRE(b.publish("c", {.data = data}));
  }

  void wake(connection& c) {
    if (c.wire->blocked()) {
      c.wire->let_go();
      c.stream->writable();
    } else if (c.wire->pending()) {
      c.wire->landed();
      c.stream->written(true);
    }
  }

  void cut(connection& c) {
    auto const completion = c.stream;
    c.stream->close();
    if (c.wire->pending()) {
      c.wire->landed();
      completion->written(random.one_in(2));
    }
    while (on.run_one()) {  // tasks of a stream that has ended
    }
    CHECK(c.wire->violations == "");
    c.stream.reset();
  }

  void finish() {
    for (auto& c : all) c.wire->otherwise = {};
    for (int i = 0; i < 50; ++i) {
      for (auto& c : all) {
        (void)c.stream->poll(now);  // what a post that threw has left
        wake(c);
      }
      on.run();
    }
    for (auto& c : all) CHECK(c.stream->state() != ssewire::stream_state::more);
  }

  answer moody(std::size_t size) {
    switch (random.below(8)) {
    case 0: return answer::again();
    case 1: return answer::again(random.below(size + 1));
    case 2: return answer::pending();
    case 3: return answer::pending().calling([this] { publish(); });
    case 4: return answer::take(1 + random.below(size)).calling([this] { publish(); });
    case 5: return answer::take(1);
    default: return answer::take(1 + random.below(size));
    }
  }

  void step() {
    auto& c = all[random.below(all.size())];
    switch (random.below(7)) {
    case 0:
    case 1: publish(); break;
    case 2: wake(c); break;
    case 3: (void)c.stream->send({.type = "private", .data = "p"}); break;
    case 4: now += std::chrono::seconds(random.below(12)); [[fallthrough]];
    case 5: (void)c.stream->poll(now); break;
    default: (void)on.run_one();
    }
    for (auto const& k : all) k.wire->check_in_flight("in between");
    if (random.one_in(20)) on.refusals = 1;
    if (!random.one_in(40)) return;
    cut(c);  // wherever it is, and the client comes back
    c.reader.read(c.wire->taken, body);
    connect(c, [this](std::size_t size) { return moody(size); });
  }
};

template <class Writer> void run_histories(framing body, bool at_once) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    history<Writer> h(seed, body, 2 + seed % 9);
    h.on.at_once = at_once;
    h.all.resize(1 + seed % 3);
    for (auto& c : h.all) h.connect(c, [&h](std::size_t size) { return h.moody(size); });
    for (int i = 0; i < 120; ++i) h.step();
    h.on.refusals = 0;
    h.finish();
    for (auto& c : h.all) {
      CHECK(c.wire->closed.empty());
      CHECK(c.wire->violations == "");
      c.reader.read(c.wire->taken, body);
      CHECK((c.reader.resync || c.reader.next == h.last + 1));
    }
  }
}

using ssewire::testing::scripted_tls_writer;
using ssewire::testing::scripted_writer;

TEST_CASE("random histories: raw") { run_histories<scripted_writer>(framing::raw, false); }
TEST_CASE("random histories: chunked") { run_histories<scripted_writer>(framing::chunked, false); }
TEST_CASE("random histories: raw, the same bytes again") {
  run_histories<scripted_tls_writer>(framing::raw, false);
}
TEST_CASE("random histories: chunked, the same bytes again") {
  run_histories<scripted_tls_writer>(framing::chunked, false);
}
TEST_CASE("random histories: tasks run at once") { run_histories<scripted_writer>(framing::raw, true); }
TEST_CASE("random histories: tasks run at once, chunked, the same bytes again") {
  run_histories<scripted_tls_writer>(framing::chunked, true);
}

template <class Writer> bool cut_and_resume(framing body, std::size_t cut) {
  history<Writer> h(cut, body, 4);
  h.all.resize(2);
  auto& victim = h.all[0];
  h.connect(victim, ssewire::testing::fails_at(
                        cut, answer::closed(),
                        ssewire::testing::answers_at_random(cut, {.take = 2, .again = 1, .pending = 0})));
  h.connect(h.all[1]);
  for (int step = 0; step < 14; ++step) {
    h.publish();
    if (h.random.one_in(2)) h.on.run();
    h.wake(victim);
  }
  for (int i = 0; i < 60; ++i) {
    h.on.run();
    h.wake(victim);
  }
  bool const was_cut = !victim.wire->closed.empty();
  if (was_cut) {
    CHECK(victim.wire->closed == std::vector<close_reason>{close_reason::peer_gone});
    victim.reader.read(victim.wire->taken, body);
    for (int i = 0; i < 3; ++i) h.publish();
    h.connect(victim);
  }
  h.finish();
  for (auto& c : h.all) {
    CHECK(c.wire->violations == "");
    c.reader.read(c.wire->taken, body);
    CHECK((c.reader.resync || c.reader.next == h.last + 1));
  }
  return was_cut;
}

TEST_CASE("a connection cut at any byte is resumed: nothing is missing untold, nothing comes twice") {
  std::size_t cut = 0;
  for (; cut_and_resume<scripted_writer>(framing::raw, cut) && cut < 500;) ++cut;
  CHECK(cut > 300);
  cut = 0;
  for (; cut_and_resume<scripted_tls_writer>(framing::chunked, cut) && cut < 500;) ++cut;
  CHECK(cut > 300);
}

TEST_CASE("the n-th write fails, for every n: its own stream ends, the others get everything") {
  for (auto const& failure :
       {answer::raise(), answer::closed(), answer::exactly(ssewire::write_status::ok, 0)}) {
    bool failed = true;
    std::size_t n = 1;
    for (; failed; ++n) {
      CAPTURE(n);
      REQUIRE(n < 500);
      history<scripted_writer> h(n, framing::chunked, 100);
      h.all.resize(3);
      for (auto& c : h.all) h.connect(c);
      auto& victim = *h.all[1].wire;
      victim.otherwise = [&](std::size_t size) {
        return victim.offers.size() < n ? answer::take(1 + size / 2) : failure;
      };
      for (int i = 0; i < 10; ++i) {
        h.publish();
        h.on.run();
      }
      failed = !victim.closed.empty();
      h.finish();
      for (auto& c : h.all) {
        CHECK(c.wire->violations == "");
        c.reader.read(c.wire->taken, framing::chunked);
        if (c.wire.get() != &victim || !failed) CHECK(c.reader.next == h.last + 1);
      }
      CHECK(h.b.stats().subscribers == (failed ? 2 : 3));
    }
    CHECK(n > 10);
  }
}

TEST_CASE("the n-th allocation fails, for every n: its own stream ends, a post waits for poll, the others "
          "get everything") {
  std::size_t n = 1;
  std::size_t lost_streams = 0;
  std::size_t lost_events = 0;
  std::size_t lost_posts = 0;
  for (;; ++n) {
    CAPTURE(n);
    REQUIRE(n < 5000);
    std::array<frugal_writer::far_end, 4> ends;
    for (auto& e : ends) e.taken.reserve(64 * 1024);
    ends[1].sips = ends[3].sips = true;
    ends[2].completes = true;
    std::array<std::string, 12> data;
    std::array<bool, 12> published = {};
    auto now = ssewire::steady_time{};
    closure_executor on;
    broker b;
    std::array<std::shared_ptr<posted<frugal_writer>>, 4> streams;
    auto const wake = [&] {
      for (std::size_t k = 0; k < ends.size(); ++k) {
        if (std::exchange(ends[k].blocked, false)) streams[k]->writable();
        if (std::exchange(ends[k].pending, false)) streams[k]->written(true);
      }
    };
    std::uint64_t position = 0;
    std::size_t ran = 0;
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = data_of(i + 1);

    support::allocations_failed = 0;
    support::allocations_left = static_cast<long>(n) - 1;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      auto from = b.subscribe("c");
      if (!from) continue;
      try {
        streams[i] = ssewire::post_stream(
            frugal_writer{&ends[i]}, post_to{&on}, std::move(from.value),
            {.body = i % 2 == 0 ? framing::raw : framing::chunked, .preamble = {}}, {10s, 0s});
        streams[i]->start();
      } catch (std::bad_alloc const&) {
        CHECK(ends[i].closed <= 1);
      }
    }
    for (std::size_t i = 0; i < data.size(); ++i) {
      published[i] = static_cast<bool>(b.publish("c", {.data = data[position]}));
      if (published[i]) ++position;
      if (i % 3 == 0 && streams[0]) (void)streams[0]->send({.type = "private", .data = "private"});
      if (i % 2 == 0) ran += on.run();
      if (i % 4 == 0) {
        for (auto& s : streams) {
          if (s) (void)s->poll(now);
        }
        now += 11s;
      }
      wake();
    }
    support::allocations_left = -1;

    for (int i = 0; i < 2000; ++i) {
      ran += on.run();
      wake();
      if (i % 10 != 0) continue;
      for (auto& s : streams) {
        if (s) (void)s->poll(now);
      }
    }
    lost_posts += on.posts - ran;
    for (auto const p : published) lost_events += p ? 0 : 1;
    std::size_t lost = 0;
    std::size_t open = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      CHECK(ends[i].closed <= 1);
      if (!streams[i] || ends[i].closed != 0) {
        ++lost;
        if (streams[i]) CHECK(ends[i].why == close_reason::no_memory);
        continue;
      }
      ++open;
      support::numbered_reader reader;
      reader.begin(0);
      reader.read(ends[i].taken, i % 2 == 0 ? framing::raw : framing::chunked);
      CHECK(reader.next == position + 1);
    }
    CHECK(lost <= 1);
    lost_streams += lost;
    CHECK(b.stats().subscribers == open);
    if (support::allocations_failed == 0) break;
  }
  CHECK(n > 30);
  CHECK(lost_streams > 10);
  CHECK(lost_events > 0);
  CHECK(lost_posts > 0);
  MESSAGE("allocations: " << n << ", " << lost_streams << " streams lost, " << lost_events
                          << " events refused, " << lost_posts << " posts failed");
}

}  // namespace
