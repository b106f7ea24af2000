// SPDX-License-Identifier: MIT
// round_trip.cpp - fuzz target: every serialized event comes back as exactly one event, whatever bytes are in
// its fields. An input is a byte of options, then events and comments. Each of these begins with a byte that
// says which fields follow.
#include <ssewire/wire/parser.hpp>
#include <ssewire/wire/serializer.hpp>

#include <support/chunked_body.hpp>
#include <support/events.hpp>
#include <support/literal_parser.hpp>

#include <fuzz/laws.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using fuzz::law;
using ssewire::errc;
using ssewire::framing;
using support::quoted;
using support::recorded_event;
using support::literal::reading;

// ---- what must come out ----

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> all(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && i != 0 && text[i - 1] == '\r') continue;
    if (text[i] == '\r' || text[i] == '\n') {
      all.emplace_back();
    } else {
      all.back() += text[i];
    }
  }
  return all;
}

std::string frame(recorded_event const& e) {
  std::string out;
  if (e.id) out += "id: " + *e.id + "\n";
  if (!e.type.empty()) out += "event: " + e.type + "\n";
  if (e.retry) out += "retry: " + std::to_string(*e.retry) + "\n";
  if (e.data) {
    for (auto const& line : lines(*e.data)) out += "data: " + line + "\n";
  }
  return out + "\n";
}

std::string frame(std::string_view comment) {
  std::string out;
  for (auto const& line : lines(comment)) out += ": " + line + "\n";
  return out + "\n";
}

/// What a client has made of the stream so far.
struct client {
  ssewire::utf8 encoding = ssewire::utf8::repair;
  reading got = {};

  [[nodiscard]] std::string decoded(std::string const& bytes) const {
    return encoding == ssewire::utf8::repair ? support::literal::repaired(bytes) : bytes;
  }
  void receive(recorded_event e) {
    e.type = decoded(e.type);
    if (e.id) got.last_event_id = *(e.id = decoded(*e.id));
    if (e.retry) got.retry = e.retry;
    if (!e.data) return;
    std::string data;
    for (auto const& line : lines(*e.data)) data += line + "\n";
    data.pop_back();
    e.data = decoded(data);
    got.events.push_back(e);
  }
  void receive(std::string_view comment) {
    for (auto const& line : lines(comment)) got.comments.push_back({got.events.size(), decoded(line)});
  }
};

reading parse(std::string_view bytes, ssewire::utf8 encoding, std::size_t piece) {
  ssewire::parser p({}, encoding);
  reading got;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    auto const result = p.feed(
        bytes.substr(at, piece), [&](ssewire::event const& e) { got.events.push_back(support::record(e)); },
        [&](std::string_view text) {
          got.comments.push_back({got.events.size(), std::string(text)});
        });
    law(result.error == errc::ok, "what was serialized can be read");
  }
  got.last_event_id = p.last_event_id();
  if (auto const time = p.reconnection_time()) got.retry = time->milliseconds;
  return got;
}

void comes_back(std::string_view bytes, client const& want) {
  auto const agrees = [&](reading const& got, std::string_view words) {
    law(got == want.got, words, [&](std::ostream& out) {
      out << "bytes " << quoted(bytes) << "\n got " << got << "\nwant " << want.got;
    });
  };
  agrees(support::literal::read(bytes, want.encoding),
         "the literal parser reads what was serialized, and no more");
  agrees(parse(bytes, want.encoding, 1 + bytes.size()), "the parser reads what was serialized, and no more");
  agrees(parse(bytes, want.encoding, 1), "byte by byte too");
}

// ---- every output ----

