// SPDX-License-Identifier: MIT
// text_buffer.hpp - collects a text that arrives in pieces, cut anywhere, and says how much of it can be
// sent.
// Source: Unicode 15, table 3-7 (well-formed byte sequences); WHATWG HTML, 9.2.5 Parsing an event stream:
// end-of-line.
//
// A language model's tokens stop inside a UTF-8 sequence, and between CR and LF. A client decodes each event
// by itself: each half of a sequence becomes U+FFFD, and each half of a CRLF a line end. So the bytes at the
// end that the next piece may change wait for it: three at most. However the text was cut, the joined data of
// the events is the data that one event with the whole text would have.
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

// How many bytes at the end may mean something else when more bytes follow: a CR, or a UTF-8 sequence that
// has begun. Such a sequence is a lead byte and what follows it, so it begins at the last byte that is no
// continuation.
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

/// A text on its way into events: append() each piece, send ready() when the stream can take it, then
/// consume() it. Pieces that arrive while the stream is slow are merged into one event's data.
///
/// @par Ignored  Bytes that are not UTF-8 and cannot become it are ready at once, unchanged; the client
///   repairs them.
/// @par Memory   About twice `max_bytes` at most, kept for the next pieces.
/// @par Threads  Distinct objects: safe. One object: one thread at a time.
class utf8_text_buffer {
 public:
  /// With a limit of your own.
  ///
  /// @param max_bytes  Of the text that was not consumed yet. With less than 4 some code points never fit.
  explicit utf8_text_buffer(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

  /// With a limit of 8 KiB, some 2,000 tokens. Even 8 KiB of line ends, each a data line of seven bytes, fit
  /// into the 64 KiB of stream_options::max_outbox_bytes.
  utf8_text_buffer() noexcept = default;

  /// Takes the next piece of the text.
  ///
  /// @param piece     Any bytes, cut anywhere. Borrowed for the call.
  /// @return          outbox_full: with this piece the text would exceed `max_bytes`. no_memory. On an error
  ///   nothing was taken and nothing is lost: let the model wait, or stop it.
  /// @par Complexity  O(piece.size()) amortised; of the bytes before it three are looked at again.
  [[nodiscard]] errc append(std::string_view piece) noexcept {
    if (piece.size() > max_bytes_ - text_.size()) return errc::outbox_full;
    if (!detail::try_call([&] { text_ += piece; })) return errc::no_memory;
    ended_ = ended_ && piece.empty();
    return errc::ok;
  }

  /// The front of the text that no further piece can change: whole code points, and no half of a CRLF. After
  /// end() it is all of the text.
  ///
  /// @par Lifetime  A view of this object's memory, until the next call that changes it.
  [[nodiscard]] std::string_view ready() const noexcept {
    std::string_view const text = text_;
    return text.substr(0, text.size() - (ended_ ? 0 : detail::unsettled_bytes(text)));
  }

  /// Drops what is ready, because it was sent.
  void consume() noexcept { text_.erase(0, ready().size()); }

  /// The last piece has come: the bytes that were held back are ready, too. The next piece begins another
  /// text.
  void end() noexcept { ended_ = true; }

 private:
  std::string text_;
  std::size_t max_bytes_ = 8 * 1024;
  bool ended_ = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
