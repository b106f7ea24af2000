// SPDX-License-Identifier: MIT
// identity.hpp - the epoch, which says whose IDs these are. Each process draws its own. fork() clones the
// epoch, and two processes with one epoch would give one ID to different events.
#pragma once

#include <ssewire/core/position.hpp>
#include <ssewire/core/process.hpp>
#include <ssewire/core/try_call.hpp>

#include <cstdint>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class identity {
 public:
  // Throws std::bad_alloc and whatever the source of epochs throws.
  identity() : process_(watched_process()), unset_(Traits::epoch(), 0) {}

  // A position of the epoch; its number means nothing. The reference stays valid, also across renew().
  [[nodiscard]] position_id const& unset() const noexcept { return unset_; }

  // The epoch was drawn in another process, of which this one is a clone. It must not be used here.
  [[nodiscard]] bool is_cloned() const noexcept { return process_ != Traits::process(); }

  // Draws an epoch for this process. False: drawing failed, and nothing has changed.
  [[nodiscard]] bool renew() noexcept {
    auto const process = Traits::process();
    return try_call([&] {
      unset_ = position_id(Traits::epoch(), 0);
      process_ = process;
    });
  }

 private:
  static std::uint32_t watched_process() {
    watch_for_clones();
    return Traits::process();
  }

  std::uint32_t process_;  // the process that drew the epoch
  position_id unset_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
