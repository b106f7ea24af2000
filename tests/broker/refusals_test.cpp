// SPDX-License-Identifier: MIT
// stats().refusals counts every refused call of a broker once, by its error.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/failing_allocations.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using broker = ssewire::basic_broker<support::failing_traits>;
using subscription = ssewire::basic_subscription<support::failing_traits>;
using batch = ssewire::basic_batch<support::failing_traits>;

ssewire::broker_options small() {
  ssewire::broker_options options;
  options.replay.max_bytes = 20'000;
  options.max_channels = 3;
  options.max_channels_per_stream = 2;
  options.max_subscribers = 3;
  options.max_subscribers_per_channel = 2;
  options.max_subscribers_per_user = 1;
  return options;
}

// A broker of small limits, and a stream on `a`.
struct scene {
  broker b{small()};
  subscription s = b.subscribe("a").value;
  std::vector<subscription> others;

  void crowd(std::initializer_list<std::string_view> channels, std::string_view user = {}) {
    others.push_back(b.subscribe(channels, {.user = user}).value);
    REQUIRE(others.back());
  }
  void end_all() {
    b.drain({}, {});
    b.tick({});
  }
};

struct refusal {
  std::string call;
  errc why;
  std::function<errc(scene&)> run;
};

std::string const too_long(200, 'n');
std::string const large(5000, 'x');
std::string const too_large(30'000, 'x');

errc inside_a_filter(scene& at, std::function<errc(subscription&)> const& action) {
  auto error = errc::ok;
  at.s.close();
  at.s = at.b.subscribe("a", {.filter =
                                  [&](ssewire::event_header const&) {
                                    error = action(at.s);
                                    return true;
                                  }})
             .value;
  REQUIRE(at.b.publish("a", {.data = "x"}));
  batch out;
  while (error == errc::ok && at.s.pull(out, 1000) == ssewire::pull_status::ready) {
  }
  return error;
}

// Every error that each call can answer, but for no_memory.
std::vector<refusal> const refusals_there_are = {
    {"publish", errc::channel_name_refused, [](scene& at) { return at.b.publish("", {.data = "x"}).error; }},
    {"publish", errc::channel_name_refused,
     [](scene& at) { return at.b.publish(too_long, {.data = "x"}).error; }},
    {"publish", errc::type_reserved,
     [](scene& at) { return at.b.publish("a", {.type = "ssewire.x"}).error; }},
    {"publish", errc::id_refused, [](scene& at) { return at.b.publish("a", {.id = ""}).error; }},
    {"publish", errc::id_in_use,
     [](scene& at) {
       REQUIRE(at.b.publish("a", {.id = "mine"}));
       return at.b.publish("a", {.id = "mine"}).error;
     }},
    {"publish", errc::event_too_large,
     [](scene& at) { return at.b.publish("a", {.data = too_large}).error; }},
    {"publish", errc::too_many_channels,
     [](scene& at) {
       REQUIRE(at.b.publish("b", {.data = "x"}));
       REQUIRE(at.b.publish("c", {.data = "x"}));
       return at.b.publish("d", {.data = "x"}).error;
     }},
    {"publish", errc::closed,
     [](scene& at) {
       at.b.drain({}, {});
       return at.b.publish("a", {.data = "x"}).error;
     }},
    {"publish to several", errc::no_channel,
     [](scene& at) { return at.b.publish(std::span<std::string_view const>(), {.data = "x"}).error; }},
    {"publish to several", errc::channel_name_refused,
     [](scene& at) {
       return at.b.publish({"a", "\n"}, {.data = "x"}).error;
     }},
    {"publish to several", errc::too_many_channels,
     [](scene& at) {
       return at.b.publish({"a", "b", "c"}, {.data = "x"}).error;
     }},
    {"publish to several", errc::too_many_channels,
     [](scene& at) {
       REQUIRE(at.b.publish("b", {.data = "x"}));
       REQUIRE(at.b.publish("c", {.data = "x"}));
       return at.b.publish({"a", "d"}, {.data = "x"}).error;
     }},
    {"publish to several", errc::type_reserved,
     [](scene& at) {
       return at.b.publish({"a", "b"}, {.type = "ssewire.gap"}).error;
     }},
    {"publish to several", errc::id_refused,
     [](scene& at) {
       return at.b.publish({"a", "b"}, {.id = "a b"}).error;
     }},
    {"publish to several", errc::id_in_use,
     [](scene& at) {
       REQUIRE(at.b.publish("b", {.id = "mine"}));
       return at.b.publish({"a", "b"}, {.id = "mine"}).error;
     }},
    {"publish to several", errc::event_too_large,
     [](scene& at) {
       return at.b.publish({"a", "b"}, {.data = too_large}).error;
     }},
    {"publish to several", errc::closed,
     [](scene& at) {
       at.b.drain({}, {});
       return at.b.publish({"a", "b"}, {.data = "x"}).error;
     }},
    {"publish several", errc::event_too_large,
     [](scene& at) {
       std::vector<ssewire::event> const events(5, {.data = large});
       return at.b.publish("a", events).error;
     }},
    {"publish several", errc::id_in_use,
     [](scene& at) {
       std::vector<ssewire::event> const events(2, {.id = "twice"});
       return at.b.publish("a", events).error;
     }},
    {"subscribe", errc::no_channel,
     [](scene& at) { return at.b.subscribe(std::span<std::string_view const>()).error; }},
    {"subscribe", errc::channel_name_refused, [](scene& at) { return at.b.subscribe("").error; }},
    {"subscribe", errc::too_many_channels,
     [](scene& at) {
       return at.b.subscribe({"a", "b", "c"}).error;
     }},
    {"subscribe", errc::too_many_channels,
     [](scene& at) {
       at.crowd({"b", "c"});
       return at.b.subscribe("d").error;
     }},
    {"subscribe", errc::too_many_subscribers,
     [](scene& at) {
       at.crowd({"b"});
       at.crowd({"b"});
       return at.b.subscribe("c").error;
     }},
    {"subscribe", errc::channel_full,
     [](scene& at) {
       at.crowd({"a"});
       return at.b.subscribe("a").error;
     }},
    {"subscribe", errc::user_full,
     [](scene& at) {
       at.crowd({"b"}, "ann");
       return at.b.subscribe("c", {.user = "ann"}).error;
     }},
    {"subscribe", errc::closed,
     [](scene& at) {
       at.b.drain({}, {});
       return at.b.subscribe("a").error;
     }},
    {"join", errc::channel_name_refused, [](scene& at) { return at.s.join(""); }},
    {"join", errc::too_many_channels,
     [](scene& at) {
       REQUIRE(at.s.join("b") == errc::ok);
       return at.s.join("c");
     }},
    {"join", errc::too_many_channels,
     [](scene& at) {
       at.crowd({"b", "c"});
       return at.s.join("d");
     }},
    {"join", errc::channel_full,
     [](scene& at) {
       at.crowd({"b"});
       at.crowd({"b"});
       return at.s.join("b");
     }},
    {"join", errc::closed,
     [](scene& at) {
       at.b.drain({}, {});
       return at.s.join("b");
     }},
    {"join", errc::closed,
     [](scene& at) {
       at.end_all();
       return at.s.join("b");
     }},
    {"join", errc::called_from_inside,
     [](scene& at) { return inside_a_filter(at, [](subscription& s) { return s.join("b"); }); }},
    {"leave", errc::no_channel, [](scene& at) { return at.s.leave("a"); }},
    {"leave", errc::closed,
     [](scene& at) {
       at.end_all();
       return at.s.leave("a");
     }},
    {"leave", errc::called_from_inside,
     [](scene& at) { return inside_a_filter(at, [](subscription& s) { return s.leave("a"); }); }},
    {"set_filter", errc::closed,
     [](scene& at) {
       at.end_all();
       return at.s.set_filter({});
     }},
    {"set_filter", errc::called_from_inside,
     [](scene& at) { return inside_a_filter(at, [](subscription& s) { return s.set_filter({}); }); }},
};

std::uint64_t all_refusals(broker const& b) {
  auto const counts = b.stats().refusals;
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}
std::uint64_t refusals(broker const& b, errc why) {
  return b.stats().refusals[static_cast<std::size_t>(why)];
}

}  // namespace

