// SPDX-License-Identifier: MIT
#include <ssewire/log/detail/id_index.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using ssewire::detail::siphash;

// ---- the hash ----

TEST_CASE("the hash is SipHash-1-3") {
  std::string bytes;
  for (int i = 0; i < 255; ++i) bytes += static_cast<char>(i);
  auto const of_first = [&](std::size_t n) {
    return siphash::of(0x0706050403020100u, 0x0F0E0D0C0B0A0908u, std::string_view(bytes).substr(0, n));
  };
  CHECK(of_first(0) == 0xABAC0158050FC4DCu);
  CHECK(of_first(1) == 0xC9F49BF37D57CA93u);
  CHECK(of_first(7) == 0xD3927D989BB11140u);
  CHECK(of_first(8) == 0x369095118D299A8Eu);
  CHECK(of_first(9) == 0x25A48EB36C063DE4u);
  CHECK(of_first(15) == 0xD320D86D2A519956u);
  CHECK(of_first(16) == 0xCC4FDD1A7D908B66u);
  CHECK(of_first(128) == 0xE17A5D57CBFA3A8Fu);
  CHECK(of_first(255) == 0xF76214E3153C4A15u);
}

TEST_CASE("the hash depends on the secret, on each byte and on the length") {
  siphash const hash{1};
  CHECK(hash("a") == siphash{1}("a"));
  CHECK(hash("a") != siphash{0}("a"));
  CHECK(hash("a") != siphash{2}("a"));
  CHECK(hash("a") != siphash{std::uint64_t{1} << 63}("a"));
  CHECK(hash("a") != hash("b"));
  CHECK(hash("a") != hash(std::string_view("a\0", 2)));
  CHECK(hash("") != hash(std::string_view("\0", 1)));
  CHECK(hash(std::string_view("\x80", 1)) != hash(std::string_view("\0", 1)));
}

// Differences in the highest bits pass through a product with any secret unchanged.
TEST_CASE("texts that collide under any secret multiplier do not collide") {
  support::random random(1);
  auto const high = [](std::uint64_t h) { return h >> 32; };
  std::string a(16, 'a');
  auto b = a;
  b[7] ^= '\x40';
  b[15] ^= '\x40';
  b[12] ^= '\x02';
  auto c = a;
  c[7] = static_cast<char>(c[7] | '\x80');
  c[15] = static_cast<char>(c[15] | '\x80');
  c[12] ^= '\x04';
  for (int i = 0; i < 1000; ++i) {
    siphash const hash{random.next()};
    REQUIRE(high(hash(a)) != high(hash(b)));
    REQUIRE(high(hash(a)) != high(hash(c)));
  }
}

TEST_CASE("another digit in an ID turns each bit of the hash in half of the cases") {
  support::random random(2);
  constexpr int cases = 20000;
  for (std::size_t const digits : {1u, 4u, 8u, 10u, 20u}) {
    std::array<int, 64> turned = {};
    for (int i = 0; i < cases; ++i) {
      siphash const hash{random.next()};
      std::string id(digits, '0');
      for (auto& digit : id) digit = static_cast<char>('0' + random.below(10));
      auto other = id;
      auto& digit = other[random.below(digits)];
      digit = static_cast<char>('0' + (digit - '0' + 1 + static_cast<int>(random.below(9))) % 10);
      auto const difference = hash(id) ^ hash(other);
      for (std::size_t bit = 0; bit < 64; ++bit) turned[bit] += static_cast<int>(difference >> bit & 1);
    }
    // Six standard deviations: 425.
    for (auto const times : turned) REQUIRE(std::abs(times - cases / 2) < 425);
  }
}

