// SPDX-License-Identifier: MIT
// socket_writer.hpp - writes a stream to a socket for serve_blocking: for servers with a thread for each
// stream whose own calls wait too long, or do not say what they have sent.
#pragma once

#include <ssewire/drivers/socket_options.hpp>
#include <ssewire/ssewire.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>

namespace app {

struct socket_writer {
  int socket;

  explicit socket_writer(int of) : socket(of) { ssewire::set_socket_options(socket); }

  // What the client sends is thrown away. After its end it has gone.
  bool is_there() const {
    char unwanted[4096];
    auto const got = ::recv(socket, unwanted, sizeof unwanted, MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

  // Waits 5 s for room. serve_blocking ends a stream that waited in vain twice.
  ssewire::write_result write(ssewire::buffers pieces) {
    if (!is_there()) return {ssewire::write_status::closed, 0};
    iovec parts[16];
    msghdr all = {};
    all.msg_iov = parts;
    for (auto const piece :
         pieces.first(pieces.size() < 16 ? pieces.size() : 16))  // others are offered again
      parts[all.msg_iovlen++] = {const_cast<char*>(piece.data()), piece.size()};
    auto sent = ::sendmsg(socket, &all, MSG_DONTWAIT | MSG_NOSIGNAL);
    pollfd room = {socket, POLLOUT, 0};
    if (sent < 0 && errno == EAGAIN && ::poll(&room, 1, 5000) == 1)
      sent = ::sendmsg(socket, &all, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) return {ssewire::write_status::ok, static_cast<std::size_t>(sent)};
    bool const no_loss = errno == EAGAIN || errno == EINTR;
    return {no_loss ? ssewire::write_status::again : ssewire::write_status::closed, 0};
  }
  // The server closes the socket. With bytes unread that would be a reset, and the client would lose the last
  // event: so let the client close first, for 2 s.
  void on_closed(ssewire::close_reason, ssewire::ending how) {
    if (how == ssewire::ending::cut) return;
    ::shutdown(socket, SHUT_WR);
    pollfd more = {socket, POLLIN, 0};
    for (int n = 0; n < 64 && ::poll(&more, 1, 2000) == 1 && is_there(); ++n) {
    }
  }
};

}  // namespace app
