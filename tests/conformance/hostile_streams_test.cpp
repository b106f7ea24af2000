// SPDX-License-Identifier: MIT
// Compares the parser with the literal parser on hostile streams. SSEWIRE_STREAMS: how many; SSEWIRE_SEED:
// read only this one.
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/every_split.hpp>
#include <support/hostile_stream.hpp>
#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::errc;
using support::hostile_stream;
using support::how;
using support::way;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SSEWIRE_TESTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SSEWIRE_TESTS_SANITIZED 1
#endif
#endif
#if defined(SSEWIRE_TESTS_SANITIZED)
constexpr std::uint64_t streams = 20'000;
constexpr bool sanitized = true;
#else
constexpr std::uint64_t streams = 1'000'000;
constexpr bool sanitized = false;
#endif

std::uint64_t from_environment(char const* name, std::uint64_t otherwise) {
  auto const* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct counts {
  std::uint64_t with_events = 0;
  std::uint64_t events = 0;
  std::uint64_t comments = 0;
  std::uint64_t repaired = 0;
  std::uint64_t limited = 0;
};

// What is wrong with how the parser reads this stream; nothing if nothing is. `choice` makes what is not the
// stream's: limits, ways of reading. The same stream and choice are read the same.
std::string wrong(hostile_stream const& stream, std::uint64_t choice, counts* seen = nullptr) {
  using ssewire::utf8;
  support::random random(choice);
  std::string_view const bytes = stream.bytes;
  auto const complain = [&](way w, support::told const& got, support::literal::reading const& expected,
                            std::string const& with) {
    std::ostringstream out;
    out << name(w) << with << "\n  expected " << expected << "\n  got      " << got.read << "\n  error "
        << message(got.error) << ", offset " << got.offset
        << (got.sound ? "" : ", and a call answered wrongly");
    return out.str();
  };

  how const plain = {
      .limits = {.max_id_bytes = 1024 * 1024}, .empty_pieces = false, .exact_buffers = sanitized};

  // Repaired, as the standard reads it: in one piece, and pushed and pulled in pieces.
  auto const repaired = support::literal::read(bytes);
  auto const comments = random.below(2);
  struct {
    way w;
    bool whole;
  } const readings[] = {{support::ways[1 - comments], true},
                        {support::ways[comments], false},
                        {support::ways[2 + comments], false}};
  for (auto const& [w, whole] : readings) {
    auto const got = support::read_pieces(w, bytes, whole ? std::vector<std::size_t>{} : stream.cuts, plain);
    if (!agrees(got, w, repaired)) return complain(w, got, repaired, whole ? ", whole" : ", cut");
  }

  // The bytes as they are.
  auto const ascii =
      std::all_of(bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  auto const kept = ascii ? repaired : support::literal::read(bytes, utf8::keep);
  auto const any = random.pick(support::ways);
  auto untouched = plain;
  untouched.encoding = utf8::keep;
  if (auto const got = support::read_pieces(any, bytes, stream.cuts, untouched); !agrees(got, any, kept)) {
    return complain(any, got, kept, ", cut, utf8::keep");
  }

  // The next stream of the same parser: this one's begin came before it, and left nothing but its ID and
  // retry.
  if (random.one_in(4) && !bytes.empty()) {
    auto again = plain;
    auto const before = again.before = bytes.substr(0, random.below(bytes.size() + 1));
    auto const expected = support::literal::read(bytes, utf8::repair, support::literal::parse(before));
    auto const got = support::read_pieces(any, bytes, stream.cuts, again);
    if (!agrees(got, any, expected)) {
      return complain(any, got, expected,
                      ", cut, after reset() behind " + std::to_string(before.size()) + " bytes");
    }
  }

  // With limits that may be exceeded.
  bool limited = false;
  if (random.one_in(2)) {
    auto const largest = (std::max)(std::size_t{16}, (std::min)(bytes.size(), std::size_t{300}));
    auto options = random.one_in(2) ? untouched : plain;
    if (random.one_in(2)) options.limits.max_line_bytes = random.below(largest);
    if (random.one_in(2)) options.limits.max_event_bytes = random.below(largest);
    if (random.one_in(2)) options.limits.max_id_bytes = random.below(6);
    auto const first = support::literal::first_exceeded(bytes, options.limits);
    auto const expected = first.error != errc::ok
                              ? support::literal::read(bytes.substr(0, first.offset), options.encoding)
                          : options.encoding == utf8::keep ? kept
                                                           : repaired;
    auto got = support::read_pieces(any, bytes, stream.cuts, options);
    limited = first.error != errc::ok;
    auto const error = got.error;
    got.error = errc::ok;
    if (error != first.error || got.offset != first.offset || !agrees(got, any, expected)) {
      got.error = error;
      std::ostringstream with;
      with << ", cut, limits " << options.limits.max_line_bytes << ' ' << options.limits.max_event_bytes
           << ' ' << options.limits.max_id_bytes << ": expected " << message(first.error) << " at "
           << first.offset;
      return complain(any, got, expected, with.str());
    }
  }

  if (seen != nullptr) {
    seen->with_events += repaired.events.empty() ? 0u : 1u;
    seen->events += repaired.events.size();
    seen->comments += repaired.comments.size();
    seen->repaired += kept == repaired ? 0u : 1u;
    seen->limited += limited ? 1u : 0u;
  }
  return {};
}

TEST_CASE("H-01 on hostile streams, however cut, the parser says what the standard's text says") {
  auto const only = from_environment("SSEWIRE_SEED", 0);
  auto const count = only == 0 ? from_environment("SSEWIRE_STREAMS", streams) : 1;
  counts seen;
  for (std::uint64_t seed = only == 0 ? 1 : only, n = 0; n != count; ++n, ++seed) {
    auto const stream = support::make_hostile_stream(seed);
    if (wrong(stream, seed, &seen).empty()) continue;
    auto const least =
        support::shortened(stream, [&](auto const& less) { return !wrong(less, seed).empty(); });
    FAIL("SSEWIRE_SEED=" << seed << ", in short:\n" << as_code(least) << "\n" << wrong(least, seed));
  }
  MESSAGE("seeds from " << (only == 0 ? 1 : only) << ", " << count << " streams, " << seen.with_events
                        << " with events, " << seen.events << " events, " << seen.comments << " comments, "
                        << seen.repaired << " with bytes that are not UTF-8 in what is told, " << seen.limited
                        << " stopped by a limit");
  if (count < 1000) return;
  // Or the streams are no longer what they are meant to be.
  CHECK(seen.with_events > count / 2);
  CHECK(seen.comments > count / 3);
  CHECK(seen.repaired > count / 5);
  CHECK(seen.limited > count / 8);
}

TEST_CASE("H-02 a stream that fails is shortened to what makes it fail, and printed as code") {
  auto const crlf_cut = [](hostile_stream const& s) {
    for (auto const cut : s.cuts) {
      if (s.bytes[cut - 1] == '\r' && s.bytes[cut] == '\n') return true;
    }
    return false;
  };
  hostile_stream found;
  for (std::uint64_t seed = 1; !crlf_cut(found); ++seed) found = support::make_hostile_stream(seed);
  CHECK(as_code(support::shortened(found, crlf_cut)) == R"("\r\n"sv, {1})");
  std::string_view const bytes("\xEF\xBB\xBF"
                               "data: \"\\x\0x\x01"
                               "1\r",
                               17);
  CHECK(as_code(hostile_stream{std::string(bytes), {1, 3}}) ==
        R"("\xEF\xBB\xBF" "data: \"\\x\x00x\x01" "1\r"sv, {1, 3})");
}

}  // namespace
