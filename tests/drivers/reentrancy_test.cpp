// SPDX-License-Identifier: MIT
// reentrancy_test.cpp - makes each call inside each callback, in a world of its own for each pair. Whatever a
// callback calls, all other streams get every event once and in order, hooks are called at most once for each
// park, and every stream ends exactly once. The address sanitizer finds leaks and uses after the end.
//
// To add a callback, add a row to `callbacks` and call world::inside() from it. To add a call, add a row to
// `calls`.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/broker_bytes.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::pull_status;
using ssewire::stream_state;
using ssewire::wake;
using support::answer;
using support::peer;
using support::scripted_writer;

// ---- locks that nobody may hold while a callback runs ----

std::string cell;  // which pair is being tried
int locks_held = 0;

[[noreturn]] void hangs(char const* why) {
  std::fprintf(stderr, "%s: %s\n", cell.c_str(), why);
  std::abort();
}

struct checked_traits : ssewire::default_traits {
  struct mutex {
    bool held = false;
    void lock() {
      if (std::exchange(held, true)) hangs("a lock is taken that is held already: this would hang");
      ++locks_held;
    }
    void unlock() {
      held = false;
      --locks_held;
    }
  };
  struct condition_variable {
    void wait(std::unique_lock<mutex>&) { hangs("it waits for itself"); }
    void notify_all() noexcept {}
  };
  static int this_thread() noexcept { return 0; }
  static std::uint64_t epoch() noexcept { return 0; }
};

using broker = ssewire::basic_broker<checked_traits>;
using subscription = ssewire::basic_subscription<checked_traits>;
using batch = ssewire::basic_batch<checked_traits>;
using stream = ssewire::stream<scripted_writer, ssewire::basic_subscription<checked_traits>>;
using reactor = ssewire::basic_reactor<scripted_writer, checked_traits>;

// ---- the world ----

// Who may have been ended by a callback's row or by a call. Everybody else must live, and get everything.
enum actor : unsigned {
  nobody = 0,
  own = 1,
  first = 2,
  last = 4,
  single = 8,
  mine = 16,
  other = 32,
  newcomers = 64,
  everybody = 127
};

enum class callback {
  hook_ready,
  hook_ready_by_drain,
  hook_ready_parked_again,
  hook_evicted,
  stream_hook,
  stream_write,
  stream_write_again,
  stream_write_pending,
  stream_closed_in_order,
  stream_closed_by_cut,
  reactor_write,
  reactor_write_again,
  reactor_write_pending,
  reactor_closed_in_order,
  reactor_closed_by_cut,
  reactor_signal,
  filter,
  stream_filter,
  reactor_filter,
  presence_join,
  presence_leave,
};

// What a client has got: the data of the events with IDs, in order.
struct received {
  std::vector<std::string> published;
  std::vector<std::string> ids;
  std::size_t privately = 0;
  bool gap = false;
  bool damaged = false;

  explicit received(std::string_view bytes) {
    ssewire::parser parser;
    auto const result = parser.feed(bytes, [&](ssewire::event const& e) {
      if (e.type.value() == "ssewire.position") return;
      gap = gap || e.type.value() == "ssewire.gap";
      if (e.id.has_value()) {
        published.emplace_back(e.data.value_or(""));
        ids.emplace_back(e.id.value());
      } else {
        ++privately;
      }
    });
    damaged = result.error != errc::ok || result.value != bytes.size();
  }
};

// A subscription with a hook that only counts, unless it is the one of the row.
struct follower {
  subscription s;
  std::string bytes;
  bool parked = false;  // and not woken yet
  int evictions = 0;
  bool inside = false;
  bool closed = false;
  std::string wrong;

  void pull() {
    batch next;
    while (s.pull(next, support::all_room) == pull_status::ready) bytes += next.text();
  }
  bool park() {
    if (!s.park()) return false;
    return parked = true;
  }
  void close() {
    s.close();
    closed = true;
  }
  [[nodiscard]] bool has_ended() const { return closed || s.reason() != close_reason::none; }
  void woken(wake why) {
    if (closed) wrong += "called behind close; ";
    if (inside) wrong += "the hook overlaps itself; ";
    if (evictions != 0) wrong += "called behind evicted; ";
    if (why == wake::evicted) {
      ++evictions;
      parked = false;
    } else if (!std::exchange(parked, false)) {
      wrong += "ready without a park, or twice; ";
    }
  }
};

