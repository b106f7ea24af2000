// SPDX-License-Identifier: MIT
// pinned_bytes.hpp - memory that logs have forgotten but readers still send from: how much, and which
// readers.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// How much: a reference to a counter, or to none. The counter outlives the broker, because pages may. Each
// page holds one of these; a std::shared_ptr would be twice as large.
// Threads: distinct references to one counter are safe.
class pinned_bytes {
 public:
  pinned_bytes() noexcept = default;
  [[nodiscard]] static pinned_bytes make() {  // throws std::bad_alloc
    pinned_bytes made;
    made.at_ = new counter;
    return made;
  }
  pinned_bytes(pinned_bytes const& other) noexcept : at_(other.at_) {
    if (at_ != nullptr) at_->references.fetch_add(1, std::memory_order_relaxed);
  }
  pinned_bytes(pinned_bytes&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  pinned_bytes& operator=(pinned_bytes other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~pinned_bytes() {
    if (at_ != nullptr && at_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete at_;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return at_ != nullptr; }
  [[nodiscard]] std::size_t bytes() const noexcept { return at_->bytes.load(std::memory_order_relaxed); }
  void add(std::size_t bytes) const noexcept { at_->bytes.fetch_add(bytes, std::memory_order_relaxed); }
  void subtract(std::size_t bytes) const noexcept { at_->bytes.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  struct counter {
    std::atomic<std::size_t> bytes{0};
    std::atomic<std::size_t> references{1};
  };

  counter* at_ = nullptr;
};

// The readers that may still be sending what they read last, in the order in which they read it.
// Threads: one at a time; the broker's lock sees to it.
template <class Reader> class pin_holders {
 public:
  pin_holders() noexcept = default;
  pin_holders(pin_holders const&) = delete;
  pin_holders& operator=(pin_holders const&) = delete;

  // `s` must not be in the list.
  void add(Reader& s) noexcept {
    s.previous_holder = last_;
    s.next_holder = nullptr;
    (last_ != nullptr ? last_->next_holder : first_) = &s;
    last_ = &s;
  }

  // `s` must be in the list.
  void remove(Reader& s) noexcept {
    (s.previous_holder != nullptr ? s.previous_holder->next_holder : first_) = s.next_holder;
    (s.next_holder != nullptr ? s.next_holder->previous_holder : last_) = s.previous_holder;
  }

  // A reader near the front that holds memory its log has forgotten, or null. Readers that hold none are
  // moved to the back, so that the next search looks at others.
  [[nodiscard]] Reader* find_guilty() noexcept {
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
  Reader* first_ = nullptr;
  Reader* last_ = nullptr;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
