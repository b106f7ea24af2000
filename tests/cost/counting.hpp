// SPDX-License-Identifier: MIT
// counting.hpp - counts memory, and runs rows where callgrind can count their instructions. Replaces
// operator new: for programs that consist of one source file and the rows.
#pragma once

#include <measure.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace bench {

/// What the program holds and has asked for.
struct memory_counts {
  std::size_t allocations = 0;  // so far
  std::size_t requested = 0;    // bytes held now, as they were asked for
  std::size_t taken = 0;        // the same with what the allocator adds, where that can be known
};
inline memory_counts memory;

// Each block begins with its size. That changes nothing about the rest of the block, except that glibc would
// give 24 bytes to one of less than 9.
inline constexpr std::size_t block_head = 16;
static_assert(alignof(std::max_align_t) <= block_head);

inline std::size_t taken_by(void* block, std::size_t bytes) noexcept {
#if defined(__GLIBC__)
  (void)bytes;
  return malloc_usable_size(block) - block_head + sizeof(std::size_t);  // and the chunk's own head
#else
  (void)block;
  return bytes;
#endif
}

inline void* counted_allocate(std::size_t bytes) noexcept {
  auto* const block = static_cast<char*>(std::malloc(block_head + bytes));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &bytes, sizeof bytes);
  ++memory.allocations;
  memory.requested += bytes;
  memory.taken += taken_by(block, bytes);
  return block + block_head;
}

inline void counted_free(void* memory_of) noexcept {
  if (memory_of == nullptr) return;
  auto* const block = static_cast<char*>(memory_of) - block_head;
  std::size_t bytes = 0;
  std::memcpy(&bytes, block, sizeof bytes);
  memory.requested -= bytes;
  memory.taken -= taken_by(block, bytes);
  std::free(block);
}

}  // namespace bench

// Not inlined: g++ would see free() called on what came from `operator new`, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (auto* const memory = bench::counted_allocate(bytes)) return memory;
  std::abort();
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { bench::counted_free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { bench::counted_free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { bench::counted_free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { bench::counted_free(memory); }

// callgrind knows it by this name.
extern "C" [[gnu::noinline]] void measured(bench::row const& r) { r.run(); }

namespace bench {

/// "g++ 12.2.0"
inline std::string compiler() {
#if defined(__clang__)
  return "clang++ " + std::to_string(__clang_major__) + "." + std::to_string(__clang_minor__) + "." +
         std::to_string(__clang_patchlevel__);
#else
  return "g++ " + std::to_string(__GNUC__) + "." + std::to_string(__GNUC_MINOR__) + "." +
         std::to_string(__GNUC_PATCHLEVEL__);
#endif
}

/// The library's: "SSE2" or "portable".
inline std::string path() {
#if defined(__x86_64__) && !defined(SSEWIRE_DETAIL_PORTABLE)
  return "SSE2";
#else
  return "portable";
#endif
}

inline void print_head() { std::printf("compiler %s\npath %s\n", compiler().c_str(), path().c_str()); }

/// Runs a row inside measured(), and prints a line: count TASK CORPUS CHUNK NAME BYTES
/// With `allocations` a second time, and the allocations of that behind the line.
inline void count_row(group const& g, row const& r, bool allocations) {
  auto const once = [&] {
    if (r.prepare) r.prepare();
    auto const before = memory.allocations;
    measured(r);
    return memory.allocations - before;
  };
  std::printf("count %s %c %zu %s %zu", g.task.c_str(), g.corpus, g.chunk, r.name.c_str(), r.bytes);
  (void)once();
  if (allocations) std::printf(" %zu", once());
  std::printf("\n");
}

}  // namespace bench
