// SPDX-License-Identifier: MIT
// channel_table.hpp - a broker's channels, by name and one after the other.
#pragma once

#include <ssewire/detail/attempt.hpp>
#include <ssewire/detail/forgotten_channels.hpp>
#include <ssewire/detail/subscriber.hpp>
#include <ssewire/errc.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it. A channel stays where it is until it is dropped.
template <class Traits> class channel_table {
 public:
  using channel = detail::channel<Traits>;

  channel_table(std::uint64_t secret, std::size_t max_forgotten)
      : by_name_(0, name_hash{secret | 1}), forgotten_(max_forgotten) {}

  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  [[nodiscard]] std::size_t forgotten() const noexcept { return forgotten_.size(); }
  [[nodiscard]] channel& operator[](std::size_t index) const noexcept { return *all_[index]; }

  // Null, and the reason, where a new one is refused; then nothing has changed.
  std::pair<channel*, errc> find_or_make(std::string_view name, std::size_t max_channels) noexcept {
    if (auto const at = by_name_.find(name); at != by_name_.end()) return {at->second.get(), errc::ok};
    if (all_.size() >= max_channels) return {nullptr, errc::too_many_channels};
    channel* made = nullptr;
    bool const good = attempt([&] {
      auto fresh = std::make_unique<channel>();
      fresh->name = name;
      fresh->history.continue_behind(forgotten_.lost_through(by_name_.hash_function().of(name)));
      fresh->index = all_.size();
      if (all_.capacity() == all_.size()) all_.reserve(all_.size() * 2 + 8);
      auto const key = std::string_view(fresh->name);
      made = by_name_.emplace(key, std::move(fresh)).first->second.get();
      all_.push_back(made);
    });
    if (!good) return {nullptr, errc::no_memory};
    return {made, errc::ok};
  }

  // For a channel without members and events. What stays is how far it had lost events.
  void drop(channel& c) noexcept {
    forgotten_.remember(by_name_.hash_function().of(c.name), c.history.lost_through());
    all_.back()->index = c.index;
    all_[c.index] = all_.back();
    all_.pop_back();
    by_name_.erase(by_name_.find(std::string_view(c.name)));
  }

 private:
  // Names may come from clients: with a secret multiplier nobody can choose many that fall into one bucket.
  struct name_hash {
    std::uint64_t secret;

    std::size_t operator()(std::string_view text) const noexcept {
      return static_cast<std::size_t>(of(text));
    }

    [[nodiscard]] std::uint64_t of(std::string_view text) const noexcept {
      auto hash = secret ^ text.size();
      while (!text.empty()) {
        std::uint64_t word = 0;
        auto const bytes = (std::min)(text.size(), sizeof word);
        std::memcpy(&word, text.data(), bytes);
        text.remove_prefix(bytes);
        hash = (hash ^ word) * secret;
        hash ^= hash >> 29;  // what the product mixed upwards comes down again
      }
      hash *= 0x9E3779B97F4A7C15u;
      return hash ^ hash >> 32;
    }
  };

  std::unordered_map<std::string_view, std::unique_ptr<channel>, name_hash>
      by_name_;  // the key: its channel's name
  std::vector<channel*> all_;
  forgotten_channels forgotten_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
