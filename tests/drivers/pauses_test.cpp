// SPDX-License-Identifier: MIT
// A process may stand still: in a debugger, after SIGSTOP, on a machine that sleeps, or in a handler that
// takes a minute. Its peers go on meanwhile, and the process learns afterwards what they did, a few at a
// time. In no driver does one late look at the clock end their streams. A driver that is polled when it asks
// for that, or somewhat late, still finds dead peers.
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/reactor.hpp>

#include <support/broker_bytes.hpp>
#include <support/closure_executor.hpp>
#include <support/events.hpp>
#include <support/random.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::steady_duration;
using ssewire::steady_time;
using ssewire::stream_state;
using support::answer;
using support::closure_executor;
using support::peer;
using support::post_to;
using support::scripted_writer;

using traits = support::epoch_traits;
using broker = ssewire::basic_broker<traits>;
using reactor = ssewire::basic_reactor<scripted_writer, traits>;
using pull_stream = ssewire::pull_stream<ssewire::basic_subscription<traits>>;

constexpr steady_time start = steady_time{} + 1h;
constexpr steady_duration stall = 60s;
constexpr steady_duration pauses[] = {31s, 60s, 61s, 90s, 1h, 24h * 400};

auto follow(broker& b, std::string_view channel = "c") {
  auto result = b.subscribe(channel);
  REQUIRE(result);
  return std::move(result.value);
}

/// Streams of each driver behind one face. All of them wait for their peers once they have begun.
struct streams {
  virtual ~streams() = default;
  virtual std::size_t size() const = 0;
  virtual std::optional<steady_time> poll(steady_time now) = 0;  // a turn; returns when it wants the next
  virtual bool is_open(std::size_t i) const = 0;
  virtual void tell(std::size_t i) = 0;  // what its peer has done meanwhile
};

struct of_reactor : streams {
  broker b;
  bool sends;  // else blocked
  std::vector<std::unique_ptr<peer>> to;
  std::vector<ssewire::stream_id> ids;
  peer idle;
  reactor r{{}, {.heartbeat = 15s, .stall_time = stall}};  // behind the peers, which its end still tells

  // `together`: in step when they begin to wait.
  of_reactor(std::size_t n, bool pending, bool together, bool beside_idle) : sends(pending) {
    for (std::size_t i = 0; i < n; ++i) {
      to.push_back(std::make_unique<peer>());
      ids.push_back(
          r.add(scripted_writer(*to[i]), follow(b, together ? "c" : "c" + std::to_string(i % 7))).value);
    }
    if (beside_idle) REQUIRE(r.add(scripted_writer(idle), follow(b, "idle")));
    while (r.poll(start).more) {
    }
    for (auto const& p : to) {
      p->otherwise = [pending](std::size_t) { return pending ? answer::pending() : answer::again(3); };
    }
    for (int i = 0; i < 7; ++i) b.publish(together ? "c" : "c" + std::to_string(i), {.data = "x"});
    while (r.poll(start).more) {
    }
    for (std::size_t i = 0; i < n; ++i)
      REQUIRE(r.state(ids[i]) == (pending ? stream_state::pending : stream_state::blocked));
  }
  ~of_reactor() override {
    for (auto const& p : to) p->stop_transport();
  }
  std::size_t size() const override { return to.size(); }
  std::optional<steady_time> poll(steady_time now) override {
    for (;;) {
      auto const got = r.poll(now);
      if (!got.more) return got.next;
    }
  }
  bool is_open(std::size_t i) const override { return to[i]->closed.empty(); }
  void tell(std::size_t i) override {
    to[i]->otherwise = nullptr;
    if (sends) {
      to[i]->landed();
      r.written(ids[i], true);
    } else {
      to[i]->let_go();
      r.writable(ids[i]);
    }
  }
};

struct of_posted : streams {
  broker b;
  bool sends;
  closure_executor on;
  std::vector<std::unique_ptr<peer>> to;
  std::vector<
      std::shared_ptr<ssewire::posted_stream<scripted_writer, post_to, ssewire::basic_subscription<traits>>>>
      all;

  of_posted(std::size_t n, bool pending) : sends(pending) {
    for (std::size_t i = 0; i < n; ++i) {
      to.push_back(std::make_unique<peer>());
      to[i]->otherwise = [pending](std::size_t) { return pending ? answer::pending() : answer::again(3); };
      all.push_back(ssewire::post_stream(scripted_writer(*to[i]), post_to{&on}, follow(b), {},
                                         {.heartbeat = 15s, .stall_time = stall}));
      all[i]->start();
    }
    (void)of_posted::poll(start);
  }
  ~of_posted() override {
    for (auto const& p : to) p->stop_transport();
  }
  std::size_t size() const override { return to.size(); }
  std::optional<steady_time> poll(steady_time now) override {
    std::optional<steady_time> next;
    for (auto const& s : all) {
      auto const its = s->poll(now);
      if (its && (!next || *its < *next)) next = its;
    }
    on.run();
    return next;
  }
  bool is_open(std::size_t i) const override { return to[i]->closed.empty(); }
  void tell(std::size_t i) override {
    to[i]->otherwise = nullptr;
    if (sends) {
      to[i]->landed();
      all[i]->written(true);
    } else {
      to[i]->let_go();
      all[i]->writable();
    }
  }
};

struct of_pull : streams {
  broker b;
  std::vector<std::unique_ptr<pull_stream>> all;

