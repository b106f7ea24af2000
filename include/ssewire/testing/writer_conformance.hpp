// SPDX-License-Identifier: MIT
// writer_conformance.hpp - points at a writer and says in words what is wrong with it.
//
// One writes a harness, which connects a writer to a peer that can be read from, slowed down and closed, and
// calls check_writer(harness). Needs no test framework, no broker and no driver: it does what a driver does.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/testing/byte_ledger.hpp>
#include <ssewire/testing/call_guard.hpp>
#include <ssewire/testing/scripted_writer.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// How a response looks from its far end.
enum class far_end : unsigned char {
  /// It may go on.
  open,
  /// It has ended as a response should.
  ended,
  /// The connection was cut; say so only if that can be told from an end.
  dropped,
};

/// Stands in for the driver: a harness's event loop calls what it would call on a reactor.
/// Threads     any; calls from another thread than check_writer's are a complaint, for a driver has one.
class driver_calls {
 public:
  driver_calls() : thread_(std::this_thread::get_id()) {}

  void writable() {
    note([](counts& c) { ++c.writable; });
  }
  void written(bool good) {
    note([good](counts& c) { ++(good ? c.written : c.failed); });
  }
  void close(close_reason = close_reason::removed) {
    note([](counts& c) { ++c.removed; });
  }

  /// As a posted_stream has it, so that a writer can be a template over the one that it tells. A plain
  /// pointer, for this outlives every connection.
  driver_calls* shared_from_this() noexcept { return this; }

  struct counts {
    std::size_t writable = 0, written = 0, failed = 0, removed = 0, from_elsewhere = 0;
  };
  /// What has been called since the last time.
  counts take() {
    std::unique_lock const held(guard_);
    return std::exchange(counts_, {});
  }

 private:
  template <class Change> void note(Change change) {
    std::unique_lock const held(guard_);
    change(counts_);
    if (std::this_thread::get_id() != thread_) ++counts_.from_elsewhere;
  }

  std::mutex guard_;
  std::thread::id thread_;
  counts counts_;
};

struct conformance_options {
  /// Of the sizes; printed in the report.
  std::uint64_t seed = 1;
  /// Silence of the loop for so long is silence for ever.
  std::chrono::milliseconds patience{2000};
  /// A write() that takes longer waits for its peer.
  std::chrono::milliseconds longest_call{2000};
  /// A call that takes longer ends the program.
  std::chrono::milliseconds deadline{20000};
  /// A check that takes longer ends.
  std::chrono::milliseconds longest_check{30000};
  /// Sent in the check with random sizes.
  std::size_t bytes = 1024 * 1024;
  /// So much may lie between a writer and a peer that does not read: sockets keep 4 to 6 MiB.
  std::size_t max_buffered = 16 * 1024 * 1024;
};

/// What check_writer() found. True: nothing is wrong.
struct conformance_report {
  /// A sentence each, led by the name of the check.
  std::vector<std::string> problems;
  /// What was not checked, and what is only odd.
  std::vector<std::string> remarks;
  std::size_t checks = 0;
  std::size_t writes = 0;
  /// That arrived.
  std::size_t bytes = 0;
  std::uint64_t seed = 0;

  explicit operator bool() const noexcept { return problems.empty(); }

  /// All of it in lines, for a terminal.
  [[nodiscard]] std::string text() const {
    std::string out;
    out += std::to_string(checks) + " checks, " + std::to_string(writes) + " writes, " +
           std::to_string(bytes) + " bytes arrived, seed " + std::to_string(seed) + ": " +
           (problems.empty() ? "nothing is wrong" : std::to_string(problems.size()) + " wrong") + "\n";
    for (auto const& line : problems) out += "WRONG   " + line + "\n";
    for (auto const& line : remarks) out += "remark  " + line + "\n";
    return out;
  }
};

}  // namespace testing

