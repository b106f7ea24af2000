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
  /// The client had none: it starts where a new client starts.
  fresh,
  /// Events follow the ID, and all of them are held.
  resumed,
  /// The ID is the newest: nothing follows yet.
  up_to_date,
  /// Some of the events that follow the ID are no longer held.
  gap,
  /// The ID is of another run of the process, of the future, or not known here: nobody can say where the
  /// client stood.
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
