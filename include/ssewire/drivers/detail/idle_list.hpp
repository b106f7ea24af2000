// SPDX-License-Identifier: MIT
// idle_list.hpp - an intrusive list in the order of last activity. With one timeout for all, the front
// element is due first.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class T> class idle_list;

template <class T> struct idle_node {
  steady_time seen = {};

  [[nodiscard]] bool linked() const noexcept { return list_ != nullptr; }

  void unlink() noexcept {
    if (list_ == nullptr) return;
    (before_ != nullptr ? before_->after_ : list_->front_) = after_;
    (after_ != nullptr ? after_->before_ : list_->back_) = before_;
    before_ = after_ = nullptr;
    list_ = nullptr;
  }

 private:
  friend class idle_list<T>;
  idle_node* before_ = nullptr;
  idle_node* after_ = nullptr;
  idle_list<T>* list_ = nullptr;
};

template <class T> class idle_list {
 public:
  idle_list() noexcept = default;
  idle_list(idle_list const&) = delete;
  idle_list& operator=(idle_list const&) = delete;

  [[nodiscard]] T* front() const noexcept { return static_cast<T*>(front_); }

  // Inserts `node`, which must be in no list, after all elements that were seen before it. That is almost
  // always the end of the list.
  void insert(T& node) noexcept {
    idle_node<T>& at = node;
    at.list_ = this;
    at.before_ = back_;
    while (at.before_ != nullptr && at.before_->seen > at.seen) at.before_ = at.before_->before_;
    at.after_ = at.before_ != nullptr ? at.before_->after_ : front_;
    (at.before_ != nullptr ? at.before_->after_ : front_) = &at;
    (at.after_ != nullptr ? at.after_->before_ : back_) = &at;
  }

 private:
  friend struct idle_node<T>;
  idle_node<T>* front_ = nullptr;
  idle_node<T>* back_ = nullptr;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
