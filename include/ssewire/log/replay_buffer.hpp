// SPDX-License-Identifier: MIT
// replay_buffer.hpp - a bounded log of one sequence of events. It answers a last event ID: which events
// follow, and is any of them missing? Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/identity.hpp>
#include <ssewire/log/detail/prepared_event.hpp>
#include <ssewire/log/detail/siphash.hpp>
#include <ssewire/log/detail/watermarks.hpp>
#include <ssewire/log/resume_outcome.hpp>
#include <ssewire/log/retention.hpp>
#include <ssewire/wire/serializer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// A bounded log that numbers its events and answers a client's last event ID. For programs that deliver live
/// events in their own way. The broker keeps such a log for each channel.
///
/// @par Threads    Distinct buffers: safe. One buffer: one thread at a time.
/// @par Processes  In the child of a fork() it is another buffer: it holds nothing, its IDs are others, and
///   IDs from before the fork are `unknown`. vfork(), _Fork() and clone() are not supported: the child does
///   not learn of them.
template <class Traits = default_traits> class basic_replay_buffer {
 public:
  /// The frames that follow an ID: a range of std::string_view, each a whole serialized event.
  ///
  /// @par Lifetime  A view of the buffer, valid until the buffer's next append() or tick(), or its end.
  class replay {
   public:
    /// A forward iterator over the frames.
    class iterator {
     public:
      /// A frame.
      using value_type = std::string_view;
      /// As iterators have it.
      using difference_type = std::ptrdiff_t;

      iterator() noexcept = default;
      /// The frame.
      std::string_view operator*() const noexcept { return log_->run(ordinal_, 0, 0).bytes(); }
      /// Goes on to the next frame.
      iterator& operator++() noexcept {
        ++ordinal_;
        return *this;
      }
      /// Goes on to the next frame, and returns where it stood.
      iterator operator++(int) noexcept {
        auto const before = *this;
        ++ordinal_;
        return before;
      }
      friend bool operator==(iterator const&, iterator const&) noexcept = default;

     private:
      friend class replay;
      iterator(detail::entry_log<Traits> const& log, std::uint64_t ordinal) noexcept
          : log_(&log), ordinal_(ordinal) {}

      detail::entry_log<Traits> const* log_ = nullptr;
      std::uint64_t ordinal_ = 0;
    };

    /// What became of the ID. `gap`: the frames are those that are left after the ID. `fresh` and `unknown`:
    /// they are all frames that the buffer holds.
    [[nodiscard]] resume_outcome outcome() const noexcept { return outcome_; }
    /// The first frame.
    [[nodiscard]] iterator begin() const noexcept { return {*log_, from_}; }
    /// The place after the last frame.
    [[nodiscard]] iterator end() const noexcept { return {*log_, log_->end_ordinal()}; }
    /// How many frames there are.
    [[nodiscard]] std::uint64_t size() const noexcept { return log_->end_ordinal() - from_; }
    /// Whether there is no frame.
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

   private:
    friend class basic_replay_buffer;
    replay(detail::entry_log<Traits> const& log, resume_outcome outcome, std::uint64_t from) noexcept
        : log_(&log), from_(from), outcome_(outcome) {}

    detail::entry_log<Traits> const* log_;
    std::uint64_t from_;
    resume_outcome outcome_;
  };

  /// An empty buffer.
  ///
  /// @throws  What Traits::epoch() throws, and std::bad_alloc.
  explicit basic_replay_buffer(replay_limits limits = {})
      : limits_(limits), hash_{Traits::epoch()}, log_(hash_, limits.max_bytes) {}

  /// Serializes an event and keeps it. The event gets the next ID, unless it has one of its own. The oldest
  /// events are trimmed as the limits demand.
  ///
  /// @param e         Borrowed for the call. What an ID of your own may be, basic_broker::publish says.
  /// @return          The event's position. On an error nothing has changed and no position was used:
  ///   type_reserved, id_refused, id_in_use, event_too_large (serialized beyond max_bytes), no_memory (in the
  ///   child of a fork() also where Traits::epoch() throws).
  /// @par Complexity  O(size of the event), and the trimming that the event causes.
  result<position_id> append(event const& e) noexcept {
    detail::prepared_event<Traits> next;
    std::array<char, detail::largest_copied_frame> room;
    auto const error = next.prepare(e, 0, hash_, limits_.max_bytes, room);
    if (error != errc::ok) return {{}, error};
    if (ids_.is_cloned()) {
      if (!ids_.renew()) return {{}, errc::no_memory};
      log_.forget_all();
    }
    if (auto const refused = next.append_to(log_, ids_.unset(), sequence_ + 1); refused != errc::ok)
      return {{}, refused};
    ++sequence_;
    log_.trim_to_events(limits_.max_events);
    log_.trim_to_bytes(limits_.max_bytes);
    return {ids_.unset().at(sequence_), errc::ok};
  }

  /// Lets time pass: trims the events older than max_age. Call it about ten times in max_age.
  void tick(steady_time now) noexcept {
    if (auto const too_old = ages_.pass(now, limits_.max_age, sequence_); too_old != 0)
      log_.trim_through(too_old, log_.events());
  }

  /// The frames that follow an ID.
  ///
  /// @param presented  The client's last event ID. Absent or empty is `fresh`; hostile bytes are `unknown`.
  /// @return           The frames, and what became of the ID.
  /// @par Complexity   O(log n) in the number of pages held.
  [[nodiscard]] replay after(optional_text presented) const noexcept {
    auto const last_event_id = presented.value();
    auto const oldest = log_.end_ordinal() - events();
    if (last_event_id.empty()) return {log_, resume_outcome::fresh, oldest};
    if (ids_.is_cloned()) return {log_, resume_outcome::unknown, oldest};
    auto reading = detail::read_position(last_event_id, ids_.unset());
    if (detail::good_own_id(last_event_id)) {
      if (auto const at = log_.position_of_id(last_event_id, hash_(last_event_id)))
        reading = {detail::id_reading::kind::ours, *at};
    }
    if (reading.kind != detail::id_reading::kind::ours || reading.sequence > sequence_) {
      return {log_, resume_outcome::unknown, oldest};
    }
    if (log_.lost_through() > reading.sequence) return {log_, resume_outcome::gap, oldest};
    if (reading.sequence == sequence_) return {log_, resume_outcome::up_to_date, log_.end_ordinal()};
    return {log_, resume_outcome::resumed, log_.ordinal_after(reading.sequence)};
  }

  /// How many events it holds.
  [[nodiscard]] std::uint64_t events() const noexcept { return ids_.is_cloned() ? 0 : log_.events(); }
  /// The bytes of the serialized events that it holds.
  [[nodiscard]] std::size_t frame_bytes() const noexcept { return ids_.is_cloned() ? 0 : log_.frame_bytes(); }
  /// The memory that it takes, in bytes, without the allocator's own overhead.
  [[nodiscard]] std::size_t allocated_bytes() const noexcept { return log_.allocated_bytes(); }

 private:
  replay_limits limits_;
  detail::identity<Traits> ids_;
  std::uint64_t sequence_ = 0;
  detail::siphash hash_;
  detail::entry_log<Traits> log_;
  detail::watermarks ages_;
};

/// A replay buffer with the default traits.
using replay_buffer = basic_replay_buffer<>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
