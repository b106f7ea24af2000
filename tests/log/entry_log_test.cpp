// SPDX-License-Identifier: MIT
#include <ssewire/core/traits.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/replay_buffer.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// Memory that counts and can be made to run out.
struct counting_traits : ssewire::default_traits {
  static inline std::size_t held = 0;
  static inline long left = -1;  // allocations until one fails; negative: none does

  static void* allocate(std::size_t bytes) noexcept {
    if (left == 0) return nullptr;
    if (left > 0) --left;
    held += bytes;
    return std::malloc(bytes);
  }
  static void deallocate(void* memory, std::size_t bytes) noexcept {
    if (memory != nullptr) held -= bytes;
    std::free(memory);
  }
};

using ssewire::detail::entry_facts;

struct event_log : ssewire::detail::entry_log<counting_traits> {
  explicit event_log(std::size_t max_bytes = 1024 * 1024)
      : entry_log(ssewire::detail::siphash{1}, max_bytes) {}

  using entry_log::append;
  bool append(std::string_view text, std::uint64_t position) noexcept {
    return entry_log::append(text, entry_facts{.position = position});
  }
  std::uint64_t trim_to(std::uint64_t max_events, std::size_t max_bytes) noexcept {
    auto const by_events = trim_to_events(max_events);
    return by_events + trim_to_bytes(max_bytes);
  }
};
using segment = ssewire::detail::segment<counting_traits>;
using pin = ssewire::detail::segment_pin<counting_traits>;
constexpr std::uint64_t never = ~std::uint64_t{0};

// As the broker does it: what is small is copied, what is large is built where it stays.
bool add(event_log& to, std::string_view text, std::uint64_t position) {
  if (text.size() <= ssewire::detail::largest_copied_frame) return to.append(text, position);
  auto own = pin::adopt(segment::make(0, text.size(), false));
  if (!own) return false;
  std::copy(text.begin(), text.end(), own->tail());
  bool const linked = to.link(own, text.size(), entry_facts{.position = position});
  CHECK(bool(own) != linked);
  return linked;
}

struct model {
  struct entry {
    std::uint64_t position;
    std::string text;
  };
  std::deque<entry> entries;
  std::uint64_t first = 0;  // ordinal
  std::uint64_t lost_through = 0;
  std::size_t bytes = 0;

  void add(std::uint64_t position, std::string text) {
    bytes += text.size();
    entries.push_back({position, std::move(text)});
  }
  void trim() {
    lost_through = entries.front().position;
    bytes -= entries.front().text.size();
    entries.pop_front();
    ++first;
  }
  [[nodiscard]] std::uint64_t ordinal_after(std::uint64_t position) const {
    std::uint64_t n = 0;
    while (n < entries.size() && entries[n].position <= position) ++n;
    return first + n;
  }
};

void check_same(event_log const& l, model const& m) {
  REQUIRE(l.first_ordinal() == m.first);
  REQUIRE(l.events() == m.entries.size());
  REQUIRE(l.end_ordinal() == m.first + m.entries.size());
  REQUIRE(l.frame_bytes() == m.bytes);
  REQUIRE(l.lost_through() == m.lost_through);
  REQUIRE(l.allocated_bytes() >= m.bytes);
  for (std::size_t i = 0; i < m.entries.size(); ++i) {
    REQUIRE(l.position_of(m.first + i) == m.entries[i].position);
    REQUIRE_UNARY(l.run(m.first + i, 0, 0).bytes() == m.entries[i].text);
  }
}

std::string some_frame(support::random& random, int large) {
  auto size = 1 + random.below(60);
  if (random.one_in(5)) size = 1 + random.below(600);
  if (large > 0 && random.one_in(12)) size = 1 + random.below(4200);
  if (large > 1 && random.one_in(40)) size = 3500 + random.below(70'000);
  if (large > 1 && random.one_in(60)) size = 65'520 + random.below(40);
  std::string text(size, static_cast<char>('a' + random.below(26)));
  text.front() = '<';
  text.back() = '>';
  return text;
}

}  // namespace

