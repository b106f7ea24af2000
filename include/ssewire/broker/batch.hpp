// SPDX-License-Identifier: MIT
// batch.hpp - the result of one pull: frames in order, which stay where they are in the log, pinned.
#pragma once

#include <ssewire/broker/filter.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event_header.hpp>
#include <ssewire/core/pull_status.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/segment_pin.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> class cursor_reader;

}  // namespace detail

/// The frames of one pull: first the library's own events (where the stream stands, what it is missing), then
/// the published ones, as runs of frames that lie together. Reuse it: it keeps its small buffer.
///
/// @par Lifetime  It pins the log's memory until it is cleared, refilled or destroyed.
/// @par Threads   One thread at a time.
template <class Traits> class basic_batch {
 public:
  /// Pins a part of a batch beyond the batch's own life.
  using kept = detail::segment_pin<Traits>;

  /// The most runs of frames in one batch.
  static constexpr std::size_t max_runs = 28;
  /// The most views that gather() writes: the runs, and the library's events.
  static constexpr std::size_t max_views = max_runs + 1;

  basic_batch() noexcept = default;
  basic_batch(basic_batch const&) = delete;
  basic_batch& operator=(basic_batch const&) = delete;

  /// Whether there is no frame.
  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  /// The bytes of all frames.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Writes its parts, in order and none empty, as views to `out`.
  ///
  /// @param out      Room for max_views views.
  /// @return         How many there are.
  /// @par Lifetime   The views live as long as the pins.
  std::size_t gather(std::string_view* out) const noexcept {
    auto* next = out;
    if (!notices_.empty()) *next++ = notices_;
    for (std::size_t i = 0; i < runs_; ++i) *next++ = pinned_[i].bytes();
    return static_cast<std::size_t>(next - out);
  }

  /// All frames as one string, for small programs and tests.
  ///
  /// @throws  std::bad_alloc.
  [[nodiscard]] std::string text() const {
    std::string all = notices_;
    for (std::size_t i = 0; i < runs_; ++i) all += pinned_[i].bytes();
    return all;
  }

  /// Keeps the memory of `part`, which lies in one run, beyond the batch's own life. Null for the library's
  /// events.
  [[nodiscard]] kept keep(std::string_view part) const noexcept {
    for (std::size_t i = 0; i < runs_; ++i) {
      auto const run = pinned_[i].bytes();
      if (part.data() >= run.data() && part.data() < run.data() + run.size()) {
        return detail::segment_pin<Traits>(*pinned_[i].pin.get());
      }
    }
    return {};
  }

  /// Becomes a copy of another batch: the same bytes, pinned once more.
  ///
  /// @throws  std::bad_alloc.
  void assign(basic_batch const& other) {
    clear();
    notices_ = other.notices_;
    for (; runs_ < other.runs_; ++runs_) {
      auto const& run = other.pinned_[runs_];
      pinned_[runs_] = {detail::segment_pin<Traits>(*run.pin.get()), run.first, run.last, run.membership};
    }
    bytes_ = other.bytes_;
  }

  /// Drops all frames and their pins.
  void clear() noexcept {
    for (std::size_t i = 0; i < runs_; ++i) pinned_[i] = {};
    notices_.clear();
    runs_ = 0;
    bytes_ = 0;
  }

 private:
  friend class detail::cursor_reader<Traits>;

  struct pinned_run {
    detail::segment_pin<Traits> pin;
    std::size_t first = 0;
    std::size_t last = 0;
    std::uint32_t membership = 0;  // the key of the membership whose channel it came from

    [[nodiscard]] std::string_view bytes() const noexcept { return pin->frames(first, last); }
    // The first entry at or after a position, or `last`.
    [[nodiscard]] std::size_t first_at(std::uint64_t position) const noexcept {
      auto at = first;
      while (at < last && pin->position(at) < position) ++at;
      return at;
    }
  };

  [[nodiscard]] bool full() const noexcept { return runs_ == max_runs; }

  void add(detail::log_run<Traits> const& run, std::uint32_t membership) noexcept {
    pinned_[runs_++] = {detail::segment_pin<Traits>(*run.page), run.first, run.last, membership};
    bytes_ += run.bytes().size();
  }

  [[nodiscard]] std::uint64_t events() const noexcept {
    std::uint64_t events = 0;
    for (std::size_t i = 0; i < runs_; ++i) events += pinned_[i].last - pinned_[i].first;
    return events;
  }

  struct entry_count {
    std::uint64_t all = 0;
    std::uint64_t before = 0;  // of these, those before a position
  };

  // The entries that were read from the log of this membership's channel.
  [[nodiscard]] entry_count entries_of(std::uint32_t membership, std::uint64_t position) const noexcept {
    entry_count found;
    for (std::size_t i = 0; i < runs_; ++i) {
      auto const& run = pinned_[i];
      if (run.membership != membership) continue;
      found.all += run.last - run.first;
      found.before += run.first_at(position) - run.first;
    }
    return found;
  }

  // Takes over the runs of another; it has none itself.
  void take_runs(basic_batch& from) noexcept {
    for (std::size_t i = 0; i < from.runs_; ++i) pinned_[i] = std::move(from.pinned_[i]);
    runs_ = std::exchange(from.runs_, 0);
    bytes_ += std::exchange(from.bytes_, 0);
  }

  // What became of the events that a filter was asked about.
  struct picking {
    std::uint64_t cut = detail::never;  // the position of the first event that found no room here
    std::uint64_t last_admitted = 0;    // its position; 0: none was admitted
    std::uint64_t skipped = 0;          // events that the filter refused
    std::uint64_t skipped_since = 0;    // of these, the ones after the last admitted event
  };

  // Adds the events of another batch that the filter admits. Throws what the filter throws.
  [[nodiscard]] picking add_admitted(basic_batch const& from, event_filter const& filter) {
    picking result;
    for (std::size_t i = 0; i < from.runs_; ++i) {
      auto const& run = from.pinned_[i];
      auto const& page = *run.pin.get();
      for (auto at = run.first; at < run.last;) {
        auto last = at;
        while (last < run.last && filter(detail::header_of(page.frames(last, last + 1), page.tag(last))))
          ++last;
        if (last != at) {
          if (full()) {
            result.cut = page.position(at);
            return result;
          }
          add(detail::log_run<Traits>{run.pin.get(), at, last}, run.membership);
          result.last_admitted = page.position(last - 1);
          result.skipped_since = 0;
        }
        if (last != run.last) {
          ++result.skipped;
          ++result.skipped_since;
          ++last;
        }
        at = last;
      }
    }
    return result;
  }

  std::string notices_;
  std::array<pinned_run, max_runs> pinned_;
  std::size_t runs_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
