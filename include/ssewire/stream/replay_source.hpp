// SPDX-License-Identifier: MIT
// replay_source.hpp - what follows an ID in a replay buffer, as the source of a stream that then ends.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/pull_status.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/log/replay_buffer.hpp>
#include <ssewire/log/resume_outcome.hpp>
#include <ssewire/stream/source.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Sends what follows a last event ID, until nothing does, and ends with close_reason::finished. Where the
/// buffer has forgotten what comes next meanwhile, it ends with close_reason::lagged: the client comes back
/// with the ID it has, and is answered anew.
/// Input       the buffer: borrowed; it outlives the source. `last_event_id`: as in
///             basic_replay_buffer::after().
/// Memory      the ID of the last event, and one write.
/// Throws      std::bad_alloc, also from pull().
/// Threads     the buffer's.
template <class Traits = default_traits> class replay_source {
 public:
  using batch = text_batch;

  explicit replay_source(basic_replay_buffer<Traits> const& from, optional_text last_event_id = {})
      : from_(&from), after_(last_event_id.value()), outcome_(from.after(after_).outcome()) {}

  /// What became of the last event ID it was made with.
  [[nodiscard]] resume_outcome outcome() const noexcept { return outcome_; }

  /// About `room` bytes, but at least one event if there is one.
  [[nodiscard]] pull_status pull(batch& out, std::size_t room) {
    out.clear();
    if (reason_ != close_reason::none) return pull_status::closed;
    auto const rest = from_->after(after_);
    bool const is_lost = rest.outcome() == resume_outcome::gap || rest.outcome() == resume_outcome::unknown;
    if (has_sent_ && is_lost) {
      reason_ = close_reason::lagged;
      return pull_status::closed;
    }
    std::string_view last;
    for (auto const frame : rest) {
      if (!last.empty() && out.text.size() + frame.size() > room) break;
      out.text += frame;
      last = frame;
    }
    if (last.empty()) {
      reason_ = close_reason::finished;
      return pull_status::closed;
    }
    constexpr std::string_view field = "id: ";  // which every frame of a buffer begins with
    after_ = std::string(last.substr(field.size(), last.find('\n') - field.size()));
    has_sent_ = true;
    return pull_status::ready;
  }

  /// All that was not taken: the stream keeps it.
  [[nodiscard]] std::string_view give_back(batch& out, std::size_t taken) noexcept { return out.rest(taken); }
  /// Never waits.
  [[nodiscard]] bool park() noexcept { return false; }
  void set_hook(wake_hook) noexcept {}
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept { return std::nullopt; }
  [[nodiscard]] close_reason reason() const noexcept { return reason_; }
  close_reason close(close_reason why) noexcept {
    if (reason_ == close_reason::none) reason_ = why;
    return reason_;
  }

 private:
  basic_replay_buffer<Traits> const* from_;
  std::string after_;
  resume_outcome outcome_;
  close_reason reason_ = close_reason::none;
  bool has_sent_ = false;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
