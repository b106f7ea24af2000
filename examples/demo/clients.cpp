// SPDX-License-Identifier: MIT
// clients.cpp - which stream belongs to which page.

#include "clients.hpp"

#include <algorithm>

namespace demo {

bool is_client_name(std::string_view name) noexcept {
  auto const allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), allowed);
}

clients::state* clients::find(std::string_view name) {
  auto const found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return &found->second->what;
}

clients::state& clients::remember(std::string_view name) {
  if (auto* const known = find(name)) return *known;
  if (by_name_.size() >= bound_) {
    by_name_.erase(recent_.back().name);
    recent_.pop_back();
  }
  recent_.push_front({std::string(name), {}});
  by_name_.emplace(recent_.front().name, recent_.begin());
  return recent_.front().what;
}

}  // namespace demo
