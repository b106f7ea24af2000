// SPDX-License-Identifier: MIT
// schedules_test.cpp - runs every schedule of small scopes of publish, subscribe, pull, park, close, tick and
// drain. Another task may go first wherever the broker's lock allows that. What each pull brings is compared
// with a model, at the instant at which the pull got the lock.
#include <ssewire/broker/broker.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/scheduler.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::lag_policy;
using ssewire::pull_status;
using ssewire::wake;
using support::exploration;
using support::explore;
using support::scheduler;
using points = scheduler::points;
using order = scheduler::order;

using broker = ssewire::basic_broker<support::scheduled_traits>;
using subscription = ssewire::basic_subscription<support::scheduled_traits>;
using batch = ssewire::basic_batch<support::scheduled_traits>;

constexpr std::size_t all_room = std::size_t{1} << 30;
constexpr std::string_view names[] = {"a", "b"};

// Instants are the order in which calls first got the lock; 0 is before all of them, `never` behind them.
using instant = std::uint64_t;
constexpr instant never = ~instant{0};

std::string id(std::size_t position) {
  auto const digits = std::to_string(position);
  return "000000000000-" + std::string(16 - digits.size(), '0') + digits;
}

// Tasks do not assert: they note the first thing that is wrong.
struct verdict {
  std::string wrong;
  void must(bool holds, std::string_view what) {
    if (!holds && wrong.empty()) wrong = what;
  }
};

struct published {
  instant when = 0;
  std::size_t channel = 0;
  std::string data;
  ssewire::result<ssewire::position_id> result;
};

struct pulled {
  instant when = 0;
  pull_status status = pull_status::nothing;
  std::string text;
};

// A stream's part: subscribes, pulls, parks, waits to be woken. Its members are its own task's, the atomic
// ones apart.
struct reader {
  explicit reader(broker& of) : b(of) {}

  broker& b;
  std::vector<std::string_view> channels = {"a"};
  std::string last_event_id;
  ssewire::subscribe_options how = {};
  bool until_nothing = false;  // pulls until nothing comes before it parks
  bool to_the_end = false;     // ends only when the broker says so; else when it is parked and alone

  subscription s;
  instant subscribed = never;
  errc refused = errc::ok;
  std::vector<pulled> pulls;
  verdict its;

  // The hook's part.
  std::atomic<int> parks{0};
  std::atomic<int> readies{0};
  std::atomic<int> evictions{0};
  std::atomic<int> inside{0};
  std::atomic<bool> woken{false};
  std::atomic<bool> evicted{false};
  std::atomic<char const*> hook_wrong{nullptr};

  void operator()(wake why) noexcept {
    if (inside.fetch_add(1) != 0) hook_wrong = "a hook overlaps itself";
    if (evicted) hook_wrong = "a hook is called behind evicted";
    if (why == wake::ready && readies.fetch_add(1) + 1 > parks) hook_wrong = "ready without a park";
    if (why == wake::evicted) ++evictions;
    (why == wake::ready ? woken : evicted) = true;
    inside.fetch_sub(1);
  }

  bool subscribe() {
    how.last_event_id = last_event_id;
    auto result = scheduler::get().at(subscribed, [&] { return b.subscribe(channels, how); });
    refused = result.error;
    if (!result) return false;
    s = std::move(result.value);
    // Nobody else looks at the hook before it has parked.
    scheduler::get().as_one_step([&] { s.set_hook(ssewire::wake_hook::of(*this)); });
    return true;
  }

  pull_status pull() {
    batch next;
    auto& now = pulls.emplace_back();
    now.status = scheduler::get().at(now.when, [&] { return s.pull(next, all_room); });
    now.text = next.text();
    return now.status;
  }

  bool park() {
    ++parks;
    if (s.park()) return true;
    --parks;
    return false;
  }

  void read() {
    for (;;) {
      auto const status = pull();
      if (status == pull_status::closed || status == pull_status::draining) return;
      if (status == pull_status::ready && until_nothing) continue;
      if (!park()) continue;
      scheduler::get().wait("a wake", [&] {
        return woken.load(std::memory_order_relaxed) || evicted.load(std::memory_order_relaxed) ||
               (!to_the_end && scheduler::get().others_ended());
      });
      if (!woken.exchange(false) && !evicted) return;
    }
  }
};

// What one schedule runs in: a broker, its publishers and one reader.
struct world {
  explicit world(ssewire::broker_options const& o) : options(o), b(o), one(b) {}

