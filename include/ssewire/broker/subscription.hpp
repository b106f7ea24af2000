// SPDX-License-Identifier: MIT
// subscription.hpp - one stream's place in a broker.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/detail/core.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

template <class Traits> class basic_broker;
namespace detail {
template <class Traits> struct in_step;
}  // namespace detail

/// One stream's place in a broker: pull what comes next, and park when nothing does. It is movable, and ends
/// when it is destroyed. An empty one (`subscription{}`, or moved from) pulls nothing and is closed.
///
/// @par Lifetime  It may outlive the broker: it is closed then.
/// @par Threads   One thread at a time; the wake hook runs on others.
template <class Traits = default_traits> class basic_subscription {
  static_assert(
      detail::can_lock<Traits>,
      "no std::mutex here: use ssewire::single_threaded_traits, or traits of your own with a mutex");

 public:
  /// The frames of one pull.
  using batch = basic_batch<Traits>;
  /// The broker's traits.
  using traits = Traits;

  basic_subscription() noexcept = default;
  /// Takes the place of `other`, which is empty then.
  basic_subscription(basic_subscription&& other) noexcept
      : core_(std::move(other.core_)), state_(std::exchange(other.state_, nullptr)) {}
  /// Takes the place of `other`, which is empty then, and ends the place that this object had.
  basic_subscription& operator=(basic_subscription&& other) noexcept {
    basic_subscription old(std::move(other));  // ends the old place, when this already holds the new one
    std::swap(core_, old.core_);
    std::swap(state_, old.state_);
    return *this;
  }
  /// Ends it, as close() does.
  ~basic_subscription() { close(); }

  /// Whether it is not empty.
  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }

  /// What became of the last event ID that it was made with.
  [[nodiscard]] resume_outcome outcome() const noexcept {
    return state_ == nullptr ? resume_outcome::fresh : state_->outcome;
  }

  /// Sets the hook that is called when a parked subscription has something to pull, and when the broker ends
  /// it. Set it while it is not parked.
  void set_hook(wake_hook hook) noexcept {
    if (state_ != nullptr) core_->set_hook(*state_, hook);
  }

  /// Fills `out` with the next events and moves the cursor past them. The library's own events come first,
  /// where they are due: what is missing, and where the stream stands.
  ///
  /// @param out       The frames.
  /// @param room      About how many bytes; at least one event is pulled, if there is one.
  /// @throws          std::bad_alloc, and what the filter throws; then nothing was pulled.
  /// @par Complexity  For each run of frames (28 at most) a look at each of its channels, and O(log n) in
  ///   the pages of one. Takes the broker's lock once; with a filter, once more for each batch that the
  ///   filter is shown.
  [[nodiscard]] pull_status pull(basic_batch<Traits>& out, std::size_t room) {
    if (state_ != nullptr) return core_->pull(*state_, out, room);
    out.clear();
    return pull_status::closed;
  }

  /// Gives back what was not sent of the batch just pulled. Frames of which nothing was sent will be pulled
  /// again.
  ///
  /// @param out    The batch just pulled.
  /// @param taken  How many of its first bytes were sent.
  /// @return       The rest of the frame that was sent in part: send it before anything else. A view of the
  ///   batch; empty if `taken` ends between two frames.
  [[nodiscard]] std::string_view give_back(basic_batch<Traits>& out, std::size_t taken) noexcept {
    return state_ == nullptr ? std::string_view() : core_->give_back(*state_, out, taken);
  }

  /// Waits for the hook.
  ///
  /// @return          true: there is nothing to pull, and the hook will be called once when there is. false:
  ///   pull now.
  /// @par Complexity  O(channels it follows), as of give_back(), let_go() and backlog().
  [[nodiscard]] bool park() noexcept { return state_ != nullptr && core_->park(*state_); }

  /// No part of the last batch is being sent any more: its memory no longer counts as pinned by this
  /// subscription. pull(), park(), and a give_back() whose rest is at most 16 KiB imply it.
  void let_go() noexcept {
    if (state_ != nullptr) core_->let_go(*state_);
  }

  /// Follows one more channel, from now on. Events that were published before this call come first. Then a
  /// position event says where the change was, so that the client's last event ID is right for the new set.
  /// If the channel is followed already, nothing happens.
  ///
  /// @param channel   The channel's name. Borrowed for the call.
  /// @return          channel_name_refused, too_many_channels, channel_full, closed, no_memory,
  ///   called_from_inside (its filter); then nothing has changed.
  /// @par Complexity  O(channels it follows), with one allocation outside the lock. Subscribe to many
  ///   channels in one call instead.
  errc join(optional_text channel) noexcept {
    if (state_ == nullptr) return errc::closed;
    auto const of = kept();
    auto error = errc::no_memory;
    detail::try_call([&] { error = of->join(*state_, channel.value()); });
    return of->count_refusal(error);
  }

  errc join(std::initializer_list<std::string_view>) = delete;  // one channel a call

  /// Stops following a channel; its events that were not pulled will not be. A position event says where the
  /// change was. If the channel is not followed, nothing happens.
  ///
  /// @param channel   The channel's name. Borrowed for the call.
  /// @return          no_channel (it follows no other channel: close it), closed, called_from_inside; then
  ///   nothing has changed.
  /// @par Complexity  O(channels it follows).
  errc leave(optional_text channel) noexcept {
    if (state_ == nullptr) return errc::closed;
    auto const of = kept();
    return of->count_refusal(of->leave(*state_, channel.value()));
  }

  errc leave(std::initializer_list<std::string_view>) = delete;  // one channel a call

  /// Sets another filter, from the next pull on. A position event says where the change was.
  ///
  /// @param filter  An empty one admits all events.
  /// @return        closed, called_from_inside; then nothing has changed.
  errc set_filter(event_filter filter) noexcept {
    if (state_ == nullptr) return errc::closed;
    auto const of = kept();
    return of->count_refusal(of->set_filter(*state_, filter));
  }

  /// Events retained but not yet pulled, before filtering; counted once per followed channel. Right after
  /// subscribe(): how many will be replayed.
  [[nodiscard]] std::uint64_t backlog() const noexcept {
    return state_ == nullptr ? 0 : core_->backlog(*state_);
  }

  /// Why the broker has ended it; close_reason::none while it has not. `removed` for an empty subscription
  /// and after close().
  [[nodiscard]] close_reason reason() const noexcept {
    return state_ == nullptr ? close_reason::removed : core_->reason(*state_);
  }

  /// The ID by which any thread can end it: basic_broker::close(). None if it is empty, has ended, or an
  /// allocation fails.
  ///
  /// @par Complexity  Expected O(1); takes the lock. From now on the broker keeps about 60 bytes more for it.
  [[nodiscard]] subscription_id id() noexcept {
    subscription_id its;
    if (state_ != nullptr) detail::try_call([&] { its = core_->identify(*state_); });
    return its;
  }

  /// Whether its client gets position events, as subscribe_options said.
  [[nodiscard]] position_events position() const noexcept {
    return state_ == nullptr ? position_events::sent : state_->position;
  }

  /// While the broker drains: how long this client should wait before it comes back, at least
  /// broker_options::least_retry. Each client gets another time. Zero before a drain.
  [[nodiscard]] reconnection_time drain_retry() const noexcept {
    return reconnection_time(state_ == nullptr ? 0 : core_->drain_retry_ms(*state_));
  }

  /// drain_retry() for a stream that ends. None for a client that gets no position events: a program that
  /// takes every event for one of its own may also take the `retry` field alone for an event.
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept {
    if (position() == position_events::left_out) return std::nullopt;
    return drain_retry();
  }

  /// What its driver calls with the time: `ticker()(now)`. It ticks the broker if broker_options::ticks says
  /// that drivers do, and it is time. It returns when to call it again, at the latest; nothing: never. That
  /// is within a second, or later if there are more than a thousand streams.
  ///
  /// @par Lifetime  It may outlive the subscription: the call may call the hook, which may end that.
  /// @par Threads   Any.
  [[nodiscard]] auto ticker() const noexcept {
    auto const number = state_ == nullptr ? 0 : state_->number;
    return [of = core_, number](steady_time now) noexcept -> std::optional<steady_time> {
      if (of == nullptr) return std::nullopt;
      return of->tick_if_due(now, number);
    };
  }

  /// Ends it. When this returns, neither the hook nor the filter is running, and they never will. The
  /// exception is a call from inside one of them.
  ///
  /// @param why       The reason, unless the broker has ended it already.
  /// @return          The reason that stats() counts: the broker's if it had ended it already, else `why`.
  /// @par Complexity  O(channels it follows).
  close_reason close(close_reason why = close_reason::removed) noexcept {
    auto of = std::move(core_);  // the hook may assign to this, or destroy it
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

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
