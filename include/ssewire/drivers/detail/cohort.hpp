// SPDX-License-Identifier: MIT
// cohort.hpp - the streams of one reactor that stand at the same place of the same channel, and the round in
// which all of them are offered the same bytes.
//
// A stream is *in step* while it is idle, owes nothing, has nothing of its own to send, and stands where its
// cohort's leader does (in_step.hpp). A stream in step has a place in the cohort. Its cursor and its activity
// are the cohort's, and only its writer is left of it. A stream falls out when anything happens to it alone:
// it then gets back what it needs to send alone.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/detail/idle_list.hpp>
#include <ssewire/drivers/detail/in_step.hpp>
#include <ssewire/drivers/detail/ready_queue.hpp>
#include <ssewire/stream/detail/gathered_write.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

inline constexpr std::uint32_t no_place = (std::numeric_limits<std::uint32_t>::max)();

// `Seat` is the reactor's record of a stream. The cohort uses its members `writer` and `std::uint32_t place`.
// Threads: the reactor's. The leader's hook touches only the base classes.
template <class Seat, class Traits>
class cohort : public leader_key, public waiting, public idle_node<cohort<Seat, Traits>> {
 public:
  using core = broker_core<Traits>;
  using subscriber = typename core::subscriber;

  cohort(leader_key const& key, std::shared_ptr<core> const& of) : leader_key(key), waiting(true), at(of) {}

  // ---- places ----

  [[nodiscard]] bool empty() const noexcept { return in_step_ == 0; }

  // Whether add() may be called. add() must not fail, so this makes room.
  [[nodiscard]] bool has_room() noexcept {
    if (places_.size() < places_.capacity()) return true;
    return places_.size() < no_place && try_call([&] { places_.reserve(2 * places_.size() + 4); });
  }

  void add(Seat& s) noexcept {
    s.place = static_cast<std::uint32_t>(places_.size());
    places_.push_back(&s);
    ++in_step_;
  }

  // Where a stream stood when it lost its place.
  struct standing {
    // How many events the leader is ahead of the stream.
    std::uint64_t behind;
    // When the stream was given its last byte, or a time before.
    steady_time seen;
  };

  // Takes away the place of a stream. During a round the place stays, empty: another stream moved there could
  // be skipped. `offered`: the stream is being offered the flight now, which does not count as received yet.
  standing remove(Seat& s, bool offered) noexcept {
    auto const place = std::exchange(s.place, no_place);
    --in_step_;
    places_[place] = nullptr;
    bool const waits = in_round_ && place < end_ && (place >= done_ || offered);
    if (in_round_) {
      has_holes_ = true;
    } else {
      move_last_to(place);
    }
    return {waits ? ahead_ : 0, in_round_ && !waits && flight ? began_ : this->seen};
  }

  // ---- the round ----

  // Begins a round. Every stream in step is offered the flight, the write that they share, one after the
  // other. If the flight is null, every stream must pull for itself. The leader already stands `ahead` events
  // further on.
  void begin_round(held_write<basic_batch<Traits>> f, std::uint64_t ahead, steady_time now) noexcept {
    flight = std::move(f);
    in_round_ = true;
    done_ = 0;
    end_ = places_.size();
    ahead_ = ahead;
    began_ = now;
    joined_seen_ = (steady_time::max)();
    full_ = 0;
  }

  [[nodiscard]] bool in_round() const noexcept { return in_round_; }
  [[nodiscard]] bool round_is_done() const noexcept { return done_ == end_; }
  [[nodiscard]] std::uint64_t events() const noexcept { return ahead_; }

  // The next stream that must pull for itself. Null: none is left, or the budget is used up.
  [[nodiscard]] Seat* next_alone(int& budget) noexcept {
    while (done_ != end_ && places_[done_] == nullptr) ++done_;
    return done_ == end_ || budget-- <= 0 ? nullptr : places_[done_];
  }