namespace detail {

// A harness and its writer behind one type, so that the checks are compiled once, whatever the number of
// writers.
struct conformance_subject {
  std::function<void(testing::driver_calls&)> connect;
  std::function<std::string(std::size_t)> read;
  std::function<write_result(buffers)> write;
  std::function<void(close_reason, ending)> on_closed;
  std::function<void()> destroy;
  std::function<void()> run, close_peer;  // null: the harness has none
  std::function<testing::far_end()> sees;
  std::function<std::size_t()> releases;
  bool may_block = false;
  bool takes_everything = false;
  bool same_bytes = false;
};

// One run of check_writer().
class writer_check {
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t largest_kept_offer = 16 * 1024;

  // One connection. They are kept to the end: a late call must find its driver.
  struct link {
    testing::driver_calls tell;
    testing::byte_ledger ledger;
    bool open = false;                            // there is a writer
    std::deque<std::vector<std::string>> memory;  // of what was offered, scribbled over
    std::size_t memory_bytes = 0;
    std::string owed;  // the rest of a piece that was begun
    bool blocked = false;
    bool pending = false;
    bool over = false;         // it says that the peer has gone
    bool peer_closed = false;  // and that is so
    bool dropped = false;      // by the driver
    bool said_again = false;   // the last answer was
    bool failed = false;       // something is wrong with it: this check ends here
    std::size_t writable = 0;
    clock::time_point until{};  // the end of its check
    bool endless = false;       // and it was not over then
    std::size_t moved = 0;      // the bytes taken and arrived, when ready() last found more of them
    std::size_t in_vain = 0;    // how often it found none since
    clock::time_point since{};
  };

 public:
  writer_check(conformance_subject subject, testing::conformance_options const& options)
      : subject_(std::move(subject)), options_(options), random_(options.seed),
        guard_([this] { return subject_.read(64 * 1024); }, [this] { return report_.text(); }) {}

  testing::conformance_report run() {
    report_.seed = options_.seed;
    run_check("one event", [&](link& l) { send(l, {64}) && finish(l); });
    run_check("two events, one behind the other",
              [&](link& l) { send(l, {64}) && send(l, {80}) && finish(l); });
    run_check("a gathered write of three pieces", [&](link& l) { send(l, {24, 40, 32}) && finish(l); });
    run_check("pieces small and large", [&](link& l) { send(l, {5000, 24, 9000, 16}) && finish(l); });
    run_check("a gathered write of 31 pieces",
              [&](link& l) { send(l, std::vector<std::size_t>(31, 24)) && finish(l); });
    run_check("an event of 300 KiB", [&](link& l) { send(l, {300 * 1024}) && send(l, {32}) && finish(l); });
    run_check("random sizes", [&](link& l) { random_sizes(l); });
    run_check("a stream without a byte", [&](link& l) { finish(l); });
    run_check("dropped before the first byte", [&](link& l) { drop(l, close_reason::removed); });
    run_check("dropped in the middle", [&](link& l) { drop_in_the_middle(l); });
    if (subject_.takes_everything) {
      remark("not checked: a peer that does not read, for the harness takes everything");
    } else if (subject_.may_block) {
      remark(
          "not checked: that write() gives up when the peer does not read. Give the socket a send timeout");
    } else {
      run_check("a peer that does not read", [&](link& l) { slow_peer(l); });
    }
    if (subject_.close_peer) {
      run_check("a peer that goes", [&](link& l) { closing_peer(l); });
    } else {
      remark("not checked: a peer that goes, for the harness has no close_peer()");
    }
    if (!subject_.sees) remark("not checked: that the response ends, for the harness has no sees()");
    if (!subject_.releases)
      remark("not checked: that a connection is given back once, for the harness has no releases()");
    if (report_.bytes == 0) problem("nothing ever arrived at the peer");
    for (std::size_t i = 0; i < repeated_.size(); ++i) {
      if (repeated_[i] != 0)
        report_.problems[i] += "; " + std::to_string(repeated_[i]) + " more of the checks found that";
    }
    return std::move(report_);
  }

