// SPDX-License-Identifier: MIT
// Streams under faults: writers that take any number of bytes, stall, are cut or throw, and memory that
// fails. A client still gets a prefix of well-formed frames, in order, and hears of every gap.
#include <ssewire/drivers/reactor.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>
#include <support/failing_allocations.hpp>
#include <support/frugal_writer.hpp>
#include <support/literal_parser.hpp>
#include <support/random.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
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
using support::answer;
using support::frugal_writer;
using support::peer;

using traits = support::failing_traits;
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
template <class Writer> using reactor = ssewire::basic_reactor<Writer, traits>;

constexpr std::size_t channel_count = 3;
constexpr std::array<std::string_view, channel_count> channel_names{"c0", "c1", "c2"};

/// What was published: for each channel the positions and the data, in order.
struct record {
  struct entry {
    std::uint64_t position;
    std::string data;
  };
  std::array<std::vector<entry>, channel_count> channels;
  std::uint64_t last = 0;

  [[nodiscard]] std::size_t index_after(std::size_t channel, std::uint64_t position) const {
    auto const& c = channels[channel];
    return static_cast<std::size_t>(
        std::upper_bound(c.begin(), c.end(), position, [](auto p, auto const& e) { return p < e.position; }) -
        c.begin());
  }
};

/// A client over all its connections.
struct client {
  peer* wire = nullptr;  // of the connection it has now
  std::vector<std::size_t> channels;
  std::string last_event_id = {};
  std::array<std::size_t, channel_count> next = {};  // index of what must come next
  std::array<bool, channel_count> resync = {};       // a gap without a number was told
  std::uint64_t seen = 0;

  void begin(record const& all) {
    std::uint64_t from = all.last;
    if (!last_event_id.empty()) from = std::stoull(last_event_id.substr(13));
    seen = from;
    for (auto const c : channels) {
      next[c] = all.index_after(c, from);
      resync[c] = false;
    }
  }

  /// All that the connection has brought, once it is over.
  void read(record const& all, std::string_view bytes, framing body) {
    std::string decoded;
    if (body == framing::chunked) {
      auto const chunks = support::decode_chunked(bytes);
      CHECK(chunks.error == "");
      decoded = chunks.body;
    } else {
      decoded = bytes;
    }
    auto const got = support::parse_whole(decoded);
    CHECK(got.error == ssewire::errc::ok);
    CHECK_UNARY(static_cast<support::outcome const&>(got) == support::literal::parse(decoded));
    bool opened = false;
    for (auto const& e : got.events) {
      if (e.type == "ssewire.position") CHECK_FALSE(std::exchange(opened, true));
      if (e.type.empty()) CHECK(opened);
      event(all, e);
    }
    if (!got.last_event_id.empty()) last_event_id = got.last_event_id;
  }

  void event(record const& all, support::recorded_event const& e) {
    REQUIRE(e.data);
    if (e.type == "ssewire.gap") {
      auto const at = e.data->find("\"channel\":\"c");
      REQUIRE(at != std::string::npos);
      auto const c = static_cast<std::size_t>((*e.data)[at + 12] - '0');
      REQUIRE(c < channel_count);
      auto const missed = e.data->find("\"missed\":");
      if (missed == std::string::npos) {
        resync[c] = true;
      } else {
        next[c] += std::stoull(e.data->substr(missed + 9));
        CHECK(next[c] <= all.channels[c].size());
      }
    } else if (e.type.empty() && e.id) {
      auto const position = std::stoull(e.id->substr(13));
      CHECK(position > seen);
      std::size_t const c = static_cast<std::size_t>((*e.data)[1] - '0');
      REQUIRE(c < channel_count);
      auto const index = all.index_after(c, position) - 1;
      CHECK(all.channels[c][index].data == *e.data);
      CHECK((resync[c] ? index >= next[c] : index == next[c]));
      resync[c] = false;
      next[c] = index + 1;
    }
    if (e.id) {
      auto const position = std::stoull(e.id->substr(13));
      CHECK(position >= seen);
      seen = position;
    }
  }

