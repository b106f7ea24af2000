// SPDX-License-Identifier: MIT
// resume_outcome.hpp - what became of a client's last event ID.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <string_view>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// What became of a client's last event ID.
enum class resume_outcome : unsigned char {
  /// It had none: it starts where a new client starts.
  fresh,
  /// Events follow its ID, and all of them are held.
  resumed,
  /// Its ID is the newest: nothing follows yet.
  up_to_date,
  /// Some of what follows its ID is no longer held.
  gap,
  /// Another run of the process, the future, or no ID of ours: where it stood cannot be told.
  unknown,
};

/// The outcome in a word, for logs and counters. A static string.
constexpr std::string_view name(resume_outcome outcome) noexcept {
  switch (outcome) {
  case resume_outcome::fresh: return "fresh";
  case resume_outcome::resumed: return "resumed";
  case resume_outcome::up_to_date: return "up_to_date";
  case resume_outcome::gap: return "gap";
  case resume_outcome::unknown: return "unknown";
  }
  return "none";
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
