// SPDX-License-Identifier: MIT
// scripted_writer.hpp - a writer that answers as a test wants, records what it was offered, and objects to
// what no driver may do. For tests of drivers, and of programs that send streams. It needs no test framework.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/testing/seeded_numbers.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// What answer::raise() throws. Without exceptions it answers `closed` instead.
struct scripted_error {};

/// One answer of a scripted writer.
struct answer {
  /// The kinds of answers, each with a function of its name below.
  enum class kind : unsigned char {
    /// write_status::ok.
    take,
    /// write_status::again.
    again,
    /// write_status::pending.
    pending,
    /// write_status::closed.
    closed,
    /// An exception.
    raise,
    /// `result` as it is.
    exactly,
  };
  /// All bytes that are offered.
  static constexpr std::size_t all = (std::numeric_limits<std::size_t>::max)();

  /// The kind of this answer.
  kind how = kind::take;
  /// How many bytes are taken; at most all that are offered.
  std::size_t bytes = all;
  /// With `exactly` the result, which may be one that is not allowed; with `pending` and `closed` its bytes.
  write_result result = {};
  /// Called from inside write(), before it answers. It may throw.
  std::function<void()> inside = {};

  /// Takes n bytes.
  static answer take(std::size_t n = all) { return {kind::take, n, {}, {}}; }
  /// Takes n bytes and says `again`.
  static answer again(std::size_t n = 0) { return {kind::again, n, {}, {}}; }
  /// Takes all bytes and says `pending`.
  ///
  /// @param unread  The `bytes` of the result. They mean nothing: a driver that reads them goes wrong.
  static answer pending(std::size_t unread = all) {
    return {kind::pending, all, {write_status::pending, unread}, {}};
  }
  /// Says `closed`; `unread` as with pending().
  static answer closed(std::size_t unread = all) {
    return {kind::closed, 0, {write_status::closed, unread}, {}};
  }
  /// Throws scripted_error.
  static answer raise() { return {kind::raise, 0, {}, {}}; }
  /// Returns this result, also one that is not allowed.
  static answer exactly(write_status status, std::size_t n) { return {kind::exactly, 0, {status, n}, {}}; }

  /// The same answer, which first calls `what` from inside write().
  answer calling(std::function<void()> what) && {
    inside = std::move(what);
    return std::move(*this);
  }
};

/// The kind of an answer in a word. A static string.
constexpr std::string_view name(answer::kind how) noexcept {
  switch (how) {
  case answer::kind::take: return "take";
  case answer::kind::again: return "again";
  case answer::kind::pending: return "pending";
  case answer::kind::closed: return "closed";
  case answer::kind::raise: return "raise";
  case answer::kind::exactly: return "exactly";
  }
  return "unknown";
}

/// A script without an end: from the number of offered bytes it makes the next answer. For peer::otherwise.
using script = std::function<answer(std::size_t offered)>;

/// Takes 1 to `most` bytes of each offer.
[[nodiscard]] inline script takes_at_random(std::uint64_t seed, std::size_t most = answer::all) {
  return [random = seeded_numbers(seed), most](std::size_t offered) mutable {
    return answer::take(1 + random.below((std::min)(offered, (std::max)(most, std::size_t{1}))));
  };
}

/// How often each answer comes, as a part of their sum.
struct answer_weights {
  /// `ok`, with 1 to all bytes.
  unsigned take = 4;
  /// `again`, with 0 to all bytes. The test must call peer::let_go().
  unsigned again = 2;
  /// `pending`. The test must call peer::landed().
  unsigned pending = 0;
};

/// Answers `ok`, `again` and `pending` in a mixture that the seed chooses.
[[nodiscard]] inline script answers_at_random(std::uint64_t seed, answer_weights weights = {}) {
  return [random = seeded_numbers(seed), weights](std::size_t offered) mutable {
    auto const sum = (std::max)(weights.take + weights.again + weights.pending, 1u);
    auto const drawn = random.below(sum);
    if (drawn < weights.pending) return answer::pending();
    if (drawn < std::size_t{weights.pending} + weights.again) return answer::again(random.below(offered + 1));
    return answer::take(1 + random.below(offered));
  };
}

/// `again` without a byte, for ever: a peer that does not read.
[[nodiscard]] inline script again_for_ever() {
  return [](std::size_t) { return answer::again(); };
}

