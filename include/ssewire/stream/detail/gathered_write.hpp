// SPDX-License-Identifier: MIT
// gathered_write.hpp - the parts of one write. They may outlive the call that began the write, because a
// writer may go on sending them.
#pragma once

#include <ssewire/core/framing.hpp>
#include <ssewire/core/writer.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

inline constexpr std::string_view heartbeat_frame = ":\n\n";
inline constexpr std::string_view heartbeat_chunk = "3\r\n:\n\n\r\n";

template <class Batch> struct gathered_write {
  // Empty if the bytes are not from the log.
  Batch batch;
  std::optional<chunk_head> head;
  // Room for the views of the batch, and for the head and the tail of a chunk.
  std::array<std::string_view, Batch::max_views + 2> views;
  std::size_t count = 0;
  std::size_t bytes = 0;
  // Several streams may be sending one write, because a driver may offer it to many.
  std::size_t holders = 1;

  void gather(framing body) noexcept {
    count = 0;
    bytes = batch.bytes();
    if (body == framing::chunked) {
      head.emplace(batch.bytes());
      views[count++] = head->view();
    }
    count += batch.gather(views.data() + count);
    if (body == framing::chunked) {
      views[count++] = chunk_tail;
      bytes += head->view().size() + chunk_tail.size();
    }
  }

  void gather_heartbeat(framing body) noexcept {
    batch.clear();
    views[0] = body == framing::chunked ? heartbeat_chunk : heartbeat_frame;
    count = 1;
    bytes = views[0].size();
  }

  // Becomes a write of the same bytes, with views of its own.
  void assign(gathered_write const& other, framing body) {
    batch.assign(other.batch);
    batch.empty() ? gather_heartbeat(body) : gather(body);
  }

  // The views without the first `taken` bytes. The views from `first` on are changed, and `first` moves on.
  buffers rest(std::size_t& first, std::size_t taken) noexcept {
    while (first < count && taken >= views[first].size()) taken -= views[first++].size();
    if (first < count) views[first].remove_prefix(taken);
    return buffers(views.data() + first, count - first);
  }
};

// A reference to a write, or null.
// Threads: all references to one write belong to one thread.
template <class Batch> class held_write {
 public:
  held_write() noexcept = default;
  held_write(held_write&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  held_write& operator=(held_write&& other) noexcept {
    held_write old(std::move(other));
    std::swap(at_, old.at_);
    return *this;
  }
  ~held_write() { reset(); }

  // Throws std::bad_alloc.
  [[nodiscard]] static held_write make() { return held_write(new gathered_write<Batch>); }
  // Another reference to `write`.
  [[nodiscard]] static held_write to(gathered_write<Batch>& write) noexcept {
    ++write.holders;
    return held_write(&write);
  }

  void reset() noexcept {
    auto* const old = std::exchange(at_, nullptr);
    if (old != nullptr && --old->holders == 0) delete old;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return at_ != nullptr; }
  gathered_write<Batch>& operator*() const noexcept { return *at_; }
  gathered_write<Batch>* operator->() const noexcept { return at_; }

 private:
  explicit held_write(gathered_write<Batch>* write) noexcept : at_(write) {}

  gathered_write<Batch>* at_ = nullptr;
};

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
