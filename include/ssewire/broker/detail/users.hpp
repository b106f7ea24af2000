// SPDX-License-Identifier: MIT
// users.hpp - one record for each user: how many streams the user has, which, and how often a stream may
// begin; who follows which channel; and the closes that a request from before them must not survive.
#pragma once

#include <ssewire/broker/detail/channel.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/log/detail/siphash.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

template <class Traits> struct subscriber;

// What the broker knows of a user. It exists while the user has streams, and as long after that as the limit
// of connects needs it.
template <class Traits> struct user_record {
  std::string key;
  // The streams that have not been ended, in the order of joining.
  std::size_t streams = 0;
  subscriber<Traits>* oldest = nullptr;
  subscriber<Traits>* newest = nullptr;
  // The token bucket is full at this time. Each connect takes one token.
  steady_time full_at = (steady_time::min)();
  // The list of records without streams.
  user_record* next_idle = nullptr;
  user_record* previous_idle = nullptr;
};

// A broker's users. The number of records is bounded: at the limit the record that has been idle the longest
// goes, and without an idle one a new user is refused.
// Threads: one at a time; the broker's lock sees to it. A record's address stays the same until it goes.
template <class Traits> class user_table {
 public:
  using user = user_record<Traits>;
  using subscriber = detail::subscriber<Traits>;

  // `options` must outlive this object.
  user_table(broker_options const& options, siphash hash) : options_(options), by_key_(0, keyed_hash{hash}) {}

  static constexpr std::size_t max_key_bytes = 128;

  [[nodiscard]] std::size_t size() const noexcept { return by_key_.size(); }
  [[nodiscard]] bool limits_connects() const noexcept {
    return options_.max_connects_per_user_per_minute != unlimited;
  }

  [[nodiscard]] user* find(std::string_view key) const noexcept {
    auto const at = by_key_.find(key);
    return at == by_key_.end() ? nullptr : at->second.get();
  }

  // The record of this key, made if there is none; or null and the reason. Throws std::bad_alloc; then
  // nothing has changed. A record that gets no stream must go through drop_if_unused().
  std::pair<user*, errc> find_or_make(std::string_view key) {
    if (auto* const known = find(key)) return {known, errc::ok};
    if (by_key_.size() >= options_.max_users && first_idle_ == nullptr)
      return {nullptr, errc::too_many_users};
    auto fresh = std::make_unique<user>();
    fresh->key = key;
    std::string_view const its_key = fresh->key;
    auto* const made = by_key_.emplace(its_key, std::move(fresh)).first->second.get();
    if (by_key_.size() > options_.max_users) drop(*first_idle_);
    push_idle(*made);
    return {made, errc::ok};
  }

  // Takes a token for one connect. False: there is none.
  [[nodiscard]] bool take_token(user& of, steady_time now) noexcept {
    auto const most = options_.max_connects_per_user_per_minute;
    if (most == unlimited) return true;
    if (most == 0) return false;
    auto const one = steady_duration(std::chrono::minutes(1)) / most;
    auto const full_at = larger(of.full_at, now);
    if (full_at > later(now, one * (most - 1))) return false;
    of.full_at = later(full_at, one);
    return true;
  }

  void add(user& of, subscriber& s) noexcept {
    if (of.streams++ == 0) remove_idle(of);
    s.user = &of;
    s.previous_of_user = std::exchange(of.newest, &s);
    (s.previous_of_user == nullptr ? of.oldest : s.previous_of_user->next_of_user) = &s;
  }

  // The stream has ended: it counts no more. The record may be gone when this returns.
  void remove(subscriber& s) noexcept {
    if (s.user == nullptr) return;
    auto& of = *std::exchange(s.user, nullptr);
    (s.next_of_user == nullptr ? of.newest : s.next_of_user->previous_of_user) = s.previous_of_user;
    (s.previous_of_user == nullptr ? of.oldest : s.previous_of_user->next_of_user) = s.next_of_user;
    s.next_of_user = s.previous_of_user = nullptr;
    if (--of.streams != 0) return;
    push_idle(of);
    drop_if_unused(of);
  }

  // Without streams a record is kept only for its bucket.
  void drop_if_unused(user& of) noexcept {
    if (of.streams == 0 && !limits_connects()) drop(of);
  }

  // A record whose bucket is full again says nothing. Drops the first, if its bucket is; false: it is not.
  bool drop_full(steady_time now) noexcept {
    if (first_idle_ == nullptr || first_idle_->full_at > now) return false;
    drop(*first_idle_);
    return true;
  }

 private:
  static constexpr auto unlimited = broker_options::no_limit_per_minute;

  void push_idle(user& of) noexcept {
    of.previous_idle = std::exchange(last_idle_, &of);
    (of.previous_idle == nullptr ? first_idle_ : of.previous_idle->next_idle) = &of;
  }
  void remove_idle(user& of) noexcept {
    (of.next_idle == nullptr ? last_idle_ : of.next_idle->previous_idle) = of.previous_idle;
    (of.previous_idle == nullptr ? first_idle_ : of.previous_idle->next_idle) = of.next_idle;
    of.next_idle = of.previous_idle = nullptr;
  }
  void drop(user& of) noexcept {
    remove_idle(of);
    by_key_.erase(std::string_view(of.key));
  }

  broker_options const& options_;
  std::unordered_map<std::string_view, std::unique_ptr<user>, keyed_hash> by_key_;  // the key: its record's
  user* first_idle_ = nullptr;
  user* last_idle_ = nullptr;
};

