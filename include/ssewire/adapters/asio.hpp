// SPDX-License-Identifier: MIT
// asio.hpp - event streams on connections of standalone Asio, from 1.18, for servers that read requests
// themselves: `co_await events.async_answer(method, target, version, field, std::move(socket), token)`.
#pragma once

#include <ssewire/adapters/asio_io.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/asio_stream.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/response_fields.hpp>

#include <asio/ip/tcp.hpp>

#include <cstddef>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Answers the requests of one endpoint.
///
/// @tparam Stream  The type of connections: a socket, or `asio::ssl::stream` on one.
/// @par Lifetime   It must outlive the io_context's run.
/// @par Threads    answer() and async_answer(): the connection's executor. drain(): another thread.
template <class Stream = asio::ip::tcp::socket, class Traits = default_traits> class asio_events {
 public:
  /// What it serves.
  using service = event_service<Stream, Traits>;

  /// @param events        The broker. It must outlive this.
  /// @param at            What the endpoint takes.
  /// @param who           `who(asked, connection)` returns an ssewire::verdict; empty: everybody may have a
  ///   stream.
  /// @param most_streams  Streams open at the same time.
  explicit asio_events(basic_broker<Traits>& events, endpoint_options at,
                       typename service::authenticate who = {}, std::size_t most_streams = 100'000)
      : all_(events, std::move(at), std::move(who), most_streams) {}
  /// For one channel.
  asio_events(basic_broker<Traits>& events, char const* channel)
      : asio_events(events, endpoint_options{.channels = {channel}}) {}

  /// Answers a request, and takes its connection over.
  ///
  /// @param method   For this and the next three see endpoint::read().
  /// @param target   As it was sent.
  /// @param version  HTTP/1.0 or HTTP/1.1.
  /// @param field    `field(name)` returns the value of a request field, or nothing.
  /// @param to       The connection.
  template <class Field>
  void answer(optional_text method, optional_text target, http_version version, Field&& field, Stream to) {
    auto what = all_.open_raw(method, target, version, field, to);
    asio_answer<asio_io>(std::move(to), std::move(what));
  }

  /// The same, and completes when the answer's stream has ended, with its close_reason. In a coroutine of
  /// Asio the token is `asio::use_awaitable`; elsewhere it may be a function.
  template <class Field, class Token>
  auto async_answer(optional_text method, optional_text target, http_version version, Field&& field,
                    Stream to, Token&& token) {
    auto what = all_.open_raw(method, target, version, field, to);
    return async_asio_answer<asio_io>(std::move(to), std::move(what), std::forward<Token>(token));
  }

  /// Ends all streams; see event_service::drain(). Then stop the io_context.
  void drain(steady_duration time) { all_.drain(time); }

 private:
  service all_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
