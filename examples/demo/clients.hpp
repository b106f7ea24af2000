// SPDX-License-Identifier: MIT
// clients.hpp - which stream belongs to which page, so that a page can ask for something to be done to its
// own.

#pragma once

#include <ssewire/ssewire.hpp>

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace demo {

/// A client is a name that a page thinks up for itself: 1 to 32 of A-Z, a-z, 0-9, '-' and '_'.
bool is_client_name(std::string_view name) noexcept;

/// The clients that were heard of last. Beyond the bound the one longest not heard of is forgotten: its
/// stream goes on, and it is a new client when it comes back.
/// Threads     the server's.
class clients {
 public:
  /// As many as there may be connections; about 200 bytes each.
  static constexpr std::size_t most = 8192;

  struct state {
    /// The newest; it may have ended.
    ssewire::stream_id stream = {};
    /// For good: it is to be answered 204.
    bool ended = false;
  };

  explicit clients(std::size_t bound = most) : bound_(bound) {}

  /// Null: not heard of, or forgotten. Valid until the next call.
  state* find(std::string_view name);

  /// Remembers it, if that is new. Valid until the next call.
  state& remember(std::string_view name);

  std::size_t size() const noexcept { return by_name_.size(); }

 private:
  struct entry {
    std::string name;
    state what;
  };
  std::size_t bound_;
  std::list<entry> recent_;  // heard of last: in front
  std::unordered_map<std::string_view, std::list<entry>::iterator> by_name_;
};

}  // namespace demo
