// SPDX-License-Identifier: MIT
// event_streams.cpp - the endpoint: request in, stream out.

#include "event_streams.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace demo {
namespace {

// A page should see its stream recover, and soon: browsers wait 3 to 5 s.
constexpr auto page_reconnects_after = std::chrono::milliseconds(800);

constexpr std::size_t default_channels = 4;

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto const part = list.substr(0, list.find(','));
    parts.push_back(part);
    if (part.size() == list.size()) return parts;
    list.remove_prefix(part.size() + 1);
  }
}

// A page's EventSource comes back from this when it is told to; an error status would end it for good.
void refuse(ssewire::errc why, connection& on) {
  auto const no = ssewire::refuse(why);
  std::string_view type;
  http_fields fields;
  for (auto const& field : no.fields) {
    if (field.name == "Content-Type")
      type = field.value;
    else if (field.name != "Connection")
      fields.emplace_back(field.name, field.value);  // that one is the server's
  }
  on.respond(no.status, type, no.body, fields);
}

ssewire::broker_options broker_limits(event_stream_options const& options) {
  ssewire::broker_options limits;
  limits.replay.max_events = options.log;
  limits.replay.max_bytes = 16 * 1024 * 1024;
  limits.retry = page_reconnects_after;
  limits.max_subscribers = event_streams::most;
  return limits;
}

}  // namespace

event_streams::event_streams(event_stream_options options)
    : log_size_(options.log), broker_(broker_limits(options)), streams_({.heartbeat = options.heartbeat}) {}

std::vector<std::string_view> const& event_streams::channel_names() {
  static std::vector<std::string_view> const names = {"cpu",   "mem",   "net",  "room",
                                                      "story", "burst", "away", "stats"};
  return names;
}

void event_streams::open(request const& asked, connection& on) {
  auto const& known = channel_names();
  auto const list = query_value(asked.query, "channels");
  auto const channels = list ? split(*list) : std::vector(known.begin(), known.begin() + default_channels);
  for (auto const name : channels) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      on.respond(400, "text/plain; charset=utf-8",
                 "no such channel; there are cpu, mem, net, room, story, burst, away and stats\n");
      return;
    }
  }
  auto const client = query_value(asked.query, "client");
  if (client && !is_client_name(*client)) {
    on.respond(400, "text/plain; charset=utf-8", "a client is 1 to 32 of A-Z, a-z, 0-9, '-' and '_'\n");
    return;
  }
  auto const* const remembered = client ? clients_.find(*client) : nullptr;
  if (remembered && remembered->ended) {
    // An EventSource does not come back after any status but 200.
    ++refused_as_ended_;
    on.respond(204, "", "");
    return;
  }

  // HTTP/1.0 knows no chunks: there the body ends with the connection.
  bool const chunks = asked.minor > 0;
  auto const version = chunks ? ssewire::http_version::http_1_1 : ssewire::http_version::http_1_0;
  ssewire::stream_options how;
  how.body = chunks ? ssewire::framing::chunked : ssewire::framing::raw;
  http_fields head;
  for (auto const& field : ssewire::response_fields(version, how.body)) {
    // The connection ends with its stream: what else came on it was thrown away.
    head.emplace_back(field.name, field.name == "Connection" ? "close" : field.value);
  }
  how.preamble = format_head(200, head);
  if (asked.method == "HEAD") return on.respond_head(std::move(how.preamble));

  auto const last = ssewire::last_event_id(asked.field("Last-Event-ID"), asked.query);
  auto subscribed = broker_.subscribe(channels, {.last_event_id = last});
  if (!subscribed) return refuse(subscribed.error, on);

  auto const outcome = subscribed.value.outcome();
  auto const backlog = subscribed.value.backlog();
  auto const added =
      streams_.add({on.take_socket().release(), bytes_}, std::move(how), {}, std::move(subscribed.value));
  if (added && client) {
    clients_.remember(*client).stream = added.value;
    greet(added.value, outcome, backlog);
  }
}

ssewire::result<ssewire::position_id> event_streams::publish(std::string_view channel,
                                                             std::string_view data) {
  auto const type = ssewire::event_type::from(channel);
  return type ? broker_.publish(channel, {.type = type.value, .data = data})
              : ssewire::result<ssewire::position_id>{{}, type.error};
}

