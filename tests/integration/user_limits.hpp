// SPDX-License-Identifier: MIT
// user_limits.hpp - what the servers of reload_storm_test.py share: how many streams a user may have, who
// asks, what a client gets that is refused, and why the streams have ended.
#pragma once

#include <ssewire/ssewire.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

/// `mode`: "refuse", "replace" or "rate"; with any other a user has no limit.
inline void limit_users(std::string_view mode, ssewire::broker_options& options) {
  if (mode == "refuse") {
    options.max_subscribers_per_user = 3;
  } else if (mode == "replace") {
    options.max_subscribers_per_user = 1;
    options.at_user_limit = ssewire::user_limit::replace_oldest;
  } else if (mode == "rate") {
    options.max_connects_per_user_per_minute = 20;
  }
}

/// The value of `user` in a query; it is a view of that.
inline std::string_view user_of(std::string_view query) {
  constexpr std::string_view name = "user=";
  auto const at = query.find(name);
  if (at == query.npos) return {};
  auto const value = query.substr(at + name.size());
  return value.substr(0, value.find('&'));
}

/// Whoever asks with `program` in the query gets a status, and pages a stream.
inline ssewire::http_response refused(ssewire::errc why, std::string_view query) {
  auto const as =
      query.find("program") == query.npos ? ssewire::later_as::event_stream : ssewire::later_as::status_503;
  return ssewire::refuse(why, {.version = ssewire::http_version::http_1_0, .later = as});
}

/// On standard output, for each reason that there was: the reason, and of how many streams.
inline void say_reasons(ssewire::broker const& broker) {
  auto const stats = broker.stats();
  for (std::size_t i = 0; i < stats.closes.size(); ++i) {
    if (stats.closes[i] == 0) continue;
    auto const why = std::string(name(static_cast<ssewire::close_reason>(i)));
    std::printf("%s %d\n", why.c_str(), static_cast<int>(stats.closes[i]));
  }
  std::fflush(stdout);
}
