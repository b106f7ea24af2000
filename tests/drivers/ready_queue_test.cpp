// SPDX-License-Identifier: MIT
// ready_queue_test.cpp - each element that waits for a turn gets one, once and in order, and the loop is
// woken once.
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/detail/ready_queue.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

using ssewire::detail::waiting;
using turns = ssewire::detail::ready_queue<ssewire::default_traits>;

struct one : waiting {
  one() noexcept : waiting(false) {}
};

std::vector<waiting*> turn_of(turns& all) {
  std::vector<waiting*> order;
  all.begin();
  while (auto* const w = all.next()) order.push_back(w);
  return order;
}

TEST_CASE("who is added has one turn, in order, and can be added again") {
  turns all;
  std::array<one, 3> w;
  CHECK(all.empty());
  CHECK(turn_of(all).empty());
  for (auto& each : w) all.add(each);
  all.add(w[0]);  // has its turn already
  CHECK_FALSE(all.empty());
  CHECK(turn_of(all) == std::vector<waiting*>{&w[0], &w[1], &w[2]});
  CHECK(all.empty());
  all.add(w[1]);
  all.add(w[0]);
  CHECK(turn_of(all) == std::vector<waiting*>{&w[1], &w[0]});
}

TEST_CASE("who is added during a turn, also in its own, has the next one") {
  turns all;
  std::array<one, 3> w;
  all.add(w[0]);
  all.add(w[1]);
  all.begin();
  CHECK(all.next() == &w[0]);
  all.add(w[2]);
  all.add(w[0]);
  CHECK(w[0].queued());
  CHECK(w[1].queued());
  all.begin();  // goes on with this one
  CHECK(all.next() == &w[1]);
  CHECK(all.next() == nullptr);
  CHECK_FALSE(all.empty());
  CHECK(turn_of(all) == std::vector<waiting*>{&w[2], &w[0]});
}

TEST_CASE("who is put back goes on first, and only once") {
  turns all;
  std::array<one, 3> w;
  for (auto& each : w) all.add(each);
  all.begin();
  CHECK(all.next() == &w[0]);
  all.put_back(w[0]);
  CHECK(all.next() == &w[0]);
  all.add(w[0]);  // called meanwhile: it goes on in its next turn
  all.put_back(w[0]);
  CHECK(all.next() == &w[1]);
  CHECK(all.next() == &w[2]);
  CHECK(all.next() == nullptr);
  all.put_back(w[1]);  // behind all others
  CHECK(all.next() == &w[1]);
  CHECK(turn_of(all) == std::vector<waiting*>{&w[0]});
}

TEST_CASE("the loop is told once until its next turn begins, and not by itself") {
  turns all;
  std::array<one, 4> w;
  all.add(w[0]);
  CHECK(all.call(w[1]));
  CHECK_FALSE(all.call(w[1]));
  CHECK_FALSE(all.call(w[2]));
  CHECK_FALSE(all.call(w[0]));
  all.begin();
  CHECK(all.call(w[3]));
  CHECK(all.next() == &w[0]);
  CHECK_FALSE(all.call(w[0]));
}

TEST_CASE("calls from many threads are all heard") {
  constexpr std::size_t threads = 4;
  constexpr int calls = 20'000;
  turns all;
  std::array<one, threads> w;
  std::array<std::atomic<int>, threads> said = {};
  std::array<int, threads> heard = {};
  std::array<std::thread, threads> callers;
  for (std::size_t t = 0; t < threads; ++t) {
    callers[t] = std::thread([&, t] {
      for (int i = 1; i <= calls; ++i) {
        said[t].store(i, std::memory_order_relaxed);
        (void)all.call(w[t]);
      }
    });
  }
  for (bool done = false; !done;) {
    done = true;
    all.begin();
    while (auto* const next = all.next()) {
      auto const t = static_cast<std::size_t>(static_cast<one*>(next) - w.data());
      heard[t] = said[t].load(std::memory_order_relaxed);
    }
    for (auto const h : heard) done = done && h == calls;
    if (!done) std::this_thread::yield();
  }
  for (auto& t : callers) t.join();
  CHECK(turn_of(all).size() <= threads);
  CHECK(all.empty());
}

}  // namespace
