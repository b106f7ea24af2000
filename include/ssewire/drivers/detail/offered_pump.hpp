// SPDX-License-Identifier: MIT
// offered_pump.hpp - a pump whose writer can also be offered a write that many streams share.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/stream/detail/gathered_write.hpp>
#include <ssewire/stream/detail/pump.hpp>
#include <ssewire/stream/state.hpp>

#include <cstddef>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// While the pump is idle, its driver may offer the shared write itself, between begin_offer() and
// end_offer().
template <class Writer, class Source> class offered_pump : public pump<Writer, Source> {
  using base = pump<Writer, Source>;
  using base::answered, base::body_, base::from_, base::has_source_, base::in_flight_, base::keep_rest;
  using base::max_outbox_, base::offer_rest, base::room_, base::same_bytes_, base::sending_, base::state_;
  using typename base::closes_if_left;

 public:
  using base::base;

  [[nodiscard]] std::size_t room() const noexcept { return room_; }
  [[nodiscard]] bool same_bytes_again() const noexcept { return same_bytes_; }
  [[nodiscard]] std::size_t max_outbox_bytes() const noexcept { return max_outbox_; }
  using typename base::write;

  // Closes this pump without a report to its writer: the stream continues idle without a pump.
  void retire() noexcept { state_ = stream_state::closed; }

  // Continues such a stream from where its source stands, idle. The pump must have been made without a
  // source, and must have done nothing yet.
  void resume(Source from) noexcept {
    from_ = std::move(from);
    has_source_ = true;
    state_ = stream_state::idle;
  }

  using base::begin_offer;

  // Settles an offer. `answer`: what the writer answered; null if it threw. If the writer took only a part,
  // offers the rest. `before`: how many bytes the writer had taken earlier; the answer is then to the rest,
  // which was offered from `own`.
  //
  // Calls `leave(bool sends)` once, before the source is needed; after that call the cursor of the source
  // must stand after the write. It is not called if the stream is closed at once. `sends`: the stream may
  // still send from the write.
  template <class Leave>
  void end_offer(write& now, std::size_t before, held_write<typename base::batch>& own,
                 write_result const* answer, Leave leave) noexcept {
    closes_if_left failure{*this, close_reason::writer_threw};
    if (answer == nullptr) return;
    bool left = false;
    auto const leave_once = [&](bool sends) {
      if (!std::exchange(left, true)) leave(sends);
    };
    bool const good = try_call([&] { answered_to_shared(now, before, own, *answer, leave_once, failure); });
    if (!good) {
      own.reset();
      return;
    }
    failure.armed = false;
    if (state_ != stream_state::closed) leave_once(false);
  }

 private:
  // See end_offer(). The views of `now` do not change, because other streams are offered them.
  template <class Leave>
  void answered_to_shared(write& now, std::size_t before, held_write<typename base::batch>& own,
                          write_result const& last, Leave& leave, closes_if_left& failure) {
    auto const answer = answered(last, now.bytes - before, failure);
    auto const taken = before + answer.bytes;
    if (answer.status == write_status::pending) {
      if (!sending_) return;  // written() was called inside write()
      if (state_ != stream_state::closed) leave(true);
      in_flight_ = before == 0 ? held_write<typename base::batch>::to(now) : std::move(own);
    } else if (taken == now.bytes || answer.status == write_status::closed) {
      return;
    } else if (answer.status == write_status::ok) {
      if (!own) own = held_write<typename base::batch>::make();
      own->assign(now, body_);
      offer_rest(own, taken, failure, leave);
    } else {
      leave(true);
      keep_rest(now, buffers(now.views.data(), now.count), taken, taken);
    }
  }
};

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
