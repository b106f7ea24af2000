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
#include <ssewire/core/pull_status.hpp>
#include <ssewire/core/try_call.hpp>
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

  // Set if a filter ended its own subscription while it was being asked.
  struct ending {
    bool has_come = false;
    std::shared_ptr<void> keeps;  // the core, which must outlive the lock
  };

  // All arguments must outlive this object. `unset` is an ID of any position. This object keeps its totals
  // in `counts`.
  cursor_reader(position_id const& unset, control_events<Traits>& events, hook_runner<Traits>& hooks,
                broker_stats& counts) noexcept
      : unset_(unset), events_(events), hooks_(hooks), counts_(counts) {}

  // Puts the control events that are due at the front of the batch. If memory fails, the batch stays empty.
  void tell(subscriber& s, batch& out) {
    out.notices_ = events_.tell(s, std::exchange(out.notices_, {}));
    out.bytes_ += out.notices_.size();
  }

  // The broker has ended the stream: what its client gets before that, once, if there is anything.
  [[nodiscard]] static pull_status say_farewell(subscriber& s, batch& out) noexcept {
    auto const last_words = std::exchange(s.farewell, nullptr);
    if (!last_words || !try_call([&] { out.notices_ = *last_words; })) return pull_status::closed;
    out.bytes_ = out.notices_.size();
    return pull_status::ready;
  }

  // Asks the filter, without the lock, whether it admits the event whose ID a position event would repeat.
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

  // Whether the headers of all events that the subscriber has missed on this channel are known.
  static bool can_ask(subscriber const& s, membership const& m) noexcept {
    auto const* const lost = m.of->history.lost();
    if (!s.filter || s.due == position_due::yes_refilter || lost == nullptr) return false;
    return m.missed == loss::uncounted ? lost->knows_after(m.missing_after)
                                       : lost->knows_last(m.of->history.first_ordinal() - m.next_ordinal);
  }

  // For a subscriber that lags. Where the headers of the lost events are known, asks the filter about them,
  // without the lock; if it would have admitted none, the cursor moves past them. Returns whether a cursor
  // has moved. Throws what the filter throws, and std::bad_alloc; then the subscriber lags as before.
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
      auto const unset = unset_;  // copied under the lock
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

  // Called before each merge: notes from where a batch that is given back will be pulled again.
  static void begin_pull(subscriber& s) noexcept {
    for (auto& m : s) m.pulled_from = m.next_ordinal;
  }

  // Adds the next events of all channels to the batch, in the broker's order, as runs of adjacent entries.
  void merge(subscriber& s, batch& out, std::size_t room) noexcept {
    auto const end = s.due != position_due::no ? s.say_after + 1 : never;
    while (!out.full()) {
      membership* first = nullptr;
      auto next = never;   // the position of the next event of all
      auto after = never;  // that of the next event on another channel: equal if one event is on both
      for (auto& m : s) {
        if (!m.has_news()) continue;
        // With a single channel the position is not needed.
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

  // Pulls one round of events and adds those that the filter admits, which may be none. The filter is called
  // without the lock and may do anything, also end the subscription: then `out` stays empty and `end` says
  // so. If the filter throws, the cursors stay where they were. Returns how many events the filter was asked
  // about; 0 if no event is left or the subscription has ended.
  std::uint64_t pull_filtered(lock& held, subscriber& s, batch& out, std::size_t room, ending& end) {
    batch next;
    begin_pull(s);
    merge(s, next, room);
    if (next.empty()) return 0;
    typename batch::picking picked;
    batch admitted;  // `out` is not touched while the filter could see it, or throw
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

  // Only the first `taken` bytes of the batch went out. Frames of which no byte went will be pulled again.
  // Returns the rest of the frame that went in part, as a view of the batch: the caller must send it next.
  std::string_view give_back(subscriber& s, batch& out, std::size_t taken) noexcept {
    std::string_view rest;
    if (taken < out.notices_.size()) {
      // Control events cannot be made again, for they say where the stream stood. So the caller must send
      // the rest of all of them.
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

  // The subscriber may send from this batch until it pulls again, parks or calls let_go().
  void hold(subscriber& s, batch const& out) noexcept {
    if (out.runs_ == 0) return;
    s.held_bytes = 0;
    for (std::size_t i = 0; i < out.runs_; ++i) {
      auto const& run = out.pinned_[i];
      s.held_bytes += run.pin->allocated_bytes();
      auto& from = find_member(s, run.membership)->held_from;  // never end(): this pull has read from it
      from = smaller(from, run.pin->base_ordinal() + run.first);
    }
    s.holds = held::pages;
    holders_.add(s);
  }

  // The subscriber sends nothing more of the batch that it pulled last.
  void let_go(subscriber& s) noexcept {
    if (s.holds == held::nothing) return;
    holders_.remove(s);
    s.holds = held::nothing;
    for (auto& m : s) m.held_from = never;
  }

  // A subscriber that holds trimmed log memory, or null.
  [[nodiscard]] subscriber* find_guilty() noexcept { return holders_.find_guilty(); }

  [[nodiscard]] static membership* member_of(subscriber const& s, std::uint32_t key) noexcept {
    auto* const m = find_member(s, key);
    return m == s.end() ? nullptr : m;
  }

 private:
  static membership* find_member(subscriber const& s, std::uint32_t key) noexcept {
    return s.find([&](membership const& each) { return each.key == key; });
  }

  // Streams copy the rest of a frame up to this size; a larger rest is sent from the log's page.
  static constexpr std::size_t largest_copied_rest = 16 * 1024;

  // While an object of this type exists, a filter is being asked without the lock. If the filter throws, the
  // events in `about` will be pulled again.
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

  // Moves the cursors back, so that the batch's entries at or after `position` are pulled again. Each
  // membership knows where the batch began in it, so later changes cannot hide an event: a channel joined
  // since has no part in the batch, a channel left since is gone, and on every other channel all entries
  // since `pulled_from` come back, from whichever log they were read. Entries that were trimmed meanwhile
  // are reported as missing.
  static void return_from(subscriber& s, batch const& from, std::uint64_t position) noexcept {
    for (auto& m : s) {
      if (m.pulled_from >= m.next_ordinal) continue;
      auto const& h = m.of->history;
      if (h.first_ordinal() > m.pulled_from && h.lost_through() >= position) {
        auto const read = from.entries_of(m.key, position);
        // An event on several channels was read from one log and skipped in the others, where its entry is
        // not known any more: then the number of missing events is not, either.
        bool const counted = read.all == m.next_ordinal - m.pulled_from;
        m.next_ordinal = counted ? m.pulled_from + read.before : h.first_ordinal() - 1;
        if (!counted) m.missed = loss::uncounted;
        m.missing_after = position - 1;
      } else {
        m.next_ordinal = larger(m.pulled_from, smaller(h.ordinal_after(position - 1), m.next_ordinal));
      }
    }
  }

  // Events of a filtered stream at or after position `cut` came back unsent, so the client will present an
  // earlier position: `said` moves back to it.
  static void take_back_said(subscriber& s, batch const& out, std::uint64_t cut) noexcept {
    if (!s.filter || s.said < cut) return;
    s.said = s.said_before;
    s.skipped = s.skipped_before;
    for (std::size_t i = 0; i < out.runs_; ++i) {
      auto const& run = out.pinned_[i];
      auto const kept = run.first_at(cut);
      if (kept == run.first) break;
      s.said = run.pin->position(kept - 1);
      s.skipped = 1;  // there may be some: the filter is asked again about those between the events
    }
  }

  // Counts events [first, last) of a page as delivered, or takes them out of the counts if not `more`.
  void count_delivered(subscriber const& s, segment<Traits> const& page, std::size_t first, std::size_t last,
                       bool more) noexcept {
    auto replayed = first;  // the end of the events that are older than the subscriber
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
