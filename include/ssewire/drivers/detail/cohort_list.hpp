// SPDX-License-Identifier: MIT
// cohort_list.hpp - a reactor's cohorts: found by those who could be in step with others, made for the first
// of them, and gone with the last.
#pragma once

#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/drivers/detail/cohort.hpp>
#include <ssewire/drivers/detail/in_step.hpp>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: the reactor's. `Seat`: as for cohort.
template <class Seat, class Traits> class cohort_list {
 public:
  using cohort = detail::cohort<Seat, Traits>;
  using in_step = detail::in_step<Traits>;
  using subscription = typename in_step::subscription;

  // The cohort that `s` belongs to, with one stream more attached to it; or null, and whether to try again
  // another time. `woken`: the leader's hook, see of().
  cohort* find_or_make(leader_key const& key, subscription const& s, void (*woken)(void*, wake) noexcept,
                       bool& try_again) noexcept {
    cohort* found = nullptr;
    if (auto* const context = in_step::find(s, key, try_again)) {
      found = &of(context);
    } else if (try_again) {
      try_call([&] { found = make(key, s, woken); });
    }
    if (found != nullptr) ++found->attached;
    return found;
  }

  // From the context of a leader's hook.
  [[nodiscard]] static cohort& of(void* context) noexcept {
    return *static_cast<cohort*>(static_cast<leader_key*>(context));
  }

  // One stream less is attached to it. Its leader goes with the last one, and so no hook queues it any more.
  void detach(cohort& c) noexcept {
    if (--c.attached != 0) return;
    in_step::dismiss(*c.at, std::exchange(c.leader, nullptr));
    free_if_unused(c);
  }

  // If it is queued, or in a round, the turn that meets it frees it.
  void free_if_unused(cohort& c) noexcept {
    if (c.attached != 0 || c.in_round() || c.queued()) return;
    c.unlink();
    auto const index = c.index;
    if (index + 1 != all_.size()) {
      all_.back()->index = index;
      std::swap(all_[index], all_.back());
    }
    all_.pop_back();
  }

 private:
  cohort* make(leader_key const& key, subscription const& s, void (*woken)(void*, wake) noexcept) {
    auto fresh = std::make_unique<cohort>(key, in_step::core_of(s));
    auto leader = in_step::make();
    auto& c = *fresh;
    c.index = all_.size();
    all_.push_back(std::move(fresh));
    c.leader = leader.release();
    in_step::appoint(*c.leader, {woken, static_cast<leader_key*>(&c)}, s);
    return &c;
  }

  std::vector<std::unique_ptr<cohort>> all_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
