// SPDX-License-Identifier: MIT
// Each writer here is wrong in one way, and the conformance suite reports which.
#include <ssewire/testing/writer_conformance.hpp>

#include <support/server_in_memory.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <support/server_on_sockets.hpp>
#define HAS_SOCKETS
#include <unistd.h>
#endif

namespace {

using namespace support;

#ifdef ALL_RIGHT  // to see every test of this file fail
template <class Writer> using tested = try_writer;
#else
template <class Writer> using tested = Writer;
#endif

template <class Writer> void complains_of(std::string_view words) {
  in_memory<tested<Writer>> server;
  complains(check_writer(server, quick()), words);
}

struct answers_ok_with_nothing : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    return answer.bytes == 0 ? write_result{write_status::ok, 0} : answer;
  }
};
TEST_CASE("wrong: answers ok with no bytes when it is full") {
  complains_of<answers_ok_with_nothing>("answered `ok` with 0 bytes");
}

struct claims_more_than_offered : try_writer {
  write_result write(buffers pieces) {
    auto answer = try_writer::write(pieces);
    if (answer.status == write_status::ok) answer.bytes += 2;  // the chunk's tail it added
    return answer;
  }
};
TEST_CASE("wrong: claims more bytes than it was offered") {
  complains_of<claims_more_than_offered>("says that it took 66 of 64 bytes, more than it was offered");
}

struct loses_the_rest_of_a_short_write : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    if (answer.status != write_status::again || answer.bytes == 0) return answer;
    return {write_status::again, flat(pieces).size()};
  }
};
TEST_CASE("wrong: loses bytes after a short write") {
  complains_of<loses_the_rest_of_a_short_write>("lost bytes");
}

struct sends_the_first_piece_twice : try_writer {
  write_result write(buffers pieces) {
    if (pieces.size() > 1) c->put(pieces.front());
    return try_writer::write(pieces);
  }
};
TEST_CASE("wrong: sends the first piece twice") {
  complains_of<sends_the_first_piece_twice>(
      "a gathered write of three pieces: sent bytes twice: 0 and what follows came "
      "again (at byte 24, piece 2 of 3)");
}

struct sends_pieces_backwards : try_writer {
  write_result write(buffers pieces) {
    std::vector<std::string_view> backwards(pieces.rbegin(), pieces.rend());
    return try_writer::write(backwards);
  }
};
TEST_CASE("wrong: sends the pieces in another order") {
  complains_of<sends_pieces_backwards>("sent bytes in another order than they were offered in");
}

struct drops_the_second_piece : try_writer {
  write_result write(buffers pieces) {
    std::vector<std::string_view> some(pieces.begin(), pieces.end());
    if (some.size() > 1) some.erase(some.begin() + 1);
    auto answer = try_writer::write(some);
    if (answer.status == write_status::ok) answer.bytes = flat(pieces).size();
    return answer;
  }
};
TEST_CASE("wrong: drops the second piece of a gathered write") {
  complains_of<drops_the_second_piece>(
      "a gathered write of three pieces: lost bytes: 40 that it said it had taken never "
      "arrived (at byte 24, piece 2 of 3)");
}

struct sends_only_the_first_piece : try_writer {
  write_result write(buffers pieces) {
    auto answer = try_writer::write(pieces.first(1));
    if (answer.status == write_status::ok) answer.bytes = flat(pieces).size();
    return answer;
  }
};
TEST_CASE("wrong: sends the first piece only, and says that it took all") {
  complains_of<sends_only_the_first_piece>("the last 72 never arrived");
}

struct takes_sixteen_pieces_at_most : try_writer {
  write_result write(buffers pieces) {
    auto const total = flat(pieces).size();
    auto answer = try_writer::write(pieces.first((std::min)(pieces.size(), std::size_t{16})));
    if (answer.status == write_status::ok) answer.bytes = total;
    return answer;
  }
};
TEST_CASE("wrong: has an array of 16 pieces and forgets those behind") {
  complains_of<takes_sixteen_pieces_at_most>("a gathered write of 31 pieces: lost bytes");
}

struct says_again_and_nothing_more : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    c->wants_writable = false;
    return answer;
  }
};
TEST_CASE("wrong: answers again, and nobody will say writable()") {
  complains_of<says_again_and_nothing_more>(
      "answered `again`, and then nobody said writable(), although the peer read");
}

