// SPDX-License-Identifier: MIT
// source.hpp - where a stream's events come from: a subscription, a replay buffer, or a source of your own.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/pull_status.hpp>
#include <ssewire/core/wake.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What one pull of a source returns: whole serialized events, in parts.
///
/// | expression    | result             | meaning                                                                     |
/// |---------------|--------------------|-----------------------------------------------------------------------------|
/// | `B::max_views`| `std::size_t`      | how many parts gather() writes at most                                      |
/// | `b.bytes()`   | `std::size_t`      | the bytes of all parts; 0 after clear()                                     |
/// | `b.gather(p)` | `std::size_t`      | writes the parts, in order and none empty, as views to `p`; returns how many |
/// | `b.keep(v)`   | `B::kept`          | keeps the memory of `v`, a piece of a part, beyond the batch's life; or keeps nothing |
/// | `b.clear()`   |                    | drops all parts                                                             |
///
/// `B::kept` is default-constructible, movable, and false where nothing is kept: the bytes are copied then.
template <class B>
concept source_batch = std::default_initializable<B> && std::movable<typename B::kept> &&
    requires(B& b, B const& held, std::string_view* to, std::string_view part) {
  { B::max_views } -> std::convertible_to<std::size_t>;
  { held.bytes() } -> std::convertible_to<std::size_t>;
  { held.gather(to) } -> std::convertible_to<std::size_t>;
  { held.keep(part) } -> std::same_as<typename B::kept>;
  b.clear();
};

/// Where a stream's events come from. A subscription is a source.
///
/// | expression          | result         | meaning                                                                   |
/// |---------------------|----------------|---------------------------------------------------------------------------|
/// | `s.pull(b, n)`      | `pull_status`  | fills `b`, an `S::batch`, with about `n` bytes of what comes next         |
/// | `s.give_back(b, n)` | `string_view`  | only the first `n` bytes of `b` were taken: see below                     |
/// | `s.park()`          | `bool`         | true: there is nothing to pull, and the hook is called once when there is |
/// | `s.set_hook(h)`     |                | sets the hook, a `wake_hook`; it is called on any thread, without a lock held |
/// | `s.retry()`         | `optional<reconnection_time>` | the time that the client gets when pull() says `draining`  |
/// | `s.reason()`        | `close_reason` | why it has ended; `none` while it has not                                 |
/// | `s.close(r)`        | `close_reason` | ends it with the reason `r`; returns its own reason if it had ended, else `r` |
///
/// give_back() returns the bytes of the batch that the stream must keep and send next: at least the rest of
/// the event that was begun, as a view that lives until the batch is cleared. The other bytes will be pulled
/// again. If it is hard to find that end, return all of the rest. A source that converts to bool is asked
/// when its stream begins: false makes a stream that is closed from the start. A source may have
/// `s.ticker()`: its result is called by drivers with the time, as basic_subscription::ticker() says.
///
/// @par Threads  One thread at a time, except for the hook.
template <class S>
concept source = std::movable<S> && source_batch<typename S::batch> &&
    requires(S& s, typename S::batch& b, std::size_t n, wake_hook hook, close_reason why) {
  { s.pull(b, n) } -> std::same_as<pull_status>;
  { s.give_back(b, n) } -> std::same_as<std::string_view>;
  { s.park() } -> std::same_as<bool>;
  s.set_hook(hook);
  { s.retry() } -> std::same_as<std::optional<reconnection_time>>;
  { s.reason() } -> std::same_as<close_reason>;
  { s.close(why) } -> std::same_as<close_reason>;
};

/// A batch that owns its bytes, for sources of your own: put whole serialized events into `text`. Its members
/// are those of ssewire::source_batch.
struct text_batch {
  /// Keeps nothing: the bytes are copied.
  struct kept {
    /// Always false.
    explicit operator bool() const noexcept { return false; }
  };
  /// There is one part.
  static constexpr std::size_t max_views = 1;

  /// The events.
  std::string text;

  /// The bytes of the events.
  [[nodiscard]] std::size_t bytes() const noexcept { return text.size(); }
  /// Writes a view of the events to `to`, unless there are none.
  std::size_t gather(std::string_view* to) const noexcept {
    if (text.empty()) return 0;
    *to = text;
    return 1;
  }
  /// Keeps nothing.
  [[nodiscard]] kept keep(std::string_view) const noexcept { return {}; }
  /// Drops the events.
  void clear() noexcept { text.clear(); }

  /// The result for give_back(): all bytes that were not taken.
  [[nodiscard]] std::string_view rest(std::size_t taken) const noexcept {
    return std::string_view(text).substr(taken);
  }
};

/// No source: the stream sends what you give to send(). It has not ended, as another source may have.
struct no_source {
  /// An empty batch.
  struct batch {
    /// Keeps nothing.
    struct kept {
      /// Always false.
      explicit operator bool() const noexcept { return false; }
    };
    /// There are no parts.
    static constexpr std::size_t max_views = 0;

    /// Always 0.
    [[nodiscard]] std::size_t bytes() const noexcept { return 0; }
    /// Writes nothing.
    std::size_t gather(std::string_view*) const noexcept { return 0; }
    /// Keeps nothing.
    [[nodiscard]] kept keep(std::string_view) const noexcept { return {}; }
    /// Does nothing.
    void clear() noexcept {}
  };

  /// There is never anything to pull.
  pull_status pull(batch&, std::size_t) noexcept { return pull_status::nothing; }
  /// Nothing was pulled, so there is no rest.
  std::string_view give_back(batch&, std::size_t) noexcept { return {}; }
  /// Always true.
  bool park() noexcept { return true; }
  /// Does nothing: the hook would never be called.
  void set_hook(wake_hook) noexcept {}
  /// None.
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept { return std::nullopt; }
  /// Always close_reason::none.
  [[nodiscard]] close_reason reason() const noexcept { return close_reason::none; }
  /// Returns `why`.
  close_reason close(close_reason why) noexcept { return why; }
};

namespace detail {

template <class Source> [[nodiscard]] bool is_there(Source const& from) noexcept {
  if constexpr (requires { static_cast<bool>(from); }) return static_cast<bool>(from);
  return true;
}

template <class Source> constexpr void check_source() noexcept {
  static_assert(
      source<Source>,
      "a source has: pull, give_back, park, set_hook, retry, reason and close; see stream/source.hpp");
}

}  // namespace detail

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
