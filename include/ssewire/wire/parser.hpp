// SPDX-License-Identifier: MIT
// parser.hpp - turns the bytes of an event stream, in any slices, into events.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/utf8.hpp>
#include <ssewire/wire/detail/byte_buffer.hpp>
#include <ssewire/wire/detail/line_ends.hpp>

#include <string.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What one stream may make a parser hold, in bytes as they arrive (a repair to U+FFFD can make three of
/// one). Beyond a limit the stream is in error: nothing is ever cut short. The most memory a parser takes is
/// about 5 times max_event_bytes, 12 times where all of it has to be repaired. It keeps it until it is
/// destroyed.
struct parser_limits {
  /// One line, its ending excluded: one-line JSON with a picture in it.
  std::size_t max_line_bytes = 8 * 1024 * 1024;
  /// Type and data of one event: two such lines.
  std::size_t max_event_bytes = 16 * 1024 * 1024;
  /// It goes back as a request field; servers refuse heads over 8 KiB.
  std::size_t max_id_bytes = 4 * 1024;
};

/// What to do with bytes that are not UTF-8: the standard decodes them to U+FFFD; a relay may want them
/// untouched.
enum class utf8 : unsigned char { repair, keep };

/// An incremental parser for one event stream, and then, after reset(), for the next. It is read in one of
/// two ways:
///
///     p.feed(bytes, [](event const& e) { use(e); });             // push: called for each event
///
///     p.feed(bytes);                                             // pull: events are asked for, one at a
///     time while (auto const e = p.next()) use(*e);
///
/// Threads     distinct parsers: safe. One parser: one thread at a time.
class parser {
 public:
  parser() noexcept = default;
  explicit parser(parser_limits limits, utf8 encoding = utf8::repair) noexcept
      : limits_(limits), utf8_(encoding) {}

  /// A copy reads on where the other stands. One made inside a callback, in the middle of the bytes, wants a
  /// reset() first. If memory fails, the parser assigned to is as before.
  parser(parser const&) = default;
  parser(parser&&) noexcept = default;
  parser& operator=(parser const& other) {
    if (this != &other) *this = parser(other);
    return *this;
  }
  parser& operator=(parser&&) noexcept = default;
  ~parser() = default;

  /// Reads the next bytes of the stream and reports every event they complete.
  /// Input       `bytes`: UTF-8, any length, may stop inside a code point or between CR and LF. Borrowed for
  ///             the call.
  /// Output      `on_event(event const&)`, once for each dispatched event, in stream order, on this thread.
  ///             Its views live until it returns. It may call reset(): then the rest of `bytes` is not read.
  /// Returns     bytes consumed, and the exceeded limit if any. An error sticks until reset().
  /// Not errors  unknown fields, bad `retry` values, an ID holding NUL: the standard ignores them.
  /// Complexity  O(bytes.size()) amortised. Memory bounded by the limits.
  /// Throws      std::bad_alloc, and what `on_event` throws (then only reset() and destruction are valid).
  /// Source      WHATWG HTML, 9.2.6 Interpreting an event stream.
  template <std::invocable<event const&> OnEvent>
  result<std::size_t> feed(std::string_view bytes, OnEvent&& on_event) {
    return push(bytes, on_event, without_comments());
  }

  /// The same, and reports comments, in their place among the events: a relay passes keep-alives on.
  /// Output      `on_comment(std::string_view)`: what stands behind the colon, less one leading space. It
  ///             may do what `on_event` may. The view lives until it returns.
  template <std::invocable<event const&> OnEvent, std::invocable<std::string_view> OnComment>
  result<std::size_t> feed(std::string_view bytes, OnEvent&& on_event, OnComment&& on_comment) {
    return push(bytes, on_event, on_comment);
  }

  /// A read buffer does not say how much of it was read: feed({buffer, bytes}).
  template <std::size_t N, class... Callbacks>
  result<std::size_t> feed(char (&buffer)[N], Callbacks&&... callbacks) = delete;

  /// Takes the next bytes of the stream, for next() to read.
  /// Input       `bytes`: as above. Borrowed until next() has answered nothing, or reset().
  /// Returns     bytes taken: all, or none where the error says why. errc::bytes_waiting: next() has not yet
  ///             read all of the last call's; it does not stick. Limits that these bytes exceed show in
  ///             error().
  result<std::size_t> feed(std::string_view bytes) noexcept {
    if (inside_.on) return {0, errc::called_from_inside};
    if (error_ != errc::ok) return {0, error_};
    if (bytes.empty()) return {};
    waiting_ = bytes;
    error_ = errc::bytes_waiting;
    return {bytes.size(), errc::ok};
  }

