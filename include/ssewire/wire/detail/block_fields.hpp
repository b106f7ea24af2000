// SPDX-License-Identifier: MIT
// block_fields.hpp - reads the lines of a block into the fields of the event that the blank line ends.
// Source: WHATWG HTML, 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/utf8.hpp>
#include <ssewire/wire/detail/byte_buffer.hpp>
#include <ssewire/wire/detail/scan.hpp>
#include <ssewire/wire/parser_limits.hpp>

#include <string.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// A value of the block being read: a view while the value lies whole in the chunk, else a copy in `own`.
struct field_value {
  char const* view = nullptr;  // null: the value is in `own`
  std::size_t size = 0;
  byte_buffer own;

  // A view of `own` is made anew each time. A stored one would be wrong after the parser is copied or moved.
  [[nodiscard]] std::string_view text() const noexcept {
    return view != nullptr ? std::string_view(view, size) : own.view();
  }
  void set(std::string_view part) noexcept {
    view = part.data();
    size = part.size();
  }
  void keep(char const* readable) {
    if (view != nullptr) own.assign({view, size}, readable);
    view = nullptr;
  }
};

// The fields of the block being read, and what outlives the block: the last event ID and the reconnection
// time.
class block_fields {
 public:
  block_fields(parser_limits const& limits, utf8 encoding) noexcept
      : max_event_bytes_(limits.max_event_bytes), max_id_bytes_(limits.max_id_bytes), utf8_(encoding) {}

  // Takes a line that is not empty. The bytes from `end` up to `readable` may be read.
  [[gnu::always_inline]] errc read_field(char const* line, char const* end, char const* readable) {
    if (end - line >= 5 && (memcmp)(line, "data", 4) == 0 && line[4] == ':') [[likely]] {
      return read_data(value_behind(line + 5, end), readable);
    }
    return read_other_field({line, static_cast<std::size_t>(end - line)}, readable);
  }

  // The same for a line whose bytes go after this call. Not inline: a chunk has at most one such line.
  [[gnu::noinline]] errc read_cut_field(char const* line, char const* end) {
    auto const error = read_field(line, end, end);
    keep(end);
    return error;
  }

  // The text of a comment. `line` must be a comment.
  [[nodiscard]] std::string_view comment(char const* line, char const* end) {
    auto const text = value_behind(line + 1, end);
    return utf8_ == utf8::repair ? utf8_repair(text, repaired_data_) : text;
  }

  // Handles the blank line. The ID takes effect, and the block begins anew; its bytes stay where they are.
  // True: there is data, so `e`, which views those bytes, must be dispatched.
  bool dispatch(event& e, bool high) {
    auto const fields = std::exchange(fields_, static_cast<unsigned char>(0));
    if (fields & has_data) e.data = data_.text();
    if (fields & has_type) {
      e.type = stream_access::type(type_.text());
      type_bytes_ = 0;
    }
    if (fields & has_retry) e.retry = retry_;
    if (fields & has_id) e.id = stream_access::id(id_.text());
    if (high && utf8_ == utf8::repair) [[unlikely]]
      repair(e);
    if (fields & has_id) {
      last_event_id_.assign(e.id.value());
      e.id = stream_access::id(last_event_id_.view());
    }
    return (fields & has_data) != 0;
  }

  // Copies the values that are views of bytes about to go.
  void keep(char const* readable) {
    if (fields_ & has_data) data_.keep(readable);
    if (fields_ & has_type) type_.keep(readable);
    if (fields_ & has_id) id_.keep(readable);
  }

  // Forgets the block, but not what outlives it.
  void forget() noexcept {
    fields_ = 0;
    type_bytes_ = 0;
  }

  [[nodiscard]] bool empty() const noexcept { return fields_ == 0; }
  [[nodiscard]] std::string_view last_event_id() const noexcept { return last_event_id_.view(); }
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept { return retry_; }

