// SPDX-License-Identifier: MIT
// options.hpp - how a stream is written.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/framing.hpp>

#include <cstddef>
#include <string>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

struct stream_options {
  framing body = framing::raw;
  /// Sent first, outside the framing: the response's head, on a bare socket.
  std::string preamble = {};
  /// Of one gathered write; one larger event still goes in one.
  std::size_t max_write_bytes = 64 * 1024;
  /// Frames of send() that wait for a slow writer; beyond it send() refuses.
  std::size_t max_outbox_bytes = 64 * 1024;
  /// After `again` the writer must be offered exactly the same bytes, in one piece of at most 16 KiB: TLS
  /// libraries.
  bool same_bytes_again = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
