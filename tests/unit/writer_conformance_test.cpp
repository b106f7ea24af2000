// SPDX-License-Identifier: MIT
#include <ssewire/testing/scripted_writer.hpp>
#include <ssewire/testing/writer_conformance.hpp>
#include <ssewire/writers.hpp>

#include <support/server_in_memory.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>

#if defined(__unix__) || defined(__APPLE__)
#include <support/server_on_sockets.hpp>
#define HAS_SOCKETS
#include <poll.h>
#endif

namespace {

using namespace std::chrono_literals;
using ssewire::buffers;
using ssewire::close_reason;
using ssewire::write_result;
using ssewire::write_status;
using ssewire::testing::check_writer;
using ssewire::testing::driver_calls;
using ssewire::testing::far_end;
using namespace support;

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

// ---- ready writers

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

// ---- names

struct misspells_everything {
  std::shared_ptr<connection> c;
  write_result write(buffers pieces) { return try_writer{c}.write(pieces); }
  void abort() { c->end = far_end::dropped; }
  void on_closed(close_reason) { ++c->releases; }
  void finished() {}
  void onClosed(close_reason) {}  // beside the right one: its own business
  static constexpr bool sameBytesAgain = true;
};
TEST_CASE("wrong: finished() and sameBytesAgain are never called") {
  in_memory<misspells_everything> server;
  auto const report = check_writer(server, quick());
  complains(report, "there is no finish, but `finished`, which nobody calls: it must be void finish()");
  complains(report, "there is no same_bytes_again, but `sameBytesAgain`");
  CHECK(report.text().find("on_closed: found") != std::string::npos);
}

struct says_on_close {
  std::shared_ptr<connection> c;
  write_result write(buffers pieces) { return try_writer{c}.write(pieces); }
  void finish() { c->end = far_end::ended; }
  void abort() { c->end = far_end::dropped; }
  void on_close(close_reason) { ++c->releases; }
};
TEST_CASE("wrong: on_close() is never called") {
  in_memory<says_on_close> server;
  auto const report = check_writer(server, quick());
  complains(report, "there is no on_closed, but `on_close`, which nobody calls: it must be void "
                    "on_closed(ssewire::close_reason)");
  complains(report, "never gave its connection back");
}

class hides_them {
 public:
  std::shared_ptr<connection> c;
  write_result write(buffers pieces) { return try_writer{c}.write(pieces); }
  void abort(int code) { c->end = code == 0 ? far_end::ended : far_end::dropped; }

 private:
  void finish() { c->end = far_end::ended; }
};
TEST_CASE("wrong: finish() is private, and abort() wants a number") {
  in_memory<hides_them> server;
  auto const report = check_writer(server, quick());
  complains(report,
            "there is a member finish that no driver calls: make it public, and its form void finish()");
  complains(report, "there is a member abort that no driver calls");
  CHECK(report.text().find("finish: not found, but there is one that no driver can use") !=
        std::string::npos);
}

struct perhaps_meant {
  std::shared_ptr<connection> c;
  write_result write(buffers pieces) { return try_writer{c}.write(pieces); }
  void close() {}
  bool finished = false;  // a flag is no misspelt function
};
TEST_CASE("a name that may mean something is a remark, and a flag is nothing") {
  auto const members = ssewire::testing::optional_members<perhaps_meant>();
  CHECK(members[0].misspelt == "");
  CHECK(members[0].perhaps == "close");
  CHECK(members[1].perhaps == "close");
  CHECK(members[2].perhaps == "");
  in_memory<perhaps_meant> server;
  CHECK(check_writer(server, quick())
            .text()
            .find("there is no finish, but `close`: if it is meant, it must be") != std::string::npos);
}

struct final_writer final {
  write_result write(buffers);
  void finish();
  void on_close();
};
struct same_bytes_as_a_function {
  write_result write(buffers);
  static bool same_bytes_again();
};
TEST_CASE("names are found in a final class, too, and a function is no constant") {
  auto const members = ssewire::testing::optional_members<final_writer>();
  CHECK(members[0].found);
  CHECK(members[2].misspelt == "on_close");
  auto const others = ssewire::testing::optional_members<same_bytes_as_a_function>();
  CHECK_FALSE(others[3].found);
  CHECK(others[3].unusable);
}

TEST_CASE("the report says which optional members a driver finds") {
  in_memory<tls_writer> server;
  auto const text = check_writer(server).text();
  CHECK(text.starts_with("finish: found\nabort: found\non_closed: found\nsame_bytes_again: found\n"));
}

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

#ifdef HAS_SOCKETS

TEST_CASE("socket writers are right: one that tries, in a loop, and one that waits, on a thread") {
  struct waits_for_room : loop_server<socket_writer> {
    void run() {
      pollfd room = {pair->ours, POLLOUT, 0};
      if (::poll(&room, 1, 0) == 1) driver->writable();
    }
  };
  waits_for_room loop;
  passes(check_writer(loop));
  thread_server<socket_writer> thread;
  passes(check_writer(thread));
}

#endif

}  // namespace
