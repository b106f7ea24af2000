// SPDX-License-Identifier: MIT
// After a fork() the broker and the replay buffer of the child are new ones, with IDs of their own. First
// with real children, then with cloning_traits, where the test says which process is a child.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/log/replay_buffer.hpp>

#include <support/broker_bytes.hpp>
#include <support/scripted_writer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#define SSEWIRE_TEST_FORKS 1
#else
#define SSEWIRE_TEST_FORKS 0
#endif

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::lag_policy;
using ssewire::resume_outcome;
using ssewire::start_at;
using support::cloning_traits;

template <class Traits> std::string publish(ssewire::basic_broker<Traits>& to, std::string_view data) {
  return std::string(to.publish("news", {.data = data}).value.view());
}

std::string epoch_of(std::string_view id) { return std::string(id.substr(0, 12)); }

#if SSEWIRE_TEST_FORKS

// What `action()` returns in a child of this process, which ends there. Nothing of doctest's may run in it.
template <class Action> std::string in_child(Action action) {
  std::array<int, 2> ends = {};
  if (::pipe(ends.data()) != 0) return "no pipe";
  auto const child = ::fork();
  if (child < 0) return "no child";
  if (child == 0) {
    std::string const said = action();
    auto const written = ::write(ends[1], said.data(), said.size());
    ::_exit(written == static_cast<::ssize_t>(said.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said;
  std::array<char, 4096> some;
  for (::ssize_t got = 0; (got = ::read(ends[0], some.data(), some.size())) > 0;)
    said.append(some.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  bool const waited = ::waitpid(child, &status, 0) == child;
  return waited && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? said : "the child failed";
}

// support::pull_all() without doctest.
std::string read_all(ssewire::subscription& from) {
  std::string all;
  ssewire::batch next;
  while (from.pull(next, support::all_room) == ssewire::pull_status::ready) all += next.text();
  return all;
}

std::string word(resume_outcome outcome) { return std::string(name(outcome)); }

// All processes give other IDs. `publish()` returns the ID; `known`: the parent's epoch, if it has
// published.
template <class Publish> void publish_in_children(Publish publish, std::set<std::string> known) {
  auto const work = [&] {
    auto const first = publish();
    auto const second = publish();
    return epoch_of(first) + (epoch_of(first) == epoch_of(second) && first != second ? ' ' : '!');
  };
  std::string said;
  for (int i = 0; i < 3; ++i) said += in_child(work);
  said += in_child([&] { return work() + in_child([&] { return work() + in_child(work); }); });
  said += in_child([&] { return in_child(work); });  // forked twice before it publishes, as daemons are
  auto const wanted = known.size() + 7;
  REQUIRE(said.size() == 7 * 13);
  for (std::size_t i = 0; i < said.size(); i += 13) {
    known.insert(said.substr(i, 12));
    CHECK(said[i + 12] == ' ');  // two events, two IDs, one epoch
  }
  CHECK(known.size() == wanted);
}

#endif

}  // namespace

#if SSEWIRE_TEST_FORKS

// ---- real children ----

TEST_CASE(
    "workers forked before the first publish, and their own children, give IDs that no other process gives") {
  ssewire::broker b;
  publish_in_children([&] { return publish(b, "x"); }, {});
  ssewire::basic_broker<ssewire::single_threaded_traits> of_one_thread;
  publish_in_children([&] { return publish(of_one_thread, "x"); }, {});
  ssewire::replay_buffer buffer;
  publish_in_children([&] { return std::string(buffer.append({.data = "x"}).value.view()); }, {});
}

TEST_CASE(
    "workers forked after the first publish give IDs that no other process gives, and the parent goes on") {
  ssewire::broker b;
  auto const first = publish(b, "x");
  publish_in_children([&] { return publish(b, "x"); }, {epoch_of(first)});
  CHECK(publish(b, "x") == epoch_of(first) + "-0000000000000002");
  ssewire::replay_buffer buffer;
  auto const appended = std::string(buffer.append({.data = "x"}).value.view());
  publish_in_children([&] { return std::string(buffer.append({.data = "x"}).value.view()); },
                      {epoch_of(appended)});
  CHECK(buffer.append({.data = "x"}).value.view() == epoch_of(appended) + "-0000000000000002");
  CHECK(buffer.after(appended).outcome() == resume_outcome::resumed);
}

TEST_CASE("each shape of publish gives the child's IDs, in its result and on the wire") {
  ssewire::broker b;
  auto const parents = publish(b, "x");
  for (bool const large : {false, true}) {
    for (int shape = 0; shape < 3; ++shape) {
      auto const said = in_child([&] {
        std::string const text(large ? 10'000 : 10, 'x');
        ssewire::event const two[] = {{.data = text}, {.data = text}};
        auto const done = shape == 0   ? b.publish("news", two[0])
                          : shape == 1 ? b.publish({"news", "other"}, two[0])
                                       : b.publish({"other", "news"}, std::span<ssewire::event const>(two));
        auto s = b.subscribe("news", {.start = start_at::beginning()}).value;
        auto const stream = read_all(s);
        auto wrong = stream.find(epoch_of(parents)) != std::string::npos;
        std::size_t ids = 0;
        for (std::size_t at = 0; (at = stream.find("id: ", at)) != std::string::npos; ++at, ++ids)
          wrong = wrong || epoch_of(stream.substr(at + 4)) != epoch_of(done.value.view());
        bool const there = stream.find(done.value.view()) != std::string::npos;
        return std::string(wrong ? "wrong" : there ? "good" : "missing") + std::to_string(ids);
      });
      CHECK(said == (shape == 2 ? "good3" : "good2"));  // and the position event's
    }
  }
}

TEST_CASE("a client of the parent is told a restart by a child, and resumes at the parent") {
  ssewire::broker b;
  auto const first = publish(b, "one");
  publish(b, "two");
  for (bool const has_published : {false, true}) {
    auto const said = in_child([&] {
      if (has_published) publish(b, "child's");
      auto s = b.subscribe("news", {.last_event_id = first, .start = start_at::beginning()});
      return word(s.value.outcome()) + '\n' + read_all(s.value);
    });
    CHECK(said.substr(0, 8) == "unknown\n");
    CHECK(said.find("event: ssewire.gap\ndata: {\"reason\":\"restart\"}\n") != std::string::npos);
    CHECK(said.find("data: one") == std::string::npos);
    CHECK(said.find("data: two") == std::string::npos);
    CHECK((said.find("data: child's") != std::string::npos) == has_published);
    CHECK(said.find(epoch_of(first)) == std::string::npos);
  }
  publish(b, "three");
  auto s = b.subscribe("news", {.last_event_id = first}).value;
  CHECK(s.outcome() == resume_outcome::resumed);
  auto const stream = read_all(s);
  CHECK(stream.find("data: two\n") < stream.find("data: three\n"));
  CHECK(stream.find("ssewire.gap") == std::string::npos);
}

TEST_CASE("a client of a child resumes there, and is told a restart by the parent and by another child") {
  ssewire::broker b;
  auto const old = publish(b, "old");
  auto const last = [&] {  // of the child's first client
    auto s = b.subscribe("news").value;
    publish(b, "child's");
    auto const stream = read_all(s);
    return stream.substr(stream.rfind("id: ") + 4, 29);
  };
  auto const said = in_child([&] {
    auto const id = last();
    publish(b, "next");
    auto s = b.subscribe("news", {.last_event_id = id}).value;
    auto const stream = read_all(s);
    return id + word(s.outcome()) + (stream.find("data: next\n") != std::string::npos ? ", next" : "");
  });
  auto const id = said.substr(0, 29);
  CHECK(said.substr(29) == "resumed, next");
  for (int i = 0; i < 3; ++i) publish(b, "parent's");  // it has events of the child's positions
  auto const asked = [&] {
    auto s = b.subscribe("news", {.last_event_id = id}).value;
    auto const stream = read_all(s);
    bool const told = stream.find("{\"reason\":\"restart\"}") != std::string::npos;
    return word(s.outcome()) + (told ? ", restart" : "");
  };
  CHECK(asked() == "unknown, restart");
  CHECK(in_child(asked) == "unknown, restart");
  CHECK(b.subscribe("news", {.last_event_id = old}).value.outcome() == resume_outcome::resumed);
}

TEST_CASE("a stream that was open at the fork goes on in the child, and is told what it had still to get") {
  ssewire::broker b;
  auto s = b.subscribe("news").value;
  auto const opening = read_all(s);
  for (char const* const text : {"1", "2", "3"}) publish(b, text);
  auto const said = in_child([&] {
    auto const id = publish(b, "child's");
    auto const stream = read_all(s);
    return epoch_of(id) + '\n' + stream;
  });
  auto const child = said.substr(0, 12);
  CHECK(said.substr(13) == "id: " + child + "-0000000000000003\nevent: ssewire.gap\n" +
                               "data: {\"reason\":\"trimmed\",\"channel\":\"news\",\"missed\":3}\n\n" +
                               "id: " + child + "-0000000000000004\ndata: child's\n\n");
  auto const stream = read_all(s);  // the parent's knows nothing of it
  CHECK(stream.find("data: 1\n") < stream.find("data: 2\n"));
  CHECK(stream.find("data: 2\n") < stream.find("data: 3\n"));
  CHECK(stream.find("ssewire.gap") == std::string::npos);
}

TEST_CASE("a child that only pulls gives what the parent published, under IDs that resume at the parent") {
  ssewire::broker b;
  auto s = b.subscribe("news").value;
  (void)read_all(s);
  publish(b, "1");
  auto const id = publish(b, "2");
  auto const stream = in_child([&] { return read_all(s); });
  CHECK(stream == "id: " + epoch_of(id) + "-0000000000000001\ndata: 1\n\nid: " + id + "\ndata: 2\n\n");
  publish(b, "3");
  auto resumed = b.subscribe("news", {.last_event_id = id}).value;
  CHECK(resumed.outcome() == resume_outcome::resumed);
  CHECK(read_all(resumed).find("data: 3\n") != std::string::npos);
}

TEST_CASE(
    "a publisher's ID from before the fork is unknown to a child, held or lost last, and is free there") {
  ssewire::broker b({.replay = {.max_events = 2}});
  auto const follower = b.subscribe("news").value;  // the child's channel is the same one
  for (char const* const id : {"lost", "held", "newest"})
    REQUIRE(b.publish("news", {.data = "x", .id = ssewire::event_id::from(id).value}));
  for (std::string const id : {"lost", "held", "newest"}) {
    CHECK(in_child([&] { return word(b.subscribe("news", {.last_event_id = id}).value.outcome()); }) ==
          "unknown");
    CHECK(in_child([&] {
            publish(b, "x");
            return word(b.subscribe("news", {.last_event_id = id}).value.outcome());
          }) == "unknown");
    CHECK(in_child([&] {
            bool const taken(b.publish("news", {.data = "y", .id = ssewire::event_id::from(id).value}));
            publish(b, "z");
            return (taken ? "taken, " : "refused, ") +
                   word(b.subscribe("news", {.last_event_id = id}).value.outcome());
          }) == "taken, resumed");
  }
  CHECK(b.subscribe("news", {.last_event_id = "lost"}).value.outcome() == resume_outcome::resumed);
}

TEST_CASE("a replay buffer holds nothing in a child, and knows no ID from before the fork") {
  ssewire::replay_buffer buffer({.max_events = 3});
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) ids.emplace_back(buffer.append({.data = "x"}).value.view());
  REQUIRE(buffer.append({.data = "x", .id = "own"}));
  auto const asked = [&](std::string_view id) {
    auto const found = buffer.after(id);
    return word(found.outcome()) + std::to_string(found.size());
  };
  auto const counted = [&] {
    return ' ' + std::to_string(buffer.events()) + ' ' + std::to_string(buffer.frame_bytes());
  };
  ids.emplace_back("own");
  for (auto const& id : ids) {
    CHECK(in_child([&] { return asked(id) + asked("") + counted(); }) == "unknown0fresh0 0 0");
    CHECK(in_child([&] {
            (void)buffer.append({.data = "y"});
            return asked(id) + asked("") + ' ' + std::to_string(buffer.events());
          }) == "unknown1fresh1 1");
  }
  CHECK(in_child([&] {
          auto const first = std::string(buffer.append({.data = "y"}).value.view());
          (void)buffer.append({.data = "z", .id = "own"});  // it is free here
          (void)buffer.append({.data = "z"});
          return asked(first) + asked("own");
        }) == "resumed2resumed1");
  (void)buffer.append({.data = "y"});
  (void)buffer.append({.data = "y"});
  (void)buffer.append({.data = "y"});
  CHECK(asked("own") == "resumed3");  // it is lost, and nothing after it
  CHECK(in_child([&] {
          (void)buffer.append({.data = "y"});
          return asked("own");
        }) == "unknown1");
}

#endif

// ---- a process that the test declares cloned ----

namespace {

using broker = ssewire::basic_broker<cloning_traits>;

std::string child_id(std::uint64_t position) { return std::string(ssewire::position_id(1, position).view()); }
std::string child_frame(std::uint64_t position, std::string_view data) {
  return "id: " + child_id(position) + "\ndata: " + std::string(data) + "\n\n";
}
std::string child_gap(std::uint64_t position, std::uint64_t missed) {
  return "id: " + child_id(position) + "\nevent: ssewire.gap\n" +
         "data: {\"reason\":\"trimmed\",\"channel\":\"news\",\"missed\":" + std::to_string(missed) + "}\n\n";
}
std::string child_position(std::uint64_t position) {
  return "id: " + child_id(position) + "\nevent: ssewire.position\nretry: 3000\ndata: {}\n\n";
}
std::string child_checkpoint(std::uint64_t position) {
  return "id: " + child_id(position) + "\nevent: ssewire.position\ndata: {}\n\n";
}

// A process that has not been cloned, with epoch 0.
struct parent {
  parent() { cloning_traits::next = 0; }
};

struct fickle_traits : cloning_traits {
  static inline bool fails = false;
  static std::uint64_t epoch() {
    if (fails) throw std::bad_alloc();
    return cloning_traits::epoch();
  }
};

}  // namespace

TEST_CASE("what was pulled and comes back after the child has begun anew counts as missed") {
  parent const p;
  broker b;
  auto s = support::opened(b, {"news"});
  for (char const* const text : {"1", "2", "3"}) publish(b, text);
  ssewire::basic_batch<cloning_traits> batch;
  REQUIRE(s.pull(batch, support::all_room) == ssewire::pull_status::ready);
  cloning_traits::cloned(1);
  CHECK(publish(b, "4") == child_id(4));
  CHECK(b.stats().pinned_bytes != 0);
  auto const first = support::frame(1, "1");
  CHECK(s.give_back(batch, first.size() + 5) == support::frame(2, "2").substr(5));  // its ID is true, too
  batch.clear();
  CHECK(b.stats().pinned_bytes == 0);
  CHECK(support::pull_all(s) == child_gap(3, 1) + child_frame(4, "4"));
}

TEST_CASE("a stream of lag_policy::close that had still something to get ends in the child as lagged") {
  parent const p;
  broker b;
  auto s = support::follow(b, {"news"}, {}, {.lag = lag_policy::close});
  auto idle = support::follow(b, {"news"}, {}, {.lag = lag_policy::close});
  (void)support::pull_all(s);
  (void)support::pull_all(idle);
  publish(b, "1");
  (void)support::pull_all(idle);
  cloning_traits::cloned(1);
  publish(b, "2");
  CHECK(support::pull_all(idle) == child_frame(2, "2"));
  CHECK(support::pull(s) == "");
  CHECK(s.reason() == close_reason::lagged);
}

TEST_CASE("what a change of a stream makes it say has the child's epoch once the child has begun anew") {
  parent const p;
  broker b;
  auto s = support::opened(b, {"news"});
  cloning_traits::cloned(1);
  CHECK(s.join("more") == errc::ok);
  CHECK(support::pull(s) == support::checkpoint(0));  // true at the parent: nothing is published here
  CHECK(b.subscribe("other"));
  CHECK(s.leave("more") == errc::ok);
  CHECK(support::pull(s) == child_checkpoint(0));
}

TEST_CASE("subscribing alone makes the child begin anew: the first ID that its client gets is the child's") {
  parent const p;
  broker b;
  publish(b, "1");
  cloning_traits::cloned(1);
  auto s = support::follow(b, {"news"}, {}, {.start = start_at::beginning()});
  CHECK(support::pull_all(s) == child_position(1));
  CHECK(b.stats().events == 0);
  CHECK(b.stats().trims[static_cast<std::size_t>(ssewire::trim_cause::cloned)] == 1);
}

TEST_CASE("a child whose subscriber is refused has begun anew all the same") {
  parent const p;
  broker b({.max_subscribers = 0});
  publish(b, "1");
  cloning_traits::cloned(1);
  CHECK(b.subscribe("news").error == errc::too_many_subscribers);
  CHECK(publish(b, "2") == child_id(2));
  CHECK(b.stats().events == 1);
}

TEST_CASE("an open stream is told no publisher's ID of before the fork as the place where it stands") {
  parent const p;
  broker b;
  auto s = support::opened(b, {"news"});
  REQUIRE(b.publish("news", {.data = "1", .id = "own"}));
  (void)support::pull_all(s);
  CHECK(b.subscribe("other"));
  CHECK(s.join("more") == errc::ok);
  CHECK(support::pull(s) == "id: own\nevent: ssewire.position\ndata: {}\n\n");
  cloning_traits::cloned(1);
  CHECK(b.subscribe("other"));
  CHECK(s.leave("more") == errc::ok);
  CHECK(support::pull(s) == child_checkpoint(1));
}

TEST_CASE("a publisher's ID that a channel had lost last is unknown to the child, also of one that went") {
  parent const p;
  broker b({.replay = {.max_age = std::chrono::seconds(1)}});
  auto const at = [](int seconds) { return ssewire::steady_time{} + std::chrono::seconds(seconds); };
  b.tick(at(0));
  REQUIRE(b.publish("gone", {.data = "x", .id = "a"}));
  b.tick(at(1));
  b.tick(at(5));
  REQUIRE(b.stats().channels == 0);
  REQUIRE(b.publish("goes", {.data = "x", .id = "b"}));
  CHECK(b.subscribe("gone", {.last_event_id = "a"}).value.outcome() == resume_outcome::up_to_date);
  CHECK(b.subscribe("goes", {.last_event_id = "b"}).value.outcome() == resume_outcome::up_to_date);
  cloning_traits::cloned(1);
  CHECK(b.subscribe("gone", {.last_event_id = "a"}).value.outcome() == resume_outcome::unknown);
  CHECK(b.subscribe("goes", {.last_event_id = "b"}).value.outcome() == resume_outcome::unknown);
}

TEST_CASE("a filter is asked about lost events of the child's alone") {
  parent const p;
  broker b({.replay = {.max_events = 4}});
  std::vector<std::uint64_t> asked;
  auto const none = [&](ssewire::event_header const& e) {
    asked.push_back(e.tag);
    CHECK(e.id.substr(0, 12) == child_id(0).substr(0, 12));
    return false;
  };
  auto const before = support::follow(b, {"news"}, {}, {.filter = [](auto const&) { return false; }});
  for (std::uint64_t tag = 1; tag <= 6; ++tag) REQUIRE(b.publish("news", {.data = "x"}, {.tag = tag}));
  cloning_traits::cloned(1);
  for (std::uint64_t tag = 11; tag <= 16; ++tag) REQUIRE(b.publish("news", {.data = "x"}, {.tag = tag}));
  CHECK(b.subscribe("news", {.last_event_id = child_id(6), .filter = none}).value.outcome() !=
        resume_outcome::gap);
  CHECK(asked == std::vector<std::uint64_t>{11, 12});
  CHECK(b.subscribe("news", {.last_event_id = child_id(3), .filter = none}).value.outcome() ==
        resume_outcome::gap);
}

TEST_CASE("a filter that is asked about losses while the child begins anew is shown the IDs that those "
          "events had") {
  parent const p;
  broker b({.replay = {.max_events = 4}});
  std::vector<std::string> shown;
  auto const publishes_once = [&](ssewire::event_header const& e) {
    shown.emplace_back(e.id);
    if (shown.size() == 1) publish(b, "child's");
    return false;
  };
  auto s = support::follow(b, {"news"}, {}, {.filter = publishes_once});
  (void)support::pull(s);
  for (int i = 0; i < 7; ++i) publish(b, "x");
  cloning_traits::cloned(1);
  (void)support::pull_all(s);
  REQUIRE(shown.size() >= 3);
  for (std::uint64_t i = 1; i <= 3; ++i) CHECK(shown[i - 1] == support::id(i));
}

TEST_CASE("a channel of which only losses were known is gone in the child") {
  parent const p;
  broker b({.replay = {.max_age = std::chrono::seconds(1)}});
  auto const at = [](int seconds) { return ssewire::steady_time{} + std::chrono::seconds(seconds); };
  auto s = support::follow(b, {"news"}, {}, {.filter = [](auto const&) { return true; }});
  b.tick(at(0));
  publish(b, "x");
  b.tick(at(1));
  b.tick(at(5));
  s.close();
  REQUIRE(b.stats().channels == 1);
  cloning_traits::cloned(1);
  REQUIRE(b.publish("other", {.data = "x"}));
  CHECK(b.stats().channels == 1);
}

TEST_CASE("a broker that drains does so in the child, and its streams read to the end") {
  parent const p;
  broker b;
  auto s = support::opened(b, {"news"});
  publish(b, "1");
  ssewire::steady_time const now{};
  b.drain(now, now + std::chrono::seconds(10));
  cloning_traits::cloned(1);
  CHECK(b.publish("news", {.data = "2"}).error == errc::closed);
  CHECK(b.subscribe("news").error == errc::closed);
  CHECK(support::pull_all(s) == support::frame(1, "1"));
}

TEST_CASE("channels that hold nothing and nobody follows are gone in the child, and are made again") {
  parent const p;
  broker b({.max_channels = 3});
  auto s = support::opened(b, {"followed"});
  for (char const* const name : {"followed", "a", "b"}) REQUIRE(b.publish(name, {.data = "x"}));
  REQUIRE(b.publish("c", {.data = "x"}).error == errc::too_many_channels);
  cloning_traits::cloned(1);
  CHECK(b.publish("c", {.data = "y"}));
  CHECK(b.publish("a", {.data = "y"}));
  CHECK(b.stats().channels == 3);
  CHECK(b.stats().events == 2);
  CHECK(b.stats().trimmed == 3);
  auto again = support::follow(b, {"a"}, child_id(3));  // where the fork was
  CHECK(again.outcome() == resume_outcome::resumed);
  CHECK(support::pull_all(again) == child_position(4) + child_frame(5, "y"));
}

TEST_CASE("without an epoch publish, subscribe and append answer no_memory, change nothing, and try again") {
  parent const p;
  ssewire::basic_broker<fickle_traits> b;
  ssewire::basic_replay_buffer<fickle_traits> buffer;
  auto s = support::opened(b, {"news"});
  REQUIRE(publish(b, "1") == support::id(1));
  REQUIRE(buffer.append({.data = "1"}).value.view() == support::id(1));
  cloning_traits::cloned(1);
  fickle_traits::fails = true;
  CHECK(b.publish("news", {.data = "2"}).error == errc::no_memory);
  CHECK(b.publish({"news", "b"}, {.data = "2"}).error == errc::no_memory);
  CHECK(b.subscribe("news").error == errc::no_memory);
  CHECK(buffer.append({.data = "2"}).error == errc::no_memory);
  CHECK(b.stats().events == 1);
  CHECK(b.stats().subscribers == 1);
  CHECK(b.stats().refusals[static_cast<std::size_t>(errc::no_memory)] == 3);
  fickle_traits::fails = false;
  CHECK(publish(b, "2") == child_id(2));
  CHECK(buffer.append({.data = "2"}).value.view() == child_id(2));
  CHECK(support::pull_all(s) == child_gap(1, 1) + child_frame(2, "2"));
}

TEST_CASE("a broker that is made in the child has its epoch, and forgets nothing") {
  parent const p;
  cloning_traits::cloned(1);
  broker b;
  auto s = support::opened(b, {"news"});
  publish(b, "1");
  publish(b, "2");
  CHECK(support::pull_all(s) == child_frame(1, "1") + child_frame(2, "2"));
}

TEST_CASE("threads of the child that all publish first give IDs of one epoch, and lose nothing") {
  parent const p;
  constexpr std::size_t each = 50;
  for (int round = 0; round < 20; ++round) {
    cloning_traits::next = 0;
    broker b;
    publish(b, "old");
    cloning_traits::cloned(1);
    std::array<std::vector<std::string>, 3> ids;
    std::vector<std::thread> threads;
    for (auto& mine : ids) {
      threads.emplace_back([&b, &mine] {
        for (std::size_t i = 0; i < each; ++i) mine.push_back(publish(b, "x"));
      });
    }
    for (auto& t : threads) t.join();
    std::set<std::string> distinct;
    for (auto const& mine : ids) distinct.insert(mine.begin(), mine.end());
    CHECK(distinct.size() == 3 * each);
    auto s = support::follow(b, {"news"}, {}, {.start = start_at::beginning()});
    std::string all = child_position(1);
    for (std::uint64_t i = 2; i <= 1 + 3 * each; ++i) all += child_frame(i, "x");
    CHECK(support::pull_all(s) == all);
  }
}

// ---- a loop that goes on in the child, as that of a daemon does ----

namespace {

using support::scripted_writer;

struct loop {
  broker b;
  std::vector<std::unique_ptr<support::peer>> to;
  ssewire::basic_reactor<scripted_writer, cloning_traits> r{
      {}, {std::chrono::seconds(0), std::chrono::seconds(0)}};
  std::vector<ssewire::stream_id> ids;

  explicit loop(std::size_t streams) {
    for (std::size_t i = 0; i < streams; ++i) {
      to.push_back(std::make_unique<support::peer>());
      ids.push_back(r.add(scripted_writer(*to.back()), std::move(b.subscribe("news").value)).value);
    }
    run();
    for (auto const& each : to) each->taken.clear();
  }
  loop(loop const&) = delete;
  loop& operator=(loop const&) = delete;
  ~loop() {
    for (auto const& each : to) each->stop_transport();
  }

  void run() {
    for (int i = 0; i < 1000 && r.poll(ssewire::steady_time{} + std::chrono::hours(1)).more; ++i) {
    }
  }
};

}  // namespace

TEST_CASE("streams in step that had everything get what the child publishes, and nothing else") {
  parent const p;
  loop l(20);
  publish(l.b, "1");
  l.run();
  cloning_traits::cloned(1);
  publish(l.b, "2");
  l.run();
  publish(l.b, "3");
  l.run();
  for (auto const& each : l.to)
    CHECK(each->taken == support::frame(1, "1") + child_frame(2, "2") + child_frame(3, "3"));
}

TEST_CASE(
    "streams in step that had something to get are each told how much they miss, and are in step again") {
  parent const p;
  loop l(20);
  publish(l.b, "1");
  publish(l.b, "2");
  cloning_traits::cloned(1);  // before their turn
  publish(l.b, "3");
  l.run();
  publish(l.b, "4");
  l.run();
  for (auto const& each : l.to)
    CHECK(each->taken == child_gap(2, 2) + child_frame(3, "3") + child_frame(4, "4"));
  CHECK(l.b.stats().gaps == 20);
}

TEST_CASE("streams in step whose turn comes before the child publishes get what the parent published") {
  parent const p;
  loop l(20);
  publish(l.b, "1");
  cloning_traits::cloned(1);
  l.run();
  publish(l.b, "2");
  l.run();
  for (auto const& each : l.to) CHECK(each->taken == support::frame(1, "1") + child_frame(2, "2"));
}

TEST_CASE("streams that were stopped inside a frame finish it in the child, and are told what they miss") {
  parent const p;
  loop l(6);
  auto const first = support::frame(1, "1");
  for (std::size_t i = 0; i < 3; ++i) l.to[i]->script = {support::answer::again(first.size() / 2)};
  publish(l.b, "1");
  l.run();
  publish(l.b, "2");
  cloning_traits::cloned(1);
  publish(l.b, "3");
  l.run();
  for (std::size_t i = 0; i < 3; ++i) {
    l.to[i]->let_go();
    l.r.writable(l.ids[i]);
  }
  l.run();
  publish(l.b, "4");
  l.run();
  for (auto const& each : l.to)
    CHECK(each->taken == first + child_gap(2, 1) + child_frame(3, "3") + child_frame(4, "4"));
}
