// SPDX-License-Identifier: MIT
// broker.hpp - channels, publish, subscribe. Replay and live delivery are one path: a subscriber is a cursor into its
// channels' logs, and resuming is a cursor that starts further back.
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header.
#pragma once

#include <ssewire/detail/cplusplus.hpp>

#include <ssewire/channel_names.hpp>
#include <ssewire/detail/broker_core.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/optional_text.hpp>
#include <ssewire/replay_buffer.hpp>
#include <ssewire/traits.hpp>
#include <ssewire/writer.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

template <class Traits> class basic_broker;
namespace detail {
template <class Traits> struct in_step;
}  // namespace detail

/// One stream's place in a broker: pull what follows it, park when nothing does. Movable; ends with its destruction.
/// An empty one (`subscription{}`, or moved from) pulls nothing and is closed.
/// Threads     one at a time; the wake hook runs on others. Outliving the broker is legal: it is closed then.
template <class Traits = default_traits> class basic_subscription {
  static_assert(detail::can_lock<Traits>,
                "no std::mutex here: use ssewire::single_threaded_traits, or traits of your own with a mutex");

 public:
  basic_subscription() noexcept = default;
  basic_subscription(basic_subscription&& other) noexcept
      : core_(std::move(other.core_)), state_(std::exchange(other.state_, nullptr)) {}
  basic_subscription& operator=(basic_subscription&& other) noexcept {
    basic_subscription old(std::move(other));  // ends what was here, when this holds the new one
    std::swap(core_, old.core_);
    std::swap(state_, old.state_);
    return *this;
  }
  ~basic_subscription() { close(); }

  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }

  /// What became of the last event ID it was made with.
  [[nodiscard]] resume_outcome outcome() const noexcept {
    return state_ == nullptr ? resume_outcome::fresh : state_->outcome;
  }

  /// Who is called when a parked subscription has something to pull, or is ended. Set it while not parked.
  void set_hook(wake_hook hook) noexcept {
    if (state_ != nullptr) core_->set_hook(*state_, hook);
  }

  /// Fills `out` with what comes next, about `room` bytes of it, but at least one event if there is one, and moves the
  /// cursor behind it. First come the notices, where they are due: what is missing, and where the stream stands.
  /// Complexity  for each run of frames, of which there are at most 28, a look at each of its channels, and
  ///             O(log n) in the pages of one. Takes the broker's lock once; with a filter, once more for
  ///             each batch it is shown.
  /// Throws      std::bad_alloc; then nothing was pulled.
  [[nodiscard]] pull_status pull(basic_batch<Traits>& out, std::size_t room) {
    if (state_ != nullptr) return core_->pull(*state_, out, room);
    out.clear();
    return pull_status::closed;
  }

  /// Of the batch just pulled only the first `taken` bytes were sent. The frames of which nothing was sent will be
  /// pulled again. Returns the rest of the frame that was sent in part, to be sent before anything else: a view of
  /// the batch. Empty if `taken` is a border between frames.
  [[nodiscard]] std::string_view give_back(basic_batch<Traits>& out, std::size_t taken) noexcept {
    return state_ == nullptr ? std::string_view() : core_->give_back(*state_, out, taken);
  }

  /// True: there is nothing to pull, and the hook will be called once when there is. False: pull now.
  /// Complexity  O(channels it follows), as are give_back(), let_go() and backlog().
  [[nodiscard]] bool park() noexcept { return state_ != nullptr && core_->park(*state_); }

  /// The batch pulled last is not being sent any more, nor is any part of it: its memory is not counted as held by this
  /// subscription. pull(), park() and a give_back() whose rest is 16 KiB at most say so, too.
  void let_go() noexcept {
    if (state_ != nullptr) core_->let_go(*state_);
  }

  /// Follows one more channel, from now on. What has come before comes first; then a position event says where the change
  /// was, and what the client resumes from is right for the new set. A channel it follows already: nothing happens.
  /// Errors      channel_name_refused, too_many_channels, channel_full, closed, no_memory, called_from_inside (its
  ///             filter); then nothing has changed.
  /// Complexity  O(channels it follows), with one allocation for all of them, outside the lock: a stream that
  ///             begins with many is better subscribed to them in one call.
  errc join(optional_text channel) noexcept {
    if (state_ == nullptr) return errc::closed;
    auto const of = kept();
    auto error = errc::no_memory;
    detail::attempt([&] { error = of->join(*state_, channel.value()); });
    return of->count_refusal(error);
  }

  errc join(std::initializer_list<std::string_view>) = delete;  // one channel a call

  /// Follows a channel no more; what it has not pulled of it is not pulled. A position event says where the change was. A
  /// channel it does not follow: nothing happens.
  /// Errors      no_channel (it follows no other: close it), closed, called_from_inside; then nothing has changed.
  /// Complexity  O(channels it follows).
  errc leave(optional_text channel) noexcept {
    if (state_ == nullptr) return errc::closed;
    auto const of = kept();
    return of->count_refusal(of->leave(*state_, channel.value()));
  }

  errc leave(std::initializer_list<std::string_view>) = delete;  // one channel a call

  /// From the next pull on, another filter admits the events; an empty one admits all. A position event says where.
  /// Errors      closed, called_from_inside; then nothing has changed.
  errc set_filter(event_filter filter) noexcept {
    if (state_ == nullptr) return errc::closed;
    auto const of = kept();
    return of->count_refusal(of->set_filter(*state_, filter));
  }

  /// How many held events it has still to pull, before its filter is asked; one on several of its channels counts on each. Right after subscribe(): how many will be replayed.
  [[nodiscard]] std::uint64_t backlog() const noexcept {
    return state_ == nullptr ? 0 : core_->backlog(*state_);
  }

  /// Why the broker ended it: close_reason::none while it has not. `removed` for an empty subscription and behind close().
  [[nodiscard]] close_reason reason() const noexcept {
    return state_ == nullptr ? close_reason::removed : core_->reason(*state_);
  }

  /// Whether its client gets position events; as it was subscribed.
  [[nodiscard]] position_events position() const noexcept {
    return state_ == nullptr || state_->says_position ? position_events::sent : position_events::left_out;
  }

  /// While the broker drains: how long this client should wait before it comes back, at least broker_options::least_retry. Each client
  /// has another. Zero before a drain. Streams tell it to clients that get position events; a program that takes every
  /// event for one of its own may take the field alone, too, for an event.
  [[nodiscard]] reconnection_time drain_retry() const noexcept {
    return reconnection_time(state_ == nullptr ? 0 : core_->drain_retry_ms(*state_));
  }

  /// Ends it. When this returns neither the hook nor the filter is running, and they never will, unless this is called from
  /// inside one of them.
  /// Complexity  O(channels it follows).
  /// Returns     why, as stats() counts it: if the broker had ended it already, its reason.
  close_reason close(close_reason why = close_reason::removed) noexcept {
    auto of = std::move(core_);  // what it calls may assign to this, or destroy it
    auto* const state = std::exchange(state_, nullptr);
    if (state == nullptr) return why;
    auto& at = *of;
    return at.close(state, why, std::move(of));
  }

 private:
  friend class basic_broker<Traits>;
  friend struct detail::in_step<Traits>;
  using core = detail::broker_core<Traits>;
  basic_subscription(std::shared_ptr<core> of, typename core::subscriber* state) noexcept
      : core_(std::move(of)), state_(state) {}

  // For calls that call the hook, which may close this.
  [[nodiscard]] std::shared_ptr<core> kept() const noexcept { return core_; }

  std::shared_ptr<core> core_;
  typename core::subscriber* state_ = nullptr;
};

