// SPDX-License-Identifier: MIT
// callback.hpp - what the library calls: a function and its context. Copying a callback copies two pointers.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

template <class Signature> struct callback;

/// A function and the context that it is called with, or nothing. The function must not throw.
template <class Result, class... Arguments> struct callback<Result(Arguments...)> {
  /// The function; null: nothing is called.
  Result (*call)(void*, Arguments...) noexcept = nullptr;
  /// The first argument of `call`. Borrowed.
  void* context = nullptr;

  /// Makes a callback that calls `action`.
  ///
  /// @param action  Borrowed: it must outlive every call.
  template <class Action> [[nodiscard]] static callback of(Action& action) noexcept {
    static_assert(std::is_invocable_r_v<Result, Action&, Arguments...>,
                  "the callable does not take what it is called with, or answers another type");
    return {
        [](void* at, Arguments... with) noexcept -> Result { return (*static_cast<Action*>(at))(with...); },
        // Its address, whatever its operator& does; <memory> costs more than all else here.
        const_cast<char*>(&reinterpret_cast<char const volatile&>(action))};
  }

  /// Whether there is a function to call.
  [[nodiscard]] explicit operator bool() const noexcept { return call != nullptr; }
  /// Calls the function.
  ///
  /// @pre  There is one.
  Result operator()(Arguments... with) const noexcept { return call(context, with...); }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
