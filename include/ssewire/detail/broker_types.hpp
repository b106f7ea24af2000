// SPDX-License-Identifier: MIT
// broker_types.hpp - a broker's limits, what a subscriber asks for and what a pull answers.
#pragma once

#include <ssewire/detail/event_filter.hpp>
#include <ssewire/detail/presence.hpp>
#include <ssewire/detail/subscriber.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/optional_text.hpp>
#include <ssewire/replay_buffer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The limits of a broker. Those of history make the oldest go, but the newest publish is always kept; at the others the
/// newcomer or the new event is refused with an error.
struct broker_options {
  replay_limits replay = {};  ///< of each channel
  std::uint64_t max_events_in_all =
      (std::numeric_limits<
          std::uint64_t>::max)();  ///< held by all channels together. Beyond it the oldest of all go
  /// Memory of all logs together, not of serialized events: with one short event a channel takes 504 bytes.
  /// Beyond it the oldest events of all go, but never those of the newest publish.
  std::size_t max_log_bytes = 256 * 1024 * 1024;
  /// Memory that the logs have forgotten and streams still send from. Beyond it streams that hold some are
  /// ended, the one that pulled first before the others. Each publish and tick looks at 32 that may hold
  /// some: beside more that hold only what is still in a log, it takes several until one is found.
  std::size_t max_pinned_bytes = 64 * 1024 * 1024;
  /// Channels that have subscribers, or hold an event, or have lost one since a stream with a filter came: filters are asked
  /// about it when such a stream comes back.
  std::size_t max_channels = 100'000;
  steady_duration channel_expiry =
      std::chrono::hours(1);  ///< a channel that nobody follows and nothing was published to for so
                              ///< long goes, with its events; 0: never. Kept by tick()
  std::size_t max_expired_channels =
      10'000;  ///< expired channels that are remembered, about 140 bytes each. Of older ones
               ///< a client that comes back is told a gap, there or not
  std::size_t max_subscribers = 100'000;  ///< subscriptions open at the same time
  std::size_t max_subscribers_per_channel =
      (std::numeric_limits<std::size_t>::max)();  ///< of these, on one channel
  std::size_t max_subscribers_per_user =
      (std::numeric_limits<std::size_t>::max)();  ///< of these, with one subscribe_options::user
  /// Of one subscription, and of one publish. Each pull, park, join and leave looks at all of a stream's.
  std::size_t max_channels_per_stream = 64;
  std::size_t max_channel_name_bytes = 128;
  /// The type of the event that tells a gap. Empty or "message": pages get it as they get any event without a type. Of
  /// another one no event can be published. Borrowed, as the next two: they must outlive the broker.
  event_type gap_type = "ssewire.gap";
  /// The type of the event that says where a stream stands; as for gap_type.
  event_type position_type = "ssewire.position";
  /// The data of that event. Not empty by default: programs that read the data of every event as JSON must go on.
  std::string_view position_data = "{}";
  /// What each stream tells its client at its beginning, with the position event: how long to wait before it comes back. It ends
  /// what a drain or a refusal has told it for one occasion. None: the client keeps what it was told last.
  std::optional<reconnection_time> retry = reconnection_time(3000);
  /// No client is told to come back from a drain sooner than this.
  reconnection_time least_retry = reconnection_time(1000);
  presence_hook on_presence = {};       ///< told how many follow a channel: presence_hook::of(callable)
};

/// Where a client starts that presents no last event ID, or one that says nothing.
struct start_at {
  enum class place : unsigned char { now, beginning, last } where = place::now;
  std::uint64_t events = 0;  ///< of `last`: how many of the newest events, over all of the stream's channels

  [[nodiscard]] static constexpr start_at now() noexcept { return {}; }
  /// From where nothing is missing on any of its channels.
  [[nodiscard]] static constexpr start_at beginning() noexcept { return {place::beginning, 0}; }
  /// The newest n, or fewer where fewer are held without a hole. One on several of its channels counts on each.
  [[nodiscard]] static constexpr start_at last(std::uint64_t n) noexcept { return {place::last, n}; }
};

