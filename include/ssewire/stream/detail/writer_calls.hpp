// SPDX-License-Identifier: MIT
// writer_calls.hpp - the last call that a stream makes to its writer, and whether `again` means that the
// writer is stuck.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/stream/state.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// Reports the end to the writer. An exception from on_closed() is dropped: nobody is left to receive it.
template <class Writer> void report_end(Writer& w, close_reason why, ending how) noexcept {
  try_call([&] { w.on_closed(why, how); });
}

// A writer into the memory of whoever reads: it answers `again` although it is not stuck.
template <class Writer> inline constexpr bool is_read_from = false;

// Whether a stream that its source has ended for this reason does not wait for its writer.
template <class Writer> [[nodiscard]] constexpr bool is_forced_by(close_reason why) noexcept {
  return why == close_reason::drain_forced ||
         (!is_read_from<Writer> && why != close_reason::drained && why != close_reason::none);
}

// Whether such a stream ends inside a write. A pending write that began after the end has the last words of
// the source, and may complete, but for a drain that has passed its deadline.
[[nodiscard]] constexpr bool is_cut_off(stream_state state, close_reason why) noexcept {
  return state == stream_state::blocked ||
         (state == stream_state::pending && why == close_reason::drain_forced);
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
