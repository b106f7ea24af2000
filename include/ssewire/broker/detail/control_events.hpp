// SPDX-License-Identifier: MIT
// control_events.hpp - the events the library itself puts into a stream: where it stands, and what it is
// missing.
#pragma once

#include <ssewire/core/utf8.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

enum class gap_cause : unsigned char { none, trimmed, restart, unknown };

constexpr std::string_view name(gap_cause cause) noexcept {
  switch (cause) {
  case gap_cause::none: break;
  case gap_cause::trimmed: return "trimmed";
  case gap_cause::restart: return "restart";
  case gap_cause::unknown: return "unknown";
  }
  return "";
}

// Channel names hold no control characters, so besides UTF-8 that is broken these two are all there is to
// mend.
inline void append_json_string(std::string& out, std::string_view text) {
  std::string repaired;
  out += '"';
  for (char const c : utf8_repair(text, repaired)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// {"reason":...,"channel":...,"missed":...}: the last two only where they are known.
inline std::string gap_data(gap_cause cause, std::string_view channel, std::optional<std::uint64_t> missed) {
  std::string data = "{\"reason\":\"";
  data += name(cause);
  data += '"';
  if (!channel.empty()) {
    data += ",\"channel\":";
    append_json_string(data, channel);
  }
  if (missed) {
    data += ",\"missed\":";
    data += std::to_string(*missed);
  }
  data += '}';
  return data;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