  ssewire::broker_options options;
  broker b;
  std::array<std::vector<published>, scheduler::most_tasks + 1> by_task;
  std::vector<instant> ticks;  // the last of them forgets what was there at the first
  instant drained = never;
  instant its_turn = never;  // the reader's, to end
  reader one;
  std::vector<std::function<void()>> parts;                                  // the tasks
  std::function<void(std::string const&)> seen = [](std::string const&) {};  // what came of it, in short

  void publish(std::size_t channel, std::string data) {
    auto& s = scheduler::get();
    auto& p = by_task[s.running()].emplace_back(published{0, channel, std::move(data), {}});
    p.result = s.at(p.when, [&] { return b.publish(names[channel], {.data = p.data}); });
  }
  void tick(ssewire::steady_time now) {
    auto& t = ticks.emplace_back(never);
    scheduler::get().at(t, [&] { b.tick(now); });
  }
  void drain() {
    scheduler::get().at(drained,
                        [&] { b.drain((ssewire::steady_time::max)(), (ssewire::steady_time::max)()); });
    its_turn = drained;
  }
  void drain_in_turns() {
    scheduler::get().at(drained, [&] { b.drain({}, ssewire::steady_time{} + 2h); });
    scheduler::get().at(its_turn, [&] { b.tick(ssewire::steady_time{} + 1h); });
  }

  [[nodiscard]] std::size_t tasks() const { return parts.size(); }
  void run(std::size_t task) { parts[task](); }
  std::string check();
};

// What the broker must have done, from the instants of the calls alone.
struct model {
  explicit model(world const& of) : w(of), r(of.one) {
    for (auto const& task : w.by_task) {
      for (auto const& p : task) {
        its.must(p.result.error == (p.when > w.drained ? errc::closed : errc::ok),
                 "publish is refused behind drain only");
        if (p.result) in_order.push_back(&p);
      }
    }
    std::sort(in_order.begin(), in_order.end(),
              [](auto const* x, auto const* y) { return x->when < y->when; });
    on.resize(r.channels.size());
    for (std::size_t i = 0; i < in_order.size(); ++i) {
      auto const& p = *in_order[i];
      its.must(p.result.value.view() == id(i + 1), "positions are not in the order of the instants");
      if (p.channel < on.size()) on[p.channel].push_back(i + 1);
    }
  }

  world const& w;
  reader const& r;
  verdict its;
  std::vector<published const*> in_order;
  std::vector<std::vector<std::size_t>> on;  // the positions of a channel's events

  // The stream so far.
  std::vector<std::size_t> cursor;
  std::vector<bool> came_late;
  bool unknown = false;
  bool opened = false;
  bool closed = false;
  bool evicted = false;
  std::size_t next_tick = 0;
  std::size_t gaps_told = 0;

  [[nodiscard]] std::size_t sequence(instant when) const {
    std::size_t n = 0;
    while (n < in_order.size() && in_order[n]->when < when) ++n;
    return n;
  }
  [[nodiscard]] std::size_t through(std::size_t channel, std::size_t position) const {
    auto const& all = on[channel];
    return static_cast<std::size_t>(std::upper_bound(all.begin(), all.end(), position) - all.begin());
  }
  [[nodiscard]] std::size_t end(std::size_t channel, instant when) const {
    return through(channel, sequence(when));
  }
  [[nodiscard]] std::size_t lost(std::size_t channel, instant when) const {
    auto const n = end(channel, when);
    auto const by_count = n - (std::min)(n, static_cast<std::size_t>(w.options.replay.max_events));
    bool const aged = w.ticks.size() > 1 && w.ticks.back() < when;
    return (std::max)(by_count, aged ? through(channel, sequence(w.ticks.front())) : 0);
  }
  [[nodiscard]] bool lags(instant when) const {
    for (std::size_t c = 0; c < on.size(); ++c) {
      if (cursor[c] < lost(c, when)) return true;
    }
    return false;
  }

  void subscribe() {
    auto const t = r.subscribed;
    auto from = sequence(t);
    if (!r.last_event_id.empty()) {
      std::size_t k = 0;
      while (k <= from && r.last_event_id != id(k)) ++k;
      unknown = k > from;  // of the future, or no ID at all
      if (!unknown) from = k;
    }
    for (std::size_t c = 0; c < on.size(); ++c) {
      cursor.push_back(through(c, from));
      came_late.push_back(lost(c, t) > cursor[c]);
    }
  }

