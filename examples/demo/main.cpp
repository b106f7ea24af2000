// SPDX-License-Identifier: MIT
// main.cpp - this machine's figures and a room to talk in, as event streams of one small server.

#include "burst.hpp"
#include "event_streams.hpp"
#include "options.hpp"
#include "proc_metrics.hpp"
#include "routes.hpp"
#include "server.hpp"
#include "signals.hpp"
#include "story.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

namespace demo {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// When the program ends: how long its streams take to end, each in its turn, and how long clients may take
// to close then.
constexpr auto drain_time = 2s;
constexpr auto linger_time = 3s;

void publish_figures(demo_site const& site, sampler const& machine) {
  auto const publish = [&](std::string_view channel, std::optional<std::string> const& figures) {
    if (figures) site.streams.publish_numbered(channel, *figures);
  };
  publish("cpu", machine.cpu_json());
  publish("mem", machine.mem_json());
  publish("net", machine.net_json());
  publish("stats", stats_json(site));
}

int run(options const& how) {
  event_streams streams({.log = how.log, .heartbeat = how.heartbeat});
  story_teller stories(streams);
  burst bursts(streams);
  demo_site const acts_on{streams, stories, bursts};
  server_options listen;
  listen.host = how.host;
  listen.port = how.port;
  listen.send_buffer_bytes = how.send_buffer;
  listen.other_descriptors = event_streams::most;
  server site(listen, [&](request const& asked, connection& on) { answer(acts_on, asked, on); });
  site.wake_by(streams.fd());
  signals const stop(site);
  std::cout << site.address() << std::endl;

  sampler machine;
  machine.sample(clock::now());
  auto next_sample = clock::now() + how.interval;
  std::optional<clock::time_point> give_up;  // set once the program is to end
  for (;;) {
    auto const now = clock::now();
    if (stop.received() != 0 && !give_up) {
      site.stop_accepting();
      bursts.stop();  // or the drain would wait for them
      streams.drain(now, now + drain_time);
      give_up = now + drain_time + linger_time;
    }
    if (!give_up && now >= next_sample) {
      machine.sample(now);
      publish_figures(acts_on, machine);
      next_sample = (std::max)(next_sample + how.interval, now);
    }
    auto const next_act = (std::min)(stories.run(now), bursts.run(now));
    auto const next = (std::min)({streams.run(now), next_act, give_up.value_or(next_sample)});
    if (give_up && ((site.connection_count() == 0 && streams.size() == 0) || now >= *give_up)) return 0;
    auto const wait = (std::max)(next - now, clock::duration::zero());
    site.run_once(std::chrono::ceil<std::chrono::milliseconds>(wait));
  }
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  auto const parsed = demo::parse_options(argc, argv);
  if (!parsed) {
    std::cerr << "ssewire-demo: " << parsed.error << '\n';
    return 2;
  }
  if (parsed.value.help) {
    std::cout << demo::usage(argv[0]);
    return 0;
  }
  try {
    return demo::run(parsed.value);
  } catch (std::exception const& failure) {
    std::cerr << "ssewire-demo: " << failure.what() << '\n';
    return 1;
  }
}
