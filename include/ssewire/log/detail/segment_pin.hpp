// SPDX-License-Identifier: MIT
// segment_pin.hpp - a reference to a page of a log. The page lives on while one exists, also when the log has
// forgotten it.
#pragma once

#include <ssewire/log/detail/segment.hpp>

#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> class segment_pin {
 public:
  segment_pin() noexcept = default;
  explicit segment_pin(segment<Traits>& page) noexcept : page_(&page) { page.retain(); }
  segment_pin(segment_pin&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  segment_pin& operator=(segment_pin&& other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~segment_pin() {
    if (page_ != nullptr) page_->release();
  }

  // Takes over the reference that segment::make() gave.
  [[nodiscard]] static segment_pin adopt(segment<Traits>* page) noexcept {
    segment_pin pin;
    pin.page_ = page;
    return pin;
  }

  [[nodiscard]] segment<Traits>* detach() noexcept { return std::exchange(page_, nullptr); }
  [[nodiscard]] segment<Traits>* get() const noexcept { return page_; }
  segment<Traits>* operator->() const noexcept { return page_; }
  explicit operator bool() const noexcept { return page_ != nullptr; }

 private:
  segment<Traits>* page_ = nullptr;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
