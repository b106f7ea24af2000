// SPDX-License-Identifier: MIT
// state.hpp - what the one lock of a broker guards: the order of events, the logs and the subscribers.
#pragma once

#include <ssewire/broker/detail/channel_store.hpp>
#include <ssewire/broker/detail/control_events.hpp>
#include <ssewire/broker/detail/cursor_reader.hpp>
#include <ssewire/broker/detail/hook_runner.hpp>
#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/detail/users.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/detail/identity.hpp>
#include <ssewire/log/detail/indexed_heap.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>

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
      : options(o), hash{Traits::epoch()}, logs(options, hash, counts), followers(hash),
        hooks(o.on_presence, followers), told(options, ids.unset(), sequence, hash, counts),
        reader(ids.unset(), told, hooks, counts), users(options, hash) {}

  broker_options const options;
  siphash const hash;
  std::uint64_t const own_name = hash("this broker") | 1;  // tells its IDs of subscriptions from another's

  mutex guard;  // guards all that follows
  identity<Traits> ids;
  std::uint64_t sequence = 0;  // the position of the last event
  broker_stats counts;
  channel_store<Traits> logs;
  follower_table<Traits> followers;
  hook_runner<Traits> hooks;
  control_events<Traits> told;
  cursor_reader<Traits> reader;
  subscriber_list<Traits> subscribers;
  std::uint64_t joined = 0;  // subscribers ever admitted
  user_table<Traits> users;
  recent_closes closes;
  indexed_heap<steady_time, subscriber<Traits>, &subscriber<Traits>::expiry_index> expiries;
  std::unordered_map<std::uint64_t, subscriber<Traits>*> with_id;  // those whose ID the program knows

  // What recent_closes knows a user or a channel by.
  [[nodiscard]] std::uint64_t hash_of_user(std::string_view key) const noexcept { return hash(key) | 1; }
  [[nodiscard]] std::uint64_t hash_of_channel(std::string_view name) const noexcept {
    return hash(name) & ~std::uint64_t{1};
  }

  // The subscriber has been ended: it counts for its user no more, and nothing ends it again.
  void retire(subscriber<Traits>& s) noexcept {
    users.remove(s);
    if (s.expiry_index != not_in_heap) expiries.remove(s);
    if (std::exchange(s.has_id, false)) with_id.erase(s.number);
  }

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
