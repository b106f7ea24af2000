// SPDX-License-Identifier: MIT
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/stream/writers.hpp>
#include <ssewire/wire/serializer.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;
using ssewire::buffers;
using ssewire::callback_writer;
using ssewire::ostream_writer;
using ssewire::string_writer;
using ssewire::write_result;
using ssewire::write_status;

static_assert(ssewire::writer<string_writer>);
static_assert(ssewire::writer<ostream_writer<std::ostream>>);
static_assert(ssewire::writer<ostream_writer<std::ofstream>>, "of a class that is only declared here");
static_assert(ssewire::writer<callback_writer<bool (*)(std::string_view)>>);
static_assert(ssewire::writer<callback_writer<std::function<bool(std::string_view)>>>);

template <class Writer> write_result offer(Writer& to, std::vector<std::string_view> const& pieces) {
  return to.write(buffers(pieces));
}

void check(write_result got, write_status status, std::size_t bytes) {
  CHECK(static_cast<int>(got.status) == static_cast<int>(status));
  CHECK(got.bytes == bytes);
}

// ---- string_writer ----

TEST_CASE("a string_writer appends all pieces, behind what the string holds") {
  std::string to = "HTTP/1.1 200 OK\r\n\r\n";
  string_writer writer(to);
  check(offer(writer, {"data: a\n\n", "data: b\n\n"}), write_status::ok, 18);
  check(offer(writer, {"x"}), write_status::ok, 1);
  CHECK(to == "HTTP/1.1 200 OK\r\n\r\ndata: a\n\ndata: b\n\nx");
}

TEST_CASE("a string_writer at its limit answers again, until something was taken out") {
  std::string to;
  string_writer writer(to, 10);
  check(offer(writer, {"1234567890"}), write_status::ok, 10);  // the byte at the limit
  check(offer(writer, {"1"}), write_status::again, 0);         // and the one behind it
  to.clear();
  check(offer(writer, {"1234567", "89012"}), write_status::again, 10);
  CHECK(to == "1234567890");
  to.erase(0, 3);
  check(offer(writer, {"12"}), write_status::ok, 2);
  check(offer(writer, {"12", "3"}), write_status::again, 1);
  CHECK(to == "4567890121");
}

TEST_CASE("a string_writer takes nothing when its limit is 0, or the string is beyond it") {
  std::string to;
  string_writer none(to, 0);
  check(offer(none, {"1"}), write_status::again, 0);
  to = "1234";
  string_writer beyond(to, 3);
  check(offer(beyond, {"5"}), write_status::again, 0);
  CHECK(to == "1234");
}

TEST_CASE("a stream on a string_writer goes on when there is room, and loses nothing") {
  std::string to, all;
  ssewire::stream<string_writer> stream{string_writer(to, 7)};
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    std::string const text(static_cast<std::size_t>(i), 'x');
    CHECK(stream.send({.data = text}) == ssewire::errc::ok);
    expected += "data: " + text + "\n\n";
  }
  stream.finish();
  while (stream.pump() != ssewire::stream_state::closed) {
    CHECK(to.size() <= 7);
    all += std::exchange(to, {});
    stream.writable();
  }
  CHECK(all + to == expected);
  CHECK(stream.reason() == ssewire::close_reason::finished);
}

// ---- ostream_writer ----

// Takes down what was written, and when it was flushed.
struct watched_ostream {
  std::string log;
  bool failed = false;
  std::size_t fails_at = 1000;

  watched_ostream& write(char const* bytes, std::ptrdiff_t n) {
    log.append(bytes, static_cast<std::size_t>(n));
    failed = failed || log.size() >= fails_at;
    return *this;
  }
  watched_ostream& flush() {
    log += "|";
    return *this;
  }
  bool operator!() const { return failed; }
};

TEST_CASE("an ostream_writer writes all pieces, and flushes once behind them") {
  watched_ostream to;
  ostream_writer writer(to);
  check(offer(writer, {"ab", "c"}), write_status::ok, 3);
  check(offer(writer, {"d"}), write_status::ok, 1);
  CHECK(to.log == "abc|d|");
}

TEST_CASE("an ostream_writer answers closed when the ostream has failed, in the middle too, and ever after") {
  watched_ostream to;
  to.fails_at = 3;
  ostream_writer writer(to);
  check(offer(writer, {"ab"}), write_status::ok, 2);
  check(offer(writer, {"c", "d"}), write_status::closed, 0);
  check(offer(writer, {"e"}), write_status::closed, 0);

  std::ostringstream real;
  ostream_writer other(real);
  check(offer(other, {"data: x\n\n"}), write_status::ok, 9);
  CHECK(real.str() == "data: x\n\n");
  real.setstate(std::ios::badbit);
  check(offer(other, {"data: y\n\n"}), write_status::closed, 0);
  CHECK(real.str() == "data: x\n\n");
}

