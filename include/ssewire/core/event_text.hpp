// SPDX-License-Identifier: MIT
// event_text.hpp - an event's type and ID: texts that cannot break a stream.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream; 9.2.6 Interpreting an event stream.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/result.hpp>

#include <stdlib.h>

#include <concepts>
#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// Not constexpr: a constant expression that reaches one of these does not compile, and its name is the
// message. (`throw` would do the same, but does not compile under -fno-exceptions, not even for good
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

// What types and IDs have in common. `Derived` names its refusals: `refused` for text of run time, and
// refuse_literal().
template <class Derived> class event_text {
 public:
  /// Makes one from text known only at run time. Absent text gives what the default constructor gives.
  ///
  /// @return  errc::type_has_control or errc::id_has_control if the text holds CR, LF or NUL: it is refused,
  ///   never cleaned.
  [[nodiscard]] static constexpr result<Derived> from(optional_text text) noexcept {
    if (has_cr_lf_or_nul(text.value())) return {{}, Derived::refused};
    return {text.has_value() ? Derived(text.value()) : Derived(), errc::ok};
  }

  /// The text; empty when absent.
  [[nodiscard]] constexpr std::string_view value() const noexcept { return text_; }

 protected:
  constexpr event_text() noexcept = default;
  explicit constexpr event_text(std::string_view text) noexcept : text_(text) {}

  template <std::size_t N> static consteval std::string_view checked(char const (&literal)[N]) {
    std::string_view const text(literal, N - 1);
    if (has_cr_lf_or_nul(text)) Derived::refuse_literal();
    if (literal[N - 1] != '\0') a_literal_must_end_in_NUL();
    return text;
  }

 private:
  std::string_view text_;
};

struct stream_access;  // the parser's way to make types and IDs from bytes that have passed its own rules

}  // namespace detail

/// An event type: the name that a client listens to. It never holds CR or LF. Empty means "message". A
/// literal is checked at compile time.
///
/// | member                   | result               | meaning                                                     |
/// |--------------------------|----------------------|-------------------------------------------------------------|
/// | `event_type::from(text)` | `result<event_type>` | text known only at run time; errc::type_has_control if it holds CR, LF or NUL: it is refused, never cleaned |
/// | `value()`                | `std::string_view`   | the text                                                    |
///
/// @par Lifetime  Borrowed: a view of the caller's text, which must outlive it.
class event_type : public detail::event_text<event_type> {
 public:
  constexpr event_type() noexcept = default;

  /// A literal; it does not compile if it holds CR, LF or NUL.
  template <std::size_t N> consteval event_type(char const (&literal)[N]) : event_text(checked(literal)) {}
  template <std::convertible_to<std::string_view> Text>
  event_type(Text const&) = delete;  // text known only at run time: event_type::from(text) checks it
  event_type(result<event_type> const&) = delete;  // its `.value`, when you have looked at its `.error`

  /// Whether there is no text: the type is "message" then.
  [[nodiscard]] constexpr bool empty() const noexcept { return value().empty(); }

  /// The name under which a client dispatches the event: "message" when empty.
  [[nodiscard]] constexpr std::string_view name() const noexcept {
    return empty() ? std::string_view("message") : value();
  }

  /// Compares the texts. An empty type and one with the text "message" differ.
  friend constexpr bool operator==(event_type a, event_type b) noexcept { return a.value() == b.value(); }

 private:
  friend detail::event_text<event_type>;
  friend detail::stream_access;
  explicit constexpr event_type(std::string_view text) noexcept : event_text(text) {}

  static constexpr auto refused = errc::type_has_control;
  static void refuse_literal() noexcept { detail::event_type_must_not_contain_CR_LF_or_NUL(); }
};

/// An event ID: what a client sends back as Last-Event-ID. It is absent, or a text without CR, LF and NUL.
/// `event_id{}` is absent. `event_id{""}` is present and empty: it resets the client's last event ID. A
/// literal is checked at compile time.
///
/// | member                 | result             | meaning                                                         |
/// |------------------------|--------------------|-----------------------------------------------------------------|
/// | `event_id::from(text)` | `result<event_id>` | text known only at run time, also absent; errc::id_has_control if it holds CR, LF or NUL: it is refused, never cleaned |
/// | `value()`              | `std::string_view` | the text; empty when absent                                     |
///
/// @par Lifetime  Borrowed: a view of the caller's text, which must outlive it.
class event_id : public detail::event_text<event_id> {
 public:
  constexpr event_id() noexcept = default;

  /// A literal; it does not compile if it holds CR, LF or NUL.
  template <std::size_t N>
  consteval event_id(char const (&literal)[N]) : event_text(checked(literal)), present_(true) {}
  template <std::convertible_to<std::string_view> Text>
  event_id(Text const&) = delete;              // text known only at run time: event_id::from(text) checks it
  event_id(result<event_id> const&) = delete;  // its `.value`, when you have looked at its `.error`

  /// Whether it is present; the text may be empty.
  [[nodiscard]] constexpr bool has_value() const noexcept { return present_; }

  /// Compares the texts. Absent and empty are not equal.
  friend constexpr bool operator==(event_id a, event_id b) noexcept {
    return a.present_ == b.present_ && a.value() == b.value();
  }

 private:
  friend detail::event_text<event_id>;
  friend detail::stream_access;
  explicit constexpr event_id(std::string_view text) noexcept : event_text(text), present_(true) {}

  static constexpr auto refused = errc::id_has_control;
  static void refuse_literal() noexcept { detail::event_id_must_not_contain_CR_LF_or_NUL(); }

  bool present_ = false;
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
