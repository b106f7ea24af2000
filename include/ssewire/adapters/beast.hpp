// SPDX-License-Identifier: MIT
// beast.hpp - event streams on Boost.Beast, from Boost 1.74: `events.answer(request, std::move(connection))`
// once a request is read. The connection is a beast::tcp_stream, a socket, or TLS on one of them.
#pragma once

#include <ssewire/adapters/beast_io.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/asio_stream.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/response_fields.hpp>

#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

#include <cstddef>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Answers the requests of one endpoint.
///
/// @par Lifetime  It must outlive the io_context's run.
/// @par Threads   answer() and async_answer(): the connection's executor. drain(): another thread.
template <class Traits = default_traits> class beast_events {
 public:
  /// A request's head.
  using request = boost::beast::http::request_header<>;
  /// What it serves.
  using service = event_service<request, Traits>;

  /// @param events        The broker. It must outlive this.
  /// @param at            What the endpoint takes.
  /// @param who           `who(asked, request)` returns an ssewire::verdict; empty: everybody may have a
  ///   stream.
  /// @param most_streams  Streams open at the same time.
  explicit beast_events(basic_broker<Traits>& events, endpoint_options at,
                        typename service::authenticate who = {}, std::size_t most_streams = 100'000)
      : all_(events, std::move(at), std::move(who), most_streams) {}
  /// For one channel.
  beast_events(basic_broker<Traits>& events, char const* channel)
      : beast_events(events, endpoint_options{.channels = {channel}}) {}

  /// Answers a request, and takes its connection over.
  template <class Stream> void answer(request const& from, Stream to) {
    asio_answer<beast_io>(ready(std::move(to)), read(from));
  }
  /// The same, and completes when the answer's stream has ended, with its close_reason. In a coroutine of
  /// Asio the token is `asio::use_awaitable`; elsewhere it may be a function.
  template <class Stream, class Token> auto async_answer(request const& from, Stream to, Token&& token) {
    return async_asio_answer<beast_io>(ready(std::move(to)), read(from), std::forward<Token>(token));
  }

  /// Ends all streams; see event_service::drain(). Then stop the io_context.
  void drain(steady_duration time) { all_.drain(time); }

 private:
  typename service::raw_answer read(request const& from) {
    auto const text = [](auto view) { return std::string_view(view.data(), view.size()); };
    auto const field = [&](char const* name) { return text(from[name]); };
    auto const version = from.version() < 11 ? http_version::http_1_0 : http_version::http_1_1;
    return all_.open_raw(text(from.method_string()), text(from.target()), version, field, from);
  }
  // A limit of time was the request's.
  template <class Stream> static Stream ready(Stream to) {
    auto& lowest = boost::beast::get_lowest_layer(to);
    if constexpr (requires { lowest.expires_never(); }) lowest.expires_never();
    return to;
  }

  service all_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