class world;

struct call {
  char const* name;
  unsigned ends;  // whom it ends
  void (*make)(world&);
  bool if_pending = false;  // it ends them only if a write is pending
};

class world {
 public:
  world(callback row, call const& column, int times) : row_(row), column_(column), left_(times) {
    b.emplace(options());
    in_reactor.emplace(ssewire::loop_signal{&world::signal, this});
    // The last one to park is the first one to be woken.
    subscribe(last_one);
    // Of one with a filter a tick does not know whether it has missed anything.
    bool const is_evicted = row == callback::hook_evicted;
    subscribe(own_one, {.lag = ssewire::lag_policy::close,
                        .filter = is_evicted ? ssewire::event_filter() : filter(callback::filter)});
    subscribe(first_one);
    own_one.s.set_hook(ssewire::wake_hook::of(own_hook));
    first_one.s.set_hook(ssewire::wake_hook::of(first_hook));
    last_one.s.set_hook(ssewire::wake_hook::of(last_hook));

    to_single.at_closed = [this](close_reason, ssewire::ending how) {
      inside(how == ssewire::ending::complete ? callback::stream_closed_in_order
                                              : callback::stream_closed_by_cut);
    };
    to_mine.at_closed = [this](close_reason, ssewire::ending how) {
      inside(how == ssewire::ending::complete ? callback::reactor_closed_in_order
                                              : callback::reactor_closed_by_cut);
    };
    alone.emplace(scripted_writer(to_single), follow(filter(callback::stream_filter)));
    alone->set_hook(ssewire::wake_hook::of(stream_hook));
    mine_id = in_reactor->add(scripted_writer(to_mine), follow(filter(callback::reactor_filter))).value;
    other_id = in_reactor->add(scripted_writer(to_other), follow()).value;
    publish("a");
    settle();
    for (auto* f : {&last_one, &own_one, &first_one}) CHECK(f->park());
  }

  // The row: brings the callback about.
  void happen() {
    armed_ = true;
    switch (row_) {
    case callback::hook_ready:
    case callback::hook_ready_parked_again:
    case callback::stream_hook:
    case callback::reactor_signal: publish("a"); break;
    case callback::filter:
      publish("a");
      own_one.pull();
      break;
    case callback::stream_filter:
      publish("a");
      alone->pump();
      break;
    case callback::reactor_filter:
      publish("a");
      in_reactor->poll(now);
      break;
    case callback::presence_join: subscribe_more(); break;
    case callback::presence_leave: {
      auto leaves = follow();
      leaves.close();
      break;
    }
    case callback::hook_ready_by_drain: drain(); break;
    case callback::hook_evicted:
      publish("a");
      settle(true);
      // What own_one has not pulled is too old now.
      b->tick(start);
      b->tick(start + 5s);  // one that came later would excuse it
      now = start + 10s;
      b->tick(now);
      break;
    case callback::stream_write:
    case callback::stream_write_again:
    case callback::stream_write_pending:
      to_single.script.push_back(answer_of(callback::stream_write_again, callback::stream_write_pending));
      publish("a");
      alone->pump();
      break;
    case callback::stream_closed_in_order:
      publish("a");
      alone->finish();
      pump(*alone);
      break;
    case callback::stream_closed_by_cut:
      publish("a");
      alone->close();
      break;
    case callback::reactor_write:
    case callback::reactor_write_again:
    case callback::reactor_write_pending:
      to_mine.script.push_back(answer_of(callback::reactor_write_again, callback::reactor_write_pending));
      publish("a");
      in_reactor->poll(now);
      break;
    case callback::reactor_closed_in_order:
      publish("a");
      in_reactor->finish(mine_id);
      in_reactor->poll(now);
      break;
    case callback::reactor_closed_by_cut:
      publish("a");
      in_reactor->close(mine_id);
      break;
    }
    CHECK_MESSAGE(made_ > 0, "the callback was never called");
  }

  // Whom the row itself may end.
  [[nodiscard]] unsigned row_ends() const {
    switch (row_) {
    case callback::hook_evicted: return own;
    case callback::stream_closed_in_order:
    case callback::stream_closed_by_cut: return single;
    case callback::reactor_closed_in_order:
    case callback::reactor_closed_by_cut: return mine;
    default: return nobody;
    }
  }

