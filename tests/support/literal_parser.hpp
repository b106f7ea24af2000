// SPDX-License-Identifier: MIT
// literal_parser.hpp - a second parser, the standard's text sentence by sentence. It is slow, reads whole
// streams only, and uses no line of the library. Where it differs from the library, one of the two has
// misread the standard.
// Source: WHATWG HTML, 9.2.5 and 9.2.6; WHATWG Encoding, 6 "UTF-8 decode" and 8.1.1 UTF-8 decoder.
#pragma once

#include <support/events.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support::literal {

// Encoding, 8.1.1: "UTF-8's decoder has an associated UTF-8 code point, UTF-8 bytes seen, and UTF-8 bytes
// needed (all initially 0), a UTF-8 lower boundary (initially 0x80), and a UTF-8 upper boundary (initially
// 0xBF)."
inline std::u32string utf8_decode_without_bom(std::string_view bytes) {
  constexpr char32_t replacement = 0xFFFD;
  std::u32string output;
  char32_t code_point = 0;
  int bytes_seen = 0;
  int bytes_needed = 0;
  unsigned lower_boundary = 0x80;
  unsigned upper_boundary = 0xBF;

  std::size_t next = 0;  // the I/O queue begins here
  for (;;) {
    // 1. "If byte is end-of-queue and UTF-8 bytes needed is not 0, then set UTF-8 bytes needed to 0 and
    // return error." 2. "If byte is end-of-queue, then return finished."
    if (next == bytes.size()) {
      if (bytes_needed != 0) output += replacement;
      return output;
    }
    unsigned const byte = static_cast<unsigned char>(bytes[next++]);
    // 3. "If UTF-8 bytes needed is 0, then, based on byte:"
    if (bytes_needed == 0) {
      if (byte <= 0x7F) {
        output += static_cast<char32_t>(byte);
      } else if (byte >= 0xC2 && byte <= 0xDF) {
        bytes_needed = 1;
        code_point = byte & 0x1F;
      } else if (byte >= 0xE0 && byte <= 0xEF) {
        if (byte == 0xE0) lower_boundary = 0xA0;
        if (byte == 0xED) upper_boundary = 0x9F;
        bytes_needed = 2;
        code_point = byte & 0xF;
      } else if (byte >= 0xF0 && byte <= 0xF4) {
        if (byte == 0xF0) lower_boundary = 0x90;
        if (byte == 0xF4) upper_boundary = 0x8F;
        bytes_needed = 3;
        code_point = byte & 0x7;
      } else {
        output += replacement;
      }
      continue;
    }
    // 4. "If byte is not in the range UTF-8 lower boundary to UTF-8 upper boundary, inclusive, then: [reset],
    // restore byte to ioQueue, return error."
    if (byte < lower_boundary || byte > upper_boundary) {
      code_point = 0;
      bytes_needed = bytes_seen = 0;
      lower_boundary = 0x80;
      upper_boundary = 0xBF;
      --next;
      output += replacement;
      continue;
    }
    // 5. to 10.
    lower_boundary = 0x80;
    upper_boundary = 0xBF;
    code_point = (code_point << 6) | (byte & 0x3F);
    ++bytes_seen;
    if (bytes_seen != bytes_needed) continue;
    output += std::exchange(code_point, 0);
    bytes_needed = bytes_seen = 0;
  }
}

// Encoding, 6: "peek three bytes; if they are 0xEF 0xBB 0xBF, then read three bytes (do nothing with them)".
inline std::string_view without_bom(std::string_view bytes) {
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") bytes.remove_prefix(3);
  return bytes;
}

inline std::string utf8_encode(std::u32string_view text) {
  std::string out;
  auto const put = [&](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  for (char32_t const c : text) {
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | (c >> 6));
      put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      put(0xE0 | (c >> 12));
      put(0x80 | ((c >> 6) & 0x3F));
      put(0x80 | (c & 0x3F));
    } else {
      put(0xF0 | (c >> 18));
      put(0x80 | ((c >> 12) & 0x3F));
      put(0x80 | ((c >> 6) & 0x3F));
      put(0x80 | (c & 0x3F));
    }
  }
  return out;
}

/// What a user agent would decode these bytes to, encoded as UTF-8 again.
inline std::string repaired(std::string_view bytes) { return utf8_encode(utf8_decode_without_bom(bytes)); }

// Not the standard's: for ssewire::utf8::keep, each byte is a code point of its own when decoded and encoded.
inline std::u32string each_byte_decoded(std::string_view bytes) {
  std::u32string text;
  for (char const c : bytes) text += static_cast<unsigned char>(c);
  return text;
}

