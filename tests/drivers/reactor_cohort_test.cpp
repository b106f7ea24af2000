// SPDX-License-Identifier: MIT
// Streams of one reactor that follow the same channel in step share one hook, one pull and one write. Each of
// them still gets what it would get alone, whatever it or the others do. The number of hooks that a publish
// calls shows which streams are in step.
#include <ssewire/drivers/reactor.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/events.hpp>
#include <support/failing_allocations.hpp>
#include <support/random.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using ssewire::errc;
using ssewire::framing;
using ssewire::lag_policy;
using ssewire::poll_result;
using ssewire::steady_time;
using ssewire::stream_id;
using support::answer;
using support::frame;
using support::gap_event;
using support::peer;
using support::position_event;
using support::scripted_tls_writer;
using support::scripted_writer;

// The broker asks for the thread once for each hook that it calls.
struct traits : support::failing_traits {
  static inline std::size_t hooks = 0;
  static auto this_thread() noexcept {
    ++hooks;
    return failing_traits::this_thread();
  }
};

using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
template <class Writer> using reactor_of = ssewire::basic_reactor<Writer, traits>;
using reactor = reactor_of<scripted_writer>;

constexpr steady_time at(ssewire::steady_duration since) { return steady_time{} + 1h + since; }

std::vector<close_reason> once(close_reason why) { return {why}; }

std::string in_chunk(std::string const& body) {
  return std::string(ssewire::chunk_head(body.size()).view()) + body + "\r\n";
}

std::string body_of(std::string const& bytes, framing body) {
  if (body == framing::raw) return bytes;
  auto const got = support::decode_chunked(bytes);
  CHECK(got.error == "");
  CHECK(got.at_border);
  return got.body;
}

/// A broker and a reactor with many streams.
template <class Writer> struct crowd_of {
  broker b;
  std::size_t signals = 0;
  std::vector<std::unique_ptr<peer>> to;
  std::unique_ptr<reactor_of<Writer>> r;
  std::vector<stream_id> ids;
  std::uint64_t last = 0;  // position

  explicit crowd_of(std::size_t streams, ssewire::stream_options const& options = {},
                    ssewire::broker_options limits = {}, ssewire::timing_options timing = {0s, 0s})
      : b([&] {
          limits.ticks = ssewire::ticked_by::program;
          return limits;
        }()),
        r(std::make_unique<reactor_of<Writer>>(
            ssewire::loop_signal{[](void* self) noexcept { ++static_cast<crowd_of*>(self)->signals; }, this},
            timing)) {
    for (std::size_t i = 0; i < streams; ++i) join(options);
    run();
    for (auto const& p : to) p->taken.clear();
    for (auto const& p : to) p->offers.clear();
  }
  crowd_of(crowd_of const&) = delete;
  crowd_of& operator=(crowd_of const&) = delete;
  ~crowd_of() {
    for (auto const& p : to) p->stop_transport();
  }

  std::size_t join(ssewire::stream_options options = {}, lag_policy lag = lag_policy::tell,
                   std::string_view channel = "c") {
    auto from = b.subscribe(channel, {.lag = lag});
    REQUIRE(from);
    to.push_back(std::make_unique<peer>());
    to.back()->chunked = options.body == framing::chunked;
    options.same_bytes_again = Writer::same_bytes;
    auto const added = r->add(Writer(*to.back()), std::move(from.value), options);
    REQUIRE(added);
    ids.push_back(added.value);
    return ids.size() - 1;
  }

  /// Returns how many hooks it called.
  std::size_t publish(std::string_view data, std::string_view channel = "c") {
    auto const before = traits::hooks;
    REQUIRE(b.publish(channel, {.data = data}));
    ++last;
    return traits::hooks - before;
  }

  poll_result run(steady_time now = at(0s)) {
    for (int i = 0; i < 10'000; ++i) {
      auto const result = r->poll(now);
      if (!result.more) return result;
    }
    FAIL("poll() never ends");
    return {};
  }

  void let_go(std::size_t i) {
    to[i]->let_go();
    r->writable(ids[i]);
  }
  void landed(std::size_t i) {
    to[i]->landed();
    r->written(ids[i], true);
  }

  /// Serves them until all are idle.
  void settle(steady_time now = at(0s)) {
    for (int i = 0; i < 10'000; ++i) {
      run(now);
      bool waits = false;
      for (std::size_t k = 0; k < to.size(); ++k) {
        if (!to[k]->closed.empty()) continue;
        if (to[k]->blocked()) let_go(k), waits = true;
        if (to[k]->pending()) landed(k), waits = true;
      }
      if (!waits) return;
    }
    FAIL("it never comes to rest");
  }

  [[nodiscard]] std::uint64_t delivered() { return b.stats().delivered; }
};
using crowd = crowd_of<scripted_writer>;

// ---- who is in step ----

TEST_CASE("a publish calls one hook for all streams of a reactor that follow one channel") {
  for (auto const body : {framing::raw, framing::chunked}) {
    crowd c(50, {.body = body});
    CHECK(c.signals == 0);
    for (std::uint64_t i = 1; i <= 3; ++i) {
      CHECK(c.publish("x") == 1);
      CHECK(c.signals == i);
      CHECK(c.publish("y") == 0);  // not parked until it has been served
      CHECK(c.signals == i);
      CHECK_FALSE(c.run().more);
    }
    std::string all;
    for (std::uint64_t i = 1; i <= 6; i += 2) {
      auto const both = frame(i, "x") + frame(i + 1, "y");
      all += body == framing::raw ? both : in_chunk(both);
    }
    for (auto const& p : c.to) CHECK(p->taken == all);
    for (auto const& p : c.to) CHECK(p->offers.size() == 3);
    CHECK(c.delivered() == 50 * 6);
    CHECK(c.b.stats().replayed == 0);
  }
}

TEST_CASE(
    "streams with another channel, framing, size of a write or reactor have a hook of their own cohort") {
  crowd c(4);
  for (int i = 0; i < 3; ++i) c.join({.body = framing::chunked});
  for (int i = 0; i < 3; ++i) c.join({.max_write_bytes = 100});
  for (int i = 0; i < 3; ++i) c.join({}, lag_policy::close);
  for (int i = 0; i < 3; ++i) c.join({}, lag_policy::tell, "other");
  c.run();
  std::vector<std::unique_ptr<peer>> to;
  reactor second;
  for (int i = 0; i < 3; ++i) {
    to.push_back(std::make_unique<peer>());
    REQUIRE(second.add(scripted_writer(*to.back()), std::move(c.b.subscribe("c").value)));
  }
  while (second.poll(at(0s)).more) {
  }
  CHECK(c.publish("x") == 4);  // the policy is each stream's own
  CHECK(c.publish("y", "other") == 1);
  c.run();
  while (second.poll(at(0s)).more) {
  }
  for (std::size_t i = 0; i < 13; ++i)
    CHECK(support::parse_whole(body_of(c.to[i]->taken, i >= 4 && i < 7 ? framing::chunked : framing::raw))
              .events.back()
              .data == "x");
  for (std::size_t i = 13; i < 16; ++i) CHECK(c.to[i]->taken == position_event(0) + frame(2, "y"));
  for (auto const& p : to) CHECK(p->taken == position_event(0) + frame(1, "x"));
}

TEST_CASE("a stream on several channels goes alone, and so does one whose channel nobody else follows") {
  peer both;
  crowd c(3);
  auto from = c.b.subscribe({"c", "d"});
  auto const id = c.r->add(scripted_writer(both), std::move(from.value)).value;
  c.run();
  CHECK(c.publish("1") == 2);
  c.run();
  CHECK(c.publish("2", "d") == 1);
  c.run();
  CHECK(both.taken == position_event(0) + frame(1, "1") + frame(2, "2"));
  c.r->close(id);
  CHECK(c.publish("3") == 1);
  c.run();
  for (auto const& p : c.to) CHECK(p->taken == frame(1, "1") + frame(3, "3"));

  crowd one(1);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    CHECK(one.publish("x") == 1);
    one.run();
  }
  CHECK(one.to[0]->taken == frame(1, "x") + frame(2, "x") + frame(3, "x"));
}

TEST_CASE("a newcomer comes in step when it first becomes idle, also where one was alone") {
  crowd c(1);
  for (std::size_t i = 1; i <= 20; ++i) {
    c.join();
    c.run();
    (void)c.publish("x");
    c.run();
    CHECK(c.publish("y") == 1);
    c.run();
    for (std::size_t k = 1; k < c.to.size(); ++k) {
      std::string all = position_event(2 * k - 2);
      for (std::uint64_t e = 2 * k - 1; e <= c.last; ++e) all += frame(e, e % 2 != 0 ? "x" : "y");
      CHECK(c.to[k]->taken == all);
    }
  }
}

