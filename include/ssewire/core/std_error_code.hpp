// SPDX-License-Identifier: MIT
// std_error_code.hpp - errc as a std::error_code, for programs that report all errors as such. Opt-in: the
// umbrella does not include it, and no result of the library holds one.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>

#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

inline bool is_ours(std::error_category const& other) noexcept {
  return std::string_view(other.name()) == "ssewire";
}

class errc_category final : public std::error_category {
 public:
  [[nodiscard]] char const* name() const noexcept override { return "ssewire"; }
  [[nodiscard]] std::string message(int value) const override {
    bool const one_byte = value == static_cast<unsigned char>(value);
    return std::string(one_byte ? ssewire::message(static_cast<errc>(value)) : "unknown error");
  }
  [[nodiscard]] std::error_condition default_error_condition(int value) const noexcept override {
    if (value == static_cast<int>(errc::no_memory)) return std::errc::not_enough_memory;
    return {value, *this};
  }
  [[nodiscard]] bool equivalent(std::error_code const& code, int value) const noexcept override {
    return is_ours(code.category()) && code.value() == value;
  }
};

}  // namespace detail

/// The category of the library's errors; its name is "ssewire". A program may have several of them: one for
/// each shared library that hides its symbols, and one for code without exceptions. So they are compared by
/// name:
///
/// | expression                                | true when                                                       |
/// |-------------------------------------------|-----------------------------------------------------------------|
/// | `code == ssewire::errc::closed`           | the code is this error, of any of the categories                |
/// | `code == std::errc::not_enough_memory`    | also errc::no_memory                                            |
/// | `code == other_code`                      | by the standard: same value and the same category *object*     |
[[nodiscard]] inline std::error_category const& errc_category() noexcept {
  static detail::errc_category const category;
  return category;
}

/// The error as a std::error_code, whose constructor finds this function:
/// `std::error_code code = ssewire::errc::closed;`. errc::ok is no error.
[[nodiscard]] inline std::error_code make_error_code(errc error) noexcept {
  return {static_cast<int>(error), errc_category()};
}

/// The error as a std::error_condition.
[[nodiscard]] inline std::error_condition make_error_condition(errc error) noexcept {
  return {static_cast<int>(error), errc_category()};
}

/// Compares by the name of the category. Without this function errc would become a std::error_code, and the
/// standard compares those by the address of their category.
[[nodiscard]] inline bool operator==(std::error_code const& code, errc error) noexcept {
  return detail::is_ours(code.category()) && code.value() == static_cast<int>(error);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

template <> struct std::is_error_code_enum<ssewire::errc> : std::true_type {};

#include <ssewire/core/end.hpp>