  /// A temporary would be gone before next() reads it.
  template <std::same_as<std::string> Text> result<std::size_t> feed(Text&& temporary) = delete;

  /// The next event of the bytes that were fed, or nothing: then it wants more bytes, or error() says what
  /// is wrong.
  /// Output      Its views live until the next call of next(), feed() or reset(), and no longer than the fed
  ///             bytes: where it stands whole in them, nothing is copied.
  /// Complexity  O(bytes read) amortised.
  /// Throws      std::bad_alloc (then only reset() and destruction are valid).
  std::optional<event> next() { return pull(without_comments()); }

  /// The same; `on_comment` is called for each comment in front of the event.
  template <std::invocable<std::string_view> OnComment> std::optional<event> next(OnComment&& on_comment) {
    return pull(on_comment);
  }

  /// The stream has ended. An unfinished line and an event without its blank line are dropped, as the
  /// standard says.
  /// Returns     the error that sticks, if any. Only reset() makes the parser read again; feeding it is
  ///             errc::closed, and that is error() from now on.
  result<std::size_t> finish() noexcept {
    if (inside_.on) return {0, errc::called_from_inside};
    if (error_ == errc::closed) return {};
    if (error_ != errc::ok) return {0, error_};  // also errc::bytes_waiting, which does not stick
    error_ = errc::closed;
    forget_block();
    partial_line_.clear();
    mark_bytes_ = 0;
    return {};
  }

  /// Makes the parser ready for the next stream: a new connection of the same client. The last event ID and
  /// the reconnection time stay, as they do in a browser; errors, the unfinished line and the unfinished
  /// event go.
  void reset() noexcept {
    forget_block();
    partial_line_.clear();
    offset_ = 0;
    mark_bytes_ = 0;
    after_cr_ = false;
    error_ = errc::ok;
    ++stream_;
  }

  /// The ID to present in `Last-Event-ID`; empty for none. Changes when a block ends, before its event is
  /// reported: also if on_event throws then. A view that lives until the next
  /// call of feed(), next() or an assignment, or the parser's end.
  [[nodiscard]] std::string_view last_event_id() const noexcept { return last_event_id_.view(); }

  /// The reconnection time the stream asked for, if it did. In force when its line has ended. A number
  /// beyond 64 bits is the largest there is.
  [[nodiscard]] std::optional<ssewire::reconnection_time> reconnection_time() const noexcept {
    return retry_;
  }

  /// Whether finish() would drop something now: a line without its end, fields without their blank line,
  /// bytes that wait for next(). Then the peer, or somebody between, has cut the stream.
  [[nodiscard]] bool unfinished() const noexcept {
    bool const half_a_mark = mark_bytes_ != 0 && mark_bytes_ < byte_order_mark.size();
    return fields_ != 0 || !partial_line_.empty() || half_a_mark || error_ == errc::bytes_waiting;
  }

  /// What sticks until reset(): an exceeded limit, errc::closed after finish(), or what an exception has
  /// left behind. errc::ok while the stream can be read.
  [[nodiscard]] errc error() const noexcept {
    return inside_.on || error_ == errc::bytes_waiting ? errc::ok : error_;
  }

  /// How many bytes of this stream have been read by the calls that have returned. After a limit was
  /// exceeded: where the line begins that exceeded it. The same however the bytes were cut.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

 private:
  static constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

  static constexpr auto reset_by_callback = errc::closed;  // what ends the scan, and no error of the stream

  // What the block being read holds so far, as bits: forgetting it is one store.
  enum field : unsigned char { has_data = 1, has_type = 2, has_id = 4, has_retry = 8 };

  // A value of the block being read: a view while it lies whole in the chunk, else a copy in `own`.
  struct value {
    char const* view = nullptr;  // null: in `own`
    std::size_t size = 0;
    detail::byte_buffer own;

    // Not kept as a view of `own`: a parser that is copied or moved takes its text along.
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

  // Every line in a chunk goes through code in line, whatever the compiler thinks of its size: one call a
  // line shows. The one line that lies in two chunks need not.
  enum class where : unsigned char { inside_chunk, between_chunks };

  // Of this parser, and not of its copies.
  struct inside_flag {
    bool on = false;

    inside_flag() noexcept = default;
    inside_flag(inside_flag const&) noexcept {}
    inside_flag& operator=(inside_flag const&) noexcept { return *this; }
  };

