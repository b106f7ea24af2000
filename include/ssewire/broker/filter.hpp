// SPDX-License-Identifier: MIT
// filter.hpp - which events of its channels a stream wants: a function of what stands before their data.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event_header.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Keeps a callable `bool(event_header const&)`; copies share it. Empty: all events.
/// It runs on the thread that pulls, with no lock held, and once for each event, or again for events that a
/// writer gave back. It should answer the same each time. What it throws leaves pull(), and nothing was
/// pulled. Streams that share a filter call it from their threads at the same time.
class event_filter {
 public:
  event_filter() noexcept = default;

  /// Throws      std::bad_alloc, and what moving the callable throws.
  template <class Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, event_filter> &&
             std::is_invocable_r_v<bool, std::decay_t<Callable>&, event_header const&>)
  event_filter(Callable&& admits)
      : state_(std::make_shared<std::decay_t<Callable>>(std::forward<Callable>(admits))),
        call_([](void* at, event_header const& e) -> bool {
          return (*static_cast<std::decay_t<Callable>*>(at))(e);
        }) {}

  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }
  [[nodiscard]] bool operator()(event_header const& e) const { return call_(state_.get(), e); }

 private:
  std::shared_ptr<void> state_;
  bool (*call_)(void*, event_header const&) = nullptr;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
