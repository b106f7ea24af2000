// SPDX-License-Identifier: MIT
// subscriber_list.hpp - a broker's subscribers, in a list that may be walked while they come and go.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it. A walk may let go of that lock between two visits.
template <class Traits> class subscriber_list {
 public:
  using subscriber = detail::subscriber<Traits>;

  subscriber_list() noexcept = default;
  subscriber_list(subscriber_list const&) = delete;
  subscriber_list& operator=(subscriber_list const&) = delete;

  void add(subscriber& s) noexcept {
    s.next = first_;
    s.link = &first_;
    if (s.next != nullptr) s.next->link = &s.next;
    first_ = &s;
  }

  void remove(subscriber& s) noexcept {
    for (auto* w = walkers_; w != nullptr; w = w->outer) {
      if (w->next == &s) w->next = s.next;
    }
    *s.link = s.next;
    if (s.next != nullptr) s.next->link = s.link;
  }

  // Visits who is there now: new ones come in front and are not met. The visited one may be gone when
  // visit() returns.
  template <class Visit> void for_each(Visit visit) {
    walker here{first_, walkers_};
    walkers_ = &here;
    while (here.next != nullptr) {
      auto& s = *here.next;
      here.next = s.next;
      visit(s);
    }
    auto** at = &walkers_;
    while (*at != &here) at = &(*at)->outer;
    *at = here.outer;
  }

 private:
  // Where a walk goes next; who leaves meanwhile corrects it.
  struct walker {
    subscriber* next;
    walker* outer;
  };

  subscriber* first_ = nullptr;
  walker* walkers_ = nullptr;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
