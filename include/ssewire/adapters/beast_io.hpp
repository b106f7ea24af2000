// SPDX-License-Identifier: MIT
// beast_io.hpp - what a stream calls of Boost.Asio and Boost.Beast: a part of beast.hpp. A program that
// answers requests itself gives it to asio_stream().
#pragma once

#include <ssewire/core/close_reason.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/system/error_code.hpp>

#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What asio_stream() calls of Boost.Asio and Boost.Beast.
struct beast_io {
  /// One piece of a write.
  using const_buffer = boost::asio::const_buffer;
  /// Why an operation failed.
  using error_code = boost::system::error_code;
  /// The option of a socket that is to be reset.
  using linger = boost::asio::socket_base::linger;
  /// A timer of the clock that the streams use.
  using timer = boost::asio::steady_timer;
  /// The error when a peer has sent its last byte.
  static constexpr auto eof = boost::asio::error::eof;

  /// The socket below a connection.
  static auto& below(auto& of) {
    auto& lowest = boost::beast::get_lowest_layer(of);
    if constexpr (requires { lowest.socket(); })
      return lowest.socket();
    else
      return lowest;
  }
  /// The memory for a read.
  static auto buffer(auto& bytes) { return boost::asio::buffer(bytes); }
  /// Where a handler is to run.
  static auto executor_of(auto const& handler, auto const& otherwise) {
    return boost::asio::get_associated_executor(handler, otherwise);
  }
  /// Runs a task there.
  static void post(auto const& to, auto task) { boost::asio::post(to, std::move(task)); }
  /// Writes all bytes.
  static void async_write(auto& to, auto const& bytes, auto done) {
    boost::asio::async_write(to, bytes, done);
  }
  /// Begins an operation that completes with a close_reason.
  template <class Start, class Token, class... Arguments>
  static auto initiate(Start start, Token&& token, Arguments... with) {
    return boost::asio::async_initiate<Token, void(close_reason)>(start, token, std::move(with)...);
  }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
