// SPDX-License-Identifier: MIT
// burst.hpp - more events than a log holds, and clients that are held back meanwhile: how a gap comes about.

#pragma once

#include "event_streams.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// Threads     the server's.
class burst {
 public:
  using clock = std::chrono::steady_clock;

  /// What a client that was away misses at least.
  static constexpr std::uint64_t more_than_log = 250;
  /// A page takes that many at once without a pause.
  static constexpr std::uint64_t largest_log = 10'000;

  explicit burst(event_streams& streams) : streams_(streams) {}

  /// From now on at least size() events follow on channel `burst`; two bursts at once are one, that lasts
  /// longer.
  void begin() noexcept { left_ = size(); }

  /// Nothing is written to the client until the burst is over. False: it has no open stream.
  bool hold(std::string_view client, clock::time_point now);

  /// Ends the burst, and lets all go on that are held back.
  void stop();

  /// To be called in every turn. Returns when to come back at the latest.
  clock::time_point run(clock::time_point now);

  std::uint64_t size() const noexcept { return streams_.log_size() + more_than_log; }
  std::uint64_t left() const noexcept { return left_; }

 private:
  struct held_client {
    std::string name;
    clock::time_point until;  // not before
  };

  event_streams& streams_;
  std::uint64_t left_ = 0;
  clock::time_point next_slice_ = {};
  std::vector<held_client> held_;
};

}  // namespace demo
