// SPDX-License-Identifier: MIT
// call_guard.hpp - watches a call of code that is not ours. Does the call wait, throw, or raise SIGPIPE?
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

// How a guarded call went.
struct call_outcome {
  // The call took longer than the patience.
  bool waited = false;
  // The call raised SIGPIPE, which would have ended the program.
  bool sigpipe = false;
  // What the call threw, in words; empty if nothing.
  std::string thrown = {};
};

// Runs calls while another thread watches them. If a write() waits for its peer, that thread reads from the
// peer, which frees the write(). If a call does not return at all, the program prints that and ends: nothing
// else helps.
//
// Threads: one at a time.
class call_guard {
 public:
  using milliseconds = std::chrono::milliseconds;

  // `read`: takes bytes from the peer; they are kept for taken(). `last_words`: what to print before the
  // program is ended.
  call_guard(std::function<std::string()> read, std::function<std::string()> last_words)
      : read_(std::move(read)), last_words_(std::move(last_words)) {
#if defined(SIGPIPE)
    raised() = false;
    before_ = (signal)(SIGPIPE, [](int) { raised() = true; });
#endif
    watcher_ = std::thread([this] { watch(); });
  }
  call_guard(call_guard const&) = delete;
  call_guard& operator=(call_guard const&) = delete;
  ~call_guard() {
    {
      std::unique_lock const held(guard_);
      stopping_ = true;
    }
    changed_.notify_all();
    watcher_.join();
#if defined(SIGPIPE)
    (signal)(SIGPIPE, before_);
#endif
  }

  // `patience`: a call that takes longer counts as waiting, and with `reads` the guard then reads from the
  // peer. `deadline`: a call that takes longer ends the program.
  template <class Call>
  call_outcome run(std::string_view name, milliseconds patience, milliseconds deadline, bool reads,
                   Call call) {
    call_outcome out;
    begin(name, patience, deadline, reads);
#if defined(__cpp_exceptions)
    try {
      call();
    } catch (std::exception const& e) {
      out.thrown = e.what();
      if (out.thrown.empty()) out.thrown = "a std::exception";
    } catch (...) {
      out.thrown = "something that is no std::exception";
    }
#else
    call();
#endif
    out.waited = end();
#if defined(SIGPIPE)
    out.sigpipe = raised().exchange(false);
    if (out.sigpipe) (signal)(SIGPIPE, [](int) { raised() = true; });  // some systems forget the handler
#endif
    return out;
  }

  // What was read from the peer during calls.
  [[nodiscard]] std::string taken() { return std::exchange(taken_, {}); }

 private:
  using clock = std::chrono::steady_clock;

  static std::atomic<bool>& raised() noexcept {
    static std::atomic<bool> value{false};
    return value;
  }

  void begin(std::string_view name, milliseconds patience, milliseconds deadline, bool reads) {
    {
      std::unique_lock const held(guard_);
      name_ = name;
      patience_ = patience;
      deadline_ = deadline;
      reads_ = reads;
      running_ = true;
      waited_ = false;
      ++call_;
    }
    changed_.notify_all();
  }

  bool end() {
    std::unique_lock held(guard_);
    running_ = false;
    changed_.notify_all();
    if (!changed_.wait_for(held, deadline_, [&] { return !reading_; })) give_up("read()");
    return waited_;
  }

  void watch() {
    std::unique_lock held(guard_);
    for (;;) {
      changed_.wait(held, [&] { return running_ || stopping_; });
      if (stopping_) return;
      auto const call = call_;
      auto const over = [&] { return stopping_ || !running_ || call_ != call; };
      auto const end = clock::now() + deadline_;
      if (changed_.wait_for(held, patience_, over)) continue;
      waited_ = true;
      while (!over()) {
        std::string got;
        if (reads_ && taken_.size() < most_taken) {
          reading_ = true;
          held.unlock();
          got = read_();
          held.lock();
          reading_ = false;
          taken_ += got;
          changed_.notify_all();
        }
        if (got.empty()) changed_.wait_for(held, milliseconds(1), over);
        if (!over() && clock::now() > end) give_up(name_);
      }
    }
  }

  [[noreturn]] void give_up(std::string const& name) const {
    (fprintf)(stderr, "%sssewire: %s does not return, whatever its peer does; the program ends here\n",
              last_words_().c_str(), name.c_str());
    (abort)();
  }

  static constexpr std::size_t most_taken = 64 * 1024 * 1024;  // more than a writer ever has

  std::function<std::string()> read_;
  std::function<std::string()> last_words_;
  std::mutex guard_;
  std::condition_variable changed_;
  std::string name_;
  milliseconds patience_{};
  milliseconds deadline_{};
  std::size_t call_ = 0;
  bool reads_ = false;
  bool running_ = false;
  bool waited_ = false;
  bool reading_ = false;
  bool stopping_ = false;
  std::string taken_;
#if defined(SIGPIPE)
  void (*before_)(int) = SIG_DFL;
#endif
  std::thread watcher_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
