// SPDX-License-Identifier: MIT
// placement.hpp - where a stream begins: what its last event ID says, and what it says about what is missing.
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header.
#pragma once

#include <ssewire/detail/broker_types.hpp>
#include <ssewire/detail/position.hpp>
#include <ssewire/detail/subscriber.hpp>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// A position after which nothing is missing on any channel of the subscriber.
template <class Traits>
std::uint64_t start_position(subscriber<Traits>& s, start_at start, std::uint64_t sequence) noexcept {
  if (start.where == start_at::place::now) return sequence;
  std::uint64_t whole_after = 0;
  for (auto const& m : s) whole_after = (std::max)(whole_after, m.of->history.lost_through());
  if (start.where == start_at::place::beginning) return whole_after;

  for (auto& m : s) m.next_ordinal = m.of->history.end_ordinal();
  auto from = sequence;
  for (std::uint64_t n = 0; n < start.events; ++n) {  // one event back, on the channel that has the newest
    membership<Traits>* newest = nullptr;
    std::uint64_t position = whole_after;
    for (auto& m : s) {
      auto const& h = m.of->history;
      if (m.next_ordinal == h.first_ordinal() || h.position_of(m.next_ordinal - 1) <= position) continue;
      position = h.position_of(m.next_ordinal - 1);
      newest = &m;
    }
    if (newest == nullptr) return whole_after;
    --newest->next_ordinal;
    from = position - 1;
  }
  return from;
}

// Where a stream begins: behind its last event ID, or, where that says nothing, at `start`.
template <class Traits>
void place(subscriber<Traits>& s, std::string_view last_event_id, start_at start, std::uint64_t sequence,
           std::uint64_t epoch) noexcept {
  auto const reading = read_position(last_event_id, epoch);
  if (!last_event_id.empty() && reading.kind == id_reading::kind::ours && reading.sequence <= sequence) {
    s.outcome = resume_outcome::up_to_date;
    for (auto& m : s) {
      m.next_ordinal = m.of->history.ordinal_after(reading.sequence);
      m.resumed_past_loss = m.of->history.lost_through() > reading.sequence;
      if (m.resumed_past_loss) {
        s.outcome = resume_outcome::gap;
      } else if (m.has_news() && s.outcome == resume_outcome::up_to_date) {
        s.outcome = resume_outcome::resumed;
      }
    }
    return;
  }
  s.outcome = last_event_id.empty() ? resume_outcome::fresh : resume_outcome::unknown;
  if (s.outcome == resume_outcome::unknown) {
    s.unplaced = reading.kind == id_reading::kind::other_epoch ? gap_cause::restart : gap_cause::unknown;
  }
  auto const from = start_position(s, start, sequence);
  for (auto& m : s) m.next_ordinal = m.of->history.ordinal_after(from);
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