  // A tick ends a stream that lags and wants that.
  void ticks_before(instant t) {
    for (; next_tick < w.ticks.size() && w.ticks[next_tick] < t; ++next_tick) {
      if (opened && !closed && r.how.lag == lag_policy::close && lags(w.ticks[next_tick] + 1))
        closed = evicted = true;
    }
  }

  // Where the stream stands, as an ID: just before its next event.
  [[nodiscard]] std::string here(instant t) const {
    auto next = sequence(t) + 1;
    for (std::size_t c = 0; c < on.size(); ++c) {
      auto const first = (std::max)(cursor[c], lost(c, t));
      if (first < end(c, t)) next = (std::min)(next, on[c][first]);
    }
    return id(next - 1);
  }

  // What a pull brings at this instant, a line for each event.
  std::string pull(instant t) {
    std::string lines;
    if (!opened || lags(t)) {
      auto const stands = here(t);
      std::vector<std::string> gaps;
      if (std::exchange(unknown, false)) gaps.push_back("\"unknown\"");
      for (std::size_t c = 0; c < on.size(); ++c) {
        auto const missed = (std::max)(cursor[c], lost(c, t)) - cursor[c];
        auto const cause = "\"trimmed\",\"channel\":\"" + std::string(r.channels[c]) + '"';
        if (came_late[c]) {
          gaps.push_back(cause);
        } else if (missed != 0) {
          gaps.push_back(cause + ",\"missed\":" + std::to_string(missed));
        }
        cursor[c] += missed;
        came_late[c] = false;
      }
      gaps_told += gaps.size();
      for (auto const& g : gaps)
        lines += "ssewire.gap {\"reason\":" + g + "} " + (&g == &gaps.back() ? stands : "") + '\n';
      if (!std::exchange(opened, true)) lines += "ssewire.position {} " + stands + '\n';
    }
    for (std::size_t p = 1; p <= sequence(t); ++p) {
      for (std::size_t c = 0; c < on.size(); ++c) {
        if (cursor[c] == end(c, t) || on[c][cursor[c]] != p) continue;
        lines += ' ' + in_order[p - 1]->data + ' ' + id(p) + '\n';
        ++cursor[c];
      }
    }
    return lines;
  }

  static std::string const& lines_of(std::string const& text) {
    static std::map<std::string, std::string> known;  // the schedules bring few different texts
    auto const [at, fresh] = known.try_emplace(text);
    if (!fresh) return at->second;
    auto& lines = at->second;
    ssewire::parser parser;
    auto const result = parser.feed(text, [&](ssewire::event const& e) {
      lines += std::string(e.type.value()) + ' ' + std::string(e.data.value_or("(none)")) + ' ';
      if (e.id.has_value()) lines += e.id.value();
      lines += '\n';
    });
    if (result.error != errc::ok) lines = "damaged";
    return lines;
  }

  void read_stream() {
    if (r.subscribed == never) return;
    its.must(r.refused == (r.subscribed > w.drained ? errc::closed : errc::ok),
             "subscribe is refused behind drain only");
    if (r.refused != errc::ok) return;
    subscribe();
    for (auto const& got : r.pulls) {
      auto const t = got.when;
      ticks_before(t);
      closed = closed || (opened && r.how.lag == lag_policy::close && lags(t));
      auto const due = closed ? std::string() : pull(t);
      auto const status = closed                  ? pull_status::closed
                          : !due.empty()          ? pull_status::ready
                          : w.its_turn < got.when ? pull_status::draining
                                                  : pull_status::nothing;
      auto const& lines = lines_of(got.text);
      its.must(lines == due, "a pull brought\n" + lines + "and should have brought\n" + due);
      its.must(got.status == status, "a pull answered what it should not have");
    }
    ticks_before(never);
    its.must(r.evictions == (evicted ? 1 : 0), "the hook says evicted once, if tick ended the stream");
    if (!closed && !r.pulls.empty()) {
      for (std::size_t c = 0; c < on.size(); ++c)
        its.must(cursor[c] == end(c, never), "the reader has stopped, and there is news: a wake was lost");
    }
  }

  // Which order of calls it was: who published what, and where the reader came in.
  [[nodiscard]] std::string calls() const {
    std::string all;
    bool in = false;
    for (auto const* p : in_order) {
      if (!in && r.subscribed < p->when) {
        all += '|';
        in = true;
      }
      all += p->data;
    }
    return in ? all : all + '|';
  }
};

