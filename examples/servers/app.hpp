// SPDX-License-Identifier: MIT
// app.hpp - the program around each server of this folder: what it publishes, who may have a stream, and when
// it ends. A server's own file shows only what is different.
//
//   GET  /events?room=room:1    the news, and one room
//   POST /say?to=room:1         publishes the body: to a room, or without `to` as news
//   POST /sign-out?user=ann     ends the streams of a user
//
// A cookie `user` says who a client is, so that one can play with it. In earnest it holds a session that you
// look up.
#pragma once

#include <ssewire/ssewire.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <thread>

namespace app {

inline ssewire::broker_options limits() {
  return {.max_subscribers_per_user = 3, .at_user_limit = ssewire::user_limit::replace_oldest};
}

inline ssewire::endpoint_options streams() {
  return {
      .channels = {"news"},
      .channel_parameter = "room",
      .allows_channel = [](std::string_view name) { return name.starts_with("room:") && name.size() < 40; },
      .origins = {"https://partner.example"},
      .with_credentials = true};
}

inline ssewire::verdict who(ssewire::stream_request const& asked) {
  auto const user = ssewire::cookie(asked.cookies, "user").value_or("");
  if (user == "expired") return {.refused = ssewire::errc::not_authenticated};
  if (user == "banned") return {.refused = ssewire::errc::not_allowed};
  return {.user = std::string(user)};
}

// The first value of a parameter in the target; empty: there is none.
inline std::string parameter(std::string_view target, std::string_view name) {
  auto const all = ssewire::query_values(ssewire::query_of(target), name);
  return all.empty() ? std::string() : all.front();
}

// Each returns the status of the response.
inline int say(ssewire::broker& broker, std::string_view target, std::string_view body) {
  auto const room = parameter(target, "to");
  auto const published = broker.publish(room.empty() ? "news" : room, {.type = "said", .data = body});
  return published ? 200 : 400;
}
inline int sign_out(ssewire::broker& broker, std::string_view target) {
  (void)broker.close_user(parameter(target, "user"), ssewire::event{.type = "signed-out", .data = "bye"});
  return 200;
}

inline std::atomic<bool> stopping = false;

// Returns when the process is asked to end.
inline void wait_for_the_end() {
  for (int const number : {SIGINT, SIGTERM}) std::signal(number, [](int) { stopping = true; });
  while (!stopping) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace app
