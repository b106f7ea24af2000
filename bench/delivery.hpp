// SPDX-License-Identifier: MIT
// delivery.hpp - the rows of delivery.cpp, a source of its own: see rows.hpp.
#pragma once

#include <measure.hpp>

#include <cstddef>

namespace bench {

/// Publishing `burst` events to so many streams of a reactor, whose writers take everything. `bytes`: deliveries.
group delivery_group(std::size_t streams, std::size_t burst);

}  // namespace bench
