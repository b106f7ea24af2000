// SPDX-License-Identifier: MIT
// parser.hpp - turns the bytes of an event stream, in any slices, into events.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/wire/detail/block_fields.hpp>
#include <ssewire/wire/detail/parser_state.hpp>
#include <ssewire/wire/detail/scan.hpp>
#include <ssewire/wire/parser_limits.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// An incremental parser for one event stream, and then, after reset(), for the next. There are two ways to
/// read:
///
///     p.feed(bytes, [](event const& e) { use(e); });  // push: it calls for each event
///
///     p.feed(bytes);                                  // pull: you ask for one event at a time
///     while (auto const e = p.next()) use(*e);
///
/// @par Threads  Distinct parsers: safe. One parser: one thread at a time.
class parser : detail::line_scan<parser> {
 public:
  /// With the default limits.
  parser() noexcept : parser(parser_limits()) {}
  /// With your limits, and your choice for bytes that are not UTF-8.
  explicit parser(parser_limits limits, utf8 encoding = utf8::repair) noexcept
      : line_scan(limits.max_line_bytes), block_(limits, encoding) {}

  /// A copy reads on from where the other stands. A copy made inside a callback, in the middle of the bytes,
  /// must be reset() first.
  parser(parser const&) = default;
  parser(parser&&) noexcept = default;
  /// As the copy constructor. If an allocation fails, this parser is as before.
  parser& operator=(parser const& other) {
    if (this != &other) *this = parser(other);
    return *this;
  }
  parser& operator=(parser&&) noexcept = default;
  ~parser() = default;

  /// Reads the next bytes of the stream and reports every event that they complete.
  ///
  /// @param bytes     UTF-8, any length; may stop inside a code point or between CR and LF. Borrowed for the
  ///   call.
  /// @param on_event  Called with `event const&` once for each dispatched event, in stream order, on this
  ///   thread. The event's views live until it returns. It may call reset(): then the rest of `bytes` is not
  ///   read.
  /// @return          The bytes consumed, and the exceeded limit if any. An error sticks until reset().
  /// @throws          std::bad_alloc, and what `on_event` throws; then only reset() and destruction are
  ///   valid.
  /// @par Ignored     Unknown fields, bad `retry` values and an ID that holds NUL, as the standard says.
  /// @par Complexity  O(bytes.size()) amortised. Memory is bounded by the limits.
  /// @par Source      WHATWG HTML, 9.2.6 Interpreting an event stream.
  template <std::invocable<event const&> OnEvent>
  result<std::size_t> feed(std::string_view bytes, OnEvent&& on_event) {
    return push(bytes, on_event, without_comments());
  }

  /// The same, and also reports comments, in their place among the events: a relay passes keep-alives on.
  ///
  /// @param bytes       As above.
  /// @param on_event    As above.
  /// @param on_comment  Called with the text after the colon, a `std::string_view` without one leading space.
  ///   It may do what `on_event` may. The view lives until it returns.
  /// @return            As above.
  template <std::invocable<event const&> OnEvent, std::invocable<std::string_view> OnComment>
  result<std::size_t> feed(std::string_view bytes, OnEvent&& on_event, OnComment&& on_comment) {
    return push(bytes, on_event, on_comment);
  }

  /// Deleted: a read buffer does not say how much of it was read. Write feed({buffer, bytes}).
  template <std::size_t N, class... Callbacks>
  result<std::size_t> feed(char (&buffer)[N], Callbacks&&... callbacks) = delete;

  /// Takes the next bytes of the stream, for next() to read.
  ///
  /// @param bytes  As above. Borrowed until next() has returned nothing, or until reset().
  /// @return       The bytes taken: all, or none and the reason. errc::bytes_waiting: next() has not yet read
  ///   all bytes of the last call; this error does not stick. A limit that these bytes exceed shows in
  ///   error(), when next() has read them.
  result<std::size_t> feed(std::string_view bytes) noexcept {
    if (!state_.is(state::ready)) return {0, state_.refusal()};
    if (bytes.empty()) return {};
    waiting_ = bytes;
    state_.become(state::waiting);
    return {bytes.size(), errc::ok};
  }

  /// Deleted: a temporary would be gone before next() reads it.
  template <std::same_as<std::string> Text> result<std::size_t> feed(Text&& temporary) = delete;

  /// The next event of the bytes that were fed.
  ///
  /// @return          The event. Nothing: feed more bytes, unless error() says what is wrong.
  /// @throws          std::bad_alloc; then only reset() and destruction are valid.
  /// @par Lifetime    The event's views live until the next call of next(), feed() or reset(), and no longer
  ///   than the fed bytes: an event that lies whole in them is not copied.
  /// @par Complexity  O(bytes read) amortised.
  std::optional<event> next() { return pull(without_comments()); }

  /// The same, and calls `on_comment` for each comment before the event.
  template <std::invocable<std::string_view> OnComment> std::optional<event> next(OnComment&& on_comment) {
    return pull(on_comment);
  }

  /// The stream has ended. Drops an unfinished line and an event without its blank line, as the standard
  /// says. After this only reset() makes the parser read again: feed() returns errc::closed, and so does
  /// error().
  ///
  /// @return  The error that sticks, if any. errc::bytes_waiting: next() has bytes left to read, and nothing
  ///   was done.
  result<std::size_t> finish() noexcept {
    if (state_.is(state::finished)) return {};
    if (!state_.is(state::ready)) return {0, state_.refusal()};
    state_.become(state::finished);
    forget_line();
    block_.forget();
    return {};
  }