 private:
  // What is wrong is said once, with the numbers of the first time, and how many checks found it.
  void problem(std::string const& words) {
    std::string key;
    for (char const c : words.substr(0, words.find(" (at byte "))) {
      if (c < '0' || c > '9') key += c;
    }
    for (std::size_t i = 0; i < said_.size(); ++i) {
      if (said_[i].first != key) continue;
      if (said_[i].second != report_.checks) ++repeated_[i];
      said_[i].second = report_.checks;
      return;
    }
    said_.emplace_back(key, report_.checks);
    repeated_.push_back(0);
    report_.problems.push_back(name_.empty() ? words : name_ + ": " + words);
  }
  void problem(link& l, std::string const& words) {
    l.failed = true;
    problem(words);
  }
  void remark(std::string words) { report_.remarks.push_back(std::move(words)); }

  // A call of somebody else's code. False: it threw, and so on.
  template <class Call> bool guarded(link& l, std::string const& name, Call call) {
    bool const write = name == "write()";
    auto const patience = write && subject_.may_block ? std::chrono::milliseconds(5) : options_.longest_call;
    auto const outcome = guard_.run(name_ + ": " + name, patience, options_.deadline,
                                    write && !subject_.takes_everything, call);
    arrived(l, guard_.taken());
    if (outcome.waited && !(write && subject_.may_block) && name != "run()" && name != "connect()") {
      problem(l, name + " waited until the peer read: a loop would stand still for all. Make the socket "
                        "non-blocking, or, "
                        "for serve_blocking, say may_block in the harness");
    }
    if (outcome.sigpipe) {
      problem(l,
              name + " raised SIGPIPE, which ends a program: send with MSG_NOSIGNAL, or ignore the signal");
    }
    if (!outcome.thrown.empty()) {
      problem(l, name + " threw " + outcome.thrown +
                     (write ? ": its stream would end there, with writer_threw" : ": nobody hears that"));
      l.over = true;
    }
    if (!l.endless && clock::now() > l.until) {
      endless(l, "was not over after " + std::to_string(longest_check().count()) +
                     " ms, although something moved all the time. A harness that is so slow needs a longer "
                     "longest_check");
      late_ = true;
    }
    return outcome.thrown.empty();
  }

  [[nodiscard]] std::chrono::milliseconds longest_check() const {
    return late_ ? options_.longest_check / 10 : options_.longest_check;
  }

  // From here on nothing that moves is worth waiting for.
  void endless(link& l, std::string const& words) {
    l.endless = true;
    problem(l, words);
  }

  template <class Body> void run_check(std::string name, Body body) {
    name_ = std::move(name);
    ++report_.checks;
    links_.push_back(std::make_unique<link>());
    auto& l = *links_.back();
    l.since = clock::now();
    l.until = l.since + longest_check();
    bool const connected = guarded(l, "connect()", [&] { subject_.connect(l.tell); });
    l.open = connected;
    if (connected) body(l);
    if (l.open) close(l, close_reason::removed);
    turn(l);
    name_.clear();
  }

  // One turn of the loop; what it told the driver is done. Returns whether a write that was pending is over:
  // writable() may come each turn, and moves nothing.
  bool turn(link& l) {
    if (subject_.run) guarded(l, "run()", subject_.run);
    return collect(l);
  }

  bool collect(link& l) {
    auto const told = l.tell.take();
    bool const was_pending = l.pending;
    if (told.from_elsewhere != 0) {
      problem(l, "writable(), written() or close() came from another thread: a driver has one, post it to "
                 "the loop");
    }
    for (auto n = told.written + told.failed; n > 0; --n) {
      if (!std::exchange(l.pending, false)) {
        problem(l, "written() came and no write was pending: was it called twice?");
        break;
      }
      scribble(l.memory.back());
    }
    if (told.failed != 0) gone(l, "said written(false)");
    if (told.removed != 0) gone(l, "said close()");
    if (told.writable != 0) l.blocked = false;
    l.writable += told.writable;
    return was_pending && !l.pending;
  }

