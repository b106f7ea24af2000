// SPDX-License-Identifier: MIT
// broker.hpp - channels, publish, subscribe. Replay and live delivery are one path: a subscriber is a cursor
// into its channels' logs, and resuming is a cursor that starts further back. Source: WHATWG HTML, 9.2.4 The
// `Last-Event-ID` header.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/detail/core.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/channel_names.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/wire/serializer.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Channels in one order of events. Every event has a position in that order, so one last event ID is enough
/// for a client that follows several channels on one connection.
///
/// @par Threads    Any thread may make any call at any time, also from inside wake hooks and writers. Destroy
///   the broker on one thread, after the last other call, and not from inside a hook.
/// @par Processes  In the child of a fork() it is another broker, from its first publish or subscribe on: it
///   holds nothing, its IDs are others, and a client that presents an ID from before the fork gets a gap
///   event with the reason `restart`. Fork while no other thread is inside the library. vfork(), _Fork() and
///   clone() are not supported: the child does not learn of them.
template <class Traits = default_traits> class basic_broker {
  static_assert(
      detail::can_lock<Traits>,
      "no std::mutex here: use ssewire::single_threaded_traits, or traits of your own with a mutex");

 public:
  /// A stream's place in this broker.
  using subscription = basic_subscription<Traits>;

  /// A broker without channels.
  ///
  /// @throws  std::bad_alloc, and what Traits::epoch() throws.
  explicit basic_broker(broker_options options = {}) : core_(std::make_shared<core>(options)) {}
  basic_broker(basic_broker const&) = delete;
  basic_broker& operator=(basic_broker const&) = delete;

  /// Ends all subscriptions, with close_reason::drained. Their objects may be destroyed later.
  ~basic_broker() { core_->close_all(); }

  /// Appends an event to one or several channels and wakes the streams that wait there. It never waits for a
  /// subscriber, a writer or a lock that user code holds. Wake hooks run inside this call, one after another.
  /// On several channels the event has one position: a stream that follows more than one of them gets it
  /// once.
  ///
  /// @param channels  A name, names in braces, or a range of texts. Borrowed for the call.
  /// @param e         Borrowed for the call. Its type must not begin with "ssewire.". Without an ID it gets
  ///   the broker's. An ID of yours is sent as it is: 1 to 128 bytes of 0x21 to 0x7E, not of the form of the
  ///   broker's IDs, and not the ID of an event that the channel still holds. A client can resume from it as
  ///   long as the channel holds the event. On channels that are followed together IDs must differ.
  /// @param options   A tag for filters.
  /// @return          The event's position. On an error nothing has happened, and no position was used:
  ///   no_channel, channel_name_refused, type_reserved, id_refused, id_in_use, event_too_large (serialized
  ///   beyond replay_limits::max_bytes), too_many_channels, closed, no_memory (in the child of a fork() also
  ///   where Traits::epoch() throws). stats() counts refusals, so the result need not be looked at.
  /// @par Complexity  O(size of the event) outside the lock. Under the lock: a copy of at most 4 KiB for each
  ///   channel, and the trimming that the event causes.
  result<position_id> publish(channel_names channels, event const& e,
                              publish_options const& options = {}) noexcept {
    if (!channels.is_one()) return publish(channels, std::span(&e, 1), options);
    auto const published = core_->publish(channels.one(), e, options.tag);
    (void)core_->count_refusal(published.error);
    return published;
  }

  /// The same for an event with this data: `publish("news", "hello")`.
  result<position_id> publish(channel_names channels, optional_text data,
                              publish_options const& options = {}) noexcept {
    return publish(channels, event{.data = data}, options);
  }

  /// Appends several events in this order, with nothing between them, or none of them. Subscribers are woken
  /// once. Without events nothing happens, and the result is ok. Of more events than max_events the first are
  /// trimmed at once.
  ///
  /// @param channels  As above.
  /// @param events    Borrowed for the call, also the text that they view.
  /// @param options   As above.
  /// @return          The last event's position; the others lie directly before it. event_too_large also if
  ///   all events together exceed max_bytes. Other errors as above.
  /// @par Complexity  As above for each event; the lock is held for all of them.
  result<position_id> publish(channel_names channels, std::span<event const> events,
                              publish_options const& options = {}) noexcept {
    result<position_id> published{{}, errc::no_memory};
    detail::try_call(
        [&] { published = core_->publish(detail::name_views(channels).all(), events, options.tag); });
    (void)core_->count_refusal(published.error);
    return published;
  }

  /// Subscribes one stream to one or several channels at one instant. Events published before come from the
  /// log, events published after are live: none twice, and none lost.
  ///
  /// @param channels  A name given twice counts once. A channel need not exist yet. An absent name is
  ///   refused as an empty one is.
  /// @param options   Where the stream starts, its filter, its user, and more. Borrowed for the call.
  /// @return          The subscription, or why there is none: no_channel, channel_name_refused,
  ///   too_many_channels, too_many_subscribers, channel_full, user_full, user_key_refused, too_many_users,
  ///   connects_too_often, revoked, closed, no_memory. On an error nothing has changed, except that a connect
  ///   that a channel's limit refused counts for max_connects_per_user_per_minute.
  /// @par Complexity  Expected O(names). Under the lock a search in each channel's log, O(log n) in the
  ///   events that it holds; with start_at::last as many searches as the logarithm of all positions.
  [[nodiscard]] result<subscription> subscribe(channel_names channels,
                                               subscribe_options const& options = {}) noexcept {
    result<subscription> made{{}, errc::no_memory};
    detail::try_call([&] {
      auto const [state, error] = core_->subscribe(detail::name_views(channels).all(), options);
      if (state != nullptr) made.value = subscription(core_, state);
      made.error = error;
    });
    (void)core_->count_refusal(made.error);
    return made;
  }

  /// Begins an orderly shutdown, which tick() carries on. From now on nobody is admitted and nothing is
  /// published.
  ///
  /// Each stream leaves at its own time in the first half of the time until `deadline`. Until then it stays
  /// open and sends the events that were published before. Then its client gets a time to come back:
  /// least_retry of broker_options plus a part of `spread`, and the stream ends. The departures are even over
  /// that half, and the returns are even over `spread`, in the same order. The first event of the client's
  /// next stream sets its normal time again (broker_options::retry).
  ///
  /// At `deadline` tick() ends the remaining streams by force. The drivers call tick() in steps of a fiftieth
  /// of the time, and begin within a second. So for a time of less than two seconds call tick() yourself,
  /// until stats().subscribers is 0. Calling drain() again can only move the deadline
  /// earlier; the new `spread` applies to streams that were not yet notified.
  ///
  /// @param now       The time now.
  /// @param deadline  If it is not later than `now`, all streams leave at once, and the next tick() forces.
  /// @param spread    The time over which clients come back.
  /// @par Complexity  O(subscribers), also of each tick(). The lock is released after every 64. Nothing is
  ///   allocated.
  void drain(steady_time now, steady_time deadline,
             reconnection_time spread = reconnection_time(5000)) noexcept {
    core_->drain(now, deadline, spread.milliseconds);
  }

  /// Lets time pass: trims events older than replay_limits::max_age, removes channels that nobody has used
  /// for channel_expiry, ends lagging streams whose policy is lag_policy::close, and ends the streams of a
  /// drain at their times. The drivers of streams call it, unless broker_options::ticks says that the program
  /// does. Then call it about ten times in max_age, or once a second; more often during a drain.
  ///
  /// @par Complexity  O(channels + subscribers + channels that these follow + trimmed events). The lock is
  ///   released after every 64.
  void tick(steady_time now) noexcept { core_->tick(now); }

  /// Ends all streams of a user, from any thread: a token was revoked, a user signed out.
  ///
  /// Nothing that is published after this call has returned is offered to these streams. A parked stream is
  /// woken. Its driver ends it at its next turn, in order, with close_reason::revoked. If its writer is
  /// stuck, its driver drops it. Until then the subscription counts as open, but no longer for its user.
  ///
  /// This is no ban: a client comes back, and then the program refuses it. A request that was authenticated
  /// before this call and subscribes after it would slip through: pass closes() as subscribe_options::as_of.
  ///
  /// @param user      subscribe_options::user of the streams. Borrowed for the call.
  /// @param farewell  An event without an ID that each client gets before the end, unless its writer is
  ///   stuck. Give it data: clients ignore an event without.
  ///   Borrowed for the call.
  /// @return          How many streams this call has ended; or why nothing was done: id_refused (the farewell
  ///   has an ID), type_reserved, event_too_large, no_memory. An absent or empty user has no streams.
  /// @par Complexity  O(streams of the user); the lock is released after each hook, at the latest after 64
  ///   streams.
  result<std::uint64_t> close_user(optional_text user, std::optional<event> const& farewell = {}) noexcept {
    auto const last_words = serialized(farewell);
    if (!last_words) return {0, last_words.error};
    return {core_->close_user(user.value(), *last_words), errc::ok};
  }

  /// Ends all streams that follow a channel, from any thread: an answer is complete, a room was closed. They
  /// end as with close_user(), with close_reason::channel_closed, also those that follow other channels too.
  /// The channel and its events stay.
  ///
  /// @param channel   Borrowed for the call.
  /// @param farewell  As for close_user().
  /// @return          How many subscriptions the channel had. Errors as for close_user().
  /// @par Complexity  O(subscribers); the lock is released after every 64.
  result<std::uint64_t> close_channel(optional_text channel,
                                      std::optional<event> const& farewell = {}) noexcept {
    auto const last_words = serialized(farewell);
    if (!last_words) return {0, last_words.error};
    return {core_->close_channel(channel.value(), *last_words), errc::ok};
  }

  /// Ends one stream, from any thread, as close_user() does.
  ///
  /// @param one       From basic_subscription::id().
  /// @param why       The reason that the stream ends with.
  /// @param farewell  As for close_user().
  /// @return          Whether this call has ended it: false if it has ended already. Errors as for
  ///   close_user().
  /// @par Complexity  Expected O(1); takes the lock.
  result<bool> close(subscription_id one, close_reason why = close_reason::removed,
                     std::optional<event> const& farewell = {}) noexcept {
    auto const last_words = serialized(farewell);
    if (!last_words) return {false, last_words.error};
    if (why == close_reason::none) why = close_reason::removed;
    return {core_->close_one(one, why, *last_words), errc::ok};
  }

  /// How many closes of users and channels there were. Read the number before you authenticate a request, and
  /// pass it as subscribe_options::as_of. An absent user, and a name that subscribe() would refuse, do not
  /// count.
  ///
  /// @par Complexity  O(1); takes the lock.
  [[nodiscard]] std::uint64_t closes() const noexcept { return core_->closes(); }

  /// How many subscriptions follow a channel now.
  ///
  /// @par Complexity  Expected O(1); takes the lock.
  [[nodiscard]] std::uint64_t subscribers(optional_text channel) const noexcept {
    return core_->subscribers_of(channel.value());
  }

  /// How many distinct users have subscriptions that follow a channel now. A user is a
  /// subscribe_options::user; subscriptions without one do not count.
  ///
  /// @par Complexity  Expected O(1); takes the lock.
  [[nodiscard]] std::uint64_t users(optional_text channel) const noexcept {
    return core_->users_of(channel.value());
  }

  // One channel a call.
  [[nodiscard]] std::uint64_t subscribers(std::initializer_list<std::string_view>) const = delete;
  [[nodiscard]] std::uint64_t users(std::initializer_list<std::string_view>) const = delete;

  /// All counters, at one instant.
  ///
  /// @par Complexity  O(1); takes the lock.
  [[nodiscard]] broker_stats stats() const noexcept { return core_->stats(); }

 private:
  using core = detail::broker_core<Traits>;

  // A farewell as bytes that all its streams share. Null: there is none.
  [[nodiscard]] result<std::shared_ptr<std::string const>>
  serialized(std::optional<event> const& farewell) const noexcept {
    result<std::shared_ptr<std::string const>> made;
    if (!farewell) return made;
    if (farewell->id.has_value()) return {{}, errc::id_refused};
    if (core_->is_reserved(farewell->type)) return {{}, errc::type_reserved};
    if (serialized_size(*farewell) > core_->max_event_bytes()) return {{}, errc::event_too_large};
    if (!detail::try_call([&] { made.value = std::make_shared<std::string const>(serialize(*farewell)); }))
      made.error = errc::no_memory;
    return made;
  }

  std::shared_ptr<core> core_;
};

/// A broker with the default traits.
using broker = basic_broker<>;
/// A subscription of a broker.
using subscription = basic_subscription<>;
/// The frames of one pull of a subscription.
using batch = basic_batch<default_traits>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