/// Takes what `before` takes (everything, if there is none) up to the stream's byte `offset`, then answers
/// `end`: answer::closed() or answer::raise(), for example.
[[nodiscard]] inline script fails_at(std::size_t offset, answer end = answer::closed(), script before = {}) {
  return [left = offset, end = std::move(end), before = std::move(before)](std::size_t offered) mutable {
    if (left == 0) return end;
    auto now = before ? before(offered) : answer::take();
    if (now.how == answer::kind::pending) now = answer::take();  // `pending` takes all, which may be too much
    now.bytes = (std::min)({now.bytes, left, offered});
    if (now.how == answer::kind::take || now.how == answer::kind::again) left -= now.bytes;
    return now;
  };
}

/// The far end of a scripted writer; it outlives the writer. Before a test calls writable() or written() on
/// the driver, it calls let_go() or landed() on the peer. At its end a test checks that `violations` is
/// empty.
class peer {
 public:
  peer() = default;
  peer(peer const&) = delete;
  peer& operator=(peer const&) = delete;

  /// Set by the test: the next answers.
  std::deque<answer> script;
  /// Set by the test: the answers when the script has ended. None: takes everything.
  std::function<answer(std::size_t)> otherwise;
  /// Set by the test: called by on_closed().
  std::function<void(close_reason, ending)> at_closed;
  /// Set by the test: the driver must offer the same bytes again, in one buffer of at most 16 KiB.
  bool same_bytes = false;
  /// Set by the test: with same_bytes, the head and the tail of a chunk may come on top.
  bool chunked = false;

  /// The bytes that were taken.
  std::string taken;
  /// How many bytes each call of write() was offered.
  std::vector<std::size_t> offers;
  /// How many streams ended with ending::complete.
  std::size_t completed = 0;
  /// How many streams ended with ending::cut.
  std::size_t cut = 0;
  /// The reasons that on_closed() got.
  std::vector<close_reason> closed;
  /// Whether the writer was destroyed.
  bool writer_gone = false;
  /// What the driver did that no driver may do; a sentence each.
  std::string violations;

  /// Whether it said `again`, and let_go() was not called since.
  [[nodiscard]] bool blocked() const { return blocked_; }
  /// Whether it said `pending`, and landed() was not called since.
  [[nodiscard]] bool pending() const { return !in_flight_.empty(); }
  /// Whether write() is running.
  [[nodiscard]] bool inside() const { return inside_; }

  /// It takes bytes again: writable() follows, or this is inside write().
  void let_go() {
    blocked_ = false;
    let_go_early_ = let_go_early_ || inside_;
  }

  /// The pending bytes have been sent: written() follows, or this is inside write().
  void landed() {
    landed_early_ = landed_early_ || inside_;
    check_in_flight("before written()");
    in_flight_.clear();
  }

  /// Objects if the pending bytes have changed.
  void check_in_flight(std::string_view when) {
    if (in_flight_.empty()) return;
    if (checksum(in_flight_) != in_flight_sum_) object("pending bytes changed " + std::string(when));
  }

  /// The driver is about to be destroyed, and the transport has stopped.
  void stop_transport() {
    check_in_flight("before the driver's end");
    in_flight_.clear();
  }

  /// Adds a sentence to `violations`.
  void object(std::string_view what) { violations.append(what).append("; "); }

  /// Called by the writer: checks the offer, and answers as the script says.
  write_result write(buffers b) {
    if (inside_) object("write() inside write()");
    if (over_) object("write() after the end");
    if (blocked_) object("write() before writable()");
    if (pending()) object("write() while a write is pending");
    if (b.empty()) object("no buffers");
    if (b.size() > 31) object("more than 31 buffers");
    auto const bytes = flat(b);
    for (auto const piece : b) {
      if (piece.empty()) object("an empty buffer");
    }
    if (same_bytes) check_same(b, bytes);
    offers.push_back(bytes.size());

    let_go_early_ = landed_early_ = false;
    auto a = answer_from_inside(bytes.size());
    if (flat(b) != bytes) object("the bytes changed while write() looked at them");
    if (a.how == answer::kind::raise) {
      over_ = true;
#if defined(__cpp_exceptions)
      throw scripted_error();
#endif
    }

    if (a.how == answer::kind::exactly) {
      auto const n = detail::taken_of(a.result, bytes.size());
      over_ = n == detail::no_answer;
      if (over_) return a.result;
      a.bytes = n;
      a.how = kind_of(a.result.status);
    }
    auto const n = (std::min)(a.bytes, bytes.size());
    rest_.reset();
    switch (a.how) {
    case answer::kind::take: taken.append(bytes, 0, n); return {write_status::ok, n};
    case answer::kind::again:
      taken.append(bytes, 0, n);
      if (n < bytes.size()) rest_ = bytes.substr(n);
      blocked_ = !let_go_early_;
      return {write_status::again, n};
    case answer::kind::pending:
      taken += bytes;
      if (!landed_early_) {
        in_flight_.assign(b.begin(), b.end());
        in_flight_sum_ = checksum(in_flight_);
      }
      return {write_status::pending, a.result.bytes};
    default: over_ = true; return {write_status::closed, a.result.bytes};
    }
  }

