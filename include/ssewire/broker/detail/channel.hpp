// SPDX-License-Identifier: MIT
// channel.hpp - a name, the log of its events, and its subscribers.
#pragma once

#include <ssewire/broker/detail/membership.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/pinned_bytes.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <cstddef>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> struct channel {
  channel(std::string_view called, siphash hash, std::size_t max_bytes, pinned_bytes const& pins)
      : name(called), history(hash, max_bytes, pins) {}

  std::string name;
  entry_log<Traits> history;
  parked_list<Traits> parked;
  subscriber<Traits>* leaders = nullptr;  // see in_step.hpp
  std::size_t members = 0;
  std::size_t told_members = 0;                          // the count that the presence hook got last
  bool telling = false;                                  // the presence hook is being called
  std::size_t index = 0;                                 // in channel_table's list
  std::size_t age_index = static_cast<std::size_t>(-1);  // in channel_table's heap of oldest events

  [[nodiscard]] bool is_used() const noexcept {
    return members != 0 || telling || history.events() != 0 ||
           (history.lost() != nullptr && history.lost()->has_lost());
  }
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
