// SPDX-License-Identifier: MIT
// socket_options_test.cpp - what a socket is told before it carries a stream.
#include <ssewire/drivers/socket_options.hpp>

#include <doctest/doctest.h>

#include <chrono>

#if defined(TCP_USER_TIMEOUT)
#include <unistd.h>

namespace {

int option(int socket, int which) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket, IPPROTO_TCP, which, &value, &size);
  return value;
}

}  // namespace

TEST_CASE("a socket sends at once, and gives a peer up after a minute, or another time") {
  int const socket = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(socket >= 0);
  CHECK(option(socket, TCP_NODELAY) == 0);
  CHECK(option(socket, TCP_USER_TIMEOUT) == 0);
  ssewire::set_socket_options(socket);
  CHECK(option(socket, TCP_NODELAY) != 0);
  CHECK(option(socket, TCP_USER_TIMEOUT) == 60'000);
  ssewire::set_socket_options(socket, std::chrono::milliseconds(1500));
  CHECK(option(socket, TCP_USER_TIMEOUT) == 1500);
  ssewire::set_socket_options(socket, std::chrono::milliseconds(0));
  CHECK(option(socket, TCP_USER_TIMEOUT) == 0);
  ::close(socket);
}
#endif
