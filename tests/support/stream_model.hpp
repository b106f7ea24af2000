// SPDX-License-Identifier: MIT
// stream_model.hpp - the oracle of a broker's promises to its streams: what a client must get next, or be
// told that it is missing, judged by the bytes alone.
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/broker_bytes.hpp>
#include <support/broker_model.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// One client over all its connections: reads bytes as a browser would and objects to whatever breaks a
/// promise.
struct model_client {
  struct place {
    std::size_t channel;
    std::size_t from = 0;      // index of the first entry it is to get,
    std::size_t expected = 0;  // and of the one that must come next, unless a gap is told
    bool lost_before = false;  // it came back too late: a gap without a number must come first
    // An event of the batch just pulled is on several of the stream's channels.
    bool shares = false;
    // Such a batch came back: how many of it are lost here is not always known.
    bool maybe_uncounted = false;
  };

  ssewire::parser parser = {};
  std::vector<place> places = {};
  std::string unplaced = {};    // the reason of a gap without a channel that must come first
  std::uint64_t seen = 0;       // the position its last ID stands for: what lies there or before is settled
  std::uint64_t pulled_at = 0;  // what was published later was not looked at yet
  std::uint64_t sending_through = 0;  // while a batch is being sent: what may come back is not missing yet
  std::vector<std::uint64_t> told_lost = {};  // positions that gaps stood for
  bool opened = false;                        // has it got the first position event?
  bool owed_position = false;  // its channels or its filter have changed: it must be told where,
  std::uint64_t owed_by = 0;   // behind what was there at this position, before what came after it
  model_filter filter = {};
  std::optional<model_filter> next_filter = {};  // what the stream has not looked at is judged by this one
  std::uint64_t switched_at = 0;                 // for sure what lies behind this position
  bool is_its_turn = false;                      // to end, in a drain
  std::uint64_t missed = 0;                      // the sum of all numbers it was told

  /// The connection begins. Returns the outcome that the broker must report.
  ssewire::resume_outcome connect(model_broker const& b, std::vector<std::size_t> const& channels,
                                  std::string_view presented, ssewire::start_at start, model_filter admits) {
    using resumption = ssewire::resume_outcome;
    auto before = std::exchange(*this, {});
    parser = std::move(before.parser);  // it keeps the last event ID
    parser.reset();
    missed = before.missed;
    filter = admits;
    for (auto const c : channels) places.push_back({c});

    auto const [k, why] = read(b, presented);
    unplaced = why;
    if (!k) {
      auto const from = start_position(b, start);
      for (auto& p : places) p.from = p.expected = b.channels[p.channel].index_after(from);
      return presented.empty() ? resumption::fresh : resumption::unknown;
    }
    seen = *k;
    bool lost = false;
    bool follows = false;
    for (auto& p : places) {
      auto const& c = b.channels[p.channel];
      p.from = p.expected = c.index_after(*k);
      p.lost_before = c.lost_through() > *k && !were_for_others(b, p, *k);
      if (!p.lost_before) p.expected = (std::max)(p.expected, c.held_from);
      lost = lost || p.lost_before;
      follows = follows || p.expected < c.end();
    }
    return lost ? resumption::gap : follows ? resumption::resumed : resumption::up_to_date;
  }

  /// How many of what comes back are lost need not be known.
  void count_nothing() {
    for (auto& p : places) p.maybe_uncounted = true;
  }
  /// It has pulled a batch, and not yet said what of it comes back. `before`: what `seen` was then.
  void begin_sending(model_broker const& b, std::uint64_t before) {
    sending_through = pulled_at;
    bool shared = filter.is_set() || next_filter.has_value();
    for (auto position = before + 1; position <= pulled_at && !shared; ++position) {
      shared = std::count_if(places.begin(), places.end(),
                             [&](place const& p) { return is_on(b, p.channel, position); }) > 1;
    }
    for (auto& p : places) p.shares = shared;
  }
  /// What lies behind this position comes back; never: nothing.
  void end_sending(std::uint64_t after) {
    sending_through = 0;
    if (after == never) return;
    for (auto& p : places) p.maybe_uncounted = p.maybe_uncounted || p.shares;
    pulled_at = (std::min)(pulled_at, after);
    switched_at = (std::min)(switched_at, after);  // by its new filter, if it has one
  }

