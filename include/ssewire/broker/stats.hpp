// SPDX-License-Identifier: MIT
// stats.hpp - what a broker counts.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Why a log trimmed an event.
enum class trim_cause : unsigned char {
  /// replay_limits::max_events.
  events,
  /// replay_limits::max_bytes.
  bytes,
  /// replay_limits::max_age.
  age,
  /// broker_options::channel_expiry.
  expiry,
  /// broker_options::max_log_bytes or max_events_in_all.
  all_together,
  /// fork() has cloned this process, and the events belong to the other one.
  cloned,
};

/// The cause in a word, for logs and counters. A static string.
constexpr std::string_view name(trim_cause cause) noexcept {
  switch (cause) {
  case trim_cause::events: return "events";
  case trim_cause::bytes: return "bytes";
  case trim_cause::age: return "age";
  case trim_cause::expiry: return "expiry";
  case trim_cause::all_together: return "all_together";
  case trim_cause::cloned: return "cloned";
  }
  return "unknown";
}

/// What a broker has done and holds. The counters begin at its construction.
struct broker_stats {
  /// Events published; one on several channels counts once.
  std::uint64_t published = 0;
  /// The bytes of these, serialized.
  std::uint64_t published_bytes = 0;
  /// Events handed to streams, replayed ones included.
  std::uint64_t delivered = 0;
  /// The bytes of these, serialized.
  std::uint64_t delivered_bytes = 0;
  /// Of `delivered`, events that were published before the stream subscribed.
  std::uint64_t replayed = 0;
  /// Events that filters refused. A filter is asked again about an event that a writer gave back, and such an
  /// event counts again.
  std::uint64_t filtered = 0;
  /// Gap events sent.
  std::uint64_t gaps = 0;
  /// Of these, gap events sent to open streams that had lagged. A client of lag_policy::close gets its gap
  /// event when it comes back.
  std::uint64_t lags = 0;
  /// Events that the streams of `lags` missed, counted on each of their channels: also events that came by
  /// another channel, or that their filter would refuse. Gaps of unknown length are not counted.
  std::uint64_t missed = 0;
  /// Events that the logs have trimmed; one on several channels counts on each.
  std::uint64_t trimmed = 0;
  /// `trimmed` by trim_cause.
  std::array<std::uint64_t, 6> trims = {};
  /// Subscriptions by resume_outcome.
  std::array<std::uint64_t, 5> resumes = {};
  /// Subscriptions by close_reason, counted when their owner has released them.
  std::array<std::uint64_t, close_reason_count> closes = {};
  /// Calls of publish, subscribe, join, leave and set_filter that were refused, by errc; each call counts
  /// once. Calls that never reach a broker are not counted: those on an empty subscription, and those that a
  /// driver refuses.
  std::array<std::uint64_t, errc_count> refusals = {};
  /// Subscriptions now.
  std::uint64_t subscribers = 0;
  /// Users that the broker keeps a record of now: those that count against max_users.
  std::uint64_t users = 0;
  /// Channels now: those that count against max_channels.
  std::uint64_t channels = 0;
  /// Expired channels remembered now: those that count against max_expired_channels.
  std::uint64_t expired_channels = 0;
  /// Events held now.
  std::uint64_t events = 0;
  /// The bytes of these, serialized.
  std::uint64_t frame_bytes = 0;
  /// The memory of the logs now, in bytes.
  std::uint64_t log_bytes = 0;
  /// Trimmed memory that unfinished writes still reference now, in bytes.
  std::uint64_t pinned_bytes = 0;

  /// Of `refusals`, those with this error.
  [[nodiscard]] constexpr std::uint64_t count(errc error) const noexcept { return at(refusals, error); }
  /// Of `closes`, those with this reason.
  [[nodiscard]] constexpr std::uint64_t count(close_reason why) const noexcept { return at(closes, why); }
  /// Of `trims`, those with this cause.
  [[nodiscard]] constexpr std::uint64_t count(trim_cause why) const noexcept { return at(trims, why); }
  /// Of `resumes`, those with this outcome.
  [[nodiscard]] constexpr std::uint64_t count(resume_outcome what) const noexcept {
    return at(resumes, what);
  }

 private:
  template <std::size_t N, class Enum>
  static constexpr std::uint64_t at(std::array<std::uint64_t, N> const& counts, Enum value) noexcept {
    auto const index = static_cast<std::size_t>(value);
    return index < N ? counts[index] : 0;
  }
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
