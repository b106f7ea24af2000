// SPDX-License-Identifier: MIT
// text_buffer.hpp - collects a text that arrives in pieces, cut anywhere, and says how much of it may be
// sent already. Source: Unicode 15, table 3-7 (well-formed byte sequences); WHATWG HTML, 9.2.5 Parsing an
// event stream: end-of-line.
//
// A language model's tokens stop inside a UTF-8 sequence, and between CR and LF. Events are read one by one:
// a client makes U+FFFD of each half of a sequence, and a line end of each half of a CRLF. So the end of the
// text that the next piece may change waits for it: three bytes at most. Whatever the pieces were, the data
// of the events, joined, is what the data of one event with the whole text would be.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// How many bytes at the end may mean something else with more bytes behind them: a CR, or a UTF-8 sequence
// that has begun. Such a sequence is a lead byte and what follows it, so it begins at the last byte that is
// no continuation.
constexpr std::size_t unsettled_bytes(std::string_view text) noexcept {
  if (text.ends_with('\r')) return 1;
  for (std::size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    auto const tail = text.substr(text.size() - n);
    if ((static_cast<unsigned char>(tail.front()) & 0xC0) == 0x80) continue;
    std::uint64_t state = utf8_automaton::whole;
    for (char const c : tail) state = utf8_automaton::next(state, static_cast<unsigned char>(c));
    return state == utf8_automaton::whole || state == utf8_automaton::broken ? 0 : n;
  }
  return 0;
}

}  // namespace detail

/// A text on its way into events: append() what comes, send ready() when the stream can take it, consume()
/// it then. What comes while the stream is slow is merged into one event's data. Not errors  bytes that are
/// not UTF-8 and cannot become it are ready at once, unchanged; the client repairs them.
/// Memory      about twice `max_bytes` at most, kept for what comes next.
/// Threads     distinct objects: safe. One object: one thread at a time.
class utf8_text_buffer {
 public:
  /// Input       `max_bytes`: of the text that was not consumed yet. With less than 4 there are code points
  ///             that never fit.
  explicit utf8_text_buffer(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

  /// With 8 KiB: some 2,000 tokens; and even 8 KiB of line ends, seven bytes each as data lines, fit into
  /// the 64 KiB of stream_options::max_outbox_bytes.
  utf8_text_buffer() noexcept = default;

  /// Takes the next piece of the text.
  /// Input       `piece`: any bytes, cut anywhere. Borrowed for the call.
  /// Errors      outbox_full: with it the text would exceed `max_bytes`. no_memory. Then nothing of it was
  ///             taken and nothing is lost: let the model wait, or stop it.
  /// Complexity  O(piece.size()) amortised; of the bytes before it three are looked at again.
  [[nodiscard]] errc append(std::string_view piece) noexcept {
    if (piece.size() > max_bytes_ - text_.size()) return errc::outbox_full;
    if (!detail::try_call([&] { text_ += piece; })) return errc::no_memory;
    ended_ = ended_ && piece.empty();
    return errc::ok;
  }

  /// The front of the text that no further piece can change: whole code points, and no half of a CRLF. All
  /// of it behind end(). A view of this object's memory, for the next call that changes it.
  [[nodiscard]] std::string_view ready() const noexcept {
    std::string_view const text = text_;
    return text.substr(0, text.size() - (ended_ ? 0 : detail::unsettled_bytes(text)));
  }

  /// Forgets what is ready: it was sent.
  void consume() noexcept { text_.erase(0, ready().size()); }

  /// The last piece has come: what was held back is ready, too. A piece behind that begins another text.
  void end() noexcept { ended_ = true; }

 private:
  std::string text_;
  std::size_t max_bytes_ = 8 * 1024;
  bool ended_ = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
