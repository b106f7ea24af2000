// SPDX-License-Identifier: MIT
// What replay_limits::max_bytes promises about memory. The test searches small scopes for a history that
// breaks the promise.
#include <ssewire/broker/broker.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/lost_headers.hpp>
#include <ssewire/log/detail/tombstones.hpp>
#include <ssewire/log/replay_buffer.hpp>
#include <ssewire/wire/serializer.hpp>
#include <ssewire/wire/text_buffer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace {

// What `operator new` has given and not got back.
std::size_t from_new = 0;
constexpr std::size_t head = 16;  // before each block: its size

}  // namespace

// Not inlined: g++ would see free() called on what came from `operator new`, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  auto* const block = static_cast<char*>(std::malloc(bytes + head));
  if (block == nullptr) throw std::bad_alloc();
  *reinterpret_cast<std::size_t*>(block) = bytes;
  from_new += bytes;
  return block + head;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  auto* const block = static_cast<char*>(memory) - head;
  from_new -= *reinterpret_cast<std::size_t*>(block);
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace {

using ssewire::errc;

struct counting_traits : ssewire::default_traits {
  static inline std::size_t held = 0;
  static void* allocate(std::size_t bytes) noexcept {
    held += bytes;
    return std::malloc(bytes);
  }
  static void deallocate(void* memory, std::size_t bytes) noexcept {
    if (memory != nullptr) held -= bytes;
    std::free(memory);
  }
};

// A REQUIRE for what is asked a million times.
void must(bool holds) {
  if (!holds) REQUIRE(holds);
}

// "Memory taken: at most 2.25 times it, plus 1 KiB; and 18 bytes for each event whose publisher gave it an
// ID, 8 for each where there are tags".
constexpr std::size_t promised(std::size_t max_bytes, std::uint64_t own_ids, std::uint64_t events,
                               bool tags) {
  return max_bytes * 9 / 4 + 1024 + 18 * own_ids + (tags ? 8 * events : 0);
}

// How near to what is promised anything came.
struct closest {
  double ratio = 0;
  std::string where;

  void see(std::size_t taken, std::size_t most, std::string_view at) {
    auto const now = static_cast<double>(taken) / static_cast<double>(most);
    if (now <= ratio) return;
    ratio = now;
    where = at;
  }
  void print(char const* what) const {
    std::cout << what << ": at worst " << ratio * 100 << " % of what is promised (" << where << ")\n";
  }
};

enum class tagging { none, first, alternating, all };
constexpr tagging taggings[] = {tagging::none, tagging::first, tagging::alternating, tagging::all};
enum class naming { none, alternating, all };  // which events have IDs of their publisher
constexpr naming namings[] = {naming::none, naming::alternating, naming::all};

// ---- an adversary that sees the log's pages, and chooses sizes by what finds no room ----

enum class move : char {
  smallest = 's',
  fits = 'f',  // just
  does_not_fit = 'd',
  half = 'h',    // of what is free
  copied = 'c',  // the largest that is
  large = 'L',
};

using page = ssewire::detail::segment<counting_traits>;
using pin = ssewire::detail::segment_pin<counting_traits>;

class attacked_log {
 public:
  attacked_log(std::size_t max_bytes, std::uint64_t max_events, tagging tags, naming ids)
      : max_bytes_(max_bytes), max_events_(max_events), tags_(tags), ids_(ids),
        log_(ssewire::detail::siphash{1}, max_bytes) {}

  void play(move what) {
    auto size = smallest();
    if (what == move::fits) size = (std::max)(size, newest_that_fits());
    if (what == move::does_not_fit) size = (std::max)(size, newest_that_fits() + 1);
    if (what == move::half) size = (std::max)(size, (newest_that_fits() + 1) / 2);
    if (what == move::copied) size = ssewire::detail::largest_copied_frame;
    if (what == move::large) size = ssewire::detail::largest_copied_frame + 1;
    append((std::max)((std::min)(size, max_bytes_), smallest()), true);
    log_.trim_to_events(max_events_);
    log_.trim_to_bytes(max_bytes_);
    while (held_.size() > 1 && (held_.size() > max_events_ || held_bytes_ > max_bytes_)) forget_one();
    for (; held_.size() > log_.events(); ++early_) forget_one();
  }

  [[nodiscard]] std::size_t taken() const { return log_.allocated_bytes(); }
  [[nodiscard]] std::size_t most() const { return promised(max_bytes_, named_, log_.events(), tagged_); }
  // Events that went although they were within max_bytes and max_events.
  [[nodiscard]] std::uint64_t early() const { return early_; }
  [[nodiscard]] std::size_t appended() const { return appended_; }

 private:
  [[nodiscard]] std::uint64_t tag() const {
    switch (tags_) {
    case tagging::none: return 0;
    case tagging::first: return count_ == 3 ? 1 : 0;
    case tagging::alternating: return count_ % 2;
    case tagging::all: break;
    }
    return 1;
  }
  [[nodiscard]] bool own() const {
    return ids_ == naming::all || (ids_ == naming::alternating && count_ % 2 == 0);
  }
  [[nodiscard]] std::size_t smallest() const { return own() ? 7 : 35; }

  // The largest size for which the next event gets no page of its own: by trying.
  [[nodiscard]] std::size_t newest_that_fits() {
    auto low = smallest() - 1;
    auto high = (std::max)((std::min)(max_bytes_, ssewire::detail::largest_copied_frame), low) + 1;
    while (low + 1 < high) {
      auto const middle = low + (high - low) / 2;
      auto const before = log_.allocated_bytes();
      append(middle, false);
      bool const fitted = log_.allocated_bytes() == before;
      log_.take_back();
      (fitted ? low : high) = middle;
    }
    return low;
  }

  void forget_one() {
    held_bytes_ -= held_.front().size;
    named_ -= held_.front().named ? 1u : 0u;
    held_.pop_front();
  }

  void append(std::size_t size, bool stays) {
    std::string const id(1, static_cast<char>('!' + count_ % 94));
    auto text = "id: " + id + "\n\n";
    text.resize(size, 'x');
    ssewire::detail::entry_facts const facts{.position = count_ + 1,
                                             .tag = tag(),
                                             .id_hash = ssewire::detail::siphash{1}(id),
                                             .own_id = stays && own()};
    if (text.size() <= ssewire::detail::largest_copied_frame) {
      must(log_.append(text, facts));
    } else {
      auto own_page = pin::adopt(page::make(0, text.size(), facts.tag != 0));
      std::copy(text.begin(), text.end(), own_page->tail());
      must(log_.link(own_page, text.size(), facts));
    }
    if (!stays) return;
    held_.push_back({size, own()});
    held_bytes_ += size;
    appended_ += size;
    named_ += own() ? 1u : 0u;
    tagged_ = tagged_ || facts.tag != 0;
    ++count_;
  }

  std::size_t max_bytes_;
  std::uint64_t max_events_;
  tagging tags_;
  naming ids_;
  ssewire::detail::entry_log<counting_traits> log_;
  struct event_held {
    std::size_t size;
    bool named;
  };
  std::deque<event_held> held_;
  std::size_t held_bytes_ = 0;
  std::size_t appended_ = 0;
  std::uint64_t named_ = 0;
  std::uint64_t early_ = 0;
  std::uint64_t count_ = 0;
  bool tagged_ = false;
};

constexpr auto no_limit = (std::numeric_limits<std::uint64_t>::max)();

// All words of these letters, up to a length.
std::vector<std::string> words(std::string_view letters, std::size_t longest) {
  std::vector<std::string> all = {""};
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].size() == longest) continue;
    for (auto const letter : letters) all.push_back(all[i] + letter);
  }
  all.erase(all.begin());
  return all;
}

