// SPDX-License-Identifier: MIT
// optional_text.hpp - a text that a request may lack, in whatever form a server's look-up has it.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

#if defined(__cpp_char8_t)  // otherwise u8"..." is of char already
/// UTF-8 text of char8_t as text of char, for types and IDs: `event_type::from(as_text(text))`. Data takes
/// either.
///
/// @par Lifetime  Borrowed: the same bytes, which must outlive the view.
[[nodiscard]] inline std::string_view as_text(std::u8string_view text) noexcept {
  return {reinterpret_cast<char const*>(text.data()), text.size()};
}
#endif

/// A text that may be absent: an event's data, and the parameter of every function that takes text of a
/// request. Servers report a missing field in four ways, and each is absent here: a null `char const*` (C
/// servers), `std::nullopt`, an empty `std::optional` of a text, and `{}`. Every other text is present, also
/// an empty one. It reads as a `std::optional<std::string_view>` does, except that nothing throws; and it
/// converts to a `std::string_view`, which is empty when the text is absent.
///
/// @par Lifetime  Borrowed: a view of the caller's text, which must outlive it.
class optional_text {
 public:
  constexpr optional_text() noexcept = default;
  /// Absent.
  constexpr optional_text(std::nullopt_t) noexcept {}

  /// The text up to its first NUL. Null: absent.
  constexpr optional_text(char const* text) noexcept : present_(text != nullptr) {
    if (text != nullptr) text_ = text;
  }
  /// A text of this many bytes. Null: absent.
  constexpr optional_text(char const* text, std::size_t bytes) noexcept : present_(text != nullptr) {
    if (text != nullptr) text_ = {text, bytes};
  }

  /// A std::string, a std::string_view, or anything that converts to one.
  template <std::convertible_to<std::string_view> Text>
    requires(!std::is_pointer_v<std::decay_t<Text>> && !std::is_null_pointer_v<Text>)
  constexpr optional_text(Text const& text) noexcept(
      std::is_nothrow_convertible_v<Text const&, std::string_view>)
      : text_(text), present_(true) {}

#if defined(__cpp_char8_t)
  /// UTF-8 of char8_t up to its first NUL, the same bytes. Null: absent. It is a template so that `nullptr`
  /// means the overload of `char`.
  template <std::same_as<char8_t> Char> optional_text(Char const* text) noexcept : present_(text != nullptr) {
    if (text != nullptr) text_ = as_text(text);
  }
  /// A std::u8string, a std::u8string_view, or anything that converts to one.
  template <std::convertible_to<std::u8string_view> Text>
    requires(!std::is_pointer_v<std::decay_t<Text>> && !std::is_null_pointer_v<Text>)
  optional_text(Text const& text)
  noexcept(std::is_nothrow_convertible_v<Text const&, std::u8string_view>)
      : text_(as_text(text)), present_(true) {}
#endif

  /// What the optional holds; absent if it is empty.
  template <class Text>
    requires std::constructible_from<optional_text, Text const&>
  constexpr optional_text(std::optional<Text> const& text) noexcept(
      std::is_nothrow_constructible_v<optional_text, Text const&>) {
    if (text) *this = optional_text(*text);
  }

  /// Whether the text is present; it may be empty.
  [[nodiscard]] constexpr bool has_value() const noexcept { return present_; }
  /// The same as has_value().
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }
  /// The text; empty when absent.
  [[nodiscard]] constexpr std::string_view value() const noexcept { return text_; }
  /// The text; empty when absent.
  [[nodiscard]] constexpr std::string_view operator*() const noexcept { return text_; }
  /// The members of the text.
  [[nodiscard]] constexpr std::string_view const* operator->() const noexcept { return &text_; }
  /// The text where a std::string_view is wanted: `use(e.data)`, `auto text = std::string(e.data)`. Empty
  /// when absent.
  [[nodiscard]] constexpr operator std::string_view() const noexcept { return text_; }
  /// The text as a std::optional; absent stays absent.
  [[nodiscard]] constexpr operator std::optional<std::string_view>() const noexcept {
    if (present_) return text_;
    return std::nullopt;
  }
  /// The text, or `fallback` when it is absent.
  [[nodiscard]] constexpr std::string_view value_or(std::string_view fallback) const noexcept {
    return present_ ? text_ : fallback;
  }

  /// Compares the texts. Absent and empty are not equal.
  friend constexpr bool operator==(optional_text a, optional_text b) noexcept {
    return a.present_ == b.present_ && a.text_ == b.text_;
  }
  /// Whether the text is present and equal to `b`. It is a template for a std::string_view alone: each of the
  /// two types converts to the other, so that the call would be ambiguous.
  template <std::same_as<std::string_view> Text>
  friend constexpr bool operator==(optional_text a, Text b) noexcept {
    return a.present_ && a.text_ == b;
  }

  /// Writes the text to a stream, or to anything that takes a std::string_view by `<<`. When it is absent, an
  /// empty text is written.
  template <class Out>
  friend constexpr auto operator<<(Out& out, optional_text text) -> decltype(out << std::string_view()) {
    return out << text.text_;
  }

 private:
  std::string_view text_;
  bool present_ = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
