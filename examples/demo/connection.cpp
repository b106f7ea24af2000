// SPDX-License-Identifier: MIT
// connection.cpp - one client: requests and responses, until a handler takes its socket for a stream.

#include "connection.hpp"

#include "server.hpp"
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace demo {
namespace {

constexpr std::size_t read_chunk_bytes = 16 * 1024;
constexpr std::size_t max_response_bytes = 1024 * 1024;

}  // namespace

struct connection::budget {
  std::size_t bytes = 64 * 1024;
  std::size_t requests = 16;
};

connection::connection(server& owner, std::uint64_t id, unique_fd socket)
    : server_(owner), id_(id), socket_(std::move(socket)) {
  server_.set_deadline(*this, clock::now() + server_.options_.request_timeout);
}

void connection::on_events(std::uint32_t events) {
  constexpr std::uint32_t broken = EPOLLERR | EPOLLHUP;
  if ((events & (EPOLLOUT | broken)) != 0) writable_ = true;
  if ((events & (EPOLLIN | broken)) != 0) readable_ = true;
  advance();
}

void connection::on_scheduled() {
  scheduled_ = false;
  advance();
}

void connection::on_deadline() {
  if (phase_ == phase::requesting && !parser_.idle()) {
    refuse(408, "the request did not arrive in time");
    advance();
  } else if (phase_ == phase::responding) {
    abort();
  } else {
    close();
  }
}

void connection::on_stopping() {
  then_ = afterwards::close;
  if (phase_ == phase::requesting && parser_.idle()) linger();
}

void connection::advance() {
  budget left;
  bool go_on = true;
  while (go_on) {
    switch (phase_) {
    case phase::requesting: go_on = step_requesting(left); break;
    case phase::responding: go_on = step_responding(); break;
    case phase::lingering: go_on = step_lingering(left); break;
    case phase::closed: go_on = false; break;
    }
  }
}

// Returns the bytes read, 0 when there will be no more; nothing when there are none now.
std::optional<std::size_t> connection::receive(std::span<char> into) {
  for (;;) {
    auto const got = ::recv(socket_.get(), into.data(), into.size(), 0);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      return std::nullopt;
    }
    half_closed_ = true;
    return 0;
  }
}

bool connection::step_requesting(budget& left) {
  if (parser_.current_state() == request_parser::state::complete) {
    if (left.requests == 0) {
      server_.schedule(*this);
      return false;
    }
    --left.requests;
    dispatch();
    return true;
  }
  if (parser_.current_state() == request_parser::state::error) {
    refuse(parser_.error_status(), parser_.error_text());
    return true;
  }
  // Asked for also by a head that came in one packet with the request before it.
  if (parser_.take_expects_continue()) {
    // Nothing is being written, so the kernel has room for this; a client that filled it is no loss.
    constexpr std::string_view proceed = "HTTP/1.1 100 Continue\r\n\r\n";
    auto const sent = ::send(socket_.get(), proceed.data(), proceed.size(), MSG_NOSIGNAL);
    if (sent != static_cast<::ssize_t>(proceed.size())) abort();
    return true;
  }
  if (!readable_) return false;
  if (left.bytes == 0) {
    server_.schedule(*this);
    return false;
  }
  char chunk[read_chunk_bytes];
  auto const got = receive(chunk);
  if (!got) return false;
  if (*got == 0) {
    close();
    return false;
  }
  left.bytes -= (std::min)(left.bytes, *got);
  bool const was_idle = parser_.idle();
  parser_.feed({chunk, *got});
  // From the first byte to the last, not from each to the next: or a byte every nine seconds keeps a place.
  if (was_idle && !parser_.idle()) {
    server_.set_deadline(*this, clock::now() + server_.options_.request_timeout);
  }
  return true;
}