/// `serialize(out..., framing)` is one of the library's overload sets, bound to what it serializes.
template <class Serialize>
void same_everywhere(Serialize serialize, std::string const& want, std::size_t some) {
  for (auto const body : {framing::raw, framing::chunked}) {
    std::string const whole = serialize(body);
    auto const same = [&](std::string_view got, std::string_view words) {
      law(got == whole, words, [&](std::ostream& out) {
        out << " got " << quoted(got) << "\nwant " << quoted(whole) << "\nof " << quoted(want);
      });
    };
    if (body == framing::raw) {
      law(whole == want, "a frame is its fields in their order, and a blank line",
          [&](std::ostream& out) { out << " got " << quoted(whole) << "\nwant " << quoted(want); });
    } else {
      auto const chunked = support::decode_chunked(whole);
      auto const chunks = want.empty() ? std::vector<std::size_t>{} : std::vector{want.size()};
      bool const one = chunked.chunks == chunks && chunked.at_border && !chunked.ended;
      law(one && chunked.error.empty() && chunked.body == want, "a chunk holds the same bytes",
          [&](std::ostream& out) { out << quoted(whole) << ' ' << chunked.error; });
    }

    std::string appended = "before";
    if (some % 2 != 0) appended.reserve(some);
    serialize(appended, body);
    law(appended.substr(0, 6) == "before", "what stood in the string stays");
    same(std::string_view(appended).substr(6), "appended to a string it is the same");

    std::vector<char> iterated;
    serialize(std::back_inserter(iterated), body);
    same({iterated.data(), iterated.size()}, "through an iterator it is the same");

    // Memory of its own, of exactly this size: the sanitizer sees the byte beyond.
    for (std::size_t const room : {whole.size(), whole.size() + 1 + some, whole.size() + 1 + some * some}) {
      std::unique_ptr<char[]> const memory(new char[room]);
      std::fill_n(memory.get(), room, '!');
      auto const result = serialize(std::span(memory.get(), room), body);
      law(result.error == errc::ok && result.value == whole.size(), "what fits into a span is written");
      same({memory.get(), whole.size()}, "in a span it is the same");
    }
    if (!whole.empty()) {
      std::string room(whole.size() - 1, '!');
      auto const result = serialize(std::span(room.data(), room.size()), body);
      law(result.error == errc::buffer_too_small && result.value == 0, "what does not fit is refused");
      law(room.find_first_not_of('!') == std::string::npos, "what is refused is not begun");
    }
  }
}

// ---- what goes in ----

bool has_control(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != text.npos;
}

/// Takes an event from the input. What its factories refuse is left out: it cannot get into an event.
recorded_event take_event(fuzz::input& in, unsigned fields) {
  recorded_event e;
  if (fields & 1) e.type = in.text();
  if (fields & 2) e.id = in.text();
  if (fields & 4) e.retry = in.number() >> (fields >> 4 & 7) * 8;
  if (fields & 8) e.data = in.text();
  auto const type = ssewire::event_type::from(e.type);
  law(type.error == (has_control(e.type) ? errc::type_has_control : errc::ok), "a type has no CR, LF or NUL");
  if (!type) e.type.clear();
  if (e.id) {
    auto const id = ssewire::event_id::from(*e.id);
    law(id.error == (has_control(*e.id) ? errc::id_has_control : errc::ok), "an ID has no CR, LF or NUL");
    if (!id) e.id.reset();
  }
  return e;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  fuzz::input in(data, size);
  auto const options = in.byte();
  client all{options % 2 == 0 ? ssewire::utf8::repair : ssewire::utf8::keep};
  auto const some = options / 2;
  std::vector<recorded_event> owned;
  std::string stream;
  std::string of_events;
  for (int items = 0; items < 64 && !in.empty(); ++items) {
    auto const fields = in.byte();
    client alone{all.encoding};
    std::string bytes;
    if (fields & 128) {
      auto const text = in.text();
      bytes = frame(text);
      same_everywhere([&](auto&&... out) { return ssewire::serialize_comment(text, out...); }, bytes, some);
      alone.receive(text);
      all.receive(text);
    } else {
      owned.push_back(take_event(in, fields));
      auto const& own = owned.back();
      auto const e = support::view(own);
      bytes = frame(own);
      law(ssewire::serialized_size(e) == bytes.size(), "the size is known beforehand");
      same_everywhere([&](auto&&... out) { return ssewire::serialize(e, out...); }, bytes, some);
      alone.receive(own);
      all.receive(own);
      of_events += bytes;
    }
    comes_back(bytes, alone);
    stream += bytes;
  }
  comes_back(stream, all);

  std::vector<ssewire::event> batch;
  for (auto const& own : owned) batch.push_back(support::view(own));
  law(ssewire::serialized_size(batch) == of_events.size(), "the size of a batch is known beforehand");
  same_everywhere([&](auto&&... out) { return ssewire::serialize(batch, out...); }, of_events, some);
  return 0;
}
