// SPDX-License-Identifier: MIT
// replay_buffer.hpp - a bounded log of one sequence of events: what follows this last event ID, and is anything missing?
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header.
#pragma once

#include <ssewire/detail/age_marks.hpp>
#include <ssewire/detail/log.hpp>
#include <ssewire/detail/position.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/serializer.hpp>
#include <ssewire/traits.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// How much history is kept. Whatever is reached first makes the oldest go. Count and bytes never take the newest event;
/// age does.
struct replay_limits {
  std::uint64_t max_events = 1024;  ///< 0 means 1. The default rides out a minute at 17 events a second
  std::size_t max_bytes =
      1024 * 1024;  ///< of serialized events. Memory taken: at most 2.25 times it, plus 1 KiB
  duration max_age = duration::zero();  ///< since the event was published; 0: no limit by age. Kept by tick()
};

/// What became of a client's last event ID.
enum class resume_outcome : unsigned char {
  fresh,       ///< it had none: it starts where a new client starts
  resumed,     ///< events follow its ID, and all of them are held
  up_to_date,  ///< its ID is the newest: nothing follows yet
  gap,         ///< some of what follows its ID is no longer held
  unknown,     ///< another run of the process, the future, or no ID of ours: where it stood cannot be told
};

/// What was published, or why nothing was.
struct publish_result {
  position_id id = {};  ///< the ID it was given
  errc error = errc::ok;

  constexpr explicit operator bool() const noexcept { return error == errc::ok; }
};

namespace detail {

// Frames of at most this size are built on the stack and copied under the lock; larger ones are built where they stay.
inline constexpr std::size_t largest_copied_frame = 4096;

// Pages have 32-bit counts, and one event of this size is a mistake.
inline constexpr std::size_t largest_frame = std::size_t{1} << 30;

// An event on its way into a log: serialized but for its position, which is patched in when it is known.
template <class Traits> class frame_builder {
 public:
  // Serializes `e` with room for a position. Changes nothing but this object.
  [[nodiscard]] errc build(event e, std::uint64_t epoch, std::size_t max_bytes) noexcept {
    epoch_ = epoch;
    auto const unset = position_id(epoch, 0);
    e.id = unset;
    size_ = serialized_size(e);
    if (size_ > (std::min)(max_bytes, largest_frame)) return errc::event_too_large;
    if (size_ > largest_copied_frame) {
      page_ = segment_pin<Traits>::adopt(segment<Traits>::make(0, size_));
      if (!page_) return errc::no_memory;
    }
    (void)serialize(e, std::span(data(), size_));
    return errc::ok;
  }

  // Appends it at `position`: the publish takes effect here or not at all.
  [[nodiscard]] bool append_to(log<Traits>& to, std::uint64_t position) noexcept {
    constexpr std::size_t id_offset = 4;  // behind "id: "
    auto const id = position_id(epoch_, position);
    std::memcpy(data() + id_offset, id.view().data(), position_id::bytes);
    return page_ ? to.link(page_, size_, position) : to.append({small_.data(), size_}, position);
  }

 private:
  [[nodiscard]] char* data() noexcept { return page_ ? page_->tail() : small_.data(); }

  std::uint64_t epoch_ = 0;
  std::size_t size_ = 0;
  segment_pin<Traits> page_;
  std::array<char, largest_copied_frame> small_;
};

// Types that begin so are the library's own; a publisher's event of such a type would lie to the client.
inline constexpr std::string_view reserved_type_prefix = "ssewire.";

constexpr errc refuse_event(event const& e) noexcept {
  if (e.type.value().substr(0, reserved_type_prefix.size()) == reserved_type_prefix)
    return errc::type_reserved;
  if (e.id.has_value()) return errc::id_refused;  // positions are the only IDs so far
  return errc::ok;
}

}  // namespace detail