// A user on one channel. It exists while the user's streams follow the channel, and until the presence hook
// has been told that none does any more.
template <class Traits> struct follower {
  channel<Traits>* of = nullptr;
  std::string user;
  std::size_t streams = 0;
  std::size_t told = 0;              // what the presence hook got last
  follower* next_changed = nullptr;  // in the ring of its channel; null: it is not in the ring
  bool telling = false;              // the presence hook is being told of it
};

// Who follows which channel.
// Threads: one at a time; the broker's lock sees to it. A follower's address stays the same until it goes.
template <class Traits> class follower_table {
 public:
  using channel = detail::channel<Traits>;
  using follower = detail::follower<Traits>;
  using membership = detail::membership<Traits>;

  explicit follower_table(siphash hash) : by_key_(0, key_hash{hash}) {}

  // Counts a membership in. Throws std::bad_alloc; then nothing has changed.
  void add(membership& m, std::string_view user) {
    m.who = user.empty() ? nullptr : &find_or_make(*m.of, user);
    ++m.of->members;
    if (m.who == nullptr) return;
    ++m.of->members_of_users;
    if (m.who->streams++ == 0) ++m.of->users;
  }

  // Counts it out. Its follower must go through drop_if_unused().
  void remove(membership& m) noexcept {
    --m.of->members;
    if (m.who == nullptr) return;
    --m.of->members_of_users;
    if (--m.who->streams == 0) --m.of->users;
  }

  void drop_if_unused(follower* who) noexcept {
    if (who == nullptr || who->streams != 0 || who->told != 0 || who->next_changed != nullptr || who->telling)
      return;
    by_key_.erase(key{who->of, who->user});
  }

 private:
  struct key {
    channel const* of;
    std::string_view user;

    friend bool operator==(key const&, key const&) noexcept = default;
  };
  struct key_hash {
    siphash of;

    // Not noexcept, as keyed_hash.
    std::size_t operator()(key const& k) const {
      return keyed_hash{of}(k.user) ^ reinterpret_cast<std::uintptr_t>(k.of);
    }
  };

  follower& find_or_make(channel& of, std::string_view user) {
    auto const known = by_key_.find(key{&of, user});
    if (known != by_key_.end()) return *known->second;
    auto fresh = std::make_unique<follower>();
    fresh->of = &of;
    fresh->user = user;
    key const its_key{&of, fresh->user};
    return *by_key_.emplace(its_key, std::move(fresh)).first->second;
  }

  std::unordered_map<key, std::unique_ptr<follower>, key_hash> by_key_;  // the key: its follower's
};

// The last closes of users and channels, by the hash of their names: what subscribe_options::as_of is
// compared with. What is older than the closes kept here counts as closed.
// Threads: one at a time; the broker's lock sees to it.
class recent_closes {
 public:
  // How many closes there were.
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  void add(std::uint64_t hash) noexcept {
    if (!ring_) try_call([&] { ring_ = std::make_unique<std::array<std::uint64_t, kept>>(); });
    if (ring_) {
      (*ring_)[count_++ % kept] = hash;
    } else {
      unknown_through_ = ++count_;
    }
  }

  // Whether one with this hash may have been closed after the first `seen` closes.
  // Complexity: O(closes since then), at most 1,024.
  [[nodiscard]] bool may_be_closed_since(std::uint64_t seen, std::uint64_t hash) const noexcept {
    if (seen > count_ || seen < unknown_through_ || count_ - seen > kept) return true;
    for (auto i = seen; i < count_; ++i) {
      if ((*ring_)[i % kept] == hash) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kept = 1024;

  std::unique_ptr<std::array<std::uint64_t, kept>> ring_;  // made by the first close
  std::uint64_t count_ = 0;
  std::uint64_t unknown_through_ = 0;  // there was no memory to keep the closes up to this one
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