  [[nodiscard]] bool follows(std::size_t channel) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) { return p.channel == channel; });
  }

  /// From now on.
  void join(model_broker const& b, std::size_t channel) {
    auto const end = b.channels[channel].end();
    places.push_back({channel, end, end});
    owe_position(b.last());
  }
  void leave(std::size_t channel) {
    std::erase_if(places, [&](place const& p) { return p.channel == channel; });
    owe_position(0);
  }
  void set_filter(model_filter admits) {
    if (!next_filter) switched_at = pulled_at;
    next_filter = admits;
    owe_position(0);
  }

  /// Has the log moved past this client? With a filter there is a doubt: it may have looked at more than it
  /// delivered.
  [[nodiscard]] bool may_lag(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(),
                       [&](place const& p) { return p.expected < b.channels[p.channel].held_from; });
  }
  /// So that one whose policy is that is closed?
  [[nodiscard]] bool may_be_closed(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& c = b.channels[p.channel];
      return p.expected < c.held_from && c.lost_through() > b.excused;
    });
  }
  [[nodiscard]] bool must_be_closed(model_broker const& b) const { return must_lag(b, b.excused); }
  /// On a channel that has lost something behind this position.
  [[nodiscard]] bool must_lag(model_broker const& b, std::uint64_t behind = 0) const {
    for (auto const& p : places) {
      auto const& c = b.channels[p.channel];
      if (c.lost_through() <= behind) continue;
      for (auto i = p.expected; i < c.held_from; ++i) {
        if (c.positions[i] > sending_through && !was_told(c.positions[i]) &&
            (!(filter.is_set() || next_filter) || admits(b, c.positions[i])))
          return true;
      }
    }
    return false;
  }
  [[nodiscard]] bool may_have_news(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(),
                       [&](place const& p) { return p.expected < b.channels[p.channel].end(); });
  }
  /// Held events that it has not pulled; one on several channels counts on each.
  [[nodiscard]] std::uint64_t backlog(model_broker const& b) const {
    std::uint64_t all = 0;
    for (auto const& p : places) {
      auto const& c = b.channels[p.channel];
      all += c.end() - (std::max)(p.expected, c.held_from);
    }
    return all;
  }
  /// Is there something behind its last ID, of one that has pulled everything?
  [[nodiscard]] bool skipped(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& c = b.channels[p.channel];
      return (std::max)(c.index_after(seen), p.from) < c.end();
    });
  }
  /// Does its last ID stand in the older half of a log, or before it?
  [[nodiscard]] bool grows_old(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& c = b.channels[p.channel];
      return c.lost_through() > seen || c.index_after(seen) < c.held_from + (c.held() + 1) / 2;
    });
  }
  /// The next event of its own sequence: what it must get, or be told of. `told_too`: also one that it was
  /// told of on one channel and whose copy on another is gone now, too: it may have been on its way.
  [[nodiscard]] std::uint64_t due(model_broker const& b, bool told_too = false) const {
    auto next = never;
    for (auto const& p : places) {
      auto const& c = b.channels[p.channel];
      auto i = p.expected;
      auto const settled = [&] { return i < c.held_from && !told_too && was_told(c.positions[i]); };
      while (i < c.end() && (!admits(b, c.positions[i]) || settled())) ++i;
      if (i < c.end()) next = (std::min)(next, c.positions[i]);
    }
    return next;
  }

  /// Bytes arrive, in any slice.
  void receive(model_broker const& b, std::string_view bytes) {
    auto const result = parser.feed(bytes, [&](ssewire::event const& e) { read(b, e); });
    CHECK_UNARY(result.error == ssewire::errc::ok);
  }

  /// It has pulled until nothing came: whatever it should have had, it got or was told of.
  void caught_up(model_broker const& b) {
    CHECK_UNARY(opened);
    CHECK_UNARY(unplaced.empty());
    CHECK_UNARY(!owed_position);
    CHECK(due(b) == never);
    CHECK_UNARY(!must_lag(b));
    // It could come back now, and for a while, without being told a gap: what its filter skipped was stated
    // in time.
    CHECK_UNARY((!filter.is_set() || !skipped(b) || !(is_its_turn || grows_old(b))));
    for (auto& p : places) {
      CHECK_UNARY(!p.lost_before);
      p.expected = b.channels[p.channel].end();
    }
  }

 private:
  struct reading {
    std::optional<std::uint64_t> position;
    std::string why;  // there is none
  };

  [[nodiscard]] reading read(model_broker const& b, std::string_view presented) const {
    if (presented.empty()) return {};
    auto own = never;
    for (auto const& p : places) own = (std::min)(own, b.find_to_resume(p.channel, presented));
    if (own != never) return {own, {}};
    if (!model_broker::is_position(presented)) return {{}, "unknown"};
    if (presented.substr(0, 12) != ssewire::position_id(b.epoch, 0).view().substr(0, 12))
      return {{}, "restart"};
    auto const position = std::stoull(std::string(presented.substr(13)));
    if (position > b.last()) return {{}, "unknown"};
    return {position, {}};
  }

  /// What lies behind this position it gets.
  [[nodiscard]] std::uint64_t start_position(model_broker const& b, ssewire::start_at start) const {
    if (start.where == ssewire::start_at::place::now) return b.last();
    std::uint64_t whole_after = 0;
    for (auto const& p : places) whole_after = (std::max)(whole_after, b.channels[p.channel].lost_through());
    if (start.where == ssewire::start_at::place::beginning) return whole_after;
    auto from = b.last();  // an event on several of its channels counts on each
    for (auto left = start.events; from > whole_after; --from) {
      auto const copies = static_cast<std::uint64_t>(std::count_if(
          places.begin(), places.end(), [&](place const& p) { return is_on(b, p.channel, from); }));
      if (copies > left) break;
      left -= copies;
    }
    return from;
  }
  static bool is_on(model_broker const& b, std::size_t channel, std::uint64_t position) {
    auto const& all = b.channels[channel].positions;
    return std::binary_search(all.begin(), all.end(), position);
  }

  [[nodiscard]] bool is_on_one(model_broker const& b, std::uint64_t position) const {
    return std::any_of(places.begin(), places.end(),
                       [&](place const& p) { return is_on(b, p.channel, position); });
  }

  // The same, without what came before it followed the channel.
  [[nodiscard]] bool is_for_it(model_broker const& b, std::uint64_t position) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& all = b.channels[p.channel].positions;
      return p.from < all.size() && position >= all[p.from] && is_on(b, p.channel, position);
    });
  }

  [[nodiscard]] bool admits(model_broker const& b, std::uint64_t position) const {
    return admits(b, position, next_filter && position > switched_at ? *next_filter : filter);
  }
  static bool admits(model_broker const& b, std::uint64_t position, model_filter const& by) {
    auto const& e = b.at(position);
    return by.admits(e.type.empty() ? "message" : e.type, b.id_at(position), e.tag);
  }

  [[nodiscard]] bool was_told(std::uint64_t position) const {
    return std::find(told_lost.begin(), told_lost.end(), position) != told_lost.end();
  }

  void owe_position(std::uint64_t by) {
    owed_by = owed_position ? (std::max)(owed_by, by) : by;
    owed_position = true;
  }

  void read(model_broker const& b, ssewire::event const& e) {
    REQUIRE_UNARY(e.data.has_value());
    if (e.type.value().rfind("ssewire.", 0) != 0) {
      delivered(b, e);
      return;
    }
    CHECK(e.retry.has_value() == (e.type.value() == "ssewire.position" && !opened));
    bool const is_gap = e.type.value() == "ssewire.gap";
    if (is_gap) gap(b, *e.data);
    if (!e.id.has_value()) {
      CHECK_UNARY(is_gap);
      return;
    }
    auto const said = read(b, e.id.value()).position;
    REQUIRE_UNARY(said.has_value());  // G13: of this run
    auto position =
        said;  // an event's own ID says the same as any position before the next event of its channels
    if (!model_broker::is_position(e.id.value())) {
      while (*position < b.last() && !is_for_it(b, *position + 1)) ++*position;
    }
    check_own(b, e.id.value(), *said, *position);
    if (!is_gap) {
      CHECK(e.type.value() == "ssewire.position");
      CHECK(*e.data == "{}");
      // Once, or when something has changed, or to say what a filter has skipped.
      bool const checkpoint = filter.is_set() && *position > seen && (is_its_turn || grows_old(b));
      CHECK_UNARY((!opened || (owed_position && *position >= owed_by) || checkpoint));
      opened = true;
    }
    settled(b, *position);
    if (*position >= owed_by) owed_position = false;
    if (next_filter) filter = *std::exchange(next_filter, {});
  }

  // Exactly the next one of its own sequence (G1, G2, G3), and so one of its channels (G9), as it was
  // published.
  void delivered(model_broker const& b, ssewire::event const& e) {
    auto position = due(b, true);
    if (position != never && e.id.value() != b.id_at(position)) position = due(b);
    REQUIRE(position != never);
    CHECK(e.id.value() == b.id_at(position));
    CHECK(e.type.value() == b.at(position).type);
    CHECK_UNARY(*e.data == b.at(position).data);
    CHECK_UNARY(opened);
    CHECK_UNARY((!owed_position || position <= owed_by));
    CHECK(position > seen);
    settled(b, position, position);
  }

  // The client will come back with this ID: what lies at or before it must have been delivered or told.
  void settled(model_broker const& b, std::uint64_t position, std::uint64_t delivers = 0) {
    CHECK(position >= seen);
    CHECK((due(b) > position || delivers == position));
    CHECK_UNARY(unplaced.empty());
    seen = position;
    for (auto& p : places) {
      CHECK_UNARY(!p.lost_before);
      p.expected = (std::max)(p.expected, b.channels[p.channel].index_after(position));
    }
  }

  // Every gap must be true, and name its number exactly where there is one to name. It is told of one
  // channel's log: of an event on several the copy on another may still come.
  void gap(model_broker const& b, std::string_view data) {
    if (!unplaced.empty()) {
      CHECK(data == "{\"reason\":\"" + unplaced + "\"}");
      CHECK_UNARY(!opened);
      unplaced.clear();
      return;
    }
    for (auto& p : places) {
      auto const& c = b.channels[p.channel];
      auto const named = "{\"reason\":\"trimmed\",\"channel\":\"" + name_of(p.channel) + '"';
      if (data.substr(0, named.size()) != named) continue;
      CHECK_UNARY((p.lost_before ? !opened : p.expected < c.held_from));  // no false one
      check_missed(data.substr(named.size()), p, c.held_from - (std::min)(p.expected, c.held_from));
      p.maybe_uncounted = false;
      for (; p.expected < c.held_from; ++p.expected) told_lost.push_back(c.positions[p.expected]);
      p.lost_before = false;
      return;
    }
    FAIL_CHECK("a gap nobody has: " << std::string(data));
  }

  // There is none where it came back too late, or where a filter would have kept some of them from it.
  void check_missed(std::string_view rest, place const& p, std::uint64_t most) {
    constexpr std::string_view field = ",\"missed\":";
    bool const unknown = p.lost_before || next_filter.value_or(filter).is_set();
    if (unknown || (p.maybe_uncounted && rest == "}")) {
      CHECK(rest == "}");
      return;
    }
    REQUIRE(rest.substr(0, field.size()) == field);
    auto const number = std::stoull(std::string(rest.substr(field.size())));
    if (filter.is_set()) {
      CHECK(number <= most);  // it had a filter, and may have looked at some
    } else {
      CHECK(number == most);
    }
    missed += number;
  }

  /// It comes back too late, but its filter would have kept from it all that is lost.
  [[nodiscard]] bool were_for_others(model_broker const& b, place const& p, std::uint64_t k) const {
    auto const& c = b.channels[p.channel];
    if (!filter.is_set() || !b.knows_losses_after(p.channel, k)) return false;
    for (auto i = c.index_after(k); i < c.held_from; ++i) {
      if (admits(b, c.positions[i])) return false;
    }
    return true;
  }

  // The library says where a stream stands by a publisher's ID exactly where it may: the newest event of its
  // channels there is held, its filter admits it, and no other event that its channels would find has this
  // ID.
  void check_own(model_broker const& b, std::string_view id, std::uint64_t position,
                 std::uint64_t stands) const {
    auto newest = position;
    while (newest != 0 && !is_on_one(b, newest)) --newest;
    bool own =
        newest != 0 && b.at(newest).own_id.has_value() && admits(b, newest, next_filter.value_or(filter));
    if (own) {
      bool held = false;
      for (auto const& p : places) {
        auto const found = b.find_to_resume(p.channel, *b.at(newest).own_id);
        own = own && (found == never || found == newest);
        auto const& c = b.channels[p.channel];
        bool const holds = c.held_from < c.end() && c.positions[c.held_from] <= stands;
        held = held || (is_on(b, p.channel, newest) && holds && c.positions[c.held_from] <= newest);
        own = own && (holds || (std::min)(c.lost_through(), stands) <= newest);
      }
      own = own && held;
    }
    if (!model_broker::is_position(id)) {
      CHECK_UNARY(own);
      CHECK(position == newest);
    } else {
      CHECK_UNARY(!own);
    }
  }
};

}  // namespace support
