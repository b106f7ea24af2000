// SPDX-License-Identifier: MIT
// try_call.hpp - the one place that knows whether there are exceptions.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <exception>
#include <new>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Whether `action` returned rather than threw. Under -fno-exceptions it always does, or the program has
// ended.
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

// As operator new does where there is no memory.
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
