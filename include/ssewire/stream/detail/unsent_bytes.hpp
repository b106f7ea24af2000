// SPDX-License-Identifier: MIT
// unsent_bytes.hpp - bytes that a writer must be given before anything else, such as the rest of an event
// that the writer has begun. Small parts are copied. The rest of a large event stays in the log's page, where
// all streams that owe it share it.
#pragma once

#include <ssewire/core/framing.hpp>
#include <ssewire/core/writer.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// The most bytes that are kept for a TLS library, which must be offered the same bytes again, and the most
// that may have to be copied of a half-sent chunk.
inline constexpr std::size_t largest_kept_offer = 16 * 1024;
inline constexpr std::size_t chunk_overhead = 8;  // the head and the tail of a chunk of that size

// The bytes are sent in three parts, in this order: a copied text, a pinned text, and a constant one, the
// tail of a chunk.
template <class Kept> class unsent_bytes {
 public:
  unsent_bytes() noexcept = default;
  explicit unsent_bytes(std::string text) noexcept : text_(std::move(text)) {}

  // The part to send next; empty if nothing is owed. The bytes stay in place until release().
  [[nodiscard]] std::string_view front() const noexcept {
    if (taken_ < text_.size()) return std::string_view(text_).substr(taken_);
    return pinned_.empty() ? tail_ : pinned_;
  }
  [[nodiscard]] bool empty() const noexcept { return front().empty(); }

  [[nodiscard]] std::size_t copied_bytes() const noexcept { return text_.size(); }

  // The writer took the first `bytes` bytes of front().
  void consume(std::size_t bytes) noexcept {
    if (taken_ < text_.size()) {
      taken_ += bytes;
    } else if (!pinned_.empty()) {
      pinned_.remove_prefix(bytes);
    } else {
      tail_.remove_prefix(bytes);
    }
  }

  // Frees the memory if nothing is owed, as most streams owe nothing most of the time. Called only while no
  // write is pending.
  void release() noexcept {
    if (empty()) *this = unsent_bytes();
  }

  // Adds these parts of a batch without their first `skip` bytes. Throws std::bad_alloc.
  // A large frame is alone in its page and in its batch. So at most one part is pinned, and only the tail of
  // a chunk can follow it.
  template <class Batch> void add(Batch const& from, buffers parts, std::size_t skip = 0) {
    std::size_t copied = 0;
    for (auto const part : parts) copied += part.size() > largest_kept_offer ? 0 : part.size();
    reserve(copied);
    bool pinned = false;
    for (auto part : parts) {
      auto const skipped = skip < part.size() ? skip : part.size();
      part.remove_prefix(skipped);
      skip -= skipped;
      if (part.empty()) continue;
      if (part.size() > largest_kept_offer) {
        if (auto page = from.keep(part)) {
          keep(std::move(page), part);
          pinned = true;
          continue;
        }
      }
      if (pinned) {
        end_with(part);
      } else {
        append(part);
      }
    }
  }

  // Takes over whole frames, as one chunk if the body is chunked. Called only while nothing is owed. Throws
  // std::bad_alloc.
  void take(std::string& frames, framing body) {
    if (body == framing::raw) {
      *this = unsent_bytes(std::move(frames));
      frames = std::string();
      return;
    }
    chunk_head const head(frames.size());
    reserve(head.view().size() + frames.size() + chunk_tail.size());
    for (auto const part : {head.view(), std::string_view(frames), chunk_tail}) append(part);
    frames.clear();
  }

  void append(std::string_view part) { text_ += part; }
  void reserve(std::size_t bytes) { text_.reserve(bytes); }
  void keep(Kept page, std::string_view part) noexcept {
    page_ = std::move(page);
    pinned_ = part;
  }
  void end_with(std::string_view constant) noexcept { tail_ = constant; }

 private:
  std::string text_;
  std::size_t taken_ = 0;  // taken bytes of the text
  Kept page_;
  std::string_view pinned_;
  std::string_view tail_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
