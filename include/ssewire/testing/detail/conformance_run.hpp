// SPDX-License-Identifier: MIT
// conformance_run.hpp - what all connections of one check_writer() share.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/testing/conformance_options.hpp>
#include <ssewire/testing/detail/call_guard.hpp>
#include <ssewire/testing/detail/conformance_subject.hpp>
#include <ssewire/testing/detail/findings.hpp>

#include <chrono>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

struct conformance_run {
  conformance_run(conformance_subject checked, testing::conformance_options const& bounds)
      : subject(std::move(checked)), options(bounds), found(bounds.seed),
        guard([this] { return subject.read(64 * 1024); }, [this] { return found.text(); }) {}

  // A second silence tells no more than the first, so it need not take as long.
  [[nodiscard]] std::chrono::milliseconds patience() const {
    return silent ? options.patience / 10 : options.patience;
  }
  [[nodiscard]] std::chrono::milliseconds longest_check() const {
    return late ? options.longest_check / 10 : options.longest_check;
  }

  conformance_subject subject;
  testing::conformance_options options;
  findings found;
  bool silent = false;  // a wait has ended because nothing moved
  bool late = false;    // a check has taken longer than it may
  call_guard guard;     // last, so that its thread ends first
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