/// Whether a stream gets position events: the first event that says where it stands, and later ones after a filter has
/// skipped much, or after join(), leave() and set_filter().
enum class position_events : unsigned char {
  sent,  ///< its client can resume at any time
  /// For programs that take every event for one of yours, as SDKs do whose requests are POSTs. A client that is cut before its
  /// first event cannot resume; one with a filter may be told a gap that was none for it. broker_options::retry is not told.
  left_out,
};

struct subscribe_options {
  start_at start = {};
  lag_policy lag = lag_policy::tell;
  event_filter filter = {};  ///< which events of its channels it gets; empty: all
  position_events position = position_events::sent;
  /// Whose it is, for max_subscribers_per_user; absent or empty: nobody's. Borrowed for the call.
  optional_text user = {};
};

/// Why a log forgot an event.
enum class trim_cause : unsigned char {
  events,        ///< replay_limits::max_events
  bytes,         ///< replay_limits::max_bytes
  age,           ///< replay_limits::max_age
  expiry,        ///< broker_options::channel_expiry
  all_together,  ///< broker_options::max_log_bytes or max_events_in_all
  cloned,        ///< this process was cloned by fork(), and the events are the other one's
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

/// What a broker has done and holds. Counters since its construction.
struct broker_stats {
  std::uint64_t published = 0;        ///< events; one on several channels counts once
  std::uint64_t published_bytes = 0;  ///< the same, serialized
  std::uint64_t delivered = 0;        ///< events handed to streams, replayed ones included
  std::uint64_t delivered_bytes = 0;  ///< the same, serialized
  std::uint64_t replayed = 0;         ///< of `delivered`, events that were there before the stream was
  /// Events that streams' filters kept from them. One that a writer gave back is asked about, and counts, again.
  std::uint64_t filtered = 0;
  std::uint64_t gaps = 0;             ///< gap events told
  std::uint64_t lags =
      0;  ///< of these, told to open streams that had fallen behind. Those of lag_policy::close are told
          ///< when they come back
  std::uint64_t missed =
      0;  ///< events that those had missed on each of their channels, also such as came by another
          ///< channel or were not for their filter; without gaps whose number is not known
  std::uint64_t trimmed = 0;  ///< events the logs have forgotten; one on several channels counts on each
  std::array<std::uint64_t, 6> trims = {};    ///< the same by trim_cause
  std::array<std::uint64_t, 5> resumes = {};  ///< subscriptions by resume_outcome
  std::array<std::uint64_t, close_reason_count> closes =
      {};  ///< subscriptions by close_reason, when their owner has let them go
  /// By errc: calls of publish, subscribe, join, leave and set_filter that were refused, whatever the reason,
  /// each once. What never reaches a broker is not counted: calls on an empty subscription, or refused by a
  /// driver.
  std::array<std::uint64_t, errc_count> refusals = {};
  std::uint64_t subscribers = 0;       ///< now
  std::uint64_t channels = 0;          ///< now: those that count against max_channels
  std::uint64_t expired_channels = 0;  ///< remembered now: those that count against max_expired_channels
  std::uint64_t events = 0;            ///< held now
  std::uint64_t frame_bytes = 0;       ///< held now: serialized events
  std::uint64_t log_bytes = 0;         ///< held now: memory of the logs
  std::uint64_t pinned_bytes = 0;      ///< now: what the logs have forgotten and streams still send from
};

/// What a pull has brought.
enum class pull_status : unsigned char {
  frames,    ///< the batch holds something to send
  nothing,   ///< nothing to send: park() and wait for the hook
  draining,  ///< nothing to send, and its turn in a drain has come: end the stream in order
  closed,    ///< the subscription was ended; its reason says why
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