TEST_CASE("every refusal is counted by its error, once, whichever call it answers") {
  for (auto const& each : refusals_there_are) {
    CAPTURE(each.call);
    CAPTURE(std::string(message(each.why)));
    scene at;
    CHECK(each.run(at) == each.why);
    CHECK(refusals(at.b, each.why) == 1);
    CHECK(all_refusals(at.b) == 1);
  }
}

TEST_CASE("a call that no memory refuses is counted once, whichever allocation failed") {
  struct action {
    std::string call;
    std::function<errc(broker&, subscription&)> run;
    unsigned least;  // allocations
  };
  ssewire::event const events[] = {{.data = "small", .id = "one"}, {.data = large}};
  action const actions[] = {
      {"publish", [](broker& b, subscription&) { return b.publish("new", {.data = "x", .id = "own"}).error; },
       4},
      {"publish, large", [](broker& b, subscription&) { return b.publish("new", {.data = large}).error; }, 4},
      {"publish several to several",
       [&](broker& b, subscription&) {
         return b.publish({"new", "too"}, events).error;
       },
       9},
      {"subscribe",
       [](broker& b, subscription& s) {
         auto made = b.subscribe({"new", "too"}, {.user = "ann"});
         s = std::move(made.value);
         return made.error;
       },
       6},
      {"join", [](broker&, subscription& s) { return s.join("new"); }, 3},
  };
  for (auto const& each : actions) {
    CAPTURE(each.call);
    broker b;
    auto s = b.subscribe("a").value;
    for (unsigned n = 0;; ++n) {
      REQUIRE(n < 60);
      subscription other;
      auto& at = each.call == "subscribe" ? other : s;
      support::allocations_left = n;
      auto const error = each.run(b, at);
      support::allocations_left = -1;
      if (error == errc::ok) {
        CHECK(n >= each.least);
        CHECK(all_refusals(b) == n);
        break;
      }
      CHECK(error == errc::no_memory);
      CHECK(refusals(b, errc::no_memory) == n + 1);
      CHECK(all_refusals(b) == n + 1);
    }
  }
}

TEST_CASE("what is not refused is not counted, nor what never reached a broker") {
  scene at;
  CHECK(at.s.join("a") == errc::ok);
  CHECK(at.s.leave("other") == errc::ok);
  CHECK(at.s.set_filter({}) == errc::ok);
  CHECK(at.b.publish({"a"}, std::span<ssewire::event const>()).error == errc::ok);
  subscription none;
  CHECK(none.join("a") == errc::closed);
  CHECK(none.leave("a") == errc::closed);
  CHECK(none.set_filter({}) == errc::closed);
  CHECK(all_refusals(at.b) == 0);
}
