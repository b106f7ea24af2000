// SPDX-License-Identifier: MIT
#include <ssewire/stream/writers.hpp>
#include <ssewire/testing/scripted_writer.hpp>
#include <ssewire/testing/writer_conformance.hpp>

#include <support/server_in_memory.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <support/server_on_sockets.hpp>
#define HAS_SOCKETS
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#endif

namespace {

using namespace support;

TEST_CASE("a far end has a name") {
  static_assert(name(far_end::open) == "open");
  static_assert(name(far_end::ended) == "ended");
  static_assert(name(far_end::dropped) == "dropped");
  CHECK(name(static_cast<far_end>(99)) == "unknown");
}

TEST_CASE("a writer that tries, one that completes and one that needs the same bytes again are right") {
  in_memory<try_writer> trying;
  passes(check_writer(trying));
  in_memory<completing_writer> completing;
  passes(check_writer(completing));
  in_memory<tls_writer> tls;
  passes(check_writer(tls));
}

TEST_CASE("right writers are right for every seed and any room") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    ssewire::testing::conformance_options options;
    options.seed = seed;
    options.bytes = 100'000;
    in_memory<try_writer> trying;
    CHECK(check_writer(trying, options).text().find("nothing is wrong") != std::string::npos);
    in_memory<completing_writer> completing;
    CHECK(check_writer(completing, options).text().find("nothing is wrong") != std::string::npos);
  }
}

// ---- ready writers ----

struct string_server {
  std::string to;
  driver_calls* driver = nullptr;

  ssewire::string_writer connect(driver_calls& d) {
    driver = &d;
    to.clear();
    return ssewire::string_writer(to, 10'000);
  }
  std::string read(std::size_t most) {
    auto out = to.substr(0, most);
    to.erase(0, most);
    return out;
  }
  void run() {
    if (to.size() < 5000) driver->writable();
  }
};

struct ostream_server {
  static constexpr bool takes_everything = true;
  std::stringstream to;

  ssewire::ostream_writer<std::stringstream> connect(driver_calls&) {
    to = std::stringstream();
    return ssewire::ostream_writer(to);
  }
  std::string read(std::size_t most) {
    std::string out(most, '\0');
    out.resize(static_cast<std::size_t>(to.readsome(out.data(), static_cast<std::streamsize>(most))));
    return out;
  }
  void close_peer() { to.setstate(std::ios::badbit); }
};

struct callback_server {
  static constexpr bool takes_everything = true;
  std::string to;
  bool open = true;

  auto connect(driver_calls&) {
    to.clear();
    open = true;
    return ssewire::callback_writer([this](std::string_view bytes) {
      if (open) to += bytes;
      return open;
    });
  }
  std::string read(std::size_t most) {
    auto out = to.substr(0, most);
    to.erase(0, most);
    return out;
  }
  void close_peer() { open = false; }
};

TEST_CASE("the ready writers are right") {
  string_server string;
  passes(check_writer(string));
  ostream_server ostream;
  passes(check_writer(ostream));
  callback_server callback;
  passes(check_writer(callback));
}

struct scripted_server {
  static constexpr bool takes_everything = true;
  std::unique_ptr<ssewire::testing::peer> to;
  std::size_t read_bytes = 0;
  std::uint64_t seed = 0;
  driver_calls* driver = nullptr;

