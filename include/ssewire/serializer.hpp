// SPDX-License-Identifier: MIT
// serializer.hpp - an event becomes bytes of an event stream.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream, read from the writing side.
//
// A frame is the fields present, in the order id, event, retry, data, and a blank line. `data` and comments may hold
// anything: they are split at CR, LF and CRLF, where a client would split them, and nowhere else. So nothing that is
// in an event can end its line, add a field or begin another event.
#pragma once

#include <ssewire/detail/copy.hpp>
#include <ssewire/detail/line_ends.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// How many bytes were written to a caller's buffer, or why none were.
struct serialize_result {
  std::size_t bytes = 0;
  errc error = errc::ok;

  constexpr explicit operator bool() const noexcept { return error == errc::ok; }
};

namespace detail {

// One line of a text: [first, end), and where the next one begins, or null after the last.
struct text_line {
  char const* first;
  char const* end;
  char const* next;
};

constexpr text_line next_line(char const* first, char const* last) noexcept {
  auto const* const end = find_line_end(first, last);
  if (end == last) return {first, end, nullptr};
  auto const* next = end + 1;
  if (*end == '\r' && next != last && *next == '\n') ++next;
  return {first, end, next};
}

// Bytes of `text` with `prefix_bytes` and an LF around each of its lines.
constexpr std::size_t lines_size(std::size_t prefix_bytes, std::string_view text) noexcept {
  std::size_t size = 0;
  auto const* const last = text.data() + text.size();
  for (auto const* line = text.data();;) {
    auto const [first, end, next] = next_line(line, last);
    size += prefix_bytes + static_cast<std::size_t>(end - first) + 1;
    if (next == nullptr) return size;
    line = next;
  }
}

constexpr std::size_t decimal_size(std::uint64_t value) noexcept {
  std::size_t digits = 1;
  for (; value >= 10; value /= 10) ++digits;
  return digits;
}

constexpr char* put(char* out, std::string_view text) noexcept {
  return std::copy_n(text.data(), text.size(), out);
}

constexpr char* put_lines(char* out, std::string_view prefix, std::string_view text) noexcept {
  auto const* const last = text.data() + text.size();
  for (auto const* line = text.data();;) {
    auto const [first, end, next] = next_line(line, last);
    out = put(out, prefix);
    out = std::copy(first, end, out);
    *out++ = '\n';
    if (next == nullptr) return out;
    line = next;
  }
}

constexpr char* put_decimal(char* out, std::uint64_t value) noexcept {
  auto* const end = out + decimal_size(value);
  for (auto* digit = end; digit != out; value /= 10) *--digit = static_cast<char>('0' + value % 10);
  return end;
}

// Exactly serialized_size(e) bytes.
constexpr char* put_event(char* out, event const& e) noexcept {
  if (e.id.has_value()) out = put(put(put(out, "id: "), e.id.value()), "\n");
  if (!e.type.empty()) out = put(put(put(out, "event: "), e.type.value()), "\n");
  if (e.retry) out = put(put_decimal(put(out, "retry: "), e.retry->milliseconds), "\n");
  if (e.data) out = put_lines(out, "data: ", *e.data);
  *out++ = '\n';
  return out;
}

// The same into a string that grows, in one pass: copied and searched at the same time, a block after the other.
class string_sink {
 public:
  explicit string_sink(std::string& to) noexcept : to_(to), before_(to.size()), end_(before_) {}
  string_sink(string_sink const&) = delete;
  string_sink& operator=(string_sink const&) = delete;
  ~string_sink() { to_.resize(done_ ? end_ : before_); }  // as it was, if memory failed

  void put(event const& e) {
    auto const text = e.data.value_or(std::string_view());
    reserve(64 + e.id.value().size() + e.type.value().size() + text.size() + text.size() / 8 + slack);
    if (e.id.has_value()) field("id: ", e.id.value());
    if (!e.type.empty()) field("event: ", e.type.value());
    if (e.retry) {
      auto* const at = to_.data() + end_;
      end_ += static_cast<std::size_t>(put_decimal(detail::put(at, "retry: "), e.retry->milliseconds) - at);
      to_[end_++] = '\n';
    }
    if (e.data) lines(text);
    to_[end_++] = '\n';
    done_ = true;
  }

