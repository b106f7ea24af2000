// SPDX-License-Identifier: MIT
// scripted_writer.hpp - the kit's scripted writer, as users get it. When a far end is destroyed it checks
// that the driver has kept to the rules.
#pragma once

#include <ssewire/testing/scripted_writer.hpp>

#include <support/chunked_body.hpp>

#include <doctest/doctest.h>

namespace support {

using ssewire::testing::answer;
using ssewire::testing::scripted_error;
using ssewire::testing::scripted_tls_writer;
using ssewire::testing::scripted_writer;

struct peer : ssewire::testing::peer {
  ~peer() { CHECK(violations == ""); }
};

}  // namespace support
