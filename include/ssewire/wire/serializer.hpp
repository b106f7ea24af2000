// SPDX-License-Identifier: MIT
// serializer.hpp - turns events into the bytes of an event stream.
// Source: WHATWG HTML, 9.2.5 Parsing an event stream, read from the writing side.
//
// One event, several at once, or a comment goes to a string, to a buffer or to an iterator; as it is, or as
// one chunk of HTTP/1.1 where the program frames the body itself (framing::chunked).
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/result.hpp>
#include <ssewire/wire/detail/frame.hpp>
#include <ssewire/wire/detail/outputs.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Several events in a row: an array, a vector, a span.
template <class Events> concept event_batch = std::convertible_to<Events const&, std::span<event const>>;

/// An iterator that takes bytes one by one: any `std::output_iterator<char>`, without the cost of including
/// `<iterator>`. A bare pointer is none, because it does not say how much room there is: give a std::span.
template <class Out>
concept byte_iterator = std::movable<Out> && !std::is_pointer_v<Out> && requires(Out & out, char byte) {
  *out = byte;
  *out++ = byte;
  { ++out } -> std::same_as<Out&>;
};

namespace detail {

// To the front of `out`, or nothing.
template <class Frame>
constexpr result<std::size_t> write_frame(Frame const& frame, std::span<char> out, framing body) noexcept {
  if (!surely_fits(frame, body, out.size()) && framed_size(frame, body) > out.size()) {
    return {0, errc::buffer_too_small};
  }
  span_output to(out);
  put_framed(to, frame, body);
  return {static_cast<std::size_t>(to.at() - out.data()), errc::ok};
}

// To the end of `out`, or nothing. A small frame goes by the stack, which need not be zeroed as a string's
// new end is.
template <class Frame> void write_frame(Frame const& frame, std::string& out, framing body) {
  char scratch[2048];
  if (surely_fits(frame, body, sizeof scratch)) {
    span_output to(scratch);
    put_framed(to, frame, body);
    out.append(scratch, static_cast<std::size_t>(to.at() - scratch));
    return;
  }
  string_output to(out);
  put_framed(to, frame, body);
  to.keep();
}

// A string of its own.
template <class Frame> std::string write_frame(Frame const& frame, framing body) {
  std::string out(framed_size(frame, body), '\0');
  span_output to(out);
  put_framed(to, frame, body);
  return out;
}

template <class Frame, byte_iterator Out> Out write_frame(Frame const& frame, Out out, framing body) {
  for (char const c : write_frame(frame, body)) {  // not std::copy, which wants to copy the iterator
    *out = c;
    ++out;
  }
  return out;
}

}  // namespace detail

/// The number of bytes that serialize() writes for this event.
///
/// @par Complexity  O(size of the data): its line ends are counted.
[[nodiscard]] constexpr std::size_t serialized_size(event const& e, framing body = framing::raw) noexcept {
  return detail::framed_size(e, body);
}
/// The same for several events at once.
template <event_batch Events>
[[nodiscard]] constexpr std::size_t serialized_size(Events const& batch,
                                                    framing body = framing::raw) noexcept {
  return detail::framed_size(std::span<event const>(batch), body);
}

/// Writes one event, with the blank line that ends it, to the front of `out`.
///
/// @param e         Borrowed for the call. Its data may hold any bytes. Without data no event fires in the
///   client, but the ID and the reconnection time still take effect.
/// @param out       At least serialized_size(e, body) bytes; it must not overlap the event's text. With eight
///   times the text's size nothing has to be counted first. The bytes after the frame may be overwritten.
/// @param body      Whether the frame becomes a chunk.
/// @return          The bytes written; errc::buffer_too_small if they do not fit: then nothing was written.
/// @par Complexity  O(size of the event).
/// @par Source      WHATWG HTML, 9.2.5 Parsing an event stream.
[[nodiscard]] constexpr result<std::size_t> serialize(event const& e, std::span<char> out,
                                                      framing body = framing::raw) noexcept {
  return detail::write_frame(e, out, body);
}

/// Appends one event to `out`.
///
/// @pre     `e` does not view the text of `out`.
/// @throws  std::bad_alloc, std::length_error; then `out` is as before.
inline void serialize(event const& e, std::string& out, framing body = framing::raw) {
  detail::write_frame(e, out, body);
}

/// One event as a string.
///
/// @throws  std::bad_alloc, std::length_error.
[[nodiscard]] inline std::string serialize(event const& e, framing body = framing::raw) {
  return detail::write_frame(e, body);
}

/// Writes one event through an output iterator.
///
/// @return  The iterator after the last byte.
/// @throws  std::bad_alloc, before anything is written; and what the iterator throws.
template <byte_iterator Out> Out serialize(event const& e, Out out, framing body = framing::raw) {
  return detail::write_frame(e, std::move(out), body);
}

/// Writes several events at once to the front of `out`: one chunk. Without events nothing is written. The
/// result and the errors are those of one event, here and below.
template <event_batch Events>
[[nodiscard]] constexpr result<std::size_t> serialize(Events const& batch, std::span<char> out,
                                                      framing body = framing::raw) noexcept {
  return detail::write_frame(detail::event_span(batch), out, body);
}
/// Appends several events to `out`.
template <event_batch Events>
void serialize(Events const& batch, std::string& out, framing body = framing::raw) {
  detail::write_frame(detail::event_span(batch), out, body);
}
/// Several events as a string.
template <event_batch Events>
[[nodiscard]] std::string serialize(Events const& batch, framing body = framing::raw) {
  return detail::write_frame(detail::event_span(batch), body);
}
/// Writes several events through an output iterator.
template <event_batch Events, byte_iterator Out>
Out serialize(Events const& batch, Out out, framing body = framing::raw) {
  return detail::write_frame(detail::event_span(batch), std::move(out), body);
}

/// Writes a comment to the front of `out`: a heartbeat, or a note for people who read the wire. Clients
/// ignore it. Each line of the text becomes a comment line, and a blank line follows, as after every frame.
/// The result and the errors are those of serialize(), here and below.
[[nodiscard]] constexpr result<std::size_t> serialize_comment(std::string_view text, std::span<char> out,
                                                              framing body = framing::raw) noexcept {
  return detail::write_frame(detail::comment{text}, out, body);
}
/// Appends a comment to `out`.
inline void serialize_comment(std::string_view text, std::string& out, framing body = framing::raw) {
  detail::write_frame(detail::comment{text}, out, body);
}
/// A comment as a string.
[[nodiscard]] inline std::string serialize_comment(std::string_view text, framing body = framing::raw) {
  return detail::write_frame(detail::comment{text}, body);
}
/// Writes a comment through an output iterator.
template <byte_iterator Out>
Out serialize_comment(std::string_view text, Out out, framing body = framing::raw) {
  return detail::write_frame(detail::comment{text}, std::move(out), body);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
