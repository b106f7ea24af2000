// SPDX-License-Identifier: MIT
// result.hpp - a value, or why there is none: what every call returns that can fail.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>

#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// A value, or why there is none. True: there is no error. Read `value`, `*` and `->` only then, unless the
/// call says that it gives a value beside an error, as one does that was stopped halfway.
template <class T> struct result {
  T value = {};
  errc error = errc::ok;

  constexpr explicit operator bool() const noexcept { return error == errc::ok; }

  constexpr T& operator*() & noexcept { return value; }
  constexpr T const& operator*() const& noexcept { return value; }
  constexpr T&& operator*() && noexcept { return std::move(value); }
  constexpr T* operator->() noexcept { return &value; }
  constexpr T const* operator->() const noexcept { return &value; }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
