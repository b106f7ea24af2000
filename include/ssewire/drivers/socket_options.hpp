// SPDX-License-Identifier: MIT
// socket_options.hpp - what a socket should be told before it carries an event stream.
// Source: RFC 5482 TCP User Timeout Option; tcp(7).
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <chrono>

#if __has_include(<netinet/tcp.h>)
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#endif

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Sets the options of a TCP socket that is to carry an event stream. What the system does not have, it does
/// not set.
///
/// - TCP_NODELAY: or an event may wait for the acknowledgement of the one before.
/// - TCP_USER_TIMEOUT: or a peer that lost its network is noticed only when the kernel has sent its bytes
///   again for a quarter of an hour.
///
/// @param socket      A TCP socket. One that listens gives the options to those that it accepts.
/// @param gone_after  A peer has gone that acknowledges nothing for this time, or has no room for more. With
///   a minute, as long as timing_options::stall_time, a phone may be in a tunnel. 0: the kernel's patience.
template <class Socket>
void set_socket_options(Socket socket,
                        std::chrono::milliseconds gone_after = std::chrono::seconds(60)) noexcept {
#if defined(TCP_NODELAY)
  int const on = 1;
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<char const*>(&on), sizeof on);
#endif
#if defined(TCP_USER_TIMEOUT)
  auto const ms = static_cast<unsigned>(gone_after.count());
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, reinterpret_cast<char const*>(&ms), sizeof ms);
#endif
  (void)socket, (void)gone_after;
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
