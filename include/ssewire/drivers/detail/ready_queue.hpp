// SPDX-License-Identifier: MIT
// ready_queue.hpp - the streams and cohorts that wait for a turn in a reactor. The queue takes no memory of
// its own, because a hook on a publisher's thread fills it and must not fail.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> class ready_queue;

// An element of the queue: a stream or a cohort of streams.
struct waiting {
  explicit waiting(bool many) noexcept : is_cohort(many) {}

  // Whether a turn is still to come. The object must be kept until then.
  [[nodiscard]] bool queued() const noexcept { return queued_.load(std::memory_order_acquire); }

  bool const is_cohort;

 private:
  template <class Traits> friend class ready_queue;
  std::atomic<bool> queued_{false};
  waiting* next_ = nullptr;
};

// Threads: call() on any thread; everything else on the reactor's.
template <class Traits> class ready_queue {
 public:
  ready_queue() noexcept = default;
  ready_queue(ready_queue const&) = delete;
  ready_queue& operator=(ready_queue const&) = delete;

  // Adds `w` to the next turn. If it is there already, nothing is done: that turn sees everything that
  // happened before this call, because the exchange orders the two.
  void add(waiting& w) noexcept { add(w, false); }

  // Adds `w` to the next turn. Returns whether the loop must be woken: at most once until the next turn
  // begins.
  [[nodiscard]] bool call(waiting& w) noexcept { return add(w, true); }

  // Continues this turn, or begins the next one.
  void begin() noexcept {
    if (now_.first != nullptr) return;
    std::unique_lock const held(guard_);
    now_ = std::exchange(coming_, {});
    called_ = false;
  }

  // Takes out the next element of this turn; null if there is none. The element may be added again from here
  // on.
  [[nodiscard]] waiting* next() noexcept {
    auto* const w = now_.first;
    if (w == nullptr) return nullptr;
    now_.first = std::exchange(w->next_, nullptr);
    w->queued_.exchange(false, std::memory_order_acq_rel);
    return w;
  }

  // `w` has not done all its work in this turn: it continues first.
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
