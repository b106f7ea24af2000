// SPDX-License-Identifier: MIT
// channel_store.hpp - the channels of a broker with their logs: appends to several at once, and trims by
// every limit.
#pragma once

#include <ssewire/broker/detail/channel_table.hpp>
#include <ssewire/broker/detail/hook_runner.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/pinned_bytes.hpp>
#include <ssewire/log/detail/prepared_event.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class channel_store {
 public:
  using lock = std::unique_lock<typename Traits::mutex>;
  using channel = detail::channel<Traits>;

  // `options` and `counts` must outlive this object. It keeps its totals in `counts`.
  channel_store(broker_options const& options, siphash hash, broker_stats& counts)
      : options_(options), counts_(counts), pins_(pinned_bytes::make()),
        channels_(hash, options.replay.max_bytes, options.max_expired_channels, pins_) {}

  // These two read only what never changes, and need no lock.
  [[nodiscard]] bool takes_name(std::string_view name) const noexcept {
    if (name.empty() || name.size() > options_.max_channel_name_bytes) return false;
    for (char const c : name) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
    }
    return true;
  }

  // Collects each name once, in the order of first appearance. Expected O(names), also for hostile names: up
  // to 16 are compared with each other, more go through a keyed hash.
  errc take_names(std::span<std::string_view const> names, std::vector<std::string_view>& distinct) const {
    constexpr std::size_t few = 16;
    auto const hash_of = [this](std::string_view name) -> std::size_t {
      return channels_.hash(name) & (std::numeric_limits<std::size_t>::max)();
    };
    std::unordered_set<std::string_view, decltype(hash_of)> many(0, hash_of);
    if (names.empty()) return errc::no_channel;
    for (auto const name : names) {
      if (!takes_name(name)) return errc::channel_name_refused;
      bool known = false;
      if (distinct.size() < few) {
        for (auto const one : distinct) known = known || one == name;
      } else {
        known = many.contains(name);
      }
      if (known) continue;
      if (distinct.size() == options_.max_channels_per_stream) return errc::too_many_channels;
      distinct.push_back(name);
      if (distinct.size() == few) {
        many.insert(distinct.begin(), distinct.end());
      } else if (distinct.size() > few) {
        many.insert(name);
      }
    }
    return errc::ok;
  }

  [[nodiscard]] std::size_t channels() const noexcept { return channels_.size(); }
  [[nodiscard]] std::size_t expired_channels() const noexcept { return channels_.forgotten(); }
  [[nodiscard]] std::size_t pinned() const noexcept { return pins_.bytes(); }
  [[nodiscard]] channel* find(std::string_view name) const noexcept { return channels_.find(name); }

  // Returns null and the reason if a new channel is refused; then nothing has changed.
  std::pair<channel*, errc> find_or_make(std::string_view name) noexcept {
    return channels_.find_or_make(name, options_.max_channels);
  }

  void drop_if_unused(channel& c) noexcept {
    if (c.is_used()) return;
    // No stream follows the channel any more, so its leaders (in_step.hpp) serve nobody.
    for (auto* leader = c.leaders; leader != nullptr; leader = leader->next_leader) {
      leader->begin()->unlink();
      leader->channels = 0;
    }
    counts_.log_bytes -= c.history.allocated_bytes();
    channels_.drop(c);
  }

  // Appends events at the positions after `sequence`, in the epoch of `unset`, or changes nothing.
  // `prepared` holds all events for the first channel, then all for the second, and so on. `to` gets the
  // channels; each stays valid as long as it holds one of these events.
  errc append(std::span<std::string_view const> names, std::span<channel*> to,
              std::span<prepared_event<Traits>> prepared, position_id const& unset,
              std::uint64_t sequence) noexcept {
    auto const events = prepared.size() / names.size();
    auto error = errc::ok;
    std::size_t found = 0;
    for (; found < names.size(); ++found) {
      std::tie(to[found], error) = find_or_make(names[found]);
      if (error != errc::ok) break;
    }
    std::size_t done = 0;
    for (; error == errc::ok && done < prepared.size(); ++done) {
      counting(to[done / events]->history, [&](entry_log<Traits>& history) {
        error = prepared[done].append_to(history, unset, sequence + 1 + done % events);
      });
      if (error != errc::ok) break;
    }
    if (error == errc::ok) {
      for (auto* const c : to) channels_.add_events(*c);
      return error;
    }
    while (done-- != 0) counting(to[done / events]->history, [](entry_log<Traits>& h) { h.take_back(); });
    while (found-- != 0) drop_if_unused(*to[found]);
    return error;
  }

  // Trims to the limits of one channel.
  void trim(channel& c) noexcept {
    counting(c.history, [&](entry_log<Traits>& h) {
      count_trims(trim_cause::events, h.trim_to_events(options_.replay.max_events));
      count_trims(trim_cause::bytes, h.trim_to_bytes(options_.replay.max_bytes));
    });
  }

  // Trims to the limits of all channels together, oldest event first, but no event after position `newest`.
  void trim_all(std::uint64_t newest) noexcept {
    while (counts_.log_bytes > options_.max_log_bytes || counts_.events > options_.max_events_in_all) {
      auto* const c = channels_.oldest();
      if (c == nullptr) return;
      std::uint64_t trimmed = 0;
      counting(c->history, [&](entry_log<Traits>& h) { trimmed = h.trim_through(newest, 1); });
      if (trimmed == 0) return;
      count_trims(trim_cause::all_together, trimmed);
      drop_if_unused(*c);
    }
  }

  // Trims what lies at or before this position.
  void trim_old(lock& held, std::uint64_t position) noexcept {
    for (std::size_t step = 0; position != 0; breathe(held, step++)) {
      auto* const c = channels_.oldest();
      if (c == nullptr) return;
      std::uint64_t trimmed = 0;
      counting(c->history, [&](entry_log<Traits>& h) { trimmed = h.trim_through(position, events_a_step); });
      if (trimmed == 0) return;
      count_trims(trim_cause::age, trimmed);
      drop_if_unused(*c);
    }
  }

  // Removes the channels that nobody follows and that have no event after this position.
  void expire(lock& held, std::uint64_t quiet) noexcept {
    if (quiet == 0) return;
    for (std::size_t i = 0, step = 0; i < channels_.size(); breathe(held, step++)) {
      auto& c = channels_[i];
      std::uint64_t trimmed = 0;
      if (c.members == 0 && c.history.last_position() <= quiet)
        counting(c.history, [&](entry_log<Traits>& h) { trimmed = h.trim_through(quiet, events_a_step); });
      count_trims(trim_cause::expiry, trimmed);
      if (c.members == 0 && c.history.last_position() <= quiet) c.history.forget_lost_headers();
      if (c.is_used()) {
        i += trimmed == events_a_step ? 0 : 1;
      } else {
        drop_if_unused(c);  // the last channel moves to index i
      }
    }
  }

  // Forgets all events and all IDs. Each channel still knows up to which position its events are lost.
  void forget_all() noexcept {
    for (std::size_t i = 0; i < channels_.size();) {
      auto& c = channels_[i];
      std::uint64_t trimmed = 0;
      counting(c.history, [&](entry_log<Traits>& h) { trimmed = h.forget_all(); });
      count_trims(trim_cause::cloned, trimmed);
      if (c.is_used()) {
        ++i;
      } else {
        drop_if_unused(c);  // the last channel moves to index i
      }
    }
    channels_.forget_lost_ids();
  }

 private:
  static constexpr std::uint64_t events_a_step = 64;

  // Changes a log and keeps the totals right.
  template <class Change> void counting(entry_log<Traits>& history, Change change) noexcept {
    counts_.events -= history.events();
    counts_.frame_bytes -= history.frame_bytes();
    counts_.log_bytes -= history.allocated_bytes();
    change(history);
    counts_.events += history.events();
    counts_.frame_bytes += history.frame_bytes();
    counts_.log_bytes += history.allocated_bytes();
  }

  void count_trims(trim_cause why, std::uint64_t events) noexcept {
    counts_.trimmed += events;
    counts_.trims[static_cast<std::size_t>(why)] += events;
  }

  broker_options const& options_;
  broker_stats& counts_;
  pinned_bytes pins_;  // trimmed log memory that writes still use
  channel_table<Traits> channels_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
