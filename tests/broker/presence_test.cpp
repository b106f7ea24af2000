// SPDX-License-Identifier: MIT
// presence_test.cpp - who follows a channel: what the presence hook says of users, and how many they are.
// What it says of subscriptions alone is in membership_test.cpp.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::presence;
using ssewire::subscribe_options;

using broker = ssewire::basic_broker<support::epoch_traits>;
using subscription = ssewire::basic_subscription<support::epoch_traits>;

struct told {
  std::string channel;
  std::uint64_t before, now;
  std::string user;
  std::uint64_t user_before, user_now;
  bool operator==(told const&) const = default;
};

struct listener {
  std::vector<told> heard = {};
  std::function<void(presence const&)> action = {};

  void operator()(presence const& p) {
    heard.push_back(
        {std::string(p.channel), p.before, p.now, std::string(p.user), p.user_before, p.user_now});
    if (action) action(p);
  }
  ssewire::broker_options options() {
    ssewire::broker_options of;
    of.on_presence = ssewire::presence_hook::of(*this);
    return of;
  }
  std::vector<told> take() { return std::exchange(heard, {}); }
};

subscription follow(broker& b, ssewire::channel_names channels, std::string const& user = {}) {
  auto made = b.subscribe(channels, {.user = user});
  REQUIRE(made.error == errc::ok);
  return std::move(made.value);
}

std::string const ann = "ann, whose key is long enough to be allocated";