/// A bounded log that numbers its events and answers a client's last event ID. For programs that deliver live events
/// in their own way; the broker keeps one such log for each channel.
/// Threads     one at a time. Distinct buffers: safe.
template <class Traits = default_traits> class basic_replay_buffer {
 public:
  /// The frames that follow an ID: a range of std::string_view, each a whole serialized event. A view of the buffer,
  /// valid until it is next appended to, ticked or destroyed.
  class replay {
   public:
    class iterator {
     public:
      using value_type = std::string_view;
      using difference_type = std::ptrdiff_t;

      iterator() noexcept = default;
      std::string_view operator*() const noexcept { return log_->run(ordinal_, 0, 0).bytes(); }
      iterator& operator++() noexcept {
        ++ordinal_;
        return *this;
      }
      iterator operator++(int) noexcept {
        auto const before = *this;
        ++ordinal_;
        return before;
      }
      friend bool operator==(iterator const&, iterator const&) noexcept = default;

     private:
      friend class replay;
      iterator(detail::log<Traits> const& log, std::uint64_t ordinal) noexcept
          : log_(&log), ordinal_(ordinal) {}

      detail::log<Traits> const* log_ = nullptr;
      std::uint64_t ordinal_ = 0;
    };

    /// `gap`: the frames are all that is left after the ID. `fresh` and `unknown`: they are all that is held.
    [[nodiscard]] resume_outcome outcome() const noexcept { return outcome_; }
    [[nodiscard]] iterator begin() const noexcept { return {*log_, from_}; }
    [[nodiscard]] iterator end() const noexcept { return {*log_, log_->end_ordinal()}; }
    [[nodiscard]] std::uint64_t size() const noexcept { return log_->end_ordinal() - from_; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

   private:
    friend class basic_replay_buffer;
    replay(detail::log<Traits> const& log, resume_outcome outcome, std::uint64_t from) noexcept
        : log_(&log), from_(from), outcome_(outcome) {}

    detail::log<Traits> const* log_;
    std::uint64_t from_;
    resume_outcome outcome_;
  };

  explicit basic_replay_buffer(replay_limits limits = {}) : limits_(limits), epoch_(Traits::epoch()) {}

  /// Serializes an event, gives it the next ID, and keeps it; the oldest go as the limits demand.
  /// Errors      type_reserved, id_refused (the buffer numbers its events), event_too_large (beyond max_bytes),
  ///             no_memory; then nothing has changed and no ID was used.
  /// Complexity  O(size of the event), and what it makes the buffer forget.
  publish_result append(event const& e) noexcept {
    if (auto const error = detail::refuse_event(e); error != errc::ok) return {{}, error};
    detail::frame_builder<Traits> frame;
    if (auto const error = frame.build(e, epoch_, limits_.max_bytes); error != errc::ok) return {{}, error};
    if (!frame.append_to(log_, sequence_ + 1)) return {{}, errc::no_memory};
    ++sequence_;
    log_.trim_to(limits_.max_events, limits_.max_bytes);
    return {position_id(epoch_, sequence_), errc::ok};
  }

  /// Lets time pass: forgets what is older than max_age. Call it about ten times in max_age.
  void tick(time_point now) noexcept {
    if (auto const too_old = ages_.pass(now, limits_.max_age, sequence_); too_old != 0)
      log_.trim_through(too_old, log_.events());
  }

  /// What follows this ID. Hostile bytes are `unknown`; empty is `fresh`.
  /// Complexity  O(log n) in the number of pages held.
  [[nodiscard]] replay after(std::string_view last_event_id) const noexcept {
    auto const oldest = log_.first_ordinal();
    if (last_event_id.empty()) return {log_, resume_outcome::fresh, oldest};
    auto const reading = detail::read_position(last_event_id, epoch_);
    if (reading.kind != detail::id_reading::kind::ours || reading.sequence > sequence_) {
      return {log_, resume_outcome::unknown, oldest};
    }
    if (log_.lost_through() > reading.sequence) return {log_, resume_outcome::gap, oldest};
    if (reading.sequence == sequence_) return {log_, resume_outcome::up_to_date, log_.end_ordinal()};
    return {log_, resume_outcome::resumed, log_.ordinal_after(reading.sequence)};
  }

  [[nodiscard]] std::uint64_t events() const noexcept { return log_.events(); }
  [[nodiscard]] std::size_t frame_bytes() const noexcept { return log_.frame_bytes(); }
  /// Memory taken, in bytes, the allocator's own overhead apart.
  [[nodiscard]] std::size_t allocated_bytes() const noexcept { return log_.allocated_bytes(); }

 private:
  replay_limits limits_;
  std::uint64_t epoch_;
  std::uint64_t sequence_ = 0;
  detail::log<Traits> log_;
  detail::age_marks ages_;
};

using replay_buffer = basic_replay_buffer<>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
