// SPDX-License-Identifier: MIT
// signals.cpp - SIGINT and SIGTERM become a question the loop can ask.

#include "signals.hpp"

#include "server.hpp"

#include <atomic>

namespace demo {
namespace {

// A signal handler has no argument of ours, and only lock-free atomics may be touched in one.
std::atomic<server*> woken{nullptr};
std::atomic<int> last_signal{0};
static_assert(std::atomic<server*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int number) {
  last_signal.store(number);
  if (auto* const target = woken.load()) target->notify();
}

}  // namespace

signals::signals(server& wakes) {
  last_signal.store(0);
  woken.store(&wakes);
  struct sigaction ask {};
  ask.sa_handler = on_signal;
  ask.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  ::sigaction(SIGINT, &ask, &interrupt_before_);
  ::sigaction(SIGTERM, &ask, &terminate_before_);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &pipe_before_);
}

signals::~signals() {
  ::sigaction(SIGINT, &interrupt_before_, nullptr);
  ::sigaction(SIGTERM, &terminate_before_, nullptr);
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  woken.store(nullptr);
}

int signals::received() const noexcept { return last_signal.load(); }

}  // namespace demo