  struct without_comments {};
  template <class OnComment>
  static constexpr bool takes_comments = !std::is_same_v<std::remove_cvref_t<OnComment>, without_comments>;

  // What the scan does with what it finds. False: reading ends here.
  template <class OnEvent, class OnComment> struct pushed {
    parser& p;
    OnEvent& on_event;
    OnComment& on_comment;
    static constexpr bool one_at_a_time = false;
    static constexpr bool comments = takes_comments<OnComment>;

    bool event(ssewire::event const& e) { return p.call(on_event, e); }
    bool comment(std::string_view text) { return p.call(on_comment, text); }
  };
  template <class OnComment> struct pulled {
    parser& p;
    std::optional<ssewire::event>& found;
    OnComment& on_comment;
    static constexpr bool one_at_a_time = true;
    static constexpr bool comments = takes_comments<OnComment>;

    bool event(ssewire::event const& e) {
      found = e;
      return false;
    }
    bool comment(std::string_view text) { return p.call(on_comment, text); }
  };

  // Says that a callback is running. If it throws, the parser refuses until reset(), unless that was called
  // already.
  class inside {
   public:
    explicit inside(parser& p) noexcept : parser_(p), stream_(p.stream_) { p.inside_.on = true; }
    inside(inside const&) = delete;
    inside& operator=(inside const&) = delete;
    ~inside() {
      if (parser_.inside_.on && leave()) parser_.error_ = errc::called_from_inside;
    }

    // Whether on_event has left the stream as it was.
    bool leave() noexcept {
      parser_.inside_.on = false;
      return parser_.stream_ == stream_;
    }

   private:
    parser& parser_;
    std::size_t stream_;
  };

  // False: the callback has called reset().
  template <class Callback, class Argument> bool call(Callback& callback, Argument const& argument) {
    inside guard(*this);
    static_cast<void>(callback(argument));
    return guard.leave();
  }

  template <class OnEvent, class OnComment>
  result<std::size_t> push(std::string_view bytes, OnEvent& on_event, OnComment&& on_comment) {
    if (inside_.on) return {0, errc::called_from_inside};
    if (error_ != errc::ok) return {0, error_};
    if (bytes.empty()) return {};
    pushed<OnEvent, std::remove_reference_t<OnComment>> to{*this, on_event, on_comment};
    return read(bytes, to);
  }

  template <class OnComment> std::optional<event> pull(OnComment&& on_comment) {
    std::optional<event> found;
    if (inside_.on || error_ != errc::bytes_waiting) return found;
    auto rest = waiting_;
    pulled<std::remove_reference_t<OnComment>> to{*this, found, on_comment};
    rest.remove_prefix(read(rest, to).value);
    if (found && !rest.empty()) {
      waiting_ = rest;
      error_ = errc::bytes_waiting;
    }
    return found;
  }

  template <class To> result<std::size_t> read(std::string_view bytes, To& to) {
    auto const* const first = bytes.data();
    auto const* const last = first + bytes.size();
    error_ = errc::
        no_memory;  // until all is read: if an exception leaves from here, what is half read cannot go on
    auto const* line = first;
    if (mark_bytes_ < byte_order_mark.size()) {
      line = skip_byte_order_mark(first, last);
      if (partial_line_.size() > limits_.max_line_bytes) {
        return give_up(errc::line_too_long, static_cast<std::size_t>(line - first), partial_line_.size());
      }
      if (line == last) return all_read(bytes.size());
    }
    return scan(first, line, last, to);
  }

