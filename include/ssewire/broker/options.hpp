// SPDX-License-Identifier: MIT
// options.hpp - what a broker and a subscription are told when they begin.
#pragma once

#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/presence.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/log/retention.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The limits of a broker. Those of history make the oldest go, but the newest publish is always kept; at
/// the others the newcomer or the new event is refused with an error.
struct broker_options {
  /// Of each channel.
  replay_limits replay = {};
  /// Events held by all channels together. Over this limit the broker trims the oldest of all.
  std::uint64_t max_events_in_all = (std::numeric_limits<std::uint64_t>::max)();
  /// Memory of all logs together, not of serialized events: with one short event a channel takes 504 bytes.
  /// Over this limit the broker trims the oldest events of any channel, but never those of the newest
  /// publish. So a busy channel can shorten a quiet one's history: isolate tenants with one broker each.
  std::size_t max_log_bytes = 256 * 1024 * 1024;
  /// Trimmed log memory still referenced by unfinished writes. Over this limit the broker closes the streams
  /// that reference it, oldest pull first. Each publish and tick looks at 32 streams that may reference
  /// some, so where more streams reference only what is still in a log, it may take several.
  std::size_t max_pinned_bytes = 64 * 1024 * 1024;
  /// Channels that have subscribers, hold an event, or have trimmed one since a stream with a filter came.
  std::size_t max_channels = 100'000;
  /// A channel and its events are removed when nobody has followed it or published to it for so long. 0:
  /// never. Kept by tick().
  steady_duration channel_expiry = std::chrono::hours(1);
  /// Expired channels that are remembered, about 140 bytes each. Of older ones a client that comes back is
  /// told a gap, there or not.
  std::size_t max_expired_channels = 10'000;
  /// Subscriptions open at the same time.
  std::size_t max_subscribers = 100'000;
  /// Of these, on one channel.
  std::size_t max_subscribers_per_channel = (std::numeric_limits<std::size_t>::max)();
  /// Of these, with one subscribe_options::user.
  std::size_t max_subscribers_per_user = (std::numeric_limits<std::size_t>::max)();
  /// Of one subscription, and of one publish. Each pull, park, join and leave looks at all of a stream's.
  std::size_t max_channels_per_stream = 64;
  std::size_t max_channel_name_bytes = 128;
  /// The type of the event that tells a gap. Empty or "message": pages get it as they get any event without
  /// a type. Of another one no event can be published. Borrowed, as the next two: they must outlive the
  /// broker.
  event_type gap_type = "ssewire.gap";
  /// The type of the event that says where a stream stands; as for gap_type.
  event_type position_type = "ssewire.position";
  /// The data of that event. Not empty by default: programs that read the data of every event as JSON must
  /// go on.
  std::string_view position_data = "{}";
  /// What each stream tells its client at its beginning, with the position event: how long to wait before it
  /// comes back. It ends what a drain or a refusal has told it for one occasion. None: the client keeps what
  /// it was told last.
  std::optional<reconnection_time> retry = reconnection_time(3000);
  /// No client is told to come back from a drain sooner than this.
  reconnection_time least_retry = reconnection_time(1000);
  /// Told how many follow a channel: presence_hook::of(callable).
  presence_hook on_presence = {};
};

/// What happens to a stream that the log has moved past while it was open.
enum class lag_policy : unsigned char {
  /// It gets a gap event that says what is missing, and goes on.
  tell,
  /// It is closed, with close_reason::lagged; its client comes back and is told then. What only age took, in
  /// a tick() that came over half of max_age after the one before, is told: the process may have stood
  /// still.
  close,
};

/// The policy in a word, for labels. A static string.
constexpr std::string_view name(lag_policy policy) noexcept {
  switch (policy) {
  case lag_policy::tell: return "tell";
  case lag_policy::close: return "close";
  }
  return "unknown";
}

/// Where a client starts that presents no last event ID, or one that says nothing.
struct start_at {
  enum class place : unsigned char { now, beginning, last } where = place::now;
  /// Of `last`: how many of the newest events, over all of the stream's channels.
  std::uint64_t events = 0;

  [[nodiscard]] static constexpr start_at now() noexcept { return {}; }
  /// From where nothing is missing on any of its channels.
  [[nodiscard]] static constexpr start_at beginning() noexcept { return {place::beginning, 0}; }
  /// The newest n, or fewer where fewer are held without a hole. One on several of its channels counts on
  /// each.
  [[nodiscard]] static constexpr start_at last(std::uint64_t n) noexcept { return {place::last, n}; }
};

/// The place in a word, for labels. A static string.
constexpr std::string_view name(start_at::place where) noexcept {
  switch (where) {
  case start_at::place::now: return "now";
  case start_at::place::beginning: return "beginning";
  case start_at::place::last: return "last";
  }
  return "unknown";
}

/// Whether a stream gets position events: the first event that says where it stands, and later ones after a
/// filter has skipped much, or after join(), leave() and set_filter().
enum class position_events : unsigned char {
  /// Its client can resume at any time.
  sent,
  /// For programs that take every event for one of yours, as SDKs do whose requests are POSTs. A client that
  /// is cut before its first event cannot resume; one with a filter may be told a gap that was none for it.
  /// broker_options::retry is not told.
  left_out,
};

/// The choice in a word, for labels. A static string.
constexpr std::string_view name(position_events events) noexcept {
  switch (events) {
  case position_events::sent: return "sent";
  case position_events::left_out: return "left_out";
  }
  return "unknown";
}

struct publish_options {
  /// For filters; not sent. Costs 8 bytes an event on channels where one was not 0.
  std::uint64_t tag = 0;
};

struct subscribe_options {
  /// What the client presents, hostile bytes welcome; absent or empty: nothing. Borrowed for the call.
  optional_text last_event_id = {};
  start_at start = {};
  lag_policy lag = lag_policy::tell;
  /// Which events of its channels it gets; empty: all.
  event_filter filter = {};
  position_events position = position_events::sent;
  /// Whose it is, for max_subscribers_per_user; absent or empty: nobody's. Borrowed for the call.
  optional_text user = {};
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
