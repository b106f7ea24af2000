// SPDX-License-Identifier: MIT
// routes.cpp - the server's resources: how each is asked for, and what answers.

#include "routes.hpp"

#include "page_files.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace demo {
namespace {

constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view json_type = "application/json";

void say(connection& on, int status, std::string_view text) { on.respond(status, plain_text, text); }

// The page's files are its own, and nothing else may be loaded, framed or sent anywhere.
http_fields fields_of(page_file const& file) {
  http_fields fields = {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-cache"}};
  if (file.path == "/") {
    fields.emplace_back("Content-Security-Policy",
                        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    fields.emplace_back("Referrer-Policy", "no-referrer");
  }
  return fields;
}

// A page of another site may send a form here; a browser says so, in one field or the other: Sec-Fetch-Site
// it sends to trustworthy addresses only.
bool from_another_site(request const& asked) {
  if (auto const site = asked.field("Sec-Fetch-Site")) return *site != "same-origin" && *site != "none";
  auto const origin = asked.field("Origin");
  return origin && *origin != "http://" + std::string(asked.field("Host").value_or(""));
}

void speak(demo_site const& site, request const& asked, connection& on) {
  if (asked.body.empty()) {
    say(on, 400, "say something: the request's body is the text\n");
  } else if (auto const said = site.streams.publish("room", asked.body)) {
    say(on, 200, std::string(said->view()) + "\n");
  } else {
    say(on, 503, std::string(ssewire::message(said.error)) + "\n");
  }
}

// The client a request is about, or nothing once an error was answered.
std::optional<std::string> client_of(request const& asked, connection& on) {
  auto name = query_value(asked.query, "client");
  if (name && is_client_name(*name)) return name;
  say(on, 400, "which client? ?client=NAME, 1 to 32 of A-Z, a-z, 0-9, '-' and '_'\n");
  return std::nullopt;
}

constexpr std::string_view no_stream = "this client has no open stream\n";

// Events on channel `away` after each drop.
constexpr int notes_a_drop = 3;

void drop(demo_site const& site, request const& asked, connection& on) {
  auto const client = client_of(asked, on);
  if (!client) return;
  if (!site.streams.drop(*client)) return say(on, 404, no_stream);
  // Before the client can be back, so that there is always something to replay.
  for (int note = 1; note <= notes_a_drop; ++note) {
    auto const number = std::to_string(note);
    site.streams.publish_numbered("away", "{\"client\":\"" + *client + "\",\"note\":" + number + "}");
  }
  say(on, 200, "its connection was reset\n");
}

void end(demo_site const& site, request const& asked, connection& on) {
  auto const client = client_of(asked, on);
  if (!client) return;
  if (!site.streams.end(*client)) return say(on, 404, no_stream);
  say(on, 200, "its stream has ended, and it will be answered 204\n");
}

void tell_story(demo_site const& site, request const& asked, connection& on) {
  auto const client = client_of(asked, on);
  if (!client) return;
  switch (site.stories.tell(*client, story_teller::clock::now())) {
  case story_teller::answer::begun:
    return on.respond(200, json_type, "{\"words\":" + std::to_string(story_teller::words()) + "}\n");
  case story_teller::answer::told_already: return say(on, 409, "this client is being told a story\n");
  case story_teller::answer::too_many:
    return say(on, 503, "too many stories are being told; ask again later\n");
  }
}

bool refuse_burst(demo_site const& site, connection& on) {
  if (site.streams.log_size() <= burst::largest_log) return false;
  say(on, 409,
      "the log is too large to outrun; start the demo with --log " + std::to_string(burst::largest_log) +
          " or less\n");
  return true;
}

void answer_burst(demo_site const& site, connection& on) {
  on.respond(200, json_type, "{\"events\":" + std::to_string(site.bursts.size()) + "}\n");
}

void publish_burst(demo_site const& site, request const&, connection& on) {
  if (refuse_burst(site, on)) return;
  site.bursts.begin();
  answer_burst(site, on);
}

void freeze(demo_site const& site, request const& asked, connection& on) {
  auto const client = client_of(asked, on);
  if (!client || refuse_burst(site, on)) return;
  if (!site.bursts.hold(*client, burst::clock::now())) return say(on, 404, no_stream);
  site.bursts.begin();
  answer_burst(site, on);
}

void tell_client(demo_site const& site, request const& asked, connection& on) {
  if (auto const client = client_of(asked, on)) on.respond(200, json_type, site.streams.client_json(*client));
}

// One resource: how it is asked for, and what answers.
struct route {
  std::string_view path;
  std::string_view method;
  void (*answer)(demo_site const&, request const&, connection&);
};

constexpr route routes[] = {
    {"/events", "GET",
     [](demo_site const& site, request const& asked, connection& on) { site.streams.open(asked, on); }},
    {"/room", "POST", speak},
    {"/story", "POST", tell_story},
    {"/drop", "POST", drop},
    {"/freeze", "POST", freeze},
    {"/burst", "POST", publish_burst},
    {"/end", "POST", end},
    {"/client", "GET", tell_client},
    {"/stats", "GET",
     [](demo_site const& site, request const&, connection& on) {
       on.respond(200, json_type, stats_json(site));
     }},
};

// Whether a resource is asked for by its method: GET, which brings HEAD, or POST. If not, it is answered
// here, OPTIONS by the methods there are. By OPTIONS a browser asks before it lets a page of another site
// read or speak here; an answer without an Access-Control field tells it no.
bool is_asked_by(std::string_view method, request const& asked, connection& on) {
  bool const reads = method == "GET";
  if (asked.method == method || (reads && asked.method == "HEAD")) return true;
  std::string const known = reads ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
  if (asked.method == "OPTIONS") {
    on.respond(204, plain_text, "", {{"Allow", known}});
  } else {
    on.respond(405, plain_text, "this resource is asked for by " + known + "\n", {{"Allow", known}});
  }
  return false;
}

}  // namespace

std::string stats_json(demo_site const& site) {
  return site.streams.stats_json("\"burst_left\":" + std::to_string(site.bursts.left()));
}

void answer(demo_site const& site, request const& asked, connection& on) {
  if (asked.path == "*") return on.respond(204, plain_text, "", {{"Allow", "GET, HEAD, POST, OPTIONS"}});
  for (auto const& file : page_files) {
    if (file.path != asked.path) continue;
    if (!is_asked_by("GET", asked, on)) return;
    return on.respond(200, file.type, file.bytes, fields_of(file));
  }
  for (auto const& r : routes) {
    if (r.path != asked.path) continue;
    if (!is_asked_by(r.method, asked, on)) return;
    if (r.method == "POST" && from_another_site(asked)) {
      return say(on, 403, "only pages of this server may speak here\n");
    }
    return r.answer(site, asked, on);
  }
  say(on, 404,
      "there are /, /events?channels=cpu,mem,net,room, /room and /stats\n"
      "the page also uses /story, /drop, /freeze, /burst, /end and /client\n");
}

}  // namespace demo