  // `begun`: bytes of the line that came with earlier calls.
  [[gnu::noinline]] result<std::size_t> give_up(errc error, std::size_t consumed,
                                                std::size_t begun) noexcept {
    error_ = error;
    offset_ += consumed;
    offset_ -= begun;
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

  // Reads [line, last), which is not empty and begins with the rest of the unfinished line if there is one.
  template <class To>
  result<std::size_t> scan(char const* first, char const* line, char const* last, To& to) {
    constexpr auto block_bytes = static_cast<std::ptrdiff_t>(detail::block_bytes);
    detail::block_scanner const scanner;
    auto const consumed = [first](char const* at) { return static_cast<std::size_t>(at - first); };
    if (last - line < block_bytes) {
      // A few bytes from the middle of a line, as from a peer that drips: there is nothing to do but to keep
      // them.
      if (scanner.may_end(line, static_cast<std::size_t>(last - line)) == 0) {
        after_cr_ = false;
        if (!append_partial({line, static_cast<std::size_t>(last - line)}, last)) {
          return give_up(errc::line_too_long, consumed(line), partial_line_.size());
        }
        return all_read(consumed(last));
      }
    }
    bool high = high_;                                   // some byte of the event being read is not ASCII
    auto const* behind_cr = after_cr_ ? line : nullptr;  // an LF here belongs to the CR before it
    bool unfinished = !partial_line_.empty();
    // One comparison tells the plain line from an empty one (which wraps around), one too long, and the
    // unfinished one.
    auto plain_bytes = unfinished ? 0 : limits_.max_line_bytes;
    auto const* block = line;
    for (auto left = last - block; left > 0; left -= block_bytes, block += block_bytes) {
      bool high_here = false;
      auto ends = left >= block_bytes ? scanner.may_end(block)
                                      : scanner.may_end(block, static_cast<std::size_t>(left));
      for (; ends != 0; ends &= ends - 1) {
        auto const* const end = block + static_cast<unsigned>(std::countr_zero(ends));
        if (*end != '\n') [[unlikely]] {
          if (*end != '\r') {
            auto const exact = scanner.exact(block, static_cast<std::size_t>(left));
            ends = (ends & exact.ends) | (ends & (~ends + 1));  // this bit goes at the loop's end
            high = high || exact.high;
            high_here = exact.high;
            continue;
          }
          behind_cr = end + 1;  // and `end`, if it was behind one too, is no LF
        }
        auto const size = static_cast<std::size_t>(end - line);
        auto const* const begin = std::exchange(line, end + 1);
        auto error = errc::ok;
        std::size_t begun = 0;
        if (size - 1 < plain_bytes) [[likely]] {
          error = read_line<where::inside_chunk>(begin, end, last, to);
        } else if (unfinished) {
          unfinished = false;
          plain_bytes = limits_.max_line_bytes;
          begun = partial_line_.size();
          error = finish_line({begin, size}, last, to);
        } else if (size == 0) {
          if (end == behind_cr && *end == '\n') continue;  // it belongs to the CR before it
          if (!dispatch(to, high)) {
            if constexpr (To::one_at_a_time) {
              high_ =
                  false;  // what follows is looked at again. An LF that belongs to a CR here changes nothing
              return all_read(consumed(line));
            }
            error = reset_by_callback;
          }
          high = high_here;
        } else {
          error = errc::line_too_long;
        }
        if (error != errc::ok) [[unlikely]] {
          if (error == reset_by_callback) return {consumed(line), errc::ok};
          return give_up(error, consumed(begin), begun);
        }
      }
    }
    high_ = high;
    after_cr_ = behind_cr == last && line == last;
    if (line != last && !append_partial({line, static_cast<std::size_t>(last - line)}, last)) {
      return give_up(errc::line_too_long, consumed(line), partial_line_.size());
    }
    own_views(last);  // they look into the chunk
    return all_read(consumed(last));
  }

  result<std::size_t> all_read(std::size_t consumed) noexcept {
    offset_ += consumed;
    error_ = errc::ok;
    return {consumed, errc::ok};
  }

  // The unfinished line has found its end behind `rest`.
  template <class To>
  [[gnu::noinline]] errc finish_line(std::string_view rest, char const* readable, To& to) {
    if (!append_partial(rest, readable)) return errc::line_too_long;
    auto const line = partial_line_.view();
    auto const* const end = line.data() + line.size();
    auto const error = read_line<where::between_chunks>(line.data(), end, end, to);
    own_views(end);  // they look into the line that is forgotten now
    partial_line_.clear();
    return error;
  }

  bool append_partial(std::string_view part, char const* readable) {
    if (part.size() > limits_.max_line_bytes - (std::min)(limits_.max_line_bytes, partial_line_.size()))
      return false;
    partial_line_.append(part, readable);
    return true;
  }

  // A line that is not empty. What lies behind `end` up to `readable` may be read.
  template <where Where, class To>
  [[gnu::always_inline]] errc read_line(char const* line, char const* end, char const* readable, To& to) {
    if constexpr (To::comments) {
      if (*line == ':') [[unlikely]] {
        auto const text = value_behind(line + 1, end);
        auto const good = utf8_ == utf8::repair ? detail::utf8_repair(text, repaired_data_) : text;
        return to.comment(good) ? errc::ok : reset_by_callback;
      }
    }
    return read_field<Where>(line, end, readable);
  }

  template <where Where>
  [[gnu::always_inline]] errc read_field(char const* line, char const* end, char const* readable) {
    if (end - line >= 5 && (memcmp)(line, "data", 4) == 0 && line[4] == ':') [[likely]] {
      return read_data(value_behind(line + 5, end), readable);
    }
    std::string_view const whole(line, static_cast<std::size_t>(end - line));
    return Where == where::inside_chunk ? read_other_field(whole, readable)
                                        : call_other_field(whole, readable);
  }

  [[gnu::noinline]] errc call_other_field(std::string_view line, char const* readable) {
    return read_other_field(line, readable);
  }

  // The value behind the colon: one space in front of it does not count.
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
      if (text.size() > limits_.max_event_bytes - type_bytes_) return errc::event_too_long;
      fields_ |= has_data;
      data_.set(text);
      return errc::ok;
    }
    if (text.size() >= limits_.max_event_bytes - type_bytes_ - data_.text().size())
      return errc::event_too_long;
    data_.keep(readable);
    data_.own.append_line(text, readable);
    return errc::ok;
  }

