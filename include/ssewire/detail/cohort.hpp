// SPDX-License-Identifier: MIT
// cohort.hpp - the streams of one reactor that stand at the same place of the same channel, and the round in which all of
// them are offered the same bytes.
//
// A stream is *in step* while it is idle, owes nothing, has nothing of its own to send, and stands where its cohort's
// leader does (in_step.hpp). Then it has a place here, its cursor and its activity are the cohort's, and it waits in no list.
// Whatever happens to it alone makes it fall out: it gets its own cursor, and goes on by the ordinary path.
#pragma once

#include <ssewire/detail/activity_list.hpp>
#include <ssewire/detail/attempt.hpp>
#include <ssewire/detail/in_step.hpp>
#include <ssewire/stream.hpp>
#include <ssewire/traits.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

inline constexpr std::uint32_t no_place = (std::numeric_limits<std::uint32_t>::max)();

// What can wait for its turn in a reactor: a stream, or a cohort of them.
struct waiting {
  explicit waiting(bool many) noexcept : is_cohort(many) {}

  std::atomic<bool> queued{false};
  bool const is_cohort;
};

// Of a `Slot` it needs `std::uint32_t place`. Threads: the reactor's; the leader's hook knows the base classes only.
template <class Slot, class Traits>
class cohort : public leader_key, public waiting, public activity_node<cohort<Slot, Traits>> {
 public:
  using core = broker_core<Traits>;
  using subscriber = typename core::subscriber;

  cohort(leader_key const& key, std::shared_ptr<core> const& of) : leader_key(key), waiting(true), at(of) {}

  // ---- places --------------------------------------------------------------------------------------------------

  [[nodiscard]] bool empty() const noexcept { return in_step_ == 0; }

  // Whether add() may be called: it must not fail.
  [[nodiscard]] bool has_room() noexcept {
    if (places_.size() < places_.capacity()) return true;
    return places_.size() < no_place && attempt([&] { places_.reserve(2 * places_.size() + 4); });
  }

  void add(Slot& s) noexcept {
    s.place = static_cast<std::uint32_t>(places_.size());
    places_.push_back({&s, bytes_});
    ++in_step_;
  }

  // Back to the place that it had when it was offered the flight.
  void put_back(Slot& s) noexcept {
    s.place = static_cast<std::uint32_t>(done_ - 1);
    places_[s.place] = {&s, bytes_};
    ++in_step_;
  }

  // Where a stream stood that has lost its place.
  struct standing {
    std::uint64_t bytes;   // that it was given since it took the place
    std::uint64_t behind;  // events that the leader is ahead of it
    time_point seen;       // when it was given the last byte, or before
  };

  // Takes its place away. During a round the place stays, empty, so that the round skips nobody. `offered`: it is being
  // offered the flight, which does not count yet.
  standing remove(Slot& s, bool offered) noexcept {
    auto const at_place = std::exchange(s.place, no_place);
    auto& its = places_[at_place];
    --in_step_;
    its.slot = nullptr;
    bool const waits = in_round_ && at_place < end_ && (at_place >= done_ || offered);
    standing const stood{bytes_ - (waits ? round_bytes_ : 0) - its.bytes_before, waits ? ahead_ : 0,
                         in_round_ && !waits && round_bytes_ != 0 ? began_ : this->seen};
    if (in_round_) {
      has_holes_ = true;
    } else {
      move_last_to(its);
    }
    return stood;
  }

  // ---- the round -----------------------------------------------------------------------------------------------

  // Those who are in step now are offered the flight, one after the other; or, if there is none, each has to pull for
  // itself. The leader stands `ahead` events further on already.
  void begin_round(held_flight<Traits> f, std::uint64_t ahead, time_point now) noexcept {
    flight = std::move(f);
    in_round_ = true;
    done_ = 0;
    end_ = places_.size();
    ahead_ = ahead;
    round_bytes_ = flight ? flight->bytes : 0;
    bytes_ += round_bytes_;
    began_ = now;
    joined_seen_ = (time_point::max)();
    full_ = 0;
  }

  [[nodiscard]] bool in_round() const noexcept { return in_round_; }
  [[nodiscard]] bool round_is_done() const noexcept { return done_ == end_; }
  [[nodiscard]] std::uint64_t events() const noexcept { return ahead_; }

  // Who is next, or null: nobody, as yet.
  [[nodiscard]] Slot* next_alone(int& budget) noexcept {
    while (done_ != end_ && places_[done_].slot == nullptr) ++done_;
    return done_ == end_ || budget-- <= 0 ? nullptr : places_[done_].slot;
  }

