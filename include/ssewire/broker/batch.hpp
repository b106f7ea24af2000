// SPDX-License-Identifier: MIT
// batch.hpp - what one pull hands out: frames in order, which stay where they are in the log, pinned.
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

/// The frames of one pull: first the notices of the library (where the stream stands, what it is missing),
/// then the events, as runs of frames that lie together. Pins the log's memory until it is cleared, refilled
/// or destroyed. Meant to be reused: it keeps its small buffer.
/// Threads     one at a time.
template <class Traits> class basic_batch {
 public:
  /// A part of it that is kept beyond its own life.
  using kept = detail::segment_pin<Traits>;

  static constexpr std::size_t max_runs = 28;
  static constexpr std::size_t max_views = max_runs + 1;  // and the notices

  basic_batch() noexcept = default;
  basic_batch(basic_batch const&) = delete;
  basic_batch& operator=(basic_batch const&) = delete;

  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Writes its parts, in order and none empty, to `out`, which has room for max_views. Returns how many.
  /// They live as long as the pins.
  std::size_t gather(std::string_view* out) const noexcept {
    auto* next = out;
    if (!notices_.empty()) *next++ = notices_;
    for (std::size_t i = 0; i < runs_; ++i) *next++ = pinned_[i].bytes();
    return static_cast<std::size_t>(next - out);
  }

  /// All of it as one string, for small programs and tests.
  [[nodiscard]] std::string text() const {
    std::string all = notices_;
    for (std::size_t i = 0; i < runs_; ++i) all += pinned_[i].bytes();
    return all;
  }

  /// Keeps the memory of a part of it that lies in one run, beyond the batch's own life. Null for the
  /// notices.
  [[nodiscard]] kept keep(std::string_view part) const noexcept {
    for (std::size_t i = 0; i < runs_; ++i) {
      auto const run = pinned_[i].bytes();
      if (part.data() >= run.data() && part.data() < run.data() + run.size()) {
        return detail::segment_pin<Traits>(*pinned_[i].pin.get());
      }
    }
    return {};
  }

  /// Holds the same as another: the same bytes, pinned once more.
  void assign(basic_batch const& other) {
    clear();
    notices_ = other.notices_;
    for (; runs_ < other.runs_; ++runs_) {
      auto const& run = other.pinned_[runs_];
      pinned_[runs_] = {detail::segment_pin<Traits>(*run.pin.get()), run.first, run.last, run.membership};
    }
    bytes_ = other.bytes_;
  }

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
    std::uint32_t membership = 0;  // the key of whose channel it came from

    [[nodiscard]] std::string_view bytes() const noexcept { return pin->frames(first, last); }
    // The first entry at or behind a position, or `last`.
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
    std::uint64_t cut = detail::never;  // the position of the first one that found no room here
    std::uint64_t last_admitted = 0;    // position; 0: none was
    std::uint64_t skipped = 0;          // events refused
    std::uint64_t skipped_since = 0;    // of these, behind the last one admitted
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
