// SPDX-License-Identifier: MIT
// broker_rows.hpp - what is done with a broker: broker.cpp times it, broker_counts.cpp counts it.
// A group's task, and what its chunk and a row's bytes are:
//   publish   chunk 0; `bytes` events into a log that is full
//   replay    chunk: events missed; once: find them by the ID and look at each. `bytes`: 1
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/wire/parser.hpp>
#include <ssewire/wire/serializer.hpp>

#include <measure.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

inline constexpr std::string_view news = "news/2024";
inline constexpr std::size_t one_pull = 64 * 1024;
inline constexpr std::size_t full_log = 100'000;
inline constexpr std::array<std::size_t, 3> missed_counts = {0, 100, 4'000};

/// The i-th of any number of events like the corpus's: its IDs have 7 digits on (a) and 10 on (b), so that
/// an event has 168 bytes on the wire and 76.
inline record numbered(corpus const& c, std::size_t i) {
  auto r = c.records[i % c.records.size()];
  r.id = detail::digits(i, c.name == 'a' ? 7 : 10);
  return r;
}

inline std::string wire_of(record const& r) {
  std::string text;
  detail::append_event(text, r);
  text.shrink_to_fit();
  return text;
}

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
  must(done, "publish");
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

inline constexpr std::size_t publishes_a_run = 1'000;

/// `publish_one` gets the corpus's events, again and again, and each one's number in the run.
template <class Publish> row publish_row(std::string name, corpus const& c, Publish publish_one) {
  row made{.name = std::move(name), .bytes = publishes_a_run, .run = {}, .tell = {}};
  auto const events = std::make_shared<std::vector<ssewire::event>>();
  for (auto const& r : c.records) events->push_back(event_of(r));
  made.run = [events, publish_one, at = std::size_t{0}]() mutable {
    for (std::size_t i = 0; i < publishes_a_run; ++i) {
      publish_one((*events)[at], i);
      if (++at == events->size()) at = 0;
    }
  };
  return made;
}

/// With the limits it has by default.
template <class Traits> row broker_row(std::string name, corpus const& c) {
  auto const broker = std::make_shared<ssewire::basic_broker<Traits>>();
  auto const made = publish_row(std::move(name), c, [broker](ssewire::event const& e, std::size_t) {
    must(broker->publish(news, e), "publish");
  });
  for (int i = 0; i < 10; ++i) made.run();
  must(broker->stats().trimmed > publishes_a_run, "the log is full");
  return made;
}

/// What publish cannot do without: the event's bytes with an ID of that length.
inline row serialize_row(corpus const& c) {
  auto const out = std::make_shared<std::array<char, 4096>>();
  return publish_row("serialize", c, [out](ssewire::event e, std::size_t i) {
    e.id = ssewire::position_id(1, i);
    keep(out->data() + ssewire::serialize(e, *out).value);
  });
}

/// The stand-in for a bounded one: frames in a deque, the oldest one out.
inline row deque_row(corpus const& c) {
  auto const held = std::make_shared<std::deque<std::shared_ptr<std::string const>>>();
  return publish_row("frames", c, [held](ssewire::event e, std::size_t i) {
    e.id = ssewire::position_id(1, i);
    std::string text;
    ssewire::serialize(e, text);
    held->push_back(std::make_shared<std::string const>(std::move(text)));
    if (held->size() > 1024) held->pop_front();
  });
}

template <class Traits, class Unlocked> group publish_group(corpus const& c) {
  group made{.task = "publish", .corpus = c.name};
  made.rows = {broker_row<Traits>("broker", c), broker_row<Unlocked>("broker_without_lock", c),
               serialize_row(c), deque_row(c)};
  return made;
}

// ---- replay ----

/// `replay` calls what it is given with the bytes of each event missed.
template <class Replay> row replay_row(std::string name, Replay replay) {
  row made{.name = std::move(name), .bytes = 1, .run = {}, .tell = {}};
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

/// What one writes by hand: the serialized event, shared with whoever sends it. An ID is searched from the
/// newest one on. It does not trim, lock, or say that something is missing.
class frames_store {
 public:
  void append(record r) { held_.push_back(std::make_shared<std::string const>(wire_of(r))); }

  template <class Visit> void after(std::string_view id, Visit visit) const {
    auto at = held_.end();
    while (at != held_.begin() && std::string_view(**std::prev(at)).substr(4, id.size()) != id) --at;
    for (; at != held_.end(); ++at) visit(std::string_view(**at));
  }

 private:
  std::deque<std::shared_ptr<std::string const>> held_;
};

inline std::shared_ptr<frames_store> filled_frames(corpus const& c) {
  auto made = std::make_shared<frames_store>();
  for (std::size_t i = 0; i < full_log; ++i) made->append(numbered(c, i));
  return made;
}

inline digest newest(corpus const& c, std::size_t missed) {
  digest told;
  for (auto i = full_log - missed; i < full_log; ++i) told({}, {}, c.records[i % c.records.size()].data);
  return told;
}

/// The broker alone, or with the stand-in.
template <class Traits> std::vector<group> replay_groups(corpus const& c, bool stand_in) {
  auto const filled = std::make_shared<filled_broker<Traits>>(c, full_log);
  auto const frames = stand_in ? filled_frames(c) : nullptr;
  std::vector<group> made;
  for (auto const missed : missed_counts) {
    made.push_back(
        {.task = "replay", .corpus = c.name, .chunk = missed, .expected = newest(c, missed), .rows = {}});
    auto& rows = made.back().rows;
    rows.push_back(replay_row("broker", [filled, missed](auto visit) {
      auto got = filled->broker.subscribe(news, {.last_event_id = filled->id_before(missed)});
      must(got, "subscribe");
      ssewire::basic_batch<Traits> batch;
      pull_all(got.value, batch, visit);
    }));
    if (!stand_in) continue;
    rows.push_back(replay_row("frames", [frames, id = numbered(c, full_log - 1 - missed).id](auto visit) {
      frames->after(id, visit);
    }));
  }
  return made;
}

}  // namespace bench