  // Offers the flight to those who are next, `budget` of them, until one of them does not simply take all of it. Returns
  // that one, whose answer is in `answer`: none, if it threw.
  [[nodiscard]] Slot* offer(int& budget, std::optional<write_result>& answer) noexcept {
    buffers const all(flight->views.data(), flight->count);
    auto const bytes = flight->bytes;
    auto const stop = (std::min)(end_, done_ + static_cast<std::size_t>(budget));
    auto const first = done_;
    std::size_t empty_places = 0;
    Slot* s = nullptr;
    write_result got;
    bool const returned = attempt([&] {
      writing_ = true;
      while (done_ != stop) {
        if (done_ + prefetched < end_) prefetch(places_[done_ + prefetched].slot);
        s = places_[done_++].slot;
        if (s == nullptr) {
          ++empty_places;
          continue;
        }
        got = s->stream.writer_ref().write(all);
        // It has its place no more if somebody called for it meanwhile.
        if (got.status != write_status::ok || got.bytes != bytes || places_[done_ - 1].slot != s) return;
      }
      s = nullptr;
    });
    writing_ = false;
    auto const walked = done_ - first;
    budget -= static_cast<int>(walked);
    full_ += walked - empty_places - (s != nullptr ? 1 : 0);
    if (returned) answer = got;
    return s;
  }

  // Whether this is who is being offered the flight right now: the call comes from inside its writer.
  [[nodiscard]] bool is_offering(Slot const& s) const noexcept {
    return writing_ && std::size_t{s.place} + 1 == done_;
  }

  // One more has been given the flight, and is not counted elsewhere.
  void count_one() noexcept { ++full_; }

  // All have had their turn. Returns what was delivered and not counted elsewhere.
  [[nodiscard]] typename in_step<Traits>::delivered end_round() noexcept {
    in_round_ = false;
    if (std::exchange(has_holes_, false)) {
      for (std::size_t i = 0; i < places_.size();) {
        if (places_[i].slot == nullptr) {
          move_last_to(places_[i]);
        } else {
          ++i;
        }
      }
    }
    // Everybody who was there has been given something, or has fallen out; and some have joined.
    if (round_bytes_ != 0 || ahead_ != 0) this->seen = (std::min)(began_, joined_seen_);
    if (joined_seen_ < this->seen) this->seen = joined_seen_;
    if (!flight) return {};
    return {full_ * ahead_, full_ * flight->batch.bytes()};
  }

  // A stream has come in step that was active last `then`. Returns whether the cohort's own time has changed.
  bool note(time_point then) noexcept {
    if (in_round_) {
      joined_seen_ = (std::min)(joined_seen_, then);
      return false;
    }
    if (in_step_ != 1 && then >= this->seen) return false;
    this->seen = then;
    return true;
  }

  std::shared_ptr<core> const at;
  subscriber* leader = nullptr;
  std::size_t attached = 0;  // streams that may come in step: it goes with the last of them
  std::size_t index = 0;     // in the reactor's list
  bool beat_due = false;
  held_flight<Traits> flight;  // of the round, or null: each for itself

 private:
  struct place {
    Slot* slot;  // null: during a round, it has fallen out
    std::uint64_t bytes_before;
  };

  static constexpr std::size_t prefetched = 8;

  static void prefetch([[maybe_unused]] Slot const* s) noexcept {
#if defined(__GNUC__)
    if (s != nullptr) __builtin_prefetch(&s->stream);
#endif
  }

  void move_last_to(place& empty) noexcept {
    auto const last = places_.back();
    places_.pop_back();
    if (&empty == places_.data() + places_.size()) return;  // it was the last
    empty = last;
    if (last.slot != nullptr) last.slot->place = static_cast<std::uint32_t>(&empty - places_.data());
  }

  std::vector<place> places_;
  std::size_t in_step_ = 0;
  std::uint64_t bytes_ = 0;  // that were given to each, in all rounds
  bool in_round_ = false;
  bool writing_ = false;
  bool has_holes_ = false;
  std::size_t done_ = 0;  // places that have had their turn; whose writer is being called is the last of them
  std::size_t end_ = 0;   // who joined later is not given this flight
  std::uint64_t ahead_ = 0;
  std::uint64_t round_bytes_ = 0;
  std::uint64_t full_ = 0;
  time_point began_ = {};
  time_point joined_seen_ = {};
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
