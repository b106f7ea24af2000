// SPDX-License-Identifier: MIT
// parser_state.hpp - what a parser may be asked next, and what becomes of it where a callback resets or
// throws.
#pragma once

#include <ssewire/core/errc.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

enum class state : unsigned char {
  ready,          // feed() takes bytes
  waiting,        // next() has bytes left to read
  reading,        // a call reads; found by a later call: memory failed in it
  calling,        // a callback runs
  calling_reset,  // a callback runs that has called reset()
  abandoned,      // a callback threw
  failed,         // a limit was exceeded
  finished,
};

class parser_state {
 public:
  parser_state() noexcept = default;
  // A callback that runs is the original's. What the copy was reading is lost to it.
  parser_state(parser_state const& other) noexcept
      : now_(other.is_calling() ? state::abandoned : other.now_), exceeded_(other.exceeded_) {}
  parser_state& operator=(parser_state const& other) noexcept {
    parser_state const copy(other);
    now_ = copy.now_;
    exceeded_ = copy.exceeded_;
    return *this;
  }
  ~parser_state() = default;

  [[nodiscard]] bool is(state asked) const noexcept { return now_ == asked; }
  [[nodiscard]] bool is_calling() const noexcept { return is(state::calling) || is(state::calling_reset); }

  void become(state next) noexcept { now_ = next; }
  void reset() noexcept { now_ = is_calling() ? state::calling_reset : state::ready; }
  void stop_for(errc exceeded) noexcept {
    now_ = state::failed;
    exceeded_ = exceeded;
  }

  // Why nothing can be fed.
  [[nodiscard]] errc refusal() const noexcept {
    switch (now_) {
    case state::ready: return errc::ok;
    case state::waiting: return errc::bytes_waiting;
    case state::reading: return errc::no_memory;
    case state::calling:
    case state::calling_reset:
    case state::abandoned: return errc::called_from_inside;
    case state::failed: return exceeded_;
    case state::finished: break;
    }
    return errc::closed;
  }

 private:
  state now_ = state::ready;
  errc exceeded_ = errc::ok;  // in state::failed: which limit
};

// Lives while a callback runs, and notices what that did.
class callback_guard {
 public:
  explicit callback_guard(parser_state& parser) noexcept : parser_(parser) { parser.become(state::calling); }
  callback_guard(callback_guard const&) = delete;
  callback_guard& operator=(callback_guard const&) = delete;

  // It threw: nobody knows what it has seen of the event. Unless it had begun another stream.
  ~callback_guard() {
    if (parser_.is_calling()) parser_.become(parser_.is(state::calling) ? state::abandoned : state::ready);
  }

  // It returned. False: the stream that was being read is no longer the parser's.
  [[nodiscard]] bool goes_on() noexcept {
    bool const same = parser_.is(state::calling);
    if (parser_.is_calling()) parser_.become(same ? state::reading : state::ready);
    return same;
  }

 private:
  parser_state& parser_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
