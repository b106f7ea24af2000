// SPDX-License-Identifier: MIT
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/testing/scripted_writer.hpp>
#include <ssewire/wire/serializer.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::buffers;
using ssewire::close_reason;
using ssewire::ending;
using ssewire::stream_state;
using ssewire::write_status;
using ssewire::testing::answer;
using ssewire::testing::peer;
using ssewire::testing::scripted_error;
using ssewire::testing::scripted_tls_writer;
using ssewire::testing::scripted_writer;

static_assert(ssewire::writer<scripted_writer> && ssewire::writer<scripted_tls_writer>);

std::string sent_through(peer& to) {
  std::string expected;
  ssewire::stream<scripted_writer> stream{scripted_writer(to)};
  for (int i = 0; i < 50; ++i) {
    std::string const text(static_cast<std::size_t>(i * 7), static_cast<char>('a' + i % 26));
    REQUIRE(stream.send({.data = text}) == ssewire::errc::ok);
    expected += ssewire::serialize({.data = text});
  }
  stream.finish();
  for (int turns = 0; turns < 100'000; ++turns) {
    auto const state = stream.pump();
    if (state == stream_state::closed) break;
    if (to.blocked()) {
      to.let_go();
      stream.writable();
    }
    if (to.pending()) {
      to.landed();
      stream.written(true);
    }
  }
  CHECK(stream.state() == stream_state::closed);
  return expected;
}

TEST_CASE("each kind of answer has a name") {
  using kind = ssewire::testing::answer::kind;
  static_assert(name(kind::take) == "take");
  static_assert(name(kind::again) == "again");
  static_assert(name(kind::pending) == "pending");
  static_assert(name(kind::closed) == "closed");
  static_assert(name(kind::raise) == "raise");
  static_assert(name(kind::exactly) == "exactly");
  CHECK(name(static_cast<kind>(99)) == "unknown");
}

TEST_CASE("whatever it answers by chance, it has taken the whole stream, and its driver did nothing wrong") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    peer random, mixed, slow;
    random.otherwise = ssewire::testing::takes_at_random(seed);
    mixed.otherwise = ssewire::testing::answers_at_random(seed, {.take = 3, .again = 2, .pending = 1});
    slow.otherwise = ssewire::testing::takes_at_random(seed, 3);
    for (auto* const to : {&random, &mixed, &slow}) {
      auto const expected = sent_through(*to);
      CHECK(to->taken == expected);
      CHECK(to->violations == "");
      CHECK(to->completed == 1);
      CHECK(to->closed == std::vector{close_reason::finished});
    }
  }
}

TEST_CASE("the same seed gives the same answers, another seed others") {
  auto const offers = [](std::uint64_t seed) {
    peer to;
    to.otherwise = ssewire::testing::answers_at_random(seed);
    sent_through(to);
    return to.offers;
  };
  CHECK(offers(7) == offers(7));
  CHECK(offers(7) != offers(8));
}

TEST_CASE("it fails at a byte of the stream, whatever it answers before") {
  for (std::size_t offset : {std::size_t{0}, std::size_t{1}, std::size_t{8}, std::size_t{1000}}) {
    peer gone;
    gone.otherwise = ssewire::testing::fails_at(offset);
    auto const expected = sent_through(gone);
    CHECK(gone.taken == expected.substr(0, offset));
    CHECK(gone.closed == std::vector{close_reason::peer_gone});

    peer cut;
    cut.otherwise =
        ssewire::testing::fails_at(offset, answer::closed(), ssewire::testing::answers_at_random(offset));
    sent_through(cut);
    CHECK(cut.taken == expected.substr(0, offset));

    peer thrown;
    thrown.otherwise = ssewire::testing::fails_at(offset, answer::raise());
    CHECK_THROWS_AS(sent_through(thrown), scripted_error);
    CHECK(thrown.taken == expected.substr(0, offset));
    CHECK(thrown.closed == std::vector{close_reason::writer_threw});
    for (auto const* const to : {&gone, &cut, &thrown}) CHECK(to->violations == "");
  }
}

TEST_CASE("again for ever takes nothing") {
  peer to;
  to.otherwise = ssewire::testing::again_for_ever();
  {
    ssewire::stream<scripted_writer> stream{scripted_writer(to)};
    CHECK(stream.send({.data = "x"}) == ssewire::errc::ok);
    for (int i = 0; i < 100; ++i) {
      CHECK(stream.pump() == stream_state::blocked);
      to.let_go();
      stream.writable();
    }
  }
  CHECK(to.taken == "");
  CHECK(to.offers == std::vector<std::size_t>(100, 9));
  CHECK(to.closed == std::vector{close_reason::removed});
  CHECK(to.violations == "");
}

