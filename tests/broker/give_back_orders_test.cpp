// SPDX-License-Identifier: MIT
// Between pull() and give_back() anything may happen to a stream: others publish, time passes, the writer
// changes what the stream follows, or the broker drains. Runs every order of a few such steps, on one to four
// channels, against the oracle. SSEWIRE_ORDERS: how many steps; 2 if it is not set.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/stream_model.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::lag_policy;
using ssewire::pull_status;
using support::model_filter;
using support::name_of;
using traits = support::epoch_traits;
using broker = ssewire::basic_broker<traits>;
using batch = ssewire::basic_batch<traits>;
using channels = std::vector<std::size_t>;

enum class action : unsigned char {
  publish_on_first,
  publish_on_last,
  publish_on_all,
  join,
  leave_first,
  leave_last,
  set_filter,
  let_age,
  drain,
  count
};

struct scope {
  std::size_t followed;          // channels 0 to followed - 1; one more exists
  std::vector<channels> events;  // what is pulled: on which channels each of them is
  std::uint64_t kept;            // replay_limits::max_events
  lag_policy policy;
  std::size_t taken;  // frames that were sent whole,
  bool begun;         // and half of one more
};

ssewire::broker_options options_of(scope const& of) {
  ssewire::broker_options o;
  o.replay.max_events = of.kept;
  o.replay.max_age = std::chrono::seconds(1);
  return o;
}

struct run {
  scope const& of;
  broker b{options_of(of)};
  support::model_broker model{.options = options_of(of), .epoch = 0};
  support::model_client client;
  ssewire::basic_subscription<traits> s;
  ssewire::steady_time now = ssewire::steady_time{} + std::chrono::hours(1);
  std::uint64_t published = 0;

  explicit run(scope const& it) : of(it) { model.channels.resize(of.followed + 1); }

  void publish(channels const& to) {
    auto const text = std::to_string(++published);
    std::vector<std::string> names;
    for (auto const c : to) names.push_back(name_of(c));
    std::vector<std::string_view> const views(names.begin(), names.end());
    auto const error = b.publish(std::span(views), {.data = text}, {.tag = published % 2}).error;
    REQUIRE(error == (model.draining ? errc::closed : errc::ok));
    if (model.draining) return;
    support::model_event const event{.data = text, .tag = published % 2};
    model.publish(to, std::span(&event, 1));
  }

  [[nodiscard]] channels all() const {
    channels every;
    for (std::size_t c = 0; c < of.followed; ++c) every.push_back(c);
    return every;
  }
  [[nodiscard]] auto followed() const {
    return [this](std::size_t c) { return s && client.follows(c); };
  }

  void leave(std::size_t channel) {
    bool const goes = client.follows(channel) && client.places.size() > 1;
    auto const error = s.leave(name_of(channel));
    if (s.reason() != ssewire::close_reason::none) return;
    REQUIRE(error == (goes || !client.follows(channel) ? errc::ok : errc::no_channel));
    if (goes) client.leave(channel);
    model.sweep(followed());
  }

  void act(action what) {
    switch (what) {
    case action::publish_on_first: return publish({0});
    case action::publish_on_last: return publish({of.followed - 1});
    case action::publish_on_all: return publish(all());
    case action::join:
      if (s.join(name_of(of.followed)) != errc::ok || client.follows(of.followed)) return;
      model.make(of.followed);
      return client.join(model, of.followed);
    case action::leave_first: return leave(0);
    case action::leave_last: return leave(of.followed - 1);
    case action::set_filter:
      if (client.owed_position && !client.next_filter) return;  // the oracle does not know both at once
      if (s.set_filter([](ssewire::event_header const& e) { return e.tag == 1; }) != errc::ok) return;
      for (auto const& p : client.places) model.filter_on(p.channel);
      return client.set_filter({model_filter::by::tag, 1});
    case action::let_age:
      for (int i = 0; i < 20; ++i) {  // in steps that are no pause
        now += std::chrono::milliseconds(100);
        b.tick(now);
        model.tick(now, followed());
      }
      return;
    case action::drain:
      b.drain(now, now + std::chrono::hours(1));  // its time has not come
      if (!model.draining) model.draining = {now, std::chrono::minutes(30)};
      return;
    case action::count: break;
    }
  }

