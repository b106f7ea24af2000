// SPDX-License-Identifier: MIT
// lost_headers.hpp - what filters are asked about of the events that a log has lost last. So a client with a
// filter that comes back is told a gap only where something was missing for it.
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

// A stream with a filter says where it stands before that lies in the older half of its log. So a client
// that was up to date when it went, and whose log has lost nothing that came later, presents an ID after
// which at most half a log is lost: that much is kept here.
//
// A record: how far its position lies after that of the record before it, the tag, the sizes of type and ID,
// all in as few bytes as they need, then the type and the ID. The default type and an ID of the broker's
// have no text.
//
// Memory: at most twice `max_bytes`, in one block. Threads: one at a time; the broker's lock sees to it.
class lost_headers {
 public:
  // `lost_through`: what was lost until now, and is not known here.
  lost_headers(std::uint64_t max_events, std::size_t max_bytes, std::uint64_t lost_through) noexcept
      : max_events_(max_events), max_bytes_(max_bytes), begins_at_(lost_through), known_after_(lost_through),
        last_(lost_through) {}

  // The log has lost an event since this was made.
  [[nodiscard]] bool has_lost() const noexcept { return last_ != begins_at_; }

  // What was lost until now, through this position, is not known any more.
  void begin_after(std::uint64_t position) noexcept {
    begins_at_ = last_ = position;
    forget_all();
  }

  // The log loses the event at this position.
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

  // A copy, to be read when the lock has been let go.
  struct copy {
    std::string records = {};
    std::uint64_t after = 0;  // the position before the first record's
  };

  // Whether all that was lost after this position, or the last so many events lost, are known.
  [[nodiscard]] bool knows_after(std::uint64_t position) const noexcept { return position >= known_after_; }
  [[nodiscard]] bool knows_last(std::uint64_t events) const noexcept { return events <= count_; }

  // All that is known, if that is all that was lost after `position`; else nothing. Throws std::bad_alloc.
  [[nodiscard]] std::optional<copy> copy_after(std::uint64_t position) const {
    if (!knows_after(position)) return std::nullopt;
    return copy{std::string(live()), known_after_};
  }

  // Of the last `events` lost; else as above.
  [[nodiscard]] std::optional<copy> copy_last(std::uint64_t events) const {
    if (!knows_last(events)) return std::nullopt;
    auto rest = live();
    auto after = known_after_;
    for (auto skip = count_ - events; skip != 0; --skip) after += drop_front(rest);
    return copy{std::string(rest), after};
  }

  // Whether the filter admits one of them that lies after `position`. `unset`: any position of the epoch.
  // Throws what the filter throws.
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
  // The numbers of one record: seven bits a byte, the lowest first, the last byte below 128.
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

  // Returns how far the position of the record dropped lies after that of the one before it.
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

  // False: it cannot be had.
  [[nodiscard]] bool make_room(std::size_t bytes) noexcept {
    if (max_events_ == 0 || bytes > max_bytes_) return false;
    while (count_ >= max_events_ || (count_ != 0 && live().size() + bytes > max_bytes_)) drop_oldest();
    if (records_.size() + bytes <= records_.capacity()) return true;
    // Half of a block that is filled anew stays free, or it would be moved again and again.
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
  std::uint64_t known_after_;  // the position before the first record's
  std::uint64_t last_;         // the position of the last one
  std::string records_;        // in it, those before `front_` are dropped
  std::size_t front_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