void connection::dispatch() {
  in_handler_ = true;
  try {
    server_.handler_(parser_.current(), *this);
  } catch (...) {
    // One request must not end the server.
    if (phase_ == phase::requesting) respond(500, "text/plain", "the handler failed\n");
  }
  if (phase_ == phase::requesting) respond(500, "text/plain", "nobody answered the request\n");
  in_handler_ = false;
}

void connection::respond(int status, std::string_view type, std::string_view body, http_fields const& extra) {
  assert(in_handler_);
  if (!in_handler_ || phase_ != phase::requesting) return;
  auto const& asked = parser_.current();
  auto const then =
      asked.keep_alive && then_ == afterwards::keep_alive ? afterwards::keep_alive : afterwards::close;
  auto const part = asked.method == "HEAD" ? body_part::left_out : body_part::sent;
  if (body.size() > max_response_bytes) {
    status = 500;
    body = "the response is too large to hold\n";
  }
  start_response(format_response(status, type, body, extra, part, then), then);
}

void connection::respond_head(std::string head) {
  assert(in_handler_ && parser_.current().method == "HEAD");
  if (in_handler_ && phase_ == phase::requesting) start_response(std::move(head), afterwards::close);
}

void connection::refuse(int status, std::string_view text) {
  auto const body = std::string(text) + "\n";
  auto const part = parser_.current().method == "HEAD" ? body_part::left_out : body_part::sent;
  start_response(format_response(status, "text/plain", body, {}, part, afterwards::close), afterwards::close);
}

void connection::start_response(std::string bytes, afterwards then) {
  out_ = std::move(bytes);
  out_sent_ = 0;
  then_ = then;
  phase_ = phase::responding;
  server_.set_deadline(*this, clock::now() + server_.options_.write_timeout);
}

bool connection::step_responding() {
  if (out_sent_ < out_.size()) {
    if (!writable_) return false;
    auto const rest = std::string_view(out_).substr(out_sent_);
    auto const sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) return true;
      writable_ = false;
      if (errno != EAGAIN && errno != EWOULDBLOCK) close();
      return false;
    }
    out_sent_ += static_cast<std::size_t>(sent);
    server_.set_deadline(*this, clock::now() + server_.options_.write_timeout);
    if (out_sent_ < out_.size()) {
      writable_ = false;  // epoll(7): a short write is as good as EAGAIN, the next edge will come
      return false;
    }
  }
  out_ = {};
  out_sent_ = 0;
  if (then_ == afterwards::close) {
    linger();
    return true;
  }
  phase_ = phase::requesting;
  parser_.next();
  auto const wait = parser_.idle() ? server_.options_.idle_timeout : server_.options_.request_timeout;
  server_.set_deadline(*this, clock::now() + wait);
  return true;
}

unique_fd connection::take_socket() {
  assert(in_handler_ && phase_ == phase::requesting);
  server_.forget(socket_.get());
  auto socket = std::move(socket_);
  close();
  return socket;
}

bool connection::step_lingering(budget& left) { return discard(left); }

// Throws away what a client sends to a response. Returns whether to go on.
bool connection::discard(budget& left) {
  if (!readable_ || half_closed_) return false;
  if (left.bytes == 0) {
    server_.schedule(*this);
    return false;
  }
  char chunk[read_chunk_bytes];
  auto const got = receive(chunk);
  if (!got) return false;
  if (*got == 0) {
    close();
    return false;
  }
  left.bytes -= (std::min)(left.bytes, *got);
  return true;
}

// RFC 9112, 9.6: a close with unread bytes in the socket sends a reset, and that can overtake the response's
// last bytes.
void connection::linger() {
  if (half_closed_) return close();  // there are none, and there will be none
  phase_ = phase::lingering;
  ::shutdown(socket_.get(), SHUT_WR);
  server_.set_deadline(*this, clock::now() + server_.options_.linger_timeout);
}

void connection::abort() {
  if (phase_ == phase::closed) return;
  ::linger const at_once{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

void connection::close() {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  socket_.reset();
  server_.clear_deadline(*this);
  server_.bury(*this);
}

}  // namespace demo