std::string world::check() {
  model m(*this);
  m.its.must(one.hook_wrong == nullptr, one.hook_wrong == nullptr ? "" : one.hook_wrong.load());
  m.its.must(one.readies <= one.parks && one.readies >= one.parks - 1,
             "one wake for each park, but perhaps the last");
  if (m.its.wrong.empty()) m.read_stream();
  m.its.must(b.stats().gaps == m.gaps_told, "stats count other gaps than were told");
  if (m.its.wrong.empty()) seen(m.calls());
  return m.its.wrong;
}

// A recount of the largest would only cost time, and so would any where schedules are slow: their weight
// says the same.
constexpr bool slow = SSEWIRE_TEST_ASAN || SSEWIRE_TEST_TSAN || !SSEWIRE_TEST_FIBERS;
constexpr std::uint64_t most_recounted = slow ? 0 : 50'000;

// The thread sanitizer makes a schedule cost ten times as much, and needs no certain one to find a race.
// Tasks that are threads cost more still.
bool left_out(std::string const& name) {
  constexpr bool too_slow = SSEWIRE_TEST_TSAN || !SSEWIRE_TEST_FIBERS;
  if (too_slow) MESSAGE(name << ": left out here, it would take too long");
  return too_slow;
}

// Runs all schedules, then again in an order that shares no path with the first: both must count the same
// number.
template <class Make>
exploration all_schedules(std::string const& name, Make make, points where = points::locks) {
  support::asked_schedule const asked(name);
  if (asked.elsewhere) return {};
  auto const all = explore(name, make, {.points = where, .replay = asked.replay});
  INFO("scope " << name);
  CHECK(all.failure == "");
  if (!all.failure.empty() || all.replayed) return all;
  CHECK(all.weight == doctest::Approx(1).epsilon(1e-9));
  MESSAGE(name << ": " << all.schedules << " schedules of up to " << all.most_choices << " choices");
  if (all.schedules > most_recounted) return all;
  auto const again = explore(name, make, {.points = where, .order = order::last_task_first});
  CHECK(again.failure == "");
  CHECK(again.schedules == all.schedules);
  return all;
}

// What came of all schedules, each thing once.
struct outcomes {
  std::set<std::string> all;
  auto note() {
    return [this](std::string const& one) { all.insert(one); };
  }
  [[nodiscard]] std::string text() const {
    std::string list;
    for (auto const& one : all) list += (list.empty() ? "" : ", ") + one;
    return list;
  }
};

ssewire::broker_options log_of(std::uint64_t events) {
  ssewire::broker_options options;
  options.replay.max_events = events;
  return options;
}

}  // namespace

// ---- the enumeration itself ----

namespace {

// Some tasks that take some steps, and what they do in each.
struct toy {
  std::size_t count;
  std::function<void(toy&, std::size_t)> body;
  std::function<std::string(toy&)> end = [](toy&) { return std::string(); };
  std::array<support::scheduled_traits::mutex, 2> guard;
  support::scheduled_traits::condition_variable changed;
  std::atomic<int> value{0};

  [[nodiscard]] std::size_t tasks() const { return count; }
  void run(std::size_t task) { body(*this, task); }
  std::string check() { return end(*this); }
};

auto toys(
    std::size_t count, std::function<void(toy&, std::size_t)> body,
    std::function<std::string(toy&)> end = [](toy&) { return std::string(); }) {
  return [=] {
    auto made = std::make_unique<toy>();
    made->count = count;
    made->body = body;
    made->end = end;
    return made;
  };
}

// (n * k)! / k!^n, without the factorials: one binomial for each task.
std::uint64_t multinomial(std::uint64_t n, std::uint64_t k) {
  std::uint64_t all = 1;
  for (std::uint64_t i = 1; i <= n; ++i) {
    std::uint64_t binomial = 1;
    for (std::uint64_t j = 1; j <= k; ++j) binomial = binomial * ((i - 1) * k + j) / j;
    all *= binomial;
  }
  return all;
}

}  // namespace

TEST_CASE("n tasks of k steps have as many schedules as there are ways to merge them") {
  CHECK(multinomial(3, 2) == 90);
  CHECK(multinomial(2, 3) == 20);
  for (std::size_t n = 1; n <= 4; ++n) {
    for (int k = 1; k <= 4 && n * static_cast<std::size_t>(k) <= 9; ++k) {
      CAPTURE(n);
      CAPTURE(k);
      auto const steps = toys(n, [k](toy&, std::size_t) {
        for (int i = 0; i < k; ++i) scheduler::get().step();
      });
      auto const locks = toys(n, [k](toy& t, std::size_t) {
        for (int i = 0; i < k; ++i) std::unique_lock const held(t.guard[0]);
      });
      for (auto const how : {order::fewest_changes_first, order::last_task_first}) {
        auto const got = explore("toy", steps, {.order = how});
        CHECK(got.schedules == multinomial(n, static_cast<std::uint64_t>(k)));
        CHECK(got.weight == doctest::Approx(1));
        CHECK(explore("toy", locks, {.order = how}).schedules ==
              multinomial(n, static_cast<std::uint64_t>(k)));
      }
      // One more point behind each unlock.
      if (n * static_cast<std::size_t>(k) <= 6)
        CHECK(explore("toy", locks, {.points = points::locks_and_unlocks}).schedules ==
              multinomial(n, 2 * static_cast<std::uint64_t>(k)));
    }
  }
}

