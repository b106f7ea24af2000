// SPDX-License-Identifier: MIT
// stream_model.hpp - the oracle of the broker's promises: everything published in one plain list, and for each channel
// on its own how much of it is held. It knows nothing of segments, cursors or wake-ups.
#pragma once

#include <ssewire/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/events.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// What one run of a broker has published, and what of it is left.
struct model_broker {
  struct entry {
    std::size_t channel;
    std::string data;
  };
  struct channel {
    std::vector<std::uint64_t> positions;  // of all it ever had
    std::size_t held_from = 0;             // index of the oldest that is held
    std::size_t held_bytes = 0;
    bool exists = false;              // somebody follows it or it holds an event
    std::uint64_t presumed_lost = 0;  // when it was made again: what was remembered of it, or the floor

    [[nodiscard]] std::size_t end() const { return positions.size(); }
    [[nodiscard]] std::uint64_t lost_through() const {
      return (std::max)(presumed_lost, held_from == 0 ? 0 : positions[held_from - 1]);
    }
    [[nodiscard]] std::size_t index_after(std::uint64_t position) const {
      return static_cast<std::size_t>(std::upper_bound(positions.begin(), positions.end(), position) -
                                      positions.begin());
    }
  };
  struct mark {
    ssewire::time_point when;
    std::uint64_t position;
  };

  ssewire::replay_limits limits;
  std::uint64_t epoch;
  std::vector<entry> order = {};  // position p is order[p - 1]
  std::vector<channel> channels = {};
  std::vector<mark> marks = {};
  std::uint64_t trimmed = 0;
  std::optional<std::uint64_t> drained_at = {};
  ssewire::duration channel_expiry = {};
  std::size_t max_expired = 0;
  std::vector<mark> quiet_marks = {};
  std::map<std::size_t, std::uint64_t> remembered = {};  // channels that are gone: what they had lost
  std::uint64_t floor = 0;                               // of those not remembered

  [[nodiscard]] std::uint64_t last() const { return order.size(); }

  /// Bytes of "id: <29>\n", "data: ...\n" for each line, "\n".
  static std::size_t frame_size(std::string_view data) {
    auto const lines = static_cast<std::size_t>(std::count(data.begin(), data.end(), '\n')) + 1;
    return 4 + 29 + 1 + lines * 7 + (data.size() - (lines - 1)) + 1;
  }

  void make(std::size_t at) {
    auto& c = channels[at];
    if (c.exists) return;
    c.exists = true;
    c.presumed_lost = (std::max)(floor, remembered.count(at) != 0 ? remembered[at] : 0);
  }

  /// Channels that nobody follows and that hold nothing are gone.
  template <class Followed> void sweep(Followed followed) {
    for (std::size_t at = 0; at < channels.size(); ++at) {
      auto& c = channels[at];
      if (!c.exists || c.held_from != c.end() || followed(at)) continue;
      c.exists = false;
      if (c.lost_through() > floor) remembered[at] = c.lost_through();
      while (remembered.size() > max_expired) {
        auto const oldest =
            std::min_element(remembered.begin(), remembered.end(),
                             [](auto const& a, auto const& b) { return a.second < b.second; });
        floor = oldest->second;
        remembered.erase(oldest);
      }
    }
  }

  void publish(std::size_t to, std::string data) {
    make(to);
    auto& c = channels[to];
    c.held_bytes += frame_size(data);
    order.push_back({to, std::move(data)});
    c.positions.push_back(last());
    while (c.end() - c.held_from > 1 &&
           (c.end() - c.held_from > limits.max_events || c.held_bytes > limits.max_bytes)) {
      forget_oldest(c);
    }
  }

  /// What is older than a mark that is max_age old goes. A mark is set at most every eighth of the age.
  template <class Followed> void tick(ssewire::time_point now, Followed followed) {
    auto const too_old = pass(marks, now, limits.max_age);
    auto const quiet = pass(quiet_marks, now, channel_expiry);
    for (std::size_t at = 0; at < channels.size(); ++at) {
      auto& c = channels[at];
      bool const expires = c.held_from < c.end() && c.positions.back() <= quiet && !followed(at);
      while (c.held_from < c.end() && (expires || c.positions[c.held_from] <= too_old)) forget_oldest(c);
    }
    sweep(followed);
  }