  void gone(link& l, std::string const& how) {
    l.over = true;
    if (l.peer_closed || l.dropped || l.failed || !l.open) return;
    problem(l, how + " although the peer was open" +
                   (l.said_again && !subject_.same_bytes
                        ? ". This followed an `again`, and other bytes were offered then: if it needs the "
                          "same bytes again, as "
                          "TLS libraries do, say same_bytes_again in the harness, and in the stream_options"
                        : ""));
  }

  void arrived(link& l, std::string_view bytes) {
    l.ledger.arrived(bytes);
    report_.bytes += bytes.size();
  }

  std::size_t read(link& l, std::size_t most) {
    std::string got;
    guarded(l, "read()", [&] { got = subject_.read(most); });
    if (got.size() > most)
      problem(l, "the harness's read(" + std::to_string(most) + ") returned more than that");
    arrived(l, got);
    if (!l.endless && l.ledger.arrived_bytes() > l.ledger.made_bytes() + 1024 * 1024) {
      endless(l, l.ledger.complaint(false));  // more than there ever was: there need not be an end of it
    }
    return got.size();
  }

  // What the harness can say of the far end; a harness that throws has said nothing.
  testing::far_end sees(link& l) {
    auto out = testing::far_end::open;
    guarded(l, "sees()", [&] { out = subject_.sees(); });
    return out;
  }
  std::size_t releases(link& l) {
    std::size_t out = 0;
    guarded(l, "releases()", [&] { out = subject_.releases(); });
    return out;
  }

  void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

  // The second silence is as good as the first, and need not take as long.
  [[nodiscard]] auto patience() const { return silent_ ? options_.patience / 10 : options_.patience; }

  // Turns of the loop, reading from the peer, until `done`. False: nothing moved for the length of the
  // patience.
  template <class Done> bool wait_until(link& l, Done done) {
    auto last = clock::now();
    auto const enough = patience();
    for (std::size_t turns = 0; !done(); ++turns) {
      if (turns >= 50 && clock::now() - last > enough) {
        silent_ = true;
        return false;
      }
      bool const moved = turn(l);
      if ((read(l, 64 * 1024) != 0 || moved) && !l.endless) {
        last = clock::now();
      } else {
        rest();
      }
    }
    return true;
  }

  void settle(link& l, std::size_t turns) {
    for (std::size_t i = 0; i < turns; ++i) {
      bool const moved = turn(l);
      if (read(l, 64 * 1024) == 0 && !moved) rest();
    }
  }

  static constexpr std::size_t fence_bytes = 8;

  static void scribble(std::vector<std::string>& pieces) {
    for (auto& piece : pieces) std::fill(piece.begin(), piece.end(), testing::byte_ledger::scribble);
  }

  // Whether it is worth going on.
  static bool good(link const& l) { return !l.failed && !l.over; }

