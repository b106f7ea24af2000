// SPDX-License-Identifier: MIT
// ready_queue.hpp - who waits for a turn in a reactor: a queue that takes no memory of its own, for who puts
// something into it, a hook on a publisher's thread, must not fail.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> class ready_queue;

// A stream, or a cohort of them.
struct waiting {
  explicit waiting(bool many) noexcept : is_cohort(many) {}

  // Whether a turn is to come: it must be kept for that.
  [[nodiscard]] bool queued() const noexcept { return queued_.load(std::memory_order_acquire); }

  bool const is_cohort;

 private:
  template <class Traits> friend class ready_queue;
  std::atomic<bool> queued_{false};
  waiting* next_ = nullptr;
};

// Threads: call() on any; all else on the reactor's.
template <class Traits> class ready_queue {
 public:
  ready_queue() noexcept = default;
  ready_queue(ready_queue const&) = delete;
  ready_queue& operator=(ready_queue const&) = delete;

  // Puts it into the next turn. Who finds it there already leaves it to that turn, which sees all that
  // happened before: the exchange orders the two.
  void add(waiting& w) noexcept { add(w, false); }

  // The same. Returns whether the loop must be told: at most once until the next turn begins.
  [[nodiscard]] bool call(waiting& w) noexcept { return add(w, true); }

  // Goes on with this turn, or begins the next.
  void begin() noexcept {
    if (now_.first != nullptr) return;
    std::unique_lock const held(guard_);
    now_ = std::exchange(coming_, {});
    called_ = false;
  }

  // Whose turn it is, or null. It may be added again from here on.
  [[nodiscard]] waiting* next() noexcept {
    auto* const w = now_.first;
    if (w == nullptr) return nullptr;
    now_.first = std::exchange(w->next_, nullptr);
    w->queued_.exchange(false, std::memory_order_acq_rel);
    return w;
  }

  // It has not done all that it wants to do in this turn: it goes on first.
  void put_back(waiting& w) noexcept {
    if (w.queued_.exchange(true, std::memory_order_acq_rel)) return;
    w.next_ = now_.first;
    if (now_.first == nullptr) now_.last = &w;
    now_.first = &w;
  }

  [[nodiscard]] bool empty() noexcept {
    if (now_.first != nullptr) return false;
    std::unique_lock const held(guard_);
    return coming_.first == nullptr;
  }

 private:
  struct list {
    waiting* first = nullptr;
    waiting* last = nullptr;

    void push(waiting& w) noexcept {
      (first == nullptr ? first : last->next_) = &w;
      last = &w;
    }
  };

  bool add(waiting& w, bool from_outside) noexcept {
    if (w.queued_.exchange(true, std::memory_order_acq_rel)) return false;
    std::unique_lock const held(guard_);
    coming_.push(w);
    return from_outside && !std::exchange(called_, true);
  }

  list now_;
  typename Traits::mutex guard_;
  list coming_;
  bool called_ = false;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