TEST_CASE("numbers in a row do not collide, and fill buckets evenly by their high and by their low bits") {
  constexpr std::size_t buckets = 1024;
  constexpr std::size_t ids = 1000000;
  siphash const hash{0x0123456789ABCDEFu};
  std::vector<std::uint64_t> hashes;
  std::array<std::array<std::size_t, buckets>, 3> in = {};
  for (std::size_t i = 0; i < ids; ++i) {
    auto const h = hash(std::to_string(i));
    hashes.push_back(h);
    ++in[0][h >> 54];
    ++in[1][(h >> 22) % buckets];
    ++in[2][h % buckets];
  }
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
  for (auto const& counts : in) {
    double chi_squared = 0;  // 1023 expected, standard deviation 45
    for (auto const count : counts) {
      auto const expected = static_cast<double>(ids) / buckets;
      chi_squared +=
          (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
    }
    CHECK(chi_squared > 1023 - 6 * 45);
    CHECK(chi_squared < 1023 + 6 * 45);
  }
}

// ---- the index ----

struct memory {
  static inline std::size_t live_bytes = 0;
  static inline std::size_t taken = 0;  // allocations so far
  static inline long left = -1;         // how many succeed until one fails; negative: none does
  static inline std::size_t failed = 0;
  static inline bool none_at_all = false;
  static inline std::map<void*, std::size_t> sizes;

  static void* allocate(std::size_t bytes) noexcept {
    CHECK(bytes != 0);
    if (none_at_all || (left >= 0 && left-- == 0)) {
      ++failed;
      return nullptr;
    }
    ++taken;
    live_bytes += bytes;
    auto* const at = std::malloc(bytes);
    sizes[at] = bytes;
    return at;
  }
  static void deallocate(void* at, std::size_t bytes) noexcept {
    auto const known = sizes.find(at);
    REQUIRE(known != sizes.end());
    CHECK(known->second == bytes);
    sizes.erase(known);
    live_bytes -= bytes;
    std::free(at);
  }
};

using id_index = ssewire::detail::id_index<memory>;
static_assert(!std::is_copy_constructible_v<id_index> && !std::is_copy_assignable_v<id_index>);

constexpr std::uint64_t wrap = std::uint64_t{1} << 32;

// The ordinals that find() offers, sorted.
std::vector<std::uint64_t> offered(id_index const& index, std::uint64_t hash, std::uint64_t first) {
  std::vector<std::uint64_t> ordinals;
  auto const found = index.find(hash, first, [&](std::uint64_t ordinal) {
    ordinals.push_back(ordinal);
    return false;
  });
  CHECK_FALSE(found.has_value());
  std::sort(ordinals.begin(), ordinals.end());
  return ordinals;
}

// What an index must hold: entries in the order of their ordinals.
struct oracle {
  std::uint64_t first;
  std::deque<std::uint64_t> hashes;

  [[nodiscard]] std::uint64_t end() const { return first + hashes.size(); }
};

// An index knows the upper half of a hash, and not zero from one.
std::uint64_t known_part(std::uint64_t hash) { return (std::max)(hash >> 32, std::uint64_t{1}); }

void check_all(id_index const& index, oracle const& held) {
  REQUIRE(index.size() == held.hashes.size());
  CHECK(memory::live_bytes == index.allocated_bytes());
  std::map<std::uint64_t, std::vector<std::uint64_t>> by_part;
  for (std::size_t i = 0; i < held.hashes.size(); ++i)
    by_part[known_part(held.hashes[i])].push_back(held.first + i);
  for (auto const& [part, ordinals] : by_part) REQUIRE(offered(index, part << 32, held.first) == ordinals);
}

TEST_CASE("an empty index holds no memory, finds nothing and forgets nothing") {
  auto const taken = memory::taken;
  {
    id_index index;
    CHECK(index.size() == 0);
    CHECK(index.allocated_bytes() == 0);
    CHECK(offered(index, 7, 0).empty());
    index.erase(7, 0);
    CHECK(index.size() == 0);
    CHECK(memory::taken == taken);
  }
  id_index index;
  CHECK(index.insert(7, 0));
  CHECK(memory::live_bytes == index.allocated_bytes());
  index.erase(7, 0);
  CHECK(index.allocated_bytes() == 0);
  CHECK(memory::live_bytes == 0);
}

TEST_CASE("an ID is found by its hash and its text") {
  siphash const hash{99};
  std::vector<std::string> const texts = {"order-1", "order-2", "", "order-1"};
  id_index index;
  for (std::size_t i = 0; i < 3; ++i) REQUIRE(index.insert(hash(texts[i]), 100 + i));
  auto const find = [&](std::string_view id) {
    return index.find(hash(id), 100, [&](std::uint64_t at) { return texts[at - 100] == id; });
  };
  CHECK(find("order-1") == 100u);
  CHECK(find("order-2") == 101u);
  CHECK(find("") == 102u);
  CHECK(find("order-3") == std::nullopt);
  index.erase(hash("order-1"), 100);
  CHECK(find("order-1") == std::nullopt);
  CHECK(index.insert(hash("order-1"), 103));
  CHECK(find("order-1") == 103u);
  CHECK(find("order-2") == 101u);
}

TEST_CASE("of equal hashes the text decides, and one is erased alone") {
  // Also where the search goes round the table's end, and where the hash is what marks a free slot.
  for (auto const hash : {std::uint64_t{0}, wrap, 0x80000000 * wrap, 0xFFFFFFFF * wrap}) {
    for (std::uint64_t const n : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 100u}) {
      for (std::uint64_t gone = 0; gone < n; ++gone) {
        id_index index;
        for (std::uint64_t i = 0; i < n; ++i) REQUIRE(index.insert(hash, i));
        REQUIRE(index.find(hash, 0, [&](std::uint64_t at) { return at == gone; }) == gone);
        index.erase(hash, n);
        REQUIRE(index.size() == n);
        index.erase(hash ^ wrap << 8, gone);
        REQUIRE(index.size() == n);
        index.erase(hash, gone);
        REQUIRE(index.size() == n - 1);
        REQUIRE(index.find(hash, 0, [&](std::uint64_t at) { return at == gone; }) == std::nullopt);
        REQUIRE(offered(index, hash, 0).size() == n - 1);
      }
    }
  }
}