  // Offers new pieces, behind what is owed, and again what is left of them while the answer is `ok`.
  void offer(link& l, std::vector<std::size_t> const& sizes) {
    l.memory.emplace_back();
    auto& pieces = l.memory.back();
    if (!l.owed.empty()) pieces.push_back(std::exchange(l.owed, {}));
    if (!subject_.same_bytes || pieces.empty()) {
      for (auto const size : sizes) {  // who has taken nothing for long is not worth 300 KiB each time
        pieces.push_back(l.ledger.next(l.in_vain > 4 ? (std::min)(size, std::size_t{64}) : size));
      }
    }
    if (subject_.same_bytes && pieces.size() > 1) {
      for (std::size_t i = 1; i < pieces.size(); ++i) pieces[0] += pieces[i];
      pieces.resize(1);
    }
    if (subject_.same_bytes && pieces[0].size() > largest_kept_offer) pieces[0].resize(largest_kept_offer);
    for (auto& piece : pieces) {
      piece.append(fence_bytes, testing::byte_ledger::fence);
      l.memory_bytes += piece.size();
    }
    auto const most =
        options_.max_buffered + 16 * options_.bytes;  // more than a writer can keep and look at later
    for (; l.memory_bytes > most && l.memory.size() > 1; l.memory.pop_front()) {
      for (auto const& piece : l.memory.front()) l.memory_bytes -= piece.size();
    }

    std::size_t first = 0, step = 0;  // what is taken of the first piece left
    while (good(l) && first < pieces.size()) {
      std::vector<std::string_view> views(pieces.begin() + static_cast<std::ptrdiff_t>(first), pieces.end());
      for (auto& view : views) view.remove_suffix(fence_bytes);
      views.front().remove_prefix(step);
      std::vector<std::size_t> starts;
      std::string flat;
      for (auto const view : views) {
        starts.push_back(flat.size());
        flat += view;
      }
      l.ledger.offered(std::move(starts));
      ++report_.writes;
      write_result answer;
      if (!guarded(l, "write()", [&] { answer = subject_.write(buffers(views)); })) {
        l.ledger.taken(flat);  // nobody knows
        return;
      }
      std::string after;
      for (auto const view : views) after += view;
      if (after != flat) problem(l, "write() changed the bytes it was offered: other streams send the same");
      if (!settle_answer(l, answer, flat)) return;

      bool const again = answer.status == write_status::again;
      l.said_again = again;
      auto left = answer.status == write_status::pending ? flat.size() : answer.bytes;
      l.ledger.taken(std::string_view(flat).substr(0, left));
      if (answer.status == write_status::pending) {
        l.pending = true;
        collect(l);
        return;
      }
      while (left != 0) {  // what is taken is no longer the writer's
        auto& piece = pieces[first];
        auto const size = piece.size() - fence_bytes;
        auto const n = (std::min)(left, size - step);
        std::fill_n(piece.begin() + static_cast<std::ptrdiff_t>(step), n, testing::byte_ledger::scribble);
        left -= n;
        step += n;
        if (step == size) {
          ++first;
          step = 0;
        }
      }
      if (again) {
        l.blocked = true;
        for (auto& piece : pieces) piece.resize(piece.size() - fence_bytes);
        if (first < pieces.size() && (step != 0 || subject_.same_bytes))
          l.owed = pieces[first++].substr(step);
        for (; first < pieces.size(); ++first) l.ledger.not_taken(pieces[first]);
        scribble(pieces);
        if (subject_.may_block) unblock(l, answer.bytes);
      }
      collect(l);
      if (again) return;
    }
  }

  // serve_blocking goes on at once, unless nothing was taken.
  void unblock(link& l, std::size_t taken) {
    if (taken == 0) {
      problem(l, "answered `again` with no bytes although the peer reads: serve_blocking takes that for a "
                 "peer that does not");
    }
    l.blocked = false;
  }

  // False: the link is over.
  bool settle_answer(link& l, write_result answer, std::string const& offered) {
    auto const numbers = std::to_string(answer.bytes) + " of " + std::to_string(offered.size()) + " bytes";
    switch (answer.status) {
    case write_status::ok:
      if (answer.bytes == 0) {
        problem(l, "answered `ok` with 0 bytes: a driver would try for ever. If it cannot take any now, that "
                   "is `again`");
      }
      [[fallthrough]];
    case write_status::again:
      if (answer.bytes > offered.size())
        problem(l, "says that it took " + numbers + ", more than it was offered");
      break;
    case write_status::pending:
      if (subject_.may_block)
        problem(l, "answered `pending`: serve_blocking has no loop that could say written()");
      break;
    case write_status::closed:
      l.ledger.taken(offered);  // as much of it as may be
      gone(l, "answered `closed`");
      return false;
    default:
      problem(l, "answered a status that does not exist, " + std::to_string(static_cast<int>(answer.status)));
    }
    if (l.failed) l.over = true;
    return !l.failed;
  }

