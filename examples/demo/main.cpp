// SPDX-License-Identifier: MIT
// main.cpp - this machine's figures and a room to talk in, as event streams of one small server.

#include "event_streams.hpp"
#include "options.hpp"
#include "page.hpp"
#include "proc_metrics.hpp"
#include "server.hpp"
#include "signals.hpp"

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

// How long a client may take to receive the last of its stream when the program ends, and how long to close then.
constexpr auto drain_time = 2s;
constexpr auto linger_time = 3s;

constexpr std::string_view plain_text = "text/plain; charset=utf-8";

// A page of another site may send a form here; a browser says so.
bool from_another_site(request const& asked) {
  auto const site = asked.field("Sec-Fetch-Site");
  return site && *site != "same-origin" && *site != "none";
}

void speak(event_streams& streams, request const& asked, connection& on) {
  if (from_another_site(asked)) {
    on.respond(403, plain_text, "only pages of this server may speak here\n");
  } else if (asked.body.empty()) {
    on.respond(400, plain_text, "say something: the request's body is the text\n");
  } else if (auto const said = streams.publish("room", asked.body)) {
    on.respond(200, plain_text, std::string(said.id.view()) + "\n");
  } else {
    on.respond(503, plain_text, std::string(ssewire::message(said.error)) + "\n");
  }
}

// One resource: how it is asked for, and what answers.
struct route {
  std::string_view path;
  std::string_view method;
  void (*answer)(event_streams&, request const&, connection&);
};

constexpr route routes[] = {
    {"/", "GET",
     [](event_streams&, request const&, connection& on) { on.respond(200, "text/html; charset=utf-8", page_html); }},
    {"/events", "GET",
     [](event_streams& streams, request const& asked, connection& on) { streams.open(asked, on); }},
    {"/room", "POST", speak},
    {"/stats", "GET",
     [](event_streams& streams, request const&, connection& on) {
       on.respond(200, "application/json", streams.stats_json());
     }},
};

void answer(event_streams& streams, request const& asked, connection& on) {
  for (auto const& r : routes) {
    if (r.path != asked.path) continue;
    bool const head_of_get = asked.method == "HEAD" && r.method == "GET" && r.path != "/events";
    if (asked.method == r.method || head_of_get) return r.answer(streams, asked, on);
    return on.respond(405, plain_text, "this resource is asked for by " + std::string(r.method) + "\n",
                      {{"Allow", std::string(r.method)}});
  }
  on.respond(404, plain_text, "there are /, /events?channels=cpu,mem,net,room, /room and /stats\n");
}

void publish_figures(event_streams& streams, sampler const& machine) {
  auto const publish = [&](std::string_view channel, std::optional<std::string> const& figures) {
    if (figures) streams.publish(channel, *figures);
  };
  publish("cpu", machine.cpu_json());
  publish("mem", machine.mem_json());
  publish("net", machine.net_json());
}

int run(options const& how) {
  event_streams streams({.log = how.log, .heartbeat = how.heartbeat});
  server_options listen;
  listen.host = how.host;
  listen.port = how.port;
  listen.send_buffer_bytes = how.send_buffer;
  server site(listen, [&](request const& asked, connection& on) { answer(streams, asked, on); });
  signals const stop(site);
  std::cout << site.address() << std::endl;

  sampler machine;
  machine.sample(clock::now());
  auto next_sample = clock::now() + how.interval;
  std::optional<clock::time_point> give_up; // set once the program is to end
  for (;;) {
    auto const now = clock::now();
    if (stop.received() != 0 && !give_up) {
      site.stop_accepting();
      streams.drain(now + drain_time);
      give_up = now + drain_time + linger_time;
    }
    if (!give_up && now >= next_sample) {
      machine.sample(now);
      publish_figures(streams, machine);
      next_sample = (std::max)(next_sample + how.interval, now);
    }
    auto next = (std::min)(streams.run(now), give_up.value_or(next_sample));
    if (give_up && (site.connection_count() == 0 || now >= *give_up)) return 0;
    site.run_once(std::chrono::ceil<std::chrono::milliseconds>((std::max)(next - now, clock::duration::zero())));
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