  std::uint64_t pass(std::vector<mark>& of, ssewire::time_point now, ssewire::duration age) const {
    if (age == ssewire::duration::zero()) return 0;
    std::uint64_t through = 0;
    for (auto const& m : of) {
      if (now - m.when >= age) through = m.position;
    }
    if (of.empty() || now - of.back().when >= age / 8) of.push_back({now, last()});
    return through;
  }

  void forget_oldest(channel& c) {
    c.held_bytes -= frame_size(order[c.positions[c.held_from++] - 1].data);
    ++trimmed;
  }
};

/// One client over all its connections: reads bytes as a browser would and objects to whatever breaks a promise.
struct model_client {
  struct place {
    std::size_t channel;
    std::size_t expected = 0;  // index of the entry that must come next, unless a gap is told
    bool lost_before = false;  // it came back too late: a gap without a number must come first
  };

  ssewire::parser parser = {};
  std::vector<place> places = {};
  std::string unplaced = {};  // the reason of a gap without a channel that must come first
  std::uint64_t seen = 0;     // the highest position of this connection
  bool opened = false;        // has it got the position event?

  /// The connection begins. Returns the outcome that the broker must report.
  ssewire::resume_outcome connect(model_broker const& b, std::vector<std::size_t> const& channels,
                                  std::string_view presented, ssewire::start_at start) {
    using resumption = ssewire::resume_outcome;
    parser.reset();
    places.clear();
    for (auto const c : channels) {
      auto const same = [c](place const& p) { return p.channel == c; };
      if (std::none_of(places.begin(), places.end(), same)) places.push_back({c});
    }
    unplaced.clear();
    seen = 0;
    opened = false;

    auto const [k, why] = read(b, presented);
    unplaced = why;
    if (k) {
      auto result = resumption::up_to_date;
      for (auto& p : places) {
        auto const& c = b.channels[p.channel];
        p.expected = c.index_after(*k);
        p.lost_before = c.lost_through() > *k;
        if (p.expected < c.end() && result == resumption::up_to_date) result = resumption::resumed;
      }
      for (auto const& p : places) {
        if (p.lost_before) result = resumption::gap;
      }
      seen = *k;
      return result;
    }
    std::uint64_t whole_after = 0;
    for (auto const& p : places) whole_after = (std::max)(whole_after, b.channels[p.channel].lost_through());
    auto from = whole_after;
    if (start.where == ssewire::start_at::place::now) from = b.last();
    if (start.where == ssewire::start_at::place::last) {
      from = b.last();
      for (std::uint64_t left = start.events; from > whole_after; --from) {
        auto const of = b.order[from - 1].channel;
        if (std::none_of(places.begin(), places.end(), [of](place const& p) { return p.channel == of; }))
          continue;
        if (left-- == 0) break;
      }
    }
    for (auto& p : places) p.expected = b.channels[p.channel].index_after(from);
    return presented.empty() ? resumption::fresh : resumption::unknown;
  }

