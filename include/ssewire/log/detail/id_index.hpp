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

// From the keyed hash of an ID to the ordinal of its entry. What it finds is a guess by 32 bits of the hash;
// the caller compares the text, which lies in the log. The ordinals held at one time span less than 2^32,
// for half of one is kept.
//
// A table of 8 bytes a slot. An entry lies at its home, where its hash falls in the table, or behind it, and
// entries lie in the order of their hashes. So a search ends at the first of a higher hash, a table can be
// 7/8 full, and a new one is filled from front to back. Erasing moves those behind back: nothing is left of
// an entry that is gone.
//
// Memory: at most 18 bytes an ID held; 12 while none is erased. More only where there is no memory to build
// a smaller table. While a table is rebuilt, both exist. Complexity: expected O(1), whoever chooses the IDs;
// inserting and erasing amortised. A rebuild comes after a quarter of what it left was inserted or erased,
// at the least. Threads: one at a time; the broker's lock sees to it.
template <class Traits> class id_index {
 public:
  id_index() noexcept = default;
  id_index(id_index const&) = delete;
  id_index& operator=(id_index const&) = delete;
  ~id_index() { clear(); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t allocated_bytes() const noexcept { return capacity_ * sizeof(slot); }

  // False if there is no memory; then nothing has changed. Equal hashes are different entries.
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
    // Beyond 18 bytes an entry. If there is no memory for a smaller table, the large one goes on.
    if (std::uint64_t{capacity_} * 4 > std::uint64_t{size_} * 9) static_cast<void>(rebuild(size_));
  }

  void clear() noexcept {
    if (slots_ != nullptr) Traits::deallocate(slots_, allocated_bytes());
    slots_ = nullptr;
    size_ = capacity_ = 0;
  }

  // The ordinal of an entry of this hash for which `same(ordinal)` is true: the one at or behind
  // `first_ordinal`, the oldest that may be held.
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
    std::uint32_t part = empty;  // of the hash
    std::uint32_t ordinal = 0;   // its low half
  };

  static constexpr std::uint32_t empty = 0;
  static constexpr std::uint32_t none = (std::numeric_limits<std::uint32_t>::max)();
  // Slots. Small enough for every sum of two, and for the bytes to fit into a size.
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

  // Whether a search for this hash, so far from its home by now, goes on behind the entry in this slot.
  [[nodiscard]] bool goes_on(std::uint32_t at, std::uint32_t part, std::uint32_t walked) const noexcept {
    if (slots_[at].part == empty) return false;
    auto const its = distance(at);
    return its > walked || (its == walked && slots_[at].part <= part);
  }

  template <class Match> [[nodiscard]] std::uint32_t search(std::uint32_t part, Match match) const noexcept {
    if (size_ == 0) return none;
    auto at = home(part);
    // A full table ends it too: no entry is a whole round away from its home.
    for (std::uint32_t walked = 0; goes_on(at, part, walked); ++walked) {
      if (slots_[at].part == part && match(slots_[at].ordinal)) return at;
      at = next(at);
    }
    return none;
  }

  // There is a free slot.
  void put(slot in) noexcept {
    auto at = home(in.part);
    for (std::uint32_t walked = 0; goes_on(at, in.part, walked); ++walked) at = next(at);
    for (; in.part != empty; at = next(at)) std::swap(in, slots_[at]);  // those behind move by one
  }

  // A table of 3/2 slots an entry for so many, with what is held. False if there is no memory; nothing has
  // changed.
  [[nodiscard]] bool rebuild(std::uint32_t entries) noexcept {
    auto const wanted = entries == 0 ? 0 : std::uint64_t{entries} + (entries - 1) / 2;
    if (wanted > largest) return false;
    slot* fresh = nullptr;
    if (wanted != 0) {
      fresh = static_cast<slot*>(Traits::allocate(static_cast<std::size_t>(wanted) * sizeof(slot)));
      if (fresh == nullptr) return false;
      std::uninitialized_default_construct_n(fresh, static_cast<std::size_t>(wanted));
    }
    std::uint32_t first = 0;  // before it lie entries that went round: they are the last in the order
    while (size_ != 0 && home(slots_[first].part) > first) ++first;
    auto* const old = std::exchange(slots_, fresh);
    auto const old_capacity = std::exchange(capacity_, static_cast<std::uint32_t>(wanted));
    std::uint32_t end = 0;  // of what is filled of the new one
    auto const move = [&](std::uint32_t from, std::uint32_t to) {
      for (auto const* i = old + from; i != old + to; ++i) {
        if (i->part == empty) continue;
        auto const at = larger(home(i->part), end);
        if (at < capacity_) {
          slots_[at] = *i;
          end = at + 1;
        } else {
          put(*i);  // goes round
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