/// A subscription, or why there is none.
template <class Traits = default_traits> struct basic_subscribe_result {
  basic_subscription<Traits> subscription = {};
  errc error = errc::ok;

  explicit operator bool() const noexcept { return error == errc::ok; }
};

/// Channels in one order of events. Every event has a position in it, and so one last event ID is enough for a client
/// that follows several channels on one connection.
/// Threads     any thread, any call, at the same time; also from inside wake hooks and writers. Its destructor: one
///             thread, after the last other call, not from inside a hook.
/// Processes   in the child of a fork() it is another broker from its first publish or subscribe on: it holds
///             nothing, its IDs are others, and a client that presents one from before the fork is told a restart.
///             Fork while no other thread is inside the library. Not supported: vfork(), _Fork() and clone(), which
///             say nothing to the child.
template <class Traits = default_traits> class basic_broker {
  static_assert(detail::can_lock<Traits>,
                "no std::mutex here: use ssewire::single_threaded_traits, or traits of your own with a mutex");

 public:
  using subscription = basic_subscription<Traits>;
  using subscribe_result = basic_subscribe_result<Traits>;

  /// Throws std::bad_alloc, and what the epoch's source throws.
  explicit basic_broker(broker_options options = {}) : core_(std::make_shared<core>(options)) {}
  basic_broker(basic_broker const&) = delete;
  basic_broker& operator=(basic_broker const&) = delete;

  /// Ends all subscriptions, with close_reason::drained. They may be destroyed later.
  ~basic_broker() { core_->close_all(); }

  /// Appends an event to a channel and wakes who is parked there. Never waits for a subscriber, a writer or a hook
  /// that blocks elsewhere; the hooks it calls run here, one after the other, before it returns.
  /// Input       `e`: borrowed for the call. Its type must not begin with "ssewire.". Without an ID it gets the broker's. An
  ///             ID of its own stays as it is: 1 to 128 bytes of 0x21 to 0x7E, not of the form of the broker's, and not
  ///             that of an event the channel still holds; a client can resume from it as long as the channel holds it.
  ///             On channels that are followed together IDs must differ.
  ///             `tag`: for filters; not sent. Costs 8 bytes an event on channels where one was not 0.
  /// Returns     the event's position. Or an error, and then nothing has happened and no position was used:
  ///             channel_name_refused, type_reserved, id_refused, id_in_use, event_too_large (serialized beyond
  ///             replay_limits::max_bytes), too_many_channels, closed, no_memory (in the child of a fork() also where
  ///             Traits::epoch() throws).
  /// Complexity  O(size of the event) outside the lock; under it a copy of at most 4 KiB, and the trimming it causes.
  /// On several channels it has one position: a stream that follows more than one of them gets it once. Then also
  /// Errors      no_channel, and too_many_channels beyond broker_options::max_channels_per_stream.
  /// Complexity  expected O(names), and for each channel what publishing to it alone costs. Each log has its
  ///             own copy; the lock is held for all of them.
  publish_result publish(channel_names channels, event const& e, std::uint64_t tag = 0) noexcept {
    if (!channels.is_one()) return publish(channels, std::span(&e, 1), tag);
    auto const result = core_->publish(channels.one(), e, tag);
    (void)core_->count_refusal(result.error);
    return result;
  }

  /// Several events, in this order, with nothing between them, or none of them. Subscribers are woken once. None at all: ok,
  /// and nothing happens. More than max_events are taken, and the first of them go at once. Events borrow their text: what
  /// they were made of must live until this returns.
  /// Returns     the last one's position; the others lie directly before. event_too_large also if all together exceed
  ///             max_bytes. The lock is held for all of them.
  publish_result publish(channel_names channels, std::span<event const> events, std::uint64_t tag = 0) noexcept {
    publish_result result{{}, errc::no_memory};
    detail::attempt([&] { result = core_->publish(detail::name_views(channels).all(), events, tag); });
    (void)core_->count_refusal(result.error);
    return result;
  }

  /// Subscribes one stream to one or several channels, at one instant: what was published before comes from the log,
  /// what comes after is live, nothing twice and nothing lost.
  /// Input       `last_event_id`: what the client presents, hostile bytes welcome; absent or empty: nothing.
  ///             `channels`: a name given twice counts once. A channel need not exist yet. A name that is absent is
  ///             refused as an empty one is.
  /// Errors      no_channel, channel_name_refused, too_many_channels, too_many_subscribers, channel_full, user_full,
  ///             closed, no_memory; then nothing has changed.
  /// Complexity  expected O(names); under the lock a search in each channel's log, O(log n) in what it holds,
  ///             and with start_at::last as many of them as the logarithm of all positions.
  [[nodiscard]] subscribe_result subscribe(channel_names channels, optional_text last_event_id = {},
                                           subscribe_options const& options = {}) noexcept {
    subscribe_result result{{}, errc::no_memory};
    detail::attempt([&] {
      auto const [state, error] =
          core_->subscribe(detail::name_views(channels).all(), last_event_id.value(), options);
      if (state != nullptr) result.subscription = subscription(core_, state);
      result.error = error;
    });
    (void)core_->count_refusal(result.error);
    return result;
  }

  /// Begins a shutdown in order, which tick() goes on with: nobody is admitted and nothing published any more. Each stream
  /// has its turn in the first half of the time until `deadline`. Before that it stays open, and is sent what was published
  /// until now; then its client is told to come back at its own time, broker_options::least_retry and a part of `spread`, and it
  /// ends. The turns are even over that half, and so are the times over `spread`, in the same order: clients neither leave nor
  /// return in a crowd. The first event of each new stream tells them their normal time again (broker_options::retry).
  /// From `deadline` on, tick() ends by force who is left. So call tick() in steps that are small in that time, a fiftieth
  /// of it, say, until stats().subscribers is 0.
  /// `deadline` not later than `now`: it is everybody's turn at once, and the next tick() at or behind it forces.
  /// A second call may bring the end nearer, and never puts it off; its `spread` is that of all who have not been told.
  /// Complexity  O(subscribers), also of each tick(), with the lock let go after every 64; nothing is allocated.
  void drain(steady_time now, steady_time deadline,
             reconnection_time spread = reconnection_time(5000)) noexcept {
    core_->drain(now, deadline, spread.milliseconds);
  }

  /// Lets time pass: forgets what is older than replay_limits::max_age and channels that nobody uses for channel_expiry,
  /// ends lagging streams whose policy says so, ends the streams of a drain in their turns. Call it about ten times in max_age,
  /// or each second; more often while the broker drains.
  /// Complexity  O(channels + subscribers + what these follow + what is forgotten), with the lock let go
  ///             after every 64.
  void tick(steady_time now) noexcept { core_->tick(now); }

  /// How many subscriptions follow a channel now. Expected O(1), takes the lock.
  [[nodiscard]] std::uint64_t subscribers(optional_text channel) const noexcept {
    return core_->subscribers_of(channel.value());
  }

  std::uint64_t subscribers(std::initializer_list<std::string_view>) const = delete;  // one channel a call

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

#include <ssewire/detail/end.hpp>