TEST_CASE("a stream with a filter goes alone") {
  peer few;
  crowd c(3);
  ssewire::event_filter const odd([](ssewire::event_header const& e) { return e.tag % 2 == 1; });
  auto from = c.b.subscribe("c", {.filter = odd});
  REQUIRE(c.r->add(scripted_writer(few), std::move(from.value)));
  c.run();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) {
    auto const before = traits::hooks;
    REQUIRE(c.b.publish("c", {.data = "x"}, {.tag = tag}));
    CHECK(traits::hooks - before == 2);
    c.run();
  }
  CHECK(few.taken.find(frame(1, "x") + frame(3, "x")) != std::string::npos);
  CHECK(few.taken.find(frame(2, "x")) == std::string::npos);
  for (auto const& p : c.to) CHECK(p->taken == frame(1, "x") + frame(2, "x") + frame(3, "x") + frame(4, "x"));
}

TEST_CASE("a channel has sixteen leaders at most: further kinds of streams go alone") {
  crowd c(2);
  for (std::size_t i = 1; i <= 40; ++i) {
    for (int k = 0; k < 2; ++k) c.join({.max_write_bytes = 100 * i});
  }
  c.run();
  for (int i = 0; i < 3; ++i) {
    CHECK(c.publish("x") == 16 + 25 * 2);
    c.run();
  }
  for (auto const& p : c.to) {
    auto const events = support::parse_whole(p->taken).events;
    CHECK(std::count_if(events.begin(), events.end(), [](auto const& e) { return e.data == "x"; }) == 3);
  }
}

TEST_CASE("two framings are two cohorts, also where their writes are of one size") {
  crowd c(3, {.body = framing::raw, .max_write_bytes = 1000});
  for (int i = 0; i < 3; ++i) c.join({.body = framing::chunked, .max_write_bytes = 1000});
  c.run();
  CHECK(c.publish("x") == 2);
  CHECK(c.signals == 1);  // one is enough for both
  c.run();
  for (std::size_t i = 0; i < 3; ++i) CHECK(c.to[i]->taken == frame(1, "x"));
  for (std::size_t i = 3; i < 6; ++i)
    CHECK(c.to[i]->taken == in_chunk(position_event(0)) + in_chunk(frame(1, "x")));
}

TEST_CASE("a leader is no subscriber: it is not counted, and keeps no channel alive") {
  crowd c(5, {}, {.max_channels = 1, .max_subscribers = 5});
  CHECK(c.b.stats().subscribers == 5);
  CHECK(c.b.subscribers("c") == 5);
  CHECK(c.b.subscribe("c").error == errc::too_many_subscribers);
  for (auto const id : c.ids) c.r->close(id);
  CHECK(c.b.stats().subscribers == 0);
  CHECK(c.b.stats().channels == 0);
  CHECK(c.b.stats().closes[static_cast<std::size_t>(close_reason::removed)] == 5);
  CHECK(c.publish("x", "other") == 0);  // the one channel that there may be

  std::vector<std::uint64_t> told;
  auto const hear = [&](ssewire::presence const& p) noexcept { told.push_back(p.now); };
  {
    crowd heard(3, {}, {.max_subscribers_per_channel = 3, .on_presence = ssewire::presence_hook::of(hear)});
    CHECK(heard.b.subscribe("c").error == errc::channel_full);
    for (auto const id : heard.ids) heard.r->close(id);
  }
  CHECK(told == std::vector<std::uint64_t>{1, 2, 3, 2, 1, 0});
}

TEST_CASE("a channel that outlives its followers by its events is quiet: nobody's hook is called") {
  crowd c(5);
  (void)c.publish("x");
  c.run();
  for (auto const id : c.ids) c.r->close(id);
  CHECK(c.publish("y") == 0);
  c.run();
  CHECK(c.b.stats().channels == 1);
  c.join();
  c.join();
  c.run();
  CHECK(c.publish("z") == 1);
  c.run();
  for (std::size_t i = 5; i < 7; ++i) CHECK(c.to[i]->taken == position_event(2) + frame(3, "z"));
}

TEST_CASE("when all but one have gone, and when all are away, nothing is signalled in vain for long") {
  crowd c(4);
  for (std::size_t i = 1; i < 4; ++i) c.r->close(c.ids[i]);
  CHECK(c.publish("1") == 1);
  c.to[0]->script.push_back(answer::again(3));
  c.run();
  CHECK(c.to[0]->blocked());
  auto const before = c.signals;
  for (int i = 2; i <= 5; ++i) CHECK(c.publish(std::to_string(i)) == 0);
  CHECK(c.signals == before);
  c.settle();
  CHECK(c.to[0]->taken == frame(1, "1") + frame(2, "2") + frame(3, "3") + frame(4, "4") + frame(5, "5"));
  CHECK(c.publish("6") == 1);
}

// ---- falling out and coming back ----

/// Members 0, 2 and 4 answer as usual; 1 and 3 answer so.
template <class Writer> void falls_out(framing body, answer const& how) {
  crowd_of<Writer> c(5, {.body = body});
  (void)c.publish("1");
  (void)c.publish(std::string(100, '2'));
  auto const both = frame(1, "1") + frame(2, std::string(100, '2'));
  for (auto const i : {1, 3}) c.to[static_cast<std::size_t>(i)]->script.push_back(how);
  c.run();
  for (auto const i : {0, 2, 4}) CHECK(body_of(c.to[static_cast<std::size_t>(i)]->taken, body) == both);
  (void)c.publish("3");
  c.settle();
  (void)c.publish("4");
  c.settle();
  for (auto const& p : c.to) {
    CHECK(p->closed.empty());
    CHECK(body_of(p->taken, body) == both + frame(3, "3") + frame(4, "4"));
  }
  CHECK(c.delivered() == 5 * 4);
  CHECK(c.b.stats().delivered_bytes == 5 * c.b.stats().published_bytes);
  CHECK(c.b.stats().replayed == 0);
  CHECK(c.b.stats().gaps == 0);
  // All are in step again; those that want the same bytes again never are.
  CHECK(c.publish("5") == (Writer::same_bytes ? 5 : 1));
  c.run();
  for (auto const& p : c.to)
    CHECK(body_of(p->taken, body) == both + frame(3, "3") + frame(4, "4") + frame(5, "5"));
}

template <class Writer> void falls_out_in_every_way(framing body) {
  auto const size =
      frame(1, "1").size() + frame(2, std::string(100, '2')).size() + (body == framing::chunked ? 6 : 0);
  for (std::size_t taken = 0; taken <= size; ++taken) {
    CAPTURE(taken);
    falls_out<Writer>(body, answer::again(taken));
    if (taken != 0) falls_out<Writer>(body, answer::take(taken));
  }
  falls_out<Writer>(body, answer::pending());
}

TEST_CASE("wherever a writer in step stops, the rest follows, and it comes back: raw") {
  falls_out_in_every_way<scripted_writer>(framing::raw);
}
TEST_CASE("wherever a writer in step stops, the rest follows, and it comes back: chunked") {
  falls_out_in_every_way<scripted_writer>(framing::chunked);
}
TEST_CASE("wherever a writer in step stops, the rest follows, and it comes back: the same bytes again") {
  falls_out_in_every_way<scripted_tls_writer>(framing::raw);
  falls_out_in_every_way<scripted_tls_writer>(framing::chunked);
}

TEST_CASE("a writer that takes one buffer at a time stays in step") {
  for (std::size_t const piece : {std::size_t{1}, std::size_t{7}, std::size_t{40}}) {
    crowd c(6, {.body = framing::chunked});
    for (std::size_t i = 0; i < 3; ++i) {
      c.to[i]->otherwise = [piece](std::size_t) { return answer::take(piece); };
    }
    for (std::uint64_t i = 1; i <= 5; ++i) {
      CHECK(c.publish("x") == 1);
      CHECK_FALSE(c.r->poll(at(0s)).more);
    }
    for (auto const& p : c.to) CHECK(support::decode_chunked(p->taken).chunks.size() == 5);
    CHECK(c.delivered() == 6 * 5);
  }
}

TEST_CASE(
    "a writer that takes a part, and of the rest a part, falls out; one that then sends the rest keeps it") {
  for (auto const body : {framing::raw, framing::chunked}) {
    for (int how = 0; how < 4; ++how) {
      crowd c(3, {.body = body}, {.replay = {.max_events = 2}});
      auto& p = *c.to[1];
      p.script.push_back(answer::take(5));
      p.script.push_back(how == 0   ? answer::again(9)
                         : how == 1 ? answer::again()
                         : how == 2 ? answer::pending()
                                    : answer::closed());
      (void)c.publish("1");
      c.run();
      CHECK(p.closed.size() == (how == 3 ? 1 : 0));
      for (int i = 2; i <= 9; ++i) {
        (void)c.publish(std::to_string(i));
        c.run();
        p.check_in_flight("later");
      }
      c.settle();
      if (how == 3) continue;
      CHECK(body_of(p.taken, body) ==
            frame(1, "1") + gap_event(7, "{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":6}") +
                frame(8, "8") + frame(9, "9"));
      CHECK(c.publish("10") == 1);
    }
  }
}

