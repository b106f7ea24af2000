// SPDX-License-Identifier: MIT
// closure_executor.hpp - an executor that a test drives by hand: tasks wait in a queue until the test runs
// them.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <new>
#include <utility>

namespace support {

struct closure_executor {
  std::deque<std::function<void()>> tasks = {};
  std::size_t posts = 0;
  std::size_t refusals = 0;  // this many posts throw
  bool at_once = false;      // a task runs inside its post

  /// Runs the task that has waited longest; false: there is none.
  bool run_one() {
    if (tasks.empty()) return false;
    auto const task = std::move(tasks.front());
    tasks.pop_front();
    task();
    return true;
  }

  /// Runs tasks until none is left, but at most `most`. Returns how many ran.
  std::size_t run(std::size_t most = 10'000) {
    std::size_t ran = 0;
    while (ran < most && run_one()) ++ran;
    return ran;
  }
};

struct post_to {
  closure_executor* to;

  template <class Task> void operator()(Task task) const {
    auto& executor = *to;
    ++executor.posts;
    if (executor.refusals != 0) {
      --executor.refusals;
      throw std::bad_alloc();
    }
    if (executor.at_once) return task();
    executor.tasks.emplace_back(std::move(task));
  }
};

}  // namespace support
