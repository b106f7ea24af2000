// SPDX-License-Identifier: MIT
// parse.cpp - fuzz target: the parser reads any bytes as the standard says, however they are cut, within its
// limits. An input is a byte of options, the limits on line, event and ID, two bytes that seed the cuts, and
// the stream.
#include <ssewire/wire/parser.hpp>

#include <support/events.hpp>
#include <support/literal_parser.hpp>
#include <support/random.hpp>

#include <fuzz/counted_memory.hpp>
#include <fuzz/laws.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using fuzz::law;
using ssewire::errc;
using ssewire::utf8;

struct setup {
  ssewire::parser_limits limits = {};
  utf8 encoding = utf8::repair;
};

/// All that can be seen of one stream.
struct reading : support::literal::reading {
  errc error = errc::ok;
  std::uint64_t offset = 0;
  bool unfinished = false;

  friend bool operator==(reading const&, reading const&) = default;
};

std::ostream& operator<<(std::ostream& out, reading const& r) {
  return out << static_cast<support::literal::reading const&>(r) << "; " << r.error << ", offset " << r.offset
             << (r.unfinished ? ", unfinished" : "");
}

/// Whether the stream's end drops something: a line without its end, or fields without their blank line.
bool unfinished(std::string_view stream) {
  using namespace support::literal;
  auto const text = decode(stream, utf8::keep);
  bool fields = false;
  auto const last_line = for_each_line(text, [&](std::u32string const& line, std::size_t) {
    auto const name = line.substr(0, line.find(U':'));
    event_source alone;
    if (!line.empty()) alone.process_line(line);
    bool const taken = name == U"data" || name == U"event" || alone.id_of_block || alone.retry_of_block;
    fields = !line.empty() && (fields || taken);
    return true;
  });
  return fields || last_line != text.size();
}

/// What must come out. Where a limit is exceeded: what stands before the line that does.
reading expected(std::string_view stream, setup const& how) {
  auto const [error, offset] = support::literal::first_exceeded(stream, how.limits);
  return {support::literal::read(stream.substr(0, offset), how.encoding), error, offset,
          error == errc::ok && unfinished(stream)};
}

// ---- what comes out ----

enum class way : unsigned char { push, push_with_comments, pull, pull_with_comments };
enum class between : unsigned char { nothing, copied };  // what is done to the parser between two pieces

/// A piece in a buffer of its own, which is gone after the call: a view kept into it would show.
template <class Use> void in_own_buffer(std::string_view piece, Use use) {
  std::unique_ptr<char[]> const buffer(new char[piece.size()]);
  std::copy(piece.begin(), piece.end(), buffer.get());
  use(std::string_view(buffer.get(), piece.size()));
  std::fill_n(buffer.get(), piece.size(), '!');
}

std::vector<std::string_view> pieces(std::string_view stream, std::vector<std::size_t> const& cuts) {
  std::vector<std::string_view> all;
  std::size_t begin = 0;
  for (auto const cut : cuts) {
    all.push_back(stream.substr(begin, cut - begin));
    begin = cut;
  }
  all.push_back(stream.substr(begin));
  return all;
}

std::vector<std::size_t> each_byte(std::string_view stream) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < stream.size(); ++i) cuts.push_back(i);
  return cuts;
}

std::vector<std::size_t> some_cuts(std::string_view stream, support::random& random, std::size_t most = 0) {
  std::size_t const sizes[] = {3, 10, 70, 700};
  if (most == 0) most = random.pick(sizes);
  std::vector<std::size_t> cuts;
  for (auto at = random.below(most); at < stream.size(); at += random.below(most)) cuts.push_back(at);
  return cuts;
}

/// reset() leaves a parser as good as new, but for the last event ID; whatever it was reading.
void resets(ssewire::parser p) {
  std::string const id(p.last_event_id());
  std::size_t events = 0;
  p.reset();
  law(p.error() == errc::ok && p.offset() == 0 && !p.has_partial_event(), "reset() makes it good again");
  law(!p.next(), "reset() forgets the bytes that wait");
  auto const result = p.feed("\n\n\n", [&](ssewire::event const&) { ++events; });
  law(result.error == errc::ok && events == 0, "reset() forgets what was being read");
  law(p.last_event_id() == id, "reset() keeps the last event ID");
}

