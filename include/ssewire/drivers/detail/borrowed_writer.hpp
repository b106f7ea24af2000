// SPDX-License-Identifier: MIT
// borrowed_writer.hpp - lends a stream a writer that somebody else owns. The owner outlives the stream.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/writer.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Writer> struct borrowed_writer {
  Writer* to;

  write_result write(buffers b) { return to->write(b); }
  void on_closed(close_reason why, ending how) { to->on_closed(why, how); }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
