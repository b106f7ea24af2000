// SPDX-License-Identifier: MIT
// fanout_loop.hpp - a server of event streams on epoll, reduced to what sending needs, and two ways for it
// to send: the library's reactor, and bare system calls. fanout.cpp times it, fanout_counts.cpp counts it.
//
// A control connection publishes, one line each, and asks for figures:
//   P DATA   an event
//   M        a line of figures, see mark()
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>

#include <cost/counting.hpp>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// As many descriptors as may be.
inline void raise_file_limit() {
  rlimit files = {};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

/// Counts the system calls of a server that has its subscribers.
struct system_calls {
  std::uint64_t made = 0;

  ssize_t send(int to, void const* bytes, std::size_t size) noexcept {
    ++made;
    return ::send(to, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ssize_t send(int to, iovec* parts, std::size_t count) noexcept {
    msghdr m = {};
    m.msg_iov = parts;
    m.msg_iovlen = count;
    ++made;
    return ::sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
};
inline system_calls calls;

// As long as the library's frame is with its ID, so that both send as many bytes.
inline constexpr std::string_view bare_head = "id: 000000000000-0000000000000000\ndata: ";
inline constexpr std::string_view greeting = "event: ssewire.position\ndata: {}\n\n";

// ---- the library ----

/// All there is between the reactor and a socket.
struct socket_writer {
  int socket;

  ssewire::write_result write(ssewire::buffers pieces) noexcept {
    std::array<iovec, 32> parts;
    std::size_t count = 0;
    for (auto const piece : pieces) {
      if (count == parts.size()) break;  // the rest comes again
      parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    auto const sent = calls.send(socket, parts.data(), count);
    if (sent > 0) return {ssewire::write_status::ok, static_cast<std::size_t>(sent)};
    return {errno == EAGAIN ? ssewire::write_status::again : ssewire::write_status::closed, 0};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) { ::close(socket); }
};

/// The broker's default traits, with its memory counted.
struct fanout_traits : ssewire::default_traits {
  static void* allocate(std::size_t bytes) noexcept { return counted_allocate(bytes); }
  static void deallocate(void* memory_of, std::size_t) noexcept { counted_free(memory_of); }
};

/// Streams that a reactor can serve together.
struct subscribe_plainly {
  auto operator()(auto& broker, std::string_view channel) const { return broker.subscribe(channel); }
};

template <class Traits = fanout_traits, class Subscribe = subscribe_plainly> class through_reactor {
 public:
  explicit through_reactor(ssewire::broker_options options = {}) : broker_(options) {}
  ~through_reactor() { ::close(wake_); }
  [[nodiscard]] int wake_descriptor() const noexcept { return wake_; }

  std::uint64_t add(int socket, std::string_view channel, std::string preamble) {
    auto from = Subscribe()(broker_, channel);
    must(from, "subscribe");
    auto const added =
        streams_.add(socket_writer{socket}, std::move(from.value), {.preamble = std::move(preamble)});
    must(added, "add");
    return std::uint64_t{added.value.generation} << 32 | added.value.slot;
  }
  void writable(std::uint64_t token) { streams_.writable(id_of(token)); }
  void remove(std::uint64_t token) { streams_.close(id_of(token), ssewire::close_reason::peer_gone); }
  void publish(std::string_view channel, std::string_view data) {
    must(broker_.publish(channel, {.data = data}), "publish");
  }

  /// Sends what there is; says how long the loop may wait.
  int flush() {
    for (int turns = 0; turns < turns_a_look; ++turns) {
      auto const now = ssewire::steady_time::clock::now();
      auto const next = streams_.poll(now);
      if (next.more) continue;
      if (!next.next) return -1;
      auto const wait = std::chrono::ceil<std::chrono::milliseconds>((std::max)(*next.next, now) - now);
      return static_cast<int>(wait.count());
    }
    return 0;
  }

 private:
  // The reactor serves 256 streams a turn. Between two looks at its sockets, each of which is a system call,
  // this loop can afford four of them: about 4 ms.
  static constexpr int turns_a_look = 4;

  // Heartbeats and stalls are kept track of as ever, but none comes into what is measured, however long that
  // takes.
  static constexpr ssewire::steady_duration none_due = std::chrono::hours(1);

  static ssewire::stream_id id_of(std::uint64_t token) noexcept {
    return {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(token >> 32)};
  }
  // As if the publisher were on another thread. Edge-triggered, it need not be read.
  static void wake(void* self) noexcept {
    std::uint64_t const one = 1;
    ++calls.made;
    must(::write(static_cast<through_reactor*>(self)->wake_, &one, sizeof one) == sizeof one, "eventfd");
  }

  int wake_ = ::eventfd(0, EFD_NONBLOCK);
  ssewire::basic_broker<Traits> broker_;
  ssewire::basic_reactor<socket_writer, Traits> streams_{{&wake, this}, {none_due, none_due}};
};

// ---- bare ----

/// What no server can be faster than: one buffer, made once, sent to everybody. Who cannot take it all at
/// once has no place here.
class bare {
 public:
  enum class way : unsigned char {
    send_each,   // a system call for each event and subscriber
    all_pending  // all events of a turn in one
  };

  explicit bare(way how) : way_(how) {}
  [[nodiscard]] int wake_descriptor() const noexcept { return -1; }
  std::uint64_t add(int socket, std::string_view, std::string preamble) {
    preamble += greeting;
    send_all(socket, preamble);
    subscribers_.push_back(socket);
    return static_cast<std::uint64_t>(socket);
  }
  void writable(std::uint64_t) {}
  void remove(std::uint64_t socket) {
    std::erase(subscribers_, static_cast<int>(socket));
    ::close(static_cast<int>(socket));
  }
  void publish(std::string_view, std::string_view data) {
    if (used_ == frames_.size()) frames_.emplace_back();
    frames_[used_++].assign(bare_head).append(data).append("\n\n");
  }
  int flush() {
    parts_.clear();
    std::size_t bytes = 0;
    for (auto& frame : std::span(frames_).first(std::exchange(used_, 0))) {
      bytes += frame.size();
      parts_.push_back({frame.data(), frame.size()});
      if (way_ == way::all_pending) continue;
      for (int const socket : subscribers_) send_all(socket, frame);
    }
    if (parts_.empty() || way_ == way::send_each) return -1;
    for (int const socket : subscribers_) {
      must(calls.send(socket, parts_.data(), parts_.size()) == static_cast<ssize_t>(bytes), "sendmsg");
    }
    return -1;
  }

 private:
  static void send_all(int socket, std::string_view bytes) {
    must(calls.send(socket, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "send");
  }

  way way_;
  std::vector<int> subscribers_;
  std::vector<std::string> frames_;  // of this turn: the first `used_` of them
  std::size_t used_ = 0;
  std::vector<iovec> parts_;
};

// ---- the loop ----

template <class Sender> class fanout_loop {
 public:
  template <class... Options>
  explicit fanout_loop(Options... options) : epoll_(::epoll_create1(0)), sender_(options...) {
    if (sender_.wake_descriptor() >= 0) watch(sender_.wake_descriptor(), EPOLLIN | EPOLLET, woken);
  }
  ~fanout_loop() { ::close(epoll_); }
  fanout_loop(fanout_loop const&) = delete;

  void add(int socket, std::string_view channel = all, std::string preamble = {}) {
    auto const token = sender_.add(socket, channel, std::move(preamble));
    watch(socket, EPOLLOUT | EPOLLRDHUP | EPOLLET, token);  // once: nobody needs to change it later
  }
  void obey(int control, std::string_view channel = all) {
    control_ = control;
    channel_ = channel;
    watch(control, EPOLLIN, commands);
  }
  void listen(int socket) { watch(socket, EPOLLIN, newcomer); }

  /// Waits, reads, sends. `arrived` is called for the listening socket. False: the control connection has
  /// gone.
  template <class Arrived> bool turn(Arrived arrived) { return handle(look(wait_ms_), arrived); }

  /// Turns until there is nothing left to do.
  void settle() {
    for (std::size_t found = 1; found != 0 || wait_ms_ == 0;) {
      found = look(0);
      must(handle(found, [] {}), "the control connection");
    }
  }

  static constexpr std::string_view all = "all";

 private:
  static constexpr std::uint64_t woken = ~std::uint64_t{0};
  static constexpr std::uint64_t commands = woken - 1;
  static constexpr std::uint64_t newcomer = woken - 2;

  void watch(int what, std::uint32_t for_what, std::uint64_t token) {
    epoll_event e = {};
    e.events = for_what;
    e.data.u64 = token;
    must(::epoll_ctl(epoll_, EPOLL_CTL_ADD, what, &e) == 0, "epoll_ctl");
  }

  std::size_t look(int wait_ms) {
    ++calls.made;
    auto const found = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), wait_ms);
    return found > 0 ? static_cast<std::size_t>(found) : 0;
  }

  template <class Arrived> bool handle(std::size_t found, Arrived arrived) {
    for (auto const& e : std::span(events_).first(found)) {
      if (e.data.u64 == woken) continue;
      if (e.data.u64 == newcomer) {
        arrived();
      } else if (e.data.u64 == commands) {
        if (!read_commands()) return false;
      } else {
        if ((e.events & EPOLLOUT) != 0) sender_.writable(e.data.u64);
        if ((e.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) sender_.remove(e.data.u64);
      }
    }
    wait_ms_ = sender_.flush();
    return true;
  }

  bool read_commands() {
    ++calls.made;
    auto const n = ::read(control_, text_.data() + begun_, text_.size() - begun_);
    if (n <= 0) return false;
    std::string_view left(text_.data(), begun_ + static_cast<std::size_t>(n));
    for (std::size_t end; (end = left.find('\n')) != left.npos; left.remove_prefix(end + 1)) {
      if (left[0] == 'M') mark();
      if (left[0] == 'P') sender_.publish(channel_, left.substr(2, end - 2));
    }
    begun_ = left.size();
    must(begun_ < text_.size(), "a command that is too long");
    std::memmove(text_.data(), left.data(), begun_);
    return true;
  }

  // mark CPU-NANOSECONDS SYSTEM-CALLS ALLOCATIONS. The answer's own call does not count.
  void mark() {
    timespec used;
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    auto const cpu = std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
    std::array<char, 100> line;
    auto const size = std::snprintf(line.data(), line.size(), "mark %lld %zu %zu\n",
                                    static_cast<long long>(cpu), std::size_t{calls.made}, memory.allocations);
    must(::write(control_, line.data(), static_cast<std::size_t>(size)) == size, "mark");
  }

  int epoll_;
  Sender sender_;
  int wait_ms_ = -1;
  std::array<epoll_event, 256> events_;
  int control_ = -1;
  std::string channel_;
  std::size_t begun_ = 0;  // bytes of a command that is not all there
  std::vector<char> text_ = std::vector<char>(1024 * 1024);
};

}  // namespace bench
