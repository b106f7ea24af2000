// SPDX-License-Identifier: MIT
// byte_ledger.hpp - makes bytes that show where they belong. Says in words what became of them on the way to
// a peer: lost, sent twice, sent in another order, or read too late.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// The books of one connection: which bytes were offered, which of them were taken, and which arrived.
class byte_ledger {
 public:
  // Overwrites bytes that a writer must not read any more.
  static constexpr char scribble = '#';

  // Follows each piece that is offered. A writer that takes a piece for a C string reads on into this.
  static constexpr char fence = '!';

  // New bytes, unlike any before. NUL, line ends, '%' and bytes above 0x7F are among them.
  [[nodiscard]] std::string next(std::size_t bytes) {
    std::string out;
    out.reserve(bytes + 8);
    while (out.size() < bytes) {
      char word[8];
      auto n = serial_;
      // The digit that changes most often comes first, so that two words differ where they begin.
      for (int i = 0; i < 7; ++i, n /= 16) {
        word[i] = "0123456789abcdef"[n % 16];
      }
      word[7] = " \n\0%\r\xff"[serial_++ % 6];
      out.append(word, 8);
    }
    out.resize(bytes);
    made_ += bytes;
    return out;
  }

  // A gathered write begins after the bytes taken so far. `pieces`: where each piece begins, counted from
  // there. Used only in the words of a complaint.
  void offered(std::vector<std::size_t> pieces) { offers_.push_back({taken_.size(), std::move(pieces)}); }
  void taken(std::string_view bytes) { taken_ += bytes; }
  void not_taken(std::string_view bytes) {
    if (not_taken_.size() < 16 * 1024 * 1024) not_taken_ += bytes;  // only used in words
  }
  void arrived(std::string_view bytes) { arrived_ += bytes; }

  [[nodiscard]] std::size_t made_bytes() const noexcept { return made_; }
  [[nodiscard]] std::size_t taken_bytes() const noexcept { return taken_.size(); }
  [[nodiscard]] std::size_t arrived_bytes() const noexcept { return arrived_.size(); }

  // What is wrong, or an empty string. `all_due`: everything that was taken must have arrived.
  [[nodiscard]] std::string complaint(bool all_due) const {
    auto const shorter = (std::min)(taken_.size(), arrived_.size());
    auto const end = taken_.begin() + static_cast<std::ptrdiff_t>(shorter);
    auto const at =
        static_cast<std::size_t>(std::mismatch(taken_.begin(), end, arrived_.begin()).first - taken_.begin());
    if (at == arrived_.size()) {
      if (at == taken_.size() || !all_due) return {};
      return "lost bytes: of " + std::to_string(taken_.size()) +
             " bytes that it said it had taken, the last " + std::to_string(taken_.size() - at) +
             " never arrived" + place(at);
    }
    auto const got = std::string_view(arrived_).substr(at, 16);
    if (got.find(std::string(2, scribble)) != got.npos || got.front() == scribble) {
      return "kept the buffers: it read bytes after write() had answered, when they were no longer its to "
             "read" +
             place(at);
    }
    if (got.front() == fence) {
      return "read past the end of a piece, which is no C string: take its size()" + place(at);
    }
    auto const found = taken_.find(got);
    if (found != taken_.npos && found < at) {
      return "sent bytes twice: " + std::to_string(found) + " and what follows came again" + place(at);
    }
    if (found != taken_.npos && at < taken_.size()) {
      auto const skipped = taken_.substr(at, (std::min)(std::size_t{16}, found - at));
      if (arrived_.find(skipped, at) != arrived_.npos)
        return "sent bytes in another order than they were offered in" + place(at);
      return "lost bytes: " + std::to_string(found - at) + " that it said it had taken never arrived" +
             place(at);
    }
    if (not_taken_.find(got) != not_taken_.npos) {
      return "sent bytes that it had not said it took: they will be offered again, or never" + place(at);
    }
    return "sent bytes that nobody offered, '" + printable(got) + "'" + place(at);
  }

 private:
  struct offer {
    std::size_t at;
    std::vector<std::size_t> pieces;  // where each piece begins, counted from `at`
  };

  static std::string printable(std::string_view bytes) {
    std::string out;
    for (char const c : bytes) {
      if (c >= ' ' && c <= '~') {
        out += c;
      } else {
        out += std::string("\\x") + "0123456789abcdef"[static_cast<unsigned char>(c) / 16] +
               "0123456789abcdef"[static_cast<unsigned char>(c) % 16];
      }
    }
    return out;
  }

  [[nodiscard]] std::string place(std::size_t at) const {
    std::string out = " (at byte " + std::to_string(at);
    auto const behind = std::upper_bound(offers_.begin(), offers_.end(), at,
                                         [](std::size_t value, offer const& o) { return value < o.at; });
    if (behind != offers_.begin()) {
      auto const& o = *std::prev(behind);
      auto const piece = std::upper_bound(o.pieces.begin(), o.pieces.end(), at - o.at) - o.pieces.begin();
      if (o.pieces.size() > 1) {
        out += ", piece " + std::to_string(piece) + " of " + std::to_string(o.pieces.size());
      }
    }
    return out + ")";
  }

  std::size_t serial_ = 0;
  std::size_t made_ = 0;
  std::string taken_;
  std::string not_taken_;
  std::string arrived_;
  std::vector<offer> offers_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
