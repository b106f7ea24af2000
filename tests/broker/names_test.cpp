// SPDX-License-Identifier: MIT
#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/log/resume_outcome.hpp>

#include <support/enum_names.hpp>

#include <doctest/doctest.h>

namespace {

using support::expect_names;

static_assert(name(ssewire::pull_status::ready) == "ready");
static_assert(name(ssewire::lag_policy::close) == "close");
static_assert(name(ssewire::start_at::place::last) == "last");
static_assert(name(ssewire::position_events::left_out) == "left_out");

TEST_CASE("what a pull brings, and what becomes of a last event ID, have names") {
  expect_names<ssewire::pull_status>({"ready", "nothing", "draining", "closed"});
  expect_names<ssewire::resume_outcome>({"fresh", "resumed", "up_to_date", "gap", "unknown"}, "none");
}

TEST_CASE("what a subscriber chooses has names") {
  expect_names<ssewire::lag_policy>({"tell", "close"});
  expect_names<ssewire::user_limit>({"refuse_newest", "replace_oldest"});
  expect_names<ssewire::start_at::place>({"now", "beginning", "last"});
  expect_names<ssewire::position_events>({"sent", "left_out"});
}

TEST_CASE("the causes of trims have names") {
  expect_names<ssewire::trim_cause>({"events", "bytes", "age", "expiry", "all_together", "cloned"});
}

}  // namespace