inline std::string each_byte_encoded(std::u32string_view text) {
  std::string bytes;
  for (char32_t const c : text) bytes += static_cast<char>(static_cast<unsigned char>(c));
  return bytes;
}

inline std::u32string decode(std::string_view bytes, ssewire::utf8 encoding) {
  bytes = without_bom(bytes);
  return encoding == ssewire::utf8::repair ? utf8_decode_without_bom(bytes) : each_byte_decoded(bytes);
}

inline std::string encode(std::u32string_view text, ssewire::utf8 encoding) {
  return encoding == ssewire::utf8::repair ? utf8_encode(text) : each_byte_encoded(text);
}

/// A comment, which the standard ignores and a relay passes on. Its text is what follows the colon, without
/// one leading space.
struct comment {
  std::size_t events_before = 0;
  std::string text = {};

  friend bool operator==(comment const&, comment const&) = default;
};

/// Everything that a parser can report about one stream.
struct reading : support::outcome {
  std::vector<literal::comment> comments = {};

  friend bool operator==(reading const&, reading const&) = default;
};

inline std::ostream& operator<<(std::ostream& out, reading const& r) {
  out << static_cast<support::outcome const&>(r);
  for (auto const& c : r.comments) {
    out << ", comment " << quoted(c.text) << " after " << c.events_before << " events";
  }
  return out;
}

struct event_source {
  ssewire::utf8 encoding = ssewire::utf8::repair;

  std::u32string data_buffer;
  std::u32string event_type_buffer;
  std::u32string last_event_id_buffer;

  std::u32string last_event_id_string;
  std::optional<std::uint64_t> reconnection_time;
  support::events dispatched;
  std::vector<literal::comment> ignored;

  // Not the standard's: ssewire::event also reports the fields of the event's own block. The standard's data
  // buffer is the empty string if no data field came. That must not be confused with an empty data field,
  // after which the buffer holds at least a U+000A until step 3 of the dispatch.
  std::optional<std::u32string> id_of_block;
  std::optional<std::uint64_t> retry_of_block;

  // 9.2.6: "process the field"
  void process_the_field(std::u32string const& field, std::u32string const& value) {
    if (field == U"event") {
      event_type_buffer = value;
    } else if (field == U"data") {
      data_buffer += value;
      data_buffer += U'\u000A';
    } else if (field == U"id") {
      if (value.find(U'\0') == std::u32string::npos) {
        last_event_id_buffer = value;
        id_of_block = value;
      }
    } else if (field == U"retry") {
      // "If the field value consists of only ASCII digits": an empty value has no digits to interpret.
      if (value.empty() || value.find_first_not_of(U"0123456789") != std::u32string::npos) return;
      reconnection_time = in_base_ten(value);
      retry_of_block = reconnection_time;
    }
    // "Otherwise: the field is ignored."
  }

  // 9.2.6: "dispatch the event"
  void dispatch_the_event() {
    // 1. "Set the last event ID string of the event source to the value of the last event ID buffer."
    last_event_id_string = last_event_id_buffer;
    // 2. "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty
    // string and return."
    if (!data_buffer.empty()) {
      // 3. "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove it."
      if (data_buffer.back() == U'\u000A') data_buffer.pop_back();
      // 4. to 8.
      recorded_event e;
      e.type = encode(event_type_buffer, encoding);
      e.data = encode(data_buffer, encoding);
      if (id_of_block) e.id = encode(*id_of_block, encoding);
      e.retry = retry_of_block;
      dispatched.push_back(e);
    }
    data_buffer.clear();
    event_type_buffer.clear();
    id_of_block.reset();
    retry_of_block.reset();
  }

  // 9.2.6: "Lines must be processed, in the order they are received, as follows"
  void process_line(std::u32string const& line) {
    // "If the line is empty (a blank line)"
    if (line.empty()) return dispatch_the_event();
    // "If the line starts with a U+003A COLON character (:)": "Ignore the line."
    if (line.front() == U':') {
      ignored.push_back({dispatched.size(), encode(value_behind(line, 0), encoding)});
      return;
    }
    auto const colon = line.find(U':');
    // "Otherwise, the string is not empty but does not contain a U+003A COLON character": the whole line is
    // the name.
    if (colon == std::u32string::npos) return process_the_field(line, U"");
    // "If the line contains a U+003A COLON character"
    process_the_field(line.substr(0, colon), value_behind(line, colon));
  }

