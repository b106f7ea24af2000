// SPDX-License-Identifier: MIT
// begin.hpp - included by every header after its other includes; core/end.hpp undoes it. It has no include
// guard, on purpose.
//
// A function compiled with -fno-exceptions has no clean-up for an exception of a callback. If it had the same
// name as the function that has one, the linker would keep either of them. So the exception mode is part of
// every name, and so is the choice of the portable code, which the tests make.

#if defined(__cpp_exceptions) && !defined(SSEWIRE_DETAIL_PORTABLE)
#define SSEWIRE_DETAIL_ABI v0
#elif defined(__cpp_exceptions)
#define SSEWIRE_DETAIL_ABI v0_portable
#elif !defined(SSEWIRE_DETAIL_PORTABLE)
#define SSEWIRE_DETAIL_ABI v0_noexcept
#else
#define SSEWIRE_DETAIL_ABI v0_portable_noexcept
#endif
