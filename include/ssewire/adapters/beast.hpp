// SPDX-License-Identifier: MIT
// beast.hpp - event streams on Boost.Beast, from Boost 1.74: `events.answer(request, std::move(connection))`
// once a request is read. The connection is a beast::tcp_stream; with TLS it was not run yet.
#pragma once

#include <ssewire/adapters/beast_stream.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/response_fields.hpp>

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Answers the requests of one endpoint.
///
/// @par Lifetime  It must outlive the io_context's run.
/// @par Threads   answer(): the connection's executor. drain(): another thread.
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
  template <class Stream> void answer(request const& from, Stream connection) {
    auto const text = [](auto view) { return std::string_view(view.data(), view.size()); };
    bool const old = from.version() < 11;
    auto const body = old ? framing::raw : framing::chunked;
    auto const field = [&](char const* name) { return text(from[name]); };
    auto const asked = all_.at().read(text(from.method_string()), text(from.target()),
                                      old ? http_version::http_1_0 : http_version::http_1_1, field);
    auto made = all_.open(asked, from, body);
    auto const& said = made.response;
    auto const status = boost::beast::http::int_to_status(static_cast<unsigned>(said.status));
    auto head = "HTTP/1.1 " + std::to_string(said.status) + ' ';
    head.append(text(boost::beast::http::obsolete_reason(status))).append("\r\n");
    for (auto const& [name, value] : said.fields) {
      if (name != "Connection") head.append(name).append(": ").append(value).append("\r\n");
    }
    if (!made.stream && said.status != 204)
      head += "Content-Length: " + std::to_string(said.body.size()) + "\r\n";
    head += "Connection: close\r\n\r\n";
    if (!made.stream) {
      beast_stream(std::move(connection), no_source{}, {.preamble = head + said.body});
    } else {
      auto its = std::move(made.stream->from);
      beast_stream(std::move(connection), std::move(its), {.body = body, .preamble = std::move(head)},
                   std::move(made.stream));
    }
  }

  /// Ends all streams; see event_service::drain(). Then stop the io_context.
  void drain(steady_duration time) { all_.drain(time); }

 private:
  service all_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