  /// Makes the parser ready for the next stream: a new connection of the same client. It keeps the last event
  /// ID and the reconnection time, as a browser does, and drops the error, the unfinished line and the
  /// unfinished event.
  void reset() noexcept {
    begin_stream();
    block_.forget();
    state_.reset();
  }

  /// The ID to present in `Last-Event-ID`; empty for none. It changes when a block ends, before the block's
  /// event is reported: so also if `on_event` throws then.
  ///
  /// @par Lifetime  A view that lives until the next call of feed() or next(), an assignment, or the parser's
  ///   end.
  [[nodiscard]] std::string_view last_event_id() const noexcept { return block_.last_event_id(); }

  /// The reconnection time that the stream asked for, if it did. It is in force when its line has ended. A
  /// number beyond 64 bits becomes the largest one.
  [[nodiscard]] std::optional<ssewire::reconnection_time> reconnection_time() const noexcept {
    return block_.retry();
  }

  /// Whether finish() would drop something now: a line without its end, fields without their blank line, or
  /// bytes that wait for next(). If the stream ends then, the peer or a proxy has cut it.
  [[nodiscard]] bool has_partial_event() const noexcept {
    return inside_line() || !block_.empty() || state_.is(state::waiting);
  }

  /// The error that sticks until reset(): an exceeded limit; errc::closed after finish(); errc::no_memory
  /// after a std::bad_alloc; errc::called_from_inside after an exception of a callback. errc::ok while the
  /// stream can be read.
  [[nodiscard]] errc error() const noexcept {
    return state_.is_calling() || state_.is(state::waiting) ? errc::ok : state_.refusal();
  }

  /// How many bytes of this stream were read by the calls that have returned. After a limit was exceeded: the
  /// offset of the line that exceeded it. It does not depend on how the bytes were cut.
  [[nodiscard]] std::uint64_t offset() const noexcept { return bytes_read(); }

 private:
  using state = detail::state;

  struct without_comments {};
  template <class OnComment>
  static constexpr bool takes_comments = !std::is_same_v<std::remove_cvref_t<OnComment>, without_comments>;

  // Where events and comments go.
  template <class OnEvent, class OnComment> struct pushed {
    OnEvent& on_event;
    OnComment& on_comment;
    static constexpr bool one_at_a_time = false;
    static constexpr bool comments = takes_comments<OnComment>;
  };
  template <class OnComment> struct pulled {
    std::optional<event>& found;
    OnComment& on_comment;
    static constexpr bool one_at_a_time = true;
    static constexpr bool comments = takes_comments<OnComment>;
  };

  friend detail::line_scan<parser>;

  template <class To>
  [[gnu::always_inline]] errc read_line(char const* begin, char const* end, char const* readable, To& to) {
    if constexpr (To::comments) {
      if (*begin == ':') [[unlikely]]
        return comment(begin, end, to);
    }
    return block_.read_field(begin, end, readable);
  }
  template <class To> [[gnu::always_inline]] errc read_cut_line(char const* begin, char const* end, To& to) {
    if constexpr (To::comments) {
      if (*begin == ':') return comment(begin, end, to);
    }
    return block_.read_cut_field(begin, end);
  }
  template <class To> errc comment(char const* begin, char const* end, To& to) {
    return call(to.on_comment, block_.comment(begin, end)) ? errc::ok : detail::another_stream;
  }
  template <class To> [[gnu::always_inline]] bool blank_line(bool high, To& to) {
    event e;
    if (!block_.dispatch(e, high)) return true;
    if constexpr (To::one_at_a_time) {
      to.found = e;
      return false;
    } else {
      return call(to.on_event, e);
    }
  }
  void keep(char const* readable) { block_.keep(readable); }

  // False: the callback has called reset().
  template <class Callback, class Argument> bool call(Callback& callback, Argument const& argument) {
    detail::callback_guard guard(state_);
    static_cast<void>(callback(argument));
    return guard.goes_on();
  }

  template <class OnEvent, class OnComment>
  result<std::size_t> push(std::string_view bytes, OnEvent& on_event, OnComment&& on_comment) {
    if (!state_.is(state::ready)) return {0, state_.refusal()};
    if (bytes.empty()) return {};
    pushed<OnEvent, std::remove_reference_t<OnComment>> to{on_event, on_comment};
    return read(bytes, to);
  }

  template <class OnComment> std::optional<event> pull(OnComment&& on_comment) {
    std::optional<event> found;
    if (!state_.is(state::waiting)) return found;
    auto rest = waiting_;
    pulled<std::remove_reference_t<OnComment>> to{found, on_comment};
    rest.remove_prefix(read(rest, to).value);
    if (found && !rest.empty()) {
      waiting_ = rest;
      state_.become(state::waiting);
    }
    return found;
  }

  template <class To> result<std::size_t> read(std::string_view bytes, To& to) {
    state_.become(state::reading);  // after an exception the half-read line cannot be read on
    auto const read = read_lines(bytes, to);
    if (read.error != errc::ok) [[unlikely]]
      return stopped(read);
    state_.become(state::ready);
    return read;
  }

  [[gnu::noinline]] result<std::size_t> stopped(result<std::size_t> read) noexcept {
    if (read.error == detail::another_stream) return {read.value, errc::ok};
    state_.stop_for(read.error);
    block_.forget();
    return read;
  }

  detail::block_fields block_;
  std::string_view waiting_;  // fed, and not yet read by next(): in state::waiting
  detail::parser_state state_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
