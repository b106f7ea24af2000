// SPDX-License-Identifier: MIT
// pump.hpp - sends what a source and the owner of the stream have, as far as the writer takes it. All drivers
// use this pump.
//
// The bytes at the peer are always a prefix of well-formed frames. Whatever part of a frame the writer takes,
// the pump finishes that frame before it offers anything else. Nothing follows a failed write.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/pull_status.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/stream/detail/gathered_write.hpp>
#include <ssewire/stream/detail/unsent_bytes.hpp>
#include <ssewire/stream/detail/writer_calls.hpp>
#include <ssewire/stream/options.hpp>
#include <ssewire/stream/source.hpp>
#include <ssewire/stream/state.hpp>
#include <ssewire/wire/serializer.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// Threads: one at a time, except for the hook of the source.
// run() lets through what the writer throws, and std::bad_alloc; the stream is closed then. The pump is not
// movable, because a writer may hold on to its bytes.
template <class Writer, class Source> class pump {
 public:
  using batch = typename Source::batch;
  using write = gathered_write<batch>;
  using unsent = unsent_bytes<typename batch::kept>;

  explicit pump(Writer to, stream_options options = {})
      : pump(false, std::move(to), Source(), std::move(options)) {}
  pump(Writer to, Source from, stream_options options = {})
      : pump(true, std::move(to), std::move(from), std::move(options)) {}
  pump(pump const&) = delete;
  pump& operator=(pump const&) = delete;
  ~pump() {
    close();
    report_refusal();
  }

  [[nodiscard]] Writer& writer() noexcept { return writer_; }
  [[nodiscard]] stream_state state() const noexcept { return state_; }
  [[nodiscard]] close_reason reason() const noexcept { return reason_; }
  [[nodiscard]] Source& source() noexcept { return from_; }
  void set_hook(wake_hook hook) noexcept {
    if (!has_source_) return;
    from_.set_hook(hook);
    forced_ = is_forced_by<Writer>(from_.reason());  // one that has ended already calls no hook
  }
  [[nodiscard]] bool park_source() noexcept { return !has_source_ || from_.park(); }
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return sent_; }
  [[nodiscard]] std::size_t held_bytes() const noexcept { return outbox_.size() + owed_.copied_bytes(); }
  [[nodiscard]] bool sending() const noexcept { return sending_; }

  [[nodiscard]] errc send(event const& e) noexcept {
    if (has_source_ && e.id.has_value()) return errc::id_refused;
    return queue(serialized_size(e), [&] { serialize(e, outbox_); });
  }

  [[nodiscard]] errc comment(std::string_view text) noexcept {
    return queue(framed_size(detail::comment{text}, framing::raw), [&] { serialize_comment(text, outbox_); });
  }

  void heartbeat() noexcept {
    if (state_ == stream_state::idle && outbox_.empty()) (void)queue(0, [&] { outbox_ += heartbeat_frame; });
  }
  void finish() noexcept { end_in_order(close_reason::finished); }

  void close(close_reason why = close_reason::removed) noexcept {
    if (inside_writer_) {
      if (asked_to_end_ == close_reason::none) asked_to_end_ = why;  // ends after the callback
    } else {
      end(why, false);
      report_refusal();
    }
  }

  void evicted() noexcept {
    auto const why = has_source_ ? from_.reason() : close_reason::none;
    if (why == close_reason::none || state_ == stream_state::closed) return;
    forced_ = is_forced_by<Writer>(why);
    if (waits() || inside_writer_ || !owed_.empty()) {
      close(why);
    } else if (state_ == stream_state::idle) {
      state_ = stream_state::more;  // the next pull brings what is left to say, and then the end
    }
  }

  void writable() noexcept {
    if (state_ == stream_state::blocked) state_ = stream_state::more;
    writable_early_ = writable_early_ || inside_writer_;
  }

  void written(bool good) noexcept {
    if (inside_writer_) {
      written_early_ = true;
      if (!good) close(close_reason::peer_gone);
      return;
    }
    sending_ = false;
    if (state_ == stream_state::pending) {
      state_ = stream_state::more;
      landed();
      if (!good) end(close_reason::peer_gone, false);
    } else {
      in_flight_.reset();  // the stream was closed meanwhile; its bytes were kept until now
    }
  }

  void set_room(std::size_t bytes) noexcept {
    constexpr auto most_kept = largest_kept_offer - chunk_overhead;
    room_ = needs_copy() && bytes > most_kept ? most_kept : bytes;
  }

  stream_state run(held_write<batch>& scratch) {
    return run(scratch, [](Source& from) { return from.park(); });
  }
  stream_state run() {
    held_write<batch> scratch;
    return run(scratch);
  }

  template <class Park> stream_state run(held_write<batch>& shared, Park park) {
    if (inside_writer_ || pumping_) return state_ == stream_state::closed ? state_ : stream_state::more;
    report_refusal();
    auto scratch = std::exchange(shared, {});  // a call from here may pump another stream with `shared`
    pumping_ = true;
    closes_if_left failure{*this, close_reason::no_memory};
    for (int writes = 0; writes < writes_a_turn; ++writes) {
      if (state_ != stream_state::idle && state_ != stream_state::more) break;
      state_ = stream_state::more;
      if (owed_.empty() && !outbox_.empty()) owed_.take(outbox_, body_);
      if (!owed_.empty()) {
        offer_owed(failure);
      } else if (!step(scratch, park, failure)) {
        break;
      }
    }
    failure.armed = false;
    pumping_ = false;
    if (forced_ && is_cut_off(state_, from_.reason())) end(close_reason::drain_forced, false);
    if (!shared) shared = std::move(scratch);
    return state_;
  }

  [[nodiscard]] framing body() const noexcept { return body_; }

 protected:
  // Few enough to be fair to other streams, and enough to fill a socket's buffer.
  static constexpr int writes_a_turn = 8;

  // Closes the stream if an exception leaves the pump: the stream ends here, in the state it is in.
  struct closes_if_left {
    pump& stream;
    close_reason why;
    bool armed = true;

    ~closes_if_left() {
      if (!armed) return;
      stream.inside_writer_ = stream.pumping_ = false;
      stream.end(why, false);
    }
  };

  [[nodiscard]] bool waits() const noexcept {
    return state_ == stream_state::blocked || state_ == stream_state::pending;
  }
  [[nodiscard]] bool needs_copy() const noexcept { return same_bytes_ || body_ == framing::chunked; }

  template <class Append> errc queue(std::size_t bytes, Append append) noexcept {
    if (state_ == stream_state::closed || ending_ != close_reason::none) return errc::closed;
    if (bytes > (outbox_.size() < max_outbox_ ? max_outbox_ - outbox_.size() : 0)) return errc::outbox_full;
    if (!try_call(append)) return errc::no_memory;
    if (state_ == stream_state::idle) state_ = stream_state::more;
    return errc::ok;
  }

  // Finds what to send next when nothing is owed and nothing is queued. False: nothing now, so the run ends.
  template <class Park> bool step(held_write<batch>& scratch, Park& park, closes_if_left& failure) {
    if (ending_ != close_reason::none) {
      if (body_ == framing::chunked && !std::exchange(last_chunk_queued_, true)) {
        owed_.end_with(last_chunk);
        return true;
      }
      end(ending_, true);
      return false;
    }
    if (!has_source_) {
      state_ = stream_state::idle;
      return false;
    }
    if (!scratch) scratch = held_write<batch>::make();
    switch (from_.pull(scratch->batch, room_)) {
    case pull_status::ready: offer_batch(scratch, failure); return true;
    case pull_status::nothing:
      // The filter of the source runs inside pull(), and may have called send() or finish() of this stream.
      if (!outbox_.empty() || ending_ != close_reason::none || !park(from_)) return true;
      state_ = stream_state::idle;
      return false;
    case pull_status::draining:
      if (auto const retry = from_.retry()) serialize({.retry = retry}, outbox_);
      [[fallthrough]];
    case pull_status::closed:
      end_in_order(close_reason::drained);  // ends for the broker's reason if it has one: see end()
    }
    return true;
  }

  void offer_owed(closes_if_left& failure) {
    if (window_ == 0) {  // otherwise the same bytes are offered again
      window_ = owed_.front().size();
      if (same_bytes_ && window_ > largest_kept_offer) window_ = largest_kept_offer;
    }
    offered_ = owed_.front().substr(0, window_);
    auto const answer = offer(buffers(&offered_, 1), offered_.size(), failure);
    owed_.consume(answer.bytes);
    window_ -= answer.bytes;
    bool const still_sending = state_ == stream_state::pending || state_ == stream_state::closed;
    if (!still_sending) owed_.release();
  }

  void offer_batch(held_write<batch>& scratch, closes_if_left& failure) {
    auto& now = *scratch;
    now.gather(body_);
    if (same_bytes_) {
      owed_.add(now.batch, buffers(now.views.data(), now.count));
      now.batch.clear();
      offer_owed(failure);
      return;
    }
    offer_rest(scratch, 0, failure, [](bool) {});
  }

  // Offers the batch without its first `taken` bytes. `leave`: see offered_pump::end_offer().
  template <class Leave>
  void offer_rest(held_write<batch>& scratch, std::size_t taken, closes_if_left& failure, Leave leave) {
    auto& now = *scratch;
    std::size_t first = 0;
    for (std::size_t step = taken; taken < now.bytes;) {
      auto const answer = offer(now.rest(first, step), now.bytes - taken, failure);
      taken += step = answer.bytes;
      if (answer.status == write_status::ok) continue;
      if (answer.status == write_status::pending) {
        if (state_ != stream_state::closed) leave(true);
        in_flight_ = std::move(scratch);  // kept even if the stream was closed meanwhile: it is being sent
        if (state_ == stream_state::more) landed();  // written() was called inside write()
        return;
      }
      if (answer.status == write_status::again && taken < now.bytes) {
        leave(true);
        keep_rest(now, now.rest(first, step), taken);
      }
      break;
    }
    now.batch.clear();
  }

  // The writer took `taken` bytes of the batch and takes no more now. The rest of what it has begun is owed;
  // everything after that goes back to the source. The bytes not taken are those of `left` without its first
  // `skip` bytes.
  void keep_rest(write& now, buffers left, std::size_t taken, std::size_t skip = 0) {
    if (now.batch.bytes() == 0) {
      owed_.add(now.batch, left, skip);  // a heartbeat
    } else if (taken == 0) {
      outbox_ += from_.give_back(now.batch, 0);  // what cannot be pulled again: whole frames, no chunk yet
    } else if (body_ == framing::chunked) {
      owed_.add(now.batch, left, skip);  // all of it: the head of the chunk has named the length
    } else {
      auto const rest = from_.give_back(now.batch, taken);
      owed_.add(now.batch, buffers(&rest, rest.empty() ? 0 : 1));
    }
  }

  // Call this before each call of the writer.
  void begin_offer() noexcept {
    state_ = stream_state::more;
    writable_early_ = written_early_ = false;
    inside_writer_ = true;
  }

  // Offers bytes, and does what the answer means for the stream. Returns the answer; its status is `closed`
  // if it broke the contract, or if the stream was closed inside the call and no write is pending.
  write_result offer(buffers b, std::size_t total, closes_if_left& failure) {
    begin_offer();
    failure.why = close_reason::writer_threw;
    auto const answer = writer_.write(b);
    return answered(answer, total, failure);
  }

  write_result answered(write_result answer, std::size_t total, closes_if_left& failure) {
    failure.why = close_reason::no_memory;
    inside_writer_ = false;

    answer.bytes = taken_of(answer, total);
    if (answer.bytes == no_answer) {
      end(close_reason::writer_broke_contract, false);
      return {write_status::closed, 0};
    }
    switch (answer.status) {
    case write_status::ok: break;
    case write_status::again: state_ = writable_early_ ? stream_state::more : stream_state::blocked; break;
    case write_status::pending:
      sending_ = !written_early_;
      state_ = sending_ ? stream_state::pending : stream_state::more;
      break;
    case write_status::closed: end(close_reason::peer_gone, false); break;
    }
    sent_ += answer.bytes;
    if (asked_to_end_ != close_reason::none) {
      end(asked_to_end_, false);
      if (answer.status != write_status::pending) return {write_status::closed, 0};
    }
    return answer;
  }

  // The pending write has been sent: its memory is free.
  void landed() noexcept {
    in_flight_.reset();
    owed_.release();
  }

  void end_in_order(close_reason why) noexcept {
    if (ending_ == close_reason::none) ending_ = why;
    if (state_ == stream_state::idle) state_ = stream_state::more;
  }

  void end(close_reason why, bool in_order) noexcept {
    if (state_ == stream_state::closed) return;
    state_ = stream_state::closed;
    reason_ = why;
    if (has_source_) reason_ = from_.close(why);
    report_end(writer_, reason_, in_order ? ending::complete : ending::cut);
  }

  // Reports to the writer that the stream was closed from the start.
  void report_refusal() noexcept {
    if (std::exchange(refused_, false)) report_end(writer_, reason_, ending::cut);
  }

  pump(bool has_source, Writer&& to, Source&& from, stream_options&& options)
      : writer_(std::move(to)), from_(std::move(from)), has_source_(has_source), body_(options.body),
        same_bytes_(options.same_bytes_again), max_outbox_(options.max_outbox_bytes),
        owed_(std::move(options.preamble)) {
    check_writer<Writer>();
    check_source<Source>();
    set_room(options.max_write_bytes);
    if (!has_source || is_there(from_)) return;
    state_ = stream_state::closed;
    reason_ = close_reason::removed;
    refused_ = true;
  }

  Writer writer_;
  Source from_;
  bool has_source_;
  framing body_;
  bool same_bytes_;
  stream_state state_ = stream_state::more;
  close_reason reason_ = close_reason::none;
  close_reason ending_ = close_reason::none;        // why the stream ends after what is queued
  close_reason asked_to_end_ = close_reason::none;  // why close() was called inside the writer
  bool inside_writer_ = false;
  bool pumping_ = false;
  bool writable_early_ = false;  // writable() was called inside the write that it answers
  bool written_early_ = false;   // written() was called inside the write that it answers
  bool sending_ = false;
  bool last_chunk_queued_ = false;
  bool refused_ = false;  // closed from the start, and this is not reported to the writer yet
  bool forced_ = false;   // the stream ends now: complete if its writer takes everything at once, else cut
  std::size_t room_;
  std::size_t max_outbox_;
  std::uint64_t sent_ = 0;
  unsent owed_;               // bytes that are sent next, as they are
  std::size_t window_ = 0;    // how many bytes of `owed_` were offered and not yet taken
  std::string outbox_;        // whole frames for this stream only, not framed yet
  std::string_view offered_;  // the offered part of `owed_`. A member, because a pending write keeps it
  held_write<batch> in_flight_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