 private:
  // Which fields the block has so far. They are bits, so that forgetting them is one store.
  enum field : unsigned char { has_data = 1, has_type = 2, has_id = 4, has_retry = 8 };

  // The value after the colon, without one leading space.
  [[gnu::always_inline]] static std::string_view value_behind(char const* first, char const* end) noexcept {
    if (first != end && *first == ' ') ++first;
    return {first, static_cast<std::size_t>(end - first)};
  }

  [[gnu::always_inline]] errc read_other_field(std::string_view line, char const* readable) {
    auto const* const end = line.data() + line.size();
    auto const begins = [line](std::string_view name) { return line.substr(0, name.size()) == name; };
    switch (line.front()) {
    case 'i':
      if (begins("id:")) return read_id(value_behind(line.data() + 3, end));
      return line == "id" ? read_id({end, 0}) : errc::ok;
    case 'e':
      if (begins("event:")) return read_type(value_behind(line.data() + 6, end));
      return line == "event" ? read_type({end, 0}) : errc::ok;
    case 'd': return line == "data" ? read_data({end, 0}, readable) : errc::ok;
    case 'r':
      if (begins("retry:")) read_retry(value_behind(line.data() + 6, end));
      return errc::ok;
    default: return errc::ok;  // a comment, or a field the standard does not know
    }
  }

  [[gnu::always_inline]] errc read_data(std::string_view text, char const* readable) {
    if (!(fields_ & has_data)) {
      if (text.size() > max_event_bytes_ - type_bytes_) return errc::event_too_long;
      fields_ |= has_data;
      data_.set(text);
      return errc::ok;
    }
    if (text.size() >= max_event_bytes_ - type_bytes_ - data_.text().size()) return errc::event_too_long;
    data_.keep(readable);
    data_.own.append_line(text, readable);
    return errc::ok;
  }

  [[gnu::always_inline]] errc read_type(std::string_view text) {
    auto const data_bytes = fields_ & has_data ? data_.text().size() : 0;
    if (text.size() > max_event_bytes_ - data_bytes) return errc::event_too_long;
    fields_ |= has_type;
    type_bytes_ = text.size();
    type_.set(text);
    return errc::ok;
  }

  [[gnu::always_inline]] errc read_id(std::string_view text) {
    if ((memchr)(text.data(), '\0', text.size()) != nullptr) return errc::ok;
    if (text.size() > max_id_bytes_) return errc::id_too_long;
    fields_ |= has_id;
    id_.set(text);
    return errc::ok;
  }

  void read_retry(std::string_view text) noexcept {
    constexpr auto most = static_cast<std::uint64_t>(-1);
    if (text.empty()) return;
    std::uint64_t ms = 0;
    for (char const c : text) {
      if (c < '0' || c > '9') return;
      auto const digit = static_cast<std::uint64_t>(c - '0');
      ms = ms > (most - digit) / 10 ? most : ms * 10 + digit;
    }
    fields_ |= has_retry;
    retry_ = reconnection_time(ms);
  }

  // Each value is repaired by itself. That is right because the first byte of a sequence never swallows a
  // line end or a colon.
  [[gnu::noinline]] void repair(event& e) {
    if (e.data) e.data = utf8_repair(*e.data, repaired_data_);
    e.type = stream_access::type(utf8_repair(e.type.value(), repaired_type_));
    if (e.id.has_value()) e.id = stream_access::id(utf8_repair(e.id.value(), repaired_id_));
  }

  std::size_t max_event_bytes_;
  std::size_t max_id_bytes_;
  std::size_t type_bytes_ = 0;
  field_value data_;
  field_value type_;
  field_value id_;

  byte_buffer last_event_id_;
  std::optional<reconnection_time> retry_;

  std::string repaired_data_;
  std::string repaired_type_;
  std::string repaired_id_;

  utf8 utf8_;
  unsigned char fields_ = 0;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
