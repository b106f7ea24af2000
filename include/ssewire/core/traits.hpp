// SPDX-License-Identifier: MIT
// traits.hpp - what the concurrent parts take from outside: locks, memory, the epoch. Tests replace it to
// control every step; a single-threaded program replaces it to pay for no lock.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/entropy.hpp>
#include <ssewire/core/process.hpp>

#include <stdlib.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <version>

#if defined(__cpp_lib_shared_mutex)  // the standard library has threads
#define SSEWIRE_DETAIL_THREADS 1
#if (defined(__unix__) || defined(__APPLE__)) && __has_include(<pthread.h>)
#include <pthread.h>
#define SSEWIRE_DETAIL_POSIX_THREADS 1
#else
#include <thread>
#endif
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

struct no_mutex;  // never defined

#if defined(SSEWIRE_DETAIL_THREADS)
// A condition variable that cannot wait for a time, made of a number that changes: <condition_variable> costs
// a quarter of what <string> does to compile, and a broker waits rarely. Both calls are made under the lock,
// so no change is missed.
class change_waiter {
 public:
  template <class Lock> void wait(Lock& held) noexcept {
    auto const seen = changes_.load(std::memory_order_relaxed);
    held.unlock();
    changes_.wait(seen, std::memory_order_relaxed);
    held.lock();
  }
  void notify_all() noexcept {
    changes_.fetch_add(1, std::memory_order_relaxed);
    changes_.notify_all();
  }

 private:
  std::atomic<int> changes_{0};  // an int: what Linux waits for without a table of its own
};
#endif

template <class Traits> inline constexpr bool can_lock = requires(typename Traits::mutex& m) {
  m.lock();
  m.unlock();
};

}  // namespace detail

/// The traits of a program that names none. Where the standard library has no threads (mingw with win32
/// threads), `mutex` and `condition_variable` are types that cannot be used: a broker there needs
/// single_threaded_traits, or traits of your own that derive from these.
///
/// | member               | meaning                                                                              |
/// |----------------------|--------------------------------------------------------------------------------------|
/// | `mutex`              | Lockable, for std::unique_lock                                                        |
/// | `condition_variable` | wait(lock), notify_all(), both called under the lock. serve_blocking also needs wait_until(lock, steady_time); without it, it uses the standard library's |
/// | `this_thread()`      | a value that is the same on one thread and differs between threads that live at the same time |
/// | `epoch()`            | a number that no earlier run of any process gave; 60 bits of it are used. A broker calls it twice: one of the numbers is a secret that nobody may guess, for hashing strangers' texts. It calls it again when `process()` has changed |
/// | `process()`          | a number that differs in a process that fork() has cloned: a broker or buffer that sees it change begins anew. Called at each publish and subscribe, so it makes no system call |
/// | `allocate(n)`        | memory aligned for any object, or null: the log's segments, its only large allocations |
struct default_traits {
#if defined(SSEWIRE_DETAIL_THREADS)
  /// The lock of a broker.
  using mutex = std::mutex;
  /// Has no wait_until().
  using condition_variable = detail::change_waiter;

  /// The thread that calls.
#if defined(SSEWIRE_DETAIL_POSIX_THREADS)
  static auto this_thread() noexcept { return (pthread_self)(); }
#else
  static auto this_thread() noexcept { return std::this_thread::get_id(); }
#endif
#else
  using mutex = detail::no_mutex;
  using condition_variable = mutex;

  static void const* this_thread() noexcept { return nullptr; }
#endif

  /// 64 random bits, so that a clock that is set back gives no epoch twice.
  ///
  /// @throws  std::bad_alloc, or what std::random_device throws, where the system has no random bits.
  static std::uint64_t epoch() { return detail::random_bits(); }

  /// How often fork() has cloned this process, or one that it descends from. 0 where there is no fork().
  static std::uint32_t process() noexcept {
    return detail::process_generation.load(std::memory_order_relaxed);
  }

  /// As std::malloc().
  static void* allocate(std::size_t bytes) noexcept { return (malloc)(bytes); }
  /// As std::free(). The second argument is the size that allocate() was called with.
  static void deallocate(void* memory, std::size_t) noexcept { (free)(memory); }
};

/// The traits of a program with one thread, or with a broker of its own in each thread: no lock is taken.
struct single_threaded_traits : default_traits {
  /// Locks nothing.
  struct mutex {
    /// Does nothing.
    void lock() noexcept {}
    /// Does nothing.
    void unlock() noexcept {}
    /// Always succeeds.
    bool try_lock() noexcept { return true; }
  };
  /// Does not wait, because no other thread could end the wait. So serve_blocking is not for these traits.
  struct condition_variable {
    /// Does nothing.
    void notify_all() noexcept {}
    /// Returns at once.
    void wait(std::unique_lock<mutex>&) noexcept {}
  };
  /// Null: there is one thread.
  static void const* this_thread() noexcept { return nullptr; }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#undef SSEWIRE_DETAIL_THREADS
#undef SSEWIRE_DETAIL_POSIX_THREADS
#include <ssewire/core/end.hpp>
