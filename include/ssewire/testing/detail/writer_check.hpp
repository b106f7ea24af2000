// SPDX-License-Identifier: MIT
// writer_check.hpp - the checks of check_writer(), each on a connection of its own.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/testing/conformance_options.hpp>
#include <ssewire/testing/conformance_report.hpp>
#include <ssewire/testing/detail/conformance_run.hpp>
#include <ssewire/testing/detail/conformance_subject.hpp>
#include <ssewire/testing/detail/driven_connection.hpp>
#include <ssewire/testing/harness.hpp>
#include <ssewire/testing/seeded_numbers.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// One run of check_writer().
class writer_check {
  using connection = driven_connection;

 public:
  writer_check(conformance_subject subject, testing::conformance_options const& options)
      : run_(std::move(subject), options), random_(options.seed) {}

  testing::conformance_report run() {
    run_check("one event", [&](connection& c) { c.send({64}) && finish(c); });
    run_check("two events, one after the other",
              [&](connection& c) { c.send({64}) && c.send({80}) && finish(c); });
    run_check("a gathered write of three pieces", [&](connection& c) { c.send({24, 40, 32}) && finish(c); });
    run_check("pieces small and large", [&](connection& c) { c.send({5000, 24, 9000, 16}) && finish(c); });
    run_check("a gathered write of 31 pieces",
              [&](connection& c) { c.send(std::vector<std::size_t>(31, 24)) && finish(c); });
    run_check("an event of 300 KiB",
              [&](connection& c) { c.send({300 * 1024}) && c.send({32}) && finish(c); });
    run_check("random sizes", [&](connection& c) { random_sizes(c); });
    run_check("a stream without a byte", [&](connection& c) { finish(c); });
    run_check("dropped before the first byte", [&](connection& c) { drop(c); });
    run_check("dropped in the middle", [&](connection& c) { drop_in_the_middle(c); });
    check_or_remark_peers();
    if (!run_.subject.sees) {
      run_.found.remark("not checked: that the response ends, for the harness has no sees()");
    }
    if (!run_.subject.releases) {
      run_.found.remark(
          "not checked: that a connection is given back once, for the harness has no releases()");
    }
    if (run_.found.arrived_bytes() == 0) run_.found.problem("nothing ever arrived at the peer");
    return run_.found.take();
  }

 private:
  void check_or_remark_peers() {
    if (run_.subject.takes_everything) {
      run_.found.remark("not checked: a peer that does not read, for the harness takes everything");
    } else if (run_.subject.may_block) {
      run_.found.remark(
          "not checked: that write() gives up when the peer does not read. Give the socket a send timeout");
    } else {
      run_check("a peer that does not read", [&](connection& c) { slow_peer(c); });
    }
    if (run_.subject.close_peer) {
      run_check("a peer that goes", [&](connection& c) { closing_peer(c); });
    } else {
      run_.found.remark("not checked: a peer that goes, for the harness has no close_peer()");
    }
  }

  template <class Body> void run_check(std::string name, Body body) {
    run_.found.begin_check(std::move(name));
    connections_.push_back(std::make_unique<connection>(run_));
    auto& c = *connections_.back();
    if (c.connect()) body(c);
    if (c.is_open()) c.close(close_reason::removed, ending::cut);
    c.turn();
    run_.found.end_check();
  }

