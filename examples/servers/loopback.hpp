// SPDX-License-Identifier: MIT
// loopback.hpp - a listening socket, for the servers of this folder that have none of a library.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace app {

struct loopback {
  int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = 0;

  loopback() {
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* const address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(socket, address, size) != 0 || ::listen(socket, 256) != 0 ||
        ::getsockname(socket, address, &size) != 0)
      throw std::system_error(errno, std::generic_category(), "127.0.0.1");
    port = ntohs(at.sin_port);
  }
};

}  // namespace app
