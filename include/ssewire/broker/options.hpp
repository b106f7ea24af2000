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

/// What happens to one more subscription of a user at the limit max_subscribers_per_user.
enum class user_limit : unsigned char {
  /// The new one is refused, with errc::user_full.
  refuse_newest,
  /// The new one is admitted, and the oldest is ended with close_reason::replaced.
  replace_oldest,
};

/// The choice in a word, for labels. A static string.
constexpr std::string_view name(user_limit limit) noexcept {
  switch (limit) {
  case user_limit::refuse_newest: return "refuse_newest";
  case user_limit::replace_oldest: return "replace_oldest";
  }
  return "unknown";
}

/// Who lets time pass for a broker.
enum class ticked_by : unsigned char {
  /// The drivers of its streams: the first that notices that a second has passed calls tick(). It is a tenth
  /// of max_age if that is shorter, and in a drain a fiftieth of the drain's time. A stream that you drive
  /// yourself, by ssewire::stream, notices nothing. If the program ticks as often, the drivers do not.
  drivers,
  /// The program alone.
  program,
};

/// The choice in a word, for labels. A static string.
constexpr std::string_view name(ticked_by who) noexcept {
  switch (who) {
  case ticked_by::drivers: return "drivers";
  case ticked_by::program: return "program";
  }
  return "unknown";
}

/// The limits of a broker. The limits of history trim the oldest events, but never those of the newest
/// publish. At the other limits the new subscriber or the new event is refused with an error.
struct broker_options {
  /// For max_connects_per_user_per_minute.
  static constexpr std::uint32_t no_limit_per_minute = (std::numeric_limits<std::uint32_t>::max)();

  /// The history of each channel.
  replay_limits replay = {};
  /// Events held by all channels together. Over this limit the broker trims the oldest of all.
  std::uint64_t max_events_in_all = (std::numeric_limits<std::uint64_t>::max)();
  /// Memory of all logs together, in bytes: more than the serialized events. A channel with one short event
  /// takes 504 bytes. Over this limit the broker trims the oldest events of any channel, but never those of
  /// the newest publish. So a busy channel can shorten a quiet one's history: isolate tenants with one broker
  /// each.
  std::size_t max_log_bytes = 256 * 1024 * 1024;
  /// Trimmed log memory still referenced by unfinished writes. Over this limit the broker closes the streams
  /// that reference it, oldest pull first. Each publish and tick checks 32 streams that may reference some.
  /// So if more streams than these reference only memory that is still in a log, it may take several calls.
  std::size_t max_pinned_bytes = 64 * 1024 * 1024;
  /// Channels that have subscribers, hold an event, or have trimmed an event since a stream with a filter
  /// joined.
  std::size_t max_channels = 100'000;
  /// A channel and its events are removed when nobody has followed it or published to it for this time. 0:
  /// never. tick() enforces it.
  steady_duration channel_expiry = std::chrono::hours(1);
  /// Expired channels that the broker remembers, about 140 bytes each. A client that comes back to a channel
  /// that is not remembered gets a gap event, whether it missed an event or not.
  std::size_t max_expired_channels = 10'000;
  /// Subscriptions open at the same time. One that the broker has ended counts until its driver has closed
  /// it, here and for its channels, because it still takes memory; not for its user.
  std::size_t max_subscribers = 100'000;
  /// Subscriptions of one channel.
  std::size_t max_subscribers_per_channel = (std::numeric_limits<std::size_t>::max)();
  /// Subscriptions with the same subscribe_options::user.
  std::size_t max_subscribers_per_user = (std::numeric_limits<std::size_t>::max)();
  /// What happens when a user with that many subscriptions begins one more.
  user_limit at_user_limit = user_limit::refuse_newest;
  /// Subscriptions that one user may begin within a minute, or at once after a minute without any.
  std::uint32_t max_connects_per_user_per_minute = no_limit_per_minute;
  /// Users that the broker keeps a record of, about 300 bytes each: those with open subscriptions, and, if
  /// connects are limited, those with a connect in the last minute. At this limit the broker forgets the
  /// record that has been without a subscription the longest; if there is none, it refuses a new user.
  std::size_t max_users = 100'000;
  /// How long a stream may last; 0: no limit. Each stream gets another time, from 80 % of this to all of it,
  /// so that streams that began together do not end together. tick() ends it with close_reason::expired.
  steady_duration longest_life = steady_duration(0);
  /// Who calls tick().
  ticked_by ticks = ticked_by::drivers;
  /// Channels of one subscription, and of one publish. Each pull, park, join and leave looks at all channels
  /// of a stream.
  std::size_t max_channels_per_stream = 64;
  /// The bytes of a channel's name.
  std::size_t max_channel_name_bytes = 128;
  /// The type of the event that reports a gap. Empty or "message": pages get it as they get any event without
  /// a type. With any other type here, no event of that type can be published. Borrowed, as the next two:
  /// they must outlive the broker.
  event_type gap_type = "ssewire.gap";
  /// The type of the event that says where a stream stands; as for gap_type.
  event_type position_type = "ssewire.position";
  /// The data of that event. It is not empty by default, so that programs go on that read the data of every
  /// event as JSON.
  std::string_view position_data = "{}";
  /// How long a client waits before it comes back. Each stream sends it at its beginning, with the position
  /// event, and so replaces the time that a drain or a refusal gave for one occasion. None: the client keeps
  /// the time that it got last.
  std::optional<reconnection_time> retry = reconnection_time(3000);
  /// The shortest time that a drain gives a client before it comes back.
  reconnection_time least_retry = reconnection_time(1000);
  /// Called when the number of a channel's subscriptions changes: presence_hook::of(callable).
  presence_hook on_presence = {};
};

