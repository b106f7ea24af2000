// SPDX-License-Identifier: MIT
// stream_model.hpp - the oracle of what a broker promises its streams. It knows which event a client must get
// next, or which gap must be reported, and judges by the bytes alone.
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

/// One client over all its connections. It reads bytes as a browser would, and objects to every broken
/// promise.
struct model_client {
  struct place {
    std::size_t channel;
    // The index of the first entry that the client must get.
    std::size_t from = 0;
    // The index of the entry that must come next, unless a gap is reported.
    std::size_t expected = 0;
    // The client came back too late: a gap without a number must come first.
    bool lost_before = false;
    // An event of the batch just pulled is on several of the stream's channels.
    bool shares = false;
    // Such a batch was given back. How many events of it are lost here is then not always known.
    bool maybe_uncounted = false;
  };

  ssewire::parser parser = {};
  std::vector<place> places = {};
  // The reason of a gap without a channel that must come first.
  std::string unplaced = {};
  // The position that the client's last ID stands for. What lies there or before is settled.
  std::uint64_t seen = 0;
  // The stream has not looked yet at what was published after this position.
  std::uint64_t pulled_at = 0;
  // While a batch is being sent: events through this position may be given back, so none of them is missing
  // yet.
  std::uint64_t sending_through = 0;
  // Positions that the reported gaps stood for.
  std::vector<std::uint64_t> told_lost = {};
  // The client has got its first position event.
  bool opened = false;
  // The client's channels or its filter have changed, so a position event is due.
  bool owed_position = false;
  // The position event that is due must come after the events up to this position, and before later ones.
  std::uint64_t owed_by = 0;
  model_filter filter = {};
  // The filter that judges what the stream has not looked at yet.
  std::optional<model_filter> next_filter = {};
  // The next filter certainly judges what lies after this position.
  std::uint64_t switched_at = 0;
  // In a drain: the turn of this stream to end has come.
  bool is_its_turn = false;
  // The sum of all numbers in gaps.
  std::uint64_t missed = 0;

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

  /// From here on the numbers of lost events that were given back need not be known.
  void count_nothing() {
    for (auto& p : places) p.maybe_uncounted = true;
  }
  /// The stream has pulled a batch, and has not said yet what it gives back. `before`: the value of `seen` at
  /// that time.
  void begin_sending(model_broker const& b, std::uint64_t before) {
    sending_through = pulled_at;
    bool shared = filter.is_set() || next_filter.has_value();
    for (auto position = before + 1; position <= pulled_at && !shared; ++position) {
      shared = std::count_if(places.begin(), places.end(),
                             [&](place const& p) { return is_on(b, p.channel, position); }) > 1;
    }
    for (auto& p : places) p.shares = shared;
  }
  /// The stream gives back what lies after this position; `never`: nothing.
  void end_sending(std::uint64_t after) {
    sending_through = 0;
    if (after == never) return;
    for (auto& p : places) p.maybe_uncounted = p.maybe_uncounted || p.shares;
    pulled_at = (std::min)(pulled_at, after);
    switched_at = (std::min)(switched_at, after);  // judged by the new filter, if there is one
  }

