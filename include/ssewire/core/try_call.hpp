// SPDX-License-Identifier: MIT
// try_call.hpp - the only header that asks whether there are exceptions.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <exception>
#include <new>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Whether `action` returned and did not throw. Under -fno-exceptions it always returns, or the program ends.
template <class Action> bool try_call(Action&& action) {
#if defined(__cpp_exceptions)
  try {
    std::forward<Action>(action)();
    return true;
  } catch (...) {
    return false;
  }
#else
  std::forward<Action>(action)();
  return true;
#endif
}

// What operator new does when there is no memory.
[[noreturn]] inline void throw_no_memory() {
#if defined(__cpp_exceptions)
  throw std::bad_alloc();
#else
  std::terminate();
#endif
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
