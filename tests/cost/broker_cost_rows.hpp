// SPDX-License-Identifier: MIT
// broker_cost_rows.hpp - what is done with a broker and counted, but not timed. A group's task:
//   lookup     `bytes` times: subscribe with a last event ID, and close. Row KIND/EVENTS-HELD/EVENTS-MISSED
//   wake       `bytes` publishes on as many channels. Row parked/SUBSCRIBERS-PARKED-ON-EACH
//   channels   one call for `bytes` channels
#pragma once

#include <ssewire/log/replay_buffer.hpp>

#include <broker_rows.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

// ---- lookup ----

inline constexpr std::array<std::size_t, 3> log_sizes = {1'000, 10'000, full_log};
inline constexpr std::size_t lookups_a_run = 64;

template <class Traits> group lookup_group(corpus const& c) {
  group made{.task = "lookup", .corpus = c.name};
  for (auto const size : log_sizes) {
    auto const add = [&](std::string kind, std::size_t missed, auto const& filled, std::string id,
                         ssewire::resume_outcome outcome) {
      made.rows.push_back({.name = kind + "/" + std::to_string(size) + "/" + std::to_string(missed),
                           .bytes = lookups_a_run,
                           .run =
                               [filled, id, outcome] {
                                 for (std::size_t i = 0; i < lookups_a_run; ++i) {
                                   auto const got = filled->broker.subscribe(news, {.last_event_id = id});
                                   must(got && got.value.outcome() == outcome, "resume");
                                 }
                               },
                           .tell = {}});
    };
    auto const filled = std::make_shared<filled_broker<Traits>>(c, size);
    add("fresh", 0, filled, {}, ssewire::resume_outcome::fresh);
    for (auto const missed : missed_counts) {
      if (missed < size) {
        add("resume", missed, filled, std::string(filled->id_before(missed)),
            missed == 0 ? ssewire::resume_outcome::up_to_date : ssewire::resume_outcome::resumed);
      }
    }
    auto const own = std::make_shared<filled_broker<Traits>>(c, size, with::own_id);
    add("own", 100, own, numbered(c, size - 101).id, ssewire::resume_outcome::resumed);
    add("foreign", 0, own, "an-ID-that-nobody-gave", ssewire::resume_outcome::unknown);
    auto const limits = ssewire::replay_limits{.max_events = size, .max_bytes = std::size_t{1} << 30};
    auto const buffer = std::make_shared<ssewire::basic_replay_buffer<Traits>>(limits);
    auto const ids = std::make_shared<std::vector<ssewire::position_id>>();
    for (std::size_t i = 0; i < size; ++i)
      ids->push_back(buffer->append(event_of(c.records[i % c.records.size()])).value);
    made.rows.push_back({.name = "buffer/" + std::to_string(size) + "/100",
                         .bytes = lookups_a_run,
                         .run =
                             [buffer, ids, id = (*ids)[size - 101]] {
                               for (std::size_t i = 0; i < lookups_a_run; ++i) {
                                 must(buffer->after(id.view()).size() == 100, "lookup");
                               }
                             },
                         .tell = {}});
  }
  return made;
}

// ---- wake ----

/// A broker with channels, and on each so many parked subscribers.
template <class Traits> class parked_crowd {
 public:
  parked_crowd(std::size_t channels, std::size_t subscribers, bool hooks = true) {
    for (std::size_t i = 0; i < channels; ++i) names_.push_back("channel/" + detail::digits(i, 6));
    for (auto const& name : names_) {
      for (std::size_t i = 0; i < subscribers; ++i) {
        auto got = broker.subscribe(name);
        must(static_cast<bool>(got), "subscribe");
        if (hooks)
          got.value.set_hook(
              {[](void* at, ssewire::wake) noexcept { ++*static_cast<std::size_t*>(at); }, &woken});
        crowd_.push_back(std::move(got.value));
      }
    }
    for (auto const& name : names_) readers_.push_back(broker.subscribe(name).value);
    publish_all(ssewire::event{.data = "the log has its first page"});
  }

  void publish_all(ssewire::event const& e) {
    for (auto const& name : names_) must(static_cast<bool>(broker.publish(name, e)), "publish");
  }

  void park_all() {
    // With nobody parked the channels are to be as warm as with somebody.
    for (auto& s : readers_) pull_all(s, batch_, [](std::string_view) {});
    for (auto& s : crowd_) {
      while (!s.park()) must(s.pull(batch_, one_pull) == ssewire::pull_status::ready, "pull");
    }
    batch_.clear();
    woken = 0;
  }

  [[nodiscard]] std::size_t size() const { return crowd_.size(); }
  [[nodiscard]] std::size_t channels() const { return names_.size(); }

  ssewire::basic_broker<Traits> broker;
  std::size_t woken = 0;

 private:
  std::vector<std::string> names_;
  std::vector<ssewire::basic_subscription<Traits>> crowd_;
  std::vector<ssewire::basic_subscription<Traits>> readers_;  // one on each channel, never parked
  ssewire::basic_batch<Traits> batch_;
};

template <class Traits> row parked_row(corpus const& c, std::size_t channels, std::size_t subscribers) {
  auto const crowd = std::make_shared<parked_crowd<Traits>>(channels, subscribers);
  row made{.name = "parked/" + std::to_string(subscribers), .bytes = channels, .run = {}, .tell = {}};
  made.prepare = [crowd] { crowd->park_all(); };
  made.run = [crowd, e = event_of(c.records.front())] { crowd->publish_all(e); };
  made.prepare();
  made.run();
  must(crowd->woken == crowd->size(), "each one is woken once");
  return made;
}

template <class Traits> group wake_group(corpus const& c) {
  group made{.task = "wake", .corpus = c.name};
  made.rows = {parked_row<Traits>(c, 256, 0), parked_row<Traits>(c, 256, 1), parked_row<Traits>(c, 16, 100),
               parked_row<Traits>(c, 1, 10'000)};
  return made;
}

// ---- many channels ----

inline constexpr std::size_t channel_counts[] = {1'000, 10'000};

// Subscribing to so many channels in one call, and closing; or publishing to them.
template <class Traits> group channels_group(corpus const& c) {
  group made{.task = "channels", .corpus = c.name};
  for (auto const count : channel_counts) {
    ssewire::broker_options options;
    options.max_channels_per_stream = count;
    auto const broker = std::make_shared<ssewire::basic_broker<Traits>>(options);
    auto const names = std::make_shared<std::vector<std::string>>();
    for (std::size_t i = 0; i < count; ++i) names->push_back("users/" + detail::digits(i, 6) + "/inbox");
    auto const views = std::make_shared<std::vector<std::string_view>>(names->begin(), names->end());
    auto const add = [&](std::string kind, auto action) {
      made.rows.push_back(
          {.name = kind + "/" + std::to_string(count),
           .bytes = count,
           .run = [broker, names, views, action] { must(action(*broker, std::span(*views)), "names"); },
           .tell = {}});
    };
    add("subscribe", [](auto& to, std::span<std::string_view const> all) { return bool(to.subscribe(all)); });
    add("publish", [](auto& to, std::span<std::string_view const> all) {
      return bool(to.publish(all, ssewire::event{.data = "x"}));
    });
  }
  return made;
}

}  // namespace bench