TEST_CASE("the hook says whose stream joined or left, and how many this user has on the channel") {
  listener ear;
  broker b(ear.options());
  auto tab = follow(b, "c", ann);
  auto phone = follow(b, {"c", "d"}, ann);
  auto other = follow(b, "c", "bob");
  auto nobody = follow(b, "c");
  CHECK(ear.take() == std::vector<told>{{"c", 0, 1, ann, 0, 1},
                                        {"c", 1, 2, ann, 1, 2},
                                        {"d", 0, 1, ann, 0, 1},
                                        {"c", 2, 3, "bob", 0, 1},
                                        {"c", 3, 4, "", 0, 0}});
  CHECK(b.users("c") == 2);
  CHECK(b.users("d") == 1);
  CHECK(b.subscribers("c") == 4);
  tab.close();
  CHECK(ear.take() == std::vector<told>{{"c", 4, 3, ann, 2, 1}});
  CHECK(b.users("c") == 2);
  REQUIRE(phone.leave("c") == errc::ok);
  CHECK(ear.take() == std::vector<told>{{"c", 3, 2, ann, 1, 0}});
  CHECK(b.users("c") == 1);
  REQUIRE(phone.join("e") == errc::ok);
  REQUIRE(phone.join("c") == errc::ok);
  REQUIRE(phone.join("c") == errc::ok);  // again: nothing has changed
  CHECK(ear.take() == std::vector<told>{{"e", 0, 1, ann, 0, 1}, {"c", 2, 3, ann, 0, 1}});
  nobody.close();
  CHECK(ear.take() == std::vector<told>{{"c", 3, 2, "", 0, 0}});
  CHECK(b.users("c") == 2);
  other.close();
  phone.close();
  CHECK(b.users("c") == 0);
  CHECK(b.stats().channels == 0);
  CHECK(b.users("") == 0);
  CHECK(b.users(std::string(100'000, 'x')) == 0);
}

TEST_CASE("without a hook users are counted, too") {
  broker b;
  auto one = follow(b, "c", ann);
  auto two = follow(b, "c", ann);
  auto three = follow(b, "c", "bob");
  auto four = follow(b, "c");
  CHECK(b.users("c") == 2);
  one.close();
  CHECK(b.users("c") == 2);
  two.close();
  CHECK(b.users("c") == 1);
  three.close();
  CHECK(b.users("c") == 0);
  CHECK(b.subscribers("c") == 1);
}

TEST_CASE("a user who was signed out is there until the last stream has gone, and is told by name") {
  listener ear;
  broker b(ear.options());
  auto one = follow(b, "c", ann);
  auto two = follow(b, "c", ann);
  CHECK(*b.close_user(ann) == 2);
  CHECK(b.stats().users == 0);
  CHECK(b.users("c") == 1);
  auto again = follow(b, "c", ann);  // on the channel it is the same user
  ear.heard.clear();
  one.close();
  two.close();
  CHECK(ear.take() == std::vector<told>{{"c", 3, 2, ann, 3, 2}, {"c", 2, 1, ann, 2, 1}});
  CHECK(b.users("c") == 1);
}

TEST_CASE("a stream that takes the place of another is told before the other leaves") {
  listener ear;
  auto options = ear.options();
  options.max_subscribers_per_user = 1;
  options.at_user_limit = ssewire::user_limit::replace_oldest;
  broker b(options);
  auto one = follow(b, "c", ann);
  auto two = follow(b, "c", ann);
  one.close();
  CHECK(ear.take() ==
        std::vector<told>{{"c", 0, 1, ann, 0, 1}, {"c", 1, 2, ann, 1, 2}, {"c", 2, 1, ann, 2, 1}});
}

TEST_CASE("of what changes during a call each user is told once, and who came and went is not") {
  listener ear;
  broker b(ear.options());
  auto bob = follow(b, "c", "bob");
  std::vector<subscription> made;
  ear.heard.clear();
  int calls = 0;
  ear.action = [&](presence const& p) {
    if (calls++ != 0) return;
    CHECK(p.user == "ann");
    made.push_back(follow(b, "c", "cid"));
    made.push_back(follow(b, "c", "dan"));
    made.push_back(follow(b, "c"));
    made.push_back(follow(b, "c", "cid"));
    made.push_back(follow(b, "c", "ann"));
    { auto const visitor = follow(b, "c", "eve"); }
    bob.close();
    CHECK(b.users("c") == 3);
    CHECK(p.user == "ann");
  };
  made.push_back(follow(b, "c", "ann"));
  CHECK(ear.take() == std::vector<told>{{"c", 1, 2, "ann", 0, 1},
                                        {"c", 2, 3, "", 0, 0},
                                        {"c", 3, 5, "cid", 0, 2},
                                        {"c", 5, 6, "dan", 0, 1},
                                        {"c", 6, 7, "ann", 1, 2},
                                        {"c", 7, 6, "bob", 1, 0}});
  CHECK(b.subscribers("c") == 6);
  made.clear();
  CHECK(ear.heard.back() == told{"c", 1, 0, "ann", 1, 0});
  CHECK(b.stats().channels == 0);
}

TEST_CASE("the key that the hook is given lives while it runs, though its last stream leaves meanwhile") {
  listener ear;
  broker b(ear.options());
  std::optional<subscription> s;
  ear.action = [&](presence const& p) {
    if (p.now == 0) return;
    auto made = b.subscribe("c", {.user = "bob"});
    auto const before = std::string(p.user);
    CHECK(*b.close_user(before) == 1);
    made.value.close();
    CHECK(p.user == before);
  };
  s.emplace(follow(b, "c", ann));
  s.reset();
  CHECK(ear.heard == std::vector<told>{{"c", 0, 1, ann, 0, 1}, {"c", 1, 0, ann, 1, 0}});

  // A stream that is refused while the last one is told of.
  ear.action = {};
  auto options = ear.options();
  options.max_subscribers_per_channel = 1;
  broker small(options);
  auto full = follow(small, "full", "bob");
  ear.action = [&](presence const& p) {
    if (p.user_now != 0) return;
    CHECK(small.subscribe({"c", "full"}, {.user = ann}).error == errc::channel_full);
    CHECK(p.user == ann);
  };
  ear.heard.clear();
  follow(small, "c", ann).close();
  CHECK(ear.heard == std::vector<told>{{"c", 0, 1, ann, 0, 1}, {"c", 1, 0, ann, 1, 0}});

  // On another thread.
  ear.action = {};
  auto tab = follow(b, "other", ann);
  std::atomic<int> stage{0};
  ear.action = [&](presence const&) {
    if (stage != 0) return;
    stage = 1;
    while (stage != 2) std::this_thread::yield();
  };
  ear.heard.clear();
  std::thread joins([&] { s.emplace(follow(b, "c", ann)); });
  while (stage != 1) std::this_thread::yield();
  for (int i = 0; i < 3; ++i) auto const more = follow(b, "c", ann);
  CHECK(b.users("c") == 1);
  stage = 2;
  joins.join();
  CHECK(ear.heard.back() == told{"c", 0, 1, ann, 0, 1});
}

TEST_CASE("a refused subscription and a refused join count nobody and tell nobody") {
  listener ear;
  auto options = ear.options();
  options.max_subscribers_per_channel = 1;
  options.max_channels_per_stream = 2;
  broker b(options);
  auto full = follow(b, "full", "bob");
  ear.heard.clear();
  CHECK(b.subscribe({"a", "full"}, {.user = ann}).error == errc::channel_full);
  CHECK(b.users("a") == 0);
  CHECK(b.users("full") == 1);
  CHECK(b.stats().channels == 1);
  CHECK(b.stats().users == 1);
  CHECK(full.join("a") == errc::ok);
  CHECK(full.join("b") == errc::too_many_channels);
  CHECK(b.users("b") == 0);
  CHECK(ear.take() == std::vector<told>{{"a", 0, 1, "bob", 0, 1}});
}

TEST_CASE("a hook that joins, leaves and signs out in each call hears the truth at last") {
  listener ear;
  broker b(ear.options());
  support::random random(7);
  std::vector<subscription> all;
  std::map<std::string, std::uint64_t> users;
  std::uint64_t members = 0;
  int depth = 0;
  char const* const keys[] = {"", "ann", "bob", "cid"};
  auto const change = [&] {
    if (!all.empty() && random.one_in(2)) {
      std::swap(all[random.below(all.size())], all.back());
      auto const gone = std::move(all.back());
      all.pop_back();
    } else {
      auto made = b.subscribe("c", {.user = random.pick(keys)});
      if (made) all.push_back(std::move(made.value));
    }
  };
  ear.action = [&](presence const& p) {
    CHECK(p.before == members);
    CHECK(p.now != p.before);
    CHECK(p.user_before == (p.user.empty() ? 0 : users[std::string(p.user)]));
    if (!p.user.empty()) CHECK(p.user_now - p.user_before == p.now - p.before);
    members = p.now;
    if (!p.user.empty()) users[std::string(p.user)] = p.user_now;
    if (++depth < 200 && random.one_in(2)) change();
    if (depth < 200 && random.one_in(8)) (void)b.close_user(random.pick(keys));
    --depth;
  };
  for (int i = 0; i < 3000; ++i) change();
  CHECK(members == b.subscribers("c"));
  std::uint64_t there = 0;
  for (auto const& [user, streams] : users) there += streams != 0 ? 1u : 0u;
  CHECK(b.users("c") == there);
  CHECK(ear.heard.size() > 2000);
  ear.action = [&](presence const& p) {
    members = p.now;
    if (!p.user.empty()) users[std::string(p.user)] = p.user_now;
  };
  all.clear();
  CHECK(members == 0);
  for (auto const& [user, streams] : users) CHECK(streams == 0);
}

TEST_CASE("while threads come and go, what the hook hears of each user links up, and ends with nobody") {
  struct heard_of {
    std::uint64_t members = 0;
    std::map<std::string, std::uint64_t> users = {};
    bool linked = true;
  };
  std::map<std::string, heard_of, std::less<>> channels;
  for (auto const name : {"a", "b"}) channels[name];
  auto hook = [&](presence const& p) {
    auto& of = channels.find(p.channel)->second;
    auto& user = of.users[std::string(p.user)];
    of.linked = of.linked && p.before == of.members && p.now != p.before && p.user_before == user &&
                (p.user.empty() || p.user_now != p.user_before);
    for (int i = 0; i < 3; ++i) std::this_thread::yield();
    user = p.user_now;  // by now its last stream may have left
    of.users[std::string(p.user)] = p.user_now;
    of.members = p.now;
  };
  ssewire::broker_options options;
  options.on_presence = ssewire::presence_hook::of(hook);
  broker b(options);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      support::random random(t + 1);
      char const* const keys[] = {"", "ann", "bob"};
      for (int i = 0; i < 400; ++i) {
        auto s = b.subscribe({"a"}, {.user = random.pick(keys)}).value;
        (void)s.join("b");
        if (random.one_in(4)) (void)b.close_user(random.pick(keys));
        if (random.one_in(2)) (void)s.leave("a");
        (void)b.users("a");
      }
    });
  }
  for (auto& each : threads) each.join();
  for (auto const& [name, of] : channels) {
    CAPTURE(name);
    CHECK_UNARY(of.linked);
    CHECK(of.members == 0);
    for (auto const& [user, streams] : of.users) CHECK(streams == 0);
  }
  CHECK(b.stats().channels == 0);
}

}  // namespace
