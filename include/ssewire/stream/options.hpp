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

/// How a stream is written.
struct stream_options {
  /// Who frames the body.
  framing body = framing::raw;
  /// Sent first, outside the framing: the head of the response, on a bare socket.
  std::string preamble = {};
  /// The bytes of one gathered write. A larger event still goes in one write.
  std::size_t max_write_bytes = 64 * 1024;
  /// The bytes of the frames that wait for a slow writer after send(). send() refuses an event beyond this
  /// limit.
  std::size_t max_outbox_bytes = 64 * 1024;
  /// After `again` the writer must be offered exactly the same bytes, in one piece of at most 16 KiB, as TLS
  /// libraries require.
  bool same_bytes_again = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
