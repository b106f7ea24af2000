// SPDX-License-Identifier: MIT
// prepared_event.hpp - an event on its way into a log: checked, and serialized but for its position, before a lock is taken.
#pragma once

#include <ssewire/detail/event_header.hpp>
#include <ssewire/detail/keyed_hash.hpp>
#include <ssewire/detail/log.hpp>
#include <ssewire/detail/position.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/serializer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <ssewire/detail/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Frames of at most this size are built aside and copied under the lock; larger ones are built where they stay.
inline constexpr std::size_t largest_copied_frame = 4096;

// Pages have 32-bit counts, and one event of this size is a mistake.
inline constexpr std::size_t largest_frame = std::size_t{1} << 30;

// Types that begin so are the library's own; a publisher's event of such a type would lie to the client.
inline constexpr std::string_view reserved_type_prefix = "ssewire.";

template <class Traits> class prepared_event {
 public:
  // How large the event is, if a log may have it.
  [[nodiscard]] errc measure(event const& e, std::uint64_t epoch, std::size_t max_bytes) noexcept {
    if (e.type.value().substr(0, reserved_type_prefix.size()) == reserved_type_prefix)
      return errc::type_reserved;
    facts_.own_id = e.id.has_value();
    if (facts_.own_id && !good_own_id(e.id.value())) return errc::id_refused;
    epoch_ = epoch;
    size_ = serialized_size(with_id(e, position_id(epoch, 0)));
    return size_ > (std::min)(max_bytes, largest_frame) ? errc::event_too_large : errc::ok;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_large() const noexcept { return size_ > largest_copied_frame; }

  // Serializes what was measured, to `room`, which must live until it is appended; or, if it is large, to a page.
  // False: there is no memory for the page.
  [[nodiscard]] bool build(event const& e, std::uint64_t tag, keyed_hash hash, char* room) noexcept {
    facts_.tag = tag;
    if (facts_.own_id) facts_.id_hash = hash(e.id.value());
    text_ = room;
    if (is_large()) {
      page_ = segment_pin<Traits>::adopt(segment<Traits>::make(0, size_, tag != 0));
      if (!page_) return false;
      text_ = page_->tail();
    }
    (void)serialize(with_id(e, position_id(epoch_, 0)), std::span(text_, size_));
    return true;
  }

  // The same event for another log: what is large gets a page of its own, or false.
  [[nodiscard]] bool copy_to(prepared_event& other) const noexcept {
    other.epoch_ = epoch_;
    other.size_ = size_;
    other.facts_ = facts_;
    other.text_ = text_;
    if (!page_) return true;
    other.page_ = segment_pin<Traits>::adopt(segment<Traits>::make(0, size_, facts_.tag != 0));
    if (!other.page_) return false;
    other.text_ = static_cast<char*>(std::memcpy(other.page_->tail(), text_, size_));
    return true;
  }

  // Appends it at `position`: the publish takes effect here or not at all.
  [[nodiscard]] errc append_to(log<Traits>& to, std::uint64_t position) noexcept {
    constexpr std::size_t id_offset = 4;  // behind "id: "
    facts_.position = position;
    if (!facts_.own_id) {
      auto const id = position_id(epoch_, position);
      std::memcpy(text_ + id_offset, id.view().data(), position_id::bytes);
    } else if (to.ordinal_of_id(id_of({text_, size_}), facts_.id_hash)) {
      return errc::id_in_use;
    }
    bool const done = page_ ? to.link(page_, size_, facts_) : to.append({text_, size_}, facts_);
    return done ? errc::ok : errc::no_memory;
  }

 private:
  // `unset` lives as long as the call that this is made for.
  [[nodiscard]] event with_id(event e, position_id const& unset) const noexcept {
    if (!facts_.own_id) e.id = unset;
    return e;
  }

  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t epoch_ = 0;
  entry_facts facts_;
  segment_pin<Traits> page_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/detail/end.hpp>