  void check_complete(record const& all) const {
    for (auto const c : channels) CHECK((resync[c] || next[c] == all.channels[c].size()));
  }
};

template <class Writer> struct history {
  support::random random;
  framing body;
  broker b;
  record all = {};
  std::vector<std::unique_ptr<peer>> wires = {};
  std::vector<client> clients = {};
  reactor<Writer> r{{}, {10s, 0s}};
  std::vector<ssewire::stream_id> ids = {};
  ssewire::steady_time now = ssewire::steady_time{} + 1h;

  history(std::uint64_t seed, framing f, std::uint64_t max_events)
      : random(seed), body(f), b({.replay = {.max_events = max_events, .max_bytes = 20'000}}) {}
  ~history() {
    for (auto const& w : wires) w->stop_transport();
  }

  void connect(std::size_t i) {
    auto& c = clients[i];
    std::vector<std::string_view> names;
    for (auto const channel : c.channels) names.push_back(channel_names[channel]);
    auto from = b.subscribe(names, {.last_event_id = c.last_event_id});
    REQUIRE(from);
    c.begin(all);
    wires.push_back(std::make_unique<peer>());
    c.wire = wires.back().get();
    c.wire->chunked = body == framing::chunked;
    auto const added = r.add(
        Writer(*c.wire), std::move(from.value),
        {.body = body, .max_write_bytes = 200 + random.below(2000), .same_bytes_again = Writer::same_bytes});
    REQUIRE(added);
    if (ids.size() <= i) ids.resize(i + 1);
    ids[i] = added.value;
  }

  void publish() {
    auto const c = random.below(random.one_in(2) ? 2 : channel_count);
    auto data = "c" + std::to_string(c) + ':' + std::to_string(all.last);
    if (random.one_in(3)) data.append(random.below(random.one_in(10) ? 6000 : 300), 'x');
    auto const done = b.publish(channel_names[c], {.data = data});
    if (!done) return;
    all.channels[c].push_back({++all.last, std::move(data)});
  }

  void wake(std::size_t i) {
    auto& w = *clients[i].wire;
    if (w.blocked()) {
      w.let_go();
      r.writable(ids[i]);
    } else if (w.pending()) {
      w.landed();
      r.written(ids[i], true);
    }
  }

  void finish() {
    for (auto const& c : clients) c.wire->otherwise = {};
    for (int i = 0; i < 200; ++i) {
      bool const more = r.poll(now).more;
      bool waits = false;
      for (std::size_t k = 0; k < clients.size(); ++k) {
        auto const& w = *clients[k].wire;
        waits = waits || w.blocked() || w.pending();
        wake(k);
      }
      if (!more && !waits) return;
    }
    FAIL("it never comes to rest");
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
};

template <class Writer> void run_histories(framing body, std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    history<Writer> h(seed, body, 2 + seed % 9);
    for (std::size_t i = 0; i < 1 + seed % 3; ++i) {
      client c;
      for (std::size_t k = 0; k < channel_count; ++k) {
        if (k == i || h.random.one_in(2)) c.channels.push_back(k);
      }
      h.clients.push_back(std::move(c));
      h.connect(i);
      h.clients[i].wire->otherwise = [&h](std::size_t size) { return h.moody(size); };
    }
    for (int step = 0; step < 80; ++step) {
      auto const who = h.random.below(h.clients.size());
      switch (h.random.below(6)) {
      case 0:
      case 1: h.publish(); break;
      case 2: h.wake(who); break;
      case 3: (void)h.r.send(h.ids[who], {.type = "private", .data = "p"}); break;
      case 4: h.now += std::chrono::seconds(h.random.below(12)); [[fallthrough]];
      default: (void)h.r.poll(h.now);
      }
      for (auto const& w : h.wires) w->check_in_flight("in between");
      // Now and then a connection is cut, wherever it is, and the client comes back.
      if (!h.random.one_in(40)) continue;
      auto& c = h.clients[who];
      c.wire->landed();
      h.r.close(h.ids[who]);
      h.r.written(h.ids[who], true);
      c.read(h.all, c.wire->taken, body);
      h.connect(who);
      c.wire->otherwise = [&h](std::size_t size) { return h.moody(size); };
    }
    h.finish();
    for (auto& c : h.clients) {
      CHECK(c.wire->closed.empty());
      c.read(h.all, c.wire->taken, body);
      c.check_complete(h.all);
    }
  }
}

TEST_CASE("random histories: raw") { run_histories<support::scripted_writer>(framing::raw, 60); }
TEST_CASE("random histories: chunked") { run_histories<support::scripted_writer>(framing::chunked, 60); }
TEST_CASE("random histories: raw, the same bytes again") {
  run_histories<support::scripted_tls_writer>(framing::raw, 60);
}
TEST_CASE("random histories: chunked, the same bytes again") {
  run_histories<support::scripted_tls_writer>(framing::chunked, 60);
}

// The connection is cut behind `cut` bytes. False: it had no more than that.
template <class Writer> bool cut_and_resume(std::uint64_t seed, framing body, std::size_t cut) {
  history<Writer> h(seed, body, 4);
  h.clients.push_back({.channels = {0, 2}});
  h.clients.push_back({.channels = {0, 1, 2}});
  h.connect(0);
  h.connect(1);
  auto& wire = *h.clients[0].wire;
  wire.otherwise = [&](std::size_t size) {
    auto const left = cut - wire.taken.size();
    if (left == 0) return answer::closed();
    auto const n = (std::min)(left, 1 + h.random.below(size));
    return h.random.one_in(3) ? answer::again(n) : answer::take(n);
  };
  for (int step = 0; step < 14; ++step) {
    h.publish();
    if (h.random.one_in(2)) (void)h.r.poll(h.now);
    h.wake(0);
  }
  for (int i = 0; i < 60; ++i) {
    (void)h.r.poll(h.now);
    h.wake(0);
  }
  bool const was_cut = !wire.closed.empty();
  if (was_cut) {
    CHECK(wire.closed == std::vector<close_reason>{close_reason::peer_gone});
    CHECK(wire.taken.size() == cut);
    h.clients[0].read(h.all, wire.taken, body);
    for (int i = 0; i < 3; ++i) h.publish();
    h.connect(0);
  }
  h.finish();
  for (auto& c : h.clients) {
    c.read(h.all, c.wire->taken, body);
    c.check_complete(h.all);
  }
  return was_cut;
}

TEST_CASE("a connection cut at any byte is resumed: nothing is missing untold, nothing comes twice") {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    INFO("seed " << seed);
    std::size_t cut = 0;
    for (; cut_and_resume<support::scripted_writer>(seed, framing::raw, cut) && cut < 500;) ++cut;
    CHECK(cut > 300);
    cut = 0;
    for (; cut_and_resume<support::scripted_tls_writer>(seed, framing::chunked, cut) && cut < 500;) ++cut;
    CHECK(cut > 300);
  }
}

TEST_CASE("the n-th write fails, for every n: its own stream ends, the others get everything") {
  for (int how = 0; how < 3; ++how) {
    bool failed = true;
    for (std::size_t n = 0; failed; ++n) {
      CAPTURE(how);
      CAPTURE(n);
      history<support::scripted_writer> h(n, framing::chunked, 100);
      for (std::size_t i = 0; i < 3; ++i) {
        h.clients.push_back({.channels = {0, 1, 2}});
        h.connect(i);
      }
      auto& victim = *h.clients[1].wire;
      victim.otherwise = [&](std::size_t size) {
        if (victim.offers.size() <= n) return answer::take(1 + size / 2);
        return how == 0   ? answer::raise()
               : how == 1 ? answer::closed()
                          : answer::exactly(ssewire::write_status::ok, 0);
      };
      for (int i = 0; i < 10; ++i) {
        h.publish();
        (void)h.r.poll(h.now);
      }
      for (int i = 0; i < 10; ++i) (void)h.r.poll(h.now);
      failed = !victim.closed.empty();
      h.finish();
      for (std::size_t i = 0; i < 3; ++i) {
        auto& c = h.clients[i];
        c.read(h.all, c.wire->taken, framing::chunked);
        if (i != 1 || !failed) c.check_complete(h.all);
      }
      if (failed) CHECK(h.r.size() == 2);
      REQUIRE(n < 500);
    }
  }
}

TEST_CASE("the n-th allocation fails, for every n: its own stream ends, the others get everything") {
  std::size_t n = 1;
  std::size_t lost_streams = 0;
  std::size_t lost_events = 0;
  for (;; ++n) {
    CAPTURE(n);
    std::array<frugal_writer::far_end, 4> ends;
    for (auto& e : ends) e.taken.reserve(64 * 1024);
    ends[1].sips = ends[3].sips = true;
    std::array<client, 4> clients;
    for (auto& c : clients) c.channels = {0, 1};
    record all;
    std::string const large(5000, 'x');
    std::array<std::string, 12> data;
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = "c" + std::to_string(i % 2) + ":" + (i == 5 ? large : "small");
    all.channels[0].reserve(20);
    all.channels[1].reserve(20);
    broker b;
    reactor<frugal_writer> r({}, {10s, 0s});
    std::array<ssewire::stream_id, 4> ids;
    std::array<bool, 4> is_in = {};

    support::allocations_failed = 0;
    support::allocations_left = static_cast<long>(n) - 1;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      auto from = b.subscribe({"c0", "c1"});
      if (!from) {
        CHECK(from.error == ssewire::errc::no_memory);
        continue;
      }
      auto const added = r.add(frugal_writer{&ends[i]}, std::move(from.value),
                               {.body = i % 2 == 0 ? framing::raw : framing::chunked, .preamble = {}});
      is_in[i] = static_cast<bool>(added);
      ids[i] = added.value;
      CHECK((added || added.error == ssewire::errc::no_memory));
    }
    std::array<bool, 12> published = {};
    auto now = ssewire::steady_time{};
    for (std::size_t i = 0; i < data.size(); ++i) {
      auto const done = b.publish(channel_names[i % 2], {.data = data[i]});
      published[i] = static_cast<bool>(done);
      CHECK((done || done.error == ssewire::errc::no_memory));
      if (i % 3 == 0) (void)r.send(ids[0], {.type = "private", .data = "private"});
      if (i % 2 == 0) (void)r.poll(now += 11s);
      for (std::size_t k = 0; k < ids.size(); ++k) {
        if (std::exchange(ends[k].blocked, false)) r.writable(ids[k]);
      }
    }
    support::allocations_left = -1;

    for (int i = 0; i < 2000; ++i) {
      (void)r.poll(now);
      for (std::size_t k = 0; k < ids.size(); ++k) {
        if (std::exchange(ends[k].blocked, false)) r.writable(ids[k]);
      }
    }
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (published[i]) all.channels[i % 2].push_back({++all.last, data[i]});
      if (!published[i]) ++lost_events;
    }
    std::size_t lost = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      CHECK(ends[i].closed <= 1);
      if (!is_in[i] || ends[i].closed != 0) {
        ++lost;
        if (is_in[i]) CHECK(ends[i].why == close_reason::no_memory);
        continue;
      }
      clients[i].read(all, ends[i].taken, i % 2 == 0 ? framing::raw : framing::chunked);
      clients[i].check_complete(all);
    }
    CHECK(lost <= 1);
    lost_streams += lost;
    CHECK(b.stats().subscribers == r.size());
    if (support::allocations_failed == 0) break;
    REQUIRE(n < 5000);
  }
  CHECK(n > 30);
  CHECK(lost_streams > 10);
  CHECK(lost_events > 0);
}

}  // namespace
