// SPDX-License-Identifier: MIT
// process.hpp - finds out that fork() has cloned the process, without asking the system each time.
// Source: POSIX.1-2017, pthread_atfork.
#pragma once

#include <ssewire/core/try_call.hpp>

#include <atomic>
#include <cstdint>

#if (defined(__unix__) || defined(__APPLE__)) && __has_include(<pthread.h>)
#include <pthread.h>
#define SSEWIRE_DETAIL_FORKS 1
#else
#define SSEWIRE_DETAIL_FORKS 0
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// How often this process, or one that it descends from, has been cloned. Each shared library that hides its
// names has its own count.
inline std::atomic<std::uint32_t> process_generation{0};

// From here on fork() counts in the child. Called before any number is drawn that belongs to one process.
// Throws std::bad_alloc.
inline void watch_for_clones() {
#if SSEWIRE_DETAIL_FORKS
  [[maybe_unused]] static bool const watched = [] {
    auto const count = [] { process_generation.fetch_add(1, std::memory_order_relaxed); };
    if (pthread_atfork(nullptr, nullptr, count) != 0) throw_no_memory();
    return true;
  }();
#endif
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#undef SSEWIRE_DETAIL_FORKS
#include <ssewire/core/end.hpp>
