// SPDX-License-Identifier: MIT
// errc.hpp - every error that the library reports: what happened, whose fault it is, and what to do.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <cstddef>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What went wrong. `errc::ok` is no error. A call that returns another value has changed nothing, unless its
/// docstring says so. Compilers warn where a result is ignored: an event that was refused may be lost.
enum class [[nodiscard]] errc : unsigned char;

enum class errc : unsigned char {
  /// No error.
  ok = 0,

  // An event, refused before a byte was written: the caller's text is at fault.
  /// The event type contains CR, LF or NUL.
  type_has_control,
  /// The event ID contains CR, LF or NUL.
  id_has_control,
  /// The event type is the library's own: it begins with "ssewire.", or it is broker_options::gap_type or
  /// position_type.
  type_reserved,
  /// No log takes this event ID: it is empty, over 128 bytes, not all visible ASCII, or looks like one of the
  /// library's.
  id_refused,
  /// The channel still holds another event with this ID.
  id_in_use,
  /// The serialized event exceeds replay_limits::max_bytes of the log that would keep it, or 1 GiB.
  event_too_large,
  /// The output span is smaller than serialized_size(); nothing was written.
  buffer_too_small,

  // An event stream that is parsed: the peer's bytes are at fault. These errors stick until reset().
  /// A line exceeds parser_limits::max_line_bytes.
  line_too_long,
  /// An event exceeds parser_limits::max_event_bytes.
  event_too_long,
  /// An ID exceeds parser_limits::max_id_bytes.
  id_too_long,
  /// Called from inside one of its own callbacks; nothing was done. A parser also reports this after a
  /// callback has thrown.
  called_from_inside,
  /// feed() or finish() was called while next() has bytes left to read; nothing was taken. It does not stick.
  bytes_waiting,

  // A broker: a name or a limit.
  /// A channel name is empty, too long, or holds a control character.
  channel_name_refused,
  /// The broker's limit of channels, or that of one stream, is reached.
  too_many_channels,
  /// The limit of subscribers is reached: the newcomer is refused.
  too_many_subscribers,
  /// The limit of subscribers of one channel is reached: the newcomer is refused.
  channel_full,
  /// The limit of subscribers of one user is reached: the newcomer is refused.
  user_full,
  /// A user's key exceeds 128 bytes.
  user_key_refused,
  /// The limit of users is reached: a new user is refused.
  too_many_users,
  /// The user has begun as many subscriptions in the last minute as one user may: the newcomer is refused.
  connects_too_often,
  /// The user or a channel was closed after subscribe_options::as_of: the newcomer is refused.
  revoked,
  /// For your program to say: who the client is is not known. No call of the library returns it.
  not_authenticated,
  /// For your program to say: this client may not have what it asks for. No call of the library returns it.
  not_allowed,
  /// No channel was named: a subscription and a published event need at least one.
  no_channel,
  /// The broker, stream or parser is closed, or the broker is draining; it takes nothing new.
  closed,
  /// The frames or the text that wait for a slow writer would exceed their limit.
  outbox_full,

  /// An allocation failed; nothing was changed.
  no_memory,
};

/// How many values errc has, errc::ok among them.
inline constexpr std::size_t errc_count = static_cast<std::size_t>(errc::no_memory) + 1;

