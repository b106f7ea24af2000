// SPDX-License-Identifier: MIT
// plain_socket.hpp - a connection over TCP as socket_streams needs it.
#pragma once

#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/socket_options.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What has come from a peer.
enum class arrival : unsigned char {
  /// Nothing more for now.
  nothing,
  /// There may be more: ask again.
  more,
  /// The peer has sent its last byte.
  end,
  /// The connection is broken.
  failure,
};

/// Owns a socket.
class plain_socket {
 public:
  /// After `again` it takes other bytes than before.
  static constexpr bool same_bytes_again = false;

  /// Takes a connected socket over, makes it non-blocking, and sets its options; see set_socket_options().
  explicit plain_socket(int socket) noexcept : fd_(socket) {
    (void)::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
    set_socket_options(fd_);
  }
  /// Leaves `from` without a socket.
  plain_socket(plain_socket&& from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
  plain_socket& operator=(plain_socket&&) = delete;
  ~plain_socket() { close(); }

  /// The socket; -1: it is closed.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Sends what the kernel has room for.
  write_result write(buffers pieces) noexcept {
    std::array<iovec, 16> parts;
    std::size_t count = 0;
    std::size_t all = 0;
    for (auto const piece : pieces.first((std::min)(pieces.size(), parts.size()))) {
      parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
      all += piece.size();
    }
    msghdr message = {};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    ssize_t sent = 0;
    do {
      sent = count == 1 ? ::send(fd_, parts[0].iov_base, all, MSG_NOSIGNAL)
                        : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return {write_status::closed, 0};
    auto const taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    return {taken < all ? write_status::again : write_status::ok, taken};
  }
  /// Reads, and throws away: unread bytes would make a close a reset.
  arrival discard() noexcept {
    char unwanted[4096];
    auto const got = ::recv(fd_, unwanted, sizeof unwanted, 0);
    if (got > 0 || (got < 0 && errno == EINTR)) return arrival::more;
    if (got == 0) return arrival::end;
    return errno == EAGAIN || errno == EWOULDBLOCK ? arrival::nothing : arrival::failure;
  }
  /// Sends the end, after all that was written.
  void finish() noexcept { ::shutdown(fd_, SHUT_WR); }
  /// Closes with a reset: what was not sent is dropped.
  void cut() noexcept {
    ::linger const at_once = {1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  /// Closes.
  void close() noexcept {
    if (auto const socket = std::exchange(fd_, -1); socket >= 0) ::close(socket);
  }

 private:
  int fd_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
