// SPDX-License-Identifier: MIT
// pin_holders.hpp - the subscribers that may still be sending what they pulled last, who pulled first in
// front.
#pragma once

#include <ssewire/broker/detail/subscriber.hpp>

#include <cstddef>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class holder_list {
 public:
  using subscriber = detail::subscriber<Traits>;

  holder_list() noexcept = default;
  holder_list(holder_list const&) = delete;
  holder_list& operator=(holder_list const&) = delete;

  // `s` is not in the list.
  void add(subscriber& s) noexcept {
    s.holds = true;
    s.previous_holder = last_;
    s.next_holder = nullptr;
    (last_ != nullptr ? last_->next_holder : first_) = &s;
    last_ = &s;
  }

  void remove(subscriber& s) noexcept {
    if (!s.holds) return;
    s.holds = false;
    (s.previous_holder != nullptr ? s.previous_holder->next_holder : first_) = s.next_holder;
    (s.next_holder != nullptr ? s.next_holder->previous_holder : last_) = s.previous_holder;
  }

  // One of the first that holds what its log has forgotten, or null. Those looked at that hold none go to
  // the back: the next search looks at others.
  [[nodiscard]] subscriber* find_guilty() noexcept {
    constexpr int most = 32;
    for (int i = 0; i < most && first_ != nullptr; ++i) {
      auto& s = *first_;
      if (s.holds_forgotten()) return &s;
      remove(s);
      add(s);
    }
    return nullptr;
  }

 private:
  subscriber* first_ = nullptr;
  subscriber* last_ = nullptr;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
