// SPDX-License-Identifier: MIT
// segment.hpp - a page of a log. Frames grow upwards from the front of the page, their entries downwards from
// its end, so that one reference keeps both the bytes and the borders between frames.
//
// An entry holds where its frame ends (16 bits) and the distance of its position from that of the first entry
// (32 bits). The first entry with a publisher's tag and all later ones also hold their tags (64 bits).
#pragma once

#include <ssewire/log/detail/pinned_bytes.hpp>

#include <string.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// The log adds frames under its owner's lock, and never changes them afterwards. A reader takes a reference
// and the number of entries under that lock. It reads those entries without the lock: later ones lie
// elsewhere in the page.
template <class Traits> class segment {
 public:
  static constexpr std::size_t largest_bytes = 64 * 1024;  // frame borders have 16 bits
  static constexpr std::size_t entry_bytes = 6;
  static constexpr std::size_t tag_bytes = 8;

  // The bytes that a frame and its entry take.
  static constexpr std::size_t bytes_for(std::size_t frame_bytes, bool tagged) noexcept {
    return frame_bytes + entry_bytes + (tagged ? tag_bytes : 0);
  }

  // A page for several frames, or null without memory. It has room for `wanted_bytes`, and at least for one
  // frame of `frame_bytes`.
  static segment* make(std::size_t wanted_bytes, std::size_t frame_bytes, bool tagged) noexcept {
    auto const least = bytes_for(frame_bytes, tagged);
    auto const capacity = wanted_bytes < least ? least : wanted_bytes;
    auto* const memory = Traits::allocate(sizeof(segment) + capacity);
    return memory == nullptr ? nullptr : new (memory) segment(capacity);
  }

  segment(segment const&) = delete;
  segment& operator=(segment const&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    auto const bytes = allocated_bytes();
    if (forgotten_) forgotten_.subtract(bytes);
    this->~segment();
    Traits::deallocate(this, bytes);
  }

  // Drops the log's own reference. Readers that still send from the page keep it; `ledger`, if it refers to a
  // counter, then counts the bytes of the page.
  void forget(pinned_bytes const& ledger) noexcept {
    // While the log's lock is held here, only a holder of a reference can take another. So if the log's own
    // reference is the only one, no other can appear.
    if (ledger && references_.load(std::memory_order_acquire) != 1) {
      ledger.add(allocated_bytes());
      forgotten_ = ledger;
    }
    release();
  }

  [[nodiscard]] bool has_room(std::size_t frame_bytes, std::uint64_t position, bool tagged) const noexcept {
    if (count_ == 0) return true;  // the page was made for this frame
    auto const needed = bytes_for(frame_bytes, tagged || first_tagged() != none_tagged);
    return used_ + needed <= capacity_ - entries_bytes(count_) &&
           used_ + frame_bytes <= (std::numeric_limits<std::uint16_t>::max)() &&
           position - base_position_ <= (std::numeric_limits<std::uint32_t>::max)();
  }

  // Where the bytes of the next frame go.
  [[nodiscard]] char* tail() noexcept { return frames() + used_; }

  // Makes the frame of `frame_bytes` that was written at tail() the newest entry.
  void commit(std::size_t frame_bytes, std::uint64_t position, std::uint64_t ordinal,
              std::uint64_t tag) noexcept {
    if (count_ == 0) {
      base_position_ = position;
      base_ordinal_ = ordinal;
    }
    // Readers see only entries before this one, and those do not move.
    if (tag != 0 && first_tagged() == none_tagged) set_first_tagged(count_);
    used_ += static_cast<std::uint32_t>(frame_bytes);
    auto const delta = static_cast<std::uint32_t>(position - base_position_);
    // A frame too large for a border of 16 bits is alone in its page and ends where the frames' part of the
    // page ends. Its border is never read.
    auto const border = static_cast<std::uint16_t>(used_);
    auto* const at = entry(count_);
    (memcpy)(at, &border, 2);
    (memcpy)(at + 2, &delta, 4);
    if (count_ >= first_tagged()) (memcpy)(at + entry_bytes, &tag, tag_bytes);
    ++count_;
  }

  // Undoes the newest commit(). No reader has seen the entry.
  void take_back() noexcept {
    --count_;
    if (count_ == first_tagged()) set_first_tagged(none_tagged);
    used_ = static_cast<std::uint32_t>(begin_of(count_));
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t allocated_bytes() const noexcept { return sizeof(segment) + capacity_; }
  [[nodiscard]] std::uint64_t base_ordinal() const noexcept { return base_ordinal_; }
  [[nodiscard]] std::uint64_t base_position() const noexcept { return base_position_; }

  [[nodiscard]] std::uint64_t position(std::size_t index) const noexcept {
    std::uint32_t delta = 0;
    (memcpy)(&delta, entry(index) + 2, 4);
    return base_position_ + delta;
  }

  [[nodiscard]] std::uint64_t tag(std::size_t index) const noexcept {
    std::uint64_t tag = 0;
    if (index >= first_tagged()) (memcpy)(&tag, entry(index) + entry_bytes, tag_bytes);
    return tag;
  }

  [[nodiscard]] std::size_t begin_of(std::size_t index) const noexcept {
    return index == 0 ? 0 : end_of(index - 1);
  }

  [[nodiscard]] std::size_t end_of(std::size_t index) const noexcept {
    if (capacity_ > largest_bytes) return capacity_ - entries_bytes(1);  // the end of its only frame
    std::uint16_t border = 0;
    (memcpy)(&border, entry(index), 2);
    return border;
  }

  // Position and end in one look.
  struct place {
    std::uint64_t position;
    std::size_t end;
  };
  [[nodiscard]] place place_of(std::size_t index) const noexcept {
    auto const* const at = entry(index);
    std::uint16_t border = 0;
    std::uint32_t delta = 0;
    (memcpy)(&border, at, 2);
    (memcpy)(&delta, at + 2, 4);
    return {base_position_ + delta, capacity_ > largest_bytes ? capacity_ - entries_bytes(1) : border};
  }

  // Where a run of entries from `first` on ends: at the first entry whose frame ends more than `room` bytes
  // after the run's begin or whose position is `before` or later, else at count(). The entry `first` always
  // belongs to the run. A pull needs this each time, so it is one walk.
  [[nodiscard]] std::size_t run_end(std::size_t first, std::size_t room,
                                    std::uint64_t before) const noexcept {
    auto const begin = begin_of(first);
    auto const* at = entry(first);
    auto const tagged_from = first_tagged();
    auto index = first + 1;
    for (; index < count_; ++index) {
      at -= index < tagged_from ? entry_bytes : entry_bytes + tag_bytes;
      std::uint16_t border = 0;
      std::uint32_t delta = 0;
      (memcpy)(&border, at, 2);
      (memcpy)(&delta, at + 2, 4);
      if (border - begin > room || base_position_ + delta >= before) break;
    }
    return index;
  }

  // The bytes of the frames [first, last).
  [[nodiscard]] std::string_view frames(std::size_t first, std::size_t last) const noexcept {
    auto const begin = begin_of(first);
    return {frames() + begin, (last == first ? begin : end_of(last - 1)) - begin};
  }

 private:
  static constexpr std::uint16_t none_tagged = (std::numeric_limits<std::uint16_t>::max)();

  explicit segment(std::size_t capacity) noexcept : capacity_(static_cast<std::uint32_t>(capacity)) {}

  // The bytes that the first `entries` entries take.
  [[nodiscard]] std::size_t entries_bytes(std::size_t entries) const noexcept {
    std::size_t const untagged = first_tagged();
    return entries * entry_bytes + (entries > untagged ? entries - untagged : 0) * tag_bytes;
  }
  [[nodiscard]] std::uint16_t first_tagged() const noexcept {
    return first_tagged_.load(std::memory_order_relaxed);
  }
  void set_first_tagged(std::uint16_t index) noexcept {
    first_tagged_.store(index, std::memory_order_relaxed);
  }
  [[nodiscard]] char* frames() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] char const* frames() const noexcept { return reinterpret_cast<char const*>(this + 1); }
  [[nodiscard]] char* entry(std::size_t index) noexcept {
    return frames() + capacity_ - entries_bytes(index + 1);
  }
  [[nodiscard]] char const* entry(std::size_t index) const noexcept {
    return frames() + capacity_ - entries_bytes(index + 1);
  }

  std::atomic<std::uint32_t> references_{1};
  // The entries of at most largest_bytes fit into 16 bits.
  std::uint16_t count_ = 0;
  // Entries from this one on have tags.
  std::atomic<std::uint16_t> first_tagged_{none_tagged};
  std::uint32_t capacity_;
  std::uint32_t used_ = 0;
  std::uint64_t base_position_ = 0;
  std::uint64_t base_ordinal_ = 0;
  // Set when the log forgets the page while readers still use it.
  pinned_bytes forgotten_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
