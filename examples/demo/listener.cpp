// SPDX-License-Identifier: MIT
// listener.cpp - a listening TCP socket, or a sentence that says why there is none.

#include "listener.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace demo {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

std::string explain(std::string const& host, std::uint16_t port, int error) {
  auto const place = "port " + std::to_string(port) + " on " + host;
  switch (error) {
  case EADDRINUSE: return place + " is taken";
  case EACCES: return place + " needs more rights than this user has";
  case EADDRNOTAVAIL: return host + " is not an address of this machine";
  default: return "cannot listen on " + place + ": " + reason(error);
  }
}

std::string address_of(int socket) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  auto* const name = reinterpret_cast<sockaddr*>(&bound);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  constexpr int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
  if (::getsockname(socket, name, &length) != 0 ||
      ::getnameinfo(name, length, host, sizeof host, port, sizeof port, numbers) != 0) {
    throw listen_error("the address listened on cannot be read");
  }
  bool const bracketed = bound.ss_family == AF_INET6;
  return std::string("http://") + (bracketed ? "[" : "") + host + (bracketed ? "]:" : ":") + port;
}

/// An empty descriptor and errno, or a socket that listens.
unique_fd try_address(addrinfo const& info) {
  auto const type = info.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC;
  unique_fd socket(::socket(info.ai_family, type, info.ai_protocol));
  if (!socket) return socket;
  // Without it a restart fails for a minute, while the old run's connections are in TIME_WAIT.
  int const on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), info.ai_addr, info.ai_addrlen) != 0 || ::listen(socket.get(), SOMAXCONN) != 0) {
    auto const error = errno;
    socket.reset();
    errno = error;
  }
  return socket;
}

}  // namespace

listener listen_on(std::string const& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  auto const failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (failed != 0) throw listen_error("host " + host + ": " + ::gai_strerror(failed));
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const owner(found, &::freeaddrinfo);

  int error = 0;
  for (auto const* info = found; info != nullptr; info = info->ai_next) {
    if (auto socket = try_address(*info)) {
      auto address = address_of(socket.get());
      return {std::move(socket), std::move(address)};
    }
    // Of several addresses a port that is taken tells the user most.
    if (error != EADDRINUSE) error = errno;
  }
  throw listen_error(explain(host, port, error));
}

}  // namespace demo
