// SPDX-License-Identifier: MIT
// state.hpp - what the one lock of a broker guards: the order of events, the logs and the subscribers.
#pragma once

#include <ssewire/broker/detail/channel_store.hpp>
#include <ssewire/broker/detail/control_events.hpp>
#include <ssewire/broker/detail/cursor_reader.hpp>
#include <ssewire/broker/detail/hook_runner.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/detail/identity.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <cstdint>
#include <mutex>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// broker_core owns it and gives it to publisher, admission and lifecycle. State that only one of these needs
// is a member there, under the same lock.
template <class Traits> struct broker_state {
  using mutex = typename Traits::mutex;
  using lock = std::unique_lock<mutex>;

  explicit broker_state(broker_options const& o)
      : options(o), hash{Traits::epoch()}, logs(options, hash, counts), hooks(o.on_presence),
        told(options, ids.unset(), sequence, hash, counts), reader(ids.unset(), told, hooks, counts) {}

  broker_options const options;
  siphash const hash;

  mutex guard;  // guards all that follows
  identity<Traits> ids;
  std::uint64_t sequence = 0;  // the position of the last event
  broker_stats counts;
  channel_store<Traits> logs;
  hook_runner<Traits> hooks;
  control_events<Traits> told;
  cursor_reader<Traits> reader;
  subscriber_list<Traits> subscribers;

  // In a process that was cloned by fork() the broker begins anew, as another broker. Called only while it
  // is open: one that is ending takes nothing new, and its streams read to the end. False: it cannot begin
  // anew, so nothing new may be taken.
  [[nodiscard]] bool is_of_this_process() noexcept { return !ids.is_cloned() || begin_anew(); }

  // A position event is due: the channels or the filter have changed, or the client's last ID is too old.
  void say_position(lock& held, subscriber<Traits>& s) noexcept {
    if (s.due == position_due::no) s.due = position_due::yes;
    if (s.unpark()) hooks.fire(held, s, wake::ready);
  }

 private:
  // Forgets all that the parent process published, and draws a new epoch for its IDs. Positions go on, so
  // the cursors of open streams stay right: what they had not pulled counts as missed. False: no epoch could
  // be drawn, and nothing has changed.
  [[nodiscard, gnu::noinline]] bool begin_anew() noexcept {
    if (!ids.renew()) return false;
    logs.forget_all();
    return true;
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
