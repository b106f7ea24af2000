// SPDX-License-Identifier: MIT
// tombstones.hpp - what is remembered of channels that are gone: how far each has lost its events. So one
// that is made again is no silent hole, and one that is new no false gap.
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

// Channels go by a keyed hash of their name. Where memory or the limit does not allow to remember one, the
// floor rises to where it had lost its events: then every channel that is not remembered counts as having
// lost events so far. That may tell a client of a gap that there is none; it never keeps one from it.
// Threads: one at a time; the broker's lock sees to it.
class tombstones {
 public:
  explicit tombstones(std::size_t limit) noexcept : limit_(limit) {}

  [[nodiscard]] std::size_t size() const noexcept { return lost_.size(); }

  // What a channel had lost last: the position, and the hash of the ID there, if its publisher gave it one.
  struct loss {
    std::uint64_t position = 0;
    std::optional<std::uint64_t> id = {};
  };

  // What a channel of this name may have lost last. It stays remembered.
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
    if (!kept) floor_ = last.position;  // what was half remembered goes below
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
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_position_;  // the same the other way round
  std::uint64_t floor_ = 0;
  std::size_t limit_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