TEST_CASE("bug 4: one that answers AGAIN is blocked, and its rest is sent when it can be") {
  crowd c(3);
  c.to[1]->script.push_back(answer::again(10));
  (void)c.publish("1");
  c.run();
  CHECK(c.to[1]->taken == frame(1, "1").substr(0, 10));
  for (int i = 2; i <= 4; ++i) {
    CHECK(c.publish(std::to_string(i)) == 1);
    c.run();
    CHECK(c.to[1]->offers.size() == 1);
  }
  c.let_go(1);
  c.run();
  for (auto const& p : c.to) CHECK(p->taken == frame(1, "1") + frame(2, "2") + frame(3, "3") + frame(4, "4"));
  CHECK(c.publish("5") == 1);
}

TEST_CASE("one that fails ends alone") {
  for (int how = 0; how < 5; ++how) {
    CAPTURE(how);
    crowd c(5);
    using ssewire::write_status;
    answer answers[] = {answer::closed(), answer::raise(), answer::exactly(write_status::ok, 0),
                        answer::exactly(write_status::ok, 1000), answer::exactly(write_status::again, 1000)};
    close_reason const reasons[] = {close_reason::peer_gone, close_reason::writer_threw,
                                    close_reason::writer_broke_contract, close_reason::writer_broke_contract,
                                    close_reason::writer_broke_contract};
    c.to[2]->script.push_back(answers[how]);
    (void)c.publish("x");
    c.run();
    CHECK(c.to[2]->closed == once(reasons[how]));
    CHECK(c.to[2]->cut == 1);
    CHECK(c.to[2]->writer_gone);
    CHECK(c.r->size() == 4);
    CHECK(c.b.stats().subscribers == 4);
    CHECK(c.publish("y") == 1);
    c.run();
    for (std::size_t i = 0; i < 5; ++i) {
      if (i != 2) CHECK(c.to[i]->taken == frame(1, "x") + frame(2, "y"));
    }
    CHECK(c.delivered() == 5 + 4);  // it was handed the first
  }
}