  // Until the writer takes more. The peer reads.
  bool ready(link& l) {
    auto const moved = l.ledger.taken_bytes() + l.ledger.arrived_bytes();
    if (moved != l.moved) {
      l.moved = moved;
      l.in_vain = 0;
      l.since = clock::now();
    } else if (++l.in_vain > 50 && clock::now() - l.since > patience()) {
      silent_ = true;
      problem(l, "answered `again` with no bytes each time it was told writable(), although the peer read "
                 "everything");
    } else if (l.in_vain > 1) {
      rest();
    }
    bool const in_time = wait_until(l, [&] { return !good(l) || (!l.blocked && !l.pending); });
    if (!in_time && l.blocked) {
      problem(l, "answered `again`, and then nobody said writable(), although the peer read everything");
    } else if (!in_time) {
      problem(l, "answered `pending`, and then nobody said written(), although the peer read everything");
    }
    return good(l);
  }

  // Offers so many bytes in such pieces, until all is taken.
  bool send(link& l, std::vector<std::size_t> sizes) {
    std::size_t due = l.ledger.taken_bytes() + l.owed.size();
    for (auto const size : sizes) due += size;
    while (ready(l)) {
      if (l.ledger.taken_bytes() >= due) return true;
      offer(l, sizes);
      auto const known = l.ledger.taken_bytes() + l.owed.size();
      sizes.clear();  // behind `again` other bytes come
      if (known < due) sizes.push_back(due - known);
    }
    return false;
  }

  // The stream's last call.
  void close(link& l, close_reason why) {
    l.dropped = true;
    closed(l, why, ending::cut);
  }
  void closed(link& l, close_reason why, ending how) {
    guarded(l, "on_closed()", [&] { subject_.on_closed(why, how); });
    collect(l);
    if (l.pending && !wait_until(l, [&] { return !l.pending; })) {
      problem(l, "a write was pending when the stream was dropped, and written() never came: its bytes are "
                 "kept for ever");
    }
    l.open = false;
    guarded(l, "its destructor", subject_.destroy);
    collect(l);
  }

  bool in_order(link& l) {
    if (subject_.releases && releases(l) != 0) {
      problem(l, "gave its connection back while the stream was open");
      return false;
    }
    if (subject_.sees && sees(l) != testing::far_end::open) {
      problem(l,
              "sees() says that the response is over while the stream is open: does connect() begin anew?");
      return false;
    }
    closed(l, close_reason::finished, ending::complete);
    return !l.failed;
  }

  bool finish(link& l) {
    if (!ready(l) || !in_order(l)) return false;
    wait_until(l, [&] { return l.failed || l.ledger.arrived_bytes() >= l.ledger.taken_bytes(); });
    settle(l, 8);
    compare(l, true);
    if (!l.failed) seen(l, true);
    if (!l.failed) given_back(l);
    return !l.failed;
  }

  void drop(link& l, close_reason why) {
    close(l, why);
    settle(l, 8);
    compare(l, false);
    if (!l.failed) seen(l, false);
    if (!l.failed) given_back(l);
  }

  void compare(link& l, bool all_due) {
    auto const words = l.ledger.complaint(all_due);
    if (!words.empty()) problem(l, words);
  }

  // How the peer sees a response that is over.
  void seen(link& l, bool ended) {
    if (!subject_.sees) return;
    auto end = testing::far_end::open;
    wait_until(l, [&] { return l.failed || (end = sees(l)) != testing::far_end::open; });
    if (l.failed) return;
    if (end == testing::far_end::open && ended) {
      problem(l,
              "the response never ended: on_closed() was called with `complete`, and the peer still waits");
    } else if (end == testing::far_end::open) {
      problem(l, "the response stayed open: on_closed() was called with `cut`, and the peer still waits");
    } else if (end == testing::far_end::dropped && ended) {
      problem(
          l, "the stream ended in order, and its connection was cut: the peer takes the response for broken");
    }
  }

  void given_back(link& l) {
    if (!subject_.releases) return;
    std::size_t times = 0;
    wait_until(l, [&] { return l.failed || (times = releases(l)) != 0; });
    if (l.failed) return;
    if (times == 0) problem(l, "never gave its connection back: it leaks");
    if (times > 1) {
      problem(l, "gave its connection back " + std::to_string(times) +
                     " times: the stream calls on_closed() once, at the end; nobody else must");
    }
  }