  // Offers the flight to the streams at the next `budget` places. Stops at a stream that does not take all of
  // it, that loses its place meanwhile, or whose writer throws. Returns that stream, or null if there was
  // none. `answer`: what that stream's writer answered; empty if the writer threw.
  [[nodiscard]] Seat* offer(int& budget, std::optional<write_result>& answer) noexcept {
    buffers const all(flight->views.data(), flight->count);
    auto const bytes = flight->bytes;
    auto const stop = (std::min)(end_, done_ + static_cast<std::size_t>(budget));
    auto const first = done_;
    std::size_t empty_places = 0;
    Seat* s = nullptr;
    write_result got;
    bool const returned = try_call([&] {
      writing_ = true;
      while (done_ != stop) {
        if (done_ + prefetched < end_) prefetch(places_[done_ + prefetched]);
        s = places_[done_++];
        if (s == nullptr) {
          ++empty_places;
          continue;
        }
        got = s->writer.write(all);
        // The stream has lost its place if a call was made for it meanwhile.
        if (got.status != write_status::ok || got.bytes != bytes || places_[done_ - 1] != s) return;
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

  // The stream `s` was offered the flight last and took `answer->bytes` of it, not all. Offers it the rest
  // from `own`, a write of its own, until it has taken everything, answers otherwise, or has lost its place.
  // Returns how many bytes it had taken before the last answer.
  std::size_t offer_rest(Seat& s, detail::held_write<basic_batch<Traits>>& own,
                         std::optional<write_result>& answer) noexcept {
    std::size_t taken = 0;
    if (!try_call([&] {
          if (!own) own = detail::held_write<basic_batch<Traits>>::make();
          own->assign(*flight, body);
        }))
      return taken;
    std::size_t first = 0;
    writing_ = true;
    while (answer && answer->status == write_status::ok && answer->bytes != 0 &&
           answer->bytes < own->bytes - taken && places_[done_ - 1] == &s) {
      taken += answer->bytes;
      auto const rest = own->rest(first, answer->bytes);
      if (!try_call([&] { answer = s.writer.write(rest); })) answer.reset();
    }
    writing_ = false;
    return taken;
  }

  // Whether `s` is being offered the flight right now: then this call comes from inside its writer.
  [[nodiscard]] bool is_offering(Seat const& s) const noexcept {
    return writing_ && std::size_t{s.place} + 1 == done_;
  }

  // One more stream was given the flight, and this is not counted elsewhere.
  void count_one() noexcept { ++full_; }

  // Ends the round after every stream had its turn. Returns what the round delivered that is not counted
  // elsewhere.
  [[nodiscard]] typename in_step<Traits>::delivered end_round() noexcept {
    in_round_ = false;
    if (std::exchange(has_holes_, false)) {
      for (std::size_t i = 0; i < places_.size();) {
        if (places_[i] == nullptr) {
          move_last_to(i);
        } else {
          ++i;
        }
      }
    }
    // Every stream of the round was given something or has fallen out. Streams that joined meanwhile bring
    // their own times.
    if (flight || ahead_ != 0) this->seen = (std::min)(began_, joined_seen_);
    if (joined_seen_ < this->seen) this->seen = joined_seen_;
    if (!flight) return {};
    return {full_ * ahead_, full_ * flight->batch.bytes()};
  }

  // A stream whose last activity was at `then` has come in step. Returns whether the cohort's own time has
  // changed.
  bool note(steady_time then) noexcept {
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
  // Streams that may come in step. The cohort goes with the last of them.
  std::size_t attached = 0;
  // The index of this cohort in cohort_list.
  std::size_t index = 0;
  bool beat_due = false;
  // What the round offers. Null: every stream pulls for itself.
  held_write<basic_batch<Traits>> flight;

 private:
  static constexpr std::size_t prefetched = 8;

  static void prefetch([[maybe_unused]] Seat const* s) noexcept {
#if defined(__GNUC__)
    if (s != nullptr) __builtin_prefetch(s);
#endif
  }

  void move_last_to(std::size_t place) noexcept {
    auto* const last = places_.back();
    places_.pop_back();
    if (place == places_.size()) return;  // it was the last
    places_[place] = last;
    if (last != nullptr) last->place = static_cast<std::uint32_t>(place);
  }

  // Null: the stream at this place fell out during the round.
  std::vector<Seat*> places_;
  std::size_t in_step_ = 0;
  bool in_round_ = false;
  bool writing_ = false;
  bool has_holes_ = false;
  // How many places have had their turn. During a call of a writer, the last of them is its stream's.
  std::size_t done_ = 0;
  // Streams at this place and later ones joined during the round, and are not given its flight.
  std::size_t end_ = 0;
  std::uint64_t ahead_ = 0;
  std::uint64_t full_ = 0;
  steady_time began_ = {};
  steady_time joined_seen_ = {};
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
