// SPDX-License-Identifier: MIT
// prepared_event.hpp - an event on its way into a log. Before the lock is taken the event is checked and
// serialized, all but the ID that the broker gives it.
#pragma once

#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/log/detail/entry_log.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/segment.hpp>
#include <ssewire/log/detail/segment_pin.hpp>
#include <ssewire/log/detail/siphash.hpp>
#include <ssewire/wire/serializer.hpp>

#include <string.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Frames of at most this size are built on the caller's side and copied under the lock. Larger frames are
// built in the page in which they stay.
inline constexpr std::size_t largest_copied_frame = 4096;

// Pages count in 32 bits, and an event of this size is a mistake.
inline constexpr std::size_t largest_frame = std::size_t{1} << 30;

// Types with this prefix are the library's own. A publisher's event of such a type would lie to the client.
inline constexpr std::string_view reserved_type_prefix = "ssewire.";

inline bool has_reserved_prefix(event_type type) noexcept {
  return type.value().substr(0, reserved_type_prefix.size()) == reserved_type_prefix;
}

template <class Traits> class prepared_event {
 public:
  // Finds the size of the event, or why a log must not have the event.
  [[nodiscard]] errc measure(event const& e, std::size_t max_bytes) noexcept {
    if (auto const error = error_in(e); error != errc::ok) return error;
    size_ = serialized_size(with_id(e));
    return size_ > smaller(max_bytes, largest_frame) ? errc::event_too_large : errc::ok;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_large() const noexcept { return size_ > largest_copied_frame; }

  // Serializes the event that was measured. A small one goes to `room`, which must live until append_to(); a
  // large one goes to a page of its own. False: there is no memory for the page.
  [[nodiscard]] bool build(event const& e, std::uint64_t tag, siphash hash, char* room) noexcept {
    take_facts(e, tag, hash);
    text_ = room;
    if (is_large()) {
      page_ = segment_pin<Traits>::adopt(segment<Traits>::make(0, size_, tag != 0));
      if (!page_) return false;
      text_ = page_->tail();
    }
    (void)serialize(with_id(e), std::span(text_, size_));
    return true;
  }

  // measure() and build() in one step: an event that fits into `room` is not measured first.
  [[nodiscard]] errc prepare(event const& e, std::uint64_t tag, siphash hash, std::size_t max_bytes,
                             std::span<char, largest_copied_frame> room) noexcept {
    if (auto const error = error_in(e); error != errc::ok) return error;
    auto const written = serialize(with_id(e), std::span<char>(room));
    if (written.error == errc::ok) {
      take_facts(e, tag, hash);
      text_ = room.data();
      size_ = written.value;
      return size_ > max_bytes ? errc::event_too_large : errc::ok;
    }
    if (auto const error = measure(e, max_bytes); error != errc::ok) return error;
    return build(e, tag, hash, room.data()) ? errc::ok : errc::no_memory;
  }

  // Copies the event for another log. A large one gets another page. False: there is no memory for that page.
  [[nodiscard]] bool copy_to(prepared_event& other) const noexcept {
    other.size_ = size_;
    other.facts_ = facts_;
    other.text_ = text_;
    if (!page_) return true;
    other.page_ = segment_pin<Traits>::adopt(segment<Traits>::make(0, size_, facts_.tag != 0));
    if (!other.page_) return false;
    other.text_ = static_cast<char*>((memcpy)(other.page_->tail(), text_, size_));
    return true;
  }

  // The ID that append_to() gave the event. Null if the publisher gave the ID.
  [[nodiscard]] char const* given_id() const noexcept {
    return facts_.own_id ? nullptr : text_ + std::string_view("id: ").size();
  }

  // Appends the event at `position` of the epoch of `unset`. The publish takes effect here or not at all.
  [[nodiscard]] errc append_to(entry_log<Traits>& to, position_id const& unset,
                               std::uint64_t position) noexcept {
    facts_.position = position;
    if (!facts_.own_id) {
      unset.put_at(text_ + std::string_view("id: ").size(), position);
    } else if (to.ordinal_of_id(id_of({text_, size_}), facts_.id_hash)) {
      return errc::id_in_use;
    }
    bool const done = page_ ? to.link(page_, size_, facts_) : to.append({text_, size_}, facts_);
    return done ? errc::ok : errc::no_memory;
  }

 private:
  // A placeholder of the right size. The broker's ID, known only under the lock, replaces it.
  static constexpr position_id any_id{0, 0};

  [[nodiscard]] errc error_in(event const& e) noexcept {
    if (has_reserved_prefix(e.type)) return errc::type_reserved;
    facts_.own_id = e.id.has_value();
    return facts_.own_id && !good_own_id(e.id.value()) ? errc::id_refused : errc::ok;
  }

  void take_facts(event const& e, std::uint64_t tag, siphash hash) noexcept {
    facts_.tag = tag;
    if (facts_.own_id) facts_.id_hash = hash(e.id.value());
  }

  [[nodiscard]] event with_id(event e) const noexcept {
    if (!facts_.own_id) e.id = any_id;
    return e;
  }

  char* text_ = nullptr;
  std::size_t size_ = 0;
  entry_facts facts_;
  segment_pin<Traits> page_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