  // All that comes, until nothing does.
  void read_on() {
    for (;;) {
      auto const bytes = support::pull(s);
      client.pulled_at = model.last();
      if (bytes.empty()) break;
      client.receive(model, bytes);
    }
    if (s.reason() == ssewire::close_reason::none) {
      client.caught_up(model);
    } else {
      CHECK(of.policy == lag_policy::close);
      CHECK_UNARY(client.may_lag(model));
    }
  }

  void play(std::vector<action> const& between) {
    traits::next = 0;
    std::vector<std::string> names;
    for (auto const c : all()) names.push_back(name_of(c));
    std::vector<std::string_view> const views(names.begin(), names.end());
    s = std::move(b.subscribe(std::span(views), {.lag = of.policy}).value);
    for (auto const c : all()) model.make(c);
    client.connect(model, all(), {}, {}, {});
    read_on();
    for (auto const& on : of.events) publish(on);
    auto const seen = client.seen;
    batch pulled;
    REQUIRE(s.pull(pulled, support::all_room) == pull_status::ready);
    client.pulled_at = model.last();
    auto const bytes = support::bytes_of(pulled);
    std::size_t sent = 0;
    for (std::size_t i = 0; i < of.taken; ++i) sent = bytes.find("\n\n", sent) + 2;
    auto const begun = of.begun ? bytes.find("\n\n", sent) + 2 : sent;
    if (of.begun) sent += 5;
    client.receive(model, std::string_view(bytes).substr(0, begun));
    client.begin_sending(model, seen);
    for (auto const what : between) act(what);
    CHECK_UNARY(s.give_back(pulled, sent) == std::string_view(bytes).substr(sent, begun - sent));
    auto const back = begun == bytes.size() ? support::never : of.taken + (of.begun ? 1 : 0);
    client.end_sending(back);
    if (s.reason() == ssewire::close_reason::none) read_on();
  }
};

// A log has forgotten one of these before the stream pulls.
bool lags_at_once(std::vector<channels> const& events, std::uint64_t kept) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    for (auto const c : events[i]) {
      auto const later =
          std::count_if(events.begin() + static_cast<std::ptrdiff_t>(i) + 1, events.end(),
                        [&](auto const& on) { return std::find(on.begin(), on.end(), c) != on.end(); });
      if (static_cast<std::uint64_t>(later) >= kept) return true;
    }
  }
  return false;
}

TEST_CASE(
    "whatever happens between pull and give_back, and in whatever order, nothing is missing untold and no "
    "gap is false") {
  auto const* const text = std::getenv("SSEWIRE_ORDERS");
  auto const longest = text == nullptr ? std::size_t{2} : std::strtoull(text, nullptr, 10);
  auto const kinds = static_cast<std::size_t>(action::count);
  std::uint64_t orders = 0;
  for (std::size_t n = 1; n <= 4; ++n) {
    channels every;
    std::vector<channels> each;
    for (std::size_t c = 0; c < n; ++c) {
      every.push_back(c);
      each.push_back({c});
    }
    auto mixed = each;
    mixed.push_back(every);
    for (auto const& events : {std::vector<channels>{every}, {every, {0}, every}, mixed}) {
      for (std::uint64_t const kept : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{100}}) {
        for (auto const policy : {lag_policy::tell, lag_policy::close}) {
          if (lags_at_once(events, kept)) continue;  // another test's
          for (std::size_t taken = 0; taken < events.size(); ++taken) {
            for (bool const begun : {false, true}) {
              scope const of{n, events, kept, policy, taken, begun};
              std::vector<std::size_t> digits;
              for (;;) {
                std::vector<action> between;
                for (auto const d : digits) between.push_back(static_cast<action>(d));
                INFO("channels " << n << " events " << events.size() << " kept " << kept << " taken " << taken
                                 << (begun ? " and a half" : "") << " policy " << static_cast<int>(policy));
                std::string written;
                for (auto const d : digits) written += std::to_string(d) + ' ';
                INFO("actions " << written);
                run one(of);
                one.play(between);
                ++orders;
                std::size_t at = 0;
                while (at < digits.size() && ++digits[at] == kinds) digits[at++] = 0;
                if (at == digits.size()) {
                  if (digits.size() == longest) break;
                  digits.assign(digits.size() + 1, 0);
                }
              }
            }
          }
        }
      }
    }
  }
  MESSAGE(orders << " orders");
  CHECK(orders > 10'000);
}

}  // namespace
