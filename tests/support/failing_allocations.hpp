// SPDX-License-Identifier: MIT
// failing_allocations.hpp - makes one chosen allocation of the program fail. It replaces operator new, so it
// is for tests that consist of one source file.
#pragma once

#include <support/broker_bytes.hpp>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

/// How many allocations succeed before one fails; negative: none fails. It falls below zero by itself when
/// one has failed, so that cleaning up has memory.
inline long allocations_left = -1;
inline unsigned allocations_failed = 0;

inline bool allocation_fails() noexcept {
  if (allocations_left < 0 || allocations_left-- > 0) return false;
  ++allocations_failed;
  return true;
}

/// Segments of a log fail like all other memory.
struct failing_traits : epoch_traits {
  static void* allocate(std::size_t bytes) noexcept {
    return allocation_fails() ? nullptr : std::malloc(bytes);
  }
  static void deallocate(void* memory, std::size_t) noexcept { std::free(memory); }
};

}  // namespace support

// Not inlined: g++ would see free() called on memory from `operator new`, and would warn.
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
