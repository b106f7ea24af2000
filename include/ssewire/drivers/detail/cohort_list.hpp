// SPDX-License-Identifier: MIT
// cohort_list.hpp - the cohorts of a reactor. A stream that could be in step with others finds its cohort
// here. A cohort is made for the first such stream and freed with the last.
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

  // Finds or makes the cohort of `s`, and attaches one more stream to it. Null: there is none, and
  // `try_again` says whether a later call may find one. `woken`: the leader's hook; of() turns its context
  // into the cohort.
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

  // The cohort whose leader's hook is called with this context.
  [[nodiscard]] static cohort& of(void* context) noexcept {
    return *static_cast<cohort*>(static_cast<leader_key*>(context));
  }

  // Detaches one stream. With the last stream the leader goes, so no hook queues the cohort any more.
  void detach(cohort& c) noexcept {
    if (--c.attached != 0) return;
    in_step::dismiss(*c.at, std::exchange(c.leader, nullptr));
    free_if_unused(c);
  }

  // Frees a cohort that is not used. One that is queued or in a round is freed by the turn that meets it.
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