struct says_writable_always : try_writer {
  write_result write(buffers pieces) {
    c->tasks.push_back([at = c.get()] {
      at->driver->writable();
      return true;
    });
    return try_writer::write(pieces);
  }
};
TEST_CASE("wrong: says writable() again and again while it is full") {
  complains_of<says_writable_always>("the loop would never rest");
}

struct keeps_the_buffers : try_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    if (c->buffer.size() > 3000) {
      c->wants_writable = true;
      return {write_status::again, 0};
    }
    std::vector<std::string_view> later(pieces.begin(), pieces.end());
    c->tasks.push_back([at = c.get(), later] {
      for (auto const piece : later) at->buffer += piece;
      return true;
    });
    return {write_status::ok, flat(pieces).size()};
  }
};
TEST_CASE("wrong: keeps the buffers behind ok, and reads them later") {
  complains_of<keeps_the_buffers>("one event: kept the buffers");
}

struct reads_c_strings : try_writer {
  write_result write(buffers pieces) {
    std::string const first(pieces.front().data());  // to the first NUL, wherever that is
    std::string_view const one[] = {first};
    auto const answer = try_writer::write(one);
    return answer.status == write_status::ok ? write_result{write_status::ok, pieces.front().size()} : answer;
  }
};
TEST_CASE("wrong: takes a piece for a C string, and stops at a NUL") {
  complains_of<reads_c_strings>(
      "one event: lost bytes: of 64 bytes that it said it had taken, the last 41 never arrived");
}

struct reads_too_far : try_writer {
  write_result write(buffers pieces) {
    std::string_view const first(pieces.front().data(), pieces.front().size() + 1);
    std::string_view const one[] = {first};
    auto const answer = try_writer::write(one);
    return {answer.status, (std::min)(answer.bytes, pieces.front().size())};
  }
};
TEST_CASE("wrong: reads past the end of a piece") {
  complains_of<reads_too_far>("read past the end of a piece, which is no C string: take its size()");
}

struct completes_twice : completing_writer {
  write_result write(buffers pieces) {
    auto const answer = completing_writer::write(pieces);
    c->tasks.push_back([at = c.get()] {
      at->driver->written(true);
      return true;
    });
    return answer;
  }
};
TEST_CASE("wrong: answers pending, and says written() twice") {
  complains_of<completes_twice>("written() came and no write was pending: was it called twice?");
}

struct never_completes : try_writer {
  write_result write(buffers pieces) {
    c->put(flat(pieces));
    return {write_status::pending, 0};
  }
};
TEST_CASE("wrong: answers pending, and never says written()") {
  complains_of<never_completes>(
      "answered `pending`, and then nobody said written(), although the peer read everything");
}

struct completes_before_it_sent : completing_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    std::vector<std::string_view> later(pieces.begin(), pieces.end());
    c->tasks.push_back([at = c.get()] {
      at->driver->written(true);
      return true;
    });
    c->tasks.push_back([at = c.get(), later, turns = 0]() mutable {
      if (++turns < 3) return false;
      for (auto const piece : later) at->buffer += piece;
      return true;
    });
    return {write_status::pending, 0};
  }
};
TEST_CASE("wrong: says written() and reads the bytes behind it") {
  complains_of<completes_before_it_sent>("kept the buffers");
}

struct forgets_written_when_dropped : completing_writer {
  void on_closed(close_reason why, ending how) {
    if (how == ending::cut) c->tasks.clear();  // the operation is cancelled, and its completion not called
    try_writer::on_closed(why, how);
  }
};
TEST_CASE("wrong: dropped with a write pending, it never says written()") {
  complains_of<forgets_written_when_dropped>(
      "dropped in the middle: a write was pending when the stream was dropped, and written() never came");
}

struct completes_on_another_thread : try_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    c->put(flat(pieces));
    std::thread([at = c.get()] { at->driver->written(true); }).join();
    return {write_status::pending, 0};
  }
};
TEST_CASE("wrong: says written() on another thread") {
  complains_of<completes_on_another_thread>(
      "came from another thread: a driver has one, post it to the loop");
}

struct throws : try_writer {
  write_result write(buffers pieces) {
    if (c->buffer.size() > 1000) throw std::runtime_error("would block");
    return try_writer::write(pieces);
  }
};
TEST_CASE("wrong: throws") { complains_of<throws>("write() threw would block: its stream would end there"); }

struct throws_what_is_no_exception : try_writer {
  void on_closed(close_reason, ending) { throw 7; }
};
TEST_CASE("wrong: throws from on_closed()") {
  complains_of<throws_what_is_no_exception>(
      "on_closed() threw something that is no std::exception: nobody hears that");
}

struct says_closed_when_full : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    return answer.status == write_status::again ? write_result{write_status::closed, 0} : answer;
  }
};
TEST_CASE("wrong: answers closed although the peer is open") {
  complains_of<says_closed_when_full>("answered `closed` although the peer was open");
}

struct says_a_completion_failed : completing_writer {
  write_result write(buffers) {
    c->tasks.push_back([at = c.get()] {
      at->driver->written(false);
      return true;
    });
    return {write_status::pending, 0};
  }
};
TEST_CASE("wrong: says written(false) although the peer is open") {
  complains_of<says_a_completion_failed>("said written(false) although the peer was open");
}

struct never_says_closed : try_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::ok, flat(pieces).size()};
    return try_writer::write(pieces);
  }
};
TEST_CASE("wrong: the peer goes, and it goes on answering ok") {
  complains_of<never_says_closed>("a peer that goes: the peer went, and write() never answered `closed`");
}

struct writes_after_closed : try_writer {
  void on_closed(close_reason why, ending how) {
    try_writer::on_closed(why, how);
    if (!c->peer_open) c->buffer += "data: bye\n\n";
  }
};
TEST_CASE("wrong: writes after it has answered closed") {
  complains_of<writes_after_closed>("sent bytes after it had said that the peer was gone");
}

struct says_goodbye_when_dropped : try_writer {
  void on_closed(close_reason why, ending how) {
    if (how == ending::cut) c->buffer += "data: bye\n\n";
    try_writer::on_closed(why, how);
  }
};
TEST_CASE("wrong: sends a goodbye when the stream is dropped inside a frame") {
  complains_of<says_goodbye_when_dropped>("sent bytes that nobody offered, 'data: bye\\x0a\\x0a'");
}

struct ends_and_tells_nobody : try_writer {
  void on_closed(close_reason why, ending how) {
    if (how == ending::cut) return try_writer::on_closed(why, how);
    ++c->releases;
  }
};
TEST_CASE("wrong: a complete stream does not end the response") {
  complains_of<ends_and_tells_nobody>(
      "the response never ended: on_closed() was called with `complete`, and the peer still waits");
}

struct cuts_the_connection_at_the_end : try_writer {
  void on_closed(close_reason why, ending) { try_writer::on_closed(why, ending::cut); }
};
TEST_CASE("wrong: a complete stream cuts the connection") {
  complains_of<cuts_the_connection_at_the_end>(
      "its connection was cut: the peer takes the response for broken");
}

struct does_not_cut : try_writer {
  void on_closed(close_reason why, ending how) {
    if (how == ending::complete) return try_writer::on_closed(why, how);
    ++c->releases;
  }
};
TEST_CASE("wrong: a stream that is cut leaves the connection open") {
  complains_of<does_not_cut>(
      "the response stayed open: on_closed() was called with `cut`, and the peer still waits");
}

struct keeps_small_events_back : try_writer {
  std::string kept;
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    auto const all = flat(pieces);
    if (all.size() < 100) {
      kept += all;
      return {write_status::ok, all.size()};
    }
    kept.erase(0, c->put(kept));
    if (kept.empty()) return try_writer::write(pieces);
    c->wants_writable = true;
    return {write_status::again, 0};
  }
};
TEST_CASE("wrong: keeps bytes back and does not send them at the end") {
  complains_of<keeps_small_events_back>(
      "one event: lost bytes: of 64 bytes that it said it had taken, the last 64 "
      "never arrived");
}

struct buffers_without_end : try_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    c->buffer += flat(pieces);
    return {write_status::ok, flat(pieces).size()};
  }
};
TEST_CASE("wrong: never says again, and buffers without end for a peer that does not read") {
  complains_of<buffers_without_end>("bytes for a peer that does not read, and would go on");
}

