// SPDX-License-Identifier: MIT
// siphash.hpp - a hash of texts that other people choose: channel names, publishers' IDs, user keys.
// Source: Aumasson and Bernstein, SipHash: a fast short-input PRF, 2012; the variant with one round for each
// word and three rounds at the end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Without the secret nobody can choose texts whose hashes collide. This holds for every part of the 64 bits.
// Multiplying by a secret would not be enough: a difference in the highest bits of a word passes through the
// product unchanged, and a later word can cancel it, whatever the secret is. Results are the same on every
// machine, so that tests can name the values.
struct siphash {
  std::uint64_t secret;

  std::uint64_t operator()(std::string_view text) const noexcept {
    return of(secret, secret * 0x9E3779B97F4A7C15u, text);
  }

  // SipHash-1-3. The two words are its key.
  [[nodiscard]] static std::uint64_t of(std::uint64_t key0, std::uint64_t key1,
                                        std::string_view text) noexcept {
    state s{key0 ^ 0x736F6D6570736575u, key1 ^ 0x646F72616E646F6Du, key0 ^ 0x6C7967656E657261u,
            key1 ^ 0x7465646279746573u};
    auto const* at = text.data();
    auto left = text.size();
    for (; left >= 8; at += 8, left -= 8) s.add(word_at(at));
    auto last = std::uint64_t{text.size()} << 56;
    while (left-- != 0) last |= byte(at[left]) << 8 * left;
    s.add(last);
    s.c ^= 0xFF;
    for (int i = 0; i < 3; ++i) s.mix();
    return s.a ^ s.b ^ s.c ^ s.d;
  }

 private:
  struct state {
    std::uint64_t a, b, c, d;

    void add(std::uint64_t word) noexcept {
      d ^= word;
      mix();
      a ^= word;
    }

    void mix() noexcept {
      a += b;
      b = std::rotl(b, 13) ^ a;
      a = std::rotl(a, 32);
      c += d;
      d = std::rotl(d, 16) ^ c;
      a += d;
      d = std::rotl(d, 21) ^ a;
      c += b;
      b = std::rotl(b, 17) ^ c;
      c = std::rotl(c, 32);
    }
  };

  static std::uint64_t byte(char c) noexcept { return static_cast<unsigned char>(c); }

  // Compilers turn this long form into one load.
  static std::uint64_t word_at(char const* at) noexcept {
    return byte(at[0]) | byte(at[1]) << 8 | byte(at[2]) << 16 | byte(at[3]) << 24 | byte(at[4]) << 32 |
           byte(at[5]) << 40 | byte(at[6]) << 48 | byte(at[7]) << 56;
  }
};

// The same for the standard library's tables.
struct keyed_hash {
  siphash of;

  // Not noexcept: then libstdc++ keeps each hash, and a table that grows under a lock hashes no text again.
  std::size_t operator()(std::string_view text) const {
    return of(text) & (std::numeric_limits<std::size_t>::max)();
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
