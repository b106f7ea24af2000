// SPDX-License-Identifier: MIT
// fanout.cpp - what a fan-out costs a server: the library's reactor, or the least that can be done.
//   fanout ours [LOG-EVENTS]   broker, reactor, one sendmsg a write
//   fanout bare                one send for each event and subscriber, of one buffer that all share
//   fanout merged              as bare, but one sendmsg for all events of a turn
// Prints `port NUMBER`. A connection that begins with CTL is the control connection, and its end is the
// server's; all others subscribe.
//   fanout client PORT SUBSCRIBERS BURST BURSTS WARM-UP
// BURSTS times, BURST events of 150 bytes of data are published at once, and the next burst when every
// subscriber has all of the last: nobody can merge what is not of one burst. WARM-UP bursts before that do
// not count. One process, one thread. Prints a line:
//   fanout CPU CALLS ALLOCATIONS P50 P99 SPAN
// the server's for the bursts that count, CPU in nanoseconds; then nanoseconds from publishing to receipt,
// and from a burst's first receipt to its last (the median).
#include <fanout_loop.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using bench::must;

constexpr unsigned longest_life = 300;  // seconds; nobody waits for a bench that hangs

sockaddr_in loopback(int port) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

void set(int socket, int level, int option, auto const& value) {
  must(::setsockopt(socket, level, option, &value, sizeof value) == 0, "setsockopt");
}

// ---- the server ----

constexpr std::string_view head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Cache-Control: no-cache\r\nConnection: close\r\n\r\n";

int listen_on_loopback() {
  int const listener = ::socket(AF_INET, SOCK_STREAM, 0);
  auto at = loopback(0);
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  socklen_t size = sizeof at;
  must(::bind(listener, address, size) == 0 && ::listen(listener, 4096) == 0 &&
           ::getsockname(listener, address, &size) == 0,
       "listen");
  std::printf("port %d\n", ntohs(at.sin_port));
  std::fflush(stdout);
  return listener;
}

template <class Sender, class... Options> int serve(Options... options) {
  bench::fanout_loop<Sender> loop(options...);
  int const listener = listen_on_loopback();
  loop.listen(listener);
  // A newcomer has sent its request already, or soon will: this waits for it.
  auto const arrived = [&] {
    int const socket = ::accept(listener, nullptr, nullptr);
    must(socket >= 0, "accept");
    set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set(socket, SOL_SOCKET, SO_RCVTIMEO, timeval{5, 0});
    char begins[4];  // and no more: the first command may follow
    must(::read(socket, begins, sizeof begins) == sizeof begins, "request");
    if (std::string_view(begins, sizeof begins) == "CTL\n") {
      loop.obey(socket);
    } else {
      loop.add(socket, loop.all, std::string(head));
    }
  };
  while (loop.turn(arrived)) {
  }
  return 0;
}

// ---- the client ----

constexpr int patience_ms = 20'000;  // for the next bytes
constexpr std::size_t connects_at_once = 512;

std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

int connect_to(int port, std::string_view first) {
  int const socket = ::socket(AF_INET, SOCK_STREAM, 0);
  must(socket >= 0, "socket");
  set(socket, SOL_SOCKET, SO_LINGER, linger{1, 0});  // no port waits for the dead
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket, SOL_SOCKET, SO_RCVTIMEO, timeval{patience_ms / 1000, 0});
  auto const at = loopback(port);
  must(::connect(socket, reinterpret_cast<sockaddr const*>(&at), sizeof at) == 0, "connect");
  must(::send(socket, first.data(), first.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(first.size()),
       "request");
  return socket;
}

// The response's head ends with an empty line of its own kind, CRLF; the first event with LF LF.
void await_greeting(int socket) {
  std::string seen;
  std::array<char, 1024> bytes;
  while (!seen.ends_with("\n\n")) {
    auto const n = ::recv(socket, bytes.data(), bytes.size(), 0);
    must(n > 0, "no greeting");
    seen.append(bytes.data(), static_cast<std::size_t>(n));
  }
}

using figures = std::array<long long, 3>;

class publisher {
 public:
  explicit publisher(int port) : socket_(connect_to(port, "CTL\n")) {}

