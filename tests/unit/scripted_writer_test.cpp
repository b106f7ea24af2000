// SPDX-License-Identifier: MIT
#include <ssewire/reactor.hpp>
#include <ssewire/serializer.hpp>
#include <ssewire/stream.hpp>
#include <ssewire/testing/scripted_writer.hpp>

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
      CHECK(to->finished == 1);
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

// ---- what no driver may do

struct rough {
  peer to;
  scripted_writer writer{to};
  std::string bytes = "data: x\n\n";

  ssewire::write_result write() {
    std::string_view const piece = bytes;
    return writer.write(buffers(&piece, 1));
  }
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

  rough order;
  order.writer.on_closed(close_reason::finished);
  CHECK(order.to.violations == "on_closed() without finish() or abort(); ");
  rough twice;
  twice.writer.finish();
  twice.writer.abort();
  CHECK(twice.to.violations == "abort() after finish() or abort(); ");
}

TEST_CASE("it drives a reactor's test as it does a stream's") {
  peer fast, stalled;
  stalled.otherwise = ssewire::testing::again_for_ever();
  {
    ssewire::reactor<scripted_writer> reactor;
    auto const a = reactor.add(scripted_writer(fast));
    auto const b = reactor.add(scripted_writer(stalled));
    REQUIRE((a && b));
    reactor.send(a.id, {.data = "x"});
    reactor.send(b.id, {.data = "x"});
    reactor.poll(ssewire::time_point() + std::chrono::hours(1));
    reactor.poll(ssewire::time_point() + std::chrono::hours(2));
    CHECK(stalled.closed == std::vector{close_reason::stalled});
  }
  CHECK(fast.taken.starts_with("data: x\n\n"));
  CHECK(fast.violations + stalled.violations == "");
}

}  // namespace
