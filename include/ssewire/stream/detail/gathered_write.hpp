// SPDX-License-Identifier: MIT
// gathered_write.hpp - the parts of one write, which may outlive the call that began it.
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

// A gathered write that may outlive the call that began it.
template <class Batch> struct gathered_write {
  Batch batch;  // empty: the bytes are not of the log
  std::optional<chunk_head> head;
  std::array<std::string_view, Batch::max_views + 2> views;  // and the chunk's head and tail
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::size_t holders = 1;  // a driver may offer it to many streams, and several may be sending it

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

  // The same bytes, with views of its own.
  void assign(gathered_write const& other, framing body) {
    batch.assign(other.batch);
    batch.empty() ? gather_heartbeat(body) : gather(body);
  }

  // What is left of the views when `taken` bytes at their front are gone. The views are changed.
  buffers rest(std::size_t& first, std::size_t taken) noexcept {
    while (first < count && taken >= views[first].size()) taken -= views[first++].size();
    if (first < count) views[first].remove_prefix(taken);
    return buffers(views.data() + first, count - first);
  }
};

// A reference to one, or null. Threads: all that refer to one are on one.
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
  // One more reference to it.
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