/// What has gone wrong sticks until reset().
void end_of_stream(ssewire::parser& p, errc error) {
  resets(p);
  auto const none = [](ssewire::event const&) { law(false, "behind an error no event is delivered"); };
  auto const offset = p.offset();
  if (error == errc::ok) {
    law(p.finish().error == errc::ok, "a stream without an error ends without one");
    error = errc::closed;
  }
  law(p.error() == error && !p.has_partial_event(), "an error sticks, and nothing is held behind it");
  law(p.feed("data: x\n\n", none).error == error, "an error sticks when bytes are pushed");
  law(p.feed("data: x\n\n").error == error && !p.next(), "an error sticks when events are pulled");
  law(p.finish().error == (error == errc::closed ? errc::ok : error), "an error sticks at the end");
  law(p.error() == error && p.offset() == offset, "an error stays as it is");
  resets(p);
}

reading read(std::string_view stream, std::vector<std::size_t> const& cuts, way how, setup const& with,
             between then = between::nothing) {
  ssewire::parser p(with.limits, with.encoding);
  reading got;
  auto const on_event = [&](ssewire::event const& e) { got.events.push_back(support::record(e)); };
  auto const on_comment = [&](std::string_view text) {
    got.comments.push_back({got.events.size(), std::string(text)});
  };
  auto const pulled = [&] { return how == way::pull ? p.next() : p.next(on_comment); };
  std::uint64_t fed = 0;
  for (auto const piece : pieces(stream, cuts)) {
    in_own_buffer(piece, [&](std::string_view bytes) {
      auto const stuck = p.error();
      ssewire::result<std::size_t> result;
      if (how == way::push) {
        result = p.feed(bytes, on_event);
      } else if (how == way::push_with_comments) {
        result = p.feed(bytes, on_event, on_comment);
      } else {
        result = p.feed(bytes);
        bool const waiting = stuck == errc::ok && !bytes.empty();
        law(!waiting || p.feed("x").error == errc::bytes_waiting, "bytes that wait are not forgotten");
        law(!waiting || (p.error() == errc::ok && p.has_partial_event()),
            "bytes that wait are no error, and no end");
        while (auto const e = pulled()) on_event(*e);
        law(!pulled(), "what has been read is not read again");
        law(stuck != errc::ok || result.error == errc::ok, "feed() leaves the limits to next()");
      }
      if (stuck != errc::ok) {
        law(result.error == stuck && result.value == 0, "an error sticks from call to call");
      } else if (p.error() == errc::ok) {
        fed += bytes.size();
        law(result.error == errc::ok && result.value == bytes.size(), "without an error all is consumed");
        law(p.offset() == fed, "the offset is how much was read");
      } else {
        law(how > way::push_with_comments || result.error == p.error(), "feed() tells the error");
        law(result.value <= bytes.size(), "no more is consumed than was there");
      }
    });
    if (then == between::copied) {
      auto copy = p;
      p = std::move(copy);
    }
  }
  got.error = p.error();
  got.offset = p.offset();
  got.unfinished = p.has_partial_event();
  got.last_event_id = p.last_event_id();
  if (auto const time = p.reconnection_time()) got.retry = time->milliseconds;
  end_of_stream(p, got.error);
  return got;
}

/// A callback may reset the parser: what is behind is another stream then.
void reset_inside(std::string_view stream, std::size_t at, setup const& with) {
  ssewire::parser p(with.limits, with.encoding);
  reading got;
  std::size_t calls = 0;
  auto const on_event = [&](ssewire::event const& e) {
    got.events.push_back(support::record(e));
    if (calls++ == at) p.reset();
  };
  auto const on_comment = [&](std::string_view) {
    if (calls++ == at) p.reset();
  };
  auto const first = p.feed(stream, on_event, on_comment);
  if (calls <= at) return;
  law(first.error == errc::ok && calls == at + 1, "behind reset() nothing of the bytes is read");
  auto const rest = stream.substr(first.value);
  got.events.clear();
  p.feed(rest, on_event, on_comment);
  auto const want = expected(rest, with);
  law(got.events == want.events && p.error() == want.error && p.offset() == want.offset,
      "what is behind reset() is a stream of its own", [&](std::ostream& out) {
        out << "rest " << support::quoted(rest) << "\n got " << got << "\nwant " << want;
      });
}