TEST_CASE("what is sent to one alone goes to it alone, and it comes back") {
  crowd c(4, {}, {}, {.heartbeat = 10s, .stall_time = 0s});
  CHECK(c.r->send(c.ids[1], {.data = "x", .id = "7"}) == errc::id_refused);
  CHECK(c.r->send(c.ids[1], {.data = std::string(100'000, 'x')}) == errc::outbox_full);
  CHECK(c.publish("1") == 1);  // refused: it is still in step
  CHECK(c.r->send(c.ids[2], {.data = "p"}) == errc::ok);
  c.run();
  CHECK(c.r->send(c.ids[0], {.data = "q"}) == errc::ok);
  (void)c.publish("2");  // it was served before the others, and so it parks alone once more
  c.run();
  (void)c.publish("3");
  c.run();
  CHECK(c.publish("4") == 1);
  c.run();
  auto const rest = frame(2, "2") + frame(3, "3") + frame(4, "4");
  CHECK(c.to[0]->taken == frame(1, "1") + "data: q\n\n" + rest);
  CHECK(c.to[1]->taken == frame(1, "1") + rest);
  CHECK(c.to[2]->taken == "data: p\n\n" + frame(1, "1") + rest);
  CHECK(c.delivered() == 16);
}

TEST_CASE("calls that mean nothing to an idle stream leave it in step") {
  crowd c(3);
  for (auto const id : c.ids) {
    c.r->writable(id);
    c.r->written(id, true);
    c.r->written(id, false);
  }
  CHECK_FALSE(c.r->poll(at(0s)).more);
  CHECK(c.publish("1") == 1);
  c.run();
  for (auto const& p : c.to) CHECK(p->taken == frame(1, "1"));
}

TEST_CASE(
    "one that is finished gets what was published before its end, as it does alone, and the others go on") {
  crowd c(4, {.body = framing::chunked});
  c.r->finish(c.ids[1]);
  (void)c.publish("1");
  c.run();
  CHECK(c.to[1]->taken == "0\r\n\r\n");
  CHECK(c.to[1]->closed == once(close_reason::finished));
  CHECK(c.r->size() == 3);
  CHECK(c.publish("2") == 1);
  c.run();
  for (auto const i : {0u, 2u, 3u})
    CHECK(c.to[i]->taken == in_chunk(frame(1, "1")) + in_chunk(frame(2, "2")));
}

// ---- calls from inside a writer ----

TEST_CASE(
    "whatever one does to another from inside its writer, nobody is skipped and nobody is served twice") {
  // 0 remove, 1 send, 2 finish, 3 writable, 4 written, 5 add, 6 publish, 7 remove and add, 8 written(false),
  // 9 poll, 10 remove all before, 11 remove all behind
  for (auto const body : {framing::raw, framing::chunked}) {
    for (int what = 0; what < 12; ++what) {
      for (std::size_t who = 0; who < 5; ++who) {
        for (std::size_t whom = 0; whom < 5; ++whom) {
          for (int how = 0; how < 4; ++how) {
            CAPTURE(what);
            CAPTURE(who);
            CAPTURE(whom);
            CAPTURE(how);
            crowd c(5, {.body = body});
            (void)c.publish("1");
            auto const act = [&] {
              switch (what) {
              case 0: c.r->close(c.ids[whom]); break;
              case 1: CHECK(c.r->send(c.ids[whom], {.data = "p"}) == errc::ok); break;
              case 2: c.r->finish(c.ids[whom]); break;
              case 3:
                if (who == whom) c.to[whom]->let_go();
                c.r->writable(c.ids[whom]);
                break;
              case 4: c.r->written(c.ids[whom], true); break;
              case 5: c.join({.body = body}); break;
              case 6: (void)c.publish("2"); break;
              case 7:
                c.r->close(c.ids[whom]);
                c.join({.body = body});
                break;
              case 8: c.r->written(c.ids[(who + 1) % 5], false); break;
              case 9: CHECK(c.r->poll(at(0s)).more); break;
              case 10:
                for (std::size_t i = 0; i < who; ++i) c.r->close(c.ids[i]);
                break;
              default:
                for (std::size_t i = who + 1; i < 5; ++i) c.r->close(c.ids[i]);
              }
            };
            answer answers[] = {answer::take(), answer::again(3), answer::take(7), answer::pending()};
            c.to[who]->script.push_back(std::move(answers[how]).calling(act));
            c.settle();
            (void)c.publish("3");
            c.settle();
            std::size_t alive = 0;
            for (std::size_t i = 0; i < c.to.size(); ++i) {
              auto const& p = *c.to[i];
              CHECK(p.closed.size() <= 1);
              if (!p.closed.empty()) continue;
              ++alive;
              std::vector<std::string> data;
              for (auto const& e : support::parse_whole(body_of(p.taken, body)).events) {
                if (e.type.empty() && e.id) data.push_back(e.data.value_or("none"));
              }
              std::vector<std::string> expected{"1", "3"};
              if (what == 6) expected = {"1", "2", "3"};
              if (i >= 5) expected = {"3"};  // it came after the first
              CHECK(data == expected);
              bool const was_sent = p.taken.find("data: p\n") != std::string::npos;
              CHECK(was_sent == (what == 1 && i == whom));
            }
            CHECK(c.r->size() == alive);
            CHECK(c.b.stats().subscribers == alive);
            CHECK(c.publish("4") == 1);
            c.settle();
          }
        }
      }
    }
  }
}

TEST_CASE("bug 1: what is published while the flight is offered is not lost") {
  crowd c(4);
  std::size_t more = 20;
  for (auto const& p : c.to) {
    p->otherwise = [&](std::size_t) {
      if (more == 0) return answer::take();
      return answer::take().calling([&] {
        --more;
        (void)c.publish("x");
      });
    };
  }
  (void)c.publish("x");
  c.run();
  CHECK(c.last == 21);
  std::string all;
  for (std::uint64_t i = 1; i <= 21; ++i) all += frame(i, "x");
  for (auto const& p : c.to) CHECK(p->taken == all);
  CHECK(c.publish("y") == 1);
}

TEST_CASE("bug 2: streams that go between the hook and the turn are in nobody's way") {
  for (std::size_t first = 0; first < 4; ++first) {
    for (std::size_t count = 1; count <= 4; ++count) {
      crowd c(4);
      (void)c.publish("1");
      for (std::size_t i = 0; i < count; ++i) c.r->close(c.ids[(first + i) % 4]);
      c.run();
      CHECK(c.r->size() == 4 - count);
      c.join();
      c.join();
      c.run();
      CHECK(c.publish("2") == 1);
      c.run();
      for (std::size_t i = 0; i < c.to.size(); ++i) {
        if (!c.to[i]->closed.empty()) CHECK(c.to[i]->taken.empty());
        if (c.to[i]->closed.empty())
          CHECK(c.to[i]->taken == (i < 4 ? frame(1, "1") : position_event(1)) + frame(2, "2"));
      }
    }
  }
}

TEST_CASE("bug 7: a turn ends although every writer publishes") {
  peer modest;
  crowd c(10);
  for (auto const& p : c.to) {
    p->otherwise = [&](std::size_t) { return answer::take().calling([&] { (void)c.publish("x"); }); };
  }
  REQUIRE(c.r->add(scripted_writer(modest), std::move(c.b.subscribe("quiet").value)));
  (void)c.publish("x");
  for (int i = 0; i < 20; ++i) {
    (void)c.publish("y", "quiet");
    CHECK(c.r->poll(at(0s)).more);
  }
  CHECK(support::parse_whole(modest.taken).events.size() == 21);
  for (auto const& p : c.to) CHECK(p->offers.size() <= 20);
}

// ---- pending ----

TEST_CASE("a flight that several streams are sending lives until the last of them has been told written") {
  for (auto const body : {framing::raw, framing::chunked}) {
    std::array<std::size_t, 3> order{0, 1, 2};
    do {
      crowd c(4, {.body = body}, {.replay = {.max_events = 1}});
      for (std::size_t i = 0; i < 3; ++i) c.to[i]->script.push_back(answer::pending());
      auto const first = std::string(6000, 'x');
      (void)c.publish(first);
      c.run();
      for (auto const i : order) {
        for (int k = 0; k < 5; ++k) {
          (void)c.publish(std::string(6000, 'y'));
          c.run();
        }
        for (auto const& p : c.to) p->check_in_flight("in between");
        if (i == 1) {  // also when it has been removed meanwhile
          c.r->close(c.ids[i]);
          CHECK_FALSE(c.to[i]->writer_gone);
        }
        c.landed(i);
        CHECK(c.to[i]->writer_gone == (i == 1));
        c.run();
      }
      auto const all = support::parse_whole(body_of(c.to[3]->taken, body)).events;
      CHECK(all.size() == 16);
      for (auto const i : {0u, 2u}) {
        auto const events = support::parse_whole(body_of(c.to[i]->taken, body)).events;
        REQUIRE(events.size() >= 3);
        CHECK(events[0].data == first);
        CHECK(events[1].type == "ssewire.gap");
        CHECK(events.back() == all.back());
      }
      CHECK(c.publish("z") == 1);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE(
    "who still sends what the log has forgotten is ended when too much of it is held, and nobody else") {
  for (auto const body : {framing::raw, framing::chunked}) {
    crowd c(6, {.body = body}, {.replay = {.max_events = 1}, .max_pinned_bytes = 20'000});
    c.to[1]->script.push_back(answer::pending());
    c.to[2]->script.push_back(answer::take(9));
    c.to[2]->script.push_back(answer::pending());
    c.to[3]->script.push_back(answer::again(9));
    c.to[4]->script.push_back(answer::again());
    c.to[5]->script.push_back(answer::again(answer::all));  // it has it all, and waits
    (void)c.publish(std::string(30'000, 'x'));
    c.run();
    auto const pinned_too_much = [&] {
      return c.b.stats().closes[static_cast<std::size_t>(close_reason::pinned_too_much)];
    };
    for (int i = 0; i < 6; ++i) {
      (void)c.publish("y");
      c.run();
      for (auto const& p : c.to) p->check_in_flight("in between");
    }
    CHECK(pinned_too_much() == 3);  // of 1, 2 and 3; what 4 was offered it must pull again
    for (auto const i : {1u, 2u, 3u}) CHECK(c.to[i]->closed == once(close_reason::pinned_too_much));
    for (auto const i : {1u, 2u}) c.landed(i);
    CHECK(c.b.stats().pinned_bytes == 0);
    c.settle();
    for (auto const i : {0u, 4u, 5u}) CHECK(c.to[i]->closed.empty());
    CHECK(c.publish("z") == 1);
  }
}

TEST_CASE("a pending write of one in step that fails, or that is done at once") {
  crowd c(3, {}, {.replay = {.max_events = 1}});
  auto const large = std::string(6000, 'x');
  c.to[0]->script.push_back(answer::pending().calling([&] { c.landed(0); }));
  c.to[1]->script.push_back(answer::pending());
  (void)c.publish(large);
  c.run();
  CHECK_FALSE(c.to[0]->pending());
  c.to[1]->landed();
  c.r->written(c.ids[1], false);
  CHECK(c.to[1]->closed == once(close_reason::peer_gone));
  CHECK(c.publish("2") == 1);
  c.run();
  for (auto const i : {0u, 2u}) CHECK(c.to[i]->taken == frame(1, large) + frame(2, "2"));
  CHECK(c.b.stats().pinned_bytes == 0);
}

TEST_CASE("a reactor that is destroyed while a flight is being sent") {
  crowd c(600);
  for (auto const i : {3u, 5u, 100u}) c.to[i]->script.push_back(answer::pending());
  (void)c.publish(std::string(6000, 'x'));
  CHECK(c.r->poll(at(0s)).more);  // in the middle of the round
  for (auto const& p : c.to) p->stop_transport();
  c.r.reset();
  for (auto const& p : c.to) CHECK(p->closed == once(close_reason::removed));
  CHECK(c.b.stats().subscribers == 0);
  CHECK(c.publish("y") == 0);
}

// ---- lag, drain, the end ----

TEST_CASE("bug 5: a burst larger than the log between two turns is told to each, with its number") {
  for (int const events : {3, 4, 5, 50}) {
    crowd c(10, {}, {.replay = {.max_events = 3}});
    (void)c.publish("before");
    c.run();
    for (auto const& p : c.to) p->taken.clear();
    for (int i = 1; i <= events; ++i) (void)c.publish(std::to_string(i));
    c.run();
    std::string all;
    auto const missed = events - 3;
    if (missed > 0)
      all = gap_event(c.last - 3,
                      "{\"reason\":\"trimmed\",\"channel\":\"c\",\"missed\":" + std::to_string(missed) + "}");
    for (int i = events - 2; i <= events; ++i)
      all += frame(static_cast<std::uint64_t>(i + 1), std::to_string(i));
    for (auto const& p : c.to) CHECK(p->taken == all);
    CHECK(c.b.stats().gaps == (missed > 0 ? 10 : 0));
    CHECK(c.delivered() == 10 * 4);
    CHECK(c.publish("after") == 1);
    c.run();
    for (auto const& p : c.to) CHECK(p->taken == all + frame(c.last, "after"));
  }
}

TEST_CASE(
    "streams in step whose policy is close are found lagging by their own pull, not by the broker's tick") {
  crowd c(4, {}, {.replay = {.max_events = 3}});
  for (int i = 0; i < 3; ++i) c.join({}, lag_policy::close);
  c.run();
  for (int i = 0; i < 10; ++i) {  // more than the log holds, and nobody lags
    (void)c.publish("served");
    c.run();
    c.b.tick(at(0s));
    CHECK(c.r->size() == 7);
  }
  for (auto const& p : c.to) p->taken.clear();
  for (int i = 0; i < 3; ++i) (void)c.publish("x");
  c.b.tick(at(0s));
  for (int i = 0; i < 3; ++i) (void)c.publish("x");  // now they lag
  auto const before = traits::hooks;
  c.b.tick(at(1s));
  CHECK(traits::hooks == before);  // their leader's has been called
  c.run();
  for (std::size_t i = 4; i < 7; ++i) {
    CHECK(c.to[i]->closed == once(close_reason::lagged));
    CHECK(c.to[i]->taken.empty());
  }
  CHECK(c.r->size() == 4);
  CHECK(c.b.stats().gaps == 4);
  CHECK(c.publish("y") == 1);
}

TEST_CASE("without a tick their own pull finds them") {
  crowd c(2, {}, {.replay = {.max_events = 3}});
  c.join({}, lag_policy::close);
  c.run();
  for (int i = 0; i < 4; ++i) (void)c.publish("x");
  c.run();
  CHECK(c.to[2]->closed == once(close_reason::lagged));
  CHECK(c.to[2]->completed == 1);
  CHECK(c.r->size() == 2);
}

TEST_CASE("a drain tells each its own time to come back, also those in step and behind a part of a round") {
  for (std::size_t const streams : {5u, 300u}) {
    for (bool const dirty : {false, true}) {
      crowd c(streams, {.body = framing::chunked});
      if (dirty) {
        (void)c.publish("x");
        if (streams > 256) CHECK(c.r->poll(at(0s)).more);
      }
      c.b.drain(at(0s), at(0s), ssewire::reconnection_time(1'000'000));
      c.run();
      CHECK(c.r->size() == 0);
      std::vector<std::uint64_t> times;
      for (auto const& p : c.to) {
        CHECK(p->closed == once(close_reason::drained));
        CHECK(support::decode_chunked(p->taken).ended);
        auto const got = support::parse_whole(body_of(p->taken, framing::chunked));
        CHECK(got.events.size() == (dirty ? 1 : 0));
        REQUIRE(got.retry);
        times.push_back(*got.retry);
      }
      std::sort(times.begin(), times.end());
      CHECK(std::adjacent_find(times.begin(), times.end()) == times.end());
    }
  }
}

TEST_CASE("a broker may go before its reactor, in the middle of a round, too") {
  for (bool const dirty : {false, true}) {
    auto b = std::make_unique<broker>();
    std::vector<std::unique_ptr<peer>> to;
    reactor r;
    for (int i = 0; i < 300; ++i) {
      to.push_back(std::make_unique<peer>());
      REQUIRE(r.add(scripted_writer(*to.back()), std::move(b->subscribe("c").value)));
    }
    while (r.poll(at(0s)).more) {
    }
    if (dirty) {
      b->publish("c", {.data = "x"});
      CHECK(r.poll(at(0s)).more);
    }
    b.reset();
    while (r.poll(at(0s)).more) {
    }
    for (auto const& p : to) CHECK(p->closed == once(close_reason::drained));
    CHECK(r.size() == 0);
  }
}

TEST_CASE("bug 8: the reactor's end, while streams are in step, dirty, or half served") {
  for (int how = 0; how < 3; ++how) {
    crowd c(how == 2 ? 300 : 5);
    if (how != 0) (void)c.publish("x");
    if (how == 2) CHECK(c.r->poll(at(0s)).more);
    c.r.reset();
    auto const before = c.signals;
    CHECK(c.publish("y") == 0);
    CHECK(c.signals == before);
    for (auto const& p : c.to) CHECK(p->closed == once(close_reason::removed));
  }
}

// ---- fairness ----

TEST_CASE(
    "bug 6: a round that takes several turns is bounded in each, skips nobody and gives nothing twice") {
  constexpr std::size_t streams = 1000;
  peer quiet;
  crowd c(streams, {}, {.replay = {.max_events = 10}});
  REQUIRE(c.r->add(scripted_writer(quiet), std::move(c.b.subscribe("quiet").value)));
  c.run();
  auto const served = [&] {
    return static_cast<std::size_t>(
        std::count_if(c.to.begin(), c.to.end(), [](auto const& p) { return !p->taken.empty(); }));
  };
  CHECK(c.publish("1") == 1);
  std::size_t turns = 0;
  for (bool more = true; more; ++turns) {
    auto const before = served();
    more = c.r->poll(at(0s)).more;
    CHECK(served() - before <= 256);
    if (turns == 0) CHECK(more);
    if (turns == 0) {
      // Who comes meanwhile is not given this flight; who goes meanwhile, served or not, takes nobody's
      // place.
      c.join();
      c.r->close(c.ids[0]);
      c.r->close(c.ids[100]);
      c.r->close(c.ids[streams - 1]);
      c.r->close(c.ids[500]);
      CHECK(c.r->send(c.ids[1], {.data = "p"}) == errc::ok);
      CHECK(c.r->send(c.ids[501], {.data = "p"}) == errc::ok);
    }
  }
  CHECK(turns >= streams / 256);
  c.run();
  for (std::size_t i = 0; i < c.to.size(); ++i) {
    auto const& got = c.to[i]->taken;
    if (!c.to[i]->closed.empty()) continue;
    CAPTURE(i);
    if (i == 1) {
      CHECK(got == frame(1, "1") + "data: p\n\n");
    } else if (i == 501) {
      CHECK(got == "data: p\n\n" + frame(1, "1"));
    } else {
      CHECK(got == (i == streams ? position_event(1) : frame(1, "1")));
    }
  }
  CHECK(c.publish("2") == 1);
  c.run();
  for (auto const& p : c.to) {
    if (p->closed.empty()) CHECK(support::parse_whole(p->taken).events.back().data == "2");
  }
}

TEST_CASE("what is published between the turns of a round comes in the next one, gap and all") {
  constexpr std::size_t streams = 600;
  for (std::uint64_t const between : {1u, 3u, 4u, 9u}) {
    crowd c(streams, {}, {.replay = {.max_events = 3}});
    (void)c.publish("1");
    for (int i = 0; i < 2; ++i) {
      CHECK(c.r->poll(at(0s)).more);
      for (std::uint64_t k = 0; k < between; ++k) (void)c.publish("x");
    }
    c.run();
    for (auto const& p : c.to) {
      auto const events = support::parse_whole(p->taken).events;
      CHECK(events.front().data == "1");  // pinned by the flight
      std::uint64_t next = 1;
      for (auto const& e : events) {
        if (e.type == "ssewire.gap") {
          next += std::stoull(e.data->substr(e.data->find("\"missed\":") + 9));
        } else {
          CHECK(*e.id == support::id(next));
          ++next;
        }
      }
      CHECK(next == c.last + 1);
    }
    CHECK(c.publish("y") == 1);
  }
}

// ---- time ----

TEST_CASE("a heartbeat goes to all who are in step, at its time, and only when they are quiet") {
  for (auto const body : {framing::raw, framing::chunked}) {
    std::string const beat = body == framing::raw ? ":\n\n" : "3\r\n:\n\n\r\n";
    crowd c(5, {.body = body}, {}, {.heartbeat = 15s, .stall_time = 60s});
    CHECK(c.run(at(0s)).next == at(15s));
    CHECK(c.run(at(15s - 1ns)).next == at(15s));
    for (auto const& p : c.to) CHECK(p->taken.empty());
    CHECK(c.r->poll(at(15s)).more);
    CHECK(c.run(at(15s)).next == at(30s));
    for (auto const& p : c.to) CHECK(p->taken == beat);
    (void)c.publish("x");
    CHECK(c.run(at(20s)).next == at(35s));
    CHECK(c.run(at(34s)).next == at(35s));
    CHECK(c.run(at(100s)).next == at(115s));  // late: one, not five
    auto const event = body == framing::raw ? frame(1, "x") : in_chunk(frame(1, "x"));
    for (auto const& p : c.to) CHECK(p->taken == beat + event + beat);
    (void)c.publish("y");
    CHECK(c.run(at(110s)).next == at(125s));
    CHECK(c.delivered() == 10);
    for (auto const id : c.ids) c.r->close(id);
    CHECK_FALSE(c.run(at(200s)).next.has_value());
  }
}

TEST_CASE("a heartbeat may come early for one that joined late, and never late") {
  crowd c(2, {}, {}, {.heartbeat = 10s, .stall_time = 0s});
  CHECK(c.run(at(0s)).next == at(10s));
  (void)c.run(at(4s));
  c.join();
  CHECK(c.run(at(4s)).next == at(10s));
  CHECK(c.run(at(10s)).next == at(20s));
  CHECK(c.to[2]->taken == position_event(0) + ":\n\n");
  // One that goes alone for a while has its own time, then the cohort's again.
  c.to[1]->script.push_back(answer::again(3));
  (void)c.publish("1");
  CHECK(c.run(at(12s)).next == at(22s));
  CHECK(c.run(at(22s)).next == at(32s));
  c.let_go(1);
  CHECK(c.run(at(25s)).next == at(32s));
  CHECK(c.run(at(32s)).next == at(42s));
  CHECK(c.to[1]->taken == ":\n\n" + frame(1, "1") + ":\n\n");
  CHECK(c.to[0]->taken == ":\n\n" + frame(1, "1") + ":\n\n" + ":\n\n");
  // A call that sends nothing does not put it off.
  c.r->finish(c.ids[2]);
  CHECK(c.run(at(35s)).next == at(42s));
}

TEST_CASE("one that comes in step without a byte brings its own time") {
  crowd c(1, {}, {}, {.heartbeat = 10s, .stall_time = 0s});
  CHECK(c.run(at(0s)).next == at(10s));
  (void)c.run(at(2s));
  for (int i = 0; i < 2; ++i) c.join({}, lag_policy::tell, "other");
  (void)c.run(at(2s));
  (void)c.run(at(4s));
  c.join();
  CHECK(c.run(at(4s)).next == at(10s));
  c.r->writable(c.ids[0]);  // it has nothing to send, and is no longer the only one
  CHECK(c.run(at(5s)).next == at(10s));
  CHECK(c.publish("x") == 1);
  CHECK(c.run(at(6s)).next == at(12s));
}

TEST_CASE("a cohort that nobody is in step with has no heartbeat") {
  crowd c(2, {}, {}, {.heartbeat = 10s, .stall_time = 0s});
  for (std::size_t i = 0; i < 2; ++i) {
    c.to[i]->script.push_back(answer::again());
    CHECK(c.r->send(c.ids[i], {.data = "p"}) == errc::ok);
  }
  CHECK_FALSE(c.run(at(1s)).next.has_value());
  for (std::size_t i = 0; i < 2; ++i) c.let_go(i);
  CHECK(c.run(at(2s)).next == at(12s));
}

TEST_CASE("one that falls out and sends nothing keeps its time") {
  crowd c(3, {}, {}, {.heartbeat = 10s, .stall_time = 60s});
  CHECK(c.run(at(0s)).next == at(10s));
  (void)c.run(at(5s));
  c.to[1]->script.push_back(answer::again().calling([&] { c.let_go(1); }));  // and is writable at once
  c.to[1]->script.push_back(answer::again());
  (void)c.publish("x");
  CHECK(c.run(at(6s)).next == at(13500ms));  // an eighth of the stall time later
  CHECK(c.to[1]->blocked());
  for (auto t = 13500ms; t < 66s; t += 7500ms) (void)c.run(at(t));
  CHECK(c.run(at(66s - 1ns)).next == at(66s));
  CHECK(c.r->size() == 3);
  (void)c.run(at(66s));
  CHECK(c.to[1]->closed == once(close_reason::stalled));
}

TEST_CASE("a heartbeat that a writer takes in part, or not, is owed") {
  for (auto const body : {framing::raw, framing::chunked}) {
    std::string const beat = body == framing::raw ? ":\n\n" : "3\r\n:\n\n\r\n";
    for (std::size_t n = 0; n <= beat.size(); ++n) {
      for (int how = 0; how < 3; ++how) {
        if (how == 1 && n == 0) continue;
        crowd c(3, {.body = body}, {}, {.heartbeat = 10s, .stall_time = 0s});
        c.to[1]->script.push_back(how == 0   ? answer::again(n)
                                  : how == 1 ? answer::take(n)
                                             : answer::pending());
        c.run(at(10s));
        (void)c.publish("x");
        c.settle(at(11s));
        auto const event = body == framing::raw ? frame(1, "x") : in_chunk(frame(1, "x"));
        for (auto const& p : c.to) CHECK(p->taken == beat + event);
        CHECK(c.delivered() == 3);
        CHECK(c.publish("y") == 1);
      }
    }
  }
}

TEST_CASE(
    "a heartbeat that is due behind news goes before them, as it does alone; and none goes into a round") {
  crowd c(3, {}, {}, {.heartbeat = 10s, .stall_time = 0s});
  (void)c.r->poll(at(10s));
  (void)c.publish("x");
  c.run(at(10s));
  for (auto const& p : c.to) CHECK(p->taken == ":\n\n" + frame(1, "x"));

  crowd many(600, {}, {}, {.heartbeat = 10s, .stall_time = 0s});
  (void)many.publish("x");
  CHECK(many.r->poll(at(1s)).more);
  CHECK(many.r->poll(at(10s)).more);
  CHECK(many.run(at(10s)).next == at(11s));  // the first have been quiet since the first turn
  for (auto const& p : many.to) CHECK(p->taken == frame(1, "x"));
  CHECK(many.run(at(11s)).next == at(21s));
  for (auto const& p : many.to) CHECK(p->taken == frame(1, "x") + ":\n\n");
}

// ---- random histories ----

/// What a client may have got of one channel: from where it began each event once and in order, or a gap's
/// number of them missing.
struct reading {
  std::uint64_t next = 0;  // position
  bool opened = false;

  void event(support::recorded_event const& e, std::vector<std::string> const& published) {
    if (e.type == "ssewire.position") {
      CHECK_FALSE(std::exchange(opened, true));
      next = std::stoull(e.id->substr(13)) + 1;
    } else if (e.type == "ssewire.gap") {
      auto const missed = e.data->find("\"missed\":");
      REQUIRE(missed != std::string::npos);
      next += std::stoull(e.data->substr(missed + 9));
    } else if (e.type.empty()) {
      REQUIRE(e.id);
      CHECK(opened);
      CHECK(*e.id == support::id(next));
      REQUIRE(next <= published.size());
      CHECK(*e.data == published[next - 1]);
      ++next;
    }
  }
};

/// Random streams on one channel, with random writers that do random things. `large`: the log never moves
/// past anybody.
template <class Writer> struct history {
  support::random random;
  framing body;
  bool large;
  crowd_of<Writer> c;
  std::vector<std::string> published = {};
  std::vector<std::uint64_t> private_events = {};  // of each stream
  steady_time now = at(0s);
  bool draining = false;

  history(std::uint64_t seed, framing f, bool is_large)
      : random(seed), body(f), large(is_large), c(0, {},
                                                  {.replay = {.max_events = is_large ? 10'000 : 2 + seed % 9,
                                                              .max_bytes = is_large ? 10u << 20 : 20'000}},
                                                  {10s, 0s}) {}

  void publish() {
    if (draining) return;
    auto data = std::to_string(published.size() + 1);
    if (random.one_in(3)) data.append(random.below(random.one_in(10) ? 6000 : 300), 'x');
    published.push_back(data);
    (void)c.publish(data);
  }

  void connect() {
    if (draining) return;
    auto const lag = large || !random.one_in(4) ? lag_policy::tell : lag_policy::close;
    auto const i = c.join({.body = body, .max_write_bytes = random.one_in(8) ? 300u : 2000u}, lag);
    private_events.push_back(0);
    c.to[i]->otherwise = [this](std::size_t size) { return mood(size); };
  }

  std::size_t anyone() { return random.below(c.ids.size()); }

  void send(std::size_t i) {
    if (c.r->send(c.ids[i], {.type = "private", .data = "p"}) == errc::ok) ++private_events[i];
  }

  void wake(std::size_t i) {
    if (c.to[i]->inside()) return;
    if (c.to[i]->blocked()) c.let_go(i);
    if (c.to[i]->pending()) c.landed(i);
  }

  void meddle() {
    switch (random.below(8)) {
    case 0: publish(); break;
    case 1: send(anyone()); break;
    case 2: connect(); break;
    case 3: c.r->writable(stream_id{}); break;
    case 4: wake(anyone()); break;
    case 5:
      if (random.one_in(6)) c.r->close(c.ids[anyone()]);
      break;
    case 6:
      if (random.one_in(6)) c.r->finish(c.ids[anyone()]);
      break;
    default: CHECK(c.r->poll(now).more);
    }
  }

  answer mood(std::size_t size) {
    auto const choose = [&]() -> answer {
      if (!random.one_in(4)) return answer::take();  // most are in step most of the time
      switch (random.below(12)) {
      case 0: return answer::again();
      case 1: return answer::again(random.below(size + 1));
      case 2:
      case 3: return answer::pending();
      case 4: return answer::take(1);
      case 5: return random.one_in(10) ? answer::closed() : answer::again(size);
      case 6: return random.one_in(10) ? answer::raise() : answer::again(size);
      default: return answer::take(1 + random.below(size));
      }
    };
    if (c.to.size() > 60 || !random.one_in(12)) return choose();
    return choose().calling([this] { meddle(); });
  }

  void run() {
    for (std::size_t i = 0; i < 2 + random.below(12); ++i) connect();
    auto const steps = 60 + random.below(60);
    for (std::size_t step = 0; step < steps; ++step) {
      switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
        for (auto n = 1 + random.below(random.one_in(5) ? 12 : 2); n != 0; --n) publish();
        break;
      case 3: wake(anyone()); break;
      case 4: {
        auto const i = anyone();
        send(i);
        break;
      }
      case 5:
        now += std::chrono::seconds(random.below(8));
        c.b.tick(now);
        break;
      default: (void)c.r->poll(now);
      }
      if (random.one_in(8)) connect();
      if (random.one_in(20)) c.r->close(c.ids[anyone()]);
      if (random.one_in(20)) c.r->finish(c.ids[anyone()]);
      for (std::size_t i = 0; i < c.to.size(); ++i) {
        c.to[i]->check_in_flight("in between");
        if (random.one_in(4)) wake(i);
      }
    }
    bool const drains = random.one_in(3);
    if (drains) drain();
    for (auto const& p : c.to) p->otherwise = {};
    c.settle(now);
    if (drains) CHECK(c.r->size() == 0);
    check(drains);
    if (drains) return;
    (void)c.publish("end");
    published.push_back("end");
    c.settle(now);
    auto const hooks = c.publish("in step");
    if (!Writer::same_bytes) CHECK(hooks <= 2);  // two kinds of streams
    published.push_back("in step");
    c.settle(now);
    check(false);
  }

  // At once, or in turns.
  void drain() {
    draining = true;
    auto const half = std::chrono::milliseconds(random.below(3) * 500);
    c.b.drain(now, now + 2 * half);
    auto const end = now + half;
    while (now < end) {
      now = (std::min)(now + std::chrono::milliseconds(random.below(60)), end);
      c.b.tick(now);
      (void)c.r->poll(now);
      if (random.one_in(4)) send(anyone());
      if (random.one_in(8)) c.r->close(c.ids[anyone()]);
      for (std::size_t i = 0; i < c.to.size(); ++i) {
        if (random.one_in(4)) wake(i);
      }
    }
  }

  void check(bool drained) {
    std::size_t alive = 0;
    for (std::size_t i = 0; i < c.to.size(); ++i) {
      CAPTURE(i);
      auto const& p = *c.to[i];
      CHECK(p.closed.size() <= 1);
      std::string bytes = p.taken;
      if (body == framing::chunked) {
        auto const got = support::decode_chunked(p.taken);
        CHECK(got.error == "");
        if (p.closed.empty()) CHECK(got.at_border);
        bytes = got.body;
      }
      reading r;
      std::uint64_t sent = 0;
      auto const events = support::parse_whole(bytes).events;
      for (auto const& e : events) {
        r.event(e, published);
        if (e.type == "private") ++sent;
      }
      bool const in_order = p.closed.empty() || p.closed == once(close_reason::drained);
      if (in_order && (p.closed.empty() || drained)) {
        CHECK(r.next == published.size() + 1);
        CHECK(sent == private_events[i]);
        if (large) CHECK(bytes.find("ssewire.gap") == std::string::npos);
      }
      if (p.closed.empty()) ++alive;
    }
    CHECK(c.r->size() == alive);
    CHECK(c.b.stats().subscribers == alive);
  }
};

template <class Writer> void run_histories(framing body) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    history<Writer>(seed, body, seed % 3 == 0).run();
  }
}

TEST_CASE("random histories in step: raw") { run_histories<scripted_writer>(framing::raw); }
TEST_CASE("random histories in step: chunked") { run_histories<scripted_writer>(framing::chunked); }
TEST_CASE("random histories in step: raw, the same bytes again") {
  run_histories<scripted_tls_writer>(framing::raw);
}
TEST_CASE("random histories in step: chunked, the same bytes again") {
  run_histories<scripted_tls_writer>(framing::chunked);
}

TEST_CASE("a stream among others gets the same bytes as one that is alone with its reactor") {
  // Each stream has a twin in a reactor of its own; both writers do the same at the same byte.
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    constexpr std::size_t streams = 8;
    support::random random(seed);
    auto const body = seed % 2 == 0 ? framing::raw : framing::chunked;
    broker b;
    broker twin_broker;
    std::vector<std::unique_ptr<peer>> to;
    reactor together({}, {10s, 0s});
    std::vector<std::unique_ptr<reactor>> alone;
    std::vector<std::pair<reactor*, stream_id>> ids;
    for (std::size_t i = 0; i < 2 * streams; ++i) {
      bool const twin = i >= streams;
      if (twin)
        alone.push_back(std::make_unique<reactor>(ssewire::loop_signal{}, ssewire::timing_options{10s, 0s}));
      auto& r = twin ? *alone.back() : together;
      to.push_back(std::make_unique<peer>());
      auto* const p = to.back().get();
      // What a writer takes depends on how much it has taken, and on nothing else.
      p->otherwise = [p, kind = i % streams, seed](std::size_t size) {
        support::random mood(seed * 1000 + kind + p->taken.size() * 31);
        if (!mood.one_in(1 + kind)) return answer::take();
        auto const n = 1 + mood.below(size);
        return mood.one_in(2) ? answer::again(n) : answer::take(n);
      };
      auto from = (twin ? twin_broker : b).subscribe(twin ? "c" + std::to_string(i) : "c");
      auto const added = r.add(scripted_writer(*p), std::move(from.value), {.body = body});
      ids.emplace_back(&r, added.value);
    }
    auto now = at(0s);
    auto const turn = [&] {
      for (int k = 0; k < 200; ++k) {
        bool more = together.poll(now).more;
        for (auto const& r : alone) more = r->poll(now).more || more;
        for (std::size_t i = 0; i < to.size(); ++i) {
          if (!to[i]->blocked()) continue;
          to[i]->let_go();
          ids[i].first->writable(ids[i].second);
          more = true;
        }
        if (!more) return;
      }
      FAIL("it never comes to rest");
    };
    turn();
    std::uint64_t last = 0;
    for (int step = 0; step < 20; ++step) {
      for (auto n = random.below(4); n != 0; --n) {
        auto const data = std::to_string(++last) + std::string(random.below(200), 'x');
        REQUIRE(b.publish("c", {.data = data}));
        for (std::size_t i = streams; i < 2 * streams; ++i) {
          REQUIRE(twin_broker.publish("c" + std::to_string(i), {.data = data}));
        }
      }
      if (random.one_in(3)) {
        auto const i = random.below(streams);
        for (auto const k : {i, i + streams})
          CHECK(ids[k].first->send(ids[k].second, {.data = "p"}) == errc::ok);
      }
      turn();
    }
    // The twins' positions differ: the events are compared, and where the chunks' borders lie.
    for (std::size_t i = 0; i < streams; ++i) {
      auto const one = support::parse_whole(body_of(to[i]->taken, body));
      auto const two = support::parse_whole(body_of(to[i + streams]->taken, body));
      REQUIRE(one.events.size() == two.events.size());
      for (std::size_t k = 0; k < one.events.size(); ++k) CHECK(one.events[k].data == two.events[k].data);
      CHECK(to[i]->taken.size() == to[i + streams]->taken.size());
    }
  }
}

// ---- memory ----

/// Allocates nothing while it writes.
struct frugal_writer {
  struct far_end {
    std::string taken = {};
    std::size_t closed = 0;
    close_reason why = close_reason::none;
    bool sips = false;
    bool blocked = false;
    std::size_t writes = 0;
  };
  far_end* to;

  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::size_t bytes = 0;
    for (auto const piece : pieces) {
      auto const part = to->sips ? piece.substr(0, 20) : piece;
      to->taken += part;
      bytes += part.size();
      if (part.size() != piece.size()) break;
    }
    to->blocked = to->sips && ++to->writes % 3 == 0;
    return {to->blocked ? ssewire::write_status::again : ssewire::write_status::ok, bytes};
  }
  void on_closed(close_reason why, ssewire::ending) {
    ++to->closed;
    to->why = why;
  }
};

TEST_CASE("the n-th allocation fails, for every n: at most one stream of many in step ends") {
  std::size_t lost_streams = 0;
  std::size_t n = 1;
  for (;; ++n) {
    CAPTURE(n);
    constexpr std::size_t streams = 6;
    std::array<frugal_writer::far_end, streams> ends;
    for (auto& e : ends) e.taken.reserve(64 * 1024);
    ends[1].sips = ends[4].sips = true;
    std::array<stream_id, streams> ids;
    std::array<bool, streams> is_in = {};
    std::string const large(5000, 'x');
    std::vector<std::string> published;
    published.reserve(20);
    broker b;
    reactor_of<frugal_writer> r({}, {10s, 0s});
    auto const wake = [&] {
      for (std::size_t k = 0; k < streams; ++k) {
        if (std::exchange(ends[k].blocked, false)) r.writable(ids[k]);
      }
    };
    support::allocations_failed = 0;
    support::allocations_left = static_cast<long>(n) - 1;
    for (std::size_t i = 0; i < streams; ++i) {
      auto from = b.subscribe("c");
      if (!from) continue;
      auto const added = r.add(frugal_writer{&ends[i]}, std::move(from.value),
                               {.body = i < 3 ? framing::raw : framing::chunked, .preamble = {}});
      is_in[i] = static_cast<bool>(added);
      ids[i] = added.value;
    }
    auto now = steady_time{};
    std::array<bool, 12> done = {};
    for (std::size_t i = 0; i < done.size(); ++i) {
      done[i] = static_cast<bool>(b.publish("c", {.data = i % 5 == 4 ? std::string_view(large) : "small"}));
      if (i % 3 == 0) (void)r.send(ids[0], {.type = "private", .data = "private"});
      if (i % 2 == 0) (void)r.poll(now += 11s);
      (void)r.poll(now);
      wake();
    }
    support::allocations_left = -1;
    for (int i = 0; i < 2000; ++i) {
      (void)r.poll(now);
      wake();
    }
    for (std::size_t i = 0; i < done.size(); ++i) {
      if (done[i]) published.emplace_back(i % 5 == 4 ? large : "small");
    }
    std::size_t lost = 0;
    for (std::size_t i = 0; i < streams; ++i) {
      CAPTURE(i);
      CHECK(ends[i].closed <= 1);
      if (!is_in[i] || ends[i].closed != 0) {
        ++lost;
        if (is_in[i]) CHECK(ends[i].why == close_reason::no_memory);
        continue;
      }
      reading got;
      for (auto const& e :
           support::parse_whole(body_of(ends[i].taken, i < 3 ? framing::raw : framing::chunked)).events) {
        got.event(e, published);
      }
      CHECK(got.next == published.size() + 1);
    }
    CHECK(lost <= 1);
    lost_streams += lost;
    CHECK(b.stats().subscribers == r.size());
    if (support::allocations_failed == 0) break;
    REQUIRE(n < 5000);
  }
  CHECK(n > 40);
  CHECK(lost_streams > 6);
}

TEST_CASE("the n-th allocation fails while a stream in step falls out, however it does: it alone may end") {
  std::size_t ended = 0;
  std::size_t ended_while_sending = 0;
  for (auto const& how : {answer::again(), answer::again(5), answer::take(5), answer::pending()}) {
    for (auto const body : {framing::raw, framing::chunked}) {
      for (long n = 0;; ++n) {
        CAPTURE(n);
        REQUIRE(n < 1000);
        crowd c(4, {.body = body}, {.replay = {.max_events = 3}});
        (void)c.publish("1");
        c.to[1]->script.push_back(how);
        c.to[1]->script.push_back(how);
        support::allocations_failed = 0;
        support::allocations_left = n;
        c.run();
        support::allocations_left = -1;
        bool const sends = c.to[1]->pending();
        std::string all = frame(1, "1");
        for (std::uint64_t i = 2; i < 9; ++i) {
          (void)c.publish(std::string(600, 'x'));  // the page with the first goes
          all += frame(i, std::string(600, 'x'));
          c.run();
        }
        c.to[1]->check_in_flight("when the log had forgotten them");
        if (!c.to[1]->closed.empty()) {
          CHECK(c.to[1]->closed.size() == 1);
          ++ended;
          ended_while_sending += sends ? 1 : 0;
          if (sends) c.landed(1);
          c.r->written(c.ids[1], true);  // says nothing to nobody
        }
        c.settle();
        std::size_t alive = 0;
        for (std::size_t i = 0; i < 4; ++i) {
          CAPTURE(i);
          if (!c.to[i]->closed.empty()) continue;
          ++alive;
          if (i != 1) CHECK(body_of(c.to[i]->taken, body) == all);
        }
        CHECK(alive + (c.to[1]->closed.empty() ? 0 : 1) >= 3);
        CHECK(alive == c.r->size());
        CHECK(alive == c.b.stats().subscribers);
        CHECK(alive == c.b.subscribers("c"));
        if (support::allocations_failed == 0) break;
      }
    }
  }
  CHECK(ended > 8);
  CHECK(ended_while_sending > 1);
}

TEST_CASE("a stream that was in step is what it was: its policy, its time to come back") {
  crowd c(2, {}, {.replay = {.max_events = 3}});
  auto const lagging = c.join({}, lag_policy::close);
  c.run();
  CHECK(c.publish("in step") == 1);
  c.run();
  c.to[lagging]->script.push_back(answer::again());
  (void)c.publish("out");
  c.run();
  for (int i = 0; i < 5; ++i) (void)c.publish("lost");
  c.let_go(lagging);
  c.run();
  CHECK(c.to[lagging]->closed == once(close_reason::lagged));
}

TEST_CASE(
    "a stream that may have to be ended from outside is not in step: one of a user, one that expires, one "
    "whose ID is known") {
  crowd c(2);
  CHECK(c.publish("in step") == 1);
  c.run();
  auto const alone = [&](ssewire::subscribe_options const& how, bool with_id) {
    auto from = c.b.subscribe("c", how);
    REQUIRE(from);
    if (with_id) REQUIRE(from->id());
    c.to.push_back(std::make_unique<peer>());
    c.ids.push_back(c.r->add(scripted_writer(*c.to.back()), std::move(from.value)).value);
    c.run();
    auto const hooks = c.publish("x");
    c.run();
    return hooks;
  };
  CHECK(alone({.user = "somebody"}, false) == 2);
  CHECK(alone({.expires = at(60s)}, false) == 3);
  CHECK(alone({}, true) == 4);
  CHECK(alone({}, false) == 4);
}

TEST_CASE("closing a channel ends the streams in step on it, with what they are to get before that") {
  for (bool const on_the_way : {false, true}) {
    CAPTURE(on_the_way);
    crowd c(5);
    auto const elsewhere = c.join({}, lag_policy::tell, "d");
    c.run();
    CHECK(c.publish("before") == 1);
    if (!on_the_way) c.run();
    c.to[1]->script.push_back(answer::again());
    auto const closed = c.b.close_channel("c", ssewire::event{.type = "bye", .data = "late"});
    REQUIRE(closed);
    CHECK(*closed == 5);
    (void)c.publish("after");
    CHECK(c.publish("for others", "d") == 1);
    c.run();
    for (std::size_t i = 0; i < 5; ++i) {
      CAPTURE(i);
      CHECK(c.to[i]->closed == once(close_reason::channel_closed));
      CHECK(c.to[i]->taken.find("after") == std::string::npos);
      if (i != 1) CHECK(c.to[i]->taken.ends_with("event: bye\ndata: late\n\n"));
    }
    CHECK(c.to[elsewhere]->closed.empty());
    CHECK(c.to[elsewhere]->taken.ends_with("data: for others\n\n"));
    // Those that come now are in step with each other, not with a leader that has ended.
    auto const first = c.join();
    auto const second = c.join();
    c.run();
    CHECK(c.publish("anew") == 1);
    c.run();
    for (auto const i : {first, second}) CHECK(c.to[i]->taken.ends_with("data: anew\n\n"));
    CHECK(c.b.subscribers("c") == 2);
    CHECK(c.b.stats().closes[static_cast<std::size_t>(close_reason::channel_closed)] == 5);
  }
}

TEST_CASE("streams in step end with their broker, and what they were told is why") {
  std::array<peer, 3> to;
  reactor r;
  {
    broker b;
    for (auto& p : to) REQUIRE(r.add(scripted_writer(p), std::move(b.subscribe("c").value)));
    while (r.poll(at(0s)).more) {
    }
    REQUIRE(b.publish("c", {.data = "x"}));
    while (r.poll(at(0s)).more) {
    }
  }
  while (r.poll(at(0s)).more) {
  }
  CHECK(r.size() == 0);
  for (auto& p : to) {
    CHECK(p.closed == once(close_reason::drained));
    CHECK(p.completed == 1);
  }
}

TEST_CASE("one that takes a part, and then ends itself from inside its writer, is offered nothing more") {
  for (auto const body : {framing::raw, framing::chunked}) {
    crowd c(4, {.body = body});
    (void)c.publish("1");
    c.to[1]->script.push_back(answer::take(3));
    c.to[1]->script.push_back(answer::take(3).calling([&c] { c.r->close(c.ids[1]); }));
    c.to[2]->script.push_back(answer::take(3));
    c.to[2]->script.push_back(answer::take(3).calling([&c] { c.r->finish(c.ids[2]); }));
    c.settle();
    CHECK(c.to[1]->taken.size() == 6);
    CHECK(c.to[1]->closed == once(close_reason::removed));
    CHECK(c.to[2]->closed == once(close_reason::finished));
    for (auto const i : {std::size_t{0}, std::size_t{2}, std::size_t{3}})
      CHECK(body_of(i == 2 && body == framing::chunked ? c.to[2]->taken.substr(0, c.to[2]->taken.size() - 5)
                                                       : c.to[i]->taken,
                    body) == frame(1, "1"));
  }
}

TEST_CASE("removing a stream in step allocates nothing") {
  crowd c(6);
  support::allocations_left = 1'000'000;
  for (auto const id : c.ids) c.r->close(id);
  auto const left = std::exchange(support::allocations_left, -1);
  CHECK(left >= 1'000'000 - 6);  // what the far ends note
  CHECK(c.b.stats().subscribers == 0);
  CHECK(c.b.stats().closes[static_cast<std::size_t>(close_reason::removed)] == 6);
  CHECK(c.b.stats().channels == 0);
}

TEST_CASE("once warm, a delivery in step allocates nothing") {
  constexpr std::size_t streams = 700;
  std::vector<frugal_writer::far_end> ends(streams);
  broker b({.replay = {.max_events = 10}});
  reactor_of<frugal_writer> r;
  for (auto& e : ends) {
    e.taken.reserve(64 * 1024);
    REQUIRE(r.add(frugal_writer{&e}, std::move(b.subscribe("c").value)));
  }
  auto const deliver = [&] {
    REQUIRE(b.publish("c", {.data = "x"}));
    while (r.poll(at(0s)).more) {
    }
  };
  for (int i = 0; i < 200; ++i) deliver();
  constexpr long plenty = 1'000'000;
  support::allocations_left = plenty;
  for (int i = 0; i < 100; ++i) deliver();
  auto const allocations = plenty - support::allocations_left;
  support::allocations_left = -1;
  CHECK(allocations <= 50);  // pages of the log, not one for each of the 70,000 deliveries
  for (auto const& e : ends) CHECK(support::parse_whole(e.taken).events.size() == 301);
}

}  // namespace
