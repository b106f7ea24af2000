// SPDX-License-Identifier: MIT
// broker_rows.hpp - what is done with a broker: broker.cpp times it, broker_counts.cpp counts it.
// A group's task, and what its chunk and a row's bytes are:
//   publish   chunk 0; `bytes` events into a log that is full
//   lookup    chunk 0; `bytes` times: subscribe with a last event ID, and close. Row
//   KIND/EVENTS-HELD/EVENTS-MISSED replay    chunk: events missed; once: find them by the ID and look at
//   each. `bytes`: 1 wake      chunk 0; `bytes` publishes on as many channels. Row
//   parked/SUBSCRIBERS-PARKED-ON-EACH
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/log/replay_buffer.hpp>
#include <ssewire/wire/parser.hpp>
#include <ssewire/wire/serializer.hpp>

#include <measure.hpp>
#include <stores.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::string_view news = "news/2024";
inline constexpr std::size_t one_pull = 64 * 1024;
inline constexpr std::size_t full_log = 100'000;
inline constexpr std::array<std::size_t, 3> log_sizes = {1'000, 10'000, full_log};
inline constexpr std::array<std::size_t, 3> missed_counts = {0, 100, 4'000};

inline ssewire::broker_options room_for(std::uint64_t events) {
  ssewire::broker_options options;
  options.replay = {.max_events = events, .max_bytes = std::size_t{1} << 30};
  return options;
}

/// What an event is published with: nothing, an ID of the publisher's own, or a tag.
enum class with : unsigned char { position, own_id, tag };

/// Publishes the i-th of any number of events like the corpus's; answers its position.
template <class Traits>
ssewire::position_id publish_one(ssewire::basic_broker<Traits>& to, corpus const& c, std::size_t i,
                                 with what) {
  auto const r = numbered(c, i);
  auto e = event_of(r);
  if (what == with::own_id) e.id = ssewire::event_id::from(r.id).value;
  auto const done = to.publish(news, e, {.tag = what == with::tag ? i + 1 : 0});
  must(static_cast<bool>(done), "publish");
  return done.value;
}

/// A broker whose channel `news` holds so many events of the corpus.
template <class Traits> struct filled_broker {
  filled_broker(corpus const& c, std::size_t events, with what = with::position) : broker(room_for(events)) {
    for (std::size_t i = 0; i < events; ++i) ids.push_back(publish_one(broker, c, i, what));
  }

  /// The ID of a client that has missed so many.
  [[nodiscard]] std::string_view id_before(std::size_t missed) const {
    return ids[ids.size() - 1 - missed].view();
  }

  ssewire::basic_broker<Traits> broker;
  std::vector<ssewire::position_id> ids;
};

template <class Traits, class Visit>
void pull_all(ssewire::basic_subscription<Traits>& from, ssewire::basic_batch<Traits>& batch, Visit visit) {
  std::array<std::string_view, ssewire::basic_batch<Traits>::max_views> views;
  while (from.pull(batch, one_pull) == ssewire::pull_status::ready) {
    auto const count = batch.gather(views.data());
    for (std::size_t i = 0; i < count; ++i) visit(views[i]);
  }
}

struct touch {
  std::uint64_t& sum;

  void operator()(std::string_view bytes) const noexcept {
    sum += static_cast<unsigned char>(bytes.front());
    sum += static_cast<unsigned char>(bytes.back());
  }
};

/// Adds the events of a stream to a digest: their data alone, for each store has IDs of its own.
struct digest_of {
  digest& told;

  void operator()(std::string_view stream) const {
    ssewire::parser parser;
    (void)parser.feed(stream, [this](ssewire::event const& e) {
      if (e.type.value() != "ssewire.position") told({}, {}, *e.data);
    });
  }
};

// ---- publish ----

/// The events of a corpus, again and again.
class event_ring {
 public:
  explicit event_ring(corpus const& c) {
    for (auto const& r : c.records) events_.push_back(event_of(r));
  }
  ssewire::event const& next() {
    if (++at_ == events_.size()) at_ = 0;
    return events_[at_];
  }

 private:
  std::vector<ssewire::event> events_;
  std::size_t at_ = 0;
};

inline constexpr std::size_t publishes_a_run = 1'000;

template <class Traits> row publish_row(std::string name, corpus const& c) {
  // With the limits it has by default.
  auto const broker = std::make_shared<ssewire::basic_broker<Traits>>();
  auto const events = std::make_shared<event_ring>(c);
  row made{.name = std::move(name), .bytes = publishes_a_run, .run = {}, .tell = {}};
  made.run = [broker, events] {
    for (std::size_t i = 0; i < publishes_a_run; ++i) {
      must(static_cast<bool>(broker->publish(news, events->next())), "publish");
    }
  };
  for (int i = 0; i < 10; ++i) made.run();
  must(broker->stats().trimmed > publishes_a_run, "the log is full");
  return made;
}

/// What publish cannot do without: the event's bytes with an ID of that length.
inline row serialize_row(corpus const& c) {
  auto const events = std::make_shared<event_ring>(c);
  auto const out = std::make_shared<std::array<char, 4096>>();
  row made{.name = "serialize", .bytes = publishes_a_run, .run = {}, .tell = {}};
  made.run = [events, out] {
    for (std::size_t i = 0; i < publishes_a_run; ++i) {
      auto e = events->next();
      e.id = ssewire::position_id(1, i);
      keep(out->data() + ssewire::serialize(e, *out).value);
    }
  };
  return made;
}

/// The stand-in for a bounded one: frames in a deque, the oldest one out.
inline row deque_row(corpus const& c) {
  auto const events = std::make_shared<event_ring>(c);
  auto const held = std::make_shared<std::deque<std::shared_ptr<std::string const>>>();
  row made{.name = "frames", .bytes = publishes_a_run, .run = {}, .tell = {}};
  made.run = [events, held] {
    for (std::size_t i = 0; i < publishes_a_run; ++i) {
      auto e = events->next();
      e.id = ssewire::position_id(1, i);
      std::string text;
      ssewire::serialize(e, text);
      held->push_back(std::make_shared<std::string const>(std::move(text)));
      if (held->size() > 1024) held->pop_front();
    }
  };
  return made;
}

template <class Traits, class Unlocked> group publish_group(corpus const& c) {
  group made{.task = "publish", .corpus = c.name};
  made.rows = {publish_row<Traits>("broker", c), publish_row<Unlocked>("broker_without_lock", c),
               serialize_row(c), deque_row(c)};
  return made;
}

// ---- lookup ----

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

// ---- replay ----

template <class Traits>
row broker_replay_row(std::shared_ptr<filled_broker<Traits>> const& filled, std::size_t missed) {
  auto const replay = [filled, missed](auto visit) {
    auto got = filled->broker.subscribe(news, {.last_event_id = filled->id_before(missed)});
    must(static_cast<bool>(got), "subscribe");
    ssewire::basic_batch<Traits> batch;
    pull_all(got.value, batch, visit);
  };
  row made{.name = "broker", .bytes = 1, .run = {}, .tell = {}};
  made.run = [replay] {
    std::uint64_t sum = 0;
    replay(touch{sum});
    keep(&sum);
  };
  made.tell = [replay] {
    digest told;
    replay(digest_of{told});
    return told;
  };
  return made;
}

template <class Store> std::shared_ptr<Store> filled_store(corpus const& c) {
  auto made = std::make_shared<Store>();
  for (std::size_t i = 0; i < full_log; ++i) made->append(numbered(c, i));
  return made;
}

template <class Store>
row store_replay_row(std::string name, corpus const& c, std::shared_ptr<Store> const& store,
                     std::size_t missed) {
  auto const id = numbered(c, full_log - 1 - missed).id;
  row made{.name = std::move(name), .bytes = 1, .run = {}, .tell = {}};
  made.run = [store, id] {
    std::uint64_t sum = 0;
    store->after(id, touch{sum});
    keep(&sum);
  };
  made.tell = [store, id] {
    digest told;
    store->after(id, [&](std::string_view held) {
      if constexpr (std::is_same_v<Store, strings_store>) {
        told({}, {}, held);
      } else {
        digest_of{told}(held);
      }
    });
    return told;
  };
  return made;
}

inline digest newest(corpus const& c, std::size_t missed) {
  digest told;
  for (auto i = full_log - missed; i < full_log; ++i) told({}, {}, c.records[i % c.records.size()].data);
  return told;
}

/// The broker alone, or with the stand-ins.
template <class Traits> std::vector<group> replay_groups(corpus const& c, bool stand_ins) {
  auto const filled = std::make_shared<filled_broker<Traits>>(c, full_log);
  auto const strings = stand_ins ? filled_store<strings_store>(c) : nullptr;
  auto const frames = stand_ins ? filled_store<frames_store>(c) : nullptr;
  auto const map = stand_ins ? filled_store<map_store>(c) : nullptr;
  std::vector<group> made;
  for (auto const missed : missed_counts) {
    made.push_back(
        {.task = "replay", .corpus = c.name, .chunk = missed, .expected = newest(c, missed), .rows = {}});
    auto& rows = made.back().rows;
    rows.push_back(broker_replay_row(filled, missed));
    if (!stand_ins) continue;
    rows.push_back(store_replay_row("strings", c, strings, missed));
    rows.push_back(store_replay_row("frames", c, frames, missed));
    rows.push_back(store_replay_row("map", c, map, missed));
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

// As many publishes between two looks at the clock as that needs.
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

template <class Traits> group wake_group(corpus const& c) {
  group made{.task = "wake", .corpus = c.name};
  made.rows = {parked_row<Traits>(c, 256, 0), parked_row<Traits>(c, 256, 1), parked_row<Traits>(c, 16, 100),
               parked_row<Traits>(c, 1, 10'000)};
  return made;
}

}  // namespace bench
