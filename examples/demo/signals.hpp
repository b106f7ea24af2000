// SPDX-License-Identifier: MIT
// signals.hpp - SIGINT and SIGTERM become a question the loop can ask.

#pragma once

#include <signal.h>

namespace demo {

class server;

/// From construction to destruction the first SIGINT or SIGTERM ends the server's wait and is remembered; a
/// second one of the same kind ends the process, for a user who will not wait. SIGPIPE is ignored.
/// Threads     one object at a time in a process.
class signals {
 public:
  explicit signals(server& wakes);
  signals(signals const&) = delete;
  signals& operator=(signals const&) = delete;
  ~signals();

  /// The signal that came, 0 before it has.
  int received() const noexcept;

 private:
  struct sigaction interrupt_before_ {};
  struct sigaction terminate_before_ {};
  struct sigaction pipe_before_ {};
};

}  // namespace demo
