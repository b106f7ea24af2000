// SPDX-License-Identifier: MIT
// extremes.hpp - the smaller and the larger of two: <algorithm> costs a program more than the file that needs
// them.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class T> constexpr T smaller(T a, T b) noexcept { return b < a ? b : a; }
template <class T> constexpr T larger(T a, T b) noexcept { return a < b ? b : a; }

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
