// SPDX-License-Identifier: MIT
// scan.hpp - finds the lines of a stream that arrives in any slices. A line that is cut waits for its rest.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream: stream = [ bom ] *event, end-of-line.
#pragma once

#include <ssewire/core/errc.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/wire/detail/byte_buffer.hpp>
#include <ssewire/wire/detail/line_ends.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// What a Reader answers when a callback has begun another stream. The rest of the bytes is then not read, and
// the scan's state is not touched any more. It is not an error of the stream.
inline constexpr auto another_stream = errc::closed;

// The lines of a stream, and what is left of a chunk until the next one. `Reader` takes what is found. It is
// the class that derives from line_scan, so that the loop has only one object to look at:
//   errc read_line(begin, end, readable, to)  takes a line that is not empty. The bytes from `end` up to
//                                             `readable` may be read.
//   errc read_cut_line(begin, end, to)        the same, but the bytes of the line go when this returns.
//   bool blank_line(high, to)                 `high`: a line since the last blank one may hold bytes that are
//                                             not ASCII. False: a callback has begun another stream; or, if
//                                             To::one_at_a_time, an event was found.
//   void keep(readable)                       the bytes of all lines go when this returns.
template <class Reader> class line_scan {
 protected:
  explicit line_scan(std::size_t max_line_bytes) noexcept : max_line_bytes_(max_line_bytes) {}

  // Reads a chunk, which must not be empty. Returns the bytes read, and the limit that was exceeded or
  // another_stream.
  template <class To> result<std::size_t> read_lines(std::string_view bytes, To& to) {
    auto const* const first = bytes.data();
    auto const* const last = first + bytes.size();
    auto const* line = first;
    if (mark_bytes_ < byte_order_mark.size()) {
      line = skip_byte_order_mark(first, last);
      if (partial_line_.size() > max_line_bytes_) {
        return give_up(errc::line_too_long, static_cast<std::size_t>(line - first), partial_line_.size());
      }
      if (line == last) return all_read(bytes.size());
    }
    if (last - line < static_cast<std::ptrdiff_t>(block_bytes)) {
      // A few bytes from the middle of a line, as a slow peer sends them. They only have to be kept.
      std::string_view const few(line, static_cast<std::size_t>(last - line));
      if (block_scanner().may_end(few.data(), few.size()) == 0) {
        after_cr_ = false;
        if (!append_partial(few, last)) {
          return give_up(errc::line_too_long, static_cast<std::size_t>(line - first), partial_line_.size());
        }
        return all_read(bytes.size());
      }
    }
    return scan(first, line, last, to);
  }

  // Forgets the line and the byte order mark that are half read.
  void forget_line() noexcept {
    partial_line_.clear();
    mark_bytes_ = 0;
    high_ = false;
  }

  void begin_stream() noexcept {
    forget_line();
    offset_ = 0;
    after_cr_ = false;
  }

  // Whether a line has begun and not ended.
  [[nodiscard]] bool inside_line() const noexcept {
    bool const half_a_mark = mark_bytes_ != 0 && mark_bytes_ < byte_order_mark.size();
    return !partial_line_.empty() || half_a_mark;
  }

  // The bytes of the stream before the next chunk.
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return offset_; }

 private:
  static constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

  // Drops exactly one byte order mark, at the very beginning of the stream, also when chunks cut it.
  [[gnu::noinline]] char const* skip_byte_order_mark(char const* next, char const* last) {
    constexpr std::size_t passed = byte_order_mark.size() + 1;
    while (next != last && mark_bytes_ < byte_order_mark.size()) {
      if (*next != byte_order_mark[mark_bytes_]) {
        partial_line_.append(byte_order_mark.substr(0, mark_bytes_));  // it only looked like a mark
        mark_bytes_ = passed;
        return next;
      }
      ++next;
      ++mark_bytes_;
    }
    return next;
  }

  // Reads [line, last), which must not be empty. It begins with the rest of the unfinished line if there is
  // one.
  template <class To>
  result<std::size_t> scan(char const* first, char const* line, char const* last, To& to) {
    constexpr auto whole_block = static_cast<std::ptrdiff_t>(block_bytes);
    block_scanner const scanner;
    auto const consumed = [first](char const* at) { return static_cast<std::size_t>(at - first); };
    // The event being read may hold a byte that is not ASCII.
    bool high = high_;
    // An LF at this place belongs to the CR before it.
    auto const* behind_cr = after_cr_ ? line : nullptr;
    bool unfinished = !partial_line_.empty();
    // The comparison `size - 1 < plain_bytes` holds for a plain line only: not for an empty one, where it
    // wraps around, nor for one that is too long, nor for the unfinished one.
    auto plain_bytes = unfinished ? 0 : max_line_bytes_;
    auto const* block = line;
    for (auto left = last - block; left > 0; left -= whole_block, block += whole_block) {
      bool high_here = false;
      auto ends = left >= whole_block ? scanner.may_end(block)
                                      : scanner.may_end(block, static_cast<std::size_t>(left));
      for (; ends != 0; ends &= ends - 1) {
        auto const* const end = block + static_cast<unsigned>(std::countr_zero(ends));
        if (*end != '\n') [[unlikely]] {
          if (*end != '\r') {
            auto const exact = scanner.exact(block, static_cast<std::size_t>(left));
            ends = (ends & exact.ends) | (ends & (~ends + 1));  // the loop's end removes this bit
            high = high || exact.high;
            high_here = exact.high;
            continue;
          }
          // The old value can go: if `end` followed a CR, it is a CR itself and not that CR's LF.
          behind_cr = end + 1;
        }
        auto const size = static_cast<std::size_t>(end - line);
        auto const* const begin = std::exchange(line, end + 1);
        auto error = errc::ok;
        std::size_t begun = 0;
        if (size - 1 < plain_bytes) [[likely]] {
          error = reader().read_line(begin, end, last, to);
        } else if (unfinished) {
          unfinished = false;
          plain_bytes = max_line_bytes_;
          begun = partial_line_.size();
          if (append_partial({begin, size}, last)) {
            auto const whole = partial_line_.view();
            error = reader().read_cut_line(whole.data(), whole.data() + whole.size(), to);
            if (error != another_stream) partial_line_.clear();
          } else {
            error = errc::line_too_long;
          }
        } else if (size == 0) {
          if (end == behind_cr && *end == '\n') continue;  // part of the CR before it
          if (!reader().blank_line(high, to)) {
            if constexpr (To::one_at_a_time) {
              // The next call scans the rest again. If the rest begins with the LF of this CR, that is an
              // empty block, which changes nothing.
              high_ = false;
              return all_read(consumed(line));
            }
            error = another_stream;
          }
          high = high_here;
        } else {
          error = errc::line_too_long;
        }
        if (error != errc::ok) [[unlikely]] {
          if (error == another_stream) return {consumed(line), error};
          return give_up(error, consumed(begin), begun);
        }
      }
    }
    high_ = high;
    after_cr_ = behind_cr == last && line == last;
    if (line != last && !append_partial({line, static_cast<std::size_t>(last - line)}, last)) {
      return give_up(errc::line_too_long, consumed(line), partial_line_.size());
    }
    reader().keep(last);  // its views point into the chunk
    return all_read(consumed(last));
  }

  Reader& reader() noexcept { return static_cast<Reader&>(*this); }

  result<std::size_t> all_read(std::size_t consumed) noexcept {
    offset_ += consumed;
    return {consumed, errc::ok};
  }

  // `begun`: how many bytes of the line came with earlier calls.
  [[gnu::noinline]] result<std::size_t> give_up(errc error, std::size_t consumed,
                                                std::size_t begun) noexcept {
    offset_ += consumed;
    offset_ -= begun;
    high_ = false;
    partial_line_.clear();
    return {consumed, error};
  }

  bool append_partial(std::string_view part, char const* readable) {
    if (part.size() > max_line_bytes_ - partial_line_.size()) return false;
    partial_line_.append(part, readable);
    return true;
  }

  std::size_t max_line_bytes_;
  byte_buffer partial_line_;
  std::uint64_t offset_ = 0;
  // Bytes of the byte order mark seen so far. More than its size: there was none.
  std::size_t mark_bytes_ = 0;
  // The last chunk ended with a CR.
  bool after_cr_ = false;
  // A line since the last empty one may hold bytes that are not ASCII.
  bool high_ = false;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
