// SPDX-License-Identifier: MIT
// stats.hpp - what a broker counts.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>

#include <array>
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
  /// This process was cloned by fork(), and the events are the other one's.
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

/// What a broker has done and holds. Counters since its construction.
struct broker_stats {
  /// Events; one on several channels counts once.
  std::uint64_t published = 0;
  /// The same, serialized.
  std::uint64_t published_bytes = 0;
  /// Events handed to streams, replayed ones included.
  std::uint64_t delivered = 0;
  /// The same, serialized.
  std::uint64_t delivered_bytes = 0;
  /// Of `delivered`, events that were there before the stream was.
  std::uint64_t replayed = 0;
  /// Events that filters refused. A filter is asked again about an event that a writer gave back, and it
  /// counts again.
  std::uint64_t filtered = 0;
  /// Gap events sent.
  std::uint64_t gaps = 0;
  /// Of these, sent to open streams that had lagged. Streams of lag_policy::close get theirs when they come
  /// back.
  std::uint64_t lags = 0;
  /// Events that those had missed on each of their channels, also such as came by another channel or were
  /// not for their filter; without gaps whose number is not known.
  std::uint64_t missed = 0;
  /// Events that the logs have trimmed; one on several channels counts on each.
  std::uint64_t trimmed = 0;
  /// The same by trim_cause.
  std::array<std::uint64_t, 6> trims = {};
  /// Subscriptions by resume_outcome.
  std::array<std::uint64_t, 5> resumes = {};
  /// Subscriptions by close_reason, counted when their owner has released them.
  std::array<std::uint64_t, close_reason_count> closes = {};
  /// By errc: calls of publish, subscribe, join, leave and set_filter that were refused, whatever the
  /// reason, each once. What never reaches a broker is not counted: calls on an empty subscription, or
  /// refused by a driver.
  std::array<std::uint64_t, errc_count> refusals = {};
  /// Now.
  std::uint64_t subscribers = 0;
  /// Now: those that count against max_channels.
  std::uint64_t channels = 0;
  /// Remembered now: those that count against max_expired_channels.
  std::uint64_t expired_channels = 0;
  /// Held now.
  std::uint64_t events = 0;
  /// Held now: serialized events.
  std::uint64_t frame_bytes = 0;
  /// Held now: memory of the logs.
  std::uint64_t log_bytes = 0;
  /// Now: trimmed memory that unfinished writes still reference.
  std::uint64_t pinned_bytes = 0;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