  // Every callback comes by here.
  void inside(callback which) {
    if (which != row_ || !armed_ || left_ == 0) return;
    --left_;
    ++made_;
    if (locks_held != 0) hangs("a lock of the library is held while a callback runs");
    column_.make(*this);
  }

  void publish(std::string_view channel) {
    auto const data = std::string(channel) + std::to_string(++publishes_);
    bool const refused = drained;
    auto const result = b->publish(channel, {.data = data});
    CHECK(result.error == (refused ? errc::closed : errc::ok));
    if (result) journal.emplace_back(result.value.view(), data);
  }
  // Two at once, on two channels: a stream on both gets them once.
  void publish_both() {
    auto const data = std::to_string(++publishes_);
    std::string const first_data = "p" + data;
    std::string const second_data = "q" + data;
    std::string_view const channels[] = {"a", "b"};
    ssewire::event const events[] = {{.data = first_data}, {.data = second_data}};
    bool const refused = drained;
    auto const result = b->publish(std::span(channels), std::span(events));
    CHECK(result.error == (refused ? errc::closed : errc::ok));
    if (!result) return;
    auto const at = std::string(result.value.view());
    journal.emplace_back(at, second_data);
    journal.emplace_back(before(at), first_data);
  }
  // From inside a reactor's own callbacks this only asks for another turn.
  void poll() {
    auto const before = taken();
    auto const result = in_reactor->poll(now);
    switch (row_) {
    case callback::reactor_write:
    case callback::reactor_write_again:
    case callback::reactor_write_pending:
    case callback::reactor_closed_in_order:
    case callback::reactor_closed_by_cut:
    case callback::reactor_filter:
      CHECK(result.more);
      CHECK(taken() == before);
      break;
    default: break;
    }
  }
  void set_filter() { (void)own_one.s.set_filter(filter(callback::filter)); }
  void drain() {
    drained = true;
    b->drain((ssewire::steady_time::max)(), (ssewire::steady_time::max)());
  }

  subscription follow(ssewire::event_filter admits = {}) {
    bool const refused = drained;
    auto result = b->subscribe({"a", "b"}, {.filter = std::move(admits)});
    CHECK(result.error == (refused ? errc::closed : errc::ok));
    return std::move(result.value);
  }

  // A newcomer that came in the middle of things, and what was published before it.
  void subscribe_more() {
    auto& f = one_more();
    f.f.s = follow();
  }
  void add_more() {
    auto& f = one_more();
    bool const refused = drained;
    f.streams = !refused;
    CHECK(in_reactor->add(scripted_writer(f.to), follow()).error == (refused ? errc::closed : errc::ok));
  }

  // Everybody reads what there is, whatever their writers have said before.
  void settle(bool without_own = false) {
    for (int quiet = 0; quiet < 2;) {
      auto const before = taken();
      pull_others();
      if (!without_own) own_one.pull();
      pump(*alone);
      for (int i = 0; i < 1000; ++i) {
        answer_waiting(
            to_mine, [&] { in_reactor->writable(mine_id); }, [&] { in_reactor->written(mine_id, true); });
        answer_waiting(
            to_other, [&] { in_reactor->writable(other_id); }, [&] { in_reactor->written(other_id, true); });
        if (!in_reactor->poll(now).more) break;
        CHECK(i < 999);
      }
      quiet = taken() == before ? quiet + 1 : 0;
    }
  }

