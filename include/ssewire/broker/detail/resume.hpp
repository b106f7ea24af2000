// SPDX-License-Identifier: MIT
// resume.hpp - where a stream begins: what its last event ID says, and what it says about what is missing.
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// The position after which a new stream begins. After it no event of the subscriber's channels is missing.
template <class Traits>
std::uint64_t start_position(subscriber<Traits> const& s, start_at start, std::uint64_t sequence) noexcept {
  if (start.where == start_at::place::now) return sequence;
  std::uint64_t whole_after = 0;
  for (auto const& m : s) whole_after = larger(whole_after, m.of->history.lost_through());
  if (start.where == start_at::place::beginning) return whole_after;

  // The first position with at most `start.events` events after it. A binary search, because the lock is
  // held.
  auto const events_after = [&](std::uint64_t position) {
    std::uint64_t events = 0;
    for (auto const& m : s) events += m.of->history.end_ordinal() - m.of->history.ordinal_after(position);
    return events;
  };
  if (start.events >= events_after(whole_after)) return whole_after;
  auto many = whole_after;
  auto few = sequence;
  while (few - many > 1) {
    auto const middle = many + (few - many) / 2;
    (events_after(middle) > start.events ? many : few) = middle;
  }
  return few;
}

// The outcome for a stream whose last event ID was understood.
template <class Traits> resume_outcome outcome_of_resuming(subscriber<Traits> const& s) noexcept {
  if (s.any([](auto const& m) { return m.missed == loss::before_resume; })) return resume_outcome::gap;
  if (s.any([](auto const& m) { return m.has_news(); })) return resume_outcome::resumed;
  return resume_outcome::up_to_date;
}

// Sets where a stream begins: after its last event ID, or at `start` if that ID is absent or not understood.
// Returns the position that the ID names, if any. `own_id` is the hash of the last event ID if a publisher
// may have given it.
template <class Traits>
std::optional<std::uint64_t> resume(subscriber<Traits>& s, std::string_view last_event_id,
                                    std::optional<std::uint64_t> own_id, start_at start,
                                    std::uint64_t sequence, position_id const& unset) noexcept {
  auto reading = read_position(last_event_id, unset);
  if (own_id) {
    // If several channels hold an event with this ID, resume after the oldest: better an event twice than
    // not at all.
    auto oldest = never;
    for (auto const& m : s)
      oldest = smaller(oldest, m.of->history.position_of_id(last_event_id, *own_id).value_or(never));
    if (oldest != never) reading = {id_reading::kind::ours, oldest};
  }
  if (!last_event_id.empty() && reading.kind == id_reading::kind::ours && reading.sequence <= sequence) {
    for (auto& m : s) {
      m.next_ordinal = m.of->history.ordinal_after(reading.sequence);
      if (m.of->history.lost_through() > reading.sequence) m.missed = loss::before_resume;
    }
    s.outcome = outcome_of_resuming(s);
    return reading.sequence;
  }
  s.outcome = last_event_id.empty() ? resume_outcome::fresh : resume_outcome::unknown;
  if (s.outcome == resume_outcome::unknown) {
    s.unplaced = reading.kind == id_reading::kind::other_epoch ? gap_cause::restart : gap_cause::unknown;
  }
  auto const from = start_position(s, start, sequence);
  for (auto& m : s) m.next_ordinal = m.of->history.ordinal_after(from);
  return std::nullopt;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
