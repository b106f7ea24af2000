// SPDX-License-Identifier: MIT
// offered_pieces.hpp - the pieces of one gathered write, overwritten as a writer takes them.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/testing/detail/byte_ledger.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// If a writer reads bytes too late, or past the end of a piece, it sends bytes that the ledger recognises.
class offered_pieces {
 public:
  explicit offered_pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
    for (auto& piece : pieces_) {
      piece.append(fence_bytes, byte_ledger::fence);
      memory_bytes_ += piece.size();
    }
  }

  [[nodiscard]] std::size_t memory_bytes() const noexcept { return memory_bytes_; }
  [[nodiscard]] bool all_taken() const noexcept { return first_ == pieces_.size(); }
  // Whether the writer has taken a part, but not all, of the first piece left.
  [[nodiscard]] bool is_begun() const noexcept { return step_ != 0; }

  // The bytes that are left, in their pieces.
  [[nodiscard]] std::vector<std::string_view> left() const {
    std::vector<std::string_view> views(pieces_.begin() + static_cast<std::ptrdiff_t>(first_), pieces_.end());
    for (auto& view : views) view.remove_suffix(fence_bytes);
    if (!views.empty()) views.front().remove_prefix(step_);
    return views;
  }

  void take(std::size_t bytes) {
    while (bytes != 0) {
      auto& piece = pieces_[first_];
      auto const size = piece.size() - fence_bytes;
      auto const n = (std::min)(bytes, size - step_);
      std::fill_n(piece.begin() + static_cast<std::ptrdiff_t>(step_), n, byte_ledger::scribble);
      bytes -= n;
      step_ += n;
      if (step_ == size) {
        ++first_;
        step_ = 0;
      }
    }
  }

  // Overwrites all pieces: the writer must not read them again.
  void overwrite() {
    for (auto& piece : pieces_) std::fill(piece.begin(), piece.end(), byte_ledger::scribble);
  }

 private:
  static constexpr std::size_t fence_bytes = 8;

  std::vector<std::string> pieces_;
  std::size_t memory_bytes_ = 0;
  std::size_t first_ = 0;  // the first piece that is not taken whole
  std::size_t step_ = 0;   // the bytes taken of that piece
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
