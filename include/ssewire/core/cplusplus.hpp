// SPDX-License-Identifier: MIT
// cplusplus.hpp - the first include of every public header: with an older C++ there is one message, not a
// page of errors.
#pragma once

#if defined(_MSVC_LANG) ? _MSVC_LANG < 202002L : __cplusplus < 202002L
#error "ssewire needs C++20: compile with -std=c++20 or newer"
// g++ and clang read on after #error, but not after this.
#include <no_more_of_it_is_read>
#endif
