// SPDX-License-Identifier: MIT
// connection.hpp - one client: requests and responses, until a handler takes the connection over as a
// stream.

#pragma once

#include "http.hpp"
#include "unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace demo {

class server;

/// What the server tells whoever took a connection over. It is destroyed with its connection, at the end of
/// a turn, never inside one of these calls.
struct stream_peer {
  virtual ~stream_peer() = default;

  /// The socket has room again. Called only after `send_some` answered `again`.
  virtual void on_writable() = 0;

  /// The client has sent all that it will ever send. It may still read, or have left: the bytes that are
  /// sent to it next find out, for a client that has left answers them with a reset. Called at most once.
  virtual void on_half_closed() = 0;

  /// The client has left. Called at most once, and not after `abort`, `shutdown_write` or the server's end.
  virtual void on_gone() = 0;
};

enum class send_status {
  /// The kernel took `bytes`, at least one; more may be sent at once.
  taken,
  /// The kernel took `bytes`, maybe none, and is full: `on_writable` will follow.
  again,
  /// Nothing more will be taken.
  gone
};

struct send_result {
  send_status status;
  std::size_t bytes = 0;
};

/// Lifetime    closed inside a turn: to the turn's end; closed between two: to the beginning of the next.
/// Errors      after the end of the connection every call does nothing; send_some answers `gone`.
/// Threads     the one that runs the server: inside any callback, and between two turns.
class connection {
 public:
  using clock = std::chrono::steady_clock;

  connection(server& owner, std::uint64_t id, unique_fd socket);
  connection(connection const&) = delete;
  connection& operator=(connection const&) = delete;
  ~connection();

  /// Unlike a descriptor's number never used twice by one server.
  std::uint64_t id() const noexcept { return id_; }

  /// False once the connection was closed, by whichever side.
  bool is_open() const noexcept { return phase_ != phase::closed; }

  /// Answers the request. Only inside the handler, once. HEAD, keep-alive and close are seen to.
  void respond(int status, std::string_view type, std::string_view body, http_fields const& extra = {});

  /// Answers HEAD where GET is answered by a stream: `head` is all there is, and says `Connection: close`.
  /// Only inside the handler, instead of `respond`.
  void respond_head(std::string head);

  /// Takes the connection over, the response's head included: the server sends nothing more of its own.
  /// Only inside the handler, instead of `respond`.
  void upgrade(std::unique_ptr<stream_peer> peer);

  /// Of a stream: offers bytes to the kernel with one system call. No more than the first 64 pieces.
  send_result send_some(std::span<std::string_view const> pieces);

  /// Of a stream: the response is complete. The client is given a moment to close, then the connection ends.
  void shutdown_write();

  /// Drops the connection with a reset; what the kernel still held is lost.
  void abort();

 private:
  friend class server;

  enum class phase {
    requesting,  // bytes of a request are read
    responding,  // a response is written; nothing is read, so a client that only asks stays bounded
    streaming,   // a peer has taken over
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
  bool step_streaming(budget& left);
  bool step_lingering(budget& left);
  void dispatch();
  bool discard(budget& left);
  std::optional<std::size_t> receive(std::span<char> into);
  void start_response(std::string bytes, afterwards then);
  void linger();
  void lost();
  void close();

  server& server_;
  std::uint64_t id_;
  unique_fd socket_;
  phase phase_ = phase::requesting;
  // Edges are reported once, so they are remembered until a call has met EAGAIN.
  bool readable_ = false;
  bool writable_ = true;
  bool half_closed_ = false;     // the client shut down its side: there is no more to read
  bool broken_ = false;          // the connection was reset, or timed out
  bool wants_writable_ = false;  // the peer was told `again`
  bool in_handler_ = false;
  bool scheduled_ = false;  // for the next turn, without an event
  afterwards then_ = afterwards::keep_alive;
  std::optional<clock::time_point> deadline_;
  request_parser parser_;
  std::string out_;  // the response being written, and how much of it was
  std::size_t out_sent_ = 0;
  std::unique_ptr<stream_peer> peer_;
};

}  // namespace demo
