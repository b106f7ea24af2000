// SPDX-License-Identifier: MIT
// event.hpp - the event: what the serializer takes and the parser yields. Its type and ID cannot break a
// stream. Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/result.hpp>

#include <stdlib.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// Not constexpr: reaching one of these in a constant expression is the compile error, and its name is the
// message. (`throw` would say it too, but does not compile under -fno-exceptions, not even for good
// literals.) clang 14 lets a consteval constructor run at start-up for a variable at namespace scope: there
// it aborts.
[[noreturn]] inline void event_type_must_not_contain_CR_LF_or_NUL() noexcept { (abort)(); }
[[noreturn]] inline void event_id_must_not_contain_CR_LF_or_NUL() noexcept { (abort)(); }
[[noreturn]] inline void a_literal_must_end_in_NUL() noexcept { (abort)(); }

constexpr bool has_cr_lf_or_nul(std::string_view text) noexcept {
  for (char const c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return true;
  }
  return false;
}

struct stream_access;  // the parser's way to make types and IDs from bytes that have passed its own rules

}  // namespace detail

/// An event type: the name a client listens to. Holds no CR and no LF, ever. Empty means "message".
/// Borrowed: a view of the caller's text, which must outlive it. A literal is checked when it is compiled.
class event_type {
 public:
  constexpr event_type() noexcept = default;

  template <std::size_t N> consteval event_type(char const (&literal)[N]) : text_(literal, N - 1) {
    if (detail::has_cr_lf_or_nul(text_)) detail::event_type_must_not_contain_CR_LF_or_NUL();
    if (literal[N - 1] != '\0') detail::a_literal_must_end_in_NUL();
  }
  template <std::convertible_to<std::string_view> Text>
  event_type(Text const&) = delete;  // text known only at run time: event_type::from(text) checks it
  event_type(result<event_type> const&) = delete;  // its `.value`, when you have looked at its `.error`

  /// Text known only at run time; absent is empty. Refused with errc::type_has_control if it holds CR, LF or
  /// NUL: never cleaned.
  [[nodiscard]] static constexpr result<event_type> from(optional_text text) noexcept {
    if (detail::has_cr_lf_or_nul(text.value())) return {{}, errc::type_has_control};
    return {event_type(text.value()), errc::ok};
  }

  /// The field's value; empty when the event is of the default type.
  [[nodiscard]] constexpr std::string_view value() const noexcept { return text_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return text_.empty(); }

  /// What a client dispatches it as: "message" when empty.
  [[nodiscard]] constexpr std::string_view name() const noexcept {
    return text_.empty() ? std::string_view("message") : text_;
  }

  friend constexpr bool operator==(event_type a, event_type b) noexcept { return a.text_ == b.text_; }

 private:
  friend struct detail::stream_access;
  explicit constexpr event_type(std::string_view text) noexcept : text_(text) {}

  std::string_view text_;
};

/// An event's ID, what a client sends back as Last-Event-ID. Absent, or a text without CR, LF and NUL.
/// `event_id{}` is absent; `event_id{""}` is present and empty, which resets the client's last event ID.
/// Borrowed: a view of the caller's text, which must outlive it. A literal is checked when it is compiled.
class event_id {
 public:
  constexpr event_id() noexcept = default;

  template <std::size_t N>
  consteval event_id(char const (&literal)[N]) : text_(literal, N - 1), present_(true) {
    if (detail::has_cr_lf_or_nul(text_)) detail::event_id_must_not_contain_CR_LF_or_NUL();
    if (literal[N - 1] != '\0') detail::a_literal_must_end_in_NUL();
  }
  template <std::convertible_to<std::string_view> Text>
  event_id(Text const&) = delete;              // text known only at run time: event_id::from(text) checks it
  event_id(result<event_id> const&) = delete;  // its `.value`, when you have looked at its `.error`

  /// Text known only at run time; an absent one is the absent ID. Refused with errc::id_has_control: never
  /// cleaned.
  [[nodiscard]] static constexpr result<event_id> from(optional_text text) noexcept {
    if (detail::has_cr_lf_or_nul(text.value())) return {{}, errc::id_has_control};
    return {text.has_value() ? event_id(text.value()) : event_id(), errc::ok};
  }

