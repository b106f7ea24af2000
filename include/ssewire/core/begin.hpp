// SPDX-License-Identifier: MIT
// begin.hpp - included by every header after its other includes; detail/end.hpp undoes it. No include guard,
// on purpose.
//
// A function compiled with -fno-exceptions has no clean-up for what a callback throws. If it shared its name
// with the copy that has, the linker would keep either one: so the exception mode is part of every name. So
// is the choice of the portable code, which the tests make.

#if defined(__cpp_exceptions) && !defined(SSEWIRE_DETAIL_PORTABLE)
#define SSEWIRE_DETAIL_ABI v0
#elif defined(__cpp_exceptions)
#define SSEWIRE_DETAIL_ABI v0_portable
#elif !defined(SSEWIRE_DETAIL_PORTABLE)
#define SSEWIRE_DETAIL_ABI v0_noexcept
#else
#define SSEWIRE_DETAIL_ABI v0_portable_noexcept
#endif
