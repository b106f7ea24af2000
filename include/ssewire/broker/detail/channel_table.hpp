// SPDX-License-Identifier: MIT
// channel_table.hpp - a broker's channels, found by name, by index, or by the age of their oldest events.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/log/detail/indexed_heap.hpp>
#include <ssewire/log/detail/siphash.hpp>
#include <ssewire/log/detail/tombstones.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it. A channel's address stays the same until it is
// dropped.
template <class Traits> class channel_table {
 public:
  using channel = detail::channel<Traits>;

  // `max_bytes` limits each channel's log.
  channel_table(siphash hash, std::size_t max_bytes, std::size_t max_forgotten, pinned_bytes pins)
      : by_name_(0, keyed_hash{hash}), max_bytes_(max_bytes), forgotten_(max_forgotten),
        pins_(std::move(pins)) {}

  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  [[nodiscard]] std::size_t forgotten() const noexcept { return forgotten_.size(); }
  // Of a name; needs no lock.
  [[nodiscard]] std::uint64_t hash(std::string_view name) const noexcept {
    return by_name_.hash_function().of(name);
  }
  [[nodiscard]] channel& operator[](std::size_t index) const noexcept { return *all_[index]; }

  [[nodiscard]] channel* find(std::string_view name) const noexcept {
    auto const at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second.get();
  }

  // Returns null and the reason if a new channel is refused; then nothing has changed.
  std::pair<channel*, errc> find_or_make(std::string_view name, std::size_t max_channels) noexcept {
    if (auto* const there = find(name)) return {there, errc::ok};
    if (all_.size() >= max_channels) return {nullptr, errc::too_many_channels};
    channel* made = nullptr;
    bool const good = try_call([&] {
      auto const hash = by_name_.hash_function().of;
      auto fresh = std::make_unique<channel>(name, hash, max_bytes_, pins_);
      auto const before = forgotten_.last_loss(hash(name));
      fresh->history.continue_after(before.position, before.id);
      fresh->index = all_.size();
      if (all_.capacity() == all_.size()) all_.reserve(all_.size() * 2 + 8);
      by_age_.reserve(all_.capacity());  // so that add_events() never allocates
      auto const key = std::string_view(fresh->name);
      made = by_name_.emplace(key, std::move(fresh)).first->second.get();
      all_.push_back(made);
    });
    if (!good) return {nullptr, errc::no_memory};
    return {made, errc::ok};
  }

  // For a channel without members and events. The table remembers only up to where it had lost events.
  void drop(channel& c) noexcept {
    forgotten_.remember(by_name_.hash_function().of(c.name), {c.history.lost_through(), c.history.lost_id()});
    if (c.age_index != not_in_heap) by_age_.remove(c);
    all_.back()->index = c.index;
    all_[c.index] = all_.back();
    all_.pop_back();
    by_name_.erase(std::string_view(c.name));
  }

  // Forgets the IDs that channels had lost before they were dropped.
  void forget_lost_ids() noexcept { forgotten_.forget_ids(); }

  // The channel holds events now: those just appended are the newest of all channels.
  void add_events(channel& c) noexcept {
    if (c.age_index == not_in_heap) by_age_.add(oldest_position(c), c);
  }

  // The channel that holds the oldest event of all, or null if no channel holds an event. Amortised O(log
  // n): trimming leaves a heap key too low; it is corrected when it reaches the top.
  [[nodiscard]] channel* oldest() noexcept {
    while (!by_age_.empty()) {
      auto const first = by_age_.first();
      if (first.of->history.events() == 0) {
        by_age_.remove(*first.of);
        continue;
      }
      auto const position = oldest_position(*first.of);
      if (first.key == position) return first.of;
      by_age_.raise_first(position);
    }
    return nullptr;
  }

 private:
  static std::uint64_t oldest_position(channel const& c) noexcept {
    return c.history.position_of(c.history.first_ordinal());
  }

  std::unordered_map<std::string_view, std::unique_ptr<channel>, keyed_hash>
      by_name_;  // the key: its channel's name
  std::vector<channel*> all_;
  // The key: no event of the channel has a lower position.
  indexed_heap<std::uint64_t, channel, &channel::age_index> by_age_;
  std::size_t max_bytes_;
  tombstones forgotten_;
  pinned_bytes pins_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
