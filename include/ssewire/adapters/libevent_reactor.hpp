// SPDX-License-Identifier: MIT
// libevent_reactor.hpp - a reactor that a loop of libevent turns: the part of evhttp.hpp for programs that
// write to sockets of libevent themselves.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/timing.hpp>

#include <event2/event.h>
#include <event2/util.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <new>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// A reactor and the events of libevent that turn it.
///
/// @par Lifetime  Destroy it before the loop.
/// @par Threads   The loop's. Publishers may be on any.
template <class Writer, class Traits = default_traits> class libevent_reactor {
 public:
  /// @throws  std::bad_alloc, also if there are no sockets left.
  explicit libevent_reactor(event_base* loop, timing_options timing = {})
      : streams_(loop_signal::of(bell_), timing),
        rung_(event_new(loop, bell_.ends[0], EV_READ | EV_PERSIST, &turn, this)),
        timer_(event_new(loop, -1, 0, &turn, this)) {
    if (bell_.ends[0] < 0 || !rung_ || !timer_ || event_add(rung_.get(), nullptr) != 0)
      throw std::bad_alloc();
  }
  libevent_reactor(libevent_reactor const&) = delete;
  libevent_reactor& operator=(libevent_reactor const&) = delete;

  /// The reactor. After each call ask for a turn.
  [[nodiscard]] basic_reactor<Writer, Traits>& streams() noexcept { return streams_; }
  /// Polls the reactor soon, on the loop.
  void ask_for_a_turn() noexcept { event_active(timer_.get(), 0, 0); }

 private:
  // A publisher writes to one end, and the loop reads from the other.
  struct bell {
    std::array<evutil_socket_t, 2> ends = {-1, -1};
    bell() {
      if (evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) ends = {-1, -1};
      for (auto const end : ends) evutil_make_socket_nonblocking(end);
    }
    ~bell() {
      for (auto const end : ends) evutil_closesocket(end);
    }
    void operator()() noexcept { (void)!::send(ends[1], "", 1, 0); }
  };
  struct deleter {
    void operator()(::event* e) const noexcept { event_free(e); }
  };

  static void turn(evutil_socket_t from, short, void* self) {
    auto& s = *static_cast<libevent_reactor*>(self);
    char unwanted[64];
    while (from >= 0 && ::recv(from, unwanted, sizeof unwanted, 0) > 0) {
    }
    auto const now = steady_time::clock::now();
    auto const asked = s.streams_.poll(now);
    if (!asked.more && !asked.next) return;
    auto const left = asked.more ? steady_duration(0) : (std::max)(*asked.next - now, steady_duration(0));
    auto const us = std::chrono::ceil<std::chrono::microseconds>(left).count();
    timeval const in = {static_cast<time_t>(us / 1'000'000), static_cast<suseconds_t>(us % 1'000'000)};
    event_add(s.timer_.get(), &in);
  }

  bell bell_;
  basic_reactor<Writer, Traits> streams_;
  std::unique_ptr<::event, deleter> rung_;
  std::unique_ptr<::event, deleter> timer_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
