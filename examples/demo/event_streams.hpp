// SPDX-License-Identifier: MIT
// event_streams.hpp - what ssewire adds to the demo's server: a broker, a reactor, and 30 lines between them and a socket.

#pragma once

#include "connection.hpp"
#include "server.hpp"

#include <ssewire/ssewire.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// The writer: how ssewire's bytes get into one of the server's connections.
struct socket_writer {
  connection* to;

  ssewire::write_result write(ssewire::buffers pieces) {
    auto const result = to->send_some(pieces);
    switch (result.status) {
    case send_status::taken: return {ssewire::write_status::ok, result.bytes};
    case send_status::again: return {ssewire::write_status::again, result.bytes};
    case send_status::gone: break;
    }
    return {ssewire::write_status::closed, 0};
  }
  void finish() { to->shutdown_write(); }
  void abort() { to->abort(); }
};

using stream_reactor = ssewire::reactor<socket_writer>;

/// What the server tells about a streaming connection goes to the reactor.
class event_peer : public stream_peer {
public:
  explicit event_peer(stream_reactor& streams) : streams_(streams) {}
  event_peer(event_peer const&) = delete;
  event_peer& operator=(event_peer const&) = delete;
  ~event_peer() override { streams_.remove(id_); }

  void is(ssewire::stream_id id) { id_ = id; }
  void on_writable() override { streams_.writable(id_); }
  void on_gone() override { streams_.remove(id_, ssewire::close_reason::peer_gone); }

private:
  stream_reactor& streams_;
  ssewire::stream_id id_;
};

struct event_stream_options {
  std::size_t log = 1000;                     ///< events that each channel holds for those who come back
  std::chrono::milliseconds heartbeat{15'000};
};

/// The event streams of the server.
/// Threads     the server's.
class event_streams {
public:
  using clock = std::chrono::steady_clock;

  explicit event_streams(event_stream_options options);

  /// The channels there are.
  static std::vector<std::string_view> const& channel_names();

  /// GET /events?channels=cpu,net: begins a stream, or goes on with one where its last event ID says.
  void open(request const& asked, connection& on);

  ssewire::publish_result publish(std::string_view channel, std::string_view data);

  /// To be called in every turn of the loop, before it waits. Returns when to come back at the latest.
  clock::time_point run(clock::time_point now);

  /// Ends all streams in order; run() forces those that take longer than `deadline`.
  void drain(clock::time_point deadline);

  std::size_t size() const { return streams_.size(); }
  std::string stats_json() const;

private:
  ssewire::broker broker_;
  stream_reactor streams_;
  clock::time_point next_tick_ = {};
};

}  // namespace demo
