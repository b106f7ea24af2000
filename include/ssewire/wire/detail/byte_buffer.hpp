// SPDX-License-Identifier: MIT
// byte_buffer.hpp - bytes that grow at the end. Unlike std::string it does not zero new bytes, and it copies
// short texts in line.
#pragma once

#include <ssewire/wire/detail/copy.hpp>

#include <string.h>

#include <cstddef>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

class byte_buffer {
 public:
  byte_buffer() noexcept = default;
  byte_buffer(byte_buffer const& other) {
    if (!other.empty()) append(other.view());
  }
  byte_buffer(byte_buffer&& other) noexcept { swap(other); }
  byte_buffer& operator=(byte_buffer const& other) {
    byte_buffer fresh(other);
    swap(fresh);
    return *this;
  }
  byte_buffer& operator=(byte_buffer&& other) noexcept {
    byte_buffer fresh(std::move(other));
    swap(fresh);
    return *this;
  }
  ~byte_buffer() { delete[] bytes_; }

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_, size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  void clear() noexcept { size_ = 0; }

  void assign(std::string_view text) { assign(text, text.data() + text.size()); }
  void append(std::string_view text) { append(text, text.data() + text.size()); }

  // If memory fails, the old bytes stay.
  void assign(std::string_view text, char const* readable) {
    if (capacity_ < text.size() + slack) begin_anew(text.size());
    copy(bytes_, text, readable);
    size_ = text.size();
  }

  // Appends `text`. The bytes after it up to `readable` may be read too, so that short texts are copied in
  // whole blocks.
  [[gnu::always_inline]] void append(std::string_view text, char const* readable) {
    auto const size = size_;  // read once: the compiler must assume that copying bytes may change it
    if (capacity_ - size < text.size() + slack) grow(text.size());
    copy(bytes_ + size, text, readable);
    size_ = size + text.size();
  }

  // Appends an LF, then `text`.
  [[gnu::always_inline]] void append_line(std::string_view text, char const* readable) {
    auto const size = size_;
    if (capacity_ - size < text.size() + 1 + slack) grow(text.size() + 1);
    auto* const at = bytes_ + size;
    *at = '\n';
    copy(at + 1, text, readable);
    size_ = size + text.size() + 1;
  }

  void swap(byte_buffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  static constexpr std::size_t slack = 32;  // room for the last block of a copy

  // `to` must have room for the text and one block more.
  static void copy(char* to, std::string_view text, char const* readable) noexcept {
    auto const* from = text.data();
    auto const size = text.size();
    if (readable - from >= static_cast<std::ptrdiff_t>(size + slack) && size <= 512) {
      for (auto const* const end = from + size; from < end; from += slack, to += slack)
        (memcpy)(to, from, slack);
    } else {
      copy_exactly(to, text);
    }
  }

  [[gnu::noinline]] void begin_anew(std::size_t bytes) {
    byte_buffer fresh;
    fresh.grow(bytes);
    swap(fresh);
  }

  [[gnu::noinline]] void grow(std::size_t more) {
    auto const capacity = (size_ + more) * 2 + 256;
    auto* const fresh = new char[capacity];
    if (size_ != 0) (memcpy)(fresh, bytes_, size_);
    delete[] bytes_;
    bytes_ = fresh;
    capacity_ = capacity;
  }

  // Owned. A std::unique_ptr would bring <memory> into every file that includes the parser.
  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