  ssewire::testing::scripted_writer connect(driver_calls& d) {
    driver = &d;
    to = std::make_unique<ssewire::testing::peer>();
    to->otherwise = ssewire::testing::answers_at_random(++seed, {.take = 4, .again = 2, .pending = 1});
    read_bytes = 0;
    return ssewire::testing::scripted_writer(*to);
  }
  std::string read(std::size_t most) {
    auto out = to->taken.substr(read_bytes, most);
    read_bytes += out.size();
    return out;
  }
  void run() {
    if (to->pending()) {
      to->landed();
      driver->written(true);
    }
    if (to->blocked()) {
      to->let_go();
      driver->writable();
    }
  }
};

TEST_CASE(
    "a scripted writer is right, and finds nothing wrong with the check, which drives it as a driver does") {
  scripted_server scripted;
  passes(check_writer(scripted));
  CHECK(scripted.to->violations == "");
}

// ---- what is not checked ----

struct silent_server {
  try_writer connect(driver_calls& d) { return {std::make_shared<connection>(d)}; }
  std::string read(std::size_t) { return {}; }
};
TEST_CASE("a harness whose peer never reads anything is told so, and what was not checked is said") {
  silent_server server;
  auto const report = check_writer(server, quick());
  complains(report, "nothing ever arrived at the peer");
  CHECK(report.text().find("not checked: a peer that goes") != std::string::npos);
  CHECK(report.text().find("not checked: that the response ends") != std::string::npos);
}

// ---- it comes to an end, and says why ----

// A loop that says writable() in each turn, as one that polls does.
template <class Writer> struct polls_room : in_memory<Writer> {
  void run() {
    in_memory<Writer>::run();
    this->c->driver->writable();
  }
};

ssewire::testing::conformance_options soon_over() {
  auto out = quick();
  out.longest_check = 300ms;
  return out;
}

struct never_ends : try_writer {
  void on_closed(close_reason, ending) { ++c->releases; }
};
TEST_CASE("a response that never ends is told, though the loop says writable() each turn") {
  polls_room<never_ends> server;
  auto const report = check_writer(server, quick());
  complains(report,
            "the response never ended: on_closed() was called with `complete`, and the peer still waits");
  complains(report, "the response stayed open: on_closed() was called with `cut`, and the peer still waits");
}

struct never_released : try_writer {
  void on_closed(close_reason, ending how) {
    c->end = how == ending::complete ? far_end::ended : far_end::dropped;
  }
};
TEST_CASE("a connection that is never given back is told, though the loop says writable() each turn") {
  polls_room<never_released> server;
  complains(check_writer(server, quick()), "never gave its connection back: it leaks");
}

struct blind_when_closed : in_memory<try_writer> {
  far_end sees() const { return c->peer_open ? in_memory<try_writer>::sees() : far_end::open; }
};
TEST_CASE("a far end that is closed itself need not see the response end") {
  blind_when_closed server;
  passes(check_writer(server, quick()));
}

struct says_again_for_ever : try_writer {
  write_result write(buffers) { return {write_status::again, 0}; }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};
TEST_CASE("a writer that answers again for ever is told, whatever the loop says") {
  polls_room<says_again_for_ever> polling;
  complains(check_writer(polling, quick()),
            "one event: answered `again` with no bytes after each writable()");
  in_memory<says_again_for_ever> idle;
  complains(check_writer(idle, quick()), "answered `again`, and then nobody said writable()");
}

struct is_pending_for_ever : try_writer {
  write_result write(buffers) { return {write_status::pending, 0}; }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};
TEST_CASE("a writer that is pending for ever is told, whatever else moves") {
  polls_room<is_pending_for_ever> polling;
  complains(check_writer(polling, quick()), "answered `pending`, and then nobody said written()");
  struct : in_memory<is_pending_for_ever> {
    std::string read(std::size_t) { return "x"; }
  } trickling;
  complains(check_writer(trickling, soon_over()),
            "one event: was not over after 300 ms, although something moved all the time");
}

struct takes_one_byte : try_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    c->buffer += pieces.front().front();
    return {write_status::again, 1};
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};
TEST_CASE("a writer that takes a byte at a time is over some time, and other checks go on") {
  polls_room<takes_one_byte> server;
  auto options = soon_over();
  auto const report = check_writer(server, options);
  complains(report, "was not over after 300 ms, although something moved all the time");
  CHECK(report.checks == 12);
}

TEST_CASE("a loop that does nothing, and one that says everything in each turn, are told") {
  struct : in_memory<completing_writer> {
    void run() {}
  } idle;
  complains(check_writer(idle, quick()), "answered `pending`, and then nobody said written()");
  struct : in_memory<completing_writer> {
    void run() {
      c->driver->writable();
      c->driver->written(true);
    }
  } eager;
  complains(check_writer(eager, quick()), "written() came and no write was pending");
  struct : in_memory<try_writer> {
    void run() { c->driver->close(); }
  } leaving;
  complains(check_writer(leaving, quick()), "said close() although the peer was open");
}