TEST_CASE("an ordinal comes back whole from its low half") {
  for (auto const first : {std::uint64_t{0}, wrap - 3, wrap, 5 * wrap - 1, ~std::uint64_t{0} - 10}) {
    id_index index;
    for (std::uint64_t i = 0; i < 8; ++i) REQUIRE(index.insert(i << 40, first + i));
    for (std::uint64_t i = 0; i < 8; ++i)
      CHECK(index.find(i << 40, first, [](std::uint64_t) { return true; }) == first + i);
    // What is behind the first by nearly 2^32.
    CHECK(index.insert(99 * wrap, first + wrap - 1));
    CHECK(index.find(99 * wrap, first, [](std::uint64_t) { return true; }) == first + wrap - 1);
    index.erase(99 * wrap, first + wrap - 1);
    CHECK(index.size() == 8);
  }
}

// How the hashes of a history are spread.
enum class spread { even, few, at_the_end, one, zero_and_one };

std::uint64_t draw(spread how, support::random& random) {
  switch (how) {
  case spread::few: return random.below(20) * 0x0123456700000000u + random.below(5);
  case spread::at_the_end: return ~std::uint64_t{0} - random.below(8) * wrap;
  case spread::one: return 0x1234567800000000u;
  case spread::zero_and_one: return random.below(2) * wrap;
  case spread::even: break;
  }
  return random.next();
}

TEST_CASE("random histories: what a log holds is found, and nothing else") {
  constexpr std::uint64_t first_seed = 1;
  for (std::uint64_t seed = first_seed; seed < first_seed + 200; ++seed) {
    CAPTURE(seed);
    support::random random(seed);
    auto const how = static_cast<spread>(seed % 5);
    auto const largest = how == spread::one ? 60u : 1u + random.below(400);
    {
      id_index index;
      oracle held{random.one_in(2) ? random.next() : wrap * (1 + random.below(9)) - random.below(300), {}};
      bool growing = true;
      for (int step = 0; step < 1500; ++step) {
        if (held.hashes.empty()) growing = true;
        if (held.hashes.size() >= largest) growing = false;
        auto const choice = random.below(10);
        if (choice < (growing ? 6u : 3u)) {
          auto const hash = draw(how, random);
          REQUIRE(index.insert(hash, held.end()));
          held.hashes.push_back(hash);
        } else if (choice < 8 && !held.hashes.empty()) {  // trimmed
          index.erase(held.hashes.front(), held.first++);
          held.hashes.pop_front();
        } else if (choice == 8 && !held.hashes.empty()) {  // rolled back
          index.erase(held.hashes.back(), held.end() - 1);
          held.hashes.pop_back();
        } else {  // neither known
          index.erase(draw(how, random), held.end() + random.below(3));
          auto const hash = random.next();
          auto const known = std::any_of(held.hashes.begin(), held.hashes.end(),
                                         [&](auto h) { return known_part(h) == known_part(hash); });
          REQUIRE(offered(index, hash, held.first).empty() == !known);
        }
        REQUIRE(index.size() == held.hashes.size());
        REQUIRE(index.allocated_bytes() <= 18 * index.size());
        if (!held.hashes.empty()) {
          auto const wanted = random.below(held.hashes.size());
          auto const ordinal = held.first + wanted;
          REQUIRE(index.find(held.hashes[wanted], held.first, [&](auto at) { return at == ordinal; }) ==
                  ordinal);
        }
        if (random.one_in(20)) check_all(index, held);
      }
      check_all(index, held);
    }
    REQUIRE(memory::live_bytes == 0);
  }
}

TEST_CASE("at most 12 bytes an ID while a log grows, 18 when it shrinks, at every size") {
  constexpr std::uint64_t most = 200000;
  siphash const hash{3};
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t i = 0; i < most; ++i) hashes.push_back(hash(std::to_string(i)));
  {
    id_index index;
    auto const taken = memory::taken;
    for (std::uint64_t n = 1; n <= most; ++n) {
      REQUIRE(index.insert(hashes[n - 1], n - 1));
      REQUIRE(index.allocated_bytes() <= 12 * n);
      if (n > 100) REQUIRE(index.allocated_bytes() >= 9 * n);  // room for short searches
    }
    CHECK(memory::taken - taken < 50);  // it grows by steps of a quarter and more
    for (std::uint64_t i = 0; i < most; i += 97)
      REQUIRE(index.find(hashes[i], 0, [&](auto at) { return at == i; }) == i);
    for (std::uint64_t n = most; n-- > 0;) {
      index.erase(hashes[most - 1 - n], most - 1 - n);
      REQUIRE(index.size() == n);
      REQUIRE(index.allocated_bytes() <= 18 * n);
    }
    CHECK(memory::taken - taken < 100);
  }
  CHECK(memory::live_bytes == 0);
}

