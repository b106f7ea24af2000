// SPDX-License-Identifier: MIT
// events.hpp - what a parser yields, in a form that owns its text and can be compared and printed.
#pragma once

#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/wire/parser.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace support {

struct recorded_event {
  std::string type = {};  // empty: "message"
  std::optional<std::string> data = {};
  std::optional<std::string> id = {};  // the `id` field of the event's own block
  std::optional<std::uint64_t> retry = {};

  friend bool operator==(recorded_event const&, recorded_event const&) = default;
};

using events = std::vector<recorded_event>;

/// Everything that reading one stream yields.
struct outcome {
  support::events events = {};
  std::string last_event_id = {};
  std::optional<std::uint64_t> retry = {};

  friend bool operator==(outcome const&, outcome const&) = default;
};

inline recorded_event record(ssewire::event const& e) {
  recorded_event own;
  own.type = e.type.value();
  if (e.data) own.data = std::string(*e.data);
  if (e.id.has_value()) own.id = std::string(e.id.value());
  if (e.retry) own.retry = e.retry->milliseconds;
  return own;
}

/// Turns a recorded event back into an event that views `own`.
inline ssewire::event view(recorded_event const& own) {
  ssewire::event e;
  e.type = ssewire::event_type::from(own.type).value;
  if (own.data) e.data = *own.data;
  if (own.id) e.id = ssewire::event_id::from(*own.id).value;
  if (own.retry) e.retry = ssewire::reconnection_time(*own.retry);
  return e;
}

struct parsed : outcome {
  ssewire::errc error = ssewire::errc::ok;
  std::size_t consumed = 0;
};

inline parsed parse_whole(std::string_view bytes, ssewire::parser_limits limits = {},
                          ssewire::utf8 encoding = ssewire::utf8::repair) {
  parsed got;
  ssewire::parser p(limits, encoding);
  auto const result = p.feed(bytes, [&](ssewire::event const& e) { got.events.push_back(record(e)); });
  got.error = result.error;
  got.consumed = result.value;
  got.last_event_id = p.last_event_id();
  if (auto const time = p.reconnection_time()) got.retry = time->milliseconds;
  return got;
}

/// Bytes as a C++ literal would show them.
inline std::string quoted(std::string_view bytes) {
  std::string out = "\"";
  for (char const c : bytes) {
    auto const byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte > 0x7E || c == '"' || c == '\\') {
      out += "\\x";
      out += "0123456789ABCDEF"[byte / 16];
      out += "0123456789ABCDEF"[byte % 16];
    } else {
      out += c;
    }
  }
  return out += '"';
}

inline std::ostream& operator<<(std::ostream& out, recorded_event const& e) {
  out << "{type " << quoted(e.type);
  if (e.data) out << ", data " << quoted(*e.data);
  if (e.id) out << ", id " << quoted(*e.id);
  if (e.retry) out << ", retry " << *e.retry;
  return out << '}';
}

inline std::ostream& operator<<(std::ostream& out, events const& list) {
  for (auto const& e : list) out << e << ' ';
  return out;
}

inline std::ostream& operator<<(std::ostream& out, outcome const& o) {
  out << o.events << "last event ID " << quoted(o.last_event_id);
  if (o.retry) out << ", retry " << *o.retry;
  return out;
}

}  // namespace support

namespace ssewire {

inline std::ostream& operator<<(std::ostream& out, errc error) { return out << message(error); }

}  // namespace ssewire
