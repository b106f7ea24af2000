// SPDX-License-Identifier: MIT
// broker_bytes.hpp - what tests of a broker need: an epoch that the test chooses, and the bytes of a pull.
#pragma once

#include <ssewire/broker/broker.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// The test chooses the epoch: the next broker gets `epoch_traits::next`.
struct epoch_traits : ssewire::default_traits {
  static inline std::uint64_t next = 0;
  static std::uint64_t epoch() noexcept { return next; }
};

/// The test also chooses the process. After cloned() the library takes this process for the child of a
/// fork().
struct cloning_traits : epoch_traits {
  static inline std::uint32_t generation = 0;
  static std::uint32_t process() noexcept { return generation; }
  static void cloned(std::uint64_t its_epoch) noexcept {
    ++generation;
    next = its_epoch;
  }
};

constexpr std::size_t all_room = std::size_t{1} << 30;

template <class Traits> std::string bytes_of(ssewire::basic_batch<Traits> const& pulled) {
  std::array<std::string_view, ssewire::basic_batch<Traits>::max_views> views;
  std::string out;
  auto const n = pulled.gather(views.data());
  for (std::size_t i = 0; i < n; ++i) {
    CHECK_UNARY(!views[i].empty());
    out += views[i];
  }
  CHECK(out.size() == pulled.bytes());
  CHECK(out.empty() == pulled.empty());
  return out;
}

/// The bytes of one pull.
template <class Traits>
std::string pull(ssewire::basic_subscription<Traits>& from, std::size_t room = all_room) {
  ssewire::basic_batch<Traits> pulled;
  auto const status = from.pull(pulled, room);
  auto const bytes = bytes_of(pulled);
  CHECK((status == ssewire::pull_status::ready) == !bytes.empty());
  return bytes;
}

/// Pulls until nothing is left.
template <class Traits>
std::string pull_all(ssewire::basic_subscription<Traits>& from, std::size_t room = all_room) {
  std::string all;
  for (;;) {
    auto const part = pull(from, room);
    if (part.empty()) return all;
    all += part;
  }
}

/// Subscribes, and requires that the broker accepts.
template <class Traits>
ssewire::basic_subscription<Traits>
follow(ssewire::basic_broker<Traits>& of, std::vector<std::string_view> const& channels,
       std::string_view last_event_id = {}, ssewire::subscribe_options how = {}) {
  how.last_event_id = last_event_id;
  auto made = of.subscribe(std::span(channels), how);
  REQUIRE(made.error == ssewire::errc::ok);
  return std::move(made.value);
}

/// Subscribes, and pulls the first position event.
template <class Traits>
ssewire::basic_subscription<Traits> opened(ssewire::basic_broker<Traits>& of,
                                           std::vector<std::string_view> const& channels) {
  auto s = follow(of, channels);
  (void)pull(s);
  return s;
}

/// The ID of the event at this position of epoch 0, and its frame.
inline std::string id(std::uint64_t position) {
  auto digits = std::to_string(position);
  return "000000000000-" + std::string(16 - digits.size(), '0') + digits;
}
inline std::string frame(std::uint64_t position, std::string_view data) {
  return "id: " + id(position) + "\ndata: " + std::string(data) + "\n\n";
}
/// A position event: the first of a stream, with the client's normal reconnection time, and a later one.
inline std::string position_event(std::uint64_t position) {
  return "id: " + id(position) + "\nevent: ssewire.position\nretry: 3000\ndata: {}\n\n";
}
inline std::string checkpoint(std::uint64_t position) {
  return "id: " + id(position) + "\nevent: ssewire.position\ndata: {}\n\n";
}
inline std::string gap_event(std::string_view json) {
  return "event: ssewire.gap\ndata: " + std::string(json) + "\n\n";
}
inline std::string gap_event(std::uint64_t position, std::string_view json) {
  return "id: " + id(position) + '\n' + gap_event(json);
}
}  // namespace support

namespace doctest {

#define SSEWIRE_TEST_ENUM(type)                                                                              \
  template <> struct StringMaker<ssewire::type> {                                                            \
    static String convert(ssewire::type value) {                                                             \
      return (#type " " + std::to_string(static_cast<int>(value))).c_str();                                  \
    }                                                                                                        \
  }
SSEWIRE_TEST_ENUM(pull_status);
SSEWIRE_TEST_ENUM(resume_outcome);
SSEWIRE_TEST_ENUM(close_reason);
SSEWIRE_TEST_ENUM(wake);
#undef SSEWIRE_TEST_ENUM

}  // namespace doctest
