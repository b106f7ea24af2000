// SPDX-License-Identifier: MIT
// entropy.hpp - random bits from the system. <random> is large, and every program that includes a broker
// would pay for it; so it is included only where the system has no call. Source: getrandom(2); on Apple's
// systems getentropy(2).
#pragma once

#include <ssewire/core/try_call.hpp>

#include <cstdint>
#include <cstdio>

#if (defined(__linux__) || defined(__APPLE__)) && __has_include(<sys/random.h>)
#include <sys/random.h>
#define SSEWIRE_DETAIL_SYSTEM_ENTROPY 1
#else
#include <chrono>
#include <random>
#define SSEWIRE_DETAIL_SYSTEM_ENTROPY 0
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// 64 bits that nobody can guess. Where the system gives none it throws std::bad_alloc, or what
// std::random_device throws.
inline std::uint64_t random_bits() {
#if SSEWIRE_DETAIL_SYSTEM_ENTROPY
  std::uint64_t bits = 0;
  for (int tries = 0; tries < 16; ++tries) {  // a signal may come before the system has gathered enough
#if defined(__APPLE__)
    bool const good = (getentropy)(&bits, sizeof bits) == 0;
#else
    bool const good = (getrandom)(&bits, sizeof bits, 0) == static_cast<long>(sizeof bits);
#endif
    if (good) return bits;
  }
  // A sandbox may forbid the call, and an old kernel lacks it.
  if (auto* const device = (std::fopen)("/dev/urandom", "rb")) {
    bool const read = (std::fread)(&bits, sizeof bits, 1, device) == 1;
    (std::fclose)(device);
    if (read) return bits;
  }
  throw_no_memory();
#else
  // The clock is mixed in for platforms whose random device is the same in every run.
  std::random_device device;
  auto const random = (std::uint64_t{device()} << 32) ^ device();
  auto const ticks = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  return random ^ (ticks * 0x9E3779B97F4A7C15u);
#endif
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#undef SSEWIRE_DETAIL_SYSTEM_ENTROPY
#include <ssewire/core/end.hpp>
