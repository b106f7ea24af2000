// SPDX-License-Identifier: MIT
// replay_source.hpp - the events that follow an ID in a replay buffer, as the source of a stream that then
// ends.
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

/// Sends the events that follow a last event ID, until none does, and ends with close_reason::finished. If
/// the buffer has trimmed the next events meanwhile, it ends with close_reason::lagged: the client comes back
/// with the ID that it has, and gets a new answer.
///
/// @par Lifetime  The buffer is borrowed: it outlives the source.
/// @par Memory    The ID of the last event, and the bytes of one write.
/// @par Threads   One thread at a time, together with the buffer.
template <class Traits = default_traits> class replay_source {
 public:
  /// As the concept ssewire::source has it.
  using batch = text_batch;

  /// Starts after an ID.
  ///
  /// @param from           The buffer.
  /// @param last_event_id  As in basic_replay_buffer::after().
  /// @throws               std::bad_alloc.
  explicit replay_source(basic_replay_buffer<Traits> const& from, optional_text last_event_id = {})
      : from_(&from), after_(last_event_id.value()), outcome_(from.after(after_).outcome()) {}

  /// What became of the last event ID it was made with.
  [[nodiscard]] resume_outcome outcome() const noexcept { return outcome_; }

  /// Fills `out` with about `room` bytes, but at least one event if there is one.
  ///
  /// @throws  std::bad_alloc.
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
    constexpr std::string_view field = "id: ";  // every frame of a buffer begins with it
    after_ = std::string(last.substr(field.size(), last.find('\n') - field.size()));
    has_sent_ = true;
    return pull_status::ready;
  }

  /// All bytes that were not taken: the stream keeps them.
  [[nodiscard]] std::string_view give_back(batch& out, std::size_t taken) noexcept { return out.rest(taken); }
  /// Always false: it never waits.
  [[nodiscard]] bool park() noexcept { return false; }
  /// Does nothing: there is no wait to end.
  void set_hook(wake_hook) noexcept {}
  /// None.
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept { return std::nullopt; }
  /// Why it has ended; close_reason::none while it has not.
  [[nodiscard]] close_reason reason() const noexcept { return reason_; }
  /// Ends it, unless it has ended. Returns the reason.
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
