// SPDX-License-Identifier: MIT
// failing_allocations.hpp - makes one chosen allocation of the program fail. Replaces operator new: for
// tests that consist of one source file.
#pragma once

#include <support/broker_bytes.hpp>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

/// How many allocations succeed until one fails; negative: none does. It falls below zero by itself when one
/// has failed: what cleans up afterwards has memory.
inline long allocations_left = -1;
inline unsigned allocations_failed = 0;

inline bool allocation_fails() noexcept {
  if (allocations_left < 0 || allocations_left-- > 0) return false;
  ++allocations_failed;
  return true;
}

/// The log's segments fail like all else.
struct failing_traits : epoch_traits {
  static void* allocate(std::size_t bytes) noexcept {
    return allocation_fails() ? nullptr : std::malloc(bytes);
  }
  static void deallocate(void* memory, std::size_t) noexcept { std::free(memory); }
};

}  // namespace support

// Not inlined: g++ would see free() called on what came from `operator new`, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (support::allocation_fails()) throw std::bad_alloc();
  if (auto* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
