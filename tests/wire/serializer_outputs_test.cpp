// SPDX-License-Identifier: MIT
#include <ssewire/core/framing.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/wire/serializer.hpp>

#include <support/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::errc;
using ssewire::event;
using ssewire::framing;
using ssewire::serialize;
using ssewire::serialize_comment;
using ssewire::serialized_size;

// The rules again, a byte at a time.
std::string lines(std::string_view prefix, std::string_view text) {
  std::string out(prefix);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' && text[i] != '\n') {
      out += text[i];
      continue;
    }
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    out += '\n';
    out += prefix;
  }
  return out += '\n';
}

std::string expected(event const& e) {
  std::string out;
  if (e.id.has_value()) out += "id: " + std::string(e.id.value()) + "\n";
  if (!e.type.empty()) out += "event: " + std::string(e.type.value()) + "\n";
  if (e.retry) out += "retry: " + std::to_string(e.retry->milliseconds) + "\n";
  if (e.data) out += lines("data: ", *e.data);
  return out += '\n';
}

std::string chunk(std::string const& body) {
  std::ostringstream out;
  if (!body.empty()) out << std::hex << body.size() << "\r\n" << body << "\r\n";
  return out.str();
}

// To memory that ends where the frame ends: a sanitizer sees what is written behind it.
template <class Frame> std::string to_exact_span(Frame const& frame, framing body) {
  std::vector<char> exact(serialized_size(frame, body));
  auto const result = serialize(frame, std::span<char>(exact), body);
  CHECK(result.error == errc::ok);
  CHECK(result.value == exact.size());
  return std::string(exact.begin(), exact.end());
}

template <class Frame> void agrees(Frame const& frame, std::string const& raw) {
  for (auto const body : {framing::raw, framing::chunked}) {
    auto const want = body == framing::raw ? raw : chunk(raw);
    REQUIRE(serialized_size(frame, body) == want.size());
    REQUIRE(serialize(frame, body) == want);
    REQUIRE(to_exact_span(frame, body) == want);

    std::vector<char> large(8 * want.size() + 2048);
    auto const result = serialize(frame, std::span<char>(large), body);
    REQUIRE(std::string_view(large.data(), result.value) == want);

    if (!want.empty()) {
      std::vector<char> small(want.size() - 1, '?');
      CHECK(serialize(frame, std::span<char>(small), body).error == errc::buffer_too_small);
      CHECK(std::count(small.begin(), small.end(), '?') == static_cast<std::ptrdiff_t>(small.size()));
    }

    std::string appended = "before";
    serialize(frame, appended, body);
    REQUIRE(appended == "before" + want);

    std::string iterated = "before";
    serialize(frame, std::back_inserter(iterated), body);
    REQUIRE(iterated == "before" + want);
  }
}

// Sized to the byte: a sanitizer sees what is read behind it.
std::vector<char> exactly(std::string_view text) { return std::vector<char>(text.begin(), text.end()); }

std::string random_text(support::random& random, std::size_t size) {
  static constexpr std::string_view tokens[] = {"\n",     "\r",   "\r\n", "\n\r",    "a",
                                                "data: ", "\x80", "\t",   "\xC3\xA9"};
  auto const rare = 1 + random.below(120);
  std::string text;
  while (text.size() < size) {
    if (random.one_in(rare)) {
      text += random.pick(tokens);
    } else {
      text += static_cast<char>('a' + random.below(26));
    }
  }
  text.resize(size);
  return text;
}

TEST_CASE("every output gets the same bytes, those of the rules read one byte at a time") {
  support::random random(20);
  for (int i = 0; i < 1500; ++i) {
    auto const text =
        exactly(random_text(random, random.one_in(20) ? random.below(5000) : random.below(300)));
    event e;
    if (!random.one_in(10)) e.data = std::string_view(text.data(), text.size());
    auto const name = std::string(random.below(80), 'n');
    if (random.one_in(2)) e.type = ssewire::event_type::from(name).value;
    if (random.one_in(2)) e.id = ssewire::event_id::from(name).value;
    if (random.one_in(4)) e.retry = ssewire::reconnection_time(random.next() >> random.below(64));
    CAPTURE(i);
    agrees(e, expected(e));
  }
}

