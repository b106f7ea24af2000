// SPDX-License-Identifier: MIT
// literal_parser.hpp - the standard's text, sentence by sentence, as a second parser: slow, whole streams only, and
// without a line of the library's. Where the two differ, one of them has not read the standard.
// Source: WHATWG HTML, 9.2.5 and 9.2.6; WHATWG Encoding, 6 "UTF-8 decode" and 8.1.1 UTF-8 decoder.
#pragma once

#include <support/events.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace support::literal {

// Encoding, 8.1.1: "UTF-8's decoder has an associated UTF-8 code point, UTF-8 bytes seen, and UTF-8 bytes needed (all
// initially 0), a UTF-8 lower boundary (initially 0x80), and a UTF-8 upper boundary (initially 0xBF)."
inline std::u32string utf8_decode_without_bom(std::string_view bytes) {
  constexpr char32_t replacement = 0xFFFD;
  std::u32string output;
  char32_t code_point = 0;
  int bytes_seen = 0;
  int bytes_needed = 0;
  unsigned lower_boundary = 0x80;
  unsigned upper_boundary = 0xBF;

  std::deque<unsigned char> queue;
  for (char const c : bytes) queue.push_back(static_cast<unsigned char>(c));
  for (;;) {
    // 1. "If byte is end-of-queue and UTF-8 bytes needed is not 0, then set UTF-8 bytes needed to 0 and return error."
    // 2. "If byte is end-of-queue, then return finished."
    if (queue.empty()) {
      if (bytes_needed != 0) output += replacement;
      return output;
    }
    unsigned const byte = queue.front();
    queue.pop_front();
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
    //    restore byte to ioQueue, return error."
    if (byte < lower_boundary || byte > upper_boundary) {
      code_point = 0;
      bytes_needed = bytes_seen = 0;
      lower_boundary = 0x80;
      upper_boundary = 0xBF;
      queue.push_front(static_cast<unsigned char>(byte));
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
inline std::u32string utf8_decode(std::string_view bytes) {
  if (bytes.substr(0, 3) == "\xEF\xBB\xBF") bytes.remove_prefix(3);
  return utf8_decode_without_bom(bytes);
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

/// What a user agent would decode these bytes to, as UTF-8 again.
inline std::string repaired(std::string_view bytes) { return utf8_encode(utf8_decode_without_bom(bytes)); }

struct event_source {
  std::u32string data_buffer;
  std::u32string event_type_buffer;
  std::u32string last_event_id_buffer;

  std::u32string last_event_id_string;
  std::optional<std::uint64_t> reconnection_time;
  support::events dispatched;

  // Not the standard's: ssewire::event also tells what stood in the event's own block. And the data buffer of the
  // standard is "empty string" where no data field came, which this must not confuse with an empty data field: in the
  // standard each data field leaves at least its U+000A there until step 3 of the dispatch.
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
      // "If the field value consists of only ASCII digits": an empty one has none to interpret.
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
    // 2. "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string
    //    and return."
    if (!data_buffer.empty()) {
      // 3. "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove it."
      if (data_buffer.back() == U'\u000A') data_buffer.pop_back();
      // 4. to 8.
      recorded_event e;
      e.type = utf8_encode(event_type_buffer);
      e.data = utf8_encode(data_buffer);
      if (id_of_block) e.id = utf8_encode(*id_of_block);
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
    if (line.front() == U':') return;
    auto const colon = line.find(U':');
    // "Otherwise, the string is not empty but does not contain a U+003A COLON character": the whole line is the name.
    if (colon == std::u32string::npos) return process_the_field(line, U"");
    // "If the line contains a U+003A COLON character": "If value starts with a U+0020 SPACE character, remove it."
    auto value = line.substr(colon + 1);
    if (!value.empty() && value.front() == U' ') value.erase(0, 1);
    process_the_field(line.substr(0, colon), value);
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

/// The whole stream, from its first byte to its end.
inline outcome parse(std::string_view bytes) {
  auto const stream = utf8_decode(bytes);
  event_source source;
  // "The lines are separated by either a U+000D U+000A pair, a single U+000A not preceded by U+000D, or a single
  //  U+000D not followed by U+000A." What no line end follows is no line.
  std::u32string line;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    bool const pair = stream[i] == U'\u000D' && i + 1 < stream.size() && stream[i + 1] == U'\u000A';
    if (pair || stream[i] == U'\u000A' || stream[i] == U'\u000D') {
      if (pair) ++i;
      source.process_line(line);
      line.clear();
    } else {
      line += stream[i];
    }
  }
  // "Once the end of the file is reached, any pending data must be discarded."
  outcome result;
  result.events = source.dispatched;
  result.last_event_id = utf8_encode(source.last_event_id_string);
  result.retry = source.reconnection_time;
  return result;
}

} // namespace support::literal
