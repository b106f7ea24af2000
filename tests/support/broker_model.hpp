// SPDX-License-Identifier: MIT
// broker_model.hpp - what a broker should hold: one plain list of everything published, and for each channel
// how much of it is left. The model knows nothing of segments, cursors or wake-ups.
#pragma once

#include <ssewire/broker/broker.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

inline constexpr std::uint64_t never = (std::numeric_limits<std::uint64_t>::max)();

inline std::string name_of(std::size_t channel) { return "c" + std::to_string(channel); }

/// An event as its publisher gave it.
struct model_event {
  std::string type = {};
  std::optional<std::string> own_id = {};
  std::string data = {};
  std::uint64_t tag = 0;
};

/// Which events a stream wants: judged by one thing that stands before the data.
struct model_filter {
  enum class by : unsigned char {
    nothing,
    type,
    tag,
    id,
    refuse_all
  } what = by::nothing;  // nothing: no filter
  std::uint64_t value = 0;

  [[nodiscard]] bool is_set() const { return what != by::nothing; }
  [[nodiscard]] bool admits(std::string_view type, std::string_view id, std::uint64_t tag) const {
    switch (what) {
    case by::nothing: return true;
    case by::type: return type == (value == 0 ? "message" : "a");
    case by::tag: return tag == value;
    case by::id: return static_cast<unsigned char>(id.back()) % 2 == value % 2;
    case by::refuse_all: return false;
    }
    return false;
  }
};

/// What one broker has published during a run, and what is left of it.
struct model_broker {
  struct channel {
    // Of all events that the channel ever had.
    std::vector<std::uint64_t> positions;
    // The index of the oldest event held.
    std::size_t held_from = 0;
    // A stream follows the channel, or the channel holds an event.
    bool exists = false;
    // When the channel was made again: the position remembered of it, or the floor if there was none.
    std::uint64_t presumed_lost = 0;
    // The ID of the event forgotten last, if its publisher gave it one.
    std::optional<std::string> lost_id = {};
    // The value of held_from when a stream with a filter first followed the channel since it was made.
    std::optional<std::size_t> filtered_from = {};

    [[nodiscard]] std::size_t end() const { return positions.size(); }
    [[nodiscard]] std::size_t held() const { return end() - held_from; }
    [[nodiscard]] std::uint64_t forgotten_through() const {
      return held_from == 0 ? 0 : positions[held_from - 1];
    }
    [[nodiscard]] std::uint64_t lost_through() const {
      return (std::max)(presumed_lost, forgotten_through());
    }
    /// The channel has lost an event since filters may be asked about lost events.
    [[nodiscard]] bool remembers() const { return filtered_from && held_from > *filtered_from; }
    [[nodiscard]] std::size_t index_after(std::uint64_t position) const {
      return static_cast<std::size_t>(std::upper_bound(positions.begin(), positions.end(), position) -
                                      positions.begin());
    }
  };
  struct mark {
    ssewire::steady_time when;
    std::uint64_t position;
  };

  ssewire::broker_options options;
  std::uint64_t epoch;
  // The epochs before a fork(), by the last position of each.
  std::map<std::uint64_t, std::uint64_t> earlier = {};
  // Position p is order[p - 1].
  std::vector<model_event> order = {};
  std::vector<channel> channels = {};
  // By cause.
  std::array<std::uint64_t, 6> trims = {};
  struct drain_schedule {
    ssewire::steady_time began;
    ssewire::steady_duration half;
  };
  std::optional<drain_schedule> draining = {};
  std::vector<mark> marks = {};
  std::vector<mark> quiet_marks = {};
  std::optional<ssewire::steady_time> ticked = {};
  // A late tick trimmed by age through this position. No stream is closed for missing that.
  std::uint64_t excused = 0;
  struct loss {
    std::uint64_t position;
    std::optional<std::string> id;
  };
  // What removed channels had lost last.
  std::map<std::size_t, loss> remembered = {};
  // Channels that are not remembered count as having lost their events through this position.
  std::uint64_t floor = 0;

