// SPDX-License-Identifier: MIT
// burst.cpp - more events than a log holds, and clients that are held back meanwhile.

#include "burst.hpp"

#include <algorithm>

namespace demo {
namespace {

// A few events a turn: who reads keeps up with them, and only who is held back or away misses any.
constexpr std::uint64_t slices = 16;
constexpr auto pause = std::chrono::milliseconds(20);

// Long enough for somebody who looks at the page to see that it stands still.
constexpr auto shortest_hold = std::chrono::milliseconds(1500);

}  // namespace

bool burst::hold(std::string_view client, clock::time_point now) {
  if (!streams_.hold(client)) return false;
  std::erase_if(held_, [&](held_client const& h) { return h.name == client; });
  held_.push_back({std::string(client), now + shortest_hold});
  return true;
}

void burst::stop() {
  left_ = 0;
  for (auto const& h : held_) streams_.release(h.name);
  held_.clear();
}

burst::clock::time_point burst::run(clock::time_point now) {
  auto next = clock::time_point::max();
  if (left_ != 0) {
    if (next_slice_ <= now) {
      auto const slice = (std::min)(left_, (std::max<std::uint64_t>)(streams_.log_size() / slices, 1));
      for (std::uint64_t i = 0; i < slice; ++i) streams_.publish_numbered("burst", "{}");
      left_ -= slice;
      next_slice_ = now + pause;
    }
    if (left_ != 0) return next_slice_;
  }
  for (auto const& h : held_) {
    if (h.until <= now) {
      streams_.release(h.name);
    } else {
      next = (std::min)(next, h.until);
    }
  }
  std::erase_if(held_, [&](held_client const& h) { return h.until <= now; });
  return next;
}

}  // namespace demo
