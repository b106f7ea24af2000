// SPDX-License-Identifier: MIT
// numbers.hpp - what the servers of asio_test.py and socket_test.py share. One channel carries numbered
// events, which are published as standard input orders; facts about its followers are printed.
// adapter_support.py is the other side.
#pragma once

#include <ssewire/ssewire.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

struct numbers {
  using clock = ssewire::steady_time::clock;

  ssewire::broker broker{
      {.replay = {.max_events = 400, .max_bytes = 64u << 20}, .on_presence = {&say_followers, nullptr}}};

  static void say_followers(void*, ssewire::presence const& now) noexcept { say("followers", now.now); }

  template <class Number> static void say(std::string_view what, Number number) noexcept {
    std::printf("%.*s %d\n", static_cast<int>(what.size()), what.data(), static_cast<int>(number));
    std::fflush(stdout);
  }

  /// `request`: its head.
  ssewire::subscription follow(std::string_view request) {
    constexpr std::string_view field = "Last-Event-ID: ";
    auto const at = request.find(field);
    auto const last = at == request.npos ? std::string_view() : request.substr(at + field.size());
    return broker
        .subscribe("numbers",
                   {.last_event_id = last.substr(0, last.find('\r')), .lag = ssewire::lag_policy::close})
        .value;
  }

  static std::string response_head() {
    std::string head = "HTTP/1.0 200 OK\r\n";
    for (auto const& f : ssewire::response_fields(ssewire::http_version::http_1_0, ssewire::framing::raw, {}))
      head += std::string(f.name) + ": " + std::string(f.value) + "\r\n";
    return head + "\r\n";
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

  /// Why the streams have ended, and how many for each reason.
  void say_reasons() const {
    auto const stats = broker.stats();
    for (std::size_t i = 0; i < stats.closes.size(); ++i)
      if (stats.closes[i] != 0) say(name(static_cast<ssewire::close_reason>(i)), stats.closes[i]);
  }
};
