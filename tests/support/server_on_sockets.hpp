// SPDX-License-Identifier: MIT
// server_on_sockets.hpp - pairs of sockets as connections, and a correct writer for them.
#pragma once

#include <support/server_in_memory.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace support {

struct socket_pair {
  int ours = -1;
  int peers = -1;

  explicit socket_pair(bool blocking) {
    int both[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, both) != 0) throw std::runtime_error("socketpair");
    ours = both[0];
    peers = both[1];
    ::fcntl(peers, F_SETFL, O_NONBLOCK);
    if (!blocking) ::fcntl(ours, F_SETFL, O_NONBLOCK);
  }
  socket_pair(socket_pair const&) = delete;
  socket_pair& operator=(socket_pair const&) = delete;
  ~socket_pair() {
    close_peer();
    close_ours();
  }
  void close_peer() {
    if (peers >= 0) ::close(std::exchange(peers, -1));
  }
  void close_ours() {
    if (ours >= 0) ::close(std::exchange(ours, -1));
  }
};

// A harness for writers that hold one socket of a pair.
template <class Writer, bool Blocking> struct socket_server {
  std::shared_ptr<socket_pair> pair;
  driver_calls* driver = nullptr;
  bool end_seen = false;

  Writer connect(driver_calls& d) {
    driver = &d;
    end_seen = false;
    pair = std::make_shared<socket_pair>(Blocking);
    return Writer{pair};
  }
  std::string read(std::size_t most) {
    std::string out(most, '\0');
    auto const got = pair->peers < 0 ? -1 : ::recv(pair->peers, out.data(), most, 0);
    if (got == 0) end_seen = true;
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return out;
  }
  void close_peer() { pair->close_peer(); }
  far_end sees() const { return end_seen ? ssewire::testing::far_end::ended : far_end::open; }
};

template <class Writer> struct loop_server : socket_server<Writer, false> {
  void run() { this->driver->writable(); }  // a loop that tries again in each turn
};
template <class Writer> struct thread_server : socket_server<Writer, true> {
  static constexpr bool may_block = true;
};

struct socket_writer {
  std::shared_ptr<socket_pair> pair;

  write_result write(buffers pieces) {
    iovec parts[8];
    std::size_t count = 0;
    for (auto const piece : pieces.first((std::min)(pieces.size(), std::size(parts)))) {
      parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    msghdr head = {};
    head.msg_iov = parts;
    head.msg_iovlen = count;
    ssize_t sent = -1;
    do sent = ::sendmsg(pair->ours, &head, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent > 0) return {write_status::ok, static_cast<std::size_t>(sent)};
    return {errno == EAGAIN || errno == EWOULDBLOCK ? write_status::again : write_status::closed, 0};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) { pair->close_ours(); }
};

}  // namespace support
