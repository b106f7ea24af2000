// SPDX-License-Identifier: MIT
// stream.hpp - one response being written: a subscription, or none, meets a writer. The one pump of all
// drivers.
//
// A peer's bytes are a prefix of well-formed frames: whatever a writer takes, what it has begun is finished
// before anything else is offered, and nothing follows a failed write.
#pragma once

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/stream/detail/unsent_bytes.hpp>
#include <ssewire/wire/serializer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

struct stream_options {
  framing body = framing::raw;
  /// Sent first, outside the framing: the response's head, on a bare socket.
  std::string preamble = {};
  /// Of one gathered write; one larger event still goes in one.
  std::size_t max_write_bytes = 64 * 1024;
  /// Frames of send() that wait for a slow writer; beyond it send() refuses.
  std::size_t max_outbox_bytes = 64 * 1024;
  /// After `again` the writer must be offered exactly the same bytes, in one piece of at most 16 KiB: TLS libraries.
  bool same_bytes_again = false;
};

enum class stream_state : unsigned char {
  /// Nothing to send; the subscription, if any, is parked.
  idle,
  /// There is more to send: pump again soon, after others had their turn.
  more,
  /// The writer said `again`; waits for writable().
  blocked,
  /// The writer said `pending`; waits for written().
  pending,
  /// Over; see reason().
  closed,
};

namespace detail {

inline constexpr std::string_view heartbeat_frame = ":\n\n";
inline constexpr std::string_view heartbeat_chunk = "3\r\n:\n\n\r\n";

// A gathered write that may outlive the call that began it.
template <class Traits> struct flight {
  basic_batch<Traits> batch;  // empty: the bytes are not of the log
  std::optional<chunk_head> head;
  std::array<std::string_view, basic_batch<Traits>::max_views + 2> views;  // and the chunk's head and tail
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::size_t holders = 1;  // a driver may offer it to many streams, and several may be sending it

  void gather(framing body) noexcept {
    count = 0;
    bytes = batch.bytes();
    if (body == framing::chunked) {
      head.emplace(batch.bytes());
      views[count++] = head->view();
    }
    count += batch.gather(views.data() + count);
    if (body == framing::chunked) {
      views[count++] = chunk_tail;
      bytes += head->view().size() + chunk_tail.size();
    }
  }

  void gather_heartbeat(framing body) noexcept {
    batch.clear();
    views[0] = body == framing::chunked ? heartbeat_chunk : heartbeat_frame;
    count = 1;
    bytes = views[0].size();
  }

  // The same bytes, with views of its own.
  void assign(flight const& other, framing body) {
    batch.assign(other.batch);
    batch.empty() ? gather_heartbeat(body) : gather(body);
  }

  // What is left of the views when `taken` bytes at their front are gone. The views are changed.
  buffers rest(std::size_t& first, std::size_t taken) noexcept {
    while (first < count && taken >= views[first].size()) taken -= views[first++].size();
    if (first < count) views[first].remove_prefix(taken);
    return buffers(views.data() + first, count - first);
  }
};

struct one_holder_less {
  template <class Traits> void operator()(flight<Traits>* f) const noexcept {
    if (--f->holders == 0) delete f;
  }
};

// A reference to a flight. Threads: all holders are on one.
template <class Traits> using held_flight = std::unique_ptr<flight<Traits>, one_holder_less>;

// The last call of a writer. What it throws is nobody's.
template <class Writer> void tell_end(Writer& w, close_reason why, ending how) noexcept {
  try_call([&] { w.on_closed(why, how); });
}

// What a TLS library is offered and must be offered again; also what may have to be copied of a half-sent
// chunk.
inline constexpr std::size_t largest_kept_offer = 16 * 1024;
inline constexpr std::size_t chunk_overhead = 8;  // head and tail of a chunk of that size

}  // namespace detail

