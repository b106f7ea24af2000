// SPDX-License-Identifier: MIT
// borrowed_writer.hpp - a stream's writer that is another's: whoever owns it outlives the stream.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/stream/stream.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Writer> struct borrowed_writer {
  static constexpr bool same_bytes_again = needs_same_bytes<Writer>;

  Writer* to;

  write_result write(buffers b) { return to->write(b); }
  void finish() requires requires(Writer& w) { w.finish(); }
  { to->finish(); }
  void abort() requires requires(Writer& w) { w.abort(); }
  { to->abort(); }
  void on_closed(close_reason why) requires requires(Writer& w) { w.on_closed(close_reason::none); }
  { to->on_closed(why); }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
