// SPDX-License-Identifier: MIT
// numbers.hpp - what the servers of asio_test.py, socket_test.py and reload_storm_test.py share. One channel
// carries numbered events, which are published as standard input orders; facts about its followers are
// printed. adapter_support.py is the other side.
#pragma once

#include <ssewire/ssewire.hpp>

#include "user_limits.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

struct numbers {
  using clock = ssewire::steady_time::clock;

  ssewire::broker broker;

  /// `mode`: of limit_users().
  explicit numbers(std::string_view mode = {}) : broker(options(mode)) {}

  static ssewire::broker_options options(std::string_view mode) {
    ssewire::broker_options its = {.replay = {.max_events = 400, .max_bytes = 64u << 20},
                                   .on_presence = {&say_followers, nullptr}};
    limit_users(mode, its);
    return its;
  }

  static void say_followers(void*, ssewire::presence const& now) noexcept { say("followers", now.now); }

  template <class Number> static void say(std::string_view what, Number number) noexcept {
    std::printf("%.*s %d\n", static_cast<int>(what.size()), what.data(), static_cast<int>(number));
    std::fflush(stdout);
  }

  /// What a request gets: the head of a stream's response, and the stream; or a whole refusal, and none.
  struct answer {
    std::string head;
    ssewire::subscription from;
  };

  /// `request`: its head.
  answer follow(std::string_view request) {
    constexpr std::string_view field = "Last-Event-ID: ";
    auto const at = request.find(field);
    auto const last = at == request.npos ? std::string_view() : request.substr(at + field.size());
    auto const line = request.substr(0, request.find('\r'));
    auto const query = ssewire::query_of(line.substr(0, line.rfind(' ')));
    auto joined = broker.subscribe("numbers", {.last_event_id = last.substr(0, last.find('\r')),
                                               .lag = ssewire::lag_policy::close,
                                               .user = user_of(query)});
    if (joined) {
      auto const fields =
          ssewire::response_fields(ssewire::http_version::http_1_0, ssewire::framing::raw, {});
      return {head_of(200, fields) + "\r\n", std::move(joined.value)};
    }
    auto const no = refused(joined.error, query);
    auto const size = "Content-Length: " + std::to_string(no.body.size()) + "\r\n\r\n";
    return {head_of(no.status, no.fields) + size + no.body, {}};
  }

  template <class Fields> static std::string head_of(int status, Fields const& fields) {
    auto head = "HTTP/1.0 " + std::to_string(status) + " \r\n";
    for (auto const& f : fields) head.append(f.name).append(": ").append(f.value).append("\r\n");
    return head;
  }

  /// A number on standard input: publish so many events. Returns at its end.
  void publish_what_is_ordered() {
    int published = 0;
    for (int more = 0; std::scanf("%d", &more) == 1;) {
      while (more-- > 0) {
        auto const data = std::to_string(++published) + ' ' + std::string(8000, 'x');
        broker.publish("numbers", {.data = data});
      }
      broker.tick(clock::now());
    }
  }

  void drain() {
    auto const now = clock::now();
    broker.drain(now, now + std::chrono::seconds(2));
    while (broker.stats().subscribers != 0) {
      broker.tick(clock::now());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};