TEST_CASE("an ostream_writer lets out what the ostream throws") {
  std::ostringstream to;
  to.exceptions(std::ios::badbit);
  ostream_writer<std::ostream> writer(to);
  struct full : std::streambuf {
  } none;
  static_cast<std::ostream&>(to).rdbuf(&none);
  CHECK_THROWS_AS(offer(writer, {"x"}), std::ios::failure);
}

TEST_CASE("a broker's stream goes into an ostream, by serve_blocking") {
  ssewire::broker broker;
  auto const seen = broker.publish("a", {.data = "1"});
  broker.publish("a", {.data = "2"});
  auto joined = broker.subscribe("a", {.last_event_id = seen.value.view()});
  broker.drain({}, {});
  std::ostringstream to;
  ostream_writer writer(to);
  CHECK(ssewire::serve_blocking(std::move(joined.value), writer) == ssewire::close_reason::drained);
  CHECK(to.str().find("data: 2\n\n") != std::string::npos);
}

// ---- callback_writer ----

struct calls {
  std::vector<std::string> got;
  std::size_t fails_at = 1000;

  auto writer() {
    return callback_writer([this](std::string_view bytes) {
      got.emplace_back(bytes);
      return got.size() < fails_at;
    });
  }
};

TEST_CASE("a callback_writer joins small neighbours, and hands on a large piece as it lies") {
  calls to;
  auto writer = to.writer();
  check(offer(writer, {"1c\r\n", "data: x\n\n", "\r\n"}), write_status::ok, 15);
  CHECK(to.got == std::vector{"1c\r\ndata: x\n\n\r\n"s});

  to.got.clear();
  auto const at = std::string(4096, 'a');
  auto const above = std::string(4097, 'b');
  check(offer(writer, {"1", above, "2", "3"}), write_status::ok, 4100);
  CHECK(to.got == std::vector{"1"s, above, "23"s});

  to.got.clear();
  check(offer(writer, {"1", at, "2"}), write_status::ok, 4098);
  CHECK(to.got == std::vector{"1"s, at, "2"s});

  to.got.clear();
  check(offer(writer, {"1", at.substr(1), "2"}), write_status::ok, 4097);
  CHECK(to.got == std::vector{"1" + at.substr(1), "2"s});

  to.got.clear();
  check(offer(writer, {above, above}), write_status::ok, 8194);
  CHECK(to.got == std::vector{above, above});
}

TEST_CASE("a callback_writer does not copy a piece that is alone, or large") {
  std::string const large(5000, 'x');
  char const* seen = nullptr;
  callback_writer writer([&](std::string_view bytes) {
    seen = bytes.data();
    return true;
  });
  std::string const small = "data: x\n\n";
  offer(writer, {small});
  CHECK(seen == small.data());
  offer(writer, {small, large});
  CHECK(seen == large.data());
}

TEST_CASE("a callback_writer never calls with nothing") {
  calls to;
  auto writer = to.writer();
  for (std::size_t a = 4090; a < 4100; ++a) {
    for (std::size_t b = 1; b < 4100; b += 4090) offer(writer, {std::string(a, 'a'), std::string(b, 'b')});
  }
  for (auto const& bytes : to.got) CHECK(bytes != "");
}

TEST_CASE("a callback_writer answers closed at the first false, wherever it comes, and calls no more") {
  auto const large = std::string(5000, 'x');
  for (std::size_t fails_at : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
    calls to;
    to.fails_at = fails_at;
    auto writer = to.writer();
    check(offer(writer, {"1", large, "2"}), write_status::closed, 0);
    CHECK(to.got.size() == fails_at);
  }
  calls to;
  to.fails_at = 1;
  auto writer = to.writer();
  check(offer(writer, {"1"}), write_status::closed, 0);
  check(offer(writer, {"1", "2"}), write_status::closed, 0);
}

TEST_CASE("a callback_writer keeps a callable that only moves, and lets out what it throws") {
  callback_writer writer([kept = std::make_unique<std::string>()](std::string_view bytes) {
    if (bytes == "throw") throw 7;
    *kept += bytes;
    return true;
  });
  auto moved = std::move(writer);
  static_assert(ssewire::writer<decltype(moved)>);
  check(offer(moved, {"x"}), write_status::ok, 1);
  CHECK_THROWS_AS(offer(moved, {"throw"}), int);
}

}  // namespace