  void check() {
    // Life goes on behind it.
    armed_ = false;
    settle();
    for (auto* f : {&last_one, &own_one, &first_one}) (void)f->park();
    publish("b");
    publish("a");
    for (auto const* f : {&last_one, &own_one, &first_one})
      CHECK_UNARY(f->closed || !f->parked);  // all are woken
    settle();

    std::sort(journal.begin(), journal.end());
    auto const ended = row_ends() | column_.ends;
    // What a writer says when nothing is pending means nothing, unless it is inside its write().
    bool const pending = row_ == callback::stream_write_pending || row_ == callback::reactor_write_pending;
    if (!column_.if_pending ||
        (pending && column_.ends == (row_ == callback::stream_write_pending ? single : mine))) {
      for (auto const& [who, has_ended] :
           {std::pair(own, own_one.has_ended()), std::pair(first, first_one.has_ended()),
            std::pair(last, last_one.has_ended()), std::pair(single, !to_single.closed.empty()),
            std::pair(mine, !to_mine.closed.empty()), std::pair(other, !to_other.closed.empty())}) {
        if ((column_.ends & who) != 0) CHECK(has_ended);
      }
    }
    for (auto const* p : {&to_mine, &to_other}) {
      if (!p->closed.empty()) CHECK(p->writer_gone);  // nobody needs it any more
    }
    check(own_one, ended & own, "own");
    check(first_one, ended & first, "first");
    check(last_one, ended & last, "last");
    check(to_single, ended & single, "single");
    check(to_mine, ended & mine, "mine");
    check(to_other, ended & other, "other");
    for (auto const& f : more) {
      auto const got = received(f->streams ? f->to.taken : f->f.bytes);
      CHECK_FALSE(got.gap);
      bool const has_ended = f->streams ? !f->to.closed.empty() : f->f.has_ended();
      if (has_ended && (ended & newcomers) != 0) continue;
      CHECK(got.published == data_behind(drained && got.published.empty() ? journal.size() : f->before));
    }

    // The end: everybody is closed once, and nobody is left.
    for (auto* f : {&own_one, &first_one, &last_one}) f->close();
    for (auto& f : more) f->f.close();
    alone->close();
    in_reactor.reset();
    CHECK(b->stats().subscribers == 0);
    alone.reset();
    b.reset();
    for (auto const* p : {&to_single, &to_mine, &to_other}) check_end(*p);
    for (auto const& f : more) {
      if (f->streams) check_end(f->to);
    }
    for (auto const* f : {&own_one, &first_one, &last_one}) CHECK(f->wrong == "");
  }

  std::optional<broker> b;
  follower own_one;
  follower first_one;  // is woken before it
  follower last_one;   // is woken after it
  peer to_single;
  peer to_mine;
  peer to_other;
  std::optional<stream> alone;
  std::optional<reactor> in_reactor;
  ssewire::stream_id mine_id;
  ssewire::stream_id other_id;
  ssewire::steady_time now = start;
  bool drained = false;

 private:
  struct newcomer {
    follower f;
    peer to;
    std::size_t before = 0;
    bool streams = false;
  };

  newcomer& one_more() {
    auto& f = *more.emplace_back(std::make_unique<newcomer>());
    f.before = b->stats().published;
    return f;
  }

  static constexpr ssewire::steady_time start = ssewire::steady_time{} + 1h;

  ssewire::broker_options options() {
    ssewire::broker_options o;
    o.replay.max_age = 10s;
    o.on_presence = ssewire::presence_hook::of(presence_hook);
    return o;
  }

  // A filter that admits all, and is a callback.
  ssewire::event_filter filter(callback which) {
    return [this, which](ssewire::event_header const&) {
      inside(which);
      return true;
    };
  }

  void subscribe(follower& f, ssewire::subscribe_options how = {}) {
    how.user = "ann";
    f.s = b->subscribe({"a", "b"}, how).value;
    CHECK(bool(f.s));
  }

  static void signal(void* self) noexcept { static_cast<world*>(self)->inside(callback::reactor_signal); }

  [[nodiscard]] answer answer_of(callback again, callback pending) {
    auto a = row_ == again ? answer::again(3) : row_ == pending ? answer::pending() : answer::take();
    auto const row = row_;
    return std::move(a).calling([this, row] { inside(row); });
  }

  void pull_others() {
    first_one.pull();
    last_one.pull();
    for (auto& f : more) f->f.pull();
  }

  // The ID of the position before this one, which is not a power of 16 here.
  static std::string before(std::string id) {
    auto const last = std::stoull(id.substr(id.size() - 3)) - 1;
    auto const digits = std::to_string(last);
    return id.substr(0, id.size() - 3) + std::string(3 - digits.size(), '0') + digits;
  }

  template <class Writable, class Written>
  static void answer_waiting(peer& to, Writable writable, Written written) {
    if (to.blocked()) {
      to.let_go();
      writable();
    }
    if (to.pending()) {
      to.landed();
      written();
    }
  }

  void pump(stream& s) {
    for (int i = 0; i < 1000; ++i) {
      answer_waiting(
          to_single, [&] { s.writable(); }, [&] { s.written(true); });
      auto const state = s.pump();
      if (state == stream_state::idle || (state == stream_state::closed && !to_single.pending())) return;
    }
    CHECK_MESSAGE(false, "the stream never waits");
  }

  [[nodiscard]] std::size_t taken() const {
    auto n = own_one.bytes.size() + first_one.bytes.size() + last_one.bytes.size() + to_single.taken.size() +
             to_mine.taken.size() + to_other.taken.size();
    for (auto const& f : more) n += f->f.bytes.size() + f->to.taken.size();
    return n;
  }