  explicit of_pull(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
      all.push_back(std::make_unique<pull_stream>(follow(b), ssewire::stream_options{},
                                                  ssewire::timing_options{15s, stall}));
    (void)of_pull::poll(start);
  }
  std::size_t size() const override { return all.size(); }
  std::optional<steady_time> poll(steady_time now) override {
    std::optional<steady_time> next;
    for (auto const& s : all) {
      auto const its = s->poll(now);
      if (its && (!next || *its < *next)) next = its;
    }
    return next;
  }
  bool is_open(std::size_t i) const override { return all[i]->reason() == close_reason::none; }
  void tell(std::size_t i) override {  // its server asks
    char room[1000];
    (void)all[i]->read(room, sizeof room);
  }
};

template <class Test> void on_each_driver(Test test) {
  for (bool const pending : {false, true}) {
    for (bool const together : {false, true}) {
      for (bool const beside_idle : {false, true}) {
        CAPTURE(pending);
        CAPTURE(together);
        CAPTURE(beside_idle);
        test([=] { return std::make_unique<of_reactor>(200, pending, together, beside_idle); });
      }
    }
    CAPTURE(pending);
    test([=] { return std::make_unique<of_posted>(200, pending); });
  }
  test([] { return std::make_unique<of_pull>(200); });
}

/// Polls when it was asked for, each time so much late. Returns the last time.
steady_time pass(streams& s, steady_time now, steady_duration time, steady_duration late = 0s) {
  auto const end = now + time;
  auto next = s.poll(now);
  while (next && *next + late <= end) next = s.poll(now = *next + late);
  return now;
}

std::size_t open(streams const& s) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < s.size(); ++i) n += s.is_open(i) ? 1u : 0u;
  return n;
}

TEST_CASE(
    "after a pause of the process peers that have read are still there, though that is learnt 64 at a time") {
  on_each_driver([](auto make) {
    for (auto const pause : pauses) {
      for (steady_duration const before : {0s, 20s, 59s}) {  // so long they had been silent already
        for (int polls_first = 0; polls_first < 3; ++polls_first) {
          auto const s = make();
          auto now = pass(*s, start, before) + pause;
          for (int i = 0; i < polls_first; ++i) s->poll(now += 1ms);
          for (std::size_t i = 0; i < s->size(); ++i) {
            s->tell(i);
            if (i % 64 == 63) s->poll(now += 1ms);
          }
          pass(*s, now, 59s);
          CHECK(open(*s) == s->size());
        }
      }
    }
  });
}

TEST_CASE("two pauses in a row, and three, and nothing was learnt between them") {
  on_each_driver([](auto make) {
    for (auto const pause : pauses) {
      auto const s = make();
      auto now = pass(*s, start, 50s);
      for (int i = 0; i < 3; ++i) s->poll(now += pause);
      for (std::size_t i = 0; i < s->size(); ++i) s->tell(i);
      s->poll(now);
      CHECK(open(*s) == s->size());
    }
  });
}

TEST_CASE("after a pause everybody has the whole stall time again, and not more") {
  on_each_driver([](auto make) {
    for (auto const pause : pauses) {
      auto const s = make();
      auto now = pass(*s, start, 50s) + pause;
      auto const resumed = now;
      now = pass(*s, now, 59s);
      CHECK(open(*s) == s->size());
      s->tell(0);
      pass(*s, now, resumed + 61s - now);
      CHECK(open(*s) == 1);
    }
  });
}

TEST_CASE("polled when it asks to be, or somewhat late each time, a driver finds the dead in about the stall "
          "time") {
  on_each_driver([](auto make) {
    for (steady_duration const late : {steady_duration(0s), steady_duration(1ms), steady_duration(1s),
                                       steady_duration(5s), steady_duration(12s), steady_duration(15s)}) {
      CAPTURE(late.count());
      auto const s = make();
      pass(*s, start, 59s, late);
      CHECK(open(*s) == s->size());
      pass(*s, start, 60s + 2 * late, late);
      CHECK(open(*s) == 0);
    }
  });
}

TEST_CASE("a clock that goes back ends nothing") {
  on_each_driver([](auto make) {
    auto const s = make();
    auto const now = pass(*s, start, 50s);
    for (steady_duration const back :
         {steady_duration(1s), steady_duration(50s), steady_duration(1h), start.time_since_epoch()}) {
      s->poll(now - back);
      CHECK(open(*s) == s->size());
    }
    s->poll(now + 1s);
    CHECK(open(*s) == s->size());
    for (std::size_t i = 0; i < s->size(); ++i) s->tell(i);
    pass(*s, now + 1s, 50s);
    CHECK(open(*s) == s->size());
  });
}

TEST_CASE("whatever the pauses, nobody ends who was silent for less than the stall time in which the driver "
          "was polled") {
  support::random random(1);
  for (int round = 0; round < 200; ++round) {
    auto const s = std::make_unique<of_reactor>(5, random.one_in(2), random.one_in(2), random.one_in(2));
    auto now = start;
    auto watched = steady_duration(0s);  // since the last pause
    while (watched < 58s && now < start + 24h) {
      if (random.one_in(8)) {
        s->poll(now += 23s + std::chrono::seconds(random.below(300)));
        watched = 0s;
      } else {
        auto const step = std::chrono::milliseconds(random.below(2000));
        watched += step;
        s->poll(now += step);
      }
      REQUIRE(open(*s) == s->size());
    }
  }
}

TEST_CASE("heartbeats that are due after a pause are sent, one each") {
  broker b;
  peer to[3];
  reactor r({}, {.heartbeat = 15s, .stall_time = stall});
  for (auto& p : to) REQUIRE(r.add(scripted_writer(p), follow(b)));
  while (r.poll(start).more) {
  }
  for (auto& p : to) p.taken.clear();
  while (r.poll(start + 1h).more) {
  }
  for (auto const& p : to) CHECK(p.taken == ":\n\n");
}

}  // namespace
