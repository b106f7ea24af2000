// SPDX-License-Identifier: MIT
// pinned_bytes.hpp - how much memory is still in use that logs have forgotten: a counter that outlives the
// broker, as the pages may. A std::shared_ptr to it would be twice as large, in every page.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// A reference to a counter, or to none. Threads: distinct references to one counter are safe.
class pin_ledger {
 public:
  pin_ledger() noexcept = default;
  [[nodiscard]] static pin_ledger make() {  // throws std::bad_alloc
    pin_ledger made;
    made.at_ = new counter;
    return made;
  }
  pin_ledger(pin_ledger const& other) noexcept : at_(other.at_) {
    if (at_ != nullptr) at_->references.fetch_add(1, std::memory_order_relaxed);
  }
  pin_ledger(pin_ledger&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  pin_ledger& operator=(pin_ledger other) noexcept {
    std::swap(at_, other.at_);
    return *this;
  }
  ~pin_ledger() {
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

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
