// SPDX-License-Identifier: MIT
// prepared_events.hpp - a source as a user might write one: it sends whole events that exist already, as from
// a file.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/pull_status.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/stream/source.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// Sends its events, one for each pull, and then ends or waits for more.
/// Threads: one at a time.
class prepared_events {
 public:
  enum class then : unsigned char { end, wait };
  using batch = ssewire::text_batch;

  explicit prepared_events(std::vector<std::string> events, then at_the_end = then::end)
      : events_(std::move(events)), then_(at_the_end) {}

  /// Adds an event while the source waits.
  void add(std::string event) {
    events_.push_back(std::move(event));
    if (std::exchange(parked_, false)) hook_(ssewire::wake::ready);
  }

  ssewire::pull_status pull(batch& out, std::size_t) {
    out.clear();
    if (reason_ != ssewire::close_reason::none) return ssewire::pull_status::closed;
    if (next_ == events_.size()) {
      if (then_ == then::wait) return ssewire::pull_status::nothing;
      reason_ = ssewire::close_reason::finished;
      return ssewire::pull_status::closed;
    }
    out.text = events_[next_++];
    return ssewire::pull_status::ready;
  }
  std::string_view give_back(batch& out, std::size_t taken) noexcept { return out.rest(taken); }
  bool park() noexcept { return parked_ = reason_ == ssewire::close_reason::none && next_ == events_.size(); }
  void set_hook(ssewire::wake_hook hook) noexcept { hook_ = hook; }
  [[nodiscard]] std::optional<ssewire::reconnection_time> retry() const noexcept { return std::nullopt; }
  [[nodiscard]] ssewire::close_reason reason() const noexcept { return reason_; }
  ssewire::close_reason close(ssewire::close_reason why) noexcept {
    if (reason_ == ssewire::close_reason::none) reason_ = why;
    return reason_;
  }

 private:
  std::vector<std::string> events_;
  then then_;
  std::size_t next_ = 0;
  bool parked_ = false;
  ssewire::close_reason reason_ = ssewire::close_reason::none;
  ssewire::wake_hook hook_ = {};
};

}  // namespace support
