// SPDX-License-Identifier: MIT
// callback.hpp - who is called: a function and its context, no more. Copying one copies two pointers.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

template <class Signature> struct callback;

/// A function that is called with `context` and the arguments, or nothing. It must not throw.
template <class Result, class... Arguments> struct callback<Result(Arguments...)> {
  Result (*call)(void*, Arguments...) noexcept = nullptr;
  void* context = nullptr;

  /// Calls `action`, a callable of the caller's that outlives its use.
  template <class Action> [[nodiscard]] static callback of(Action& action) noexcept {
    static_assert(std::is_invocable_r_v<Result, Action&, Arguments...>,
                  "the callable does not take what it is called with, or answers another type");
    return {
        [](void* at, Arguments... with) noexcept -> Result { return (*static_cast<Action*>(at))(with...); },
        // Its address, whatever its operator& does; <memory> costs more than all else here.
        const_cast<char*>(&reinterpret_cast<char const volatile&>(action))};
  }

  [[nodiscard]] explicit operator bool() const noexcept { return call != nullptr; }
  Result operator()(Arguments... with) const noexcept { return call(context, with...); }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