  [[nodiscard]] std::vector<std::string> data_behind(std::size_t before) const {
    std::vector<std::string> data;
    for (auto i = before; i < journal.size(); ++i) data.push_back(journal[i].second);
    return data;
  }

  void check_bytes(std::string_view bytes, bool may_have_ended, bool has_ended) {
    auto const got = received(bytes);
    CHECK_FALSE(got.gap);
    CHECK_FALSE(got.damaged);
    auto const all = data_behind(0);
    if (has_ended && may_have_ended) {
      REQUIRE(got.published.size() <= all.size());
      CHECK(std::equal(got.published.begin(), got.published.end(), all.begin()));
    } else {
      CHECK(got.published == all);
    }
  }
  void check(follower const& f, bool may_have_ended, char const* who) {
    INFO(who);
    bool const ended = f.has_ended();
    if (ended) CHECK(may_have_ended);
    check_bytes(f.bytes, may_have_ended, ended);
  }
  void check(peer const& p, bool may_have_ended, char const* who) {
    INFO(who);
    bool const ended = !p.closed.empty();
    if (ended) CHECK_UNARY(may_have_ended || drained);
    if (drained) CHECK(ended);
    check_bytes(p.taken, may_have_ended, ended);
  }
  static void check_end(peer const& p) {
    CHECK(p.closed.size() == 1);
    CHECK(p.completed + p.cut == 1);
    CHECK(p.writer_gone);
    CHECK(p.violations == "");
  }

  callback row_;
  call const& column_;
  int left_;
  int made_ = 0;
  bool armed_ = false;
  std::size_t publishes_ = 0;
  std::vector<std::pair<std::string, std::string>> journal;  // ID and data
  std::vector<std::unique_ptr<newcomer>> more;

 public:
  // The hooks. They outlive whom they belong to.
  struct own_hook_type {
    world* w;
    void operator()(wake why) noexcept {
      w->own_one.woken(why);
      w->own_one.inside = true;
      if (w->row_ == callback::hook_ready_parked_again && w->armed_) {
        w->own_one.pull();
        (void)w->own_one.park();
      }
      w->inside(why == wake::evicted                           ? callback::hook_evicted
                : w->row_ == callback::hook_ready_by_drain     ? callback::hook_ready_by_drain
                : w->row_ == callback::hook_ready_parked_again ? callback::hook_ready_parked_again
                                                               : callback::hook_ready);
      w->own_one.inside = false;
    }
  };
  struct count_type {
    follower* f;
    void operator()(wake why) noexcept { f->woken(why); }
  };
  struct stream_hook_type {
    world* w;
    void operator()(wake) noexcept { w->inside(callback::stream_hook); }
  };
  struct presence_type {
    world* w;
    void operator()(ssewire::presence const& p) noexcept {
      w->inside(p.now > p.before ? callback::presence_join : callback::presence_leave);
    }
  };
  presence_type presence_hook{this};
  own_hook_type own_hook{this};
  count_type first_hook{&first_one};
  count_type last_hook{&last_one};
  stream_hook_type stream_hook{this};
};

// ---- the table ----

constexpr struct {
  callback which;
  char const* name;
} callbacks[] = {
    {callback::hook_ready, "a wake hook (ready)"},
    {callback::hook_ready_by_drain, "a wake hook (ready, because the broker drains)"},
    {callback::hook_ready_parked_again, "a wake hook (ready) that has parked again"},
    {callback::hook_evicted, "a wake hook (evicted)"},
    {callback::stream_hook, "a stream's wake hook"},
    {callback::stream_write, "a stream's writer.write"},
    {callback::stream_write_again, "a stream's writer.write that answers again"},
    {callback::stream_write_pending, "a stream's writer.write that answers pending"},
    {callback::stream_closed_in_order, "a stream's writer.on_closed, complete"},
    {callback::stream_closed_by_cut, "a stream's writer.on_closed, cut"},
    {callback::reactor_write, "a reactor's writer.write"},
    {callback::reactor_write_again, "a reactor's writer.write that answers again"},
    {callback::reactor_write_pending, "a reactor's writer.write that answers pending"},
    {callback::reactor_closed_in_order, "a reactor's writer.on_closed, complete"},
    {callback::reactor_closed_by_cut, "a reactor's writer.on_closed, cut"},
    {callback::reactor_signal, "a loop_signal"},
    {callback::filter, "a filter"},
    {callback::stream_filter, "a stream's filter"},
    {callback::reactor_filter, "the filter of a reactor's stream"},
    {callback::presence_join, "a presence hook, one more"},
    {callback::presence_leave, "a presence hook, one less"},
};

