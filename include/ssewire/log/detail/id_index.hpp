// SPDX-License-Identifier: MIT
// id_index.hpp - finds an entry of a log by its text ID, of which it stores no byte.
#pragma once

#include <ssewire/core/extremes.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Maps the keyed hash of an ID to the ordinal of its entry. A find is a guess from 32 bits of the hash: the
// caller compares the text, which lies in the log. Only the low half of an ordinal is kept, so the ordinals
// held at one time must span less than 2^32.
//
// A table of 8-byte slots. The hash of an entry gives its home in the table; the entry lies there or after
// it. Entries lie in the order of their hashes. So a search ends at the first entry with a higher hash, a
// table can be 7/8 full, and a new table is filled from front to back. Erasing moves the following entries
// back by one slot: nothing stays of an erased entry.
//
// Memory: at most 18 bytes for each ID held; 12 while none is erased. It is more only if there was no memory
// to build a smaller table. Both tables exist while one is rebuilt.
// Complexity: expected O(1), whoever chooses the IDs; amortised for inserting and erasing. Between two
// rebuilds at least a quarter of the entries that the first one left are inserted or erased.
// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class id_index {
 public:
  id_index() noexcept = default;
  id_index(id_index const&) = delete;
  id_index& operator=(id_index const&) = delete;
  ~id_index() { clear(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t allocated_bytes() const noexcept { return capacity_ * sizeof(slot); }

  // False if there is no memory; then nothing has changed. Entries with equal hashes are different entries.
  [[nodiscard]] bool insert(std::uint64_t hash, std::uint64_t ordinal) noexcept {
    auto const full = capacity_ - capacity_ / 8;
    if (size_ == full && !rebuild(size_ + 1)) return false;
    put({part_of(hash), static_cast<std::uint32_t>(ordinal)});
    ++size_;
    return true;
  }

  // Does nothing if there is no such entry.
  void erase(std::uint64_t hash, std::uint64_t ordinal) noexcept {
    auto at =
        search(part_of(hash), [&](std::uint32_t low) { return low == static_cast<std::uint32_t>(ordinal); });
    if (at == none) return;
    auto behind = next(at);
    while (slots_[behind].part != empty && distance(behind) != 0) {
      slots_[at] = slots_[behind];
      at = std::exchange(behind, next(behind));
    }
    slots_[at] = {};
    --size_;
    // The table now takes more than 18 bytes for each entry. Without memory for a smaller one, the large one
    // stays.
    if (std::uint64_t{capacity_} * 4 > std::uint64_t{size_} * 9) static_cast<void>(rebuild(size_));
  }

  void clear() noexcept {
    if (slots_ != nullptr) Traits::deallocate(slots_, allocated_bytes());
    slots_ = nullptr;
    size_ = capacity_ = 0;
  }

  // The ordinal of an entry with this hash for which `same(ordinal)` is true. The low half in the table means
  // the first such ordinal from `first_ordinal` on, the oldest that may be held.
  template <class Same>
  [[nodiscard]] std::optional<std::uint64_t> find(std::uint64_t hash, std::uint64_t first_ordinal,
                                                  Same same) const noexcept {
    std::uint64_t ordinal = 0;
    auto const at = search(part_of(hash), [&](std::uint32_t low) {
      ordinal = first_ordinal + (low - static_cast<std::uint32_t>(first_ordinal));
      return same(ordinal);
    });
    return at == none ? std::nullopt : std::optional(ordinal);
  }

 private:
  struct slot {
    std::uint32_t part = empty;  // of the hash; never `empty` for an entry
    std::uint32_t ordinal = 0;   // its low half
  };

  static constexpr std::uint32_t empty = 0;
  static constexpr std::uint32_t none = (std::numeric_limits<std::uint32_t>::max)();
  // In slots. Small enough that the sum of any two fits into 32 bits, and the bytes into a size.
  static constexpr std::uint64_t largest =
      smaller(std::uint64_t{1} << 30, std::uint64_t{(std::numeric_limits<std::size_t>::max)() / 16});

  static std::uint32_t part_of(std::uint64_t hash) noexcept {
    auto const high = static_cast<std::uint32_t>(hash >> 32);
    return high == empty ? 1 : high;
  }

  [[nodiscard]] std::uint32_t home(std::uint32_t part) const noexcept {
    return static_cast<std::uint32_t>(std::uint64_t{part} * capacity_ >> 32);
  }

  [[nodiscard]] std::uint32_t next(std::uint32_t at) const noexcept {
    return at + 1 == capacity_ ? 0 : at + 1;
  }

  // How far from its home the entry in this slot lies.
  [[nodiscard]] std::uint32_t distance(std::uint32_t at) const noexcept {
    auto const from = home(slots_[at].part);
    return at >= from ? at - from : at + capacity_ - from;
  }

  // Whether a search for this hash, `walked` slots from its home, continues after the entry in this slot.
  [[nodiscard]] bool goes_on(std::uint32_t at, std::uint32_t part, std::uint32_t walked) const noexcept {
    if (slots_[at].part == empty) return false;
    auto const its = distance(at);
    return its > walked || (its == walked && slots_[at].part <= part);
  }

  template <class Match> [[nodiscard]] std::uint32_t search(std::uint32_t part, Match match) const noexcept {
    if (size_ == 0) return none;
    auto at = home(part);
    // Also ends in a full table: no entry lies a whole round away from its home.
    for (std::uint32_t walked = 0; goes_on(at, part, walked); ++walked) {
      if (slots_[at].part == part && match(slots_[at].ordinal)) return at;
      at = next(at);
    }
    return none;
  }

  // There must be a free slot.
  void put(slot in) noexcept {
    auto at = home(in.part);
    for (std::uint32_t walked = 0; goes_on(at, in.part, walked); ++walked) at = next(at);
    for (; in.part != empty; at = next(at)) std::swap(in, slots_[at]);  // later entries move by one
  }

  // Moves everything held to a table for `entries` entries, with 3/2 slots for each. False if there is no
  // memory; then nothing has changed.
  [[nodiscard]] bool rebuild(std::uint32_t entries) noexcept {
    auto const wanted = entries == 0 ? 0 : std::uint64_t{entries} + (entries - 1) / 2;
    if (wanted > largest) return false;
    slot* fresh = nullptr;
    if (wanted != 0) {
      fresh = static_cast<slot*>(Traits::allocate(static_cast<std::size_t>(wanted) * sizeof(slot)));
      if (fresh == nullptr) return false;
      std::uninitialized_default_construct_n(fresh, static_cast<std::size_t>(wanted));
    }
    // Entries before this one wrapped around the end of the table: they are last in the order.
    std::uint32_t first = 0;
    while (size_ != 0 && home(slots_[first].part) > first) ++first;
    auto* const old = std::exchange(slots_, fresh);
    auto const old_capacity = std::exchange(capacity_, static_cast<std::uint32_t>(wanted));
    std::uint32_t end = 0;  // of the filled part of the new table
    auto const move = [&](std::uint32_t from, std::uint32_t to) {
      for (auto const* i = old + from; i != old + to; ++i) {
        if (i->part == empty) continue;
        auto const at = larger(home(i->part), end);
        if (at < capacity_) {
          slots_[at] = *i;
          end = at + 1;
        } else {
          put(*i);  // wraps around
        }
      }
    };
    move(first, old_capacity);
    move(0, first);
    if (old != nullptr) Traits::deallocate(old, old_capacity * sizeof(slot));
    return true;
  }

  slot* slots_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
