// SPDX-License-Identifier: MIT
// hook_runner.hpp - calls users' hooks without the broker's lock, one call at a time for each subscriber and
// each channel.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>
#include <ssewire/broker/detail/users.hpp>
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
  using follower = detail::follower<Traits>;

  hook_runner(presence_hook hook, follower_table<Traits>& followers) noexcept
      : presence_(hook), followers_(followers) {}

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

  // The number of a user's streams on a channel may have changed. tell_presence() must follow. Null: no user.
  void note(channel& c, follower* who) noexcept {
    if (who == nullptr || who->next_changed != nullptr) return;
    auto* const last = std::exchange(c.changed, who);
    who->next_changed = last == nullptr ? who : std::exchange(last->next_changed, who);
  }

  // Calls the presence hook without the lock until it has been given the current counts. One thread does so
  // for a channel; a thread that comes meanwhile leaves it to the first one. The channel exists at least
  // until this returns.
  void tell_presence(lock& held, channel& c) noexcept {
    if (c.telling) return;
    c.telling = true;
    for (bool more = true; more;) {
      more = tell_of_others(held, c);
      if (auto* const who = take_changed(c)) {
        more = true;
        tell_of(held, c, *who);
        followers_.drop_if_unused(who);
      }
    }
    c.telling = false;
  }

  // The presence hook is not called any more, and no call of it runs when this returns.
  void end_presence(lock& held) noexcept {
    presence_ = {};
    while (telling_ != 0) returned_.wait(held);
  }

 private:
  // Tells of the streams without a user. False: nothing has changed.
  bool tell_of_others(lock& held, channel& c) noexcept {
    auto const others = c.members - c.members_of_users;
    auto const told = c.told_members - c.told_members_of_users;
    if (others == told) return false;
    presence const now{c.name, c.told_members, c.told_members - told + others};
    c.told_members = now.now;
    call_presence(held, now);
    return true;
  }

  void tell_of(lock& held, channel& c, follower& who) noexcept {
    if (who.streams == who.told) return;
    presence const now{c.name,   c.told_members, c.told_members - who.told + who.streams,
                       who.user, who.told,       who.streams};
    c.told_members_of_users += who.streams - who.told;  // may wrap round, and back
    c.told_members = now.now;
    who.told = who.streams;
    who.telling = true;
    call_presence(held, now);
    who.telling = false;
  }

  // The user that has waited the longest. Null: there is none.
  [[nodiscard]] static follower* take_changed(channel& c) noexcept {
    if (c.changed == nullptr) return nullptr;
    auto* const first = c.changed->next_changed;
    c.changed->next_changed = first->next_changed;
    if (first == c.changed) c.changed = nullptr;
    first->next_changed = nullptr;
    return first;
  }

  void call_presence(lock& held, presence const& now) noexcept {
    auto const hook = presence_;
    if (hook.call == nullptr) return;
    ++telling_;
    held.unlock();
    hook.call(hook.context, now);
    held.lock();
    if (--telling_ == 0) returned_.notify_all();
  }

  presence_hook presence_;
  follower_table<Traits>& followers_;
  typename Traits::condition_variable returned_;
  std::size_t telling_ = 0;  // calls of the presence hook under way
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
