// SPDX-License-Identifier: MIT
// result.hpp - a value, or the error why there is none: what calls return that can fail and have a value.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>

#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// A value, or the error why there is none. It is true when there is no error. Read `value`, `*` and `->`
/// only then, unless the call says that it returns a value with an error, as a call does that stopped
/// halfway.
template <class T> struct result {
  /// The value.
  T value = {};
  /// errc::ok, or what went wrong.
  errc error = errc::ok;

  /// Whether there is no error.
  constexpr explicit operator bool() const noexcept { return error == errc::ok; }

  /// The value.
  constexpr T& operator*() & noexcept { return value; }
  /// The value.
  constexpr T const& operator*() const& noexcept { return value; }
  /// The value, to move from.
  constexpr T&& operator*() && noexcept { return std::move(value); }
  /// The members of the value.
  constexpr T* operator->() noexcept { return &value; }
  /// The members of the value.
  constexpr T const* operator->() const noexcept { return &value; }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