/// What happens to a stream that the log has moved past while it was open.
enum class lag_policy : unsigned char {
  /// It gets a gap event that says what is missing, and goes on.
  tell,
  /// It is closed, with close_reason::lagged; its client comes back and gets the gap event then. There is an
  /// exception: if only max_age trimmed the events, in a tick() that came more than half of max_age after the
  /// one before, the process may have stood still. Then the stream gets the gap event and goes on.
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

/// Where a stream starts when its client presents no last event ID, or one that does not say where it stood.
struct start_at {
  /// The kinds of starts.
  enum class place : unsigned char {
    /// With the next event.
    now,
    /// With the oldest event that it can start with and miss none.
    beginning,
    /// With the newest `events`.
    last,
  };
  /// Where the stream starts.
  place where = place::now;
  /// With place::last, how many of the newest events, over all of the stream's channels.
  std::uint64_t events = 0;

  /// Starts with the next event.
  [[nodiscard]] static constexpr start_at now() noexcept { return {}; }
  /// Starts where nothing is missing after it on any of the stream's channels.
  [[nodiscard]] static constexpr start_at beginning() noexcept { return {place::beginning, 0}; }
  /// Starts with the newest n events, or with fewer if fewer are held without a hole. An event on several of
  /// the stream's channels counts on each.
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

/// Whether a stream gets position events, which say where it stands: one at its beginning, others after a
/// filter has skipped many events, and after join(), leave() and set_filter().
enum class position_events : unsigned char {
  /// Its client can resume at any time.
  sent,
  /// For programs that take every event for one of yours, as SDKs do whose requests are POSTs. A client that
  /// drops before its first event cannot resume. A client with a filter may get a gap event although no event
  /// for it is missing. broker_options::retry is not sent.
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

/// Which subscription is meant: basic_subscription::id() gives it. A broker gives no ID twice, and knows only
/// its own.
struct subscription_id {
  /// 0: none.
  std::uint64_t number = 0;
  /// Another one for each broker.
  std::uint64_t of = 0;

  /// Whether it names a subscription.
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return number != 0; }
  /// Whether both name the same one.
  friend constexpr bool operator==(subscription_id, subscription_id) noexcept = default;
};

/// What a publish says of its events besides the events.
struct publish_options {
  /// A number for filters; it is not sent. It costs 8 bytes for each event on channels where a tag was not 0.
  std::uint64_t tag = 0;
};

/// How a stream subscribes.
struct subscribe_options {
  /// The last event ID that the client presents; hostile bytes are welcome. Absent or empty: the client has
  /// none. Borrowed for the call.
  optional_text last_event_id = {};
  /// Where the stream starts when that ID does not say where the client stood.
  start_at start = {};
  /// What happens when the log moves past the stream.
  lag_policy lag = lag_policy::tell;
  /// Which events of its channels the stream gets; empty: all.
  event_filter filter = {};
  /// Whether the stream gets position events.
  position_events position = position_events::sent;
  /// The user that the stream belongs to, up to 128 bytes: for the limits of users and for close_user().
  /// Absent or empty: it belongs to none. Borrowed for the call.
  optional_text user = {};
  /// When the stream ends, with close_reason::expired: when its client's token does, for example. tick() ends
  /// it.
  std::optional<steady_time> expires = {};
  /// What basic_broker::closes() returned before the request was authenticated. If the user or a channel was
  /// closed since then, this call is refused with errc::revoked: the request may have been authenticated
  /// before the close. Absent: not checked.
  std::optional<std::uint64_t> as_of = {};
  /// The time now, for max_connects_per_user_per_minute and longest_life. Absent: the clock is read if one of
  /// these limits needs it. With a time here the broker ticks before, as if a driver had noticed it.
  std::optional<steady_time> now = {};
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
