// SPDX-License-Identifier: MIT
// counted_memory.hpp - how much of the heap a piece of code holds at its peak. It replaces operator new, so
// it is for one source file of a program with one thread.
#pragma once

#include <fuzz/laws.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace fuzz {

/// Counts from its construction until peak() is asked.
class counted_memory {
 public:
  counted_memory() { now_counting = this; }
  counted_memory(counted_memory const&) = delete;
  counted_memory& operator=(counted_memory const&) = delete;
  ~counted_memory() { now_counting = nullptr; }

  [[nodiscard]] std::size_t peak() const { return peak_; }

  void made(void const* memory, std::size_t bytes) noexcept {
    auto* const free =
        std::find_if(blocks_.begin(), blocks_.end(), [](auto const& b) { return b.memory == nullptr; });
    if (free == blocks_.end()) {
      now_counting = nullptr;
      law(false, "a parser holds a handful of blocks");
    }
    *free = {memory, bytes};
    bytes_ += bytes;
    peak_ = (std::max)(peak_, bytes_);
  }
  void freed(void const* memory) noexcept {
    auto* const known =
        std::find_if(blocks_.begin(), blocks_.end(), [&](auto const& b) { return b.memory == memory; });
    if (memory == nullptr || known == blocks_.end()) return;
    bytes_ -= known->bytes;
    *known = {};
  }

  static inline counted_memory* now_counting = nullptr;

 private:
  struct block {
    void const* memory = nullptr;
    std::size_t bytes = 0;
  };
  std::array<block, 32> blocks_ = {};
  std::size_t bytes_ = 0;
  std::size_t peak_ = 0;
};

}  // namespace fuzz

// Not inlined: g++ would see free() called on what came from `operator new`, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept {
  auto* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  auto* const counting = fuzz::counted_memory::now_counting;
  if (counting != nullptr && memory != nullptr) counting->made(memory, bytes);
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (auto* const memory = operator new(bytes, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (fuzz::counted_memory::now_counting != nullptr) fuzz::counted_memory::now_counting->freed(memory);
  std::free(memory);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void* operator new[](std::size_t bytes, std::nothrow_t const& tag) noexcept {
  return operator new(bytes, tag);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept { operator delete(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }
