// SPDX-License-Identifier: MIT
#include <ssewire/core/writer.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::buffers;
using ssewire::close_reason;
using ssewire::ending;
using ssewire::write_result;
using ssewire::write_status;

// A writer: two members.
struct exemplar {
  std::string taken;

  write_result write(buffers offered) {
    std::size_t bytes = 0;
    for (auto const part : offered) {
      taken += part;
      bytes += part.size();
    }
    return {write_status::ok, bytes};
  }
  void on_closed(close_reason, ending) {}
};
static_assert(ssewire::writer<exemplar>);

// What the near-misses below have, so that only write() is wrong.
struct closable {
  void on_closed(close_reason, ending) const noexcept {}
};

struct takes_a_reference_to_const : closable {
  write_result write(buffers const&);
};
static_assert(ssewire::writer<takes_a_reference_to_const>);

struct is_const_and_noexcept : closable {
  write_result write(buffers) const noexcept;
};
static_assert(ssewire::writer<is_const_and_noexcept>);
static_assert(ssewire::writer<is_const_and_noexcept const>);

struct takes_anything : closable {
  template <class Buffers> write_result write(Buffers const&);
};
static_assert(ssewire::writer<takes_anything>);

struct is_move_only : closable {
  std::unique_ptr<int> socket;
  write_result write(buffers);
};
static_assert(ssewire::writer<is_move_only>);

template <class Send> struct of_lambda : closable {
  Send send;
  write_result write(buffers offered) { return send(offered); }
};
template <class Send> of_lambda(closable, Send) -> of_lambda<Send>;

struct answers_bool : closable {
  bool write(buffers);
};
static_assert(!ssewire::writer<answers_bool>, "true and false cannot say again");

struct answers_nothing : closable {
  void write(buffers);
};
static_assert(!ssewire::writer<answers_nothing>, "a writer that cannot say closed never leaves");

struct answers_a_count : closable {
  std::size_t write(buffers);
};
static_assert(!ssewire::writer<answers_a_count>, "a count cannot tell again from closed");

struct answers_a_status : closable {
  write_status write(buffers);
};
static_assert(!ssewire::writer<answers_a_status>, "a status cannot say how much was taken");

struct answers_a_reference : closable {
  write_result const& write(buffers);
};
static_assert(!ssewire::writer<answers_a_reference>, "a result is a value");

struct takes_one_string : closable {
  write_result write(std::string_view);
};
static_assert(!ssewire::writer<takes_one_string>, "a gathered write offers several pieces");

struct takes_pointer_and_size : closable {
  write_result write(char const*, std::size_t);
};
static_assert(!ssewire::writer<takes_pointer_and_size>, "a gathered write offers several pieces");

struct takes_mutable_pieces : closable {
  write_result write(std::span<std::string_view>);
};
static_assert(!ssewire::writer<takes_mutable_pieces>, "the list of pieces is the library's");

struct takes_a_copy : closable {
  write_result write(std::vector<std::string_view>);
};
static_assert(!ssewire::writer<takes_a_copy>, "a span does not become a vector by itself");

struct hides_write : closable {
 private:
  write_result write(buffers);
};
static_assert(!ssewire::writer<hides_write>, "write() must be public");

struct calls_it_send {
  write_result send(buffers);
};
static_assert(!ssewire::writer<calls_it_send>, "the member is called write");

static_assert(!ssewire::writer<exemplar const>, "write() of the exemplar changes it");
using callable = std::function<write_result(buffers)>;
static_assert(!ssewire::writer<callable>, "callback_writer makes one of a callable");
static_assert(!ssewire::writer<int>);

struct has_no_end {
  write_result write(buffers);
};
static_assert(!ssewire::writer<has_no_end>, "nobody would end the response");

struct misspells_the_end {
  write_result write(buffers);
  void on_close(close_reason, ending);
};
static_assert(!ssewire::writer<misspells_the_end>, "on_closed");

struct takes_no_ending {
  write_result write(buffers);
  void on_closed(close_reason);
};
static_assert(!ssewire::writer<takes_no_ending>, "it could not tell a complete response from a cut one");

TEST_CASE("a struct that holds a lambda is a writer") {
  std::size_t calls = 0;
  of_lambda w{{}, [&calls](buffers offered) {
                ++calls;
                return write_result{write_status::again, offered.front().size()};
              }};
  static_assert(ssewire::writer<decltype(w)>);
  std::string_view const piece = "data: x\n\n";
  auto const result = w.write(buffers(&piece, 1));
  CHECK(calls == 1);
  CHECK(result.status == write_status::again);
  CHECK(result.bytes == 9);
}

TEST_CASE("the exemplar takes all pieces in order") {
  exemplar w;
  std::string_view const pieces[] = {"9\r\n", "data: x\n\n", "\r\n"};
  auto const result = w.write(pieces);
  CHECK(result.status == write_status::ok);
  CHECK(result.bytes == 14);
  CHECK(w.taken == "9\r\ndata: x\n\n\r\n");
}

TEST_CASE("a result that says nothing has taken nothing") {
  constexpr write_result result;
  static_assert(result.status == write_status::ok);
  static_assert(result.bytes == 0);
}

TEST_CASE("every close reason has a name of its own") {
  std::set<std::string_view> seen;
  for (auto const reason :
       {close_reason::none, close_reason::finished, close_reason::peer_gone, close_reason::drained,
        close_reason::drain_forced, close_reason::lagged, close_reason::stalled, close_reason::removed,
        close_reason::writer_threw, close_reason::writer_broke_contract, close_reason::no_memory,
        close_reason::pinned_too_much, close_reason::revoked, close_reason::expired, close_reason::replaced,
        close_reason::channel_closed}) {
    CHECK(ssewire::name(reason) != "unknown");
    CHECK(seen.insert(ssewire::name(reason)).second);
  }
  CHECK(seen.size() == ssewire::close_reason_count);
  CHECK(ssewire::name(static_cast<close_reason>(seen.size())) == "unknown");
}

}  // namespace