TEST_CASE("a lost update is found in the one place where it is, and its schedule shows it again") {
  auto const broken = toys(
      2,
      [](toy& t, std::size_t) {
        scheduler::get().step();
        int const read = t.value;
        scheduler::get().step();
        t.value = read + 1;
      },
      [](toy& t) { return t.value == 2 ? std::string() : "an update was lost"; });
  auto const found = explore("toy", broken);
  CHECK(found.failure.find("an update was lost") == 0);
  CHECK(found.failure.find("SSEWIRE_SCHEDULE='toy:" + found.schedule + "'") != std::string::npos);
  auto const again = explore("toy", broken, {.replay = found.schedule});
  CHECK(again.schedules == 1);
  CHECK(again.failure == found.failure);
  CHECK(explore("toy", broken, {.replay = "aab"}).failure == "");
  CHECK(explore("toy", broken, {.replay = "c"}).failure.find("the schedule does not fit") == 0);

  auto const sound = toys(
      2,
      [](toy& t, std::size_t) {
        std::unique_lock const held(t.guard[0]);
        int const read = t.value;
        scheduler::get().step();
        t.value = read + 1;
      },
      [](toy& t) { return t.value == 2 ? std::string() : "an update was lost"; });
  CHECK(explore("toy", sound).failure == "");
}

TEST_CASE("two locks taken in two orders are found to block for ever") {
  auto const found = explore("toy", toys(2, [](toy& t, std::size_t i) {
                               std::unique_lock const first(t.guard[i]);
                               std::unique_lock const second(t.guard[1 - i]);
                             }));
  CHECK(found.failure.find("nobody can go on: a waits for a lock; b waits for a lock;") == 0);
  CHECK(found.schedule == "ab");
}

TEST_CASE("a wait that looks before it holds the lock is found to sleep through the call") {
  auto const waits = [](bool looks_early) {
    return toys(2, [looks_early](toy& t, std::size_t i) {
      if (i == 1) {
        std::unique_lock const held(t.guard[0]);
        t.value = 1;
        t.changed.notify_all();
        return;
      }
      scheduler::get().step();
      bool const early = t.value == 0;
      std::unique_lock held(t.guard[0]);
      if (looks_early ? early : t.value == 0) t.changed.wait(held);
    });
  };
  CHECK(explore("toy", waits(false)).failure == "");
  CHECK(explore("toy", waits(true)).failure.find("nobody can go on: a waits for notify_all;") == 0);
}

TEST_CASE("a world that is not the same each time is found out") {
  std::atomic<int> runs{0};
  auto const found = explore("toy", toys(2, [&](toy&, std::size_t) {
                               ++runs;
                               scheduler::get().step();
                               if (runs <= 2) scheduler::get().step();
                             }));
  CHECK(found.failure.find("not the same as before") == 0);
}

TEST_CASE("a task that never ends is found") {
  auto const found = explore("toy", toys(1, [](toy&, std::size_t) {
                               for (;;) scheduler::get().step();
                             }));
  CHECK(found.failure.find("it never ends: a") == 0);
}

// ---- the broker ----

// Where only locks are points: what lies between two of them touches nothing of another task's, so a change
// there would come to the same as one at the next lock. The smaller scopes are run with a point behind each
// unlock too, for what the library does wrongly outside its lock, and for the instant at which a hook is
// about to be called and has not begun.

