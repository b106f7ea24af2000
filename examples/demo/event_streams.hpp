// SPDX-License-Identifier: MIT
// event_streams.hpp - what ssewire adds to the demo's server: a broker, and the streams on its sockets.

#pragma once

#include <ssewire/adapters/socket_streams.hpp>
#include <ssewire/ssewire.hpp>

#include "clients.hpp"
#include "connection.hpp"
#include "server.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// A socket that counts what it sends, and that can be held.
class counting_socket : public ssewire::plain_socket {
 public:
  counting_socket(int socket, std::uint64_t& sent) : plain_socket(socket), sent_(&sent) {}

  /// Takes nothing, as if it were full.
  bool is_held = false;

  ssewire::write_result write(ssewire::buffers pieces) {
    if (is_held) return {ssewire::write_status::again, 0};
    auto const done = plain_socket::write(pieces);
    *sent_ += done.bytes;
    return done;
  }

 private:
  std::uint64_t* sent_;
};

struct event_stream_options {
  /// Events that each channel holds for those who come back.
  std::size_t log = 1000;
  std::chrono::milliseconds heartbeat{15'000};
};

/// The event streams of the server.
/// Threads     the server's.
class event_streams {
 public:
  using clock = std::chrono::steady_clock;

  /// Streams at the same time; one costs about 1 KiB.
  static constexpr std::size_t most = 8192;

  explicit event_streams(event_stream_options options);

  /// The channels there are. A stream that names none is on the first four.
  static std::vector<std::string_view> const& channel_names();

  /// GET /events?channels=cpu,net: begins a stream, or goes on with one where its last event ID says.
  /// With &client=NAME the stream can be named in the calls below. It is greeted by an event of its own,
  /// without an ID: `demo.hello` {"log":1000,"n":{"cpu":7}} where a stream begins, with the number of each
  /// channel's newest event; `demo.replay` {"replayed":3} where it goes on. HEAD gets the stream's fields,
  /// and no stream.
  void open(request const& asked, connection& on);

  ssewire::result<ssewire::position_id> publish(std::string_view channel, std::string_view data);

  /// Publishes a JSON object with one more member in front: "n", which counts this channel's events from 1.
  void publish_numbered(std::string_view channel, std::string_view object);

  /// Drops the client's connection with a reset. False, here and below: it has no open stream.
  bool drop(std::string_view client);

  /// Writes nothing more to the client, as if its socket were full, until release().
  bool hold(std::string_view client);
  void release(std::string_view client);

  /// Ends the client's stream in order, and for good: when it comes back it is answered 204, and stays away.
  bool end(std::string_view client);

  /// {"client":"x","open":false,"ended":true}
  std::string client_json(std::string_view client);

  /// Readable when run() has something to do.
  int fd() const { return streams_.fd(); }

  /// To be called in every turn of the loop, before it waits. Returns when to come back at the latest.
  clock::time_point run(clock::time_point now);

  /// Ends all streams in order, one after the other as run() is called; those that are there at `deadline`
  /// by force.
  void drain(clock::time_point now, clock::time_point deadline);

  /// Connections.
  std::size_t size() const { return streams_.connections(); }
  std::size_t log_size() const { return log_size_; }

  /// The broker's counters and a few of the demo's own. `more`: further members, such as "a":1,"b":2
  std::string stats_json(std::string_view more = {}) const;

 private:
  void greet(ssewire::stream_id stream, ssewire::resume_outcome outcome, std::uint64_t backlog);
  void greet(ssewire::stream_id stream, ssewire::event const& greeting);
  ssewire::stream_id stream_of(std::string_view client);
  // Null: there is none, or it has ended.
  counting_socket* socket_of(std::string_view client);

  std::size_t log_size_;
  std::uint64_t bytes_ = 0;  // written to streams, the responses' heads included
  std::uint64_t refused_as_ended_ = 0;
  std::map<std::string_view, std::uint64_t> numbers_;  // of each channel's newest event
  clients clients_;
  ssewire::broker broker_;
  ssewire::socket_streams<counting_socket> streams_;
  // Not 0 during a drain, which is so short that the reactor's ticks would be too coarse for it.
  clock::duration drain_step_ = clock::duration(0);
};

}  // namespace demo
