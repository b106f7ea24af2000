// SPDX-License-Identifier: MIT
// server.hpp - a small HTTP server on one thread and epoll: what a program has before it adds event streams.

#pragma once

#include "connection.hpp"
#include "http.hpp"
#include "listener.hpp"
#include "unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace demo {

struct server_options {
  std::string host = "127.0.0.1";
  /// 0: any free one.
  std::uint16_t port = 0;
  /// Beyond it 503. Streams are not among them.
  std::size_t max_connections = 8192;
  /// Descriptors that the program needs beside those of its connections: of streams, for example.
  std::size_t other_descriptors = 0;
  /// SO_SNDBUF of each connection; 0: the kernel's choice.
  std::size_t send_buffer_bytes = 0;
  /// From a request's first byte to its last.
  std::chrono::milliseconds request_timeout{10'000};
  /// Between two requests.
  std::chrono::milliseconds idle_timeout{30'000};
  /// For an ordinary response, without progress.
  std::chrono::milliseconds write_timeout{30'000};
  /// For the client to close, after our last byte.
  std::chrono::milliseconds linger_timeout{2'000};
  /// TCP_USER_TIMEOUT: the kernel drops a peer that vanished, and one that is there but reads nothing. 0:
  /// the kernel's own patience.
  std::chrono::milliseconds unacknowledged_timeout{30'000};
};

/// What a turn of the loop did.
struct turn {
  /// Sockets that had something to report.
  std::size_t events = 0;
  /// `notify` was called.
  bool notified = false;
};

/// Threads     one thread runs the server and everything it calls. Only `notify` may come from another one.
class server {
 public:
  using clock = connection::clock;

  /// Calls `respond` or `take_socket` before it returns. A request whose handler throws is answered with 500.
  using handler = std::function<void(request const&, connection&)>;

  /// Listens from now on; accepts in `run_once`. Throws listen_error, std::system_error.
  server(server_options options, handler on_request);
  server(server const&) = delete;
  server& operator=(server const&) = delete;

  /// Closes what is open.
  ~server();

  /// Such as http://127.0.0.1:43217
  std::string const& address() const noexcept { return address_; }

  /// Waits for something to do, `max_wait` at most, and does it.
  turn run_once(std::chrono::milliseconds max_wait);

  /// Ends the wait of this turn, or of the next. Any thread; a signal handler too.
  void notify() noexcept;

  /// A turn begins also when this descriptor is readable.
  void wake_by(int fd);

  /// Closes the port, and the connections that wait for a next request. A request under way is answered.
  void stop_accepting();

  /// Those of requests, and of responses that still leave.
  std::size_t connection_count() const noexcept { return connections_.size() - graves_.size(); }

 private:
  friend class connection;

  void watch(int fd, std::uint32_t events, std::uint64_t token);
  void forget(int fd) noexcept;
  void accept_some();
  void admit(unique_fd socket);
  void pause_accepting();
  void schedule(connection& which);
  void bury(connection& which);
  void empty_graves();
  void set_deadline(connection& which, clock::time_point when);
  void clear_deadline(connection& which);
  void run_deadlines(clock::time_point now);
  int wait_milliseconds(std::chrono::milliseconds max_wait) const;

  server_options options_;
  handler handler_;
  std::string address_;
  unique_fd listener_;
  unique_fd epoll_;
  unique_fd wake_;
  bool stopping_ = false;
  std::optional<clock::time_point> accept_again_;  // set while there is no descriptor for another client
  std::uint64_t next_id_;
  std::set<std::pair<clock::time_point, std::uint64_t>> deadlines_;
  std::vector<std::uint64_t> scheduled_;
  std::vector<std::uint64_t> graves_;
  // By an ID that is never used again: an event of a connection closed earlier in the turn finds nothing.
  std::unordered_map<std::uint64_t, std::unique_ptr<connection>> connections_;
};

}  // namespace demo