TEST_CASE("a line end at every place of a block, and every pair of them") {
  for (auto const end : {"\n", "\r", "\r\n", "\n\n", "\r\r", "\n\r"}) {
    for (std::size_t size : {63u, 64u, 65u, 127u, 128u, 129u, 191u, 192u}) {
      for (std::size_t at = 0; at < size; ++at) {
        auto text = std::string(size, 'x');
        text.replace(at, (std::min)(std::string_view(end).size(), size - at), end);
        event const e{.data = text};
        REQUIRE(serialize(e) == expected(e));
        std::string appended;
        serialize(e, appended);
        REQUIRE(appended == expected(e));
        std::vector<char> large(8 * size + 2048);
        REQUIRE(std::string_view(large.data(), serialize(e, std::span<char>(large)).value) == expected(e));
      }
    }
  }
}

TEST_CASE("a text of nothing but line ends, in spans of every room, and behind strings of many sizes") {
  for (auto const end : {'\n', '\r'}) {
    for (std::size_t size = 0; size < 300; size += size < 70 ? 1 : 7) {
      auto const text = std::string(size, end);
      event const e{.data = text};
      auto const want = expected(e);
      for (std::size_t room = 0; room < 9 * (size + 16); room += 1 + size / 20) {
        std::vector<char> out(room);
        auto const result = serialize(e, std::span<char>(out));
        REQUIRE(result.error == (room < want.size() ? errc::buffer_too_small : errc::ok));
        if (result) REQUIRE(std::string_view(out.data(), result.value) == want);
      }
      for (std::size_t before = 0; before < 1500; before += 97) {
        auto out = std::string(before, '?');
        out.shrink_to_fit();
        serialize(e, out);
        REQUIRE(out.size() == before + want.size());
        REQUIRE(out.substr(before) == want);
      }
    }
  }
}

TEST_CASE("a string has room for the worst block, wherever its room ends") {
  for (std::size_t plain = 0; plain < 600; plain += 5) {
    auto const text = std::string(plain, 'x') + std::string(600, '\n');
    std::string out;
    serialize({.data = text}, out);
    REQUIRE(out == expected({.data = text}));
  }
}

TEST_CASE("many events in a row: one chunk, one write; of none nothing is written") {
  event const three[] = {{.type = "a", .data = "x\ny"}, {.id = "1"}, {.data = ""}};
  auto const raw = expected(three[0]) + expected(three[1]) + expected(three[2]);
  agrees(three, raw);
  agrees(std::vector<event>(three, three + 3), raw);
  agrees(std::array<event, 2>{three[0], three[2]}, expected(three[0]) + expected(three[2]));
  agrees(std::vector<event>(), "");
}

TEST_CASE("comments go to every output too") {
  for (auto const text : {"", "keep-alive", "two\nlines\r", "\r\n"}) {
    auto const raw = lines(": ", text) + "\n";
    CHECK(serialize_comment(text) == raw);
    CHECK(serialize_comment(text, framing::chunked) == chunk(raw));
    std::vector<char> exact(raw.size());
    CHECK(serialize_comment(text, std::span<char>(exact)).value == raw.size());
    CHECK(std::string(exact.begin(), exact.end()) == raw);
    exact.pop_back();
    CHECK(serialize_comment(text, std::span<char>(exact)).error == errc::buffer_too_small);
    std::string out = "x";
    serialize_comment(text, out);
    serialize_comment(text, std::back_inserter(out), framing::chunked);
    CHECK(out == "x" + raw + chunk(raw));
  }
}

TEST_CASE("a character array is a span, checked like one") {
  char small[8];
  CHECK(serialize({.data = "a"}, small).error == errc::buffer_too_small);
  char enough[9];
  CHECK(serialize({.data = "a"}, enough).value == 9);
  static_assert(!ssewire::byte_iterator<char*>, "a pointer does not say where its memory ends");
  static_assert(ssewire::byte_iterator<std::back_insert_iterator<std::vector<char>>>);
  static_assert(ssewire::byte_iterator<std::ostreambuf_iterator<char>>);
  static_assert(ssewire::byte_iterator<std::insert_iterator<std::string>>);
  static_assert(!ssewire::byte_iterator<std::istreambuf_iterator<char>>, "it is read from");
  static_assert(!ssewire::byte_iterator<std::ostream_iterator<std::string>>, "it takes no char");
  static_assert(!ssewire::byte_iterator<std::string>, "a string is no iterator");
}

TEST_CASE("serialized at compile time, alone, in a batch and as a chunk") {
  constexpr auto bytes = [] {
    std::array<char, 64> out{};
    event const two[] = {{.data = "a\r\nb"}, {.id = "7", .retry = ssewire::reconnection_time(10)}};
    auto const result = serialize(two, std::span<char>(out), framing::chunked);
    return std::pair(out, result.value);
  }();
  CHECK(std::string_view(bytes.first.data(), bytes.second) ==
        "22\r\ndata: a\ndata: b\n\nid: 7\nretry: 10\n\n\r\n");
}

}  // namespace
