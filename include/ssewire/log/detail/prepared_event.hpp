// SPDX-License-Identifier: MIT
// prepared_event.hpp - an event on its way into a log: before a lock is taken it is checked, and serialized
// but for the ID that the broker gives.
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

// Frames of at most this size are built aside and copied under the lock; larger ones are built where they
// stay.
inline constexpr std::size_t largest_copied_frame = 4096;

// Pages have 32-bit counts, and one event of this size is a mistake.
inline constexpr std::size_t largest_frame = std::size_t{1} << 30;

// Types that begin so are the library's own; a publisher's event of such a type would lie to the client.
inline constexpr std::string_view reserved_type_prefix = "ssewire.";

template <class Traits> class prepared_event {
 public:
  // How large the event is, if a log may have it.
  [[nodiscard]] errc measure(event const& e, std::size_t max_bytes) noexcept {
    if (auto const error = error_in(e); error != errc::ok) return error;
    size_ = serialized_size(with_id(e));
    return size_ > smaller(max_bytes, largest_frame) ? errc::event_too_large : errc::ok;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_large() const noexcept { return size_ > largest_copied_frame; }

  // Serializes what was measured, to `room`, which must live until it is appended; or, if it is large, to a
  // page. False: there is no memory for the page.
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

  // Both in one step: what surely fits is not measured.
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

  // The same event for another log: what is large gets a page of its own, or false.
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

  // The ID that append_to() has given it. Null: it has its publisher's.
  [[nodiscard]] char const* given_id() const noexcept {
    return facts_.own_id ? nullptr : text_ + std::string_view("id: ").size();
  }

  // Appends it at `position` of the epoch of `unset`: the publish takes effect here or not at all.
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
  // Its place is taken by the broker's, which is known under the lock alone.
  static constexpr position_id any_id{0, 0};

  [[nodiscard]] errc error_in(event const& e) noexcept {
    if (e.type.value().substr(0, reserved_type_prefix.size()) == reserved_type_prefix)
      return errc::type_reserved;
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
