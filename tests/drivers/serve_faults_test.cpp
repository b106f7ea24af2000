// SPDX-License-Identifier: MIT
// serve_blocking under faults: writers that take any number of bytes, are cut, fail, throw or call back, and
// memory that fails. A client still gets a prefix of well-formed frames, in order, and hears of every gap.
#include <ssewire/drivers/serve_blocking.hpp>

#include <support/broker_bytes.hpp>
#include <support/failing_allocations.hpp>
#include <support/numbered_events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::framing;
using ssewire::write_result;
using ssewire::write_status;
using support::data_of;

/// Its condition variable never sleeps: it lets the test act.
struct traits : support::failing_traits {
  static inline std::function<void()> asleep;

  struct condition_variable {
    void notify_all() noexcept {}
    void wait(std::unique_lock<std::mutex>& held) {
      held.unlock();
      asleep();
      held.lock();
    }
    void wait_until(std::unique_lock<std::mutex>& held, ssewire::steady_time) { wait(held); }
  };
};
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;

constexpr ssewire::blocking_options timeless{.heartbeat = 0s};

struct peer_error {};
constexpr write_result throws{write_status::pending, 1};

/// The peer of a blocking writer. `answers` is given the number of bytes offered; null: all of them are
/// taken.
struct wire {
  std::function<write_result(std::size_t)> answers = {};
  std::string taken = {};
  std::size_t writes = 0;
  std::size_t ends = 0;
  close_reason why = close_reason::none;
  std::string again = {};  // what must come next
  bool is_good = true;