  void random_sizes(connection& c) {
    while (c.taken_bytes() < run_.options.bytes && c.is_good()) {
      std::vector<std::size_t> sizes(1 + random_.below(random_.below(4) == 0 ? 31 : 4));
      for (auto& size : sizes) size = 1 + random_.below(random_.below(8) == 0 ? 65'536 : 600);
      if (!c.ready()) return;
      c.offer(sizes);
      c.turn();
      if (random_.below(2) == 0) c.read(1 + random_.below(100'000));
    }
    if (c.send({})) finish(c);
  }

  void drop_in_the_middle(connection& c) const {
    for (int i = 0; i < 4 && c.is_good() && !c.waits(); ++i) {
      c.offer({500, 3000});
      c.turn();
    }
    if (c.is_good()) drop(c);
  }

  void slow_peer(connection& c) const {
    int spins = 0;
    while (c.is_good() && c.taken_bytes() < run_.options.max_buffered) {
      if (c.waits()) {
        for (int i = 0; i < 10 && c.waits() && c.is_good(); ++i) {
          c.turn();
          if (c.waits()) c.rest();
        }
        if (c.waits()) break;  // waits for the peer, as it should
      }
      auto const before = c.taken_bytes();
      c.offer({8000, 8000, 16'000});
      if (c.taken_bytes() != before) spins = 0;
      if (++spins > 100) {
        c.problem("says writable() again and again while it can take nothing: the loop would never rest");
      }
    }
    if (!c.is_good()) return;
    if (c.taken_bytes() >= run_.options.max_buffered) {
      c.problem(
          "took " + std::to_string(c.taken_bytes()) +
          " bytes for a peer that does not read, and would go on: it must say `again`, or a slow client "
          "costs all memory");
      return;
    }
    if (c.send({64}) && c.send({5000, 64})) finish(c);
  }

  void closing_peer(connection& c) const {
    if (!c.send({64})) return;
    c.settle(3);
    c.close_peer();
    write_to_nobody(c);
    if (c.has_failed()) return;
    while (!c.has_failed() && c.read() != 0) {
    }
    auto const before = c.arrived_bytes();
    c.close(close_reason::peer_gone, ending::cut);
    c.settle(8);
    if (c.arrived_bytes() != before) c.problem("sent bytes after it had said that the peer was gone");
    c.compare(false);
    // The peer has gone, so how the response looks to it does not matter.
    if (!c.has_failed()) given_back(c);
  }

  // Writes until the writer reports that the peer has gone.
  void write_to_nobody(connection& c) const {
    auto const begin = clock::now();
    for (std::size_t writes = 0; c.is_good(); ++writes) {
      if (writes >= 50 && clock::now() - begin > run_.options.patience) {
        c.problem(c.is_blocked()   ? "the peer went while it was blocked, and it never said so"
                  : c.is_pending() ? "the peer went while a write was pending, and written(false) never came"
                                   : "the peer went, and write() never answered `closed`");
        return;
      }
      if (!c.waits()) c.offer({1000});
      c.turn();
      c.rest();
    }
  }

  // Ends the response in order, and checks what arrived.
  bool finish(connection& c) const {
    if (!c.ready() || !is_still_open(c)) return false;
    c.close(close_reason::finished, ending::complete);
    if (c.has_failed()) return false;
    c.wait_until([&] { return c.has_failed() || c.arrived_bytes() >= c.taken_bytes(); });
    look_back(c, ending::complete);
    return !c.has_failed();
  }

  void drop(connection& c) const {
    c.close(close_reason::removed, ending::cut);
    look_back(c, ending::cut);
  }

  bool is_still_open(connection& c) const {
    if (run_.subject.releases && c.releases() != 0) {
      c.problem("gave its connection back while the stream was open");
      return false;
    }
    if (run_.subject.sees && c.sees() != testing::far_end::open) {
      c.problem("sees() says that the response is over while the stream is open: does connect() begin anew?");
      return false;
    }
    return true;
  }

  void look_back(connection& c, ending how) const {
    c.settle(8);
    c.compare(how == ending::complete);
    if (!c.has_failed()) seen(c, how);
    if (!c.has_failed()) given_back(c);
  }

  // Checks how the far end sees a response that has ended.
  void seen(connection& c, ending how) const {
    if (!run_.subject.sees) return;
    auto end = testing::far_end::open;
    c.wait_until([&] { return c.has_failed() || (end = c.sees()) != testing::far_end::open; });
    if (c.has_failed()) return;
    if (end == testing::far_end::open && how == ending::complete) {
      c.problem("the response never ended: on_closed() was called with `complete`, and the peer still waits");
    } else if (end == testing::far_end::open) {
      c.problem("the response stayed open: on_closed() was called with `cut`, and the peer still waits");
    } else if (end == testing::far_end::dropped && how == ending::complete) {
      c.problem(
          "the stream ended in order, and its connection was cut: the peer takes the response for broken");
    }
  }

  void given_back(connection& c) const {
    if (!run_.subject.releases) return;
    std::size_t times = 0;
    c.wait_until([&] { return c.has_failed() || (times = c.releases()) != 0; });
    if (c.has_failed()) return;
    if (times == 0) c.problem("never gave its connection back: it leaks");
    if (times > 1) {
      c.problem("gave its connection back " + std::to_string(times) +
                " times: the stream calls on_closed() once, at the end; nobody else must");
    }
  }

  using clock = std::chrono::steady_clock;

  conformance_run run_;
  testing::seeded_numbers random_;
  // Kept to the end, because a late call must still find its driver_calls.
  std::vector<std::unique_ptr<connection>> connections_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