/// The error in a word, for labels. A static string.
constexpr std::string_view name(errc error) noexcept {
  switch (error) {
  case errc::ok: return "ok";
  case errc::type_has_control: return "type_has_control";
  case errc::id_has_control: return "id_has_control";
  case errc::type_reserved: return "type_reserved";
  case errc::id_refused: return "id_refused";
  case errc::id_in_use: return "id_in_use";
  case errc::event_too_large: return "event_too_large";
  case errc::buffer_too_small: return "buffer_too_small";
  case errc::line_too_long: return "line_too_long";
  case errc::event_too_long: return "event_too_long";
  case errc::id_too_long: return "id_too_long";
  case errc::called_from_inside: return "called_from_inside";
  case errc::bytes_waiting: return "bytes_waiting";
  case errc::channel_name_refused: return "channel_name_refused";
  case errc::too_many_channels: return "too_many_channels";
  case errc::too_many_subscribers: return "too_many_subscribers";
  case errc::channel_full: return "channel_full";
  case errc::user_full: return "user_full";
  case errc::user_key_refused: return "user_key_refused";
  case errc::too_many_users: return "too_many_users";
  case errc::connects_too_often: return "connects_too_often";
  case errc::revoked: return "revoked";
  case errc::not_authenticated: return "not_authenticated";
  case errc::not_allowed: return "not_allowed";
  case errc::no_channel: return "no_channel";
  case errc::closed: return "closed";
  case errc::outbox_full: return "outbox_full";
  case errc::no_memory: return "no_memory";
  }
  return "unknown";
}

/// The error in a sentence, for logs: what happened, and what to do. A static string.
constexpr std::string_view message(errc error) noexcept {
  switch (error) {
  case errc::ok: return "no error";
  case errc::type_has_control:
    return "the event type contains CR, LF or NUL; nothing was written; fix the caller";
  case errc::id_has_control:
    return "the event ID contains CR, LF or NUL; nothing was written; fix the caller";
  case errc::type_reserved:
    return "the event type is one of the library's: it begins with \"ssewire.\", or it is the broker's "
           "gap_type or "
           "position_type; nothing was published; use another type";
  case errc::id_refused:
    return "an event ID of your own must have 1 to 128 bytes of visible ASCII and not look like the "
           "broker's; send() takes no ID on a stream with a source; nothing was done";
  case errc::id_in_use:
    return "the channel still holds an event with this ID; nothing was published; use another ID";
  case errc::event_too_large:
    return "the serialized event, or several together, exceed replay_limits::max_bytes; nothing was "
           "published";
  case errc::buffer_too_small: return "the buffer is smaller than serialized_size(); nothing was written";
  case errc::line_too_long: return "the peer sent a line longer than max_line_bytes; the stream cannot go on";
  case errc::event_too_long:
    return "the peer sent an event larger than max_event_bytes; the stream cannot go on";
  case errc::id_too_long: return "the peer sent an ID longer than max_id_bytes; the stream cannot go on";
  case errc::bytes_waiting:
    return "the parser still holds bytes to read; nothing was taken; call next() until it returns nothing";
  case errc::called_from_inside:
    return "this must not be called from inside its own callback; nothing was done; if a parser's callback "
           "threw, call reset()";
  case errc::channel_name_refused:
    return "a channel name must have 1 to max_channel_name_bytes bytes and no control characters; nothing "
           "was done";
  case errc::too_many_channels: return "max_channels or max_channels_per_stream is reached; nothing was done";
  case errc::too_many_subscribers: return "max_subscribers is reached; the client may come back later";
  case errc::channel_full: return "max_subscribers_per_channel is reached; the client may come back later";
  case errc::user_full:
    return "this user has max_subscribers_per_user subscriptions; close one of them first";
  case errc::user_key_refused: return "a user's key must have at most 128 bytes; nothing was done";
  case errc::too_many_users: return "max_users is reached; the client may come back later";
  case errc::connects_too_often:
    return "this user has begun max_connects_per_user_per_minute subscriptions within a minute; the client "
           "may "
           "come back later";
  case errc::revoked:
    return "the user or a channel was closed after subscribe_options::as_of; authenticate the request again";
  case errc::not_authenticated: return "the program does not know who the client is; log in first";
  case errc::not_allowed: return "the program does not give this client what it asks for";
  case errc::no_channel:
    return "name at least one channel; to leave the last channel, close the subscription; nothing was done";
  case errc::closed:
    return "the broker, stream or parser is closed, or the broker is draining; nothing was taken";
  case errc::outbox_full:
    return "the client is too slow: the bytes that wait for it would exceed their limit; nothing was taken";
  case errc::no_memory: return "an allocation failed; nothing was changed";
  }
  return "unknown error";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
