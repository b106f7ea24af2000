// SPDX-License-Identifier: MIT
// broker_types.hpp - a broker's limits, what a subscriber asks for and what a pull answers.
#pragma once

#include <ssewire/detail/subscriber.hpp>
#include <ssewire/event.hpp>
#include <ssewire/replay_buffer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The limits of a broker. At each of them the newcomer or the new event is refused with an error.
struct broker_options {
  replay_limits replay = {};           ///< of each channel
  std::size_t max_channels = 100'000;  ///< channels that have subscribers or hold an event
  duration channel_expiry =
      std::chrono::hours(1);  ///< a channel that nobody follows and nothing was published to for so
                              ///< long goes, with its events; 0: never. Kept by tick()
  std::size_t max_expired_channels =
      10'000;  ///< expired channels that are remembered, about 120 bytes each. Of older ones
               ///< a client that comes back is told a gap, there or not
  std::size_t max_subscribers = 100'000;     ///< subscriptions open at the same time
  std::size_t max_channels_per_stream = 64;  ///< parking takes the lock for a step for each
  std::size_t max_channel_name_bytes = 128;
  event_type gap_type = "ssewire.gap";  ///< of the event that tells a gap. Borrowed: must outlive the broker
};

/// Where a client starts that presents no last event ID, or one that says nothing.
struct start_at {
  enum class place : unsigned char { now, beginning, last } where = place::now;
  std::uint64_t events = 0;  ///< of `last`: how many of the newest events, over all of the stream's channels

  [[nodiscard]] static constexpr start_at now() noexcept { return {}; }
  /// From where nothing is missing on any of its channels.
  [[nodiscard]] static constexpr start_at beginning() noexcept { return {place::beginning, 0}; }
  /// The newest n, or fewer where fewer are held without a hole.
  [[nodiscard]] static constexpr start_at last(std::uint64_t n) noexcept { return {place::last, n}; }
};

struct subscribe_options {
  start_at start = {};
  lag_policy lag = lag_policy::tell;
};

/// What a broker has done and holds. Counters since its construction.
struct broker_stats {
  std::uint64_t published = 0;                ///< events
  std::uint64_t delivered = 0;                ///< events handed to streams, replayed ones included
  std::uint64_t replayed = 0;                 ///< of these, events that were there before the stream was
  std::uint64_t gaps = 0;                     ///< gap events told
  std::uint64_t trimmed = 0;                  ///< events the logs have forgotten
  std::array<std::uint64_t, 5> resumes = {};  ///< subscriptions by resume_outcome
  std::array<std::uint64_t, 11> closes = {};  ///< ended subscriptions by close_reason
  std::uint64_t subscribers = 0;              ///< now
  std::uint64_t channels = 0;                 ///< now: those that count against max_channels
  std::uint64_t expired_channels = 0;  ///< remembered now: those that count against max_expired_channels
  std::uint64_t events = 0;            ///< held now
  std::uint64_t frame_bytes = 0;       ///< held now: serialized events
  std::uint64_t log_bytes = 0;         ///< held now: memory of the logs
};

/// What a pull has brought.
enum class pull_status : unsigned char {
  frames,    ///< the batch holds something to send
  nothing,   ///< nothing to send: park() and wait for the hook
  draining,  ///< nothing to send, and the broker drains: end the stream in order
  closed,    ///< the subscription was ended; its reason says why
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
