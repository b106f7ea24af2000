// SPDX-License-Identifier: MIT
// channel_names.hpp - the channels of a publish or a subscribe: a name, names in braces, or a range of texts.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/optional_text.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Text> concept channel_text = std::convertible_to<Text, optional_text>;

template <class Range> using element_of = decltype(*std::begin(std::declval<Range const&>()));

// Each element lies in the range itself, or is a view: a temporary text would be gone before it is read.
template <class Range>
concept range_of_texts =
    !channel_text<Range const&> && channel_text<element_of<Range>> &&
    (std::is_lvalue_reference_v<element_of<Range>> || std::is_trivially_copyable_v<element_of<Range>>);

template <class Other> concept no_channels = !channel_text<Other const&> && !range_of_texts<Other>;

}  // namespace detail

/// The channels of one call: `"news"`, `{"news", user}`, or a range of texts (`std::vector<std::string>`,
/// `std::set`, a span). An absent name (a null `char const*`) is refused as an empty one is. Use it as a
/// parameter only.
///
/// @par Lifetime  Borrowed: the names must live until the call returns.
class channel_names {
 public:
  constexpr channel_names() noexcept = default;

  /// One name.
  template <class Text>
    requires detail::channel_text<Text const&>
  constexpr channel_names(Text const& name) noexcept(
      std::is_nothrow_constructible_v<optional_text, Text const&>)
      : one_(optional_text(name).value()), count_(1) {}

  /// Names in braces.
  channel_names(std::initializer_list<optional_text> names) noexcept
      : many_(names.begin()), copy_(copy_array), count_(names.size()) {}

  /// A range of texts.
  ///
  /// @par Complexity  O(names): they are counted.
  template <detail::range_of_texts Range>
  channel_names(Range const& names) : many_(&names), copy_(copy_range<Range>) {
    for (auto it = std::begin(names); it != std::end(names); ++it) ++count_;
  }

  template <detail::no_channels Other>
  channel_names(Other const&) = delete;  // a name, names in braces, or a range of texts

  /// How many names there are; a name given twice counts twice.
  [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }

  /// Whether it was made from a single name, not from a list or a range.
  [[nodiscard]] constexpr bool is_one() const noexcept { return copy_ == nullptr && count_ == 1; }
  /// The single name, if is_one().
  [[nodiscard]] constexpr std::string_view one() const noexcept { return one_; }

  /// Writes size() views to `to`.
  void copy_to(std::string_view* to) const {
    if (copy_ != nullptr) {
      copy_(*this, to);
    } else if (count_ == 1) {
      *to = one_;
    }
  }

 private:
  static void copy_array(channel_names const& names, std::string_view* to) {
    auto const* const from = static_cast<optional_text const*>(names.many_);
    for (std::size_t i = 0; i < names.count_; ++i) to[i] = from[i].value();
  }

  template <class Range> static void copy_range(channel_names const& names, std::string_view* to) {
    for (auto const& name : *static_cast<Range const*>(names.many_)) *to++ = optional_text(name).value();
  }

  std::string_view one_;
  void const* many_ = nullptr;
  void (*copy_)(channel_names const&, std::string_view*) = nullptr;
  std::size_t count_ = 0;
};

namespace detail {

// The names side by side. More than eight need an allocation, which may throw std::bad_alloc.
class name_views {
 public:
  explicit name_views(channel_names const& names) : count_(names.size()) {
    if (count_ > few_.size()) many_.resize(count_);
    names.copy_to(count_ > few_.size() ? many_.data() : few_.data());
  }
  name_views(name_views const&) = delete;
  name_views& operator=(name_views const&) = delete;

  [[nodiscard]] std::span<std::string_view const> all() const noexcept {
    return {count_ > few_.size() ? many_.data() : few_.data(), count_};
  }

 private:
  std::array<std::string_view, 8> few_;
  std::vector<std::string_view> many_;
  std::size_t count_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