  [[nodiscard]] bool follows(std::size_t channel) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) { return p.channel == channel; });
  }

  /// The client follows a channel from now on.
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

  /// Whether the log may have moved past this client. With a filter this is not certain: the stream may have
  /// looked at more than it delivered.
  [[nodiscard]] bool may_lag(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(),
                       [&](place const& p) { return p.expected < b.channels[p.channel].held_from; });
  }
  /// Whether the stream may be closed for it, if that is its policy.
  [[nodiscard]] bool may_be_closed(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& c = b.channels[p.channel];
      return p.expected < c.held_from && c.lost_through() > b.excused;
    });
  }
  [[nodiscard]] bool must_be_closed(model_broker const& b) const { return must_lag(b, b.excused); }
  /// Whether the client has certainly missed an event, on a channel that has lost one after the position
  /// `behind`.
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
  /// How many held events the client has not pulled. An event on several of its channels counts on each.
  [[nodiscard]] std::uint64_t backlog(model_broker const& b) const {
    std::uint64_t all = 0;
    for (auto const& p : places) {
      auto const& c = b.channels[p.channel];
      all += c.end() - (std::max)(p.expected, c.held_from);
    }
    return all;
  }
  /// Whether a client that has pulled everything has events after its last ID.
  [[nodiscard]] bool skipped(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& c = b.channels[p.channel];
      return (std::max)(c.index_after(seen), p.from) < c.end();
    });
  }
  /// Whether its last ID stands in the older half of a log, or before it.
  [[nodiscard]] bool grows_old(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(), [&](place const& p) {
      auto const& c = b.channels[p.channel];
      return c.lost_through() > seen || c.index_after(seen) < c.held_from + (c.held() + 1) / 2;
    });
  }
  /// The next event of the client's own sequence: it must get that event, or a gap for it. `told_too`:
  /// includes an event for which a gap came on one channel and whose copy on another is gone by now, too:
  /// that copy may have been on its way.
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

  /// Takes bytes that arrive, in any slices.
  void receive(model_broker const& b, std::string_view bytes) {
    auto const result = parser.feed(bytes, [&](ssewire::event const& e) { read(b, e); });
    CHECK_UNARY(result.error == ssewire::errc::ok);
  }

  /// Called when the client has pulled until nothing came. It must have got every event of its sequence, or a
  /// gap for it.
  void caught_up(model_broker const& b) {
    CHECK_UNARY(opened);
    CHECK_UNARY(unplaced.empty());
    CHECK_UNARY(!owed_position);
    CHECK(due(b) == never);
    CHECK_UNARY(!must_lag(b));
    // The client could come back now, and for a while, without a gap: a position event came in time for what
    // its filter skipped.
    CHECK_UNARY((!filter.is_set() || !skipped(b) || !(is_its_turn || grows_old(b))));
    for (auto& p : places) {
      CHECK_UNARY(!p.lost_before);
      p.expected = b.channels[p.channel].end();
    }
  }

 private:
  struct reading {
    std::optional<std::uint64_t> position;
    std::string why;  // why there is no position
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

  /// The client gets what lies after this position.
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

  // As is_on_one(), without events from before the client followed the channel.
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
    REQUIRE_UNARY(said.has_value());  // G13: an ID of this run
    // The own ID of an event stands for any position from that event up to the next event of the client's
    // channels.
    auto position = said;
    if (!model_broker::is_position(e.id.value())) {
      while (*position < b.last() && !is_for_it(b, *position + 1)) ++*position;
    }
    check_own(b, e.id.value(), *said, *position);
    if (!is_gap) {
      CHECK(e.type.value() == "ssewire.position");
      CHECK(*e.data == "{}");
      // It comes once, or when something has changed, or to report what a filter has skipped.
      bool const checkpoint = filter.is_set() && *position > seen && (is_its_turn || grows_old(b));
      CHECK_UNARY((!opened || (owed_position && *position >= owed_by) || checkpoint));
      opened = true;
    }
    settled(b, *position);
    if (*position >= owed_by) owed_position = false;
    if (next_filter) filter = *std::exchange(next_filter, {});
  }

  // The event must be exactly the next one of the client's own sequence (G1, G2, G3), and so one of its
  // channels (G9), as it was published.
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

  // The client will come back with this ID. So for what lies at or before it, the event or a gap must have
  // come.
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

  // Every gap must be true, and must have a number exactly if the number is known. It is about the log of one
  // channel: of an event on several channels, the copy on another may still come.
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
      CHECK_UNARY((p.lost_before ? !opened : p.expected < c.held_from));  // no false gap
      check_missed(data.substr(named.size()), p, c.held_from - (std::min)(p.expected, c.held_from));
      p.maybe_uncounted = false;
      for (; p.expected < c.held_from; ++p.expected) told_lost.push_back(c.positions[p.expected]);
      p.lost_before = false;
      return;
    }
    FAIL_CHECK("a gap nobody has: " << std::string(data));
  }

  // There is no number if the client came back too late, or if its filter would have kept some of the lost
  // events from it.
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
      CHECK(number <= most);  // with a filter, the stream may have looked at some of them
    } else {
      CHECK(number == most);
    }
    missed += number;
  }

  /// The client came back too late, but its filter would have kept all lost events from it.
  [[nodiscard]] bool were_for_others(model_broker const& b, place const& p, std::uint64_t k) const {
    auto const& c = b.channels[p.channel];
    if (!filter.is_set() || !b.knows_losses_after(p.channel, k)) return false;
    for (auto i = c.index_after(k); i < c.held_from; ++i) {
      if (admits(b, c.positions[i])) return false;
    }
    return true;
  }

  // The library must state a position by a publisher's ID exactly if it may. It may if the newest event of
  // the client's channels at that position is held and admitted by its filter, and no other event found on
  // its channels has the same ID.
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
