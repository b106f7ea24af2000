// SPDX-License-Identifier: MIT
// frame.hpp - counts the bytes of a frame, and writes them to any kind of output.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream, read from the writing side.
//
// A frame is the fields that are present, in the order id, event, retry, data, and then a blank line. `data`
// and comments may hold any text: it is split at CR, LF and CRLF, where a client would split it, and nowhere
// else. So no text in an event can end its line, add a field or begin another event.
#pragma once

#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/wire/detail/copy.hpp>
#include <ssewire/wire/detail/line_ends.hpp>

#include <string.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

struct comment {
  std::string_view text;
};
using event_span = std::span<event const>;

// The size of the lines of `text`, with `prefix_bytes` before and an LF after each. Sizes have 64 bits until
// they are known to fit.
constexpr std::uint64_t lines_size(std::size_t prefix_bytes, std::string_view text) noexcept {
  std::uint64_t size = 0;
  for_each_line(text, [&](char const* first, char const* end) {
    size += prefix_bytes + static_cast<std::size_t>(end - first) + 1;
  });
  return size;
}

// The digits of a number, in base ten.
class decimal {
 public:
  explicit constexpr decimal(std::uint64_t value) noexcept {
    do {
      text_[--first_] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
  }
  [[nodiscard]] constexpr std::string_view view() const noexcept {
    return {text_ + first_, sizeof text_ - first_};
  }

 private:
  char text_[20] = {};
  unsigned char first_ = sizeof text_;
};

constexpr std::uint64_t frame_size(event const& e) noexcept {
  std::uint64_t size = 1;
  if (e.id.has_value()) size += 4 + e.id.value().size() + 1;
  if (!e.type.empty()) size += 7 + e.type.value().size() + 1;
  if (e.retry) size += 7 + decimal(e.retry->milliseconds).view().size() + 1;
  if (e.data) size += lines_size(6, *e.data);
  return size;
}

constexpr std::uint64_t frame_size(comment c) noexcept { return lines_size(2, c.text) + 1; }

constexpr std::uint64_t frame_size(event_span batch) noexcept {
  std::uint64_t size = 0;
  for (auto const& e : batch) size += frame_size(e);
  return size;
}

// Whether the frame fits so surely that it need not be counted. At worst each byte of the data is a line end,
// which becomes seven bytes. `names` times 8 is more than all field names, line ends and digits together.
constexpr bool surely_fits(event const& e, framing body, std::size_t room) noexcept {
  constexpr std::uint64_t names = 16;
  std::uint64_t const text = e.data ? e.data->size() : 0;
  return body == framing::raw && text + e.id.value().size() + e.type.value().size() + names <= room / 8;
}
template <class Frame> constexpr bool surely_fits(Frame const&, framing, std::size_t) noexcept {
  return false;
}

// The empty batch has no chunk, because a chunk without bytes would end the body. A frame too large for any
// memory has the largest size.
template <class Frame> constexpr std::size_t framed_size(Frame const& frame, framing body) noexcept {
  constexpr auto most = static_cast<std::size_t>(-1);
  constexpr std::size_t around = 2 * sizeof(std::size_t) + 4;
  auto const size = frame_size(frame);
  if (size > most - around) return most;
  auto const bytes = static_cast<std::size_t>(size);
  if (body == framing::raw || bytes == 0) return bytes;
  return chunk_head(bytes).view().size() + bytes + chunk_tail.size();
}

// Copies whole blocks of `text`, and breaks its lines on the way. Returns what is left of `text`: less than a
// block, or more if the output has no room for whole blocks. Most blocks have no line end, and are read and
// written once.
template <class Out, std::size_t N>
std::string_view put_blocks(Out& out, char const (&line_break)[N], std::string_view text) {
  // The most that a block can become, and one block that is written in vain.
  constexpr auto most_bytes = block_bytes * N;
  block_scanner const scanner;
  auto const* const last = text.data() + text.size();
  auto const* block = text.data();
  char const* behind_cr = nullptr;  // an LF at this place belongs to the CR before it
  while (static_cast<std::size_t>(last - block) >= block_bytes && out.make_room(block_bytes)) {
    auto* at = out.at();
    auto blocks = lesser(static_cast<std::size_t>(last - block), out.room()) / block_bytes;
    std::uint64_t ends = 0;
    for (; blocks != 0; --blocks, block += block_bytes, at += block_bytes) {
      ends = scanner.copy(at, block);
      if (ends != 0) break;
    }
    out.wrote_to(at);
    if (ends == 0) continue;
    if (!out.make_room(most_bytes)) break;
    at = out.at();
    auto const* line = block;  // copied up to here
    auto const* const block_end = block + block_bytes;
    auto const* const readable = lesser(last, block_end + block_bytes);
    do {
      auto const* const end = block + static_cast<unsigned>(std::countr_zero(ends));
      bool const cr = *end == '\r';
      bool const lf = *end == '\n';
      // One branch for CR and LF: in a mixed text, which of the two comes next cannot be predicted.
      if (!(cr | lf)) [[unlikely]] {
        ends &= scanner.ends(block, block_bytes);
        continue;
      }
      ends &= ends - 1;
      if (!(lf & (end == behind_cr))) {
        at = copy_readable(at, line, end, readable);
        (memcpy)(at, line_break, N - 1);
        at += N - 1;
      }
      line = end + 1;
      behind_cr = cr ? line : nullptr;
    } while (ends != 0);
    out.wrote_to(copy_readable(at, line, block_end, readable));
    block = block_end;
  }
  if (block != last && block == behind_cr && *block == '\n') ++block;
  return {block, static_cast<std::size_t>(last - block)};
}

// `line_break`: the LF of a line and the prefix of the next line.
template <class Out, std::size_t N>
constexpr void put_lines(Out& out, char const (&line_break)[N], std::string_view text) {
  out.put({line_break + 1, N - 2});
  if (!std::is_constant_evaluated()) {
    if (text.size() > block_bytes) text = put_blocks(out, line_break, text);
    if (!may_hold_line_end(text)) return out.put_line("", text);
  }
  bool begun = true;
  for_each_line(text, [&](char const* first, char const* end) {
    if (!std::exchange(begun, false)) out.put({line_break, N - 1});
    out.put({first, static_cast<std::size_t>(end - first)});
  });
  out.put("\n");
}

// Writes exactly frame_size() bytes.
template <class Out> constexpr void put_frame(Out& out, event const& e) {
  if (e.id.has_value()) out.put_line("id: ", e.id.value());
  if (!e.type.empty()) out.put_line("event: ", e.type.value());
  if (e.retry) out.put_line("retry: ", decimal(e.retry->milliseconds).view());
  if (e.data) put_lines(out, "\ndata: ", *e.data);
  out.put("\n");
}

template <class Out> constexpr void put_frame(Out& out, comment c) {
  put_lines(out, "\n: ", c.text);
  out.put("\n");
}

template <class Out> constexpr void put_frame(Out& out, event_span batch) {
  for (auto const& e : batch) put_frame(out, e);
}

// Writes exactly framed_size() bytes.
template <class Out, class Frame> constexpr void put_framed(Out& out, Frame const& frame, framing body) {
  auto const size = body == framing::chunked ? static_cast<std::size_t>(frame_size(frame)) : 0;
  if (size != 0) out.put(chunk_head(size).view());
  put_frame(out, frame);
  if (size != 0) out.put(chunk_tail);
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
