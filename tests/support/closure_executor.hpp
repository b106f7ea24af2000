// SPDX-License-Identifier: MIT
// closure_executor.hpp - an executor that a test turns by hand: tasks wait in a queue until they are run.
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
  std::size_t refusals = 0;  // so many posts throw
  bool at_once = false;      // runs what is posted inside the post

  /// Runs the task that has waited longest; false: there is none.
  bool run_one() {
    if (tasks.empty()) return false;
    auto const task = std::move(tasks.front());
    tasks.pop_front();
    task();
    return true;
  }

  /// Returns how many it ran; one that never comes to rest is stopped.
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