TEST_CASE(
    "two publishers, and a stream that subscribes, pulls, parks and is woken, on a log too short for all") {
  for (bool const until_nothing : {false, true}) {
    outcomes calls;
    auto const make = [&](int events, std::uint64_t held) {
      return [&, events, held] {
        auto w = std::make_unique<world>(log_of(held));
        auto& it = *w;
        it.one.until_nothing = until_nothing;
        it.seen = calls.note();
        it.parts = {[&it, events] {
                      for (int i = 0; i < events; ++i) it.publish(0, std::string(1, "12"[i]));
                    },
                    [&it, events] {
                      for (int i = 0; i < events; ++i) it.publish(0, std::string(1, "xy"[i]));
                    },
                    [&it] {
                      if (it.one.subscribe()) it.one.read();
                    }};
        return w;
      };
    };
    std::string const name = until_nothing ? "wake, pulling until nothing comes" : "wake";
    if (until_nothing && left_out(name)) continue;
    if (all_schedules(name, make(2, 2)).complete()) CHECK(calls.all.size() == 30);  // 6 orders, 5 places
    if (until_nothing || left_out(name + ", unlocks")) continue;
    calls.all.clear();
    if (all_schedules(name + ", unlocks", make(1, 1), points::locks_and_unlocks).complete())
      CHECK(calls.all.size() == 6);  // 2 orders, 3 places
  }
}

TEST_CASE("a stream that comes back with an ID while events are published and forgotten") {
  auto const resumes = [](std::string const& from, std::size_t events, std::uint64_t held, points where) {
    outcomes calls;
    auto const name = "resume from " + from + (where == points::locks ? "" : ", unlocks");
    auto const make = [&] {
      auto w = std::make_unique<world>(log_of(held));
      auto& it = *w;
      it.publish(0, "0");
      it.one.last_event_id = from;
      it.seen = calls.note();
      it.parts = {[&it, events] {
                    for (std::size_t i = 0; i < events; ++i) it.publish(0, std::string(1, "123"[i]));
                  },
                  [&it] {
                    if (it.one.subscribe()) it.one.read();
                  }};
      return w;
    };
    if (all_schedules(name, make, where).complete()) CHECK(calls.all.size() == events + 1);
  };
  // Missing already or missing later, up to date, of the future until it is published, and no ID at all.
  for (auto const& from : {id(0), id(1), id(2), id(4), std::string("hostile")}) {
    resumes(from, 3, 2, points::locks);
    resumes(from, 2, 1, points::locks_and_unlocks);
  }
}

TEST_CASE("a stream on two channels gets both in one order, and what is missing of each") {
  for (std::uint64_t const held : {std::uint64_t{2}, std::uint64_t{1}}) {
    outcomes calls;
    auto const all = all_schedules("two channels, logs of " + std::to_string(held), [&] {
      auto w = std::make_unique<world>(log_of(held));
      auto& it = *w;
      it.one.channels = {"a", "b"};
      it.seen = calls.note();
      it.parts = {[&it] {
                    it.publish(0, "1");
                    it.publish(0, "2");
                  },
                  [&it] {
                    it.publish(1, "x");
                    it.publish(1, "y");
                  },
                  [&it] {
                    if (it.one.subscribe()) it.one.read();
                  }};
      return w;
    });
    if (all.complete()) CHECK(calls.all.size() == 30);
  }
}

TEST_CASE(
    "age takes events, and a stream that lags and wants to be closed is closed by its pull or by tick") {
  for (auto const lag : {lag_policy::tell, lag_policy::close}) {
    outcomes ends;
    auto const all = all_schedules(lag == lag_policy::tell ? "tick, tell" : "tick, close", [&] {
      auto options = log_of(2);
      options.replay.max_age = 10s;
      auto w = std::make_unique<world>(options);
      auto& it = *w;
      it.one.how.lag = lag;
      it.seen = [&](std::string const&) {
        ends.all.insert(it.one.evictions != 0                       ? "tick"
                        : it.one.s.reason() == close_reason::lagged ? "pull"
                                                                    : "no");
      };
      it.parts = {[&it] {
                    for (char const* data : {"1", "2", "3"}) it.publish(0, data);
                  },
                  [&it] {
                    it.tick(ssewire::steady_time{} + 1h);
                    it.tick(ssewire::steady_time{} + 1h + 5s);  // a tick that came later would be excused
                    it.tick(ssewire::steady_time{} + 1h + 10s);
                  },
                  [&it] {
                    if (it.one.subscribe()) it.one.read();
                  }};
      return w;
    });
    if (all.complete()) CHECK(ends.all.size() == (lag == lag_policy::tell ? 1 : 3));
  }
}

