// SPDX-License-Identifier: MIT
// numbered_events.hpp - events whose data names their number, and a client that objects if one is missing
// without a gap event.
#pragma once

#include <ssewire/core/framing.hpp>

#include <support/broker_bytes.hpp>
#include <support/chunked_body.hpp>
#include <support/events.hpp>
#include <support/literal_parser.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace support {

/// The data of event n.
inline std::string data_of(std::uint64_t position) {
  return std::to_string(position) + std::string(position % 7 == 0 ? 3000 : position % 5 * 20, 'x');
}

/// A client over all its connections. It reads one channel whose event n has data_of(n).
struct numbered_reader {
  std::string last_event_id = {};
  std::uint64_t next = 0;  // the event that must come next
  bool resync = false;     // a gap event without a number has come

  void begin(std::uint64_t last) {
    next = 1 + (last_event_id.empty() ? last : std::stoull(last_event_id.substr(13)));
    resync = false;
  }

  /// Reads everything that a connection has brought, once the connection is over.
  void read(std::string_view bytes, ssewire::framing body) {
    std::string decoded(bytes);
    if (body == ssewire::framing::chunked) {
      auto const chunks = decode_chunked(bytes);
      CHECK(chunks.error == "");
      decoded = chunks.body;
    }
    auto const got = parse_whole(decoded);
    CHECK(got.error == ssewire::errc::ok);
    CHECK_UNARY(static_cast<outcome const&>(got) == literal::parse(decoded));
    for (auto const& e : got.events) {
      REQUIRE(e.data);
      if (e.type == "ssewire.gap") {
        auto const missed = e.data->find("\"missed\":");
        resync = resync || missed == std::string::npos;
        if (missed != std::string::npos) next += std::stoull(e.data->substr(missed + 9));
      } else if (e.type.empty()) {
        auto const position = std::stoull(e.id.value_or(id(0)).substr(13));
        CHECK((resync ? position >= next : position == next));
        CHECK(*e.data == data_of(position));
        resync = false;
        next = position + 1;
      }
    }
    if (!got.last_event_id.empty()) last_event_id = got.last_event_id;
  }
};

}  // namespace support
