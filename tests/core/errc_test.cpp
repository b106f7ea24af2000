// SPDX-License-Identifier: MIT
#include <ssewire/core/errc.hpp>

#include <doctest/doctest.h>

#include <iterator>
#include <set>
#include <string_view>

namespace {

using ssewire::errc;

constexpr errc all[] = {
    errc::ok,
    errc::type_has_control,
    errc::id_has_control,
    errc::type_reserved,
    errc::id_refused,
    errc::id_in_use,
    errc::event_too_large,
    errc::buffer_too_small,
    errc::line_too_long,
    errc::event_too_long,
    errc::id_too_long,
    errc::called_from_inside,
    errc::bytes_waiting,
    errc::channel_name_refused,
    errc::too_many_channels,
    errc::too_many_subscribers,
    errc::channel_full,
    errc::user_full,
    errc::user_key_refused,
    errc::too_many_users,
    errc::connects_too_often,
    errc::revoked,
    errc::not_authenticated,
    errc::not_allowed,
    errc::no_channel,
    errc::closed,
    errc::outbox_full,
    errc::no_memory,
};

// -Wswitch of the build names the enumerator that is missing here; put it into `all` too.
constexpr bool is_listed(errc error) {
  switch (error) {
  case errc::ok:
  case errc::type_has_control:
  case errc::id_has_control:
  case errc::type_reserved:
  case errc::id_refused:
  case errc::id_in_use:
  case errc::event_too_large:
  case errc::buffer_too_small:
  case errc::line_too_long:
  case errc::event_too_long:
  case errc::id_too_long:
  case errc::called_from_inside:
  case errc::bytes_waiting:
  case errc::channel_name_refused:
  case errc::too_many_channels:
  case errc::too_many_subscribers:
  case errc::channel_full:
  case errc::user_full:
  case errc::user_key_refused:
  case errc::too_many_users:
  case errc::connects_too_often:
  case errc::revoked:
  case errc::not_authenticated:
  case errc::not_allowed:
  case errc::no_channel:
  case errc::closed:
  case errc::outbox_full:
  case errc::no_memory: return true;
  }
  return false;
}

TEST_CASE("every error has a message of its own") {
  std::set<std::string_view> seen;
  for (auto const error : all) {
    CAPTURE(static_cast<int>(error));
    CHECK(is_listed(error));
    CHECK(ssewire::message(error) != "unknown error");
    CHECK_FALSE(ssewire::message(error).empty());
    CHECK(seen.insert(ssewire::message(error)).second);
  }
}

TEST_CASE("no error follows the last") {
  static_assert(ssewire::errc_count == std::size(all));
  CHECK(ssewire::message(static_cast<errc>(std::size(all))) == "unknown error");
  CHECK(ssewire::message(static_cast<errc>(255)) == "unknown error");
}

TEST_CASE("ok is zero, so that a result without an error is true") {
  static_assert(static_cast<int>(errc::ok) == 0);
  static_assert(errc() == errc::ok);
}

}  // namespace
