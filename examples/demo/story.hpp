// SPDX-License-Identifier: MIT
// story.hpp - a text that arrives word by word, as a language model's would, and whose reader is cut off
// midway.

#pragma once

#include "event_streams.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// Threads     the server's.
class story_teller {
 public:
  using clock = std::chrono::steady_clock;

  /// Stories; each is a timer and an event every 80 ms.
  static constexpr std::size_t at_once = 16;

  explicit story_teller(event_streams& streams) : streams_(streams) {}

  enum class answer { begun, told_already, too_many };

  /// Begins a story on channel `story`. Each word is an event, and says whom the story is for. In the middle
  /// the client's connection is dropped; the words go on.
  answer tell(std::string_view client, clock::time_point now);

  /// To be called in every turn. Returns when to come back at the latest.
  clock::time_point run(clock::time_point now);

  static std::size_t words() noexcept;

 private:
  struct telling {
    std::string client;
    std::uint64_t number;
    std::size_t next_word;
    clock::time_point due;
  };
  void say(telling& story);

  event_streams& streams_;
  std::vector<telling> tellings_;
  std::uint64_t told_ = 0;
};

}  // namespace demo
