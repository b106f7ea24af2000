// SPDX-License-Identifier: MIT
// asio_io.hpp - what a stream calls of standalone Asio: a part of asio.hpp. A program that
// answers requests itself gives it to asio_stream().
#pragma once

#include <ssewire/core/close_reason.hpp>

#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/post.hpp>
#include <asio/socket_base.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>

#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What asio_stream() calls of standalone Asio.
struct asio_io {
  /// One piece of a write.
  using const_buffer = asio::const_buffer;
  /// Why an operation failed.
  using error_code = asio::error_code;
  /// The option of a socket that is to be reset.
  using linger = asio::socket_base::linger;
  /// A timer of the clock that the streams use.
  using timer = asio::steady_timer;
  /// The error when a peer has sent its last byte.
  static constexpr auto eof = asio::error::eof;

  /// The socket below a connection.
  static auto& below(auto& of) { return of.lowest_layer(); }
  /// The memory for a read.
  static auto buffer(auto& bytes) { return asio::buffer(bytes); }
  /// Where a handler is to run.
  static auto executor_of(auto const& handler, auto const& otherwise) {
    return asio::get_associated_executor(handler, otherwise);
  }
  /// Runs a task there.
  static void post(auto const& to, auto task) { asio::post(to, std::move(task)); }
  /// Writes all bytes.
  static void async_write(auto& to, auto const& bytes, auto done) { asio::async_write(to, bytes, done); }
  /// Begins an operation that completes with a close_reason.
  template <class Start, class Token, class... Arguments>
  static auto initiate(Start start, Token&& token, Arguments... with) {
    return asio::async_initiate<Token, void(close_reason)>(start, token, std::move(with)...);
  }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