TEST_CASE("a log does what a deque does, whatever the sizes") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    event_log l;
    model m;
    std::uint64_t position = 0;
    for (int step = 0; step < 120; ++step) {
      auto const what = random.below(20);
      if (what < 14) {
        position += 1 + random.below(random.one_in(10) ? 1000 : 3);
        auto text = some_frame(random, static_cast<int>(seed % 3));
        REQUIRE(add(l, text, position));
        m.add(position, std::move(text));
      } else if (what < 16) {
        auto const events = random.below(30);
        auto const bytes = random.below(20'000);
        std::uint64_t n = 0;
        for (; m.entries.size() > 1 && (m.entries.size() > events || m.bytes > bytes); ++n) m.trim();
        REQUIRE(l.trim_to(events, bytes) == n);
      } else if (what < 17) {
        auto const through = random.below(position + 3);
        std::uint64_t n = 0;
        for (; !m.entries.empty() && m.entries.front().position <= through; ++n) m.trim();
        REQUIRE(l.trim_through(through, n / 2) == n / 2);
        REQUIRE(l.trim_through(through, n) == n - n / 2);
      } else if (what < 18 && !m.entries.empty()) {
        l.trim_one();
        m.trim();
      } else if (random.one_in(10)) {
        REQUIRE(l.forget_all() == m.entries.size());
        while (!m.entries.empty()) m.trim();
        REQUIRE(l.allocated_bytes() == 0);
      } else {
        for (int i = 0; i < 5; ++i) {
          auto const p = random.below(position + 3);
          REQUIRE(l.ordinal_after(p) == m.ordinal_after(p));
        }
      }
      if (step % 8 == 0) check_same(l, m);
    }
    check_same(l, m);
  }
  CHECK(counting_traits::held == 0);
}

TEST_CASE("the first entry behind a position is found for every position") {
  for (std::uint64_t const trimmed : {0u, 1u, 7u, 50u, 199u, 200u}) {
    event_log l;
    model m;
    for (std::uint64_t i = 1; i <= 200; ++i) {
      auto const text = std::string(1 + i * 37 % 300, 'x');
      REQUIRE(l.append(text, i * 3));
      m.add(i * 3, text);
    }
    for (std::uint64_t i = 0; i < trimmed; ++i) {
      l.trim_one();
      m.trim();
    }
    for (std::uint64_t p = 0; p <= 610; ++p) REQUIRE(l.ordinal_after(p) == m.ordinal_after(p));
    REQUIRE(l.ordinal_after(never) == l.end_ordinal());
  }
}

TEST_CASE("an empty log has nothing behind any position, before its first entry and after its last") {
  event_log l;
  CHECK(l.ordinal_after(0) == 0);
  CHECK(l.ordinal_after(never) == 0);
  CHECK(l.trim_to(0, 0) == 0);
  CHECK(l.trim_through(never, never) == 0);
  REQUIRE(l.append("x", 5));
  CHECK(l.trim_through(4, never) == 0);
  CHECK(l.trim_through(5, never) == 1);
  CHECK(l.lost_through() == 5);
  CHECK(l.ordinal_after(0) == 1);
  CHECK(l.ordinal_after(5) == 1);
  CHECK(l.ordinal_after(never) == 1);
  REQUIRE(l.append("y", 9));
  CHECK(l.ordinal_after(5) == 1);
  CHECK(l.ordinal_after(8) == 1);
  CHECK(l.ordinal_after(9) == 2);
  CHECK(l.position_of(1) == 9);
}

TEST_CASE("the newest entry survives every limit") {
  event_log l;
  REQUIRE(l.append("first", 1));
  REQUIRE(l.append("second", 2));
  CHECK(l.trim_to(0, 0) == 1);
  CHECK(l.events() == 1);
  CHECK(l.run(1, 0, 0).bytes() == "second");
}

TEST_CASE("trimming stops at the limits, to the event and to the byte") {
  event_log l;
  for (std::uint64_t i = 1; i <= 10; ++i) REQUIRE(l.append("0123456789", i));
  CHECK(l.trim_to(10, 100) == 0);
  CHECK(l.trim_to(9, 100) == 1);
  CHECK(l.trim_to(9, 90) == 0);
  CHECK(l.trim_to(9, 89) == 1);
  CHECK(l.frame_bytes() == 80);
}

