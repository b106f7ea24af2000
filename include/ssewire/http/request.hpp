// SPDX-License-Identifier: MIT
// request.hpp - the last event ID that a request presents.
// Source: WHATWG HTML, 9.2.4 The `Last-Event-ID` header; RFC 3986, 3.4 Query.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/optional_text.hpp>

#include <cstddef>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

constexpr int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A '%' that begins no escape stands for itself, as URLSearchParams has it.
inline std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    int const high = i + 2 < text.size() && text[i] == '%' ? hex_digit(text[i + 1]) : -1;
    int const low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// For servers that give the names and values of a query, but not the query.
inline std::string percent_encoded(std::string_view text) {
  std::string out;
  for (char const c : text) {
    auto const byte = static_cast<unsigned char>(c);
    bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) out += c;
    if (!plain) out.append({'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]});
  }
  return out;
}

// Blanks around a field's value are not part of it (RFC 9110, 5.5). Not every server has removed them.
constexpr std::string_view without_blanks(std::string_view text) noexcept {
  auto const first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Whether both are the same but for the case of ASCII letters.
constexpr bool same_token(std::string_view a, std::string_view b) noexcept {
  auto const lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// Whether the text can be the value of a field: a line end would begin another field.
constexpr bool is_field_value(std::string_view text) noexcept {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// Calls visit(name, value) for each pair of `query` that has an '=', in order. The value is percent-encoded.
template <class Visit> void for_each_in_query(std::string_view query, Visit visit) {
  while (!query.empty()) {
    auto const pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size() < query.size() ? pair.size() + 1 : query.size());
    auto const equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    visit(percent_decoded(pair.substr(0, equals)), pair.substr(equals + 1));
  }
}

}  // namespace detail

/// The query of a request's target: from after the first '?' to the end, or to a '#'. For servers that give
/// only the target, because last_event_id() needs the query.
///
/// @param target  `/events?channel=news`, also with scheme and host before it; absent is empty.
/// @return        A view of the target; empty if there is no query.
/// @par Source    RFC 3986, 3.4 Query: a second '?' is part of the query.
[[nodiscard]] constexpr std::string_view query_of(optional_text target) noexcept {
  auto const text = target.value().substr(0, target.value().find('#'));
  auto const mark = text.find('?');
  return mark == std::string_view::npos ? std::string_view() : text.substr(mark + 1);
}

/// The last event ID that a client presents: the value of the `Last-Event-ID` field, or else a value in the
/// query, which clients use that cannot set a field.
///
/// The names in a query are lastEventId, last_event_id and evs_last_event_id (polyfills), lastEventID and
/// Last-Event-ID (Mercure), spelt exactly so. If several have a value, the last one counts: a client that
/// comes back adds its ID after the one that the page put into the address.
///
/// @param header  The field's value; blanks around it are not part of it. Absent means the same as empty.
/// @param query   The part of the target after its first '?', see query_of(), still percent-encoded. Absent
///   means the same as empty.
/// @return        The ID; empty: the client has none. It may hold hostile bytes: give it to subscribe() or
///   after(), which take anything, and never put it into a response.
/// @throws        std::bad_alloc.
[[nodiscard]] inline std::string last_event_id(optional_text header, optional_text query = {}) {
  if (auto const value = detail::without_blanks(header.value()); !value.empty()) return std::string(value);
  std::string last;
  detail::for_each_in_query(query.value(), [&last](std::string const& name, std::string_view value) {
    if (value.empty()) return;
    for (std::string_view const known :
         {"lastEventId", "last_event_id", "evs_last_event_id", "lastEventID", "Last-Event-ID"}) {
      if (name == known) last = detail::percent_decoded(value);
    }
  });
  return last;
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