TEST_CASE("a drain lets every stream read to the end, refuses what comes after, and wakes who is parked") {
  struct scope {
    char const* name;
    points where;
    bool in_turns;
  };
  for (auto const& [name, where, in_turns] :
       {scope{"drain", points::locks, false}, scope{"drain, unlocks", points::locks_and_unlocks, false},
        scope{"drain, one after the other", points::locks, true},
        scope{"drain, one after the other, unlocks", points::locks_and_unlocks, true}}) {
    if (in_turns && where == points::locks_and_unlocks && left_out(name)) continue;
    bool const two = where == points::locks;
    outcomes ends;
    auto const all = all_schedules(
        name,
        [&, two = two, in_turns = in_turns] {
          auto w = std::make_unique<world>(log_of(2));
          auto& it = *w;
          it.one.to_the_end = true;
          it.seen = [&](std::string const& calls) {
            ends.all.insert(calls + (it.one.refused == errc::ok ? ' ' : '!'));
          };
          it.parts = {[&it, two] {
                        it.publish(0, "1");
                        if (two) it.publish(0, "2");
                      },
                      [&it, in_turns] { in_turns ? it.drain_in_turns() : it.drain(); },
                      [&it] {
                        if (it.one.subscribe()) it.one.read();
                      }};
          return w;
        },
        where);
    // Published before the drain: 0 to 2 events, and the stream came at any place among them, or was
    // refused.
    if (all.complete()) CHECK(ends.all.size() == (two ? 1 + 2 + 3 + 3 : 1 + 2 + 2));
  }
}

// ---- close ----

namespace {

enum class closing { at_once, parked_again, one_of_two, inside, evicted };

// A stream is parked; its hook takes a while; it is closed by another task than those that publish.
struct closing_world {
  struct bell {
    closing_world* in = nullptr;
    subscription s;
    std::atomic<int> inside{0};
    std::atomic<int> calls{0};
    std::atomic<bool> closed{false};

    void operator()(wake) noexcept {
      in->must(!closed, "a hook is called behind close");
      in->must(inside.fetch_add(1) == 0, "a hook overlaps itself");
      ++calls;
      if (in->where == points::locks) scheduler::get().step();
      in->must(!closed, "close returned while the hook ran");
      if (in->how == closing::inside) {
        s.close();
        closed = true;  // there may be others, inside this one, but they must not be called any more
      }
      inside.fetch_sub(1);
    }
  };

  closing_world(closing manner, points interrupted) : how(manner), where(interrupted) {
    for (auto& one : bells) {
      one.in = this;
      one.s = b.subscribe("a").value;
      one.s.set_hook(ssewire::wake_hook::of(one));
      batch next;
      must(one.s.pull(next, all_room) == pull_status::ready, "a stream begins with its position");
      must(one.s.park(), "nothing has been published");
      if (how != closing::one_of_two) break;
    }
  }

  closing how;
  points where;
  broker b;
  std::array<bell, 2> bells;
  std::atomic<char const*> wrong{nullptr};
  bool during = false;  // close() was called while the hook ran
  bool parked = false;
  std::function<void(std::string const&)> seen;

  void must(bool holds, char const* what) {
    if (!holds) wrong = what;
  }

  [[nodiscard]] std::size_t tasks() const { return how == closing::inside ? 2 : 3; }
  void run(std::size_t task) {
    if (task == 1 && how == closing::evicted) {
      b.drain({}, {});
      b.tick(ssewire::steady_time{} + 1h);
    } else if (task < 2) {
      (void)b.publish("a", {.data = "x"});
    } else {
      auto& one = bells[0];
      if (how == closing::parked_again) {
        batch next;
        (void)one.s.pull(next, all_room);
        parked = one.s.park();
      }
      scheduler::get().step();
      during = one.inside != 0;
      one.s.close();
      one.closed = true;
      must(one.inside == 0, "close returned while the hook ran");
    }
  }

  std::string check() {
    auto const& one = bells[0];
    auto const most = how == closing::parked_again || how == closing::evicted ? 2 : 1;
    must(one.calls <= most, "more calls than parks");
    if (how == closing::inside) must(one.calls == 1, "the parked stream must be woken once");
    if (how == closing::one_of_two) must(bells[1].calls == 1, "the other stream must be woken once");
    must(b.stats().subscribers == (how == closing::one_of_two ? 1 : 0), "a closed stream is still counted");
    if (wrong == nullptr)
      seen(std::string(during ? "during " : "") + (parked ? "parked " : "") + std::to_string(one.calls));
    return wrong == nullptr ? "" : wrong.load();
  }
};

}  // namespace

