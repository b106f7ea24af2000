// SPDX-License-Identifier: MIT
// coroutine.hpp - the smallest coroutine that tests can drive.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace support {

/// Runs at once until it waits. Its frame is destroyed with this object.
class coroutine {
 public:
  struct promise_type {
    coroutine get_return_object() {
      return coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  coroutine(coroutine&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  coroutine& operator=(coroutine&&) = delete;
  ~coroutine() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] bool done() const { return frame_.done(); }

 private:
  explicit coroutine(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

/// Runs at once. Its frame is destroyed when it ends, on whatever thread that is.
struct detached_coroutine {
  struct promise_type {
    detached_coroutine get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

/// Waits until somebody resumes the handle that it stores in `leaves`.
struct suspends {
  std::coroutine_handle<>* leaves;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) const noexcept { *leaves = h; }
  void await_resume() const noexcept {}
};

}  // namespace support