TEST_CASE("a log that trims one event for each published does not rebuild the table again and again") {
  siphash const hash{4};
  for (std::uint64_t n = 1; n <= 600; ++n) {
    id_index index;
    for (std::uint64_t i = 0; i < n; ++i) REQUIRE(index.insert(hash(std::to_string(i)), i));
    auto const publish_and_trim = [&](std::uint64_t from, std::uint64_t rounds) {
      for (auto i = from; i < from + rounds; ++i) {
        REQUIRE(index.insert(hash(std::to_string(i + n)), i + n));
        index.erase(hash(std::to_string(i)), i);
      }
    };
    publish_and_trim(0, 3);
    auto const settled = memory::taken;
    publish_and_trim(3, 50);
    REQUIRE(memory::taken == settled);
    // As well when the oldest goes first, and when the table has just shrunk.
    index.erase(hash(std::to_string(53)), 53);
    for (std::uint64_t i = 54; n > 3 && index.size() > n / 2; ++i) index.erase(hash(std::to_string(i)), i);
    auto const begin = 53 + n - index.size();
    auto const shrunk = memory::taken;
    for (std::uint64_t i = begin; n > 3 && i < begin + 50; ++i) {
      index.erase(hash(std::to_string(i)), i);
      REQUIRE(index.insert(hash(std::to_string(53 + n + i - begin)), 53 + n + i - begin));
    }
    REQUIRE(memory::taken - shrunk <= 2);
  }
}

TEST_CASE("where memory fails nothing has changed, whichever allocation it is") {
  for (long n = 0;; ++n) {
    CAPTURE(n);
    auto const failed = memory::failed;
    {
      support::random random(7);
      id_index index;
      oracle held{wrap - 20, {}};
      memory::left = n;
      for (int step = 0; step < 600; ++step) {
        // Grows to about 100 and shrinks again, three times.
        auto const grow = random.below(10) < (step % 200 < 130 ? 9u : 0u);
        if (grow) {
          auto const hash = random.next();
          auto const bytes = index.allocated_bytes();
          if (!index.insert(hash, held.end())) {
            CHECK(memory::failed == failed + 1);
            CHECK(index.allocated_bytes() == bytes);
            check_all(index, held);
            CHECK(offered(index, hash, held.first).empty());
            REQUIRE(index.insert(hash, held.end()));  // there is memory again
          }
          held.hashes.push_back(hash);
        } else if (!held.hashes.empty()) {
          auto const had_failed = memory::failed;
          index.erase(held.hashes.front(), held.first++);
          held.hashes.pop_front();
          if (memory::failed != had_failed) check_all(index, held);
        }
        REQUIRE(index.size() == held.hashes.size());
      }
      check_all(index, held);
      memory::left = -1;
    }
    REQUIRE(memory::live_bytes == 0);
    if (memory::failed == failed) {
      CHECK(n > 15);  // that many were made to fail
      break;
    }
  }
}

TEST_CASE("without memory for a smaller table the large one serves on, until there is some") {
  {
    id_index index;
    oracle held{0, {}};
    support::random random(8);
    for (int i = 0; i < 1000; ++i) {
      held.hashes.push_back(random.next());
      REQUIRE(index.insert(held.hashes.back(), held.end() - 1));
    }
    auto const bytes = index.allocated_bytes();
    memory::none_at_all = true;
    auto const trim_to = [&](std::size_t n) {
      while (held.hashes.size() > n) {
        index.erase(held.hashes.front(), held.first++);
        held.hashes.pop_front();
      }
    };
    trim_to(100);
    CHECK(index.allocated_bytes() == bytes);
    check_all(index, held);
    held.hashes.push_back(random.next());
    CHECK(index.insert(held.hashes.back(), held.end() - 1));  // needs none
    memory::none_at_all = false;
    trim_to(100);
    CHECK(index.allocated_bytes() <= 18 * 100);
    check_all(index, held);
    memory::none_at_all = true;
    trim_to(0);  // takes none
    CHECK(index.allocated_bytes() == 0);
    CHECK_FALSE(index.insert(1, 1));
    CHECK(index.size() == 0);
    memory::none_at_all = false;
  }
  CHECK(memory::live_bytes == 0);
}

}  // namespace