  void send(std::string_view lines) const {
    for (; !lines.empty();) {
      auto const n = ::send(socket_, lines.data(), lines.size(), MSG_NOSIGNAL);
      must(n > 0, "publish");
      lines.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  [[nodiscard]] figures mark() const {
    send("M\n");
    std::array<char, 256> line = {};
    must(::recv(socket_, line.data(), line.size() - 1, 0) > 0, "mark");
    figures f = {};
    must(std::sscanf(line.data(), "mark %lld %lld %lld", &f[0], &f[1], &f[2]) == 3, "mark");
    return f;
  }

 private:
  int socket_;
};

// Data of a fixed length that begins with the time.
std::string data_of(std::int64_t time) {
  auto data = bench::detail::digits(static_cast<std::size_t>(time), 20);
  while (data.size() < 150) data += static_cast<char>('a' + data.size() % 26);
  return data;
}

class readers {
 public:
  void add(int socket) {
    epoll_event e = {};
    e.events = EPOLLIN;
    e.data.u32 = static_cast<std::uint32_t>(sockets_.size());
    must(::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &e) == 0, "epoll_ctl");
    sockets_.push_back(socket);
    got_.push_back(0);
  }

  // Each reader is to get `events` more, the last of which ends with `tail`. Adds the time of each one's
  // last byte.
  void await(std::size_t events, std::string_view tail, std::vector<std::int64_t>& times) {
    auto left = sockets_.size();
    auto const wanted = events * frame_;
    std::array<epoll_event, 512> ready;
    while (left > 0) {
      auto const n = ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), patience_ms);
      must(n > 0, "a reader waits in vain");
      for (auto const* e = ready.data(); e < ready.data() + n; ++e) {
        auto& got = got_[e->data.u32];
        auto const bytes = ::recv(sockets_[e->data.u32], buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        must(bytes > 0, "a reader was dropped");
        got += static_cast<std::size_t>(bytes);
        std::string_view const text(buffer_.data(), static_cast<std::size_t>(bytes));
        if (frame_ == 0 ? !text.ends_with(tail) : got < wanted) continue;
        must(frame_ == 0 || got == wanted, "a reader got too much");
        must(text.size() < tail.size() ? tail.ends_with(text) : text.ends_with(tail),
             "a reader got other bytes");
        times.push_back(now());
        got = frame_ == 0 ? got : 0;
        --left;
      }
    }
  }

  // From the first event that all have: the others are as long.
  void learn_frame() {
    frame_ = got_.front();
    for (auto& got : got_) must(std::exchange(got, 0) == frame_, "frames of different length");
  }

 private:
  int epoll_ = ::epoll_create1(0);
  std::vector<int> sockets_;
  std::vector<std::size_t> got_;  // bytes of this burst
  std::size_t frame_ = 0;
  std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

std::int64_t quantile(std::vector<std::int64_t>& of, double part) {
  auto const at = of.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(of.size() - 1));
  std::nth_element(of.begin(), at, of.end());
  return *at;
}

void run_client(char** arguments) {
  auto const number = [&](int i) {
    return static_cast<std::size_t>(std::strtoull(arguments[i], nullptr, 10));
  };
  auto const port = static_cast<int>(number(2));
  auto const many = number(3), burst = number(4), bursts = number(5), warm_up = number(6);
  readers all;
  for (std::size_t done = 0; done < many;) {
    std::vector<int> fresh;  // no more than a listening socket lets wait
    for (; fresh.size() < connects_at_once && done < many; ++done) {
      fresh.push_back(connect_to(port, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    for (int const socket : fresh) {
      await_greeting(socket);
      all.add(socket);
    }
  }

  publisher const to(port);
  std::vector<std::int64_t> times;
  std::vector<std::int64_t> latencies;
  std::vector<std::int64_t> spans;
  auto const publish = [&](std::size_t events) {
    auto const began = now();
    auto const data = data_of(began);
    std::string lines;
    for (std::size_t i = 0; i < events; ++i) lines += "P " + data + "\n";
    times.clear();
    to.send(lines);
    all.await(events, data + "\n\n", times);
    for (auto& time : times) time -= began;
  };
  publish(1);
  all.learn_frame();
  for (std::size_t i = 0; i < warm_up; ++i) publish(burst);
  latencies.reserve(many * bursts);
  auto const before = to.mark();
  for (std::size_t i = 0; i < bursts; ++i) {
    publish(burst);
    latencies.insert(latencies.end(), times.begin(), times.end());
    spans.push_back(times.back() - times.front());
  }
  auto const after = to.mark();
  std::printf("fanout");
  for (std::size_t i = 0; i < after.size(); ++i) std::printf(" %lld", after[i] - before[i]);
  for (auto const figure : {quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(spans, 0.5)}) {
    std::printf(" %lld", static_cast<long long>(figure));
  }
  std::printf("\n");
}

}  // namespace

int main(int count, char** arguments) {
  std::string_view const how = count > 1 ? arguments[1] : "";
  ::alarm(longest_life);
  bench::raise_file_limit();
  if (how == "client" && count == 7) {
    run_client(arguments);
    return 0;
  }
  if (how == "ours") {
    ssewire::broker_options options;
    if (count > 2) options.replay = {std::strtoull(arguments[2], nullptr, 10), std::size_t{1} << 30};
    return serve<bench::through_reactor<>>(options);
  }
  if (how == "bare") return serve<bench::bare>(bench::bare::way::send_each);
  if (how == "merged") return serve<bench::bare>(bench::bare::way::all_pending);
  std::fprintf(stderr, "usage: fanout ours [LOG-EVENTS] | bare | merged | client ...\n");
  return 2;
}