TEST_CASE("a run ends at the room, at the position given, and at the page") {
  event_log l;
  for (std::uint64_t i = 1; i <= 10; ++i) REQUIRE(l.append("0123456789", i * 2));
  CHECK(l.run(0, never, 1000).bytes().size() == 100);
  CHECK(l.run(0, never, 100).count() == 10);
  CHECK(l.run(0, never, 99).count() == 9);
  CHECK(l.run(0, never, 20).count() == 2);
  CHECK(l.run(0, never, 19).count() == 1);
  CHECK(l.run(0, never, 0).count() == 1);
  CHECK(l.run(3, never, 1000).count() == 7);
  CHECK(l.run(0, 20, 1000).count() == 9);
  CHECK(l.run(0, 21, 1000).count() == 10);
  CHECK(l.run(0, 0, 1000).count() == 1);
  CHECK(l.run(0, 5, 1000).last_position() == 4);
  while (l.run(0, never, 1000).count() == l.events()) REQUIRE(l.append("0123456789", l.events() * 2 + 2));
  auto const page = l.run(0, never, 100'000).count();
  CHECK(page == 28);  // 448 bytes: each frame has 10, and 6 of its entry
  CHECK(l.run(page, never, 100'000).count() == 1);
}

TEST_CASE("a pin keeps frames after they were trimmed, and the log's end") {
  pin held;
  std::string_view bytes;
  {
    event_log l;
    REQUIRE(l.append("kept", 1));
    auto const run = l.run(0, never, 100);
    held = pin(*run.page);
    bytes = run.bytes();
    for (std::uint64_t i = 2; i <= 500; ++i) {
      REQUIRE(l.append(std::string(40, 'x'), i));
      l.trim_to(2, 1000);
    }
    CHECK(bytes == "kept");
  }
  CHECK(bytes == "kept");
  CHECK(held->frames(0, 1) == "kept");
  CHECK(counting_traits::held != 0);
  held = {};
  // What was assigned away lives in the temporary, which is gone.
  CHECK(counting_traits::held == 0);
}

TEST_CASE("what is appended to a page does not disturb who reads what it saw") {
  event_log l;
  REQUIRE(l.append("one", 1));
  auto const run = l.run(0, never, 100);
  pin const held(*run.page);
  REQUIRE(l.append("two", 2));
  CHECK(run.page == l.run(1, never, 100).page);
  CHECK(held->frames(run.first, run.last) == "one");
  CHECK(held->frames(0, 2) == "onetwo");
}

TEST_CASE("positions more than 32 bits apart lie in different pages") {
  event_log l;
  std::uint64_t const far = std::uint64_t{1} << 32;
  REQUIRE(l.append("a", 1));
  REQUIRE(l.append("b", far));      // 32 bits of distance
  REQUIRE(l.append("c", far + 1));  // one more
  REQUIRE(l.append("d", far * 1000));
  CHECK(l.position_of(0) == 1);
  CHECK(l.position_of(1) == far);
  CHECK(l.position_of(2) == far + 1);
  CHECK(l.position_of(3) == far * 1000);
  CHECK(l.ordinal_after(far) == 2);
  CHECK(l.run(0, never, 100).count() == 2);
}

TEST_CASE("frames at the borders of 16 bits are whole") {
  for (std::size_t size = 65'520; size <= 65'545; ++size) {
    for (bool const linked : {false, true}) {
      event_log l;
      std::string const text = '<' + std::string(size - 2, 'x') + '>';
      REQUIRE(l.append("before", 1));
      if (linked) {
        REQUIRE(add(l, text, 2));
      } else {
        REQUIRE(l.append(text, 2));
      }
      REQUIRE(l.append("after", 3));
      REQUIRE(l.run(0, 0, 0).bytes() == "before");
      REQUIRE_UNARY(l.run(1, 0, 0).bytes() == text);
      REQUIRE(l.run(2, 0, 0).bytes() == "after");
    }
  }
}

TEST_CASE("a page that is full to 64 KiB reads back every frame") {
  event_log l;
  model m;
  std::uint64_t p = 0;
  while (m.bytes < 600'000) {
    std::string text(1 + (p * 31) % 700, static_cast<char>('a' + p % 26));
    REQUIRE(l.append(text, ++p));
    m.add(p, std::move(text));
  }
  check_same(l, m);
}

TEST_CASE("an allocation that fails leaves a log as it was, whichever it is") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    event_log l;
    model m;
    unsigned failures = 0;
    for (std::uint64_t p = 1; p <= 80; ++p) {
      auto text = some_frame(random, 2);
      for (long n = 0;; ++n) {
        auto const held = counting_traits::held;
        counting_traits::left = n;
        bool const added = add(l, text, p);
        counting_traits::left = -1;
        if (added) break;
        REQUIRE(n < 4);
        ++failures;
        REQUIRE(counting_traits::held == held);
        REQUIRE(l.allocated_bytes() == held);
        check_same(l, m);
      }
      m.add(p, std::move(text));
      if (random.one_in(10)) {
        while (m.entries.size() > 5) m.trim();
        l.trim_to(5, never);
      }
    }
    check_same(l, m);
    CHECK(failures > 5);
  }
  CHECK(counting_traits::held == 0);
}

TEST_CASE("allocated_bytes is what was allocated") {
  support::random random(3);
  event_log l;
  for (std::uint64_t p = 1; p <= 3000; ++p) {
    REQUIRE(add(l, some_frame(random, 2), p));
    l.trim_to(random.below(100), 200'000);
    REQUIRE(l.allocated_bytes() == counting_traits::held);
  }
}

// replay_limits::max_bytes: "Memory taken: at most 2.25 times it, plus 1 KiB".
TEST_CASE("the memory of a log stays within what replay_limits::max_bytes says, for random sizes") {
  double worst = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    std::size_t const limit = std::size_t{1} << (11 + random.below(9));
    event_log l(limit);
    auto const base = 42 + random.below(limit / 8);  // 42: an event with a letter of data
    auto const large = random.below((std::min)(limit - 42, std::size_t{8000}));
    std::uint64_t p = 0;
    for (std::size_t total = 0; total < limit * 3;) {
      auto const size = 42 + random.below(random.one_in(4) ? large + 1 : base);
      REQUIRE(add(l, std::string((std::min)(size, limit), 'x'), ++p));
      total += size;
      l.trim_to(never, limit);
      worst =
          (std::max)(worst, (static_cast<double>(l.allocated_bytes()) - 1024) / static_cast<double>(limit));
    }
  }
  CHECK(worst <= 2.25);
}

TEST_CASE("the memory of a log stays within what replay_limits::max_bytes says, for the worst sizes") {
  // Each pattern repeats: {many small ones, then one large one that has a page of its own}, equal ones that
  // fit a page less than twice, the smallest there are.
  std::vector<std::vector<std::size_t>> const patterns = {
      {42, 4097}, {42, 42, 42, 4097}, {42, 465}, {42, 480}, {84, 536},
      {2100},     {2731, 1366},       {36},      {4090},    {4097}};
  for (std::size_t const limit : {600u, 4200u, 16'384u, 65'536u, 262'144u, 1'048'576u}) {
    for (std::size_t which = 0; which < patterns.size(); ++which) {
      CAPTURE(limit);
      CAPTURE(which);
      event_log l(limit);
      std::size_t most = 0;
      std::uint64_t p = 0;
      for (std::size_t total = 0; total < limit * 2;) {
        for (auto size : patterns[which]) {
          size = (std::min)(size, limit);
          REQUIRE(add(l, std::string(size, 'x'), ++p));
          l.trim_to(never, limit);
          most = (std::max)(most, l.allocated_bytes());
          total += size;
        }
      }
      CHECK(most <= limit * 9 / 4 + 1024);
    }
  }
}

// ---- tags, publishers' IDs, and what is taken back ----

namespace {

using ssewire::detail::siphash;

std::string frame_of(std::string_view id, std::size_t size) {
  auto text = "id: " + std::string(id) + '\n';
  if (text.size() < size) text.resize(size, 'x');
  return text;
}

entry_facts facts_of(std::string_view id, std::uint64_t position, std::uint64_t tag, bool own) {
  return {.position = position, .tag = tag, .id_hash = own ? siphash{1}(id) : 0, .own_id = own};
}

// As the broker does it.
bool add(event_log& to, std::string const& text, entry_facts const& facts) {
  if (text.size() <= ssewire::detail::largest_copied_frame) return to.entry_log::append(text, facts);
  auto own = pin::adopt(segment::make(0, text.size(), facts.tag != 0));
  if (!own) return false;
  std::copy(text.begin(), text.end(), own->tail());
  return to.link(own, text.size(), facts);
}

struct known_entry {
  std::string id;
  entry_facts facts;
  std::string text;
};

struct id_model {
  std::deque<known_entry> entries;
  std::uint64_t first = 0;  // ordinal
};

void check_ids(event_log const& l, id_model const& m) {
  REQUIRE(l.first_ordinal() == m.first);
  REQUIRE(l.events() == m.entries.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < m.entries.size(); ++i) {
    auto const& e = m.entries[i];
    auto const ordinal = m.first + i;
    bytes += e.text.size();
    REQUIRE(l.position_of(ordinal) == e.facts.position);
    auto const run = l.run(ordinal, 0, 0);
    REQUIRE_UNARY(run.bytes() == e.text);
    REQUIRE(run.page->tag(run.first) == e.facts.tag);
    auto const found = l.ordinal_of_id(e.id, siphash{1}(e.id));
    REQUIRE(found.has_value() == e.facts.own_id);
    if (found) REQUIRE(*found == ordinal);
  }
  REQUIRE(l.frame_bytes() == bytes);
  REQUIRE(l.allocated_bytes() == counting_traits::held);
}

}  // namespace

TEST_CASE("each entry keeps its tag, whatever its page, its size and its neighbours' tags") {
  for (std::size_t const size :
       {7u, 100u, 505u, 512u, 4096u, 4097u, 65'510u, 65'522u, 65'523u, 65'530u, 65'531u, 70'000u}) {
    event_log l;
    id_model m;
    for (std::uint64_t p = 1; p <= 12; ++p) {
      auto const id = std::to_string(p);
      auto const tag = p < 4 ? 0 : p % 3 == 0 ? 0 : ~std::uint64_t{0} / p;
      auto text = frame_of(id, p % 2 == 0 ? 20 : size);
      auto const facts = facts_of(id, p, tag, false);
      REQUIRE(add(l, text, facts));
      m.entries.push_back({id, facts, std::move(text)});
    }
    check_ids(l, m);
  }
}

TEST_CASE("without tags an entry takes 6 bytes, with them 14") {
  for (std::uint64_t const tag : {0u, 1u}) {
    event_log l;
    for (std::uint64_t p = 1; p <= 100; ++p)
      REQUIRE(l.entry_log::append("0123456789", {.position = p, .tag = tag}));
    CHECK(l.run(0, never, 100'000).count() == (tag == 0 ? 448 / 16 : 448 / 24));
  }
}

TEST_CASE("a publisher's ID is found as long as its entry is held, and another one never") {
  event_log l;
  REQUIRE(add(l, frame_of("one", 0), facts_of("one", 10, 0, true)));
  REQUIRE(add(l, frame_of("two", 0), facts_of("two", 20, 0, false)));
  REQUIRE(add(l, frame_of("three", 0), facts_of("three", 30, 0, true)));
  auto const find = [&](std::string_view id) { return l.position_of_id(id, siphash{1}(id)); };
  CHECK(find("one") == 10);
  CHECK_UNARY(!find("two"));
  CHECK(find("three") == 30);
  CHECK_UNARY(!find("on"));
  CHECK_UNARY(!find("one "));
  CHECK_UNARY(!find(""));
  CHECK_UNARY(!l.position_of_id("other", siphash{1}("one")));  // the text decides
  l.trim_one();
  CHECK_UNARY(!l.ordinal_of_id("one", siphash{1}("one")));
  CHECK(find("one") == 10);  // the last one lost: what follows it is whole
  l.trim_one();
  CHECK_UNARY(!find("one"));
  CHECK(find("three") == 30);
  l.trim_one();
  CHECK(find("three") == 30);
  REQUIRE(add(l, frame_of("three", 0), facts_of("three", 40, 0, true)));
  CHECK(find("three") == 40);
}

TEST_CASE(
    "a log with IDs and tags does what a deque does, and taking back undoes exactly what was appended") {
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    event_log l;
    id_model m;
    std::uint64_t position = 0;
    auto const append = [&] {
      auto const id = "id" + std::to_string(++position);
      auto text = frame_of(id, some_frame(random, 2).size());
      auto const facts = facts_of(id, position, random.one_in(3) ? random.next() : 0, !random.one_in(3));
      REQUIRE(add(l, text, facts));
      m.entries.push_back({id, facts, std::move(text)});
    };
    for (int step = 0; step < 120; ++step) {
      auto const what = random.below(8);
      if (what < 4) {
        append();
      } else if (what < 6) {
        auto const before = position;
        auto const held = m.entries.size();
        for (auto n = 1 + random.below(6); n != 0; --n) append();
        while (m.entries.size() != held) {
          l.take_back();
          m.entries.pop_back();
        }
        position = before;
      } else {
        for (auto n = random.below(6); n != 0 && !m.entries.empty(); --n) {
          REQUIRE(l.trim_through(m.entries.front().facts.position, 1) == 1);
          m.entries.pop_front();
          ++m.first;
        }
      }
      check_ids(l, m);
    }
  }
  CHECK(counting_traits::held == 0);
}

TEST_CASE("a log that forgets all knows no ID, not even of what it lost last, takes no memory, and goes on") {
  for (std::uint64_t const held : {0u, 1u, 100u}) {
    event_log l;
    auto const id_at = [](std::uint64_t position) { return "id" + std::to_string(position); };
    auto const append = [&](std::uint64_t position) {
      auto const id = id_at(position);
      REQUIRE(add(l, frame_of(id, 500), facts_of(id, position, 1, true)));
    };
    auto const find = [&](std::uint64_t position) {
      auto const id = id_at(position);
      return l.position_of_id(id, siphash{1}(id));
    };
    for (std::uint64_t i = 1; i <= 3 + held; ++i) append(i);
    for (int i = 0; i < 3; ++i) l.trim_one();
    REQUIRE(find(3) == 3);
    CHECK(l.forget_all() == held);
    CHECK(l.allocated_bytes() == 0);
    CHECK(l.lost_through() == 3 + held);
    for (std::uint64_t i = 1; i <= 3 + held; ++i) CHECK_UNARY(!find(i));
    append(4 + held);
    CHECK(find(4 + held) == 4 + held);
    CHECK(l.end_ordinal() == 4 + held);
    CHECK(l.forget_all() == 1);
  }
  CHECK(counting_traits::held == 0);
}

TEST_CASE("taking back the only entry leaves an empty log, that goes on") {
  event_log l;
  REQUIRE(add(l, frame_of("one", 0), facts_of("one", 5, 1, true)));
  l.take_back();
  CHECK(l.events() == 0);
  CHECK(l.lost_through() == 0);
  CHECK(l.end_ordinal() == 0);
  CHECK(l.frame_bytes() == 0);
  CHECK_UNARY(!l.position_of_id("one", siphash{1}("one")));
  REQUIRE(add(l, frame_of("one", 0), facts_of("one", 5, 0, true)));
  CHECK(l.position_of_id("one", siphash{1}("one")) == 5);
}

TEST_CASE("an allocation that fails leaves a log with IDs and tags as it was, whichever it is") {
  unsigned failures = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    support::random random(seed);
    event_log l;
    id_model m;
    for (std::uint64_t p = 1; p <= 60; ++p) {
      auto const id = std::to_string(p);
      auto text = frame_of(id, some_frame(random, 2).size());
      auto const facts = facts_of(id, p, random.below(2), random.one_in(2));
      for (long n = 0;; ++n) {
        counting_traits::left = n;
        bool const added = add(l, text, facts);
        counting_traits::left = -1;
        if (added) break;
        REQUIRE(n < 5);
        ++failures;
        check_ids(l, m);
      }
      m.entries.push_back({id, facts, std::move(text)});
    }
    check_ids(l, m);
  }
  CHECK(failures > 200);
  CHECK(counting_traits::held == 0);
}