TEST_CASE("the script goes before what it answers otherwise") {
  peer to;
  to.script = {answer::take(3), answer::again(2)};
  to.otherwise = ssewire::testing::takes_at_random(1, 1);
  auto const expected = sent_through(to);
  CHECK(to.taken == expected);
  CHECK(to.offers[0] - 3 == to.offers[1]);
}

// ---- what no driver may do ----

struct rough {
  peer to;
  scripted_writer writer{to};
  std::string bytes = "data: x\n\n";

  ssewire::write_result write() {
    std::string_view const piece = bytes;
    return writer.write(buffers(&piece, 1));
  }
  void on_closed(close_reason, ssewire::ending) noexcept {}
};

TEST_CASE("it objects to a write before writable(), while one is pending, and after the end") {
  rough blocked;
  blocked.to.script = {answer::again(2), answer::take()};
  blocked.write();
  CHECK(blocked.to.violations == "");
  blocked.write();
  CHECK(blocked.to.violations == "write() before writable(); ");

  rough pending;
  pending.to.script = {answer::pending(), answer::take()};
  pending.write();
  pending.write();
  CHECK(pending.to.violations == "write() while a write is pending; ");
  pending.to.landed();

  for (auto const& last :
       {answer::closed(), answer::exactly(write_status::ok, 0), answer::exactly(write_status::ok, 10)}) {
    rough over;
    over.to.script = {last};
    over.write();
    CHECK(over.to.violations == "");
    over.write();
    CHECK(over.to.violations == "write() after the end; ");
  }
}

TEST_CASE("it objects when pending bytes change, and when its driver goes before they are sent") {
  rough changed;
  changed.to.script = {answer::pending()};
  changed.write();
  changed.bytes[0] = 'X';
  changed.to.landed();
  CHECK(changed.to.violations == "pending bytes changed before written(); ");

  peer gone;
  std::string_view const piece = "data: x\n\n";
  {
    scripted_writer writer(gone);
    gone.script = {answer::pending()};
    writer.write(buffers(&piece, 1));
  }
  CHECK(gone.writer_gone);
  CHECK(gone.violations == "the writer was destroyed, and its driver not, while its bytes were being sent; ");
}

TEST_CASE("it objects to empty offers, to other bytes behind again, and to a wrong order at the end") {
  rough empty;
  empty.bytes = "";
  empty.write();
  CHECK(empty.to.violations == "an empty buffer; ");

  peer tls;
  scripted_tls_writer writer(tls);
  tls.script = {answer::again(1), answer::take()};
  std::string_view piece = "data: x\n\n";
  writer.write(buffers(&piece, 1));
  tls.let_go();
  piece = "data: y\n\n";
  writer.write(buffers(&piece, 1));
  CHECK(tls.violations == "other bytes than before were offered; ");

  rough twice;
  twice.writer.on_closed(close_reason::finished, ending::complete);
  CHECK(twice.to.violations == "");
  twice.writer.on_closed(close_reason::finished, ending::cut);
  CHECK(twice.to.violations == "on_closed() twice; ");
}

TEST_CASE("it objects to an end that is complete with bytes on their way") {
  rough rest;
  rest.to.script = {answer::again(2)};
  rest.write();
  rest.writer.on_closed(close_reason::finished, ending::complete);
  CHECK(rest.to.violations == "`complete` before the last byte was taken; ");
  rough none_left;
  none_left.to.script = {answer::again(9)};
  none_left.write();
  none_left.writer.on_closed(close_reason::finished, ending::complete);
  CHECK(none_left.to.violations == "");

  rough pending;
  pending.to.script = {answer::pending()};
  pending.write();
  pending.writer.on_closed(close_reason::finished, ending::complete);
  CHECK(pending.to.violations == "`complete` while a write is pending; ");
}

