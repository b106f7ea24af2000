// SPDX-License-Identifier: MIT
// writers.hpp - ready writers: into a string, an ostream, a callable.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Appends to a string of the caller's: for tests, for a server that sends from a string, for a body that is
/// kept.
/// Input       `max_bytes`: what the string may hold, what stood in it included. When it is full, write()
///             takes what there is room for and answers `again`: take some out, and tell the driver
///             writable(). No limit unless said: the string of a stream that nobody reads would grow for
///             ever. 0 takes nothing.
/// Returns     (write) `ok` or `again`, never `closed`: a string has no peer that could go.
/// Throws      (write) std::bad_alloc.
/// Threads     the driver's; the string is touched inside write() only.
class string_writer {
 public:
  explicit string_writer(std::string& to,
                         std::size_t max_bytes = (std::numeric_limits<std::size_t>::max)()) noexcept
      : to_(&to), max_bytes_(max_bytes) {}

  write_result write(buffers pieces) {
    std::size_t taken = 0;
    for (auto const piece : pieces) {
      auto const room = max_bytes_ - (std::min)(max_bytes_, to_->size());
      auto const part = piece.substr(0, room);
      *to_ += part;
      taken += part.size();
      if (part.size() < piece.size()) return {write_status::again, taken};
    }
    return {write_status::ok, taken};
  }
  void on_closed(close_reason, ending) noexcept {}

 private:
  std::string* to_;
  std::size_t max_bytes_;
};

/// Writes to a std::ostream, or to whatever has its write(), flush() and operator!, and flushes behind each
/// gathered write: for servers that hand one out, as POCO does, and for std::cout. It waits as long as the
/// ostream does, so it belongs to serve_blocking.
/// Input       `to`: borrowed; it outlives the writer. A template, so that this header does not pay for
///             <ostream>.
/// Returns     (write) `ok` with all bytes, or `closed` once the ostream has failed: how much of them it
///             took before, nobody can say.
/// Throws      (write) what the ostream throws, if it was told to.
template <class Ostream> class ostream_writer {
 public:
  explicit ostream_writer(Ostream& to) noexcept : to_(&to) {}

  write_result write(buffers pieces) {
    std::size_t taken = 0;
    for (auto const piece : pieces) {
      to_->write(piece.data(), static_cast<std::ptrdiff_t>(piece.size()));
      taken += piece.size();
    }
    to_->flush();
    if (!*to_) return {write_status::closed, 0};
    return {write_status::ok, taken};
  }
  void on_closed(close_reason, ending) noexcept {}

 private:
  Ostream* to_;
};

/// Hands the bytes to a callable `bool(std::string_view)`; false: the peer is gone. For servers whose send
/// takes one text and takes it whole, as cpp-httplib's does. It waits as long as the callable does.
/// Input       `to`: kept. It answers exactly bool, for an int of -1 would be true. Where a server's false
///             means "taken, but slow down", as in uWebSockets, it is not the callable: write the writer,
///             and answer `again`.
/// Order       small neighbours among the pieces are joined, up to 4 KiB on the stack, and a larger piece
///             goes as it lies. A call a piece would make three packets of one chunk: its head, an event,
///             its tail. All pieces in one call would keep or allocate 64 KiB for each stream.
/// Returns     (write) `ok` with all bytes, or `closed`.
/// Throws      (write) what the callable throws.
template <class Callable> class callback_writer {
 public:
  explicit callback_writer(Callable to) noexcept(std::is_nothrow_move_constructible_v<Callable>)
      : to_(std::move(to)) {
    static_assert(std::is_invocable_v<Callable&, std::string_view>,
                  "callback_writer calls it with a std::string_view");
    static_assert(std::same_as<std::invoke_result_t<Callable&, std::string_view>, bool>,
                  "callback_writer needs a callable that answers bool: false says that the peer is gone");
  }

  write_result write(buffers pieces) {
    if (pieces.size() == 1) {  // nothing to join
      bool const good = to_(pieces.front());
      return {good ? write_status::ok : write_status::closed, good ? pieces.front().size() : 0};
    }
    char joined[4096];
    std::size_t used = 0;
    std::size_t taken = 0;
    auto const send_joined = [&] {
      return used == 0 || to_(std::string_view(joined, std::exchange(used, 0)));
    };
    for (auto const piece : pieces) {
      if (piece.size() > sizeof joined - used && !send_joined()) return {write_status::closed, 0};
      if (piece.size() > sizeof joined) {
        if (!to_(piece)) return {write_status::closed, 0};
      } else {
        used += piece.copy(joined + used, piece.size());
      }
      taken += piece.size();
    }
    if (!send_joined()) return {write_status::closed, 0};
    return {write_status::ok, taken};
  }
  void on_closed(close_reason, ending) noexcept {}

 private:
  Callable to_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
