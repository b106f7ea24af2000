// SPDX-License-Identifier: MIT
// listener.hpp - a listening TCP socket, or a sentence that says why there is none.

#pragma once

#include "unique_fd.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace demo {

struct listen_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct listener {
  /// Non-blocking, close-on-exec.
  unique_fd socket;
  /// Such as http://127.0.0.1:43217 or http://[::1]:8080.
  std::string address;
};

/// Listens on the first address of `host` that can be bound. Port 0: any free one.
/// Throws      listen_error, its text fit for a user.
listener listen_on(std::string const& host, std::uint16_t port);

}  // namespace demo
