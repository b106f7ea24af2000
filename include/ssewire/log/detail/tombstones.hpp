// SPDX-License-Identifier: MIT
// tombstones.hpp - remembers of removed channels how far each had lost its events. So a channel that is made
// again hides no gap, and a new channel reports no false one.
#pragma once

#include <ssewire/core/extremes.hpp>
#include <ssewire/core/try_call.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// A channel is known by a keyed hash of its name. Memory or the limit may not allow remembering one; then the
// floor rises to the position through which that channel had lost its events. Every channel that is not
// remembered counts as having lost its events through the floor. A client may then be told of a gap where
// there is none, but no gap is ever hidden.
// Threads: one at a time; the broker's lock sees to it.
class tombstones {
 public:
  explicit tombstones(std::size_t limit) noexcept : limit_(limit) {}

  [[nodiscard]] std::size_t size() const noexcept { return lost_.size(); }

  // The last event that a channel had lost: its position, and the hash of its ID if its publisher gave it
  // one.
  struct loss {
    std::uint64_t position = 0;
    std::optional<std::uint64_t> id = {};
  };

  // What a channel of this name may have lost last. The name stays remembered.
  [[nodiscard]] loss last_loss(std::uint64_t name) const noexcept {
    auto const at = lost_.find(name);
    return at == lost_.end() || at->second.position < floor_ ? loss{floor_} : at->second;
  }

  void remember(std::uint64_t name, loss const& last) noexcept {
    auto const known = lost_.find(name);
    if (last.position <= floor_ || (known != lost_.end() && known->second.position >= last.position)) return;
    bool const kept = try_call([&] {
      by_position_.emplace(last.position, name);
      if (known == lost_.end()) {
        lost_.emplace(name, last);
      } else {
        by_position_.erase({std::exchange(known->second, last).position, name});
      }
    });
    // A name that was only half remembered is dropped in the loop below.
    if (!kept) floor_ = last.position;
    while (lost_.size() > limit_ || (!by_position_.empty() && by_position_.begin()->first <= floor_)) {
      auto const oldest = by_position_.begin();
      floor_ = larger(floor_, oldest->first);
      lost_.erase(oldest->second);
      by_position_.erase(oldest);
    }
  }

  void forget_ids() noexcept {
    for (auto& [name, last] : lost_) last.id.reset();
  }

 private:
  std::unordered_map<std::uint64_t, loss> lost_;
  // The same names, ordered by position.
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_position_;
  std::uint64_t floor_ = 0;
  std::size_t limit_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
