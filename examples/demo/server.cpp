// SPDX-License-Identifier: MIT
// server.cpp - a small HTTP server on one thread and epoll: what a program has before it adds event streams.

#include "server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

namespace demo {
namespace {

constexpr std::uint64_t listener_token = 0;
constexpr std::uint64_t wake_token = 1;
constexpr std::uint64_t other_token = 2;
constexpr std::uint64_t first_connection_id = 3;

constexpr std::size_t events_per_turn = 256;
constexpr int accepts_per_turn = 64;
constexpr std::size_t refusals_at_once = 256;  // clients beyond the limit that are being told so
constexpr std::chrono::milliseconds accept_pause{100};
constexpr std::chrono::milliseconds longest_wait{std::chrono::hours(1)};

[[noreturn]] void fail(char const* what) { throw std::system_error(errno, std::generic_category(), what); }

// The usual soft limit, 1024, is below the connections we allow. The hard limit is ours to use.
void raise_descriptor_limit(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

template <class T> void set_option(int socket, int level, int name, T value) {
  // A kernel without one of these serves all the same.
  static_cast<void>(::setsockopt(socket, level, name, &value, sizeof value));
}

}  // namespace

server::server(server_options options, handler on_request)
    : options_(std::move(options)), handler_(std::move(on_request)), next_id_(first_connection_id) {
  auto listening = listen_on(options_.host, options_.port);
  address_ = std::move(listening.address);
  listener_ = std::move(listening.socket);
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) fail("epoll_create1");
  wake_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_) fail("eventfd");
  watch(listener_.get(), EPOLLIN, listener_token);
  watch(wake_.get(), EPOLLIN, wake_token);
  raise_descriptor_limit(options_.max_connections + options_.other_descriptors + refusals_at_once + 64);
}

server::~server() {
  auto const doomed = std::exchange(connections_, {});
  for (auto const& [id, which] : doomed) which->phase_ = connection::phase::closed;
}

void server::watch(int fd, std::uint32_t events, std::uint64_t token) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

void server::wake_by(int fd) { watch(fd, EPOLLIN, other_token); }

void server::forget(int fd) noexcept { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

turn server::run_once(std::chrono::milliseconds max_wait) {
  empty_graves();  // calls between two turns close connections too
  turn done;
  // The time first, then the sockets: what lies in them came in time, also when the process stood still
  // between.
  auto const now = clock::now();
  epoll_event events[events_per_turn];
  auto const count =
      ::epoll_wait(epoll_.get(), events, static_cast<int>(events_per_turn), wait_milliseconds(max_wait));
  if (count < 0 && errno != EINTR) fail("epoll_wait");

  // Taken before the events are served: who is scheduled from now on has had this turn.
  auto const scheduled = std::exchange(scheduled_, {});
  for (int i = 0; i < count; ++i) {
    auto const token = events[i].data.u64;
    ++done.events;
    if (token == wake_token) {
      std::uint64_t times = 0;
      static_cast<void>(!::read(wake_.get(), &times, sizeof times));
      done.notified = true;
    } else if (token == listener_token) {
      accept_some();
    } else if (auto const found = connections_.find(token); found != connections_.end()) {
      found->second->on_events(events[i].events);
    }
  }
  for (auto const id : scheduled) {
    if (auto const found = connections_.find(id); found != connections_.end()) found->second->on_scheduled();
  }
  // Nobody's time is up before all sockets were looked at: not after EINTR, nor if there are more than fit.
  if (count >= 0 && count < static_cast<int>(events_per_turn)) run_deadlines(now);
  empty_graves();
  return done;
}

void server::notify() noexcept {
  auto const kept = errno;  // a signal handler must leave it as it was
  std::uint64_t const one = 1;
  static_cast<void>(!::write(wake_.get(), &one, sizeof one));
  errno = kept;
}

int server::wait_milliseconds(std::chrono::milliseconds max_wait) const {
  using std::chrono::milliseconds;
  if (!scheduled_.empty()) return 0;
  auto wait = std::clamp(max_wait, milliseconds(0), longest_wait);
  auto const until = [&](clock::time_point when) {
    // Rounded up, or the last millisecond would be spent in turns that find nothing due.
    auto const left = std::chrono::ceil<milliseconds>(when - clock::now());
    wait = std::clamp(left, milliseconds(0), wait);
  };
  if (!deadlines_.empty()) until(deadlines_.begin()->first);
  if (accept_again_) until(*accept_again_);
  return static_cast<int>(wait.count());
}

void server::accept_some() {
  for (int i = 0; i < accepts_per_turn && listener_; ++i) {
    unique_fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      admit(std::move(socket));
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause_accepting();
      return;
    }
    // Anything else is about one client that is already gone (accept(2)), or an interruption.
  }
}

// Without a free descriptor the client stays in the queue and its event with it: the loop would spin.
void server::pause_accepting() {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  accept_again_ = clock::now() + accept_pause;
}

void server::admit(unique_fd socket) {
  auto const fd = socket.get();
  bool const refused = connection_count() >= options_.max_connections;
  if (connection_count() >= options_.max_connections + refusals_at_once) return;

  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // an event is small and wanted now
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
             static_cast<unsigned int>(options_.unacknowledged_timeout.count()));
  if (options_.send_buffer_bytes > 0) {
    constexpr std::size_t most = std::numeric_limits<int>::max();
    set_option(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>((std::min)(options_.send_buffer_bytes, most)));
  }

  auto const id = next_id_++;
  auto made = std::make_unique<connection>(*this, id, std::move(socket));
  auto& which = *made;
  connections_.emplace(id, std::move(made));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.u64 = id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    which.close();
  } else if (refused) {
    which.refuse(503, "there are too many connections");
  }
}

void server::stop_accepting() {
  if (stopping_) return;
  stopping_ = true;
  accept_again_.reset();
  listener_.reset();
  for (auto const& [id, which] : connections_) which->on_stopping();
}

void server::schedule(connection& which) {
  if (std::exchange(which.scheduled_, true)) return;
  scheduled_.push_back(which.id_);
}

void server::bury(connection& which) { graves_.push_back(which.id_); }

void server::empty_graves() {
  for (auto const id : std::exchange(graves_, {})) connections_.erase(id);
}

void server::set_deadline(connection& which, clock::time_point when) {
  clear_deadline(which);
  deadlines_.emplace(when, which.id_);
  which.deadline_ = when;
}

void server::clear_deadline(connection& which) {
  if (which.deadline_) deadlines_.erase({*which.deadline_, which.id_});
  which.deadline_.reset();
}

void server::run_deadlines(clock::time_point now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    auto const id = deadlines_.begin()->second;
    auto& which = *connections_.find(id)->second;
    clear_deadline(which);
    which.on_deadline();
  }
  if (accept_again_ && *accept_again_ <= now) {
    accept_again_.reset();
    watch(listener_.get(), EPOLLIN, listener_token);
  }
}

}  // namespace demo
