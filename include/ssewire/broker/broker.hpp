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
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Channels in one order of events. Every event has a position in it, and so one last event ID is enough for
/// a client that follows several channels on one connection.
/// Threads     any thread, any call, at the same time; also from inside wake hooks and writers. Its
///             destructor: one thread, after the last other call, not from inside a hook.
/// Processes   in the child of a fork() it is another broker from its first publish or subscribe on: it
///             holds nothing, its IDs are others, and a client that presents one from before the fork is
///             told a restart. Fork while no other thread is inside the library. Not supported: vfork(),
///             _Fork() and clone(), which say nothing to the child.
template <class Traits = default_traits> class basic_broker {
  static_assert(
      detail::can_lock<Traits>,
      "no std::mutex here: use ssewire::single_threaded_traits, or traits of your own with a mutex");

 public:
  using subscription = basic_subscription<Traits>;

  /// Throws std::bad_alloc, and what the epoch's source throws.
  explicit basic_broker(broker_options options = {}) : core_(std::make_shared<core>(options)) {}
  basic_broker(basic_broker const&) = delete;
  basic_broker& operator=(basic_broker const&) = delete;

  /// Ends all subscriptions, with close_reason::drained. They may be destroyed later.
  ~basic_broker() { core_->close_all(); }

  /// Appends an event to a channel and wakes who is parked there. Never waits for a subscriber, a writer or
  /// a hook that blocks elsewhere; the hooks it calls run here, one after the other, before it returns.
  /// Input       `e`: borrowed for the call. Its type must not begin with "ssewire.". Without an ID it gets
  ///             the broker's. An ID of its own stays as it is: 1 to 128 bytes of 0x21 to 0x7E, not of the
  ///             form of the broker's, and not that of an event the channel still holds; a client can resume
  ///             from it as long as the channel holds it. On channels that are followed together IDs must
  ///             differ. `tag`: for filters; not sent. Costs 8 bytes an event on channels where one was not
  ///             0.
  /// Returns     the event's position. Or an error, and then nothing has happened and no position was used:
  ///             channel_name_refused, type_reserved, id_refused, id_in_use, event_too_large (serialized
  ///             beyond replay_limits::max_bytes), too_many_channels, closed, no_memory (in the child of a
  ///             fork() also where Traits::epoch() throws).
  /// Complexity  O(size of the event) outside the lock; under it a copy of at most 4 KiB, and the trimming
  ///             it causes.
  /// On several channels it has one position: a stream that follows more than one of them gets it once. Then
  /// also
  /// Errors      no_channel, and too_many_channels beyond broker_options::max_channels_per_stream.
  /// Complexity  expected O(names), and for each channel what publishing to it alone costs. Each log has its
  ///             own copy; the lock is held for all of them.
  result<position_id> publish(channel_names channels, event const& e,
                              publish_options const& options = {}) noexcept {
    if (!channels.is_one()) return publish(channels, std::span(&e, 1), options);
    auto const published = core_->publish(channels.one(), e, options.tag);
    (void)core_->count_refusal(published.error);
    return published;
  }

  /// The same for an event of this data: `publish("news", "hello")`.
  result<position_id> publish(channel_names channels, optional_text data,
                              publish_options const& options = {}) noexcept {
    return publish(channels, event{.data = data}, options);
  }

  /// Several events, in this order, with nothing between them, or none of them. Subscribers are woken once.
  /// None at all: ok, and nothing happens. More than max_events are taken, and the first of them go at once.
  /// Events borrow their text: what they were made of must live until this returns.
  /// Returns     the last one's position; the others lie directly before. event_too_large also if all
  ///             together exceed max_bytes. The lock is held for all of them.
  result<position_id> publish(channel_names channels, std::span<event const> events,
                              publish_options const& options = {}) noexcept {
    result<position_id> published{{}, errc::no_memory};
    detail::try_call(
        [&] { published = core_->publish(detail::name_views(channels).all(), events, options.tag); });
    (void)core_->count_refusal(published.error);
    return published;
  }

  /// Subscribes one stream to one or several channels, at one instant: what was published before comes from
  /// the log, what comes after is live, nothing twice and nothing lost.
  /// Input       `last_event_id`: what the client presents, hostile bytes welcome; absent or empty: nothing.
  ///             `channels`: a name given twice counts once. A channel need not exist yet. A name that is
  ///             absent is refused as an empty one is.
  /// Errors      no_channel, channel_name_refused, too_many_channels, too_many_subscribers, channel_full,
  ///             user_full, closed, no_memory; then nothing has changed.
  /// Complexity  expected O(names); under the lock a search in each channel's log, O(log n) in what it
  ///             holds, and with start_at::last as many of them as the logarithm of all positions.
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

  /// Begins a shutdown in order, which tick() goes on with: nobody is admitted and nothing published any
  /// more. Each stream leaves at a time of its own in the first half of the time until `deadline`. Until then
  /// it stays open, and is sent what was published until now; then its client is told to come back at its own
  /// time, broker_options::least_retry and a part of `spread`, and it ends. The departures are even over that
  /// half, and so are the times over `spread`, in the same order: clients neither leave nor return in a
  /// crowd. The first event of each new stream tells them their normal time again (broker_options::retry).
  /// From `deadline` on, tick() ends by force who is left. So call tick() in steps that are small in that
  /// time, a fiftieth of it, say, until stats().subscribers is 0. `deadline` not later than `now`: everybody
  /// leaves at once, and the next tick() at or after it forces. Calling again can only move the deadline
  /// earlier; the new `spread` applies to streams not yet notified.
  /// Complexity  O(subscribers), also of each tick(), with the lock let go after every 64; nothing is
  ///             allocated.
  void drain(steady_time now, steady_time deadline,
             reconnection_time spread = reconnection_time(5000)) noexcept {
    core_->drain(now, deadline, spread.milliseconds);
  }

  /// Lets time pass: forgets what is older than replay_limits::max_age and channels that nobody uses for
  /// channel_expiry, ends lagging streams whose policy says so, ends the streams of a drain at their times.
  /// Call it about ten times in max_age, or each second; more often while the broker drains.
  /// Complexity  O(channels + subscribers + what these follow + what is forgotten), with the lock let go
  ///             after every 64.
  void tick(steady_time now) noexcept { core_->tick(now); }

  /// How many subscriptions follow a channel now. Expected O(1), takes the lock.
  [[nodiscard]] std::uint64_t subscribers(optional_text channel) const noexcept {
    return core_->subscribers_of(channel.value());
  }

  // One channel a call.
  [[nodiscard]] std::uint64_t subscribers(std::initializer_list<std::string_view>) const = delete;

  /// The counters, at one instant. O(1), takes the lock.
  [[nodiscard]] broker_stats stats() const noexcept { return core_->stats(); }

 private:
  using core = detail::broker_core<Traits>;

  std::shared_ptr<core> core_;
};

using broker = basic_broker<>;
using subscription = basic_subscription<>;
using batch = basic_batch<default_traits>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
