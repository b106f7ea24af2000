// SPDX-License-Identifier: MIT
// version.hpp - the version of the library; it stands here and nowhere else.
#pragma once

#include <ssewire/core/cplusplus.hpp>

// clang-format off
#define SSEWIRE_VERSION_MAJOR 0
#define SSEWIRE_VERSION_MINOR 1
#define SSEWIRE_VERSION_PATCH 0
// clang-format on
