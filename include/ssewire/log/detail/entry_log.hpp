// SPDX-License-Identifier: MIT
// entry_log.hpp - the bounded history of one channel: frames in the order of their positions, and what is
// known of forgotten ones.
#pragma once

#include <ssewire/core/extremes.hpp>
#include <ssewire/log/detail/frame_header.hpp>
#include <ssewire/log/detail/id_index.hpp>
#include <ssewire/log/detail/lost_headers.hpp>
#include <ssewire/log/detail/pinned_bytes.hpp>
#include <ssewire/log/detail/segment.hpp>
#include <ssewire/log/detail/segment_pin.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <string.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Frames that follow each other in the log and in the memory of one page.
template <class Traits> struct log_run {
  segment<Traits>* page = nullptr;  // not pinned; valid under the lock of the log's owner
  std::size_t first = 0;            // entries [first, last) of the page
  std::size_t last = 0;

  [[nodiscard]] std::size_t count() const noexcept { return last - first; }
  [[nodiscard]] std::string_view bytes() const noexcept { return page->frames(first, last); }
  [[nodiscard]] std::uint64_t last_position() const noexcept { return page->position(last - 1); }
};

// Greater than every position and every ordinal.
inline constexpr std::uint64_t never = (std::numeric_limits<std::uint64_t>::max)();

// What a log keeps of an event besides its frame.
struct entry_facts {
  std::uint64_t position = 0;
  std::uint64_t tag = 0;
  std::uint64_t id_hash = 0;
  bool own_id = false;  // the publisher gave the ID; it is not <epoch>-<position>
};

