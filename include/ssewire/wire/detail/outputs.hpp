// SPDX-License-Identifier: MIT
// outputs.hpp - where a frame is written to: memory with enough room for it, or the end of a string.
#pragma once

#include <ssewire/wire/detail/copy.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// What the two outputs share. `Derived` defines what happens when room is short: bool more(bytes).
template <class Derived> class output {
 public:
  [[nodiscard]] constexpr char* at() const noexcept { return at_; }
  [[nodiscard]] constexpr std::size_t room() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  constexpr void wrote_to(char* end) noexcept { at_ = end; }

  // Whether so many bytes may be written at at().
  [[nodiscard]] constexpr bool make_room(std::size_t bytes) {
    return room() >= bytes || static_cast<Derived*>(this)->more(bytes);
  }

  constexpr void put(std::string_view text) {
    (void)make_room(text.size());
    at_ = copy(at_, text);
  }

  // A line: `name`, `value` and an LF.
  template <std::size_t N> constexpr void put_line(char const (&name)[N], std::string_view value) {
    if (room() < N || room() - N < value.size()) static_cast<Derived*>(this)->more(value.size() + N);
    auto* const end = copy(copy(at_, {name, N - 1}), value);
    *end = '\n';
    at_ = end + 1;
  }

 protected:
  constexpr output() noexcept = default;
  constexpr output(char* at, char* end) noexcept : at_(at), end_(end) {}

  char* at_ = nullptr;
  char* end_ = nullptr;

 private:
  static constexpr char* copy(char* to, std::string_view text) noexcept {
    if (std::is_constant_evaluated()) {
      for (char const c : text) *to++ = c;
      return to;
    }
    copy_exactly(to, text);
    return to + text.size();
  }
};

// The span must have room for everything that is put, and needs no byte more.
class span_output : public output<span_output> {
 public:
  explicit constexpr span_output(std::span<char> to) noexcept : output(to.data(), to.data() + to.size()) {}

  constexpr bool more(std::size_t) noexcept { return false; }
};

// Appends to a string. Without a call of keep() the destructor restores the string as it was. The string
// grows in steps, because resize() zeroes what it adds.
class string_output : public output<string_output> {
 public:
  explicit string_output(std::string& to) : to_(to), size_(to.size()) { resize(size_, 256); }
  string_output(string_output const&) = delete;
  string_output& operator=(string_output const&) = delete;
  ~string_output() { to_.resize(size_); }

  void keep() noexcept { size_ = used(); }

  bool more(std::size_t bytes) {
    resize(used(), bytes + step);
    return true;
  }

 private:
  static constexpr std::size_t step = 1024;

  [[nodiscard]] std::size_t used() const noexcept { return static_cast<std::size_t>(at_ - to_.data()); }

  [[gnu::noinline]] void resize(std::size_t used, std::size_t room) {
    to_.resize(used + room);
    at_ = to_.data() + used;
    end_ = to_.data() + to_.size();
  }

  std::string& to_;
  std::size_t size_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
