// SPDX-License-Identifier: MIT
// control_events.hpp - the events that the library itself puts into a stream: position events and gap
// events.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/utf8.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/siphash.hpp>
#include <ssewire/wire/serializer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Channel names hold no control characters: only broken UTF-8, quotes and backslashes need care.
inline void append_json_string(std::string& out, std::string_view text) {
  std::string repaired;
  out += '"';
  for (char const c : utf8_repair(text, repaired)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// {"reason":...,"channel":...,"missed":...}, the last two only if they are known.
inline std::string gap_data(gap_cause cause, std::string_view channel, std::optional<std::uint64_t> missed) {
  std::string data = "{\"reason\":\"";
  data += name(cause);
  data += '"';
  if (!channel.empty()) {
    data += ",\"channel\":";
    append_json_string(data, channel);
  }
  if (missed) {
    data += ",\"missed\":";
    data += std::to_string(*missed);
  }
  data += '}';
  return data;
}

// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class control_events {
 public:
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  // All arguments must outlive this object. `unset` is an ID of any position, from which the others are
  // made. `sequence` is the last position. This object keeps its totals in `counts`.
  control_events(broker_options const& options, position_id const& unset, std::uint64_t const& sequence,
                 siphash hash, broker_stats& counts) noexcept
      : options_(options), unset_(unset), sequence_(sequence), hash_(hash), counts_(counts) {}

  // Where the stream stands: the largest position such that no event of its channels lies between it and the
  // stream's next event.
  [[nodiscard]] std::uint64_t place_of(subscriber const& s) const noexcept {
    auto next = never;
    for (auto const& m : s) {
      auto const& h = m.of->history;
      auto const first = larger(m.next_ordinal, h.first_ordinal());
      if (first < h.end_ordinal()) next = smaller(next, h.position_of(first));
    }
    return next == never ? sequence_ : next - 1;
  }

  // The newest event of the stream's channels at or before `position`, if it is still held and has a
  // publisher's own ID that names no other held event. Position events repeat such an ID, so a client that
  // relies on publishers' IDs to outlive a restart keeps one.
  [[nodiscard]] log_run<Traits> own_id_at(subscriber const& s, std::uint64_t position) const noexcept {
    log_run<Traits> newest;
    std::uint64_t its = 0;
    for (auto const& m : s) {
      auto const& h = m.of->history;
      auto const after = h.ordinal_after(position);
      bool const is_held = after != h.first_ordinal();  // otherwise the newest event here is lost
      auto const at = is_held ? h.position_of(after - 1) : smaller(h.lost_through(), position);
      if (at < its || (at == its && !is_held)) continue;
      newest = is_held ? h.run(after - 1, never, 0) : log_run<Traits>();
      its = at;
    }
    if (newest.page == nullptr) return {};
    auto const id = id_of(newest.bytes());
    if (has_position_form(id)) return {};
    for (auto const& m : s) {
      if (m.of->history.position_of_id(id, hash_(id)).value_or(its) != its) return {};
    }
    return newest;
  }

  // The filter has not been asked yet about the event whose own ID the position event would repeat.
  [[nodiscard]] bool wants_to_know(subscriber const& s) const noexcept {
    if (!s.filter) return false;
    auto const own = own_id_at(s, place_of(s));
    return own.page != nullptr && own.last_position() != s.admitted && own.last_position() != s.refused;
  }

  // Whether a position event is due and may be sent now: everything up to `say_after` has been pulled.
  [[nodiscard]] static bool may_say_position(subscriber const& s) noexcept {
    return s.due != position_due::no && !s.any([&](membership const& m) {
      return m.has_news() && m.of->history.position_of(m.next_ordinal) <= s.say_after;
    });
  }

  // The filter has refused events since the position that the client would present, and that position lies
  // in the older half of a log. Once the log has moved past it, a resume could not tell whether something
  // was missed.
  [[nodiscard]] static bool must_say_position(subscriber const& s) noexcept {
    return s.skipped != 0 && s.any([&](membership const& m) {
      auto const& h = m.of->history;
      return h.lost_through() > s.said || h.ordinal_after(s.said) - h.first_ordinal() < (h.events() + 1) / 2;
    });
  }

  // Returns the serialized control events that must precede the stream's next event, in the memory of
  // `notices`. They are complete before any cursor moves: if memory fails, nothing has changed.
  [[nodiscard]] std::string tell(subscriber& s, std::string notices) {
    auto const position = place_of(s);
    auto const own = own_id_at(s, position);
    bool const says_own = own.page != nullptr && (!s.filter || own.last_position() == s.admitted);
    auto const ours = unset_.at(position);
    auto const here = says_own ? stream_access::id(id_of(own.bytes())) : event_id(ours);

    notices.clear();
    std::uint64_t gaps = 0;
    std::uint64_t lags = 0;
    std::uint64_t missed = 0;
    auto const gap = [&](gap_cause cause, std::string_view name, std::optional<std::uint64_t> lost,
                         bool last) {
      auto const data = gap_data(cause, name, lost);
      serialize({.type = options_.gap_type, .data = data, .id = last ? here : event_id()}, notices);
      ++gaps;
    };
    // Only the last gap event carries an ID. If the connection is cut between two of them, the client must
    // not resume after a gap that it has not seen.
    std::size_t left = 0;
    for (auto const& m : s)
      left += m.missed == loss::before_resume || m.lags() ? std::size_t{1} : std::size_t{0};
    if (s.unplaced != gap_cause::none) gap(s.unplaced, {}, std::nullopt, left == 0);
    for (auto const& m : s) {
      bool const resumed = m.missed == loss::before_resume;
      if (!resumed && !m.lags()) continue;
      std::optional<std::uint64_t> lost;
      if (!resumed) {
        ++lags;
        if (m.missed != loss::uncounted) lost = m.of->history.first_ordinal() - m.next_ordinal;
        missed += lost.value_or(0);
        if (s.filter) lost.reset();  // how many of them the filter would have admitted is unknown
      }
      gap(gap_cause::trimmed, m.of->name, lost, --left == 0);
    }
    if (s.position == position_events::sent && (!s.opened || gaps == 0)) {
      auto const retry = s.opened ? std::nullopt : options_.retry;
      serialize({.type = options_.position_type, .data = options_.position_data, .id = here, .retry = retry},
                notices);
    }

    for (auto& m : s) {
      m.next_ordinal = larger(m.next_ordinal, m.of->history.first_ordinal());
      m.missed = loss::counted;
    }
    s.unplaced = gap_cause::none;
    s.opened = true;
    if (position >= s.say_after) {
      s.due = position_due::no;
    } else if (s.due == position_due::yes_refilter) {
      s.due = position_due::yes;
    }
    s.said = position;
    s.skipped = 0;
    counts_.gaps += gaps;
    counts_.lags += lags;
    counts_.missed += missed;
    return notices;
  }

 private:
  broker_options const& options_;
  position_id const& unset_;
  std::uint64_t const& sequence_;
  siphash hash_;
  broker_stats& counts_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
