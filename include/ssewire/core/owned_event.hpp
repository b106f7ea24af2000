// SPDX-License-Identifier: MIT
// owned_event.hpp - an event that owns its text, to keep or to pass on when the bytes it came from are gone.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/event_text.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/reconnection_time.hpp>

#include <optional>
#include <string>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// An event that owns its text: for a queue, a test, another thread. It goes wherever an `event` goes.
///
///     std::vector<ssewire::owned_event> kept;
///     parser.feed(bytes, [&](ssewire::event const& e) { kept.emplace_back(e); });
///     for (auto const& e : kept) out += ssewire::serialize(e);
///
/// @par Threads  Distinct objects: safe. One object: several threads may read it at the same time.
class owned_event {
 public:
  owned_event() noexcept = default;

  /// Copies the text of an event.
  ///
  /// @throws  std::bad_alloc, std::length_error.
  explicit owned_event(event const& e)
      : type_(e.type.value()), data_(e.data.value()), id_(e.id.value()), retry_(e.retry),
        has_data_(e.data.has_value()), has_id_(e.id.has_value()) {}

  /// The event as a view.
  ///
  /// @par Lifetime  Valid until this object changes, is moved from or ends. The same is true of the members
  ///   below.
  [[nodiscard]] operator event() const& noexcept { return {type(), data(), id(), retry()}; }
  operator event() const&& = delete;  // the view of a temporary would dangle: give it a name

  /// event::type.
  [[nodiscard]] event_type type() const& noexcept { return detail::stream_access::type(type_); }
  /// event::data.
  [[nodiscard]] optional_text data() const& noexcept {
    return has_data_ ? optional_text(data_) : optional_text();
  }
  /// event::id.
  [[nodiscard]] event_id id() const& noexcept {
    return has_id_ ? detail::stream_access::id(id_) : event_id();
  }
  /// event::retry.
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept { return retry_; }

  [[nodiscard]] event_type type() const&& = delete;
  [[nodiscard]] optional_text data() const&& = delete;
  [[nodiscard]] event_id id() const&& = delete;

  friend bool operator==(owned_event const&, owned_event const&) noexcept = default;
  /// Whether all members are equal.
  friend bool operator==(owned_event const& a, event const& b) noexcept { return event(a) == b; }

 private:
  std::string type_;
  std::string data_;
  std::string id_;
  std::optional<reconnection_time> retry_;
  bool has_data_ = false;
  bool has_id_ = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