  [[nodiscard]] constexpr bool has_value() const noexcept { return present_; }
  /// The ID's text; empty when absent.
  [[nodiscard]] constexpr std::string_view value() const noexcept { return text_; }

  friend constexpr bool operator==(event_id a, event_id b) noexcept {
    return a.present_ == b.present_ && a.text_ == b.text_;
  }

 private:
  friend struct detail::stream_access;
  explicit constexpr event_id(std::string_view text) noexcept : text_(text), present_(true) {}

  std::string_view text_;
  bool present_ = false;
};

namespace detail {

// A duration of <chrono>, told by its shape: this header does not pay for <chrono>.
template <class T> concept duration_like = requires(T const& d) {
  typename T::rep;
  typename T::period;
  T::period::num;
  T::period::den;
  d.count();
};

}  // namespace detail

/// How long a client waits before it reconnects, in milliseconds. Made from any std::chrono duration without
/// a cast. A negative duration is 0, a fraction of a millisecond is rounded up, one beyond 64 bits is the
/// largest.
struct reconnection_time {
  std::uint64_t milliseconds = 0;

  constexpr reconnection_time() noexcept = default;
  constexpr explicit reconnection_time(std::uint64_t ms) noexcept : milliseconds(ms) {}

  template <detail::duration_like Duration>
  constexpr reconnection_time(Duration const& length) noexcept : milliseconds(convert(length)) {}

  friend constexpr bool operator==(reconnection_time, reconnection_time) noexcept = default;

 private:
  template <class Duration> static constexpr std::uint64_t convert(Duration const& length) noexcept {
    using period = typename Duration::period;
    constexpr auto most = (std::numeric_limits<std::uint64_t>::max)();
    auto const count = length.count();
    if (!(count > 0)) return 0;  // negative, zero, and a NaN
    constexpr auto num = static_cast<std::uint64_t>(period::num);
    constexpr auto den = static_cast<std::uint64_t>(period::den);
    // Exact where num * 1000 * den fits into 64 bits: for every unit that <chrono> names, and most others.
    if constexpr (std::numeric_limits<typename Duration::rep>::is_integer && num <= most / 1000 / den) {
      auto const ticks = static_cast<std::uint64_t>(count);
      constexpr auto common = gcd(num * 1000, den);
      constexpr auto up = num * 1000 / common;
      constexpr auto down = den / common;
      auto const whole = ticks / down;
      auto const rest = ticks % down;
      auto const part = (rest * up + down - 1) / down;
      if (whole > (most - part) / up) return most;
      return whole * up + part;
    } else {
      auto const ms = static_cast<long double>(count) * 1000 * static_cast<long double>(period::num) /
                      static_cast<long double>(period::den);
      if (ms >= 18446744073709551615.0L) return most;
      auto const floor = static_cast<std::uint64_t>(ms);
      return static_cast<long double>(floor) < ms ? floor + 1 : floor;
    }
  }

  static constexpr std::uint64_t gcd(std::uint64_t a, std::uint64_t b) noexcept {
    while (b != 0) {
      auto const rest = a % b;
      a = b;
      b = rest;
    }
    return a;
  }
};

/// One event. Every member is a view of the caller's bytes, or of the parser's: they must not change until
/// the call that takes the event returns. So write it where it is used, `publish("c", {.data = j.dump()})`:
/// an `event` with a name, made over a temporary string, dangles on the next line, and no compiler warns.
struct event {
  /// empty: "message".
  event_type type = {};
  /// Any bytes, any line ends. Absent: no event fires in the client.
  optional_text data = {};
  /// absent: the client keeps the last event ID it has.
  event_id id = {};
  /// How long to wait before reconnecting, from now on.
  std::optional<reconnection_time> retry = {};

  friend constexpr bool operator==(event const&, event const&) noexcept = default;
};

namespace detail {

struct stream_access {
  static constexpr event_type type(std::string_view text) noexcept { return event_type(text); }
  static constexpr event_id id(std::string_view text) noexcept { return event_id(text); }
};

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