void event_streams::publish_numbered(std::string_view channel, std::string_view object) {
  auto const found = std::find(channel_names().begin(), channel_names().end(), channel);
  if (found == channel_names().end() || object.size() < 2) return;
  auto& number = numbers_[*found];
  auto json = "{\"n\":" + std::to_string(number + 1);
  if (object != "{}") json += ',';
  if (publish(channel, json.append(object.substr(1)))) ++number;
}

// What a page needs to prove that it gets everything. The events carry no ID, so the stream's place is not
// touched.
void event_streams::greet(ssewire::stream_id stream, ssewire::resume_outcome outcome, std::uint64_t backlog) {
  bool const begins =
      outcome == ssewire::resume_outcome::fresh || outcome == ssewire::resume_outcome::unknown;
  if (!begins) {
    auto const json = "{\"replayed\":" + std::to_string(backlog) + "}";
    greet(stream, {.type = "demo.replay", .data = json});
    return;
  }
  auto json = "{\"log\":" + std::to_string(log_size_) + ",\"n\":{";
  for (auto const& [channel, number] : numbers_) {
    if (json.back() != '{') json += ',';
    json.append("\"").append(channel).append("\":").append(std::to_string(number));
  }
  json += "}}";
  greet(stream, {.type = "demo.hello", .data = json});
}

// A page that is not greeted cannot prove anything: it comes back.
void event_streams::greet(ssewire::stream_id stream, ssewire::event const& greeting) {
  if (streams_.streams().send(stream, greeting) != ssewire::errc::ok) streams_.streams().close(stream);
}

// Names no stream if there is none; one that has ended names nothing either.
ssewire::stream_id event_streams::stream_of(std::string_view client) {
  auto const* const known = clients_.find(client);
  return known ? known->stream : ssewire::stream_id{};
}

counting_socket* event_streams::socket_of(std::string_view client) {
  auto const its = stream_of(client);
  return streams_.streams().writer(its) ? &streams_.connection(its) : nullptr;
}

bool event_streams::drop(std::string_view client) {
  bool const open = socket_of(client) != nullptr;
  streams_.streams().close(stream_of(client));
  return open;
}

bool event_streams::hold(std::string_view client) {
  auto* const its = socket_of(client);
  if (its) its->is_held = true;
  return its != nullptr;
}

void event_streams::release(std::string_view client) {
  auto* const its = socket_of(client);
  if (!its) return;
  its->is_held = false;
  streams_.streams().writable(stream_of(client));
}

bool event_streams::end(std::string_view client) {
  if (!socket_of(client)) return false;
  release(client);
  streams_.streams().finish(stream_of(client));
  clients_.remember(client).ended = true;
  return true;
}

std::string event_streams::client_json(std::string_view client) {
  auto const* const known = clients_.find(client);
  bool const open = socket_of(client) != nullptr;
  auto json = "{\"client\":\"" + std::string(client) + "\",\"open\":" + (open ? "true" : "false");
  return json.append(",\"ended\":").append(known && known->ended ? "true" : "false").append("}\n");
}

event_streams::clock::time_point event_streams::run(clock::time_point now) {
  if (drain_step_ != clock::duration(0)) broker_.tick(now);
  streams_.turn();
  return drain_step_ == clock::duration(0) ? clock::time_point::max() : now + drain_step_;
}

void event_streams::drain(clock::time_point now, clock::time_point deadline) {
  broker_.drain(now, deadline, std::chrono::seconds(2));
  drain_step_ = (deadline - now) / 100;
}

std::string event_streams::stats_json(std::string_view more) const {
  auto const s = broker_.stats();
  std::string json = "{";
  auto const add = [&](std::string_view name, std::uint64_t value) {
    if (json.size() > 1) json += ',';
    json += '"';
    json += name;
    json += "\":";
    json += std::to_string(value);
  };
  add("subscribers", s.subscribers);
  add("published", s.published);
  add("delivered", s.delivered);
  add("replayed", s.replayed);
  add("gaps", s.gaps);
  add("trimmed", s.trimmed);
  add("held_events", s.events);
  add("held_bytes", s.frame_bytes);
  add("channels", s.channels);
  add("log_bytes", s.log_bytes);
  add("resumed", s.resumes[static_cast<std::size_t>(ssewire::resume_outcome::resumed)]);
  add("bytes", bytes_);
  add("clients", clients_.size());
  add("refused_as_ended", refused_as_ended_);
  if (!more.empty()) json.append(",").append(more);
  json += "}\n";
  return json;
}

}  // namespace demo
