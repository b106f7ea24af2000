// SPDX-License-Identifier: MIT
// publisher.hpp - one publish: serialize outside the lock, append under it, wake parked streams.
//
// It looks at no cursor: what a slow subscriber costs is paid in its own pull.
#pragma once

#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/detail/lifecycle.hpp>
#include <ssewire/broker/detail/state.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/prepared_event.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: any. publish() takes the broker's lock.
template <class Traits> class publisher {
 public:
  using lock = typename broker_state<Traits>::lock;
  using channel = detail::channel<Traits>;

  publisher(broker_state<Traits>& state, lifecycle<Traits>& life) noexcept : state_(state), life_(life) {}

  result<position_id> publish(std::string_view name, event const& e, std::uint64_t tag) noexcept {
    if (!state_.logs.takes_name(name)) return {{}, errc::channel_name_refused};
    prepared_event<Traits> prepared;
    std::array<char, largest_copied_frame> room;
    if (is_reserved(e.type)) return {{}, errc::type_reserved};
    auto const error = prepared.prepare(e, tag, state_.hash, state_.options.replay.max_bytes, room);
    if (error != errc::ok) return {{}, error};
    parked_list<Traits> woken;
    channel* to = nullptr;
    lock held(state_.guard);
    return commit(held, {&name, 1}, {&to, 1}, {&prepared, 1}, {&woken, 1});
  }

  // Publishes all events on all channels, or none. Throws std::bad_alloc; then nothing has changed.
  result<position_id> publish(std::span<std::string_view const> names, std::span<event const> events,
                              std::uint64_t tag) {
    auto const max_bytes = state_.options.replay.max_bytes;
    std::vector<std::string_view> distinct;
    if (auto const error = state_.logs.take_names(names, distinct); error != errc::ok) return {{}, error};
    if (events.empty()) return {{}, errc::ok};

    std::vector<prepared_event<Traits>> prepared(distinct.size() * events.size());
    std::size_t all = 0;
    std::size_t copied = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (is_reserved(events[i].type)) return {{}, errc::type_reserved};
      auto const error = prepared[i].measure(events[i], max_bytes);
      if (error != errc::ok) return {{}, error};
      all += prepared[i].size();
      if (all > max_bytes) return {{}, errc::event_too_large};
      if (!prepared[i].is_large()) copied += prepared[i].size();
    }
    auto const room = std::make_unique<char[]>(copied);
    auto* at = room.get();
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (!prepared[i].build(events[i], tag, state_.hash, at)) return {{}, errc::no_memory};
      if (!prepared[i].is_large()) at += prepared[i].size();
    }
    for (auto i = events.size(); i < prepared.size(); ++i) {
      if (!prepared[i % events.size()].copy_to(prepared[i])) return {{}, errc::no_memory};
    }
    auto const woken = std::make_unique<parked_list<Traits>[]>(distinct.size());
    std::vector<channel*> to(distinct.size());
    lock held(state_.guard);
    return commit(held, distinct, to, prepared, {woken.get(), distinct.size()});
  }

  // A publisher may not use the types of control events, unless the options give these the default type.
  [[nodiscard]] bool is_reserved(event_type type) const noexcept {
    auto const& options = state_.options;
    bool const ours = type == options.gap_type || type == options.position_type;
    return ours && type.name() != event_type().name();
  }

 private:
  // The part under the lock. See channel_store::append for the arguments; `woken` has an empty list for each
  // channel.
  [[gnu::always_inline]] result<position_id> commit(lock& held, std::span<std::string_view const> names,
                                                    std::span<channel*> to,
                                                    std::span<prepared_event<Traits>> prepared,
                                                    std::span<parked_list<Traits>> woken) noexcept {
    auto& at = state_;  // loaded once: the compiler cannot know that no call changes the reference
    if (!life_.is_open()) return {{}, errc::closed};
    if (!at.is_of_this_process()) return {{}, errc::no_memory};
    auto& sequence = at.sequence;
    auto const& unset = at.ids.unset();
    if (auto const error = at.logs.append(names, to, prepared, unset, sequence); error != errc::ok)
      return {{}, error};
    auto const events = prepared.size() / names.size();
    sequence += events;
    auto const* const given = prepared[events - 1].given_id();
    auto const id = given != nullptr ? position_id::from(given) : unset.at(sequence);
    at.counts.published += events;
    for (auto const& one : prepared.first(events)) at.counts.published_bytes += one.size();
    for (std::size_t i = 0; i < to.size(); ++i) {
      at.logs.trim(*to[i]);
      woken[i].take(to[i]->parked);
    }
    at.logs.trim_all(sequence - 1);
    for (auto& list : woken) at.hooks.wake_all(held, list);
    life_.end_holders(held);
    return {id, errc::ok};
  }

  broker_state<Traits>& state_;
  lifecycle<Traits>& life_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