  /// Has the log moved past this client?
  [[nodiscard]] bool lags(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(),
                       [&](place const& p) { return p.expected < b.channels[p.channel].held_from; });
  }
  [[nodiscard]] bool has_news(model_broker const& b) const {
    return std::any_of(places.begin(), places.end(),
                       [&](place const& p) { return p.expected < b.channels[p.channel].end(); });
  }

  /// Bytes arrive, in any slice; nothing may be published between the pull and this.
  void receive(model_broker const& b, std::string_view bytes) {
    auto const result = parser.feed(bytes, [&](ssewire::event const& e) { read(b, e); });
    CHECK_UNARY(result.error == ssewire::errc::ok);
  }

  /// It has pulled until nothing came: whatever it should have had, it got or was told of.
  void check_complete(model_broker const& b) const {
    CHECK_UNARY(opened);
    CHECK_UNARY(unplaced.empty());
    for (auto const& p : places) {
      auto const& c = b.channels[p.channel];
      CHECK_UNARY(!p.lost_before);
      CHECK(p.expected >= (b.drained_at ? c.index_after(*b.drained_at) : c.end()));
    }
  }

 private:
  struct reading {
    std::optional<std::uint64_t> position;
    std::string why;  // there is none
  };

  // By its letter: twelve of 0-9a-v, a hyphen, sixteen digits.
  static reading read(model_broker const& b, std::string_view presented) {
    if (presented.empty()) return {};
    if (presented.size() != 29 || presented[12] != '-' ||
        presented.substr(0, 12).find_first_not_of("0123456789abcdefghijklmnopqrstuv") !=
            std::string_view::npos ||
        presented.substr(13).find_first_not_of("0123456789") != std::string_view::npos) {
      return {{}, "unknown"};
    }
    if (presented.substr(0, 12) != ssewire::position_id(b.epoch, 0).view().substr(0, 12))
      return {{}, "restart"};
    auto const position = std::stoull(std::string(presented.substr(13)));
    if (position > b.last()) return {{}, "unknown"};
    return {position, {}};
  }

  void read(model_broker const& b, ssewire::event const& e) {
    std::optional<std::uint64_t> const position =
        e.id.has_value() ? read(b, e.id.value()).position : std::optional<std::uint64_t>();
    CHECK(position.has_value() == e.id.has_value());  // G9: no ID but this broker's own
    REQUIRE_UNARY(e.data.has_value());
    if (e.type.value() == "ssewire.gap") {
      gap(b, *e.data);
    } else if (e.type.value() == "ssewire.position") {
      CHECK_UNARY(!opened);  // once
      CHECK(*e.data == "");
      REQUIRE_UNARY(position.has_value());
      opened = true;
    } else {
      CHECK_UNARY(opened);
      REQUIRE_UNARY(position.has_value());
      delivered(b, *position, *e.data);
    }
    if (!position) return;
    CHECK(*position >= seen);  // G1, G3
    seen = *position;
    // The client will come back with this ID: what lies at or before it must have been delivered or told.
    for (auto const& p : places) {
      auto const& c = b.channels[p.channel];
      CHECK_UNARY((p.expected == c.end() || c.positions[p.expected] > *position));
      CHECK_UNARY(!p.lost_before);
    }
    CHECK_UNARY(unplaced.empty());
  }

  void delivered(model_broker const& b, std::uint64_t position, std::string_view data) {
    REQUIRE((position >= 1 && position <= b.last()));
    auto const& published = b.order[position - 1];
    CHECK_UNARY(data == published.data);
    CHECK_UNARY((!b.drained_at || position <= *b.drained_at));
    auto const at = std::find_if(places.begin(), places.end(),
                                 [&](place const& p) { return p.channel == published.channel; });
    REQUIRE_UNARY((at != places.end()));  // G9
    auto const& c = b.channels[published.channel];
    CHECK(position > seen);                        // G1
    REQUIRE_UNARY(at->expected < c.end());         // G3: not again
    CHECK(c.positions[at->expected] == position);  // G2: not past one without a word
    at->expected = c.index_after(position);
  }

  // Every gap must be true, and name its number exactly where there is one to name.
  void gap(model_broker const& b, std::string_view data) {
    if (!unplaced.empty()) {
      CHECK(data == "{\"reason\":\"" + unplaced + "\"}");
      CHECK_UNARY(!opened);
      unplaced.clear();
      return;
    }
    for (auto& p : places) {
      auto const& c = b.channels[p.channel];
      auto const named = "{\"reason\":\"trimmed\",\"channel\":\"c" + std::to_string(p.channel) + '"';
      auto const missed =
          p.lost_before ? std::string() : ",\"missed\":" + std::to_string(c.held_from - p.expected);
      if (data != named + missed + '}') continue;
      CHECK_UNARY((p.lost_before ? !opened : p.expected < c.held_from));  // no false one
      p.expected = (std::max)(p.expected, c.held_from);
      p.lost_before = false;
      return;
    }
    FAIL_CHECK("a gap nobody has: " << std::string(data));
  }
};

}  // namespace support