// ---- memory ----

/// A buffer for n bytes is at most 2 n + 320 bytes, and while one grows its old bytes are there, too. A
/// repaired text has three bytes for one.
std::size_t most_memory(setup const& with) {
  auto const [line, event, id] = with.limits;
  std::size_t sum = 0;
  std::size_t largest = 0;
  auto const add = [&](std::size_t bytes) {
    sum += 2 * bytes + 320;
    largest = (std::max)(largest, bytes);
  };
  // The line, and of the block: data, type, ID.
  for (auto const bytes : {line, event, event, id}) add(bytes);
  if (with.encoding == utf8::repair) {
    for (auto const bytes : {event, event, id, id}) add(3 * bytes);  // these again, and the last event ID
  } else {
    add(id);
  }
  return sum + largest;
}

void bounded(std::string_view stream, std::vector<std::size_t> const& cuts, setup const& with) {
  ssewire::parser p(with.limits, with.encoding);
  auto const parts = pieces(stream, cuts);
  std::size_t peak = 0;
  {
    fuzz::counted_memory const memory;
    for (auto const part : parts)
      p.feed(
          part, [](ssewire::event const&) {}, [](std::string_view) {});
    peak = memory.peak();
  }
  law(peak <= most_memory(with), "the memory stays within the limits", [&](std::ostream& out) {
    out << peak << " bytes, and " << most_memory(with) << " would do, for " << support::quoted(stream);
  });
}

/// The stream without what ends its lines, or its events, over and over.
std::string endless(std::string_view stream, std::string_view without, std::size_t bytes) {
  std::string once;
  for (char const c : stream) {
    bool const second = without == "\n\n" && (once.empty() || once.back() == '\n');
    if (c == '\r' || c == '\n') {
      if (without == "\n\n" && !second) once += '\n';
    } else {
      once += c;
    }
  }
  std::string all;
  while (!once.empty() && all.size() < bytes) all += once;
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  fuzz::input in(data, size);
  auto const options = in.byte();
  setup with;
  with.encoding = options % 2 == 0 ? utf8::repair : utf8::keep;
  bool const limited = options / 2 % 2 != 0;
  ssewire::parser_limits const small = {in.byte(), in.byte(), in.byte()};
  if (limited) with.limits = small;
  auto const seed = in.byte() << 8 | in.byte();
  support::random random(seed);
  auto const stream = fuzz::stretched(in.rest(), 2048);

  auto const want = expected(stream, with);
  auto without_comments = want;
  without_comments.comments.clear();
  auto const agrees = [&](std::vector<std::size_t> const& cuts, way how, std::string_view words,
                          between then = between::nothing) {
    auto const got = read(stream, cuts, how, with, then);
    bool const comments = how == way::push_with_comments || how == way::pull_with_comments;
    auto const& should = comments ? want : without_comments;
    law(got == should, words, [&](std::ostream& out) {
      out << "stream " << support::quoted(stream) << "\n got " << got << "\nwant " << should << "\ncuts";
      for (auto const cut : cuts) out << ' ' << cut;
    });
  };
  agrees({}, way::push, "a whole stream is what the literal parser says");
  agrees({}, way::push_with_comments, "comments change nothing");
  agrees({}, way::pull_with_comments, "pulled from a whole stream it is the same");
  agrees(each_byte(stream), way::push_with_comments, "byte by byte it is the same");
  agrees(each_byte(stream), way::pull, "pulled byte by byte it is the same");
  agrees(some_cuts(stream, random), way::push, "however cut it is the same");
  agrees(some_cuts(stream, random), way::pull_with_comments, "pulled, however cut, it is the same");
  agrees(some_cuts(stream, random), way::push_with_comments, "a parser takes its text along",
         between::copied);
  reset_inside(stream, random.below(4), with);

  if (limited) {
    bounded(stream, some_cuts(stream, random), with);
    for (auto const without : {"\n", "\n\n"}) {
      auto const text = endless(stream, without, 2 * most_memory(with));
      bounded(text, some_cuts(text, random, 200), with);
    }
  }
  return 0;
}
