// SPDX-License-Identifier: MIT
// unsent_bytes.hpp - what a writer has begun and must be given before anything else. What is small is copied;
// the rest of a large event stays in the log's page, where all streams that owe it share it.
#pragma once

#include <ssewire/log/detail/segment_pin.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Three parts, sent in this order: a copied text, a pinned one, and a constant one, the tail of a chunk.
template <class Traits> class owed_bytes {
 public:
  owed_bytes() noexcept = default;
  explicit owed_bytes(std::string text) noexcept : text_(std::move(text)) {}

  // What goes next; empty if nothing is owed. Stays where it is until release().
  [[nodiscard]] std::string_view front() const noexcept {
    if (taken_ < text_.size()) return std::string_view(text_).substr(taken_);
    return pinned_.empty() ? tail_ : pinned_;
  }
  [[nodiscard]] bool empty() const noexcept { return front().empty(); }

  [[nodiscard]] std::size_t copied_bytes() const noexcept { return text_.size(); }

  // Of front(), so many bytes were taken.
  void consume(std::size_t bytes) noexcept {
    if (taken_ < text_.size()) {
      taken_ += bytes;
    } else if (!pinned_.empty()) {
      pinned_.remove_prefix(bytes);
    } else {
      tail_.remove_prefix(bytes);
    }
  }

  // If nothing is owed any more and nothing is being sent: most streams owe nothing most of the time.
  void release() noexcept {
    if (empty()) *this = owed_bytes();
  }

  void append(std::string_view part) { text_ += part; }
  void reserve(std::size_t bytes) { text_.reserve(bytes); }
  void pin(segment_pin<Traits> page, std::string_view part) noexcept {
    page_ = std::move(page);
    pinned_ = part;
  }
  void end_with(std::string_view constant) noexcept { tail_ = constant; }

 private:
  std::string text_;
  std::size_t taken_ = 0;  // of the text
  segment_pin<Traits> page_;
  std::string_view pinned_;
  std::string_view tail_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
