// SPDX-License-Identifier: MIT
// lost_headers.hpp - the headers of the events that a log lost last, so that filters can still be asked about
// them. A returning client with a filter is then told of a gap only if it missed an event that its filter
// admits.
#pragma once

#include <ssewire/core/event.hpp>
#include <ssewire/core/event_header.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/try_call.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// A stream with a filter sends its position before that position falls into the older half of its log. Take a
// client that was up to date when it left, and a log that has lost nothing published since then: the ID that
// the client presents has at most half a log of lost events after it. The headers of so many events are kept
// here.
//
// A record holds the distance of its position from that of the record before, the tag, and the sizes of type
// and ID, each number in as few bytes as it needs; then the type and the ID. The default type and an ID that
// the broker gave have no text.
//
// Memory: at most twice `max_bytes`, in one block.
// Threads: one at a time; the broker's lock sees to it.
class lost_headers {
 public:
  // Events at or before the position `lost_through` are lost already, and their headers are unknown.
  lost_headers(std::uint64_t max_events, std::size_t max_bytes, std::uint64_t lost_through) noexcept
      : max_events_(max_events), max_bytes_(max_bytes), begins_at_(lost_through), known_after_(lost_through),
        last_(lost_through) {}

  // The log has lost an event since this object was made, or since begin_after().
  [[nodiscard]] bool has_lost() const noexcept { return last_ != begins_at_; }

  // Forgets all headers: nothing is known of what was lost at or before this position.
  void begin_after(std::uint64_t position) noexcept {
    begins_at_ = last_ = position;
    forget_all();
  }

  // The log loses the event at this position. Without room, all headers are forgotten.
  void add(std::uint64_t position, event_header const& header) noexcept {
    record next;
    next.put(position - last_);
    next.put(header.tag);
    auto const type = header.type == event_type().name() ? std::string_view() : header.type;
    auto const id = has_position_form(header.id) ? std::string_view() : header.id;
    next.put(type.size());
    next.put(id.size());
    last_ = position;
    if (!make_room(next.size + type.size() + id.size())) return forget_all();
    records_.append(next.bytes, next.size).append(type).append(id);
    ++count_;
  }

  // A copy of records, to be read without the lock.
  struct copy {
    std::string records = {};
    std::uint64_t after = 0;  // the position before that of the first record
  };

  // Whether the headers of all events lost after this position, or of the last `events` lost, are known.
  [[nodiscard]] bool knows_after(std::uint64_t position) const noexcept { return position >= known_after_; }
  [[nodiscard]] bool knows_last(std::uint64_t events) const noexcept { return events <= count_; }

  // All records, if they cover every event lost after `position`; else nothing. Throws std::bad_alloc.
  [[nodiscard]] std::optional<copy> copy_after(std::uint64_t position) const {
    if (!knows_after(position)) return std::nullopt;
    return copy{std::string(live()), known_after_};
  }

  // The records of the last `events` lost; nothing if some are unknown. Throws std::bad_alloc.
  [[nodiscard]] std::optional<copy> copy_last(std::uint64_t events) const {
    if (!knows_last(events)) return std::nullopt;
    auto rest = live();
    auto after = known_after_;
    for (auto skip = count_ - events; skip != 0; --skip) after += drop_front(rest);
    return copy{std::string(rest), after};
  }

  // Whether the filter admits an event that was lost after `position` and is among `known`. `unset`: any
  // position of the epoch. Throws what the filter throws.
  template <class Filter>
  [[nodiscard]] static bool any_admitted(copy const& known, std::uint64_t position, position_id const& unset,
                                         Filter const& filter) {
    std::string_view records = known.records;
    for (auto at = known.after; !records.empty();) {
      at += take(records);
      event_header header;
      header.tag = take(records);
      auto const type_bytes = take_size(records);
      auto const id_bytes = take_size(records);
      auto const own = unset.at(at);
      if (type_bytes != 0) header.type = records.substr(0, type_bytes);
      header.id = id_bytes != 0 ? records.substr(type_bytes, id_bytes) : own.view();
      records.remove_prefix(type_bytes + id_bytes);
      if (at > position && filter(header)) return true;
    }
    return false;
  }

 private:
  // The numbers of one record: seven bits a byte, the lowest bits first. Only the last byte of a number is
  // below 128.
  struct record {
    char bytes[4 * 10];
    std::size_t size = 0;

    void put(std::uint64_t number) noexcept {
      for (; number >= 128; number >>= 7) bytes[size++] = static_cast<char>(number | 128);
      bytes[size++] = static_cast<char>(number);
    }
  };

  static std::uint64_t take(std::string_view& from) noexcept {
    std::uint64_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
      auto const byte = static_cast<unsigned char>(from.front());
      from.remove_prefix(1);
      number |= std::uint64_t{byte & 127u} << shift;
      if (byte < 128) return number;
    }
  }

  static std::size_t take_size(std::string_view& from) noexcept {
    return take(from) & (std::numeric_limits<std::size_t>::max)();
  }

  // Drops the first record. Returns the distance of its position from that of the record before.
  static std::uint64_t drop_front(std::string_view& records) noexcept {
    auto const distance = take(records);
    (void)take(records);
    auto const type_bytes = take_size(records);
    auto const id_bytes = take_size(records);
    records.remove_prefix(type_bytes + id_bytes);
    return distance;
  }

  void drop_oldest() noexcept {
    auto rest = live();
    known_after_ += drop_front(rest);
    front_ = records_.size() - rest.size();
    --count_;
  }

  // Drops the oldest records until the limits allow so many bytes more. False: there is no memory, or the
  // limits are too small.
  [[nodiscard]] bool make_room(std::size_t bytes) noexcept {
    if (max_events_ == 0 || bytes > max_bytes_) return false;
    while (count_ >= max_events_ || (count_ != 0 && live().size() + bytes > max_bytes_)) drop_oldest();
    if (records_.size() + bytes <= records_.capacity()) return true;
    // Half of a block stays free when it is filled anew. Without that the records would be moved again and
    // again.
    auto const wanted = live().size() + bytes;
    if (wanted <= records_.capacity() / 2) {
      records_.erase(0, front_);
    } else if (!try_call([&] {
                 std::string larger;
                 larger.reserve(smaller(2 * wanted, 2 * max_bytes_));
                 records_.swap(larger.append(live()));
               })) {
      return false;
    }
    front_ = 0;
    return true;
  }

  [[nodiscard]] std::string_view live() const noexcept { return std::string_view(records_).substr(front_); }

  void forget_all() noexcept {
    records_.clear();
    front_ = 0;
    count_ = 0;
    known_after_ = last_;
  }

  std::uint64_t max_events_;
  std::size_t max_bytes_;
  std::uint64_t begins_at_;
  // The position before that of the first record.
  std::uint64_t known_after_;
  // The position of the last event lost.
  std::uint64_t last_;
  // The bytes before `front_` are records that were dropped.
  std::string records_;
  std::size_t front_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