  write_result write(ssewire::buffers offered, bool same_bytes) {
    std::string all;
    for (auto const piece : offered) all += piece;
    is_good = is_good && ends == 0 && !all.empty() && (!same_bytes || again.empty() || all == again);
    ++writes;
    auto const answer = answers ? answers(all.size()) : write_result{write_status::ok, all.size()};
    if (answer.status == throws.status && answer.bytes == throws.bytes) throw peer_error();
    if (answer.bytes > all.size() || answer.status == write_status::closed) return answer;
    taken.append(all, 0, answer.bytes);
    again = answer.status == write_status::again ? all.substr(answer.bytes) : "";
    return answer;
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

template <bool SameBytes> struct writer {
  wire& to;

  write_result write(ssewire::buffers offered) { return to.write(offered, SameBytes); }
  void on_closed(close_reason r, ssewire::ending) {
    ++to.ends;
    to.why = r;
  }
};

struct history {
  support::random random;
  broker b;
  std::uint64_t last = 0;

  explicit history(std::uint64_t seed, std::uint64_t max_events = 1000)
      : random(seed), b({.replay = {.max_events = max_events}}) {}

  void publish(std::size_t events = 1) {
    for (; events != 0; --events) {
      if (b.publish("c", {.data = data_of(last + 1)})) ++last;
    }
  }
  void drain() { b.drain({}, {}, ssewire::reconnection_time(0)); }

  /// 1 to all bytes, with or without `again`; now and then the log moves on meanwhile.
  write_result some(std::size_t offered) {
    if (random.one_in(6)) publish(1 + random.below(4));
    auto const n = 1 + random.below(random.one_in(3) ? offered : (std::min)(offered, std::size_t{40}));
    return {random.one_in(2) ? write_status::ok : write_status::again, n};
  }

  template <bool SameBytes> close_reason serve(wire& to, framing body, support::numbered_reader& reader) {
    reader.begin(last);
    auto from = support::follow(b, {"c"}, reader.last_event_id);
    writer<SameBytes> w{to};
    return ssewire::serve_blocking(
        std::move(from), w,
        {.body = body, .max_write_bytes = 200 + random.below(2000), .same_bytes_again = SameBytes}, timeless);
  }
};

template <bool SameBytes> void run_histories(framing body) {
  std::size_t told = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    history h(seed, 1 + seed % 8);
    wire to;
    to.answers = [&](std::size_t offered) { return h.some(offered); };
    traits::asleep = [&] { h.last < 60 ? h.publish(1 + h.random.below(8)) : h.drain(); };
    support::numbered_reader reader;
    CHECK(h.serve<SameBytes>(to, body, reader) == close_reason::drained);
    CHECK(to.is_good);
    CHECK(to.ends == 1);
    CHECK(to.why == close_reason::drained);
    reader.read(to.taken, body);
    CHECK(reader.next == h.last + 1);
    told += to.taken.find("event: ssewire.gap") != std::string::npos ? 1u : 0u;
  }
  CHECK(told > 10);
}

TEST_CASE("random histories: raw") { run_histories<false>(framing::raw); }
TEST_CASE("random histories: chunked") { run_histories<false>(framing::chunked); }
TEST_CASE("random histories: raw, the same bytes again") { run_histories<true>(framing::raw); }
TEST_CASE("random histories: chunked, the same bytes again") { run_histories<true>(framing::chunked); }

template <bool SameBytes> bool cut_and_resume(framing body, std::size_t cut) {
  history h(cut, 4);
  support::numbered_reader reader;
  wire first;
  first.answers = [&, left = cut](std::size_t offered) mutable -> write_result {
    if (left == 0) return {write_status::closed, 0};
    auto answer = h.some(offered);
    answer.bytes = (std::min)(answer.bytes, left);
    left -= answer.bytes;
    return answer;
  };
  traits::asleep = [&] { h.last < 12 ? h.publish() : h.drain(); };
  bool const was_cut = h.serve<SameBytes>(first, body, reader) == close_reason::peer_gone;
  CHECK(first.is_good);
  CHECK(first.taken.size() <= cut);
  reader.read(first.taken, body);
  if (!was_cut) {
    CHECK(reader.next == h.last + 1);
    return false;
  }
  wire second;
  h.publish(3);
  traits::asleep = [&] { h.drain(); };
  CHECK(h.serve<SameBytes>(second, body, reader) == close_reason::drained);
  reader.read(second.taken, body);
  CHECK((reader.resync || reader.next == h.last + 1));
  return true;
}

TEST_CASE("a connection cut at any byte is resumed: nothing is missing untold, nothing comes twice") {
  std::size_t cut = 0;
  while (cut_and_resume<false>(framing::raw, cut) && cut < 600) ++cut;
  CHECK(cut > 300);
  cut = 0;
  while (cut_and_resume<true>(framing::chunked, cut) && cut < 600) ++cut;
  CHECK(cut > 300);
}

TEST_CASE("the n-th write fails, for every n: nothing follows it, its subscription is closed, the others get "
          "everything") {
  struct row {
    write_result says;
    close_reason why;
  };
  for (auto const& r : {row{{write_status::closed, 0}, close_reason::peer_gone},
                        row{{write_status::again, 0}, close_reason::stalled},
                        row{{write_status::pending, 0}, close_reason::writer_broke_contract},
                        row{{write_status::ok, 0}, close_reason::writer_broke_contract},
                        row{{write_status::again, 1 << 20}, close_reason::writer_broke_contract},
                        row{throws, close_reason::writer_threw}}) {
    bool failed = true;
    std::size_t n = 1;
    for (; failed; ++n) {
      CAPTURE(n);
      REQUIRE(n < 500);
      history h(n);
      support::numbered_reader reader;
      support::numbered_reader other_reader;
      auto other = support::follow(h.b, {"c"});
      other_reader.begin(0);
      wire to;
      to.answers = [&](std::size_t offered) -> write_result {
        return to.writes < n ? write_result{write_status::ok, 1 + offered / 2} : r.says;
      };
      traits::asleep = [&] { h.last < 10 ? h.publish() : h.drain(); };
      bool threw = false;
      try {
        failed = h.serve<false>(to, framing::raw, reader) != close_reason::drained;
      } catch (peer_error const&) {
        threw = true;
      }
      CHECK(threw == (failed && r.why == close_reason::writer_threw));
      CHECK(to.is_good);
      CHECK(to.ends == 1);
      CHECK(to.why == (failed ? r.why : close_reason::drained));
      CHECK(h.b.stats().subscribers == 1);
      CHECK(h.b.stats().closes[static_cast<std::size_t>(to.why)] == 1);
      reader.read(to.taken, framing::raw);
      other_reader.read(support::pull_all(other), framing::raw);
      CHECK(other_reader.next == h.last + 1);
    }
    CHECK(n > 20);
  }
}

TEST_CASE(
    "the n-th allocation fails, for every n: the stream ends with no_memory, or nothing has happened to it") {
  std::size_t lost = 0;
  std::size_t refused = 0;
  long n = 0;
  for (;; ++n) {
    CAPTURE(n);
    REQUIRE(n < 500);
    history h(1);
    std::vector<std::string> data;
    for (std::uint64_t i = 1; i <= 9; ++i) data.push_back(data_of(i));
    support::numbered_reader reader;
    support::numbered_reader other_reader;
    reader.begin(0);
    other_reader.begin(0);
    auto from = support::follow(h.b, {"c"});
    auto other = support::follow(h.b, {"c"});
    struct frugal {  // allocates nothing while it writes
      std::string taken = {};
      close_reason why = close_reason::none;
      write_result write(ssewire::buffers offered) noexcept {
        auto const part = offered.front().substr(0, 100);
        taken += part;
        return {write_status::again, part.size()};
      }
      void on_closed(close_reason r, ssewire::ending) { why = r; }
    } w;
    w.taken.reserve(64 * 1024);
    std::size_t tried = 0;
    traits::asleep = [&] {
      if (tried++ == data.size()) return h.drain();
      h.last += h.b.publish("c", {.data = data[h.last]}) ? 1u : 0u;
    };
    support::allocations_failed = 0;
    support::allocations_left = n;
    bool threw = false;
    try {
      (void)ssewire::serve_blocking(std::move(from), w, {.body = framing::chunked}, timeless);
    } catch (std::bad_alloc const&) {
      threw = true;
    }
    support::allocations_left = -1;
    CHECK(threw == (w.why == close_reason::no_memory));
    CHECK((threw || w.why == close_reason::drained));
    lost += threw ? 1u : 0u;
    refused += !threw && h.last < data.size() ? 1u : 0u;
    CHECK(h.b.stats().subscribers == 1);
    reader.read(w.taken, framing::chunked);
    if (!threw) CHECK(reader.next == h.last + 1);
    other_reader.read(support::pull_all(other), framing::raw);
    CHECK(other_reader.next == h.last + 1);
    if (support::allocations_failed == 0) break;
  }
  CHECK(lost > 3);
  CHECK(refused > 3);
}

TEST_CASE("from inside the writer: publish, tick, drain, subscribe, follow another, end the broker") {
  for (int call = 0; call < 6; ++call) {
    CAPTURE(call);
    auto b = std::make_unique<broker>();
    subscription other = support::follow(*b, {"c"});
    wire to;
    auto from = support::follow(*b, {"c"});
    b->publish("c", {.data = data_of(1)});
    bool called = false;
    to.answers = [&](std::size_t offered) -> write_result {
      if (!std::exchange(called, true)) {
        if (call == 0) b->publish("c", {.data = data_of(2)});
        if (call == 1) b->tick(ssewire::steady_time{1h});
        if (call == 2) b->drain({}, {}, ssewire::reconnection_time(0));
        if (call == 3) other = support::follow(*b, {"c", "d"});
        if (call == 4) other.close();
        if (call == 5) b.reset();
      }
      return {write_status::ok, offered};
    };
    traits::asleep = [&] { b->drain({}, {}, ssewire::reconnection_time(0)); };
    writer<false> w{to};
    CHECK(ssewire::serve_blocking(std::move(from), w, {}, timeless) == close_reason::drained);
    CHECK(to.is_good);
    CHECK(to.ends == 1);
    support::numbered_reader reader;
    reader.begin(0);
    reader.read(to.taken, framing::raw);
    CHECK(reader.next == (call == 0 ? 3 : 2));
  }
}

// As a peer does that takes a byte of each packet.
TEST_CASE("a peer that takes a byte now and then does not outlast its eviction") {
  for (auto const body : {framing::raw, framing::chunked}) {
    for (auto const says : {write_status::again, write_status::ok}) {
      for (std::size_t at = 1; at < 200; at += 7) {
        CAPTURE(at);
        history h(1);
        support::numbered_reader reader;
        wire to;
        auto from = support::follow(h.b, {"c"});
        h.publish(20);
        to.answers = [&](std::size_t) -> write_result {
          if (to.writes == at) {
            h.drain();
            h.b.tick({});
          }
          return {says, 1};
        };
        writer<false> w{to};
        CHECK(ssewire::serve_blocking(std::move(from), w, {.body = body}, timeless) ==
              close_reason::drain_forced);
        CHECK(to.writes == at);
        CHECK(to.why == close_reason::drain_forced);
        CHECK(to.ends == 1);
      }
    }
  }
}

TEST_CASE("evicted behind a write that takes everything, it ends in order") {
  history h(1);
  wire to;
  auto from = support::follow(h.b, {"c"});
  h.publish(2);
  to.answers = [&](std::size_t offered) -> write_result {
    h.drain();
    h.b.tick({});
    return {write_status::ok, offered};
  };
  writer<false> w{to};
  CHECK(ssewire::serve_blocking(std::move(from), w, {.body = framing::chunked}, timeless) ==
        close_reason::drain_forced);
  auto const sent = support::decode_chunked(to.taken);
  CHECK(sent.ended);
  CHECK(sent.body ==
        support::position_event(0) + support::frame(1, data_of(1)) + support::frame(2, data_of(2)));
}

}  // namespace