TEST_CASE("a read() that always has more is told, at every place where it begins to") {
  for (std::size_t const honest : {0u, 64u, 100u, 400'000u}) {
    CAPTURE(honest);
    struct : in_memory<try_writer> {
      std::size_t left = 0;
      std::string read(std::size_t most) {
        if (left == 0) return std::string(most, 'x');
        auto out = in_memory<try_writer>::read((std::min)(most, left));
        left -= out.size();
        return out;
      }
    } server;
    server.left = honest;
    complains(check_writer(server, quick()), "that nobody offered, 'xxxxxxxxxxxxxxxx'");
  }
  struct : in_memory<try_writer> {
    std::string read(std::size_t most) {
      return c->peer_open ? in_memory<try_writer>::read(most) : std::string(most, 'x');
    }
  } closed;
  complains(check_writer(closed, quick()), "a peer that goes: sent bytes that nobody offered");
}

TEST_CASE("a sees() that is not open at the beginning, that flips or that throws is told") {
  struct : in_memory<try_writer> {
    far_end sees() const { return far_end::ended; }
  } stale;
  complains(check_writer(stale, quick()),
            "one event: sees() says that the response is over while the stream is open");
  struct : in_memory<try_writer> {
    std::size_t asked = 0;
    far_end sees() { return ++asked % 2 == 0 ? far_end::open : far_end::ended; }
  } flipping;
  complains(check_writer(flipping, quick()), "sees() says that the response is over");
#if defined(__cpp_exceptions)
  struct : in_memory<try_writer> {
    far_end sees() { throw std::runtime_error("lost"); }
    std::size_t releases() { throw std::runtime_error("lost, too"); }
  } throwing;
  complains(check_writer(throwing, quick()), "sees() threw lost");
  complains(check_writer(throwing, quick()), "releases() threw lost, too");
#endif
}

#ifdef HAS_SOCKETS

// As the example of docs/writer.md, and the slip of the pen that most often is made in it.
struct documented_harness : loop_server<socket_writer> {
  void run() {
    pollfd room = {pair->ours, POLLOUT, 0};
    if (::poll(&room, 1, 0) == 1) driver->writable();
  }
};
struct forgets_to_close {
  std::shared_ptr<socket_pair> pair;
  write_result write(buffers pieces) { return socket_writer{pair}.write(pieces); }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};
TEST_CASE("the documented harness: who forgets to close is told, and who closes is right, however much is "
          "looked at") {
  struct : socket_server<forgets_to_close, false> {
    void run() {
      pollfd room = {pair->ours, POLLOUT, 0};
      if (::poll(&room, 1, 0) == 1) driver->writable();
    }
  } forgetting;
  auto const report = check_writer(forgetting, quick());
  complains(report, "one event: the response never ended: on_closed() was called with `complete`, and the "
                    "peer still waits");
  complains(report, "dropped before the first byte: the response stayed open");
  struct : documented_harness {
    std::size_t releases() const { return pair->ours < 0 ? 1 : 0; }
  } closing;
  passes(check_writer(closing, quick()));
}

// The program is ended in a process of its own; what that says comes through a pipe.
template <class Harness> std::string last_words() {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  auto const child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    rlimit const none = {0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::dup2(ends[1], STDERR_FILENO);
    Harness server;
    auto options = quick();
    options.longest_call = 200ms;
    options.deadline = 300ms;
    (void)check_writer(server, options);
    std::_Exit(0);
  }
  ::close(ends[1]);
  std::string out;
  char bytes[512];
  for (ssize_t n = 0; (n = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    out.append(bytes, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  return out;
}

void for_ever() {
  for (;;) ::pause();
}
struct read_waits : in_memory<never_ends> {
  std::string read(std::size_t most) {
    if (c->buffer.empty() && c->releases != 0) for_ever();
    return in_memory<never_ends>::read(most);
  }
};
struct sees_waits : in_memory<try_writer> {
  far_end sees() const {
    for_ever();
    return far_end::open;
  }
};
struct loop_waits : in_memory<completing_writer> {
  void run() {
    if (!c->peer_open) for_ever();
    in_memory<completing_writer>::run();
  }
};
struct both_wait_writer : try_writer {
  write_result write(buffers pieces) {
    std::this_thread::sleep_for(50ms);
    return try_writer::write(pieces);
  }
};
struct read_waits_elsewhere : in_memory<both_wait_writer> {
  static constexpr bool may_block = true;
  std::string read(std::size_t) {
    for_ever();
    return {};
  }
};
TEST_CASE(
    "a call that does not return ends the program, which says in which check, and what was found before") {
  CHECK(last_words<read_waits>().find("one event: read() does not return") != std::string::npos);
  CHECK(last_words<sees_waits>().find("one event: sees() does not return") != std::string::npos);
  CHECK(last_words<loop_waits>().find("dropped in the middle: run() does not return") != std::string::npos);
  CHECK(last_words<read_waits_elsewhere>().find("read() does not return") != std::string::npos);
}

TEST_CASE("socket writers are right: one that tries, in a loop, and one that waits, on a thread") {
  documented_harness loop;
  passes(check_writer(loop));
  thread_server<socket_writer> thread;
  passes(check_writer(thread));
}

#endif

}  // namespace
