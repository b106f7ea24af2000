// SPDX-License-Identifier: MIT
// state.hpp - what the one lock of a broker guards: its order of events, the logs, and who reads them.
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

// Private to broker_core, which shares it out: to the publisher, to admission, to the lifecycle. What only
// one of them needs stands there, under the same lock.
template <class Traits> struct broker_state {
  using mutex = typename Traits::mutex;
  using lock = std::unique_lock<mutex>;

  explicit broker_state(broker_options const& o)
      : options(o), hash{Traits::epoch()}, logs(options, hash, counts), hooks(o.on_presence),
        told(options, ids.unset(), sequence, hash, counts), reader(ids.unset(), told, hooks, counts) {}

  broker_options const options;
  siphash const hash;

  mutex guard;  // of all that follows
  identity<Traits> ids;
  std::uint64_t sequence = 0;  // the position of the last event
  broker_stats counts;
  channel_store<Traits> logs;
  hook_runner<Traits> hooks;
  control_events<Traits> told;
  cursor_reader<Traits> reader;
  subscriber_list<Traits> subscribers;

  // In a process that was cloned by fork() it is another broker, and begins anew. Called only while it is
  // open: one that is ending takes nothing new, and its streams read to the end. False: it cannot begin anew.
  [[nodiscard]] bool is_of_this_process() noexcept { return !ids.is_cloned() || begin_anew(); }

  // Its channels or its filter are others now, or its client knows too little: it is told where it stands.
  void say_position(lock& held, subscriber<Traits>& s) noexcept {
    if (s.due == position_due::no) s.due = position_due::yes;
    if (s.unpark()) hooks.fire(held, s, wake::ready);
  }

 private:
  // It holds nothing of what the other one published, and gives IDs of its own. Positions go on, so the
  // cursors of streams that were open stay right: what they had still to pull they have missed. False: no
  // epoch could be drawn, and nothing has changed.
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
