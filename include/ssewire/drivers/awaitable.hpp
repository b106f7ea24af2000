// SPDX-License-Identifier: MIT
// awaitable.hpp - a pull stream, or a subscription, that a coroutine waits for. It needs no executor and no
// task type.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>

#include <atomic>
#include <coroutine>
#include <type_traits>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Owns a pull_stream or a basic_subscription, and sets its hook. `co_await` on it waits until there may be
/// something to read or pull, or the source is over. The result is the source's reason(): close_reason::none
/// while it goes on. A wait may end although there is nothing: read, and wait again.
///
/// @tparam Source  The pull_stream or basic_subscription.
/// @tparam Resume  `resume(std::coroutine_handle<>) noexcept` is called once for each wait, on the thread
///   that ends the wait: a publisher's, or that of the stream's own send() or of wake_up(). It posts the
///   handle to the coroutine's executor, or resumes it there and then as its last action. If Resume has a
///   member `evicted() noexcept`, that is called when the source is ended while no coroutine waits here:
///   interrupt the write that the coroutine is in. Both must stay valid until the hook has returned.
/// @par Lifetime   Its destruction ends the source, and nothing is resumed after that. The executor must drop
///   the handles that it already has together with the coroutine.
/// @par Threads    One thread at a time, and one coroutine at a time.
template <class Source, class Resume> class awaitable {
 public:
  /// Makes the source from `arguments`, and sets its hook.
  template <class... Arguments>
  explicit awaitable(Resume resume, Arguments&&... arguments)
      : resume_(std::move(resume)), source_(std::forward<Arguments>(arguments)...) {
    static_assert(
        std::is_nothrow_invocable_v<Resume&, std::coroutine_handle<>>,
        "resume is called with a std::coroutine_handle<>, on the publisher's thread: it is noexcept");
    source_.set_hook({&woken, this});
  }
  awaitable(awaitable const&) = delete;
  awaitable& operator=(awaitable const&) = delete;
  ~awaitable() {
    if (waits_ != nullptr) waits_->of_ = nullptr;
  }

  /// The source.
  [[nodiscard]] Source& operator*() noexcept { return source_; }
  /// The members of the source.
  [[nodiscard]] Source* operator->() noexcept { return &source_; }

  /// Ends the wait, if there is one: for something that the program itself has to send, or a heartbeat that
  /// is due.
  void wake_up() noexcept { woken(this, wake::ready); }

  /// Waits; see the class.
  [[nodiscard]] auto operator co_await() noexcept { return waiting(*this); }

 private:
  class waiting {
   public:
    explicit waiting(awaitable& source) noexcept : of_(&source) {}
    waiting(waiting const&) = delete;
    waiting& operator=(waiting const&) = delete;
    ~waiting() {
      if (handle_ == nullptr || of_ == nullptr) return;
      of_->waits_ = nullptr;
      of_->state_.compare_exchange_strong(handle_, nullptr, std::memory_order_acq_rel);
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] bool await_suspend(std::coroutine_handle<> h) noexcept {
      handle_ = h.address();
      of_->waits_ = this;
      return of_->suspend(handle_);
    }
    close_reason await_resume() noexcept {
      handle_ = nullptr;
      of_->waits_ = nullptr;
      return of_->source_.reason();
    }

   private:
    friend awaitable;

    awaitable* of_;  // null: it has gone before the coroutine
    void* handle_ = nullptr;
  };

  // Parks first, while nobody can resume the coroutine, so that it and the source exist until park() has
  // returned. The last step publishes the handle: after it both may be gone. Not inlined: compilers have kept
  // variables of inlined calls in the coroutine's frame.
  [[gnu::noinline]] bool suspend(void* handle) noexcept {
    state_.store(nullptr, std::memory_order_relaxed);
    if (!source_.park()) return false;
    void* nobody = nullptr;
    return state_.compare_exchange_strong(nobody, handle,
                                          std::memory_order_acq_rel);  // false: woken meanwhile
  }

  static void woken(void* self, wake why) noexcept {
    auto& a = *static_cast<awaitable*>(self);
    void* const woken_already = &a.state_;
    void* const who = a.state_.exchange(woken_already, std::memory_order_acq_rel);
    if (who != nullptr && who != woken_already) {
      a.resume_(std::coroutine_handle<>::from_address(who));  // which may destroy this
    } else if (why == wake::evicted) {
      if constexpr (requires { a.resume_.evicted(); }) a.resume_.evicted();
    }
  }

  std::atomic<void*> state_{
      nullptr};               // who waits; null: nobody; its own address: nobody, and the hook was called
  waiting* waits_ = nullptr;  // of who waits, or was resumed and has not run yet
  Resume resume_;
  Source source_;  // last: when it has ended, the hook is not running
};

/// Makes an awaitable of which only the source's type is named:
/// `auto stream = make_awaitable<pull_stream<>>(post, options)`.
template <class Source, class Resume, class... Arguments>
[[nodiscard]] awaitable<Source, Resume> make_awaitable(Resume resume, Arguments&&... arguments) {
  return awaitable<Source, Resume>(std::move(resume), std::forward<Arguments>(arguments)...);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
