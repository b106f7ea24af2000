// SPDX-License-Identifier: MIT
#include <ssewire/core/errc.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>

#include <support/enum_names.hpp>

#include <doctest/doctest.h>

namespace {

using support::expect_names;

static_assert(name(ssewire::errc::id_in_use) == "id_in_use");
static_assert(name(ssewire::framing::chunked) == "chunked");
static_assert(name(ssewire::wake::evicted) == "evicted");
static_assert(name(ssewire::write_status::again) == "again");
static_assert(name(ssewire::ending::cut) == "cut");

TEST_CASE("every error has a name: its enumerator's") {
  expect_names<ssewire::errc>({"ok",
                               "type_has_control",
                               "id_has_control",
                               "type_reserved",
                               "id_refused",
                               "id_in_use",
                               "event_too_large",
                               "buffer_too_small",
                               "line_too_long",
                               "event_too_long",
                               "id_too_long",
                               "called_from_inside",
                               "bytes_waiting",
                               "channel_name_refused",
                               "too_many_channels",
                               "too_many_subscribers",
                               "channel_full",
                               "user_full",
                               "user_key_refused",
                               "too_many_users",
                               "connects_too_often",
                               "revoked",
                               "not_authenticated",
                               "not_allowed",
                               "no_channel",
                               "closed",
                               "outbox_full",
                               "no_memory"});
}

TEST_CASE("what a writer answers, and is told, has names") {
  expect_names<ssewire::write_status>({"ok", "again", "pending", "closed"});
  expect_names<ssewire::ending>({"complete", "cut"});
}

TEST_CASE("framings and the causes of a wake-up have names") {
  expect_names<ssewire::framing>({"raw", "chunked"});
  expect_names<ssewire::wake>({"ready", "evicted"});
}

}  // namespace
