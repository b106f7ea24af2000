// SPDX-License-Identifier: MIT
// cursor_reader.hpp - fills batches with what comes next for a subscriber, and moves its cursors.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/detail/control_events.hpp>
#include <ssewire/broker/detail/hook_runner.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/event_header.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/lost_headers.hpp>
#include <ssewire/log/detail/pinned_bytes.hpp>
#include <ssewire/log/detail/segment.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class cursor_reader {
 public:
  using lock = std::unique_lock<typename Traits::mutex>;
  using batch = basic_batch<Traits>;
  using membership = detail::membership<Traits>;
  using subscriber = detail::subscriber<Traits>;

  // What a filter may do to its own subscription.
  struct ending {
    bool has_come = false;
    std::shared_ptr<void> keeps;  // until the lock is let go
  };

  // All that is given outlives it. `unset`: any position. `counts`: what it keeps the totals in.
  cursor_reader(position_id const& unset, control_events<Traits>& events, hook_runner<Traits>& hooks,
                broker_stats& counts) noexcept
      : unset_(unset), events_(events), hooks_(hooks), counts_(counts) {}

  // Puts what the stream must be told in front. If memory fails, the batch stays empty.
  void tell(subscriber& s, batch& out) {
    out.notices_ = events_.tell(s, std::exchange(out.notices_, {}));
    out.bytes_ += out.notices_.size();
  }

  // Asks it, with the lock let go; see pull_filtered.
  void ask_about_own_id(lock& held, subscriber& s, ending& end) {
    batch about;
    about.add(events_.own_id_at(s, events_.place_of(s)), 0);
    auto const& page = *about.pinned_[0].pin.get();
    auto const index = about.pinned_[0].first;
    bool admits = false;
    {
      asking question{*this, held, s, end};
      admits = s.filter(header_of(page.frames(index, index + 1), page.tag(index)));
    }
    if (!end.has_come) (admits ? s.admitted : s.refused) = page.position(index);
  }

  // Whether its filter can be asked about all that it has missed here.
  static bool can_ask(subscriber const& s, membership const& m) noexcept {
    auto const* const lost = m.of->history.lost();
    if (!s.filter || s.due == position_due::yes_refilter || lost == nullptr) return false;
    return m.missed == loss::uncounted ? lost->knows_after(m.missing_after)
                                       : lost->knows_last(m.of->history.first_ordinal() - m.next_ordinal);
  }

  // It lags. Its filter is asked about what its logs have lost, with the lock let go, where that is known: it
  // passes what was all for others. Returns whether it has passed something. Throws what the filter throws,
  // and std::bad_alloc; then it lags as before.
  bool pass_losses(lock& held, subscriber& s, ending& end) {
    bool passed = false;
    for (auto& m : s) {
      if (!m.lags() || !can_ask(s, m)) continue;
      auto const& lost = *m.of->history.lost();
      auto const first = m.of->history.first_ordinal();
      auto const events = first - m.next_ordinal;
      auto const known =
          m.missed == loss::uncounted ? lost.copy_after(m.missing_after) : lost.copy_last(events);
      auto const after = m.missed == loss::uncounted ? m.missing_after : known->after;
      bool missing = true;
      auto const unset = unset_;  // the lock guards it
      {
        asking question{*this, held, s, end};
        missing = lost_headers::any_admitted(*known, after, unset, s.filter);
      }
      if (end.has_come) return false;
      if (missing) continue;
      passed = true;
      m.next_ordinal = first;
      if (m.missed == loss::uncounted) m.missed = loss::counted;
      s.skipped += events;
      counts_.filtered += events;
    }
    return passed;
  }

  // Before each merge: where a batch that comes back, or a part of it, is pulled again from.
  static void begin_pull(subscriber& s) noexcept {
    for (auto& m : s) m.pulled_from = m.next_ordinal;
  }

  // The next events of all channels in the broker's order, as runs that lie together.
  void merge(subscriber& s, batch& out, std::size_t room) noexcept {
    auto const end = s.due != position_due::no ? s.say_behind + 1 : never;
    while (!out.full()) {
      membership* first = nullptr;
      auto next = never;   // position of the next event of all
      auto after = never;  // position of the next event of another channel: the same, if one event is on both
      for (auto& m : s) {
        if (!m.has_news()) continue;
        // A stream on one channel need not know the position.
        auto const position = s.channels == 1 && end == never ? 0 : m.of->history.position_of(m.next_ordinal);
        if (position < next) {
          after = std::exchange(next, position);
          first = &m;
        } else {
          after = smaller(after, position);
        }
      }
      if (first == nullptr || next >= end) return;
      auto const left = out.bytes() < room ? room - out.bytes() : 0;
      auto const run = first->of->history.run(first->next_ordinal, smaller(after, end), left);
      if (!out.empty() && run.bytes().size() > left) return;
      out.add(run, first->key);
      first->next_ordinal += run.count();
      if (!s.filter) count_delivered(s, *run.page, run.first, run.last, true);
      if (after != next) continue;
      for (auto& m : s) {
        if (m.has_news() && m.of->history.position_of(m.next_ordinal) == next) ++m.next_ordinal;
      }
    }
  }

  // Of the next events those that the filter admits: one round, which may bring none. It is called with the
  // lock let go, and may do anything, also end the subscription: then that is gone, or is evicted, and
  // nothing is left in `out`. What it throws leaves the cursor where it was. Returns how many it was asked
  // about; 0: none are left, or it has ended.
  std::uint64_t pull_filtered(lock& held, subscriber& s, batch& out, std::size_t room, ending& end) {
    batch next;
    begin_pull(s);
    merge(s, next, room);
    if (next.empty()) return 0;
    typename batch::picking picked;
    batch admitted;  // the caller's own is not touched while the filter may see it, or throw
    {
      asking question{*this, held, s, end, &next};
      picked = admitted.add_admitted(next, s.filter);
      question.about = nullptr;
    }
    if (end.has_come) return 0;
    out.take_runs(admitted);
    if (picked.cut != never) return_from(s, next, picked.cut);
    for (std::size_t i = 0; i < out.runs_; ++i)
      count_delivered(s, *out.pinned_[i].pin.get(), out.pinned_[i].first, out.pinned_[i].last, true);
    s.said_before = s.said;
    s.skipped_before = s.skipped;
    if (picked.last_admitted != 0) {
      s.said = s.admitted = picked.last_admitted;
      s.skipped = 0;
    }
    s.skipped += picked.skipped_since;
    counts_.filtered += picked.skipped;
    return next.events();
  }

  // Of a batch just pulled, only `taken` bytes went out. Frames of which nothing went are pulled again.
  // Returns the rest of the frame that went in part, a view of the batch; from here on the caller owes it to
  // the peer.
  std::string_view give_back(subscriber& s, batch& out, std::size_t taken) noexcept {
    std::string_view rest;
    if (taken < out.notices_.size()) {
      // A notice cannot be told twice: it holds where the stream stands. So all of them are owed.
      rest = std::string_view(out.notices_).substr(taken);
      taken = 0;
    } else {
      taken -= out.notices_.size();
    }
    auto cut = never;  // the position of the first frame of which nothing went
    for (std::size_t i = 0; i < out.runs_ && cut == never; ++i) {
      auto const& run = out.pinned_[i];
      auto const size = run.bytes().size();
      if (taken >= size) {
        taken -= size;
        continue;
      }
      auto const begin = run.pin->begin_of(run.first);
      auto kept = run.first;  // the first entry of which nothing went
      while (run.pin->begin_of(kept) - begin < taken) ++kept;
      if (taken != 0) rest = run.pin->frames(run.first, kept).substr(taken);
      taken = 0;
      if (kept != run.last) cut = run.pin->position(kept);
    }
    if (cut != never) {
      return_from(s, out, cut);
      take_back_said(s, out, cut);
      for (std::size_t i = 0; i < out.runs_; ++i) {
        auto const& run = out.pinned_[i];
        count_delivered(s, *run.pin.get(), run.first_at(cut), run.last, false);
      }
    }
    if (rest.size() <= largest_copied_rest) let_go(s);
    return rest;
  }

  // It may send from this batch until it pulls again, parks or says that it does not.
  void hold(subscriber& s, batch const& out) noexcept {
    if (out.runs_ == 0) return;
    s.held_bytes = 0;
    for (std::size_t i = 0; i < out.runs_; ++i) {
      auto const& run = out.pinned_[i];
      s.held_bytes += run.pin->allocated_bytes();
      auto& from = find_member(s, run.membership)->held_from;  // it is there: this pull has read from it
      from = smaller(from, run.pin->base_ordinal() + run.first);
    }
    s.holds = held::pages;
    holders_.add(s);
  }

  // Nothing of the batch pulled last is being sent any more.
  void let_go(subscriber& s) noexcept {
    if (s.holds == held::nothing) return;
    holders_.remove(s);
    s.holds = held::nothing;
    for (auto& m : s) m.held_from = never;
  }

  // One that holds what a log has forgotten, or null.
  [[nodiscard]] subscriber* find_guilty() noexcept { return holders_.find_guilty(); }

  [[nodiscard]] static membership* member_of(subscriber const& s, std::uint32_t key) noexcept {
    auto* const m = find_member(s, key);
    return m == s.end() ? nullptr : m;
  }

 private:
  static membership* find_member(subscriber const& s, std::uint32_t key) noexcept {
    return s.find([&](membership const& each) { return each.key == key; });
  }

  // A rest of a frame beyond this is not copied by streams, but sent from the log's page.
  static constexpr std::size_t largest_copied_rest = 16 * 1024;

  // While this exists a filter is being asked, with the lock let go. If it throws, `about` is pulled again.
  struct asking {
    cursor_reader& by;
    lock& held;
    subscriber& s;
    ending& end;
    batch const* about;

    asking(cursor_reader& asker, lock& let_go, subscriber& whose, ending& its,
           batch const* events = nullptr) noexcept
        : by(asker), held(let_go), s(whose), end(its), about(events) {
      s.filtering = true;
      held.unlock();
    }
    asking(asking const&) = delete;
    asking& operator=(asking const&) = delete;
    ~asking() {
      held.lock();
      s.filtering = false;
      end.has_come = s.is_closed() || s.evicted != close_reason::none;
      if (s.is_closed()) {
        end.keeps = std::move(s.keeps);
        by.hooks_.destroy(held, &s);
      } else if (about != nullptr) {
        return_from(s, *about, 1);  // all of it
      }
    }
  };

  // The entries of a batch at `position` and after it are pulled again. What was pulled stands in the
  // memberships, as it was then, so nothing that has changed since can hide an event: a channel that was
  // joined later has no part in it, one that was left is gone, and on each of the others every entry since
  // `pulled_from` comes back, whichever channel's log it was read from. Of those that the log has forgotten
  // meanwhile the cursor says that they are missing.
  static void return_from(subscriber& s, batch const& from, std::uint64_t position) noexcept {
    for (auto& m : s) {
      if (m.pulled_from >= m.next_ordinal) continue;
      auto const& h = m.of->history;
      if (h.first_ordinal() > m.pulled_from && h.lost_through() >= position) {
        auto const read = from.entries_of(m.key, position);
        // An event on several channels was read from one log and passed on the others: where on these is
        // forgotten, too.
        bool const counted = read.all == m.next_ordinal - m.pulled_from;
        m.next_ordinal = counted ? m.pulled_from + read.before : h.first_ordinal() - 1;
        if (!counted) m.missed = loss::uncounted;
        m.missing_after = position - 1;
      } else {
        m.next_ordinal = larger(m.pulled_from, smaller(h.ordinal_after(position - 1), m.next_ordinal));
      }
    }
  }

  // Of a filtered stream's batch the events from the position `cut` on have come back: its client will
  // present what came before them.
  static void take_back_said(subscriber& s, batch const& out, std::uint64_t cut) noexcept {
    if (!s.filter || s.said < cut) return;
    s.said = s.said_before;
    s.skipped = s.skipped_before;
    for (std::size_t i = 0; i < out.runs_; ++i) {
      auto const& run = out.pinned_[i];
      auto const kept = run.first_at(cut);
      if (kept == run.first) break;
      s.said = run.pin->position(kept - 1);
      s.skipped = 1;  // perhaps: what its filter refused between these is asked about again
    }
  }

  // Events [first, last) of a page were handed to a stream, or, if not `more`, came back.
  void count_delivered(subscriber const& s, segment<Traits> const& page, std::size_t first, std::size_t last,
                       bool more) noexcept {
    auto replayed = first;  // those that were there before the subscriber was
    while (replayed < last && page.position(replayed) <= s.joined_at) ++replayed;
    auto const count = [more](std::uint64_t& counter, std::uint64_t n) { counter += more ? n : 0 - n; };
    count(counts_.delivered, last - first);
    count(counts_.delivered_bytes, page.frames(first, last).size());
    count(counts_.replayed, replayed - first);
  }

  position_id const& unset_;
  control_events<Traits>& events_;
  hook_runner<Traits>& hooks_;
  broker_stats& counts_;
  pin_holders<subscriber> holders_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