  void random_sizes(link& l) {
    while (l.ledger.taken_bytes() < options_.bytes && good(l)) {
      std::vector<std::size_t> sizes(1 + random_.below(random_.below(4) == 0 ? 31 : 4));
      for (auto& size : sizes) size = 1 + random_.below(random_.below(8) == 0 ? 65'536 : 600);
      if (!ready(l)) return;
      offer(l, sizes);
      turn(l);
      if (random_.below(2) == 0) read(l, 1 + random_.below(100'000));
    }
    if (send(l, {})) finish(l);
  }

  void drop_in_the_middle(link& l) {
    for (int i = 0; i < 4 && good(l) && !l.blocked && !l.pending; ++i) {
      offer(l, {500, 3000});
      turn(l);
    }
    if (good(l)) drop(l, close_reason::removed);
  }

  void slow_peer(link& l) {
    int spins = 0;
    while (good(l) && l.ledger.taken_bytes() < options_.max_buffered) {
      if (l.blocked || l.pending) {
        bool went_on = false;
        for (int i = 0; i < 10 && !went_on && good(l); ++i) {
          turn(l);
          went_on = !l.blocked && !l.pending;
          if (!went_on) rest();
        }
        if (!went_on) break;  // it waits for the peer, as it should
      }
      auto const before = l.ledger.taken_bytes();
      offer(l, {8000, 8000, 16'000});
      if (l.ledger.taken_bytes() != before) spins = 0;
      if (++spins > 100) {
        problem(l, "says writable() again and again while it can take nothing: the loop would never rest");
      }
    }
    if (!good(l)) return;
    if (l.ledger.taken_bytes() >= options_.max_buffered) {
      problem(l, "took " + std::to_string(l.ledger.taken_bytes()) +
                     " bytes for a peer that does not read, and would go on: "
                     "it must say `again`, or a slow client costs all memory");
      return;
    }
    if (send(l, {64}) && send(l, {5000, 64})) finish(l);
  }

  void closing_peer(link& l) {
    if (subject_.close_peer) {
      if (!send(l, {64})) return;
      settle(l, 3);
      guarded(l, "close_peer()", [&] { subject_.close_peer(); });
      l.peer_closed = true;
      auto const begin = clock::now();
      for (std::size_t writes = 0; good(l); ++writes) {
        if (writes >= 50 && clock::now() - begin > options_.patience) {
          problem(l, l.blocked   ? "the peer went while it was blocked, and it never said so"
                     : l.pending ? "the peer went while a write was pending, and written(false) never came"
                                 : "the peer went, and write() never answered `closed`");
          break;
        }
        if (!l.blocked && !l.pending) offer(l, {1000});
        turn(l);
        rest();
      }
      if (l.failed) return;
      while (!l.failed && read(l, 64 * 1024) != 0) {
      }
      auto const before = l.ledger.arrived_bytes();
      close(l, close_reason::peer_gone);
      settle(l, 8);
      if (l.ledger.arrived_bytes() != before) {
        problem(l, "sent bytes after it had said that the peer was gone");
      }
      compare(l, false);
      if (!l.failed) given_back(l);  // what the peer sees is nobody's business any more
    }
  }

  conformance_subject subject_;
  testing::conformance_options options_;
  testing::seeded_numbers random_;
  testing::conformance_report report_;
  std::vector<std::unique_ptr<link>> links_;
  std::vector<std::pair<std::string, std::size_t>>
      said_;                           // for each problem its words without numbers, and its last check
  std::vector<std::size_t> repeated_;  // and in how many checks it was found again
  std::string name_;
  bool silent_ = false;
  bool late_ = false;
  testing::call_guard guard_;  // last: its thread ends first
};

template <class Harness> conformance_subject subject_of(Harness& h) {
  using Writer = decltype(h.connect(std::declval<testing::driver_calls&>()));
  check_writer<Writer>();
  static_assert(std::move_constructible<Writer>, "a driver takes its writer by moving it");

  conformance_subject out;
  auto const to = std::make_shared<std::unique_ptr<Writer>>();
  out.connect = [&h, to](testing::driver_calls& calls) {
    Writer first = h.connect(calls);
    Writer second(std::move(first));  // as on its way into a driver
    *to = std::make_unique<Writer>(std::move(second));
  };
  out.read = [&h](std::size_t most) { return std::string(h.read(most)); };
  out.write = [to](buffers b) { return (*to)->write(b); };
  out.on_closed = [to](close_reason why, ending how) { (*to)->on_closed(why, how); };
  out.destroy = [to] { to->reset(); };
  if constexpr (requires { h.run(); }) out.run = [&h] { h.run(); };
  if constexpr (requires { h.close_peer(); }) out.close_peer = [&h] { h.close_peer(); };
  if constexpr (requires { h.sees(); }) out.sees = [&h]() -> testing::far_end { return h.sees(); };
  if constexpr (requires { h.releases(); }) {
    out.releases = [&h] { return static_cast<std::size_t>(h.releases()); };
  }
  if constexpr (requires { Harness::may_block; }) out.may_block = Harness::may_block;
  if constexpr (requires { Harness::takes_everything; }) out.takes_everything = Harness::takes_everything;
  if constexpr (requires { Harness::same_bytes_again; }) out.same_bytes = Harness::same_bytes_again;
  return out;
}

}  // namespace detail

namespace testing {

/// Points at a writer and says in words what is wrong with it.
///
/// The harness, of which it calls what is there; one connection at a time:
///
/// | expression            | result               | meaning                                                              |
/// |-----------------------|----------------------|----------------------------------------------------------------------|
/// | `h.connect(calls)`    | the writer           | a new connection; the one before is over, and its descriptor's number may come again: what the harness remembers of it begins anew. `calls`, a `driver_calls&`, lives until check_writer() returns: the loop calls writable(), written(good) and close() on it |
/// | `h.read(n)`           | `std::string`        | takes at most n bytes of the body from the far end, without chunk sizes and the like, and does not wait for them. Behind close_peer() it is called, too, and may return nothing. Another thread calls it while write() waits |
/// | `h.run()`             | any; optional        | one turn of the loop, which waits a few milliseconds at most; it may say writable() each time, if there is room |
/// | `h.close_peer()`      | any; optional        | the far end goes away                                                |
/// | `h.sees()`            | `far_end`; optional  | how the response looks to the far end, from what read() has met: `open` until then. Not asked behind close_peer() |
/// | `h.releases()`        | a number; optional   | how often this connection was given back: closed, freed               |
/// | `H::may_block`        | `static constexpr bool`; optional | write() may wait for its peer: for serve_blocking       |
/// | `H::same_bytes_again` | `static constexpr bool`; optional | as stream_options::same_bytes_again: after `again` exactly the same bytes |
/// | `H::takes_everything` | `static constexpr bool`; optional | there is no peer that could be slow: a file, a string   |
///
/// A writer that holds the driver it tells may be a template over that: a driver_calls has a posted_stream's
/// shared_from_this(), writable(), written(good) and close().
/// What it sends is overwritten when the writer must not look at it any more.
/// Returns     what is wrong.
/// Errors      whatever writer and harness do, it comes to an end: each check by its longest_check. A call
///             that does not return ends the program, behind what the report says up to there.
/// Threads     one more, which looks on and frees a write() that waits. Ignores SIGPIPE meanwhile.
template <class Harness>
[[nodiscard]] conformance_report check_writer(Harness& harness, conformance_options const& options = {}) {
  static_assert(
      requires(driver_calls & calls) { harness.connect(calls); },
      "a harness has connect(ssewire::testing::driver_calls&), which returns a writer");
  static_assert(
      requires {
        { harness.read(std::size_t{1}) } -> std::convertible_to<std::string>;
      },
      "a harness has read(std::size_t), which returns a std::string");
  return detail::writer_check(detail::subject_of(harness), options).run();
}

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
