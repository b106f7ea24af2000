// SPDX-License-Identifier: MIT
// source.hpp - what a stream sends from: a subscription, a reader of a replay buffer, or what you write.
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

/// What one pull of a source has brought: whole serialized events, in parts.
///
/// | expression    | result             | meaning                                                                     |
/// |---------------|--------------------|-----------------------------------------------------------------------------|
/// | `B::max_views`| `std::size_t`      | how many parts gather() writes at most                                      |
/// | `b.bytes()`   | `std::size_t`      | of all parts; 0 after clear()                                               |
/// | `b.gather(p)` | `std::size_t`      | writes the parts, in order and none empty, as views to `p`; how many        |
/// | `b.keep(v)`   | `B::kept`          | keeps the memory of a part of one, `v`, beyond the batch's life; or nothing |
/// | `b.clear()`   |                    | it holds nothing                                                            |
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

/// What a stream sends from. A subscription is one.
///
/// | expression          | result         | meaning                                                                   |
/// |---------------------|----------------|---------------------------------------------------------------------------|
/// | `s.pull(b, n)`      | `pull_status`  | fills `b`, an `S::batch`, with about `n` bytes of what comes next         |
/// | `s.give_back(b, n)` | `string_view`  | only the first `n` bytes of `b` were taken: see below                     |
/// | `s.park()`          | `bool`         | true: nothing to pull, and the hook is called once when there is          |
/// | `s.set_hook(h)`     |                | whom to call, a `wake_hook`; on any thread, without a lock held           |
/// | `s.retry()`         | `optional<reconnection_time>` | what to tell the client when pull() says `draining`        |
/// | `s.reason()`        | `close_reason` | why it has ended; `none` while it has not                                 |
/// | `s.close(r)`        | `close_reason` | ends it, because of `r`; what counts: its own reason if it had ended      |
///
/// give_back() returns the bytes of the batch that the stream must keep and send next, a view that lives
/// until the batch is cleared: at least the rest of the event that was begun. What is not in it will be
/// pulled again. If that is hard to tell, return all of the rest. A source that converts to bool is looked
/// at when its stream begins: false makes a stream that is closed from the start.
/// Threads     one at a time, the hook apart.
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

/// A batch that owns its bytes, for sources of your own: put whole serialized events into `text`.
struct text_batch {
  struct kept {
    explicit operator bool() const noexcept { return false; }
  };
  static constexpr std::size_t max_views = 1;

  std::string text;

  [[nodiscard]] std::size_t bytes() const noexcept { return text.size(); }
  std::size_t gather(std::string_view* to) const noexcept {
    if (text.empty()) return 0;
    *to = text;
    return 1;
  }
  [[nodiscard]] kept keep(std::string_view) const noexcept { return {}; }
  void clear() noexcept { text.clear(); }

  /// For give_back(): all that was not taken.
  [[nodiscard]] std::string_view rest(std::size_t taken) const noexcept {
    return std::string_view(text).substr(taken);
  }
};

/// No source: the stream sends what send() is given. That is not the same as a source that has ended.
struct no_source {
  struct batch {
    struct kept {
      explicit operator bool() const noexcept { return false; }
    };
    static constexpr std::size_t max_views = 0;

    [[nodiscard]] std::size_t bytes() const noexcept { return 0; }
    std::size_t gather(std::string_view*) const noexcept { return 0; }
    [[nodiscard]] kept keep(std::string_view) const noexcept { return {}; }
    void clear() noexcept {}
  };

  pull_status pull(batch&, std::size_t) noexcept { return pull_status::nothing; }
  std::string_view give_back(batch&, std::size_t) noexcept { return {}; }
  bool park() noexcept { return true; }
  void set_hook(wake_hook) noexcept {}
  [[nodiscard]] std::optional<reconnection_time> retry() const noexcept { return std::nullopt; }
  [[nodiscard]] close_reason reason() const noexcept { return close_reason::none; }
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