// An entry has two names. Its *position* is its place in the broker's order; the positions in one log have
// holes, where events of other channels lie. Its *ordinal* counts the entries of this log alone, from 0 and
// without holes, so the difference of two ordinals is a number of events.
//
// Threads: one at a time; the broker's lock sees to it.
template <class Traits> class entry_log {
 public:
  // `ids`: hashes the IDs that publishers give. `max_bytes`: the size to which the owner trims the log; the
  // memory it may take follows from that. `pins`: counts the forgotten bytes that readers still send from.
  explicit entry_log(siphash ids, std::size_t max_bytes, pinned_bytes pins = {}) noexcept
      : max_bytes_(smaller(max_bytes, (std::numeric_limits<std::size_t>::max)() / 4)),
        max_memory_(max_bytes_ * 2 + max_bytes_ / 4 + 1024), id_hash_{ids}, pins_(std::move(pins)) {}
  entry_log(entry_log const&) = delete;
  entry_log& operator=(entry_log const&) = delete;
  ~entry_log() {
    for (std::size_t i = 0; i < pages_; ++i) page(i)->forget(pins_);
    free_ring();
  }

  [[nodiscard]] std::uint64_t first_ordinal() const noexcept { return first_ordinal_; }
  [[nodiscard]] std::uint64_t end_ordinal() const noexcept { return end_ordinal_; }
  [[nodiscard]] std::uint64_t events() const noexcept { return end_ordinal_ - first_ordinal_; }
  [[nodiscard]] std::size_t frame_bytes() const noexcept { return frame_bytes_; }
  [[nodiscard]] std::size_t allocated_bytes() const noexcept {
    return page_bytes_ + ring_size_ * sizeof *ring_ + own_ids_.allocated_bytes();
  }

  // The highest position ever trimmed. A cursor missed an event if and only if this position is greater than
  // its own.
  [[nodiscard]] std::uint64_t lost_through() const noexcept { return lost_through_; }

  // The hash of the ID of the event lost last, if its publisher gave the ID.
  [[nodiscard]] std::optional<std::uint64_t> lost_id() const noexcept { return lost_id_; }

  // Makes a new log continue a removed one, whose last lost event had this position and this hash of its ID.
  void continue_after(std::uint64_t position, std::optional<std::uint64_t> id) noexcept {
    lost_through_ = position;
    lost_id_ = id;
  }

  // From now on the log keeps the headers of the events it lost last, so that filters can be asked about
  // them.
  void keep_lost_headers(std::uint64_t max_events, std::size_t max_bytes) {
    if (!lost_) lost_ = std::make_unique<lost_headers>(max_events, max_bytes, lost_through_);
  }
  void forget_lost_headers() noexcept { lost_.reset(); }
  // Null: the log keeps no headers.
  [[nodiscard]] lost_headers const* lost() const noexcept { return lost_.get(); }

  // The position of the newest entry held. If none is held, the position of the event lost last.
  [[nodiscard]] std::uint64_t last_position() const noexcept {
    return events() == 0 ? lost_through_ : position_of(end_ordinal_ - 1);
  }

  // Appends a frame whose bytes are `text`. Its position must be greater than every earlier one. False if
  // there is no memory; then nothing has changed.
  bool append(std::string_view text, entry_facts const& facts) noexcept {
    bool const tagged = facts.tag != 0;
    auto* newest = pages_ == 0 ? nullptr : page(pages_ - 1);
    if (newest == nullptr || !newest->has_room(text.size(), facts.position, tagged)) {
      auto const wanted = next_page_bytes(segment<Traits>::bytes_for(text.size(), tagged));
      auto fresh = segment_pin<Traits>::adopt(segment<Traits>::make(wanted, text.size(), tagged));
      newest = fresh.get();
      if (newest == nullptr || !push_page(fresh)) return false;
    }
    (memcpy)(newest->tail(), text.data(), text.size());
    return commit(*newest, text.size(), facts);
  }

  // Appends the frame of `frame_size` bytes that was written to the tail of `own`, a page of its own. A large
  // frame is copied outside the lock this way, and only linked under it. On success the page belongs to the
  // log, and `own` is empty.
  bool link(segment_pin<Traits>& own, std::size_t frame_size, entry_facts const& facts) noexcept {
    if (!push_page(own)) return false;
    return commit(*page(pages_ - 1), frame_size, facts);
  }

  // Undoes the newest append. No reader has seen the entry, because the lock has been held since.
  void take_back() noexcept {
    auto* const newest = page(pages_ - 1);
    forget_id(end_ordinal_ - 1);
    --end_ordinal_;
    frame_bytes_ -= newest->frames(newest->count() - 1, newest->count()).size();
    newest->take_back();
    if (newest->count() == 0) pop_newest_page();
  }

  // Forgets the oldest entry. The log must not be empty.
  void trim_one() noexcept {
    auto* const oldest = page(0);
    auto const index = static_cast<std::size_t>(first_ordinal_ - oldest->base_ordinal());
    auto const [position, end] = oldest->place_of(index);
    lost_through_ = position;
    if (lost_) lost_->add(position, header_of(oldest->frames(index, index + 1), oldest->tag(index)));
    if (own_ids_.size() != 0 || lost_id_) lost_id_ = forget_id(first_ordinal_);
    frame_bytes_ -= end - std::exchange(first_begin_, end);
    ++first_ordinal_;
    if (index + 1 == oldest->count()) pop_page();
  }

  // Trims to a limit, but keeps at least the newest entry. Returns how many entries were forgotten.
  std::uint64_t trim_to_events(std::uint64_t most) noexcept {
    auto const before = first_ordinal_;
    while (events() > 1 && events() > most) trim_one();
    return first_ordinal_ - before;
  }
  std::uint64_t trim_to_bytes(std::size_t most) noexcept {
    auto const before = first_ordinal_;
    while (events() > 1 && (frame_bytes_ > most || takes_too_much())) trim_one();
    return first_ordinal_ - before;
  }

  // Trims entries at or before `position`, but at most `most` of them. Returns how many were forgotten.
  std::uint64_t trim_through(std::uint64_t position, std::uint64_t most) noexcept {
    auto const before = first_ordinal_;
    while (events() != 0 && first_ordinal_ - before < most && position_of(first_ordinal_) <= position)
      trim_one();
    return first_ordinal_ - before;
  }

  // Forgets all entries, all IDs that publishers gave, and the headers of lost events. Returns how many
  // entries were forgotten.
  // Complexity: O(pages).
  std::uint64_t forget_all() noexcept {
    lost_through_ = last_position();
    lost_id_.reset();
    own_ids_.clear();
    if (lost_) lost_->begin_after(lost_through_);
    auto const before = std::exchange(first_ordinal_, end_ordinal_);
    frame_bytes_ = 0;
    while (pages_ != 0) pop_page();
    return end_ordinal_ - before;
  }

  // The ordinal of the first entry held after `position`; end_ordinal() if there is none.
  [[nodiscard]] std::uint64_t ordinal_after(std::uint64_t position) const noexcept {
    if (position < lost_through_ || pages_ == 0) return first_ordinal_;
    // Finds the last page that begins at or before the position, then the first entry in it after the
    // position.
    auto const at = last_page([&](segment<Traits> const& p) { return p.base_position() <= position; });
    std::size_t low = 0;
    auto high = page(at)->count();
    while (low < high) {
      auto const middle = low + (high - low) / 2;
      if (page(at)->position(middle) <= position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return larger(page(at)->base_ordinal() + low, first_ordinal_);
  }

  // The ordinal of the held entry to which its publisher gave this ID.
  [[nodiscard]] std::optional<std::uint64_t> ordinal_of_id(std::string_view id,
                                                           std::uint64_t hash) const noexcept {
    return own_ids_.find(hash, first_ordinal_, [&](std::uint64_t ordinal) {
      return ordinal < end_ordinal_ && id_of(frame(ordinal)) == id;
    });
  }

  // The position of that entry. If the ID is that of the event lost last, the position of that event: nothing
  // after it is lost yet.
  [[nodiscard]] std::optional<std::uint64_t> position_of_id(std::string_view id,
                                                            std::uint64_t hash) const noexcept {
    if (auto const at = ordinal_of_id(id, hash)) return position_of(*at);
    return lost_id_ == hash ? std::optional(lost_through_) : std::nullopt;
  }

  // The position of a held entry.
  [[nodiscard]] std::uint64_t position_of(std::uint64_t ordinal) const noexcept {
    auto* const p = page(page_of(ordinal));
    return p->position(static_cast<std::size_t>(ordinal - p->base_ordinal()));
  }

  // The entries from `ordinal`, which must be held, that lie in its page, before the position `before`, and
  // in `room` bytes. The entry `ordinal` is always included, even if it is larger.
  [[nodiscard]] log_run<Traits> run(std::uint64_t ordinal, std::uint64_t before,
                                    std::size_t room) const noexcept {
    auto* const p = page(page_of(ordinal));
    auto const first = static_cast<std::size_t>(ordinal - p->base_ordinal());
    return {p, first, p->run_end(first, room, before)};
  }

 private:
  // ---- memory ----
  //
  // The promise (replay_limits::max_bytes) is: 9/4 of max_bytes and 1 KiB. Added to it are 18 bytes for each
  // ID that a publisher gave and, in a log that has had tags, 8 bytes for each event.
  //
  // The log begins a new page when an event finds no room in the newest one. So the free bytes of the old
  // page are fewer than that event takes, and all pages together take less than twice the bytes they hold,
  // plus their headers. To that add the trimmed part of the oldest page and the free part of the newest, each
  // at most an eighth of max_bytes. A large event has a page of its own, and ends the page before it even if
  // the free bytes there are more than the event takes. So pages larger than `charged_bytes` are made only
  // while few bytes in all are unused.
  //
  // This leaves two cases that could break the promise. In one, events of a few bytes alternate with events
  // that just find no room after them. In the other, 2^32 events go to other channels between two of this
  // one. The oldest entries are then trimmed: see takes_too_much().
  static constexpr std::size_t smallest_bytes = 448;
  static constexpr std::size_t charged_bytes = 4096;  // a large event, with a page of its own, takes more
  static constexpr std::size_t id_bytes = 18;

  // The size of a page that begins with an event taking `each` bytes.
  [[nodiscard]] std::size_t next_page_bytes(std::size_t each) const noexcept {
    auto const overhead = segment<Traits>::entry_bytes + (tagged_ ? segment<Traits>::tag_bytes : 0);
    auto const used = frame_bytes_ + static_cast<std::size_t>(events()) * overhead;
    auto const idle_bytes = page_bytes_ - smaller(page_bytes_, used);
    auto const spare = frame_bytes_ / 8 - smaller(frame_bytes_ / 8, idle_bytes);
    auto const largest = larger(smaller(max_bytes_ / 8, charged_bytes), smaller(max_bytes_ / 16, spare));
    // A quarter of what the log holds, so that small logs stay small.
    auto const wanted = larger(smallest_bytes, smaller(smaller(frame_bytes_ / 4, largest),
                                                       std::size_t{segment<Traits>::largest_bytes}));
    // An event slightly larger than half a page would leave the rest of it unused: it gets a page that it
    // fills.
    return 2 * each > wanted ? each : wanted;
  }

  [[nodiscard]] bool takes_too_much() const noexcept {
    if (allocated_bytes() <= max_memory_) return false;
    auto const tags = tagged_ ? segment<Traits>::tag_bytes * static_cast<std::size_t>(events()) : 0;
    return allocated_bytes() > max_memory_ + id_bytes * own_ids_.size() + tags;
  }

  [[nodiscard]] segment<Traits>* page(std::size_t index) const noexcept {
    return ring_[(oldest_ + index) & (ring_size_ - 1)];
  }

  // The last page for which `holds` is true, or the first page if there is none. `holds` must be true up to
  // some page and false after it.
  template <class Predicate> [[nodiscard]] std::size_t last_page(Predicate holds) const noexcept {
    std::size_t low = 0;
    std::size_t high = pages_ - 1;
    while (low < high) {
      auto const middle = low + (high - low + 1) / 2;
      if (holds(*page(middle))) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  [[nodiscard]] std::size_t page_of(std::uint64_t ordinal) const noexcept {
    return last_page([&](segment<Traits> const& p) { return p.base_ordinal() <= ordinal; });
  }

  [[nodiscard]] std::string_view frame(std::uint64_t ordinal) const noexcept {
    return run(ordinal, 0, 0).bytes();
  }

  [[gnu::always_inline]] bool commit(segment<Traits>& newest, std::size_t frame_size,
                                     entry_facts const& facts) noexcept {
    newest.commit(frame_size, facts.position, end_ordinal_, facts.tag);
    if (facts.own_id && !own_ids_.insert(facts.id_hash, end_ordinal_)) {
      newest.take_back();
      if (newest.count() == 0) pop_newest_page();
      return false;
    }
    tagged_ = tagged_ || facts.tag != 0;
    ++end_ordinal_;
    frame_bytes_ += frame_size;
    return true;
  }

  // Returns the hash of the ID of this entry if a publisher may have given that ID.
  std::optional<std::uint64_t> forget_id(std::uint64_t ordinal) noexcept {
    if (own_ids_.size() == 0) return std::nullopt;
    // The index does not find an ID that the library gave, so nothing is erased for it.
    auto const hash = id_hash_(id_of(frame(ordinal)));
    own_ids_.erase(hash, ordinal);
    return hash;
  }

  bool push_page(segment_pin<Traits>& fresh) noexcept {
    if (pages_ == ring_size_ && !grow_ring()) return false;
    page_bytes_ += fresh->allocated_bytes();
    ring_[(oldest_ + pages_++) & (ring_size_ - 1)] = fresh.detach();
    return true;
  }

  void pop_page() noexcept {
    auto* const gone = page(0);
    page_bytes_ -= gone->allocated_bytes();
    oldest_ = (oldest_ + 1) & (ring_size_ - 1);
    --pages_;
    first_begin_ = 0;
    gone->forget(pins_);
    if (pages_ == 0) free_ring();
  }

  void pop_newest_page() noexcept {
    auto* const gone = page(--pages_);
    page_bytes_ -= gone->allocated_bytes();
    gone->release();
    if (pages_ != 0) return;
    first_begin_ = 0;
    free_ring();
  }

  // A log that holds nothing takes no memory.
  void free_ring() noexcept {
    if (ring_ != nullptr) Traits::deallocate(ring_, ring_size_ * sizeof *ring_);
    ring_ = nullptr;
    ring_size_ = oldest_ = 0;
  }

  bool grow_ring() noexcept {
    auto const size = ring_size_ == 0 ? std::size_t{2} : ring_size_ * 2;  // a power of two
    auto** const ring = static_cast<segment<Traits>**>(Traits::allocate(size * sizeof *ring_));
    if (ring == nullptr) return false;
    for (std::size_t i = 0; i < pages_; ++i) ring[i] = page(i);
    free_ring();
    ring_ = ring;
    ring_size_ = size;
    return true;
  }

  std::size_t max_bytes_;
  std::size_t max_memory_;  // tags and IDs excluded
  segment<Traits>** ring_ = nullptr;
  std::size_t ring_size_ = 0;
  std::size_t oldest_ = 0;
  std::size_t pages_ = 0;
  std::size_t page_bytes_ = 0;
  std::size_t frame_bytes_ = 0;
  std::size_t first_begin_ = 0;  // where the frame of the oldest entry begins in its page
  std::uint64_t first_ordinal_ = 0;
  std::uint64_t end_ordinal_ = 0;
  std::uint64_t lost_through_ = 0;
  id_index<Traits> own_ids_;
  std::optional<std::uint64_t> lost_id_;  // the hash of the ID of the event at lost_through_
  std::unique_ptr<lost_headers> lost_;
  siphash id_hash_;
  pinned_bytes pins_;
  bool tagged_ = false;  // an event has had a tag
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