  // "If value starts with a U+0020 SPACE character, remove it from value."
  static std::u32string value_behind(std::u32string const& line, std::size_t colon) {
    auto value = line.substr(colon + 1);
    if (!value.empty() && value.front() == U' ') value.erase(0, 1);
    return value;
  }

  static std::uint64_t in_base_ten(std::u32string digits) {
    std::string const most = "18446744073709551615";
    digits.erase(0, digits.find_first_not_of(U'0'));
    if (digits.empty() || digits.front() == U'0') return 0;
    std::string const text = utf8_encode(digits);
    if (text.size() > most.size() || (text.size() == most.size() && text > most)) {
      return (std::numeric_limits<std::uint64_t>::max)();
    }
    return std::stoull(text);
  }
};

// "The lines are separated by either a U+000D U+000A pair, a single U+000A not preceded by U+000D, or a
// single U+000D not followed by U+000A." Calls process(line, begin) for each line that has ended. Returns
// where the line begins that has not.
template <class Process> std::size_t for_each_line(std::u32string const& stream, Process process) {
  std::u32string line;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    bool const pair = stream[i] == U'\u000D' && i + 1 < stream.size() && stream[i + 1] == U'\u000A';
    if (pair || stream[i] == U'\u000A' || stream[i] == U'\u000D') {
      if (pair) ++i;
      if (!process(line, begin)) return begin;
      line.clear();
      begin = i + 1;
    } else {
      line += stream[i];
    }
  }
  return begin;
}

/// Reads the whole stream, from its first byte to its end. `before`: what the client's earlier stream has
/// left. Browsers keep the last event ID and the reconnection time when they reconnect, even if no event of
/// the new stream has an ID.
inline reading read(std::string_view bytes, ssewire::utf8 encoding = ssewire::utf8::repair,
                    outcome const& before = {}) {
  event_source source;
  source.encoding = encoding;
  source.last_event_id_buffer = encoding == ssewire::utf8::repair
                                    ? utf8_decode_without_bom(before.last_event_id)
                                    : each_byte_decoded(before.last_event_id);
  source.last_event_id_string = source.last_event_id_buffer;
  source.reconnection_time = before.retry;
  for_each_line(decode(bytes, encoding), [&](std::u32string const& line, std::size_t) {
    source.process_line(line);
    return true;
  });
  // "Once the end of the file is reached, any pending data must be discarded."
  reading result;
  result.events = std::move(source.dispatched);
  result.last_event_id = encode(source.last_event_id_string, encoding);
  result.retry = source.reconnection_time;
  result.comments = std::move(source.ignored);
  return result;
}

/// What the standard makes of the stream: everything but the comments.
inline outcome parse(std::string_view bytes, ssewire::utf8 encoding = ssewire::utf8::repair) {
  return read(bytes, encoding);
}

/// Which limit a stream exceeds first, and where the line begins that exceeds it. read(bytes.substr(0,
/// offset)) says what the stream means up to there. Not the standard's: see parser_limits, which count bytes
/// as they arrive.
struct exceeded {
  ssewire::errc error = ssewire::errc::ok;
  std::size_t offset = 0;
};

inline exceeded first_exceeded(std::string_view bytes, ssewire::parser_limits limits) {
  using ssewire::errc;
  std::string_view const bom = "\xEF\xBB\xBF";
  // Bytes that may still become a byte order mark have not begun a line.
  if (bytes.size() < bom.size() && bytes == bom.substr(0, bytes.size())) return {errc::ok, bytes.size()};
  auto const stream = decode(bytes, ssewire::utf8::keep);  // each byte is a code point
  auto const bom_bytes = bytes.size() - stream.size();
  event_source source;
  source.encoding = ssewire::utf8::keep;
  auto error = errc::ok;
  auto const begin = for_each_line(stream, [&](std::u32string const& line, std::size_t) {
    if (line.size() > limits.max_line_bytes) {
      error = errc::line_too_long;
      return false;
    }
    source.process_line(line);
    auto const data_bytes =
        source.data_buffer.empty() ? 0 : source.data_buffer.size() - 1;  // without the final LF
    if (source.id_of_block && source.id_of_block->size() > limits.max_id_bytes) {
      error = errc::id_too_long;
    } else if (source.event_type_buffer.size() + data_bytes > limits.max_event_bytes) {
      error = errc::event_too_long;
    }
    return error == errc::ok;
  });
  // The line that has not ended counts, too.
  if (error == errc::ok && stream.size() - begin > limits.max_line_bytes) error = errc::line_too_long;
  return {error, error == errc::ok ? bytes.size() : bom_bytes + begin};
}

}  // namespace support::literal