  [[nodiscard]] std::uint64_t last() const { return order.size(); }
  [[nodiscard]] model_event const& at(std::uint64_t position) const { return order[position - 1]; }
  [[nodiscard]] std::string id_at(std::uint64_t position) const {
    auto const then = earlier.lower_bound(position);
    auto const its = then == earlier.end() ? epoch : then->second;
    return at(position).own_id.value_or(std::string(ssewire::position_id(its, position).view()));
  }
  [[nodiscard]] std::size_t used() const {
    return static_cast<std::size_t>(
        std::count_if(channels.begin(), channels.end(), [](channel const& c) { return c.exists; }));
  }
  [[nodiscard]] std::uint64_t held() const {
    std::uint64_t copies = 0;
    for (auto const& c : channels) copies += c.held();
    return copies;
  }
  [[nodiscard]] std::size_t held_bytes(channel const& c) const {
    std::size_t bytes = 0;
    for (auto i = c.held_from; i < c.end(); ++i) bytes += frame_size(at(c.positions[i]));
    return bytes;
  }

  /// The bytes of "id: ...\n", "event: ...\n" if the event has a type, "data: ...\n" for each line, and
  /// "\n".
  static std::size_t frame_size(model_event const& e) {
    auto const lines = static_cast<std::size_t>(std::count(e.data.begin(), e.data.end(), '\n')) + 1;
    return 4 + (e.own_id ? e.own_id->size() : 29) + 1 + (e.type.empty() ? 0 : 7 + e.type.size() + 1) +
           lines * 7 + (e.data.size() - (lines - 1)) + 1;
  }

  /// By its form: twelve of 0-9a-v, a hyphen, sixteen digits.
  static bool is_position(std::string_view id) {
    return id.size() == 29 && id[12] == '-' &&
           id.substr(0, 12).find_first_not_of("0123456789abcdefghijklmnopqrstuv") == std::string_view::npos &&
           id.substr(13).find_first_not_of("0123456789") == std::string_view::npos;
  }
  static bool may_be_own(std::string_view id) {
    return !id.empty() && id.size() <= 128 && !is_position(id) &&
           std::all_of(id.begin(), id.end(), [](char c) { return c >= '!' && c <= '~'; });
  }
  /// The position of the held event of this channel with this ID; `never` if there is none.
  [[nodiscard]] std::uint64_t find(std::size_t in, std::string_view own_id) const {
    auto const& c = channels[in];
    for (auto i = c.held_from; i < c.end(); ++i) {
      if (at(c.positions[i]).own_id == own_id) return c.positions[i];
    }
    return never;
  }
  /// As find(), and also the event that the channel forgot last.
  [[nodiscard]] std::uint64_t find_to_resume(std::size_t in, std::string_view own_id) const {
    auto const& c = channels[in];
    auto const held = find(in, own_id);
    return held == never && c.lost_id == own_id ? c.lost_through() : held;
  }

  /// Whether it is known if filters would have admitted what this channel lost after `position`. That holds
  /// if all of it is among the events whose headers are kept: those lost last, up to a limited number and
  /// size, and only since a filter first needed them.
  [[nodiscard]] bool knows_losses_after(std::size_t in, std::uint64_t position) const {
    auto const& c = channels[in];
    if (!c.filtered_from) return false;
    std::uint64_t events = 0;
    std::size_t bytes = 0;
    auto const size = [](std::uint64_t number) {
      std::size_t n = 1;
      while (number >>= 7) ++n;
      return n;
    };
    for (auto i = c.held_from; i > *c.filtered_from && c.positions[i - 1] > position; --i) {
      auto const& e = at(c.positions[i - 1]);
      auto const before = (std::max)(c.presumed_lost, i == 1 ? 0 : c.positions[i - 2]);
      auto const id = e.own_id ? e.own_id->size() : 0;
      bytes += size(c.positions[i - 1] - before) + size(e.tag) + size(e.type.size()) + size(id) +
               e.type.size() + id;
      ++events;
      if (events > options.replay.max_events / 2 + 1 || bytes > options.replay.max_bytes / 4) return false;
    }
    auto const first = *c.filtered_from;
    auto const begins_at = (std::max)(c.presumed_lost, first == 0 ? 0 : c.positions[first - 1]);
    return position >= begins_at;
  }