struct sends_what_it_did_not_take : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    if (answer.status == write_status::again)
      c->buffer += flat(pieces).substr(answer.bytes);  // "it is queued"
    return answer;
  }
};
TEST_CASE("wrong: queues what it says it did not take") {
  complains_of<sends_what_it_did_not_take>("sent bytes");
}

struct says_less_than_it_sent : try_writer {
  write_result write(buffers pieces) {
    auto answer = try_writer::write(pieces);
    if (answer.status == write_status::ok && answer.bytes > 8) answer.bytes -= 8;
    return answer;
  }
};
TEST_CASE("wrong: sends more than it says") { complains_of<says_less_than_it_sent>("sent bytes twice"); }

struct needs_the_same_bytes_and_does_not_say_so : try_writer {
  tls_writer tls;
  write_result write(buffers pieces) {
    tls.c = c;
    return tls.write(pieces);
  }
};
TEST_CASE("wrong: needs the same bytes again, and does not declare it") {
  complains_of<needs_the_same_bytes_and_does_not_say_so>("say same_bytes_again in the harness");
}

struct changes_the_bytes : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    const_cast<char&>(pieces.front().front()) = '\0';
    return answer;
  }
};
TEST_CASE("wrong: changes the bytes it is offered") {
  complains_of<changes_the_bytes>("write() changed the bytes");
}

struct answers_what_does_not_exist : try_writer {
  write_result write(buffers) { return {static_cast<write_status>(7), 1}; }
};
TEST_CASE("wrong: answers a status that does not exist") {
  complains_of<answers_what_does_not_exist>("answered a status that does not exist, 7");
}

struct calls_its_own_on_closed : try_writer {
  write_result write(buffers pieces) {
    auto const answer = try_writer::write(pieces);
    if (answer.status == write_status::closed) on_closed(close_reason::peer_gone, ending::cut);
    return answer;
  }
};
TEST_CASE("wrong: calls its own on_closed(), which the stream calls, too") {
  complains_of<calls_its_own_on_closed>("gave its connection back 2 times");
}

struct gives_back_when_moved_from : try_writer {
  gives_back_when_moved_from() = default;
  gives_back_when_moved_from(gives_back_when_moved_from const&) = default;
  ~gives_back_when_moved_from() {
    if (c) ++c->releases;
  }
};
TEST_CASE("wrong: its destructor closes the connection, also of what was moved from") {
  complains_of<gives_back_when_moved_from>("gave its connection back while the stream was open");
}

struct leaks : try_writer {
  void on_closed(close_reason, ending how) {
    c->end = how == ending::complete ? far_end::ended : far_end::dropped;
  }
};
TEST_CASE("wrong: never gives its connection back") {
  complains_of<leaks>("never gave its connection back: it leaks");
}

#ifdef HAS_SOCKETS

struct blocking_loop : socket_server<socket_writer, true> {
  void run() {}
};
TEST_CASE("wrong: a writer for a loop that waits for its peer") {
  blocking_loop server;
  auto options = quick();
  options.longest_call = 200ms;
  complains(check_writer(server, options),
            "write() waited until the peer read: a loop would stand still for all");
}

struct non_blocking_thread : socket_server<socket_writer, false> {
  static constexpr bool may_block = true;
};
TEST_CASE("wrong: a writer for threads that answers again") {
  non_blocking_thread server;
  complains(check_writer(server, quick()), "answered `again` with no bytes although the peer reads");
}

struct completing_thread : in_memory<completing_writer> {
  static constexpr bool may_block = true;
};
TEST_CASE("wrong: a writer for threads that answers pending") {
  completing_thread server;
  complains(check_writer(server, quick()),
            "answered `pending`: serve_blocking has no loop that could say written()");
}

struct raises_sigpipe : socket_writer {
  write_result write(buffers pieces) {
    auto const sent = ::write(pair->ours, pieces.front().data(), pieces.front().size());
    if (sent > 0) return {write_status::ok, static_cast<std::size_t>(sent)};
    return {errno == EAGAIN ? write_status::again : write_status::closed, 0};
  }
};
TEST_CASE("wrong: a writer that raises SIGPIPE when its peer has gone") {
  thread_server<raises_sigpipe> server;
  complains(check_writer(server, quick()),
            "write() raised SIGPIPE, which ends a program: send with MSG_NOSIGNAL");
}

#endif

}  // namespace
