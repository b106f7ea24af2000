// SPDX-License-Identifier: MIT
// nested_epoll.hpp - an epoll with a bell and a timer, for which another loop can wait: a part of
// socket_streams.hpp.
// Source: epoll(7), eventfd(2), timerfd_create(2).
#pragma once

#include <ssewire/core/clock.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// An epoll with a bell and a timer.
///
/// @par Threads  One, except for the bell, which any may ring.
class nested_epoll {
 public:
  /// @throws  std::system_error if there are no descriptors left.
  nested_epoll() {
    for (int const own : {bell_.fd, timer_.fd}) {
      if (!watch(own, nullptr)) fail();
    }
  }

  /// A descriptor that is readable when there is something to do.
  [[nodiscard]] int fd() const noexcept { return epoll_.fd; }

  /// Watches a socket until it is closed, and reports each change of its state once.
  ///
  /// @param socket  A descriptor.
  /// @param what    What next() returns with its events.
  /// @return        false: the system has no memory for it.
  [[nodiscard]] bool watch(int socket, void* what) noexcept { return control(EPOLL_CTL_ADD, socket, what); }
  /// Reports the present state once more.
  void watch_again(int socket, void* what) noexcept { (void)control(EPOLL_CTL_MOD, socket, what); }

  /// Makes fd() readable. Any thread. It is a loop_signal.
  void operator()() noexcept {
    std::uint64_t const once = 1;
    (void)!::write(bell_.fd, &once, sizeof once);
  }
  /// Makes fd() readable at this time; instead of what was said before.
  void ring_at(steady_time when) noexcept {
    auto const left = std::chrono::ceil<std::chrono::microseconds>(when - steady_time::clock::now());
    auto const us = (std::max<long long>)(left.count(), 1);  // 0 would stop the timer
    itimerspec const at = {{},
                           {static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000 * 1000)}};
    (void)::timerfd_settime(timer_.fd, 0, &at, nullptr);
  }

  /// What has happened, without waiting; `what` is null for the bell and the timer, which then are silent.
  [[nodiscard]] std::span<epoll_event const> next() noexcept {
    auto const count = ::epoll_wait(epoll_.fd, ready_.data(), static_cast<int>(ready_.size()), 0);
    std::uint64_t times = 0;
    for (int const own : {bell_.fd, timer_.fd}) (void)!::read(own, &times, sizeof times);
    return {ready_.data(), static_cast<std::size_t>((std::max)(count, 0))};
  }

 private:
  struct descriptor {
    int fd;
    explicit descriptor(int made) : fd(made) {
      if (fd < 0) fail();
    }
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor() { ::close(fd); }
  };
  bool control(int how, int socket, void* what) noexcept {
    epoll_event of = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {what}};
    return ::epoll_ctl(epoll_.fd, how, socket, &of) == 0;
  }
  [[noreturn]] static void fail() { throw std::system_error(errno, std::generic_category(), "epoll"); }

  descriptor bell_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  descriptor timer_{::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
  descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::array<epoll_event, 64> ready_ = {};
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
