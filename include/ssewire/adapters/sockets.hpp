// SPDX-License-Identifier: MIT
// sockets.hpp - event streams on sockets of Linux, for servers that read requests themselves:
// `events.answer(method, target, version, field, ssewire::plain_socket(socket))`.
#pragma once

#include <ssewire/adapters/plain_socket.hpp>
#include <ssewire/adapters/socket_streams.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/response_fields.hpp>
#include <ssewire/stream/options.hpp>

#include <poll.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Answers the requests of one endpoint, and serves its streams in turns: those of your loop, which waits for
/// fd() too and then calls turn(); or those of a thread that runs run().
///
/// @tparam Connection  plain_socket, or tls_socket of openssl.hpp.
/// @par Threads        answer(), stop() and drain(): any. turn() and run(): one.
template <class Connection = plain_socket, class Traits = default_traits> class socket_events {
 public:
  /// What it serves.
  using service = event_service<Connection, Traits>;

  /// @param events        The broker. It must outlive this.
  /// @param at            What the endpoint takes.
  /// @param who           `who(asked, connection)` returns an ssewire::verdict; empty: everybody may have a
  ///   stream.
  /// @param most_streams  Streams open at the same time.
  /// @throws              std::system_error if there are no descriptors left.
  explicit socket_events(basic_broker<Traits>& events, endpoint_options at,
                         typename service::authenticate who = {}, std::size_t most_streams = 100'000)
      : all_(events, std::move(at), std::move(who), most_streams) {}
  /// For one channel.
  socket_events(basic_broker<Traits>& events, char const* channel)
      : socket_events(events, endpoint_options{.channels = {channel}}) {}

  /// Answers a request, and takes its connection over; what else came on it is thrown away.
  ///
  /// @param method   For this and the next three see endpoint::read().
  /// @param target   As it was sent.
  /// @param version  HTTP/1.0 or HTTP/1.1.
  /// @param field    `field(name)` returns the value of a request field, or nothing.
  /// @param to       The connection.
  /// @throws         std::bad_alloc, and what `who` throws; the connection is closed then.
  template <class Field>
  void answer(optional_text method, optional_text target, http_version version, Field&& field,
              Connection to) {
    auto what = all_.open_raw(method, target, version, field, to);
    std::unique_lock const held(guard_);
    opening_.push_back({std::move(to), std::move(what)});
    streams_.ring();
  }

  /// A descriptor that is readable when a turn is due.
  [[nodiscard]] int fd() const noexcept { return streams_.fd(); }
  /// Does what is due. It never waits. A connection for which there is no memory is closed.
  void turn() noexcept {
    std::vector<opening> next;
    {
      std::unique_lock const held(guard_);
      next.swap(opening_);
    }
    for (auto& each : next) begin(each);
    streams_.turn();
  }
  /// Takes turns until stop().
  void run() noexcept {
    for (pollfd due = {fd(), POLLIN, 0}; !ending_; turn()) (void)::poll(&due, 1, -1);
  }
  /// Ends run().
  void stop() noexcept { ending_ = true, streams_.ring(); }
  /// Ends all streams, while another thread takes the turns; see event_service::drain().
  void drain(steady_duration time) { all_.drain(time); }

 private:
  struct opening {
    Connection on;
    typename service::raw_answer what;
  };
  void begin(opening& it) noexcept {
    stream_options how = {.body = it.what.body, .preamble = std::move(it.what.bytes)};
    try {
      if (!it.what.stream) {
        auto const id = streams_.add(std::move(it.on), std::move(how), {});
        return streams_.streams().finish(id.value);
      }
      auto from = std::move(it.what.stream->from);
      streams_.add(std::move(it.on), std::move(how), std::move(it.what.stream), std::move(from));
    } catch (std::bad_alloc const&) {
    }
  }

  service all_;
  std::mutex guard_;
  std::vector<opening> opening_;  // behind guard_
  std::atomic<bool> ending_{false};
  socket_streams<Connection, Traits> streams_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
