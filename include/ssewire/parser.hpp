// SPDX-License-Identifier: MIT
// parser.hpp - turns the bytes of an event stream, in any slices, into events.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/detail/line_end.hpp>
#include <ssewire/detail/utf8.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What one stream may make a parser hold. Beyond a limit the stream is in error: nothing is ever cut short.
struct parser_limits {
  std::size_t max_line_bytes =
      8 * 1024 * 1024;  ///< one line, its ending excluded: one-line JSON with a picture in it
  std::size_t max_event_bytes = 16 * 1024 * 1024;  ///< type and data of one event: two such lines
  std::size_t max_id_bytes = 4 * 1024;  ///< it goes back as a request field; servers refuse heads over 8 KiB
};

/// What to do with bytes that are not UTF-8: the standard decodes them to U+FFFD; a relay may want them untouched.
enum class utf8 : unsigned char { repair, keep };

/// How far a parser came, and what stopped it.
struct feed_result {
  std::size_t consumed = 0;  ///< bytes of this call that were read: all of them, unless a limit was exceeded
  errc error = errc::ok;

  constexpr explicit operator bool() const noexcept { return error == errc::ok; }
};

/// An incremental parser for one event stream, and then, after reset(), for the next.
/// Threads     distinct parsers: safe. One parser: one thread at a time.
class parser {
 public:
  parser() noexcept = default;
  explicit parser(parser_limits limits, utf8 encoding = utf8::repair) noexcept
      : limits_(limits), utf8_(encoding) {}

  /// Reads the next bytes of the stream and reports every event they complete.
  /// Input       `bytes`: UTF-8, any length, may stop inside a code point or between CR and LF. Borrowed for the call.
  /// Output      `on_event(event const&)`, once for each dispatched event, in stream order, on this thread. Its views
  ///             live until it returns. It may call reset(): then the rest of `bytes` is not read.
  /// Returns     bytes consumed, and the exceeded limit if any. An error sticks until reset().
  /// Not errors  unknown fields, bad `retry` values, an ID holding NUL: the standard ignores them.
  /// Complexity  O(bytes.size()) amortised. Memory bounded by the limits.
  /// Throws      std::bad_alloc, and what `on_event` throws (then only reset() and destruction are valid).
  /// Source      WHATWG HTML, 9.2.6 Interpreting an event stream.
  template <class OnEvent> feed_result feed(std::string_view bytes, OnEvent&& on_event) {
    if (inside_ == this) return {0, errc::called_from_inside};
    if (error_ != errc::ok) return {0, error_};
    auto const* const first = bytes.data();
    auto const* const last = first + bytes.size();
    auto const* next = skip_byte_order_mark(first, last);
    auto const stream = stream_;
    while (next != last) {
      if (after_cr_) {  // The CR ended its line at once; an LF directly next belongs to it.
        after_cr_ = false;
        if (*next == '\n') {
          ++next;
          continue;
        }
      }
      auto const* const end = detail::find_line_end(next, last);
      std::string_view line(next, static_cast<std::size_t>(end - next));
      if (line.size() > limits_.max_line_bytes - (std::min)(limits_.max_line_bytes, partial_line_.size())) {
        return fail(errc::line_too_long, static_cast<std::size_t>(next - first));
      }
      if (end == last) {
        partial_line_.append(line);
        next = last;
        break;
      }
      bool const in_chunk = partial_line_.empty();
      if (!in_chunk) line = partial_line_.append(line);
      after_cr_ = *end == '\r';
      auto const* const begin = std::exchange(next, end + 1);
      if (line.empty()) {
        dispatch(on_event);
        if (stream != stream_)
          return {static_cast<std::size_t>(next - first), errc::ok};  // reset() from inside
      } else if (auto const error = read_field(line); error != errc::ok) {
        return fail(error, static_cast<std::size_t>(begin - first));
      }
      if (!in_chunk) {
        own_views();  // they look into the line that is forgotten now
        partial_line_.clear();
      }
    }
    own_views();  // they look into `bytes`
    return {bytes.size(), errc::ok};
  }

  /// The stream has ended. An unfinished line and an event without its blank line are dropped, as the standard says.
  /// Returns     the error that sticks, if any. Only reset() makes the parser read again; feeding it is errc::closed.
  feed_result finish() noexcept {
    if (inside_ == this) return {0, errc::called_from_inside};
    if (error_ == errc::closed) return {};
    if (error_ != errc::ok) return {0, error_};
    error_ = errc::closed;
    forget_block();
    partial_line_.clear();
    return {};
  }

  /// Makes the parser ready for the next stream: a new connection of the same client. The last event ID and the
  /// reconnection time stay, as they do in a browser; errors, the unfinished line and the unfinished event go.
  void reset() noexcept {
    forget_block();
    partial_line_.clear();
    mark_bytes_ = 0;
    after_cr_ = false;
    error_ = errc::ok;
    ++stream_;
  }

  /// The ID to present in `Last-Event-ID`; empty for none. Changes when a block ends. A view that lives until the next
  /// call of feed() or the parser's end.
  [[nodiscard]] std::string_view last_event_id() const noexcept { return last_event_id_; }

  /// The reconnection time the stream asked for, if it did. In force when its line has ended. A number beyond 64 bits
  /// is the largest there is.
  [[nodiscard]] std::optional<ssewire::reconnection_time> reconnection_time() const noexcept {
    return retry_;
  }

 private:
  static constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

  // A value of the block being read: a view while it lies whole in the chunk, else a copy in `own`.
  struct value {
    std::string_view view;
    std::string own;
    bool present = false;
    bool owned = false;