std::string told(std::size_t max_bytes, std::string_view what, tagging tags, naming ids) {
  return "max_bytes " + std::to_string(max_bytes) + ", " + std::string(what) + ", tags " +
         std::to_string(static_cast<int>(tags)) + ", IDs " + std::to_string(static_cast<int>(ids));
}

// Plays each word again and again, until what the log held first is long gone.
void attack(std::vector<std::size_t> const& limits, std::vector<std::string> const& moves,
            std::uint64_t max_events, closest& worst) {
  for (auto const max_bytes : limits) {
    for (auto const tags : taggings) {
      for (auto const ids : namings) {
        if (max_bytes < 35 && ids != naming::all) continue;  // no event fits
        for (auto const& word : moves) {
          attacked_log log(max_bytes, max_events, tags, ids);
          auto const at = told(max_bytes, "moves " + word, tags, ids);
          for (std::size_t n = 0; n < 400 && (n < 20 || log.appended() < max_bytes * 5 / 2); ++n) {
            log.play(static_cast<move>(word[n % word.size()]));
            worst.see(log.taken(), log.most(), at);
          }
          INFO(at);
          CHECK(log.early() == 0);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("an adversary that sees a log's pages does not bring its memory beyond what is promised") {
  closest worst;
  attack({7, 14, 21, 35, 71, 213, 448, 700, 1500}, words("sfdh", 3), no_limit, worst);
  attack({2048, 3000, 3510, 4100, 6256, 12'229}, words("sfdh", 2), no_limit, worst);
  worst.print("a log's memory");
  CHECK(worst.ratio <= 1);
}

TEST_CASE("neither do large events, which have pages of their own and end others early") {
  closest worst;
  attack({4200, 9000, 16'384, 33'000, 70'000}, words("sdcL", 3), no_limit, worst);
  attack({140'000}, {"sL", "sdL", "ssscL", "dddL", "sdhcL"}, no_limit, worst);
  worst.print("a log's memory, with large events");
  CHECK(worst.ratio <= 1);
}

TEST_CASE("nor does max_events, when it is what is reached first") {
  closest worst;
  for (std::uint64_t const most : {1u, 2u, 3u, 7u}) attack({100, 600, 4096}, words("sfdh", 2), most, worst);
  worst.print("a log's memory, with few events");
  CHECK(worst.ratio <= 1);
}

TEST_CASE("events that more than 2^32 on other channels part have a page each, and the oldest go for that") {
  constexpr std::size_t max_bytes = 2000;
  ssewire::detail::entry_log<counting_traits> log(ssewire::detail::siphash{1}, max_bytes);
  std::string const text = "id: x\n" + std::string(28, 'x');
  for (std::uint64_t n = 1; n <= 100; ++n) {
    REQUIRE(log.append(text, {.position = n << 33}));
    log.trim_to_bytes(max_bytes);
    REQUIRE(log.allocated_bytes() <= promised(max_bytes, 0, log.events(), false));
  }
  CHECK(log.events() == 11);  // of 57 that max_bytes allows
}

// ---- what everybody sees ----

namespace {

// An event whose frame has this size, or the next one that there is; a publisher's ID of few bytes, if it
// has one.
struct sized_event {
  std::string id;
  std::string data;
  bool has_data = false;

  sized_event(std::size_t size, bool own, std::uint64_t number) {
    if (own) {
      for (auto left = number; id.empty() || left != 0; left /= 94) id += static_cast<char>('!' + left % 94);
    }
    auto const bare = own ? id.size() + 6 : ssewire::position_id::bytes + 6;
    has_data = size >= bare + 7;
    if (has_data) data.assign(size - bare - 7, 'x');
    if (own && !has_data && size > bare) id.append(size - bare, '~');
  }
  [[nodiscard]] ssewire::event event() const {
    ssewire::event e;
    if (has_data) e.data = data;
    if (!id.empty()) e.id = ssewire::event_id::from(id).value;
    return e;
  }
};

using broker = ssewire::basic_broker<counting_traits>;

}  // namespace

TEST_CASE(
    "what a broker's log takes stays within what replay_limits says at every publish, also one taken back") {
  closest worst;
  std::size_t const sizes[] = {7, 42, 200, 225, 230, 430, 442, 448, 505, 4096, 4097, 65'530, 65'537};
  for (std::size_t const max_bytes : {100u, 213u, 448u, 1000u, 2100u, 4200u, 20'000u, 140'000u}) {
    for (auto const tags : taggings) {
      for (auto const ids : namings) {
        for (auto const one : sizes) {
          for (auto const other : sizes) {
            if ((std::max)(one, other) > max_bytes || (one + other) * 40 < max_bytes) continue;
            ssewire::broker_options options;
            options.replay.max_bytes = max_bytes;
            options.replay.max_events = no_limit;
            broker b(options);
            REQUIRE(b.publish("in use", {.id = "x"}));
            auto const apart = b.stats().log_bytes;
            auto const word = std::to_string(one) + " and " + std::to_string(other) + " bytes";
            auto const at = told(max_bytes, word, tags, ids);
            bool any_tag = false;
            std::deque<bool> named;
            std::uint64_t names = 0;
            for (std::uint64_t n = 0; n < 90 && (n < 20 || b.stats().published_bytes < 3 * max_bytes); ++n) {
              bool const own = ids == naming::all || (ids == naming::alternating && n / 2 % 2 == 0);
              bool const tagged = tags == tagging::all || (tags == tagging::first && n == 3) ||
                                  (tags == tagging::alternating && n % 2 != 0);
              sized_event const next(n % 3 == 2 ? other : one, own, n);
              if (n % 5 == 4) {  // first something that is refused by its last channel, and so taken back
                ssewire::event const refused[] = {next.event(), {.id = "x"}};
                if (serialized_size(refused[0]) + 80 <= max_bytes)
                  must(b.publish({"a", "in use"}, refused, {.tag = 1}).error == errc::id_in_use);
              }
              auto const result = b.publish("a", next.event(), {.tag = tagged ? n + 1 : 0});
              if (result.error == errc::event_too_large) break;
              must(result.error == errc::ok);
              auto const s = b.stats();
              any_tag = any_tag || tagged;
              named.push_back(own);
              names += own ? 1u : 0u;
              for (; named.size() > s.events - 1; named.pop_front()) names -= named.front() ? 1u : 0u;
              worst.see(s.log_bytes - apart, promised(max_bytes, names, s.events - 1, any_tag), at);
            }
          }
        }
      }
    }
  }
  worst.print("a broker's log");
  CHECK(worst.ratio <= 1);
}

TEST_CASE("a log that was full of small events without tags keeps what replay_limits says when tags begin") {
  // 125 to 20 bytes of data are the sizes of a log that once took a new page for its first tag.
  ssewire::broker_options options;
  options.replay.max_bytes = 213;
  broker b(options);
  for (std::size_t const n : {125u, 73u, 67u, 21u, 20u}) {
    auto const data = std::string(n, 'x');
    REQUIRE(b.publish("c", {.data = data}));
  }
  auto const before = b.stats().log_bytes;
  REQUIRE(b.publish("c", {.data = "xxxxxxxxxxxxxxxxxxxxxxxxx"}, {.tag = 1}));
  CHECK(b.stats().log_bytes <= before);  // there was room in its page
  CHECK(b.stats().log_bytes <= promised(213, 0, b.stats().events, true));
}

TEST_CASE("a replay buffer's memory stays within what replay_limits says, whatever the sizes around its "
          "pages' ends") {
  closest worst;
  for (std::size_t const max_bytes : {60u, 213u, 448u, 900u, 3000u, 4200u}) {
    for (std::size_t first = 42; first <= (std::min)(max_bytes, std::size_t{520}); first += 3) {
      for (std::size_t const second : {42u, 200u, 400u}) {
        if (second > max_bytes) continue;
        ssewire::basic_replay_buffer<counting_traits> buffer(
            {.max_events = no_limit, .max_bytes = max_bytes});
        for (std::uint64_t n = 0; n < 60; ++n) {
          must(buffer.append(sized_event(n % 2 == 0 ? first : second, false, n).event()).error == errc::ok);
          worst.see(buffer.allocated_bytes(), promised(max_bytes, 0, 0, false),
                    told(max_bytes, std::to_string(first) + " and " + std::to_string(second), {}, {}));
        }
      }
    }
  }
  worst.print("a replay buffer");
  CHECK(worst.ratio <= 1);
  CHECK(counting_traits::held == 0);
}

TEST_CASE("a channel with one short event takes 504 bytes of max_log_bytes") {
  if (sizeof(void*) != 8) return;
  broker b;
  REQUIRE(b.publish("a", {.data = "x"}));
  CHECK(b.stats().log_bytes == 504);
}

// ---- other bounds that are stated ----

TEST_CASE("an expired channel that is remembered takes 140 bytes at most, the first and the last of many") {
  for (std::size_t const limit : {10u, 100u, 1000u, 10'000u}) {
    auto const before = from_new;
    ssewire::detail::tombstones gone(limit);
    std::size_t most = 0;
    for (std::uint64_t n = 1; n <= limit * 3; ++n) {
      gone.remember(n * 0x9E3779B97F4A7C15u, {n});
      // 8 bytes for each of two blocks: what an allocator adds.
      auto const taken = from_new - before + 2 * 8 * gone.size();
      if (gone.size() >= 10) most = (std::max)(most, taken / gone.size());
    }
    CAPTURE(limit);
    CHECK(gone.size() == limit);
    CHECK(most <= 140);
  }
}

TEST_CASE("what filters are asked about of lost events takes half of max_bytes at most") {
  for (std::size_t const max_bytes : {100u, 1000u, 16'384u}) {
    for (std::size_t const type : {0u, 1u, 20u, 24u, 25u, 26u, 300u}) {
      auto const name = std::string(type, 't');
      std::size_t most = 0;
      {
        auto const before = from_new;
        ssewire::detail::lost_headers lost(no_limit, max_bytes / 4, 0);  // as a broker makes it
        for (std::uint64_t n = 1; n <= 20'000; ++n) {
          lost.add(n, {.type = name, .id = n % 3 == 0 ? "own" : "", .tag = n % 7});
          most = (std::max)(most, from_new - before);
        }
      }
      CAPTURE(max_bytes);
      CAPTURE(type);
      CHECK(most <= max_bytes / 2 + 1);
    }
  }
}

TEST_CASE("a text in pieces takes twice max_bytes at most, whatever its pieces") {
  for (std::size_t const max_bytes : {16u, 17u, 31u, 32u, 100u, 8192u, 8193u}) {
    for (std::size_t const piece : {1u, 2u, 3u, 7u, 16u}) {
      std::string const bytes(piece, 'x');
      auto const before = from_new;
      ssewire::utf8_text_buffer text(max_bytes);
      std::size_t most = 0;
      for (int round = 0; round < 3; ++round) {
        while (text.append(bytes) == errc::ok) most = (std::max)(most, from_new - before);
        text.consume();
      }
      CAPTURE(max_bytes);
      CHECK(most <= 2 * max_bytes + 1);
    }
  }
}
