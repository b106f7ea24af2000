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
///
/// @par Threads  The driver's. The string is touched inside write() only.
class string_writer {
 public:
  /// Writes to `to`.
  ///
  /// @param to         Borrowed: it outlives the writer.
  /// @param max_bytes  What the string may hold, what it held before included. When it is full, take some
  ///   bytes out and call writable() on the driver. Without this argument there is no limit, and the string
  ///   of a stream that nobody reads grows for ever. 0 takes nothing.
  explicit string_writer(std::string& to,
                         std::size_t max_bytes = (std::numeric_limits<std::size_t>::max)()) noexcept
      : to_(&to), max_bytes_(max_bytes) {}

  /// Appends the bytes, as many as there is room for.
  ///
  /// @return  `ok` or `again`, never `closed`: a string has no peer that could go.
  /// @throws  std::bad_alloc.
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
  /// Does nothing.
  void on_closed(close_reason, ending) noexcept {}

 private:
  std::string* to_;
  std::size_t max_bytes_;
};

/// Writes to a std::ostream, and flushes it after each gathered write: for servers that hand one out, as POCO
/// does, and for std::cout. It waits as long as the ostream does, so it belongs to serve_blocking.
///
/// @tparam Ostream  A std::ostream, or anything with its write(), flush() and operator!. It is a parameter so
///   that this header need not include `<ostream>`.
template <class Ostream> class ostream_writer {
 public:
  /// Writes to `to`, which is borrowed: it outlives the writer.
  explicit ostream_writer(Ostream& to) noexcept : to_(&to) {}

  /// Writes all bytes and flushes.
  ///
  /// @return  `ok` with all bytes; or `closed` when the ostream has failed: nobody can say how many bytes it
  ///   took before.
  /// @throws  What the ostream throws, if its exceptions are switched on.
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
  /// Does nothing.
  void on_closed(close_reason, ending) noexcept {}

 private:
  Ostream* to_;
};

/// Hands the bytes to a callable `bool(std::string_view)`. For servers whose send() takes one text, and takes
/// it whole, as cpp-httplib's does. It waits as long as the callable does.
///
/// Small pieces that follow one another are joined, up to 4 KiB on the stack; a larger piece goes alone. With
/// a call for each piece one chunk would become three packets: its head, an event, its tail. With one call
/// for all pieces each stream would keep or allocate 64 KiB.
template <class Callable> class callback_writer {
 public:
  /// Writes by `to`.
  ///
  /// @param to  Kept. false means that the peer is gone. It must return exactly bool, because an int of -1
  ///   would be true. Where false means "taken, but slow down", as in uWebSockets, do not use this class:
  ///   implement a writer that answers `again`.
  explicit callback_writer(Callable to) noexcept(std::is_nothrow_move_constructible_v<Callable>)
      : to_(std::move(to)) {
    static_assert(std::is_invocable_v<Callable&, std::string_view>,
                  "callback_writer calls it with a std::string_view");
    static_assert(std::same_as<std::invoke_result_t<Callable&, std::string_view>, bool>,
                  "callback_writer needs a callable that answers bool: false says that the peer is gone");
  }

  /// Hands all bytes to the callable.
  ///
  /// @return  `ok` with all bytes, or `closed`.
  /// @throws  What the callable throws.
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
  /// Does nothing.
  void on_closed(close_reason, ending) noexcept {}

 private:
  Callable to_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