TEST_CASE("it objects to every call from inside write(), and to bytes that change meanwhile") {
  rough write, closed, changed;
  write.to.script = {answer::take().calling([&] { write.write(); })};
  closed.to.script = {
      answer::take().calling([&] { closed.writer.on_closed(close_reason::removed, ending::cut); })};
  changed.to.script = {answer::take().calling([&] { changed.bytes[0] = 'X'; })};
  for (auto* const each : {&write, &closed, &changed}) each->write();
  CHECK(write.to.violations == "write() inside write(); ");
  CHECK(closed.to.violations == "on_closed() inside write(); ");
  CHECK(changed.to.violations == "the bytes changed while write() looked at them; ");
}

TEST_CASE("what is thrown from inside write() leaves it, and is the stream's end") {
  rough over;
  over.to.script = {answer::take().calling([] { throw scripted_error(); })};
  CHECK_THROWS_AS(over.write(), scripted_error);
  CHECK_FALSE(over.to.inside());
  CHECK(over.to.taken == "");
  over.write();
  CHECK(over.to.violations == "write() after the end; ");

  peer to;
  {
    ssewire::stream<scripted_writer> stream{scripted_writer(to)};
    to.script = {answer::take().calling([] { throw scripted_error(); })};
    CHECK(stream.send({.data = "x"}) == ssewire::errc::ok);
    CHECK_THROWS_AS(stream.pump(), scripted_error);
  }
  CHECK(to.closed == std::vector{close_reason::writer_threw});
  CHECK(to.violations == "");
}

TEST_CASE(
    "it objects to no buffers and to more than 31; where the same bytes must come again, to more than one") {
  for (std::size_t const pieces : {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{32}}) {
    rough some;
    some.writer.write(std::vector<std::string_view>(pieces, "x"));
    CHECK(some.to.violations == (pieces == 0    ? "no buffers; "
                                 : pieces == 32 ? "more than 31 buffers; "
                                                : ""));
    peer tls;
    scripted_tls_writer writer(tls);
    if (pieces != 0) writer.write(std::vector<std::string_view>(pieces, "x"));
    CHECK((tls.violations.find("more than one buffer; ") != std::string::npos) == (pieces > 1));
  }
}

TEST_CASE("a stream whose channels' events lie apart in memory offers no more than 31 buffers") {
  for (auto const body : {ssewire::framing::raw, ssewire::framing::chunked}) {
    ssewire::broker broker;
    peer to;
    ssewire::stream stream(scripted_writer(to), broker.subscribe({"a", "b"}).value, {.body = body});
    for (int i = 0; i < 100; ++i) CHECK(broker.publish(i % 2 == 0 ? "a" : "b", {.data = "x"}));
    while (stream.pump() == stream_state::more) {
    }
    CHECK(to.offers.size() > 1);
    CHECK(to.violations == "");
  }
}

TEST_CASE(
    "where the same bytes must come again it objects to several frames of more than 16 KiB, chunk included") {
  for (bool const chunked : {false, true}) {
    for (std::size_t const more : {std::size_t{0}, std::size_t{1}}) {
      for (bool const two_frames : {false, true}) {
        peer to;
        scripted_tls_writer writer(to);
        to.chunked = chunked;
        std::string bytes(16 * 1024 + (chunked ? 16 : 0) + more, 'x');
        bytes.replace(bytes.size() - 2, 2, "\n\n");
        if (two_frames) bytes.replace(8, 2, "\n\n");
        std::string_view const piece = bytes;
        writer.write(buffers(&piece, 1));
        CHECK(to.violations ==
              (two_frames && more == 1 ? "several frames of more than 16 KiB in one offer; " : ""));
      }
    }
  }
}

TEST_CASE("it drives a reactor's test as it does a stream's") {
  peer fast, stalled;
  stalled.otherwise = ssewire::testing::again_for_ever();
  {
    ssewire::reactor<scripted_writer> reactor;
    auto const a = reactor.add(scripted_writer(fast));
    auto const b = reactor.add(scripted_writer(stalled));
    REQUIRE((a && b));
    CHECK(reactor.send(a.value, {.data = "x"}) == ssewire::errc::ok);
    CHECK(reactor.send(b.value, {.data = "x"}) == ssewire::errc::ok);
    auto now = ssewire::steady_time() + std::chrono::hours(1);
    for (auto const end = now + std::chrono::seconds(60); now <= end; now += std::chrono::seconds(5))
      reactor.poll(now);
    CHECK(stalled.closed == std::vector{close_reason::stalled});
  }
  CHECK(fast.taken.starts_with("data: x\n\n"));
  CHECK(fast.violations + stalled.violations == "");
}

}  // namespace