/// One stream: pulls from its subscription, frames, and offers to its writer, as far as that takes it. Has no
/// thread, no clock and no lock of its own; a driver calls pump(). Without a subscription it sends what
/// send() is given: an LLM's tokens, a progress bar. "Without" and "an empty one" are different: see the
/// constructors.
/// Threads     one at a time, the subscription's hook apart. Not movable: a writer may hold on to its bytes.
/// Exceptions  what the writer throws, and std::bad_alloc, leave pump(); the stream is closed then.
template <class Writer, class Traits = default_traits> class basic_stream {
 public:
  using subscription = basic_subscription<Traits>;
  using flight = detail::flight<Traits>;
  using owed = detail::owed_bytes<Traits>;

  /// Without a subscription: it sends what send() is given.
  explicit basic_stream(Writer to, stream_options options = {})
      : writer_(std::move(to)), body_(options.body), same_bytes_(options.same_bytes_again),
        max_outbox_(options.max_outbox_bytes), owed_(std::move(options.preamble)) {
    detail::check_writer<Writer>();
    set_room(options.max_write_bytes);
  }
  /// With one. An empty one, as a refused subscribe() leaves it, makes a stream that is closed from the
  /// start, with close_reason::removed; its writer is told by the first pump().
  basic_stream(Writer to, subscription from, stream_options options = {})
      : basic_stream(std::move(to), std::move(options)) {
    from_ = std::move(from);
    subscribed_ = true;
    if (from_) return;
    state_ = stream_state::closed;
    reason_ = close_reason::removed;
    end_untold_ = true;
  }
  basic_stream(basic_stream const&) = delete;
  basic_stream& operator=(basic_stream const&) = delete;
  ~basic_stream() {
    close();
    tell_end();
  }

  [[nodiscard]] Writer& writer() noexcept { return writer_; }
  [[nodiscard]] stream_state state() const noexcept { return state_; }
  [[nodiscard]] close_reason reason() const noexcept { return reason_; }
  /// Its subscription: to join and leave channels, to set a filter, to ask. Empty without one. To end it, end
  /// the stream.
  [[nodiscard]] subscription& source() noexcept { return from_; }
  /// The hook of its subscription; see basic_subscription::set_hook.
  void set_hook(wake_hook hook) noexcept { from_.set_hook(hook); }

  /// Counts the bytes the writer took, also those of frames and chunks not finished.
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return sent_; }

  /// Bytes it keeps of its own for a slow writer: what was sent to it alone, and the rest of what the writer
  /// has begun. The rest of a large event is not copied and does not count.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return outbox_.size() + owed_.copied_bytes(); }

  /// Whether a pending write has not been answered by written(), also when the stream is closed: its bytes
  /// are in use.
  [[nodiscard]] bool sending() const noexcept { return sending_; }

  /// Queues an event for this stream only; pump() sends it. On a stream with a subscription it must have no
  /// ID, for the client's last event ID belongs to the broker there.
  /// Errors      closed, id_refused, outbox_full (its writer is slow, or pump() was not called), no_memory;
  ///             then nothing was queued: what is ignored here is lost.
  [[nodiscard]] errc send(event const& e) noexcept {
    if (subscribed_ && e.id.has_value()) return errc::id_refused;
    return queue(serialized_size(e), [&] { serialize(e, outbox_); });
  }

  /// Queues a comment for this stream only.
  [[nodiscard]] errc comment(std::string_view text) noexcept {
    return queue(detail::framed_size(detail::comment{text}, framing::raw),
                 [&] { serialize_comment(text, outbox_); });
  }

  /// Queues a comment if the stream is idle; a busy or a blocked one needs none.
  void heartbeat() noexcept {
    if (state_ == stream_state::idle && outbox_.empty())
      (void)queue(0, [&] { outbox_ += detail::heartbeat_frame; });
  }

  /// Ends the stream in order: what is queued is sent, then the writer is told `complete`.
  void finish() noexcept { end_in_order(close_reason::finished); }

  /// Drops the stream now, also in the middle of a frame: the writer is told `cut`.
  void close(close_reason why = close_reason::removed) noexcept {
    if (inside_writer_) {
      if (asked_to_end_ == close_reason::none) asked_to_end_ = why;  // after the callback
    } else {
      end(why, false);
      tell_end();
    }
  }

  /// The wake hook said `evicted`: ends the stream, in order if no frame is begun.
  void evicted() noexcept {
    auto const why = from_.reason();
    if (why == close_reason::none || state_ == stream_state::closed) return;
    forced_ = why == close_reason::drain_forced;
    if (waits() || inside_writer_ || !owed_.empty()) {
      close(why);
    } else {
      end_in_order(why);
    }
  }

  /// The writer can take bytes again.
  void writable() noexcept {
    if (state_ == stream_state::blocked) state_ = stream_state::more;
    writable_early_ = writable_early_ || inside_writer_;
  }

  /// What was pending has been sent, or, with false, cannot be: the peer is gone. Calls that come when
  /// nothing is pending mean nothing.
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
      in_flight_.reset();  // closed meanwhile; its bytes were kept until now
    }
  }

  /// From now on, about so many bytes are pulled for one write; see stream_options::max_write_bytes.
  void set_room(std::size_t bytes) noexcept {
    constexpr auto most_kept = detail::largest_kept_offer - detail::chunk_overhead;
    room_ = needs_copy() ? (std::min)(bytes, most_kept) : bytes;
  }

  /// Sends what there is to send, a few batches of it at most, and says what it waits for.
  /// `scratch`: what a write is gathered in, shared by the streams of a driver; made here if it is null, and
  /// taken away if a write is pending.
  stream_state pump(std::unique_ptr<flight>& scratch) {
    return pump(scratch, [](subscription& from) { return from.park(); });
  }

  stream_state pump() {
    std::unique_ptr<flight> scratch;
    return pump(scratch);
  }

  /// `park(subscription&) -> bool` parks it, in whatever way the driver likes, or says that it may not.
  template <class Park> stream_state pump(std::unique_ptr<flight>& shared, Park park) {
    if (inside_writer_ || pumping_) return state_ == stream_state::closed ? state_ : stream_state::more;
    tell_end();
    auto scratch = std::move(shared);  // what is called from here may pump another stream with it
    pumping_ = true;
    closes_if_left failure{*this, close_reason::no_memory};
    for (int writes = 0; writes < writes_a_turn; ++writes) {
      if (state_ != stream_state::idle && state_ != stream_state::more) break;
      state_ = stream_state::more;
      if (owed_.empty() && !outbox_.empty()) frame_outbox();
      if (!owed_.empty()) {
        offer_owed(failure);
      } else if (!step(scratch, park, failure)) {
        break;
      }
    }
    failure.armed = false;
    pumping_ = false;
    if (forced_ && waits()) end(close_reason::drain_forced, false);
    if (!shared) shared = std::move(scratch);
    return state_;
  }

  // ---- for a driver that offers one flight to many idle streams, past pump()
  // -----------------------------------

  [[nodiscard]] framing body() const noexcept { return body_; }
  [[nodiscard]] std::size_t room() const noexcept { return room_; }
  [[nodiscard]] bool same_bytes_again() const noexcept { return same_bytes_; }
  [[nodiscard]] std::size_t max_outbox_bytes() const noexcept { return max_outbox_; }

  /// Its writer's stream goes on without it, idle: this one is closed, and nobody is told.
  void retire() noexcept { state_ = stream_state::closed; }

  /// It goes on for such a stream, where that stands, idle. It was made without a subscription, and has done
  /// nothing yet.
  void resume(subscription from) noexcept {
    from_ = std::move(from);
    subscribed_ = true;
    state_ = stream_state::idle;
  }

  /// Its writer is being offered a flight. Comes before end_offer() at the latest, and before any other call
  /// from inside the writer.
  void begin_offer() noexcept {
    state_ = stream_state::more;
    writable_early_ = written_early_ = false;
    inside_writer_ = true;
  }

  /// What the writer answered; null: it threw. Offers the rest if it took a part. `before`: it had taken so
  /// much already, and the answer is to the rest, which was offered from `own`. `leave(bool sends)` is called
  /// once, before its subscription is needed, whose cursor must stand behind the flight then; but not if the
  /// stream is closed at once. `sends`: it may still send from the flight.
  template <class Leave>
  void end_offer(flight& now, std::size_t before, std::unique_ptr<flight>& own, write_result const* answer,
                 Leave leave) noexcept {
    closes_if_left failure{*this, close_reason::writer_threw};
    if (answer == nullptr) return;
    bool left = false;
    auto const leave_once = [&](bool sends) {
      if (!std::exchange(left, true)) leave(sends);
    };
    bool const good =
        detail::try_call([&] { answered_to_shared(now, before, own, *answer, leave_once, failure); });
    if (!good) {
      own.reset();
      return;
    }
    failure.armed = false;
    if (state_ != stream_state::closed) leave_once(false);
  }

 private:
  // Fair to the others, and enough to fill a socket's buffer.
  static constexpr int writes_a_turn = 8;

  // An exception leaves the pump: the stream ends here, in the state it is in.
  struct closes_if_left {
    basic_stream& stream;
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
    if (bytes > max_outbox_ - (std::min)(max_outbox_, outbox_.size())) return errc::outbox_full;
    if (!detail::try_call(append)) return errc::no_memory;
    if (state_ == stream_state::idle) state_ = stream_state::more;
    return errc::ok;
  }

  // Nothing is owed and nothing queued: what comes next? False: nothing, or not now.
  template <class Park> bool step(std::unique_ptr<flight>& scratch, Park& park, closes_if_left& failure) {
    if (ending_ != close_reason::none) {
      if (body_ == framing::chunked && !std::exchange(last_chunk_queued_, true)) {
        owed_.end_with(last_chunk);
        return true;
      }
      end(ending_, true);
      return false;
    }
    if (!from_) {
      state_ = stream_state::idle;
      return false;
    }
    if (!scratch) scratch = std::make_unique<flight>();
    switch (from_.pull(scratch->batch, room_)) {
    case pull_status::ready: offer_batch(scratch, failure); return true;
    case pull_status::nothing:
      if (!outbox_.empty() || ending_ != close_reason::none || !park(from_))
        return true;  // its filter may have asked
      state_ = stream_state::idle;
      return false;
    case pull_status::draining:
      if (from_.position() == position_events::sent) serialize({.retry = from_.drain_retry()}, outbox_);
      [[fallthrough]];
    case pull_status::closed:
      end_in_order(close_reason::drained);  // if the broker has no other reason: see end()
    }
    return true;
  }

  void frame_outbox() {
    if (body_ == framing::chunked) {
      chunk_head const head(outbox_.size());
      owed_.reserve(head.view().size() + outbox_.size() + chunk_tail.size());
      for (auto const part : {head.view(), std::string_view(outbox_), chunk_tail}) owed_.append(part);
      outbox_.clear();
    } else {
      owed_ = owed(std::move(outbox_));
      outbox_ = std::string();
    }
  }

  void offer_owed(closes_if_left& failure) {
    if (window_ == 0) {  // else the same bytes come again
      window_ = owed_.front().size();
      if (same_bytes_) window_ = (std::min)(window_, detail::largest_kept_offer);
    }
    offered_ = owed_.front().substr(0, window_);
    auto const answer = offer(buffers(&offered_, 1), offered_.size(), failure);
    owed_.consume(answer.bytes);
    window_ -= answer.bytes;
    bool const still_sending = state_ == stream_state::pending || state_ == stream_state::closed;
    if (!still_sending) owed_.release();
  }

  void offer_batch(std::unique_ptr<flight>& scratch, closes_if_left& failure) {
    auto& now = *scratch;
    now.gather(body_);
    if (same_bytes_) {
      owe(now, buffers(now.views.data(), now.count));
      now.batch.clear();
      offer_owed(failure);
      return;
    }
    offer_rest(scratch, 0, failure, [](bool) {});
  }

  // Offers all of the batch but its first `taken` bytes. `leave`: see end_offer.
  template <class Leave>
  void offer_rest(std::unique_ptr<flight>& scratch, std::size_t taken, closes_if_left& failure, Leave leave) {
    auto& now = *scratch;
    std::size_t first = 0;
    for (std::size_t step = taken; taken < now.bytes;) {
      auto const answer = offer(now.rest(first, step), now.bytes - taken, failure);
      taken += step = answer.bytes;
      if (answer.status == write_status::ok) continue;
      if (answer.status == write_status::pending) {
        if (state_ != stream_state::closed) leave(true);
        in_flight_.reset(scratch.release());  // also if the stream was closed meanwhile: it is being sent
        if (state_ == stream_state::more) landed();  // written() came from inside write()
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

  // See end_offer(). The views of `now` stay as they are: others are offered them.
  template <class Leave>
  void answered_to_shared(flight& now, std::size_t before, std::unique_ptr<flight>& own,
                          write_result const& last, Leave& leave, closes_if_left& failure) {
    auto const answer = answered(last, now.bytes - before, failure);
    auto const taken = before + answer.bytes;
    if (answer.status == write_status::pending) {
      if (!sending_) return;  // written() came from inside write()
      if (state_ != stream_state::closed) leave(true);
      if (before == 0) ++now.holders;
      in_flight_.reset(before == 0 ? &now : own.release());
    } else if (taken == now.bytes || answer.status == write_status::closed) {
      return;
    } else if (answer.status == write_status::ok) {
      if (!own) own = std::make_unique<flight>();
      own->assign(now, body_);
      offer_rest(own, taken, failure, leave);
    } else {
      leave(true);
      keep_rest(now, buffers(now.views.data(), now.count), taken, taken);
    }
  }

  // The writer took `taken` bytes and no more. What it has begun is owed; the rest stays in the log. The rest
  // is what `left` holds behind its first `skip` bytes.
  void keep_rest(flight& now, buffers left, std::size_t taken, std::size_t skip = 0) {
    if (now.batch.empty()) {
      owe(now, left, skip);  // a heartbeat
    } else if (taken == 0) {
      outbox_ += from_.give_back(now.batch, 0);  // notices, not framed yet
    } else if (body_ == framing::chunked) {
      owe(now, left, skip);  // all of it: the chunk's length has been said
    } else {
      auto const rest = from_.give_back(now.batch, taken);
      owe(now, buffers(&rest, rest.empty() ? 0 : 1));
    }
  }

  // A large frame is alone in its page and in its batch, so there is at most one to pin, and behind it only
  // the tail.
  void owe(flight& now, buffers parts, std::size_t skip = 0) {
    std::size_t copied = 0;
    for (auto const part : parts) copied += part.size() > detail::largest_kept_offer ? 0 : part.size();
    owed_.reserve(copied);
    bool pinned = false;
    for (auto part : parts) {
      auto const skipped = (std::min)(skip, part.size());
      part.remove_prefix(skipped);
      skip -= skipped;
      if (part.empty()) continue;
      if (part.size() > detail::largest_kept_offer) {
        if (auto page = now.batch.pin_of(part)) {
          owed_.pin(std::move(page), part);
          pinned = true;
          continue;
        }
      }
      if (pinned) {
        owed_.end_with(part);
      } else {
        owed_.append(part);
      }
    }
  }

  // Offers bytes and settles what the answer means for the stream. The result's status is the answer's, or
  // `closed`.
  write_result offer(buffers b, std::size_t total, closes_if_left& failure) {
    begin_offer();
    failure.why = close_reason::writer_threw;
    auto const answer = writer_.write(b);
    return answered(answer, total, failure);
  }

  write_result answered(write_result answer, std::size_t total, closes_if_left& failure) {
    failure.why = close_reason::no_memory;
    inside_writer_ = false;

    answer.bytes = detail::taken_of(answer, total);
    if (answer.bytes == detail::no_answer) {
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

  // A pending write has been sent.
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
    reason_ = from_.close(why);
    detail::tell_end(writer_, reason_, in_order ? ending::complete : ending::cut);
  }

  // Of one that was closed from the start.
  void tell_end() noexcept {
    if (std::exchange(end_untold_, false)) detail::tell_end(writer_, reason_, ending::cut);
  }

  Writer writer_;
  subscription from_;
  bool subscribed_ = false;
  framing body_;
  bool same_bytes_;
  stream_state state_ = stream_state::more;
  close_reason reason_ = close_reason::none;
  close_reason ending_ = close_reason::none;        // to be ended in order, and why
  close_reason asked_to_end_ = close_reason::none;  // close() from inside the writer, and why
  bool inside_writer_ = false;
  bool pumping_ = false;
  bool writable_early_ = false;  // writable() came from inside the write that it answers
  bool written_early_ = false;   // written() did
  bool sending_ = false;
  bool last_chunk_queued_ = false;
  bool end_untold_ = false;  // it was closed from the start, and its writer does not know yet
  bool forced_ = false;      // it ends now: in order if its writer takes all at once
  std::size_t room_;
  std::size_t max_outbox_;
  std::uint64_t sent_ = 0;
  owed owed_;                 // goes next, as it is
  std::size_t window_ = 0;    // of it, what was offered and not yet taken
  std::string outbox_;        // whole frames for this stream only, not framed yet
  std::string_view offered_;  // of owed_; a member, for a pending write keeps it
  detail::held_flight<Traits> in_flight_;
};

template <class Writer> using stream = basic_stream<Writer>;

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