 private:
  static constexpr std::size_t slack = block_bytes + 16;  // a block beyond the text, a prefix and line ends

  void reserve(std::size_t bytes) {
    if (to_.size() - end_ < bytes) to_.resize(end_ + bytes);
  }

  void field(std::string_view name, std::string_view value) noexcept {
    auto* const at = to_.data() + end_;
    std::memcpy(at, name.data(), name.size());
    copy_exactly(at + name.size(), value);
    at[name.size() + value.size()] = '\n';
    end_ += name.size() + value.size() + 1;
  }

  void lines(std::string_view text) {
    block_scanner const scanner;
    auto const* from = text.data();
    auto const* const last = from + text.size();
    for (;;) {
      auto left = static_cast<std::size_t>(last - from);
      if (to_.size() - end_ < left + slack) reserve(left + left / 4 + 4 * slack);
      auto* out = to_.data() + end_;
      std::memcpy(out, "data: ", 6);
      out += 6;
      std::uint64_t ends = 0;
      for (; left >= block_bytes; left -= block_bytes, from += block_bytes, out += block_bytes) {
        if (!scanner.copy(out, from)) continue;
        ends = scanner.ends(from, block_bytes);
        if (ends != 0) break;
      }
      if (ends == 0 && left != 0) {
        copy_exactly(out, {from, left});
        ends = scanner.ends(from, left);
      }
      auto const line = ends != 0 ? static_cast<unsigned>(std::countr_zero(ends)) : left;
      out[line] = '\n';
      end_ = static_cast<std::size_t>(out + line + 1 - to_.data());
      if (ends == 0) return;
      from += line + 1;
      if (from[-1] == '\r' && from != last && *from == '\n') ++from;
    }
  }

  std::string& to_;
  std::size_t before_;
  std::size_t end_;
  bool done_ = false;
};

}  // namespace detail

/// The bytes that `serialize` will write for this event.
/// Complexity  O(size of the data): its line ends are counted.
[[nodiscard]] constexpr std::size_t serialized_size(event const& e) noexcept {
  std::size_t size = 1;
  if (e.id.has_value()) size += 4 + e.id.value().size() + 1;
  if (!e.type.empty()) size += 7 + e.type.value().size() + 1;
  if (e.retry) size += 7 + detail::decimal_size(e.retry->milliseconds) + 1;
  if (e.data) size += detail::lines_size(6, *e.data);
  return size;
}

/// Writes one event, with the blank line that ends it, to the front of `out`.
/// Input       `e`: borrowed for the call. `out`: at least serialized_size(e) bytes; must not overlap the event's text.
/// Returns     the bytes written; errc::buffer_too_small if they do not fit: then nothing was written.
/// Not errors  any bytes in `data`; no data (no event fires in the client, its ID and retry still take effect).
/// Complexity  O(size of the event).
/// Source      WHATWG HTML, 9.2.5.
[[nodiscard]] constexpr serialize_result serialize(event const& e, std::span<char> out) noexcept {
  auto const size = serialized_size(e);
  if (size > out.size()) return {0, errc::buffer_too_small};
  detail::put_event(out.data(), e);
  return {size, errc::ok};
}

/// Appends one event, with the blank line that ends it, to `out`. `e` must not view `out`'s own text.
/// Throws      std::bad_alloc, std::length_error; then `out` is as before.
inline void serialize(event const& e, std::string& out) { detail::string_sink(out).put(e); }

/// One event as a string of its own.
[[nodiscard]] inline std::string serialize(event const& e) {
  std::string out;
  serialize(e, out);
  return out;
}

/// Appends a comment, which clients ignore: a heartbeat, a note for who reads the wire. Any text; each of its lines
/// becomes a comment line, and a blank line follows, so that a frame always ends in one. `text` must not view `out`.
/// Throws      std::bad_alloc, std::length_error; then `out` is as before.
inline void serialize_comment(std::string_view text, std::string& out) {
  auto const before = out.size();
  out.resize(before + detail::lines_size(2, text) + 1);
  auto* end = detail::put_lines(out.data() + before, ": ", text);
  *end = '\n';
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