    // Not kept as a view of `own`: a parser that is copied or moved takes its text along.
    [[nodiscard]] std::string_view text() const noexcept { return owned ? std::string_view(own) : view; }

    void set(std::string_view part) noexcept {
      view = part;
      present = true;
      owned = false;
    }
    void keep() {
      if (!present || owned) return;
      own.assign(view);
      owned = true;
    }
    void append_line(std::string_view line) {
      keep();
      own += '\n';
      own.append(line);
    }
    void forget() noexcept {
      view = {};
      present = owned = false;
    }
  };

  // Says that on_event is running, until it has returned or thrown.
  class inside {
   public:
    explicit inside(parser& p) noexcept : parser_(p) { p.inside_ = &p; }
    ~inside() { parser_.inside_ = nullptr; }
    inside(inside const&) = delete;
    inside& operator=(inside const&) = delete;

   private:
    parser& parser_;
  };

  feed_result fail(errc error, std::size_t consumed) noexcept {
    error_ = error;
    forget_block();
    partial_line_.clear();
    return {consumed, error};
  }

  // Exactly one byte order mark is dropped, at the stream's very begin, also when it is cut over chunks.
  char const* skip_byte_order_mark(char const* next, char const* last) {
    constexpr std::size_t passed = byte_order_mark.size() + 1;
    while (next != last && mark_bytes_ < byte_order_mark.size()) {
      if (*next != byte_order_mark[mark_bytes_]) {
        partial_line_.append(byte_order_mark.substr(0, mark_bytes_));  // it only looked like one
        mark_bytes_ = passed;
        return next;
      }
      ++next;
      ++mark_bytes_;
    }
    return next;
  }

  errc read_field(std::string_view line) {
    auto const colon = line.find(':');
    if (colon == 0) return errc::ok;  // a comment
    auto const field = line.substr(0, colon);
    auto text = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (!text.empty() && text.front() == ' ') text.remove_prefix(1);

    if (field == "data") return read_data(text);
    if (field == "event") return read_type(text);
    if (field == "id") return read_id(text);
    if (field == "retry") read_retry(text);
    return errc::ok;
  }

  errc read_data(std::string_view text) {
    auto const before = data_.present ? data_.text().size() + 1 : 0;
    if (!fits(type_.text().size(), before, text.size())) return errc::event_too_long;
    if (data_.present) {
      data_.append_line(text);
    } else {
      data_.set(text);
    }
    return errc::ok;
  }

  errc read_type(std::string_view text) {
    if (!fits(text.size(), data_.text().size(), 0)) return errc::event_too_long;
    type_.set(text);
    return errc::ok;
  }

  errc read_id(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) return errc::ok;
    if (text.size() > limits_.max_id_bytes) return errc::id_too_long;
    id_.set(text);
    return errc::ok;
  }

  void read_retry(std::string_view text) noexcept {
    constexpr auto most = (std::numeric_limits<std::uint64_t>::max)();
    if (text.empty()) return;
    std::uint64_t ms = 0;
    for (char const c : text) {
      if (c < '0' || c > '9') return;
      auto const digit = static_cast<std::uint64_t>(c - '0');
      ms = ms > (most - digit) / 10 ? most : ms * 10 + digit;
    }
    block_retry_ = retry_ = ssewire::reconnection_time(ms);
  }

  [[nodiscard]] bool fits(std::size_t a, std::size_t b, std::size_t c) const noexcept {
    auto room = limits_.max_event_bytes;
    for (auto const part : {a, b, c}) {
      if (part > room) return false;
      room -= part;
    }
    return true;
  }

  // The blank line: the ID takes effect, and if there is data, an event fires.
  template <class OnEvent> void dispatch(OnEvent& on_event) {
    if (id_.present) last_event_id_.assign(decoded(id_.text(), repaired_id_));
    if (data_.present) {
      event e;
      e.type = detail::stream_access::type(decoded(type_.text(), repaired_type_));
      e.data = decoded(data_.text(), repaired_data_);
      if (id_.present) e.id = detail::stream_access::id(last_event_id_);
      e.retry = block_retry_;
      forget_block();  // the event's bytes stay where they are
      error_ =
          errc::called_from_inside;  // what a nested call is told, and every later one if on_event throws
      inside const guard(*this);     // what it is told behind a reset(): the event's views still live
      on_event(std::as_const(e));
      if (error_ == errc::called_from_inside) error_ = errc::ok;
    } else {
      forget_block();
    }
  }

  std::string_view decoded(std::string_view text, std::string& repaired) const {
    return utf8_ == utf8::keep ? text : detail::utf8_repair(text, repaired);
  }

  void own_views() {
    data_.keep();
    type_.keep();
    id_.keep();
  }

  void forget_block() noexcept {
    data_.forget();
    type_.forget();
    id_.forget();
    block_retry_.reset();
  }

  parser_limits limits_;
  std::string partial_line_;
  value data_;
  value type_;
  value id_;
  std::optional<ssewire::reconnection_time> block_retry_;

  std::string last_event_id_;
  std::optional<ssewire::reconnection_time> retry_;

  std::string repaired_data_;
  std::string repaired_type_;
  std::string repaired_id_;

  std::size_t mark_bytes_ = 0;      // bytes of the byte order mark seen; beyond its size: there was none
  std::size_t stream_ = 0;          // counts reset(), so that feed() notices one made from inside on_event
  parser const* inside_ = nullptr;  // this: on_event is running. A copy made there is not inside
  errc error_ = errc::ok;
  utf8 utf8_ = utf8::repair;
  bool after_cr_ = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