  /// Called by the writer.
  void on_closed(close_reason why, ending how) {
    if (inside_) object("on_closed() inside write()");
    if (!closed.empty()) object("on_closed() twice");
    if (how == ending::complete && blocked_ && rest_) object("`complete` before the last byte was taken");
    if (how == ending::complete && pending()) object("`complete` while a write is pending");
    over_ = true;
    ++(how == ending::complete ? completed : cut);
    closed.push_back(why);
    if (at_closed) at_closed(why, how);
  }
  /// Called by the writer's destructor.
  void destroyed() {
    if (pending()) object("the writer was destroyed, and its driver not, while its bytes were being sent");
    in_flight_.clear();
    writer_gone = true;
  }

 private:
  static answer::kind kind_of(write_status status) {
    switch (status) {
    case write_status::ok: return answer::kind::take;
    case write_status::again: return answer::kind::again;
    case write_status::pending: return answer::kind::pending;
    default: return answer::kind::closed;
    }
  }

  static std::string flat(buffers b) {
    std::string all;
    for (auto const piece : b) all += piece;
    return all;
  }

  static std::uint64_t checksum(std::vector<std::string_view> const& pieces) {
    std::uint64_t sum = 14695981039346656037u;  // FNV-1a
    for (auto const piece : pieces) {
      for (char const c : piece) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
    }
    return sum;
  }

  answer next(std::size_t total) {
    if (!script.empty()) {
      auto a = std::move(script.front());
      script.pop_front();
      return a;
    }
    return otherwise ? otherwise(total) : answer::take();
  }

  // What the callback throws leaves write(), and ends the stream as a writer's own exception does.
  answer answer_from_inside(std::size_t total) {
    struct leaving {
      peer& self;
      bool thrown = true;
      ~leaving() {
        self.inside_ = false;
        self.over_ = self.over_ || thrown;
      }
    } last{*this};
    inside_ = true;
    auto a = next(total);
    if (a.inside) a.inside();
    last.thrown = false;
    return a;
  }

  void check_same(buffers b, std::string const& bytes) {
    if (b.size() != 1) object("more than one buffer");
    if (rest_) {
      if (bytes != *rest_) object("other bytes than before were offered");
      return;
    }
    std::size_t const most = 16 * 1024 + (chunked ? 16 : 0);
    std::size_t frames = 0;
    for (auto at = bytes.find("\n\n"); at != std::string::npos; at = bytes.find("\n\n", at + 2)) ++frames;
    if (bytes.size() > most && frames > 1) object("several frames of more than 16 KiB in one offer");
  }

  bool inside_ = false;
  bool over_ = false;
  bool blocked_ = false;
  bool let_go_early_ = false;  // from inside write()
  bool landed_early_ = false;
  std::optional<std::string> rest_;
  std::vector<std::string_view> in_flight_;
  std::uint64_t in_flight_sum_ = 0;
};

/// A writer that does what its peer says. It can only be moved.
class scripted_writer {
 public:
  /// Whether stream_options::same_bytes_again is needed.
  static constexpr bool same_bytes = false;

  /// Writes to a peer, which outlives it.
  explicit scripted_writer(peer& to) : to_(&to) {}
  /// Takes the peer of `other`.
  scripted_writer(scripted_writer&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
  ~scripted_writer() {
    if (to_ != nullptr) to_->destroyed();
  }

  /// As the peer's.
  write_result write(buffers b) { return to_->write(b); }
  /// As the peer's.
  void on_closed(close_reason why, ending how) { to_->on_closed(why, how); }

 private:
  peer* to_;
};

/// A scripted writer that must be offered the same bytes again: its stream needs
/// stream_options::same_bytes_again.
class scripted_tls_writer : public scripted_writer {
 public:
  /// Whether stream_options::same_bytes_again is needed.
  static constexpr bool same_bytes = true;

  /// Writes to a peer, and sets its same_bytes.
  explicit scripted_tls_writer(peer& to) : scripted_writer(to) { to.same_bytes = true; }
};

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
