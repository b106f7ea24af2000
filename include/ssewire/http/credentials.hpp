// SPDX-License-Identifier: MIT
// credentials.hpp - what a request says of who it is: cookies, and tokens in its query.
// Source: RFC 6265, 5.4 The Cookie Header; RFC 3986, 3.4 Query.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/http/request.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The values of a parameter in a query, in order: both of `?channel=a&channel=b`.
///
/// @param query  As for last_event_id().
/// @param name   The name, spelt exactly so.
/// @return       The values, decoded. They may hold hostile bytes. A name without '=' has none.
/// @throws       std::bad_alloc.
[[nodiscard]] inline std::vector<std::string> query_values(optional_text query, std::string_view name) {
  std::vector<std::string> values;
  detail::for_each_in_query(query.value(), [&](std::string const& its_name, std::string_view value) {
    if (its_name == name) values.push_back(detail::percent_decoded(value));
  });
  return values;
}

/// The value of a cookie.
///
/// @param header  The value of the `Cookie` field; absent means the same as empty.
/// @param name    The cookie's name, spelt exactly so.
/// @return        A view of the header's value, as it is; absent: there is no such cookie. If a client sends
///   the name twice, the first one counts: it belongs to the longest path.
[[nodiscard]] constexpr std::optional<std::string_view> cookie(optional_text header,
                                                               std::string_view name) noexcept {
  for (auto rest = header.value(); !rest.empty();) {
    auto const pair = rest.substr(0, rest.find(';'));
    rest.remove_prefix(pair.size() < rest.size() ? pair.size() + 1 : rest.size());
    auto const equals = pair.find('=');
    if (equals == std::string_view::npos || detail::without_blanks(pair.substr(0, equals)) != name) continue;
    return detail::without_blanks(pair.substr(equals + 1));
  }
  return std::nullopt;
}

/// A target as it may be written to a log: the values of one parameter of the query are replaced by `***`.
///
/// @param target  As for query_of(); it is written as it is but for these values.
/// @param secret  The parameter's name, as it is once decoded.
/// @return        The target without these values.
/// @throws        std::bad_alloc.
[[nodiscard]] inline std::string redacted(optional_text target, std::string_view secret) {
  auto const text = target.value();
  auto const query = query_of(target);
  if (query.empty()) return std::string(text);
  auto const begin = static_cast<std::size_t>(query.data() - text.data());
  std::string out(text.substr(0, begin));
  for (auto rest = query; !rest.empty();) {
    auto const pair = rest.substr(0, rest.find('&'));
    bool const more = pair.size() < rest.size();
    rest.remove_prefix(more ? pair.size() + 1 : rest.size());
    auto const equals = pair.find('=');
    bool const is_secret =
        equals != std::string_view::npos && detail::percent_decoded(pair.substr(0, equals)) == secret;
    out += is_secret ? pair.substr(0, equals + 1) : pair;
    if (is_secret) out += "***";
    if (more) out += '&';
  }
  out += text.substr(begin + query.size());
  return out;
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
