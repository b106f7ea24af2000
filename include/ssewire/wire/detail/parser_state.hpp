// SPDX-License-Identifier: MIT
// parser_state.hpp - which calls a parser allows next, and what becomes of it when a callback throws or calls
// reset().
#pragma once

#include <ssewire/core/errc.hpp>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

enum class state : unsigned char {
  ready,          // feed() takes bytes
  waiting,        // next() has bytes left to read
  reading,        // a call reads, or memory failed in an earlier call
  calling,        // a callback runs
  calling_reset,  // a callback runs that has called reset()
  abandoned,      // a callback threw
  failed,         // a limit was exceeded
  finished,
};

class parser_state {
 public:
  parser_state() noexcept = default;
  // A running callback belongs to the original. The copy is abandoned: it cannot finish what was being read.
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

  // Why nothing can be fed now; errc::ok if something can.
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
  errc exceeded_ = errc::ok;  // in state::failed: the limit
};

// Lives while a callback runs, and notices what the callback did.
class callback_guard {
 public:
  explicit callback_guard(parser_state& parser) noexcept : parser_(parser) { parser.become(state::calling); }
  callback_guard(callback_guard const&) = delete;
  callback_guard& operator=(callback_guard const&) = delete;

  // The callback threw, so nobody knows how much of the event it has seen. That does not matter if it had
  // begun another stream by reset().
  ~callback_guard() {
    if (parser_.is_calling()) parser_.become(parser_.is(state::calling) ? state::abandoned : state::ready);
  }

  // The callback returned. False: the parser no longer reads the stream that it was reading.
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
