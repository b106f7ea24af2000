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

/// Keeps a callable `bool(event_header const&)` that says which events a stream gets; copies share it. Empty:
/// all events. It is called once for each event, and again for an event that a writer gave back: it should
/// answer the same each time. What it throws leaves pull(), and nothing was pulled.
///
/// @par Threads  It runs on the thread that pulls, with no lock held. Streams that share a filter call it
///   from their threads at the same time.
class event_filter {
 public:
  event_filter() noexcept = default;

  /// Keeps a callable.
  ///
  /// @throws  std::bad_alloc, and what moving or copying the callable throws.
  template <class Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, event_filter> &&
             std::is_invocable_r_v<bool, std::decay_t<Callable>&, event_header const&>)
  event_filter(Callable&& admits)
      : state_(std::make_shared<std::decay_t<Callable>>(std::forward<Callable>(admits))),
        call_([](void* at, event_header const& e) -> bool {
          return (*static_cast<std::decay_t<Callable>*>(at))(e);
        }) {}

  /// Whether there is a callable.
  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }
  /// Whether the callable admits an event.
  ///
  /// @pre  There is one.
  [[nodiscard]] bool operator()(event_header const& e) const { return call_(state_.get(), e); }

 private:
  std::shared_ptr<void> state_;
  bool (*call_)(void*, event_header const&) = nullptr;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
