// SPDX-License-Identifier: MIT
// socket_streams.hpp - streams on sockets of Linux; the part of sockets.hpp for who decides about requests.
#pragma once

#include <ssewire/adapters/nested_epoll.hpp>
#include <ssewire/adapters/plain_socket.hpp>
#include <ssewire/drivers/reactor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// A reactor, the connections of its streams, and what wakes them.
///
/// @tparam Connection  plain_socket, tls_socket, or a class of yours with the same members.
/// @par Threads        One, except for ring(). Publishers may be on any.
template <class Connection = plain_socket, class Traits = default_traits> class socket_streams {
  struct seat {
    Connection on;
    std::shared_ptr<void> kept;
    typename std::list<seat>::iterator self = {};
    stream_id id = {};
    bool heard_all = false;   // the peer has sent its last byte
    bool is_over = false;     // the stream
    steady_time closes = {};  // then: at the end of a turn, when no event names it
  };
  struct writer {
    socket_streams* of;
    seat* to;
    write_result write(buffers pieces) { return to->on.write(pieces); }
    void on_closed(close_reason, ending how) { of->end(*to, how); }
  };

 public:
  /// @throws  std::system_error if there are no descriptors left.
  explicit socket_streams(timing_options timing = {}) : streams_(loop_signal::of(loop_), timing) {}

  /// A descriptor that is readable when a turn is due: have your loop wait for it.
  [[nodiscard]] int fd() const noexcept { return loop_.fd(); }
  /// Makes fd() readable. Any thread.
  void ring() noexcept { loop_(); }
  /// Connections, those included that only wait for their peer to read the rest.
  [[nodiscard]] std::size_t connections() const noexcept { return open_.size() + closing_.size(); }
  /// The reactor. After calls from outside a turn, ring().
  [[nodiscard]] basic_reactor<writer, Traits>& streams() noexcept { return streams_; }

  /// The connection of a stream that has not ended.
  [[nodiscard]] Connection& connection(stream_id id) noexcept { return streams_.writer(id)->to->on; }

  /// Takes over a connection whose request was read, for a stream from a subscription, or from nothing; see
  /// basic_reactor::add(). On an error it is closed. `kept` is kept as long as the stream.
  template <class... From>
  result<stream_id> add(Connection to, stream_options how, std::shared_ptr<void> kept, From... from) {
    how.same_bytes_again = Connection::same_bytes_again;
    open_.push_front({std::move(to), std::move(kept)});
    auto& s = *(open_.front().self = open_.begin());
    result<stream_id> added{{}, errc::no_memory};
    if (loop_.watch(s.on.fd(), &s)) added = streams_.add({this, &s}, std::move(from)..., std::move(how));
    s.id = added.value;
    if (!added) open_.pop_front();
    return added;
  }

  /// Does what is due. It never waits.
  void turn() noexcept {
    for (auto const& [events, what] : loop_.next()) {
      if (what.ptr != nullptr) look(*static_cast<seat*>(what.ptr), events);
    }
    auto const now = steady_time::clock::now();
    auto const asked = streams_.poll(now);
    while (!closing_.empty() && closing_.front().closes <= now) closing_.pop_front();
    auto const later = closing_.empty() ? now + std::chrono::hours(1) : closing_.front().closes;
    loop_.ring_at(asked.more ? now : (std::min)(asked.next.value_or(later), later));
  }

 private:
  void look(seat& s, std::uint32_t events) noexcept {
    if (s.on.fd() < 0) return;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return gone(s);
    auto got = arrival::more;
    for (int i = 0; i < 8 && got == arrival::more; ++i) got = s.on.discard();
    if (got == arrival::failure || (got == arrival::end && s.is_over)) return gone(s);
    if (got == arrival::more) loop_.watch_again(s.on.fd(), &s);
    // It may have gone, and answers this with a reset then; or it goes on to read.
    if (got == arrival::end && !std::exchange(s.heard_all, true)) (void)streams_.comment(s.id, "");
    streams_.writable(s.id);
  }
  void gone(seat& s) noexcept {
    if (!s.is_over) return streams_.close(s.id, close_reason::peer_gone);
    s.closes = {};
    closing_.splice(closing_.begin(), closing_, s.self);
  }
  void end(seat& s, ending how) noexcept {
    s.kept.reset();
    how == ending::cut ? s.on.cut() : s.on.finish();
    s.is_over = true;
    bool const lingers = how == ending::complete && !s.heard_all;
    if (lingers) s.closes = steady_time::clock::now() + std::chrono::seconds(2);
    closing_.splice(lingers ? closing_.end() : closing_.begin(), open_, s.self);
  }

  nested_epoll loop_;
  std::list<seat> open_;
  std::list<seat> closing_;                // by the time at which they close
  basic_reactor<writer, Traits> streams_;  // last: its writers point to the seats
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
