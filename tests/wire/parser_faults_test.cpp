// SPDX-License-Identifier: MIT
// Failing memory, and copies of a parser made at the worst moment.
#include <ssewire/wire/parser.hpp>
#include <ssewire/wire/serializer.hpp>

#include <support/events.hpp>
#include <support/failing_allocations.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::parser;
using support::events;

constexpr auto ignore = [](event const&) {};

events read(parser& p, std::string_view bytes) {
  events got;
  p.feed(bytes, [&](event const& e) { got.push_back(support::record(e)); });
  return got;
}

// Runs `action` with the n-th allocation failing, for n = 1, 2, ... until none fails. Returns how many
// failed.
template <class Prepare, class Action, class Check>
int fail_each(Prepare prepare, Action action, Check check) {
  for (int n = 0;; ++n) {
    auto state = prepare();
    auto const before = support::allocations_failed;
    support::allocations_left = n;
    try {
      action(*state);
    } catch (std::bad_alloc const&) {
    }
    support::allocations_left = -1;
    bool const failed = support::allocations_failed != before;
    check(*state, failed);
    if (!failed) return n;
  }
}

TEST_CASE("when memory fails, the last event ID is what it was or what it was to be, and reset makes the "
          "parser read again") {
  auto const longer = "id: " + std::string(3000, 'z') + "\ndata: x\n\n";
  auto const failures = fail_each(
      [] {
        auto p = std::make_unique<parser>();
        p->feed("id: first\n\n", ignore);
        return p;
      },
      [&](parser& p) {
        for (std::size_t i = 0; i < longer.size(); i += 700)
          p.feed(std::string_view(longer).substr(i, 700), ignore);
      },
      [&](parser& p, bool failed) {
        CHECK(p.error() == (failed ? errc::no_memory : errc::ok));
        auto const id = p.last_event_id();
        CHECK((id == "first" || id == std::string(3000, 'z')));
        if (!failed) CHECK(id != "first");
        p.reset();
        CHECK(read(p, "data: b\n\n") == events{{.data = "b"}});
      });
  CHECK(failures > 2);
}

struct two {
  parser from;
  parser to;
};

TEST_CASE("a parser assigned to is, when memory fails, what it was") {
  auto const failures = fail_each(
      [] {
        auto both = std::make_unique<two>();
        both->from.feed("id: a\nevent: t\ndata: from\ndata: more\n: half", ignore);
        both->to.feed("id: b\n\ndata: to", ignore);
        return both;
      },
      [](two& both) { both.to = both.from; },
      [](two& both, bool failed) {
        CHECK(read(both.from, "\n\n") == events{{.type = "t", .data = "from\nmore", .id = "a"}});
        if (failed) {
          CHECK(read(both.to, "\n\n") == events{{.data = "to"}});
          CHECK(both.to.last_event_id() == "b");
        } else {
          CHECK(read(both.to, "\n\n") == events{{.type = "t", .data = "from\nmore", .id = "a"}});
        }
      });
  CHECK(failures > 3);
}

TEST_CASE("a copy made inside a callback says that it cannot go on, and reads again after reset") {
  parser p;
  parser copy;
  std::optional<parser> fresh;
  p.feed("data: a\n\ndata: b\n\n", [&](event const&) {
    copy = p;
    fresh = p;
  });
  CHECK(p.error() == errc::ok);
  for (auto* const q : {&copy, &*fresh}) {
    CHECK(q->error() != errc::ok);
    CHECK(q->feed("data: x\n\n", ignore).error == q->error());
    q->reset();
    CHECK(q->error() == errc::ok);
    CHECK(read(*q, "data: c\n\n") == events{{.data = "c"}});
  }
}

TEST_CASE("a parser that is given back a copy of itself made inside its callback reads again after reset") {
  parser p;
  parser saved;
  p.feed("data: a\n\n", [&](event const&) { saved = p; });
  p = saved;
  p.reset();
  CHECK(read(p, "data: b\n\n") == events{{.data = "b"}});
}

TEST_CASE("a parser that is assigned to inside its callback goes on as the other, half a line included") {
  parser other;
  other.feed("data: half", ignore);
  for (std::string_view const cut :
       {": note", ""}) {  // the line of the callback lies in two chunks, or in one
    parser p;
    p.feed(cut, ignore);
    auto const rest = cut.empty() ? ": note\ndata: unread\n\n" : "\ndata: unread\n\n";
    p.feed(rest, ignore, [&](std::string_view) { p = other; });
    CHECK(p.error() == errc::ok);
    CHECK(read(p, " a line\n\n") == events{{.data = "half a line"}});
  }
}

TEST_CASE("a parser assigned to itself is what it was") {
  parser p;
  p.feed("data: a", ignore);
  auto& same = p;
  p = same;
  CHECK(read(p, "\n\n") == events{{.data = "a"}});
}

// What the compiler must take.

struct [[nodiscard]] answer {};

struct move_only_iterator {
  using difference_type = std::ptrdiff_t;
  std::string* to;

  explicit move_only_iterator(std::string& s) : to(&s) {}
  move_only_iterator(move_only_iterator&&) = default;
  move_only_iterator& operator=(move_only_iterator&&) = default;
  move_only_iterator& operator*() { return *this; }
  move_only_iterator& operator++() { return *this; }
  move_only_iterator& operator++(int) { return *this; }
  move_only_iterator& operator=(char c) {
    *to += c;
    return *this;
  }
};

TEST_CASE(
    "a callback may answer what must not be thrown away, an output iterator may be one that only moves") {
  parser p;
  CHECK(p.feed("data: a\n\n", [](event const&) { return answer{}; }));
  static_assert(ssewire::byte_iterator<move_only_iterator>);
  std::string out;
  (void)ssewire::serialize({.data = "x"}, move_only_iterator(out));
  CHECK(out == "data: x\n\n");
}

}  // namespace
