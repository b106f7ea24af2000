// SPDX-License-Identifier: MIT
// connection.hpp - one client: requests and responses, until a handler takes its socket for a stream.

#pragma once

#include "http.hpp"
#include "unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace demo {

class server;

/// Lifetime    closed inside a turn: to the turn's end; closed between two: to the beginning of the next.
/// Errors      after the end of the connection every call does nothing.
/// Threads     the one that runs the server: inside any callback, and between two turns.
class connection {
 public:
  using clock = std::chrono::steady_clock;

  connection(server& owner, std::uint64_t id, unique_fd socket);
  connection(connection const&) = delete;
  connection& operator=(connection const&) = delete;

  /// Unlike a descriptor's number never used twice by one server.
  std::uint64_t id() const noexcept { return id_; }

  /// False once the connection was closed, by whichever side.
  bool is_open() const noexcept { return phase_ != phase::closed; }

  /// Answers the request. Only inside the handler, once. HEAD, keep-alive and close are seen to.
  void respond(int status, std::string_view type, std::string_view body, http_fields const& extra = {});

  /// Answers HEAD where GET is answered by a stream: `head` is all there is, and says `Connection: close`.
  /// Only inside the handler, instead of `respond`.
  void respond_head(std::string head);

  /// The socket, for a stream: the server sends nothing more, and forgets the connection. Only inside the
  /// handler, instead of `respond`.
  unique_fd take_socket();

  /// Drops the connection with a reset; what the kernel still held is lost.
  void abort();

 private:
  friend class server;

  enum class phase {
    requesting,  // bytes of a request are read
    responding,  // a response is written; nothing is read, so a client that only asks stays bounded
    lingering,   // our side is shut down; what comes is thrown away until the client closes
    closed       // waits for the end of the turn
  };
  struct budget;  // of one turn, so that one busy client cannot keep the others waiting

  void on_events(std::uint32_t events);
  void on_scheduled();
  void on_deadline();
  void on_stopping();
  void refuse(int status, std::string_view text);

  void advance();
  bool step_requesting(budget& left);
  bool step_responding();
  bool step_lingering(budget& left);
  void dispatch();
  bool discard(budget& left);
  std::optional<std::size_t> receive(std::span<char> into);
  void start_response(std::string bytes, afterwards then);
  void linger();
  void close();

  server& server_;
  std::uint64_t id_;
  unique_fd socket_;
  phase phase_ = phase::requesting;
  // Edges are reported once, so they are remembered until a call has met EAGAIN.
  bool readable_ = false;
  bool writable_ = true;
  bool half_closed_ = false;  // the client shut down its side: there is no more to read
  bool in_handler_ = false;
  bool scheduled_ = false;  // for the next turn, without an event
  afterwards then_ = afterwards::keep_alive;
  std::optional<clock::time_point> deadline_;
  request_parser parser_;
  std::string out_;  // the response being written, and how much of it was
  std::size_t out_sent_ = 0;
};

}  // namespace demo
