// SPDX-License-Identifier: MIT
// hook_runner.hpp - calls users' hooks without the broker's lock, one call at a time for each subscriber and
// each channel.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/presence.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/wake.hpp>

#include <cstddef>
#include <mutex>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Lets go of the lock at each 64th step, so that no thread waits for a long walk.
template <class Lock> void breathe(Lock& held, std::size_t step) noexcept {
  constexpr std::size_t steps_a_hold = 64;
  if (step % steps_a_hold != steps_a_hold - 1) return;
  held.unlock();
  held.lock();
}

// Threads: one at a time, under the broker's lock. Each call is given that lock, held.
template <class Traits> class hook_runner {
 public:
  using lock = std::unique_lock<typename Traits::mutex>;
  using subscriber = detail::subscriber<Traits>;
  using channel = detail::channel<Traits>;

  explicit hook_runner(presence_hook hook) noexcept : presence_(hook) {}

  void wake_all(lock& held, parked_list<Traits>& taken) noexcept {
    for (std::size_t step = 0; taken.first != nullptr; breathe(held, step++)) {
      auto& m = *taken.first;
      auto& s = *m.owner;
      m.unlink();
      if (s.unpark()) fire(held, s, wake::ready);
    }
  }

  // Calls the hook without the lock. One thread at a time does so for a subscriber: another thread that
  // comes meanwhile only sets a flag for the first one. The subscriber may be destroyed when this returns.
  [[gnu::always_inline]] void fire(lock& held, subscriber& s, wake why) noexcept {
    if (s.hook.call == nullptr) return;
    if (s.now_firing != nullptr) {
      (why == wake::ready ? s.now_firing->again_ready : s.now_firing->again_evicted) = true;
      return;
    }
    firing<Traits> here{Traits::this_thread()};
    s.now_firing = &here;
    for (bool again = true; again;) {
      auto const hook = s.hook;
      if (hook.call == nullptr) break;  // taken away meanwhile
      held.unlock();
      hook.call(hook.context, why);
      held.lock();
      if (here.orphaned) {
        held.unlock();  // as in destroy()
        delete &s;
        held.lock();
        return;
      }
      again = !s.is_closed() && (here.again_evicted || here.again_ready);
      why = here.again_evicted ? wake::evicted : wake::ready;
      here.again_evicted = here.again_ready = false;  // after `evicted` nothing is ready
    }
    s.now_firing = nullptr;
    if (s.now == phase::closing_waits) returned_.notify_all();
  }

  // For a subscriber that is in no list any more. Waits until its hook has returned, unless the hook runs on
  // this thread: then fire() destroys the subscriber. Lets go of the lock otherwise.
  void destroy(lock& held, subscriber* s) noexcept {
    if (s->now_firing != nullptr && s->now_firing->thread == Traits::this_thread()) {
      s->now_firing->orphaned = true;
      return;
    }
    s->now = phase::closing_waits;
    while (s->now_firing != nullptr) returned_.wait(held);
    held.unlock();  // its filter is destroyed with it
    delete s;
  }

  // Calls the presence hook without the lock until it has been given the current count. One thread does so
  // for a channel; a thread that comes meanwhile leaves it to the first one. The channel exists at least
  // until this returns.
  void tell_presence(lock& held, channel& c) noexcept {
    if (c.telling) return;
    c.telling = true;
    while (c.told_members != c.members && presence_.call != nullptr) {
      auto const hook = presence_;
      presence const now{c.name, c.told_members, c.members};
      c.told_members = c.members;
      ++telling_;
      held.unlock();
      hook.call(hook.context, now);
      held.lock();
      if (--telling_ == 0) returned_.notify_all();
    }
    c.telling = false;
  }

  // The presence hook is not called any more, and no call of it runs when this returns.
  void end_presence(lock& held) noexcept {
    presence_ = {};
    while (telling_ != 0) returned_.wait(held);
  }

 private:
  presence_hook presence_;
  typename Traits::condition_variable returned_;
  std::size_t telling_ = 0;  // calls of the presence hook under way
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
