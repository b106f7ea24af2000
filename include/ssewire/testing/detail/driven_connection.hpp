// SPDX-License-Identifier: MIT
// driven_connection.hpp - one connection of check_writer(). It calls the writer as a driver does, and judges
// each answer.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/testing/detail/byte_ledger.hpp>
#include <ssewire/testing/detail/conformance_run.hpp>
#include <ssewire/testing/detail/offered_pieces.hpp>
#include <ssewire/testing/harness.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

class driven_connection {
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t largest_kept_offer = 16 * 1024;
  static constexpr std::size_t read_bytes = 64 * 1024;

 public:
  explicit driven_connection(conformance_run& run)
      : run_(run), until_(clock::now() + run.longest_check()), since_(clock::now()) {}
  driven_connection(driven_connection const&) = delete;
  driven_connection& operator=(driven_connection const&) = delete;

  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }
  // Whether more calls make sense.
  [[nodiscard]] bool is_good() const noexcept { return !failed_ && !over_; }
  // Whether writable() must be called before the writer is offered more.
  [[nodiscard]] bool is_blocked() const noexcept { return blocked_; }
  [[nodiscard]] bool is_pending() const noexcept { return pending_; }
  [[nodiscard]] bool waits() const noexcept { return blocked_ || pending_; }
  [[nodiscard]] std::size_t taken_bytes() const noexcept { return ledger_.taken_bytes(); }
  [[nodiscard]] std::size_t arrived_bytes() const noexcept { return ledger_.arrived_bytes(); }

  void problem(std::string const& words) {
    failed_ = true;
    run_.found.problem(words);
  }

  bool connect() {
    open_ = guarded("connect()", [&] { run_.subject.connect(calls_); });
    return open_;
  }

  // One turn of the harness's loop. Returns whether a pending write has ended. A writable() does not count,
  // because it may come each turn and moves nothing.
  bool turn() {
    if (run_.subject.run) guarded("run()", run_.subject.run);
    return collect();
  }

  // Reads at the far end.
  std::size_t read(std::size_t most = read_bytes) {
    std::string got;
    guarded("read()", [&] { got = run_.subject.read(most); });
    if (got.size() > most) {
      problem("the harness's read(" + std::to_string(most) + ") returned more than that");
    }
    arrived(got);
    if (!endless_ && ledger_.arrived_bytes() > ledger_.made_bytes() + 1024 * 1024) {
      // The far end has read more than was ever made: reading may never end.
      endless(ledger_.complaint(false));
    }
    return got.size();
  }

  // Waits and reads until `done`. False: nothing moved for the time of the patience.
  template <class Done> bool wait_until(Done done) {
    auto last = clock::now();
    auto const enough = run_.patience();
    for (std::size_t turns = 0; !done(); ++turns) {
      if (turns >= 50 && clock::now() - last > enough) {
        run_.silent = true;
        return false;
      }
      bool const moved = turn();
      if ((read() != 0 || moved) && !endless_) {
        last = clock::now();
      } else {
        rest();
      }
    }
    return true;
  }

  // Runs `turns` turns of the loop while the far end reads.
  void settle(std::size_t turns) {
    for (std::size_t i = 0; i < turns; ++i) {
      bool const moved = turn();
      if (read() == 0 && !moved) rest();
    }
  }

  void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

  // Reads until the writer can take more. False: this connection is over.
  bool ready() {
    auto const moved = taken_bytes() + arrived_bytes();
    if (moved != moved_) {
      moved_ = moved;
      in_vain_ = 0;
      since_ = clock::now();
    } else if (++in_vain_ > 50 && clock::now() - since_ > run_.patience()) {
      run_.silent = true;
      problem("answered `again` with no bytes after each writable(), although the peer read "
              "everything");
    } else if (in_vain_ > 1) {
      rest();
    }
    bool const in_time = wait_until([&] { return !is_good() || !waits(); });
    if (!in_time && blocked_) {
      problem("answered `again`, and then nobody said writable(), although the peer read everything");
    } else if (!in_time) {
      problem("answered `pending`, and then nobody said written(), although the peer read everything");
    }
    return is_good();
  }

  // Offers new pieces of these sizes, after the rest of a piece that the writer has begun. While the answer
  // is `ok`, the rest of the pieces is offered again.
  void offer(std::vector<std::size_t> const& sizes) {
    memory_.emplace_back(next_pieces(sizes));
    memory_bytes_ += memory_.back().memory_bytes();
    // The limit is more than a writer can keep and read later.
    auto const most = run_.options.max_buffered + 16 * run_.options.bytes;
    for (; memory_bytes_ > most && memory_.size() > 1; memory_.pop_front()) {
      memory_bytes_ -= memory_.front().memory_bytes();
    }
    auto& pieces = memory_.back();
    while (is_good() && !pieces.all_taken()) {
      if (!offer_once(pieces)) return;
    }
  }

  // Offers pieces of these sizes until all of their bytes are taken. False: this connection is over.
  bool send(std::vector<std::size_t> sizes) {
    std::size_t due = taken_bytes() + owed_.size();
    for (auto const size : sizes) due += size;
    while (ready()) {
      if (taken_bytes() >= due) return true;
      offer(sizes);
      auto const known = taken_bytes() + owed_.size();
      sizes.clear();  // after `again` other bytes come
      if (known < due) sizes.push_back(due - known);
    }
    return false;
  }

  // Makes the stream's last call.
  void close(close_reason why, ending how) {
    dropped_ = how == ending::cut;
    guarded("on_closed()", [&] { run_.subject.on_closed(why, how); });
    collect();
    if (pending_ && !wait_until([&] { return !pending_; })) {
      problem("a write was pending when the stream was dropped, and written() never came: its bytes are kept "
              "for ever");
    }
    open_ = false;
    guarded("its destructor", run_.subject.destroy);
    collect();
  }

  void close_peer() {
    guarded("close_peer()", [&] { run_.subject.close_peer(); });
    peer_closed_ = true;
  }

  // What the harness reports; the default if it throws.
  testing::far_end sees() {
    auto out = testing::far_end::open;
    guarded("sees()", [&] { out = run_.subject.sees(); });
    return out;
  }
  std::size_t releases() {
    std::size_t out = 0;
    guarded("releases()", [&] { out = run_.subject.releases(); });
    return out;
  }

  // Compares what arrived with what was taken. `all_due`: everything that was taken must have arrived.
  void compare(bool all_due) {
    auto const words = ledger_.complaint(all_due);
    if (!words.empty()) problem(words);
  }

 private:
  // Calls code that is not ours. False: it threw.
  template <class Call> bool guarded(std::string const& name, Call call) {
    bool const write = name == "write()";
    bool const may_wait = write && run_.subject.may_block;
    auto const patience = may_wait ? std::chrono::milliseconds(5) : run_.options.longest_call;
    auto const outcome = run_.guard.run(run_.found.check_name() + ": " + name, patience,
                                        run_.options.deadline, write && !run_.subject.takes_everything, call);
    arrived(run_.guard.taken());
    if (outcome.waited && !may_wait && name != "run()" && name != "connect()") {
      problem(name + " waited until the peer read: a loop would stand still for all. Make the socket "
                     "non-blocking, or, for serve_blocking, say may_block in the harness");
    }
    if (outcome.sigpipe) {
      problem(name + " raised SIGPIPE, which ends a program: send with MSG_NOSIGNAL, or ignore the signal");
    }
    if (!outcome.thrown.empty()) {
      problem(name + " threw " + outcome.thrown +
              (write ? ": its stream would end there, with writer_threw" : ": nobody hears that"));
      over_ = true;
    }
    if (!endless_ && clock::now() > until_) {
      endless("was not over after " + std::to_string(run_.longest_check().count()) +
              " ms, although something moved all the time. A harness that is so slow needs a longer "
              "longest_check");
      run_.late = true;
    }
    return outcome.thrown.empty();
  }

  // Reports that the connection goes on without an end. From here on nothing that moves is worth waiting for.
  void endless(std::string const& words) {
    endless_ = true;
    problem(words);
  }

  // Handles the calls that the loop has made. Returns whether a pending write has ended.
  bool collect() {
    auto const called = calls_.take();
    bool const was_pending = pending_;
    if (called.from_elsewhere != 0) {
      problem("writable(), written() or close() came from another thread: a driver has one, post it to the "
              "loop");
    }
    for (auto n = called.written + called.failed; n > 0; --n) {
      if (!std::exchange(pending_, false)) {
        problem("written() came and no write was pending: was it called twice?");
        break;
      }
      memory_.back().overwrite();
    }
    if (called.failed != 0) gone("said written(false)");
    if (called.closed != 0) gone("said close()");
    if (called.writable != 0) blocked_ = false;
    return was_pending && !pending_;
  }

  void gone(std::string const& how) {
    over_ = true;
    if (peer_closed_ || dropped_ || failed_ || !open_) return;
    problem(
        how + " although the peer was open" +
        (said_again_ && !run_.subject.same_bytes
             ? ". This followed an `again`, and other bytes were offered then: if it needs the same bytes "
               "again, as TLS libraries do, say same_bytes_again in the harness, and in the "
               "stream_options"
             : ""));
  }

  void arrived(std::string_view bytes) {
    ledger_.arrived(bytes);
    run_.found.arrived(bytes.size());
  }

  // The pieces of the next offer: what is owed, and new bytes.
  std::vector<std::string> next_pieces(std::vector<std::size_t> const& sizes) {
    bool const same_bytes = run_.subject.same_bytes;
    std::vector<std::string> pieces;
    if (!owed_.empty()) pieces.push_back(std::exchange(owed_, {}));
    if (!same_bytes || pieces.empty()) {
      // A writer that has taken nothing for a long time is not offered 300 KiB each time.
      for (auto const size : sizes) {
        pieces.push_back(ledger_.next(in_vain_ > 4 ? (std::min)(size, std::size_t{64}) : size));
      }
    }
    if (same_bytes) {  // the bytes come in one piece
      for (std::size_t i = 1; i < pieces.size(); ++i) pieces[0] += pieces[i];
      pieces.resize(1);
      if (pieces[0].size() > largest_kept_offer) pieces[0].resize(largest_kept_offer);
    }
    return pieces;
  }

  // Offers what is left of the pieces. False: the rest of them must not be offered now.
  bool offer_once(offered_pieces& pieces) {
    auto const views = pieces.left();
    std::vector<std::size_t> starts;
    std::string offered;
    for (auto const view : views) {
      starts.push_back(offered.size());
      offered += view;
    }
    ledger_.offered(std::move(starts));
    run_.found.wrote();
    write_result answer;
    if (!guarded("write()", [&] { answer = run_.subject.write(buffers(views)); })) {
      ledger_.taken(offered);  // nobody knows how much: any of it may arrive
      return false;
    }
    std::string after;
    for (auto const view : views) after += view;
    if (after != offered) problem("write() changed the bytes it was offered: other streams send the same");
    if (!judge(answer, offered)) return false;

    said_again_ = answer.status == write_status::again;
    pending_ = answer.status == write_status::pending;
    auto const taken = pending_ ? offered.size() : answer.bytes;
    ledger_.taken(std::string_view(offered).substr(0, taken));
    if (!pending_) pieces.take(taken);
    if (said_again_) keep_rest(pieces, taken);
    collect();
    return answer.status == write_status::ok;
  }

  // After `again` a stream continues with the event that it has begun. The other pieces may never be offered
  // again.
  void keep_rest(offered_pieces& pieces, std::size_t taken) {
    auto const left = pieces.left();
    std::size_t next = 0;
    if (!left.empty() && (pieces.is_begun() || run_.subject.same_bytes)) owed_ = left[next++];
    for (; next < left.size(); ++next) ledger_.not_taken(left[next]);
    pieces.overwrite();
    blocked_ = true;
    if (!run_.subject.may_block) return;
    if (taken == 0) {
      problem("answered `again` with no bytes although the peer reads: serve_blocking takes that for a peer "
              "that does not");
    }
    blocked_ = false;  // serve_blocking continues at once
  }

  // False: this connection is over.
  bool judge(write_result answer, std::string const& offered) {
    switch (answer.status) {
    case write_status::ok:
      if (answer.bytes == 0) {
        problem("answered `ok` with 0 bytes: a driver would try for ever. If it cannot take any now, that is "
                "`again`");
      }
      [[fallthrough]];
    case write_status::again:
      if (answer.bytes > offered.size()) {
        problem("says that it took " + std::to_string(answer.bytes) + " of " +
                std::to_string(offered.size()) + " bytes, more than it was offered");
      }
      break;
    case write_status::pending:
      if (run_.subject.may_block) {
        problem("answered `pending`: serve_blocking has no loop that could say written()");
      }
      break;
    case write_status::closed:
      ledger_.taken(offered);  // any of it may arrive
      gone("answered `closed`");
      return false;
    default:
      problem("answered a status that does not exist, " + std::to_string(static_cast<int>(answer.status)));
    }
    if (failed_) over_ = true;
    return !failed_;
  }

  conformance_run& run_;
  testing::driver_calls calls_;
  byte_ledger ledger_;
  std::deque<offered_pieces> memory_;  // what was offered, for a writer that reads it too late
  std::size_t memory_bytes_ = 0;
  std::string owed_;          // the rest of a piece that the writer has begun
  bool open_ = false;         // there is a writer
  bool blocked_ = false;      // the writer has answered `again`
  bool pending_ = false;      // the writer has answered `pending`
  bool said_again_ = false;   // the writer's last answer was `again`
  bool over_ = false;         // the peer is gone, a call threw, or an answer was wrong
  bool peer_closed_ = false;  // the peer has closed the connection
  bool dropped_ = false;      // the driver has dropped the stream
  bool failed_ = false;       // there is a problem: the check ends here
  bool endless_ = false;      // the check was not over in time, or bytes came without an end
  clock::time_point until_;   // when the check must be over
  std::size_t moved_ = 0;     // the bytes taken and arrived, when ready() last found more of them
  std::size_t in_vain_ = 0;   // how often ready() has found no more since then
  clock::time_point since_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
