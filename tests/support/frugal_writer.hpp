// SPDX-License-Identifier: MIT
// frugal_writer.hpp - a writer that allocates nothing while it writes, for tests in which allocations fail.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/writer.hpp>

#include <cstddef>
#include <string>

namespace support {

struct frugal_writer {
  struct far_end {
    std::string taken = {};  // the test reserves its memory
    std::size_t offers = 0;
    std::size_t closed = 0;
    ssewire::close_reason why = ssewire::close_reason::none;
    // Takes 20 bytes of each piece, and every second time takes no more for now.
    bool sips = false;
    // Takes everything, and sends it later.
    bool completes = false;
    bool blocked = false;
    bool pending = false;
  };
  far_end* to;

  ssewire::write_result write(ssewire::buffers b) {
    std::size_t n = 0;
    ++to->offers;
    for (auto const piece : b) {
      auto const part = to->sips ? piece.substr(0, 20) : piece;
      to->taken += part;
      n += part.size();
      if (part.size() != piece.size()) break;
    }
    to->blocked = to->sips && to->offers % 2 == 0;
    to->pending = to->completes;
    if (to->completes) return {ssewire::write_status::pending, 0};
    return {to->blocked ? ssewire::write_status::again : ssewire::write_status::ok, n};
  }
  void on_closed(ssewire::close_reason reason, ssewire::ending) {
    ++to->closed;
    to->why = reason;
  }
};

}  // namespace support
