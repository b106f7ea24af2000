// SPDX-License-Identifier: MIT
// indexed_heap.hpp - items in the order of their keys, the smallest first. An item may leave at any time.
#pragma once

#include <cstddef>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// The index of an item that is in no heap.
inline constexpr std::size_t not_in_heap = static_cast<std::size_t>(-1);

// A binary heap: the parent of element i is (i - 1) / 2. Each item keeps its index in the member `Index`.
// Threads: one at a time.
template <class Key, class Item, std::size_t Item::*Index> class indexed_heap {
 public:
  struct element {
    Key key;
    Item* of;
  };

  [[nodiscard]] bool empty() const noexcept { return elements_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return elements_.size(); }
  [[nodiscard]] element const& first() const noexcept { return elements_.front(); }

  // Room for so many items: then add() does not allocate. Throws std::bad_alloc.
  void reserve(std::size_t items) { elements_.reserve(items); }
  // Room for one more item, by doubling. Throws std::bad_alloc.
  void reserve_one_more() {
    if (elements_.capacity() == elements_.size()) elements_.reserve(elements_.size() * 2 + 8);
  }

  // For an item that is in no heap; there is room for it.
  void add(Key const& key, Item& item) noexcept {
    item.*Index = elements_.size();
    elements_.push_back({key, &item});
    rise(item.*Index);
  }

  // The first item's key has grown.
  void raise_first(Key const& key) noexcept {
    elements_.front().key = key;
    sink(0);
  }

  void remove(Item& item) noexcept {
    auto const at = item.*Index;
    item.*Index = not_in_heap;
    auto const last = elements_.back();
    elements_.pop_back();
    if (at == elements_.size()) return;
    put(at, last);
    rise(at);
    sink(last.of->*Index);
  }

 private:
  void put(std::size_t at, element const& what) noexcept {
    elements_[at] = what;
    what.of->*Index = at;
  }

  void rise(std::size_t at) noexcept {
    auto const what = elements_[at];
    for (; at != 0 && what.key < elements_[(at - 1) / 2].key; at = (at - 1) / 2)
      put(at, elements_[(at - 1) / 2]);
    put(at, what);
  }

  void sink(std::size_t at) noexcept {
    auto const what = elements_[at];
    for (auto child = 2 * at + 1; child < elements_.size(); child = 2 * at + 1) {
      if (child + 1 < elements_.size() && elements_[child + 1].key < elements_[child].key) ++child;
      if (!(elements_[child].key < what.key)) break;
      put(at, elements_[child]);
      at = child;
    }
    put(at, what);
  }

  std::vector<element> elements_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