  /// Why these events cannot be published, whatever the broker holds.
  [[nodiscard]] std::vector<ssewire::errc> objections_before(std::vector<std::size_t> const& to,
                                                             std::span<model_event const> those) const {
    std::vector<ssewire::errc> found;
    auto const object = [&](bool really, ssewire::errc why) {
      if (really) found.push_back(why);
    };
    std::size_t bytes = 0;
    for (auto const& e : those) {
      bytes += frame_size(e);
      object(e.type.rfind("ssewire.", 0) == 0, ssewire::errc::type_reserved);
      object(e.own_id && !may_be_own(*e.own_id), ssewire::errc::id_refused);
    }
    object(bytes > options.replay.max_bytes, ssewire::errc::event_too_large);
    object(to.size() > options.max_channels_per_stream, ssewire::errc::too_many_channels);
    return found;
  }

  /// Why these events cannot be published. The broker may report any one of the reasons; without a reason it
  /// must publish.
  [[nodiscard]] std::vector<ssewire::errc> objections(std::vector<std::size_t> const& to,
                                                      std::span<model_event const> those) const {
    auto found = objections_before(to, those);
    auto const object = [&](bool really, ssewire::errc why) {
      if (really) found.push_back(why);
    };
    for (auto const& e : those) {
      for (auto const c : to) object(e.own_id && find(c, *e.own_id) != never, ssewire::errc::id_in_use);
      for (auto const* other = those.data(); other != &e; ++other)
        object(e.own_id && other->own_id == e.own_id, ssewire::errc::id_in_use);
    }
    object(draining.has_value(), ssewire::errc::closed);
    object(!fit(to), ssewire::errc::too_many_channels);
    return found;
  }
  [[nodiscard]] bool fit(std::vector<std::size_t> const& more) const {
    auto const fresh = std::count_if(more.begin(), more.end(), [&](auto c) { return !channels[c].exists; });
    return more.size() <= options.max_channels_per_stream &&
           (fresh == 0 || used() + static_cast<std::size_t>(fresh) <= options.max_channels);
  }

  void publish(std::vector<std::size_t> const& to, std::span<model_event const> those) {
    for (auto const& e : those) {
      order.push_back(e);
      for (auto const c : to) channels[c].positions.push_back(last());
    }
    for (auto const at : to) {
      make(at);
      auto& c = channels[at];
      while (c.held() > 1 && c.held() > options.replay.max_events) forget(c, ssewire::trim_cause::events);
      while (c.held() > 1 && held_bytes(c) > options.replay.max_bytes) forget(c, ssewire::trim_cause::bytes);
    }
  }

