// SPDX-License-Identifier: MIT
// slot_map.hpp - a container of objects that never move. A number finds an object in O(1), and no name is
// ever used twice. A reactor keeps its streams in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Objects lie in blocks, because an allocation for each would cost more than some of them.
// Threads: one at a time.
template <class T> class slot_map {
 public:
  struct name {
    std::uint32_t index;
    std::uint32_t generation;
  };

  slot_map() noexcept = default;
  slot_map(slot_map const&) = delete;
  slot_map& operator=(slot_map const&) = delete;
  ~slot_map() {
    for_each([this](T& each) { erase(each); });
  }

  // Makes an object of `parts`, and passes it its name by `T::name_it(name)`. Throws std::bad_alloc and what
  // T's constructor throws.
  template <class... Parts> T& emplace(Parts&&... parts) {
    if (free_ == none) add_block();
    auto const index = free_;
    auto& c = at(index);
    auto const next = c.next_free;
    ::new (static_cast<void*>(&c.value)) T(std::forward<Parts>(parts)...);
    free_ = next;
    ++c.generation;  // odd: the cell holds an object
    c.value.name_it({index, c.generation});
    return c.value;
  }

  void erase(T& one) noexcept {
    auto const index = one.index();
    auto& c = at(index);
    ++c.generation;  // before the destructor, which may call find()
    c.value.~T();
    c.next_free = std::exchange(free_, index);
  }

  // The object of this name, or null if it is gone.
  [[nodiscard]] T* find(name of) noexcept {
    if (of.index / in_block >= blocks_.size()) return nullptr;
    auto& c = at(of.index);
    return c.generation == of.generation && c.generation % 2 != 0 ? &c.value : nullptr;
  }

  // An object that is added or erased during the visits may be visited or not.
  template <class Visit> void for_each(Visit visit) {
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      for (auto& c : *blocks_[b]) {
        if (c.generation % 2 != 0) visit(c.value);
      }
    }
  }

 private:
  static constexpr std::size_t in_block = 64;
  static constexpr std::uint32_t none = (std::numeric_limits<std::uint32_t>::max)();

  struct cell {
    cell() noexcept : next_free(none) {}
    cell(cell const&) = delete;
    cell& operator=(cell const&) = delete;
    ~cell() {}  // erase() has destroyed the value

    std::uint32_t generation = 0;
    union {
      T value;
      std::uint32_t next_free;
    };
  };
  using block = std::array<cell, in_block>;

  [[nodiscard]] cell& at(std::uint32_t index) noexcept {
    return (*blocks_[index / in_block])[index % in_block];
  }

  void add_block() {
    blocks_.push_back(std::make_unique<block>());
    for (auto i = in_block; i-- != 0;) {
      auto const index = static_cast<std::uint32_t>((blocks_.size() - 1) * in_block + i);
      at(index).next_free = std::exchange(free_, index);
    }
  }

  std::vector<std::unique_ptr<block>> blocks_;
  std::uint32_t free_ = none;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