constexpr call calls[] = {
    {"broker.publish, same channel", nobody, [](world& w) { w.publish("a"); }},
    {"broker.publish, another channel", nobody, [](world& w) { w.publish("b"); }},
    {"broker.subscribe", nobody, [](world& w) { w.subscribe_more(); }},
    {"broker.publish, two on two channels", nobody, [](world& w) { w.publish_both(); }},
    {"broker.subscribers", nobody, [](world& w) { (void)w.b->subscribers("a"); }},
    {"broker.stats", nobody, [](world& w) { (void)w.b->stats(); }},
    {"broker.users", nobody, [](world& w) { (void)w.b->users("a"); }},
    {"broker.tick", nobody, [](world& w) { w.b->tick(w.now); }},
    {"a driver's tick", nobody,
     [](world& w) {
       auto const ticker = w.own_one.s.ticker();
       (void)ticker(w.now);
       (void)ticker(w.now += std::chrono::seconds(2));
     }},
    {"broker.drain", nobody, [](world& w) { w.drain(); }},
    {"broker.close_user", own | first | last, [](world& w) { (void)w.b->close_user("ann"); }},
    {"broker.close_channel", everybody, [](world& w) { (void)w.b->close_channel("a"); }},
    {"broker.close, its own", own, [](world& w) { (void)w.b->close(w.own_one.s.id()); }},
    {"broker.close, one woken before", first, [](world& w) { (void)w.b->close(w.first_one.s.id()); }},
    {"broker.close, one not woken yet", last, [](world& w) { (void)w.b->close(w.last_one.s.id()); }},

    {"subscription.close, its own", own, [](world& w) { w.own_one.close(); }},
    {"subscription.close, one woken before", first, [](world& w) { w.first_one.close(); }},
    {"subscription.close, one not woken yet", last, [](world& w) { w.last_one.close(); }},
    {"subscription.close, all of them", own | first | last,
     [](world& w) {
       w.last_one.close();
       w.first_one.close();
       w.own_one.close();
     }},
    {"subscription.park, its own", nobody, [](world& w) { (void)w.own_one.park(); }},
    {"subscription.park, one woken before", nobody, [](world& w) { (void)w.first_one.park(); }},
    {"subscription.park, one not woken yet", nobody, [](world& w) { (void)w.last_one.park(); }},
    {"subscription.pull, its own", nobody, [](world& w) { w.own_one.pull(); }},
    {"subscription.pull, one woken before", nobody, [](world& w) { w.first_one.pull(); }},
    {"subscription.pull, one not woken yet", nobody, [](world& w) { w.last_one.pull(); }},
    {"subscription.pull and park, its own", nobody,
     [](world& w) {
       w.own_one.pull();
       (void)w.own_one.park();
     }},
    {"subscription.pull and park, one woken before", nobody,
     [](world& w) {
       w.first_one.pull();
       (void)w.first_one.park();
     }},
    {"subscription.pull and park, one not woken yet", nobody,
     [](world& w) {
       w.last_one.pull();
       (void)w.last_one.park();
     }},
    {"subscription.set_hook, its own", nobody,
     [](world& w) { w.own_one.s.set_hook(ssewire::wake_hook::of(w.own_hook)); }},
    {"subscription.set_hook, another", nobody,
     [](world& w) { w.first_one.s.set_hook(ssewire::wake_hook::of(w.first_hook)); }},

    {"subscription.join, its own", nobody,
     [](world& w) {
       (void)w.own_one.s.join("c");
       (void)w.own_one.s.join("a");
     }},
    {"subscription.join, another", nobody, [](world& w) { (void)w.last_one.s.join("c"); }},
    {"subscription.join and leave, another", nobody,
     [](world& w) {
       (void)w.first_one.s.join("c");
       (void)w.first_one.s.leave("c");
     }},
    {"subscription.leave, its own", nobody, [](world& w) { (void)w.own_one.s.leave("c"); }},
    {"subscription.set_filter, its own", nobody, [](world& w) { w.set_filter(); }},

    {"stream.send", nobody, [](world& w) { (void)w.alone->send({.type = "private", .data = "p"}); }},
    {"stream.comment", nobody, [](world& w) { (void)w.alone->comment("c"); }},
    {"stream.heartbeat", nobody, [](world& w) { w.alone->heartbeat(); }},
    {"stream.finish", single, [](world& w) { w.alone->finish(); }},
    {"stream.abort", single, [](world& w) { w.alone->close(); }},
    {"stream.evicted", nobody, [](world& w) { w.alone->evicted(); }},
    {"stream.written, good", nobody,
     [](world& w) {
       w.to_single.landed();
       w.alone->written(true);
     }},
    {"stream.written, failed", single,
     [](world& w) {
       w.to_single.landed();
       w.alone->written(false);
     },
     true},
    {"stream.writable", nobody,
     [](world& w) {
       w.to_single.let_go();
       w.alone->writable();
     }},
    {"stream.pump", nobody, [](world& w) { (void)w.alone->pump(); }},
    {"broker.publish and stream.pump", nobody,
     [](world& w) {
       w.publish("a");
       (void)w.alone->pump();
     }},
    {"stream.set_hook", nobody, [](world& w) { w.alone->set_hook(ssewire::wake_hook::of(w.stream_hook)); }},

    {"reactor.add", nobody, [](world& w) { w.add_more(); }},
    {"reactor.remove, its own", mine, [](world& w) { w.in_reactor->close(w.mine_id); }},
    {"reactor.remove, another", other, [](world& w) { w.in_reactor->close(w.other_id); }},
    {"reactor.remove, both", mine | other,
     [](world& w) {
       w.in_reactor->close(w.mine_id);
       w.in_reactor->close(w.other_id);
     }},
    {"reactor.remove and add", mine,
     [](world& w) {
       w.in_reactor->close(w.mine_id);
       w.add_more();
     }},
    {"reactor.finish, its own", mine, [](world& w) { w.in_reactor->finish(w.mine_id); }},
    {"reactor.finish, another", other, [](world& w) { w.in_reactor->finish(w.other_id); }},
    {"reactor.send, its own", nobody,
     [](world& w) { (void)w.in_reactor->send(w.mine_id, {.type = "private", .data = "p"}); }},
    {"reactor.send, another", nobody,
     [](world& w) { (void)w.in_reactor->send(w.other_id, {.type = "private", .data = "p"}); }},
    {"reactor.poll", nobody, [](world& w) { w.poll(); }},
    {"broker.publish and reactor.poll", nobody,
     [](world& w) {
       w.publish("a");
       w.poll();
     }},
    {"reactor.send and poll", nobody,
     [](world& w) {
       (void)w.in_reactor->send(w.mine_id, {.type = "private", .data = "p"});
       w.poll();
     }},
    {"reactor.writable, its own", nobody,
     [](world& w) {
       w.to_mine.let_go();
       w.in_reactor->writable(w.mine_id);
     }},
    {"reactor.writable, another", nobody,
     [](world& w) {
       w.to_other.let_go();
       w.in_reactor->writable(w.other_id);
     }},
    {"reactor.written, its own, good", nobody,
     [](world& w) {
       w.to_mine.landed();
       w.in_reactor->written(w.mine_id, true);
     }},
    {"reactor.written, its own, failed", mine,
     [](world& w) {
       w.to_mine.landed();
       w.in_reactor->written(w.mine_id, false);
     },
     true},
    {"reactor.written, another", nobody,
     [](world& w) {
       w.to_other.landed();
       w.in_reactor->written(w.other_id, true);
     }},
    {"reactor.size and writer", nobody,
     [](world& w) {
       (void)w.in_reactor->size();
       (void)w.in_reactor->writer(w.mine_id);
     }},
};

}  // namespace

TEST_CASE("every call is legal inside every callback") {
  std::size_t cells = 0;
  for (auto const& row : callbacks) {
    for (auto const& column : calls) {
      ++cells;
      for (int const times : {1, 3}) {  // in one callback, or in each of the first three
        cell = std::string(column.name) + " inside " + row.name + ", " + std::to_string(times);
        INFO(cell);
        world w(row.which, column, times);
        w.happen();
        w.check();
        CHECK(locks_held == 0);
      }
    }
  }
  MESSAGE(cells << " pairs of a callback and a call");
  CHECK(cells == std::size(callbacks) * std::size(calls));
}