  /// The limits of all channels together took `taken` events, which must have been the oldest, up to
  /// `newest`. If copies of one event lie on both sides of that border, `holds(channel)` says how many events
  /// the broker still has there.
  template <class Holds> void forget_oldest(std::uint64_t taken, std::uint64_t newest, Holds holds) {
    std::vector<std::pair<std::uint64_t, std::size_t>> oldest;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      for (auto i = channels[c].held_from; i < channels[c].end(); ++i)
        oldest.push_back({channels[c].positions[i], c});
    }
    std::sort(oldest.begin(), oldest.end());
    REQUIRE((taken == 0 || oldest[taken - 1].first <= newest));
    bool const split = taken != 0 && taken < oldest.size() && oldest[taken - 1].first == oldest[taken].first;
    std::uint64_t gone = 0;
    for (auto const& [position, at] : oldest) {
      bool const ask = split && position == oldest[taken].first;
      if (ask ? holds(at) < channels[at].held()
              : gone < taken && (!split || position < oldest[taken].first)) {
        forget(channels[at], ssewire::trim_cause::all_together);
        ++gone;
      }
    }
    CHECK(gone == taken);
  }

  /// Trims what is older than a mark that is max_age old, and what a quiet channel without followers holds.
  template <class Followed> void tick(ssewire::steady_time now, Followed followed) {
    auto const too_old = pass(marks, now, options.replay.max_age);
    if (ticked && now - *ticked > options.replay.max_age / 2) excused = (std::max)(excused, too_old);
    ticked = now;
    auto const quiet = pass(quiet_marks, now, options.channel_expiry);
    for (auto& c : channels) {
      while (c.held() != 0 && c.positions[c.held_from] <= too_old) forget(c, ssewire::trim_cause::age);
    }
    for (std::size_t at = 0; at < channels.size(); ++at) {
      auto& c = channels[at];
      bool const expires = c.held() != 0 && c.positions.back() <= quiet && !followed(at);
      while (expires && c.held() != 0) forget(c, ssewire::trim_cause::expiry);
      auto const last = c.held() != 0 ? c.positions.back() : c.lost_through();
      if (c.exists && quiet != 0 && last <= quiet && !followed(at)) c.filtered_from = {};
    }
    sweep(followed);
  }

  // A mark is set at most every eighth of the age.
  std::uint64_t pass(std::vector<mark>& of, ssewire::steady_time now, ssewire::steady_duration age) const {
    if (age == ssewire::steady_duration::zero()) return 0;
    std::uint64_t through = 0;
    for (auto const& m : of) {
      if (now - m.when >= age) through = m.position;
    }
    if (of.empty() || now - of.back().when >= age / 8) of.push_back({now, last()});
    return through;
  }

  /// This process is the child of a fork(), and the broker has noticed. Call sweep() next.
  void begin_anew(std::uint64_t its_epoch) {
    earlier.emplace(last(), std::exchange(epoch, its_epoch));
    for (auto& each : remembered) each.second.id.reset();
    for (auto& c : channels) {
      while (c.held() != 0) forget(c, ssewire::trim_cause::cloned);
      c.lost_id = {};
      if (c.filtered_from) c.filtered_from = c.held_from;
    }
  }

  void make(std::size_t at) {
    auto& c = channels[at];
    if (c.exists) return;
    c.exists = true;
    c.filtered_from = {};
    auto const known = remembered.find(at);
    bool const said = known != remembered.end() && known->second.position >= floor;
    c.lost_id = said ? known->second.id : std::nullopt;
    c.presumed_lost = said ? known->second.position : floor;
  }
  /// A stream with a filter follows the channel.
  void filter_on(std::size_t at) {
    if (!channels[at].filtered_from) channels[at].filtered_from = channels[at].held_from;
  }

  /// Removes the channels that no stream follows and that hold nothing.
  template <class Followed> void sweep(Followed followed) {
    for (std::size_t at = 0; at < channels.size(); ++at) {
      auto& c = channels[at];
      if (!c.exists || c.held() != 0 || c.remembers() || followed(at)) continue;
      c.exists = false;
      if (c.lost_through() > floor) remembered[at] = {c.lost_through(), c.lost_id};
      while (remembered.size() > options.max_expired_channels) {
        floor = std::min_element(remembered.begin(), remembered.end(), [](auto const& a, auto const& b) {
                  return a.second.position < b.second.position;
                })->second.position;
        std::erase_if(remembered, [&](auto const& each) { return each.second.position <= floor; });
      }
    }
  }

  void forget(channel& c, ssewire::trim_cause why) {
    c.lost_id = at(c.positions[c.held_from++]).own_id;
    ++trims[static_cast<std::size_t>(why)];
  }
};

}  // namespace support