TEST_CASE("close returns when the hook has, and no hook runs behind it") {
  struct {
    closing how;
    char const* name;
    char const* ends;  // how often the hook was called, and what went before
  } const manners[] = {
      {closing::at_once, "close", "0, 1, during 1"},
      {closing::parked_again, "close, parked again",
       "1, during 1, during parked 1, during parked 2, parked 0, parked 1, parked 2"},
      {closing::one_of_two, "close one of two", "0, 1, during 1"},
      {closing::inside, "close inside", "1"},
      {closing::evicted, "close, evicted", "0, 1, 2, during 1, during 2"},
  };
  for (auto const& m : manners) {
    for (auto const where : {points::locks, points::locks_and_unlocks}) {
      auto const name = std::string(m.name) + (where == points::locks ? "" : ", unlocks");
      if (m.how == closing::parked_again && where == points::locks_and_unlocks && left_out(name)) continue;
      outcomes ends;
      auto const all = all_schedules(
          name,
          [&] {
            auto w = std::make_unique<closing_world>(m.how, where);
            w->seen = ends.note();
            return w;
          },
          where);
      if (all.complete() && where == points::locks) CHECK(ends.text() == m.ends);
    }
  }
}

// ---- ended from outside ----

namespace {

// Task 0 publishes. Task 1 signs the user out, and publishes again. Task 2 authenticates, subscribes, reads.
// One stream of the user is parked from the beginning.
struct signing_out_world {
  struct bell {
    std::atomic<int> ready{0};
    std::atomic<int> evicted{0};
    void operator()(wake why) noexcept { ++(why == wake::ready ? ready : evicted); }
  };

  broker b;
  bell old_bell, new_bell;
  subscription old, late;
  errc refused = errc::ok;
  std::uint64_t seen_closes = 0;
  std::string got;
  verdict its;
  std::function<void(std::string const&)> seen;

  explicit signing_out_world() {
    old = std::move(b.subscribe("a", {.user = "ann"}).value);
    old.set_hook(ssewire::wake_hook::of(old_bell));
    read(old, nullptr);
    its.must(old.park(), "nothing has been published");
  }

  static void read(subscription& from, std::string* to) {
    batch next;
    while (from.pull(next, all_room) == pull_status::ready) {
      if (to != nullptr) *to += next.text();
    }
  }

  [[nodiscard]] static std::size_t tasks() { return 3; }
  void run(std::size_t task) {
    if (task == 0) {
      (void)b.publish("a", {.data = "before"});
    } else if (task == 1) {
      auto const ended = b.close_user("ann", ssewire::event{.type = "bye", .data = "x"});
      its.must(ended && *ended >= 1, "the parked stream is ended");
      (void)b.publish("a", {.data = "after"});
    } else {
      seen_closes = b.closes();
      scheduler::get().step();
      auto made = b.subscribe("a", {.user = "ann", .as_of = seen_closes});
      refused = made.error;
      if (!made) return;
      late = std::move(made.value);
      late.set_hook(ssewire::wake_hook::of(new_bell));
      read(late, &got);
      (void)late.park();
    }
  }

  std::string check() {
    its.must(old.reason() == close_reason::revoked, "the parked stream was not ended");
    its.must(old_bell.evicted == 1 && old_bell.ready <= 1,
             "it hears of its end once, and of news at most once");
    std::string last;
    read(old, &last);
    its.must(last == "event: bye\ndata: x\n\n", "the farewell alone is left: " + last);
    bool const has_after = got.find("data: after") != std::string::npos;
    std::string outcome;
    if (refused != errc::ok) {
      its.must(refused == errc::revoked && seen_closes == 0, "refused without a close since");
      outcome = "refused";
    } else if (seen_closes == 0) {
      its.must(late.reason() == close_reason::revoked, "authenticated before the close, and it goes on");
      its.must(!has_after, "an event that was published after the close reached the stream");
      its.must(new_bell.evicted <= 1, "it hears of its end twice");
      outcome = "ended";
    } else {
      its.must(late.reason() == close_reason::none, "authenticated after the close, and it was ended");
      its.must(new_bell.evicted == 0, "it heard of an end");
      outcome = has_after ? "stays, and reads on" : "stays";
    }
    old.close();
    late.close();
    its.must(b.stats().subscribers == 0 && b.stats().users == 0, "something is left");
    if (its.wrong.empty()) seen(outcome);
    return its.wrong;
  }
};

}  // namespace

TEST_CASE("a sign-out ends what was there before it, and lets nobody in who was authenticated before it") {
  outcomes ends;
  auto const all = all_schedules("sign-out", [&] {
    auto w = std::make_unique<signing_out_world>();
    w->seen = ends.note();
    return w;
  });
  if (all.complete()) CHECK(ends.text() == "ended, refused, stays, stays, and reads on");
}