  [[gnu::always_inline]] errc read_type(std::string_view text) {
    auto const data_bytes = fields_ & has_data ? data_.text().size() : 0;
    if (text.size() > limits_.max_event_bytes - data_bytes) return errc::event_too_long;
    fields_ |= has_type;
    type_bytes_ = text.size();
    type_.set(text);
    return errc::ok;
  }

  [[gnu::always_inline]] errc read_id(std::string_view text) {
    if ((memchr)(text.data(), '\0', text.size()) != nullptr) return errc::ok;
    if (text.size() > limits_.max_id_bytes) return errc::id_too_long;
    fields_ |= has_id;
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
    fields_ |= has_retry;
    retry_ = ssewire::reconnection_time(ms);
  }

  // The blank line: the ID takes effect, and if there is data, an event fires. False: reading ends here.
  template <class To> bool dispatch(To& to, bool high) {
    auto const fields =
        std::exchange(fields_, static_cast<unsigned char>(0));  // the bytes stay where they are
    event e;
    if (fields & has_data) e.data = data_.text();
    if (fields & has_type) {
      e.type = detail::stream_access::type(type_.text());
      type_bytes_ = 0;
    }
    if (fields & has_retry) e.retry = retry_;
    if (fields & has_id) e.id = detail::stream_access::id(id_.text());
    if (high && utf8_ == utf8::repair) [[unlikely]]
      repair(e);
    if (fields & has_id) {
      last_event_id_.assign(e.id.value());
      e.id = detail::stream_access::id(last_event_id_.view());
    }
    if (!(fields & has_data)) return true;
    return to.event(e);
  }

  // Values are repaired one by one: the first byte of a sequence never swallows a line's end or a colon.
  [[gnu::noinline]] void repair(event& e) {
    if (e.data) e.data = detail::utf8_repair(*e.data, repaired_data_);
    e.type = detail::stream_access::type(detail::utf8_repair(e.type.value(), repaired_type_));
    if (e.id.has_value()) e.id = detail::stream_access::id(detail::utf8_repair(e.id.value(), repaired_id_));
  }

  void own_views(char const* readable) {
    if (fields_ & has_data) data_.keep(readable);
    if (fields_ & has_type) type_.keep(readable);
    if (fields_ & has_id) id_.keep(readable);
  }

  void forget_block() noexcept {
    fields_ = 0;
    type_bytes_ = 0;
    high_ = false;
  }

  parser_limits limits_;
  std::size_t type_bytes_ = 0;  // of the event being read
  detail::byte_buffer partial_line_;
  value data_;
  value type_;
  value id_;

  detail::byte_buffer last_event_id_;
  std::optional<ssewire::reconnection_time> retry_;

  std::string repaired_data_;
  std::string repaired_type_;
  std::string repaired_id_;

  std::string_view waiting_;    // fed, and not yet read by next(), while error_ is bytes_waiting
  std::uint64_t offset_ = 0;    // bytes of the stream in front of this chunk
  std::size_t mark_bytes_ = 0;  // bytes of the byte order mark seen; beyond its size: there was none
  std::size_t stream_ = 0;      // counts reset(), so that feed() notices one made from inside on_event
  inside_flag inside_;          // a callback is running
  errc error_ = errc::ok;
  utf8 utf8_ = utf8::repair;
  unsigned char fields_ = 0;
  bool after_cr_ = false;  // at the end of the last chunk
  bool high_ = false;      // the block being read may hold bytes that are not ASCII
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
