// SPDX-License-Identifier: MIT
// event_streams.cpp - the endpoint: request in, stream out.

#include "event_streams.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace demo {
namespace {

constexpr auto tick_interval = std::chrono::milliseconds(500);

// Where a client that cannot be served now is told to come back: an error status would end its EventSource for good.
constexpr std::string_view come_back_later = "retry: 5000\n\n";

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto const part = list.substr(0, list.find(','));
    parts.push_back(part);
    if (part.size() == list.size()) return parts;
    list.remove_prefix(part.size() + 1);
  }
}

ssewire::broker_options broker_limits(event_stream_options const& options) {
  ssewire::broker_options limits;
  limits.replay.max_events = options.log;
  limits.replay.max_bytes = 16 * 1024 * 1024;
  return limits;
}

}  // namespace

event_streams::event_streams(event_stream_options options)
    : broker_(broker_limits(options)), streams_({}, {.heartbeat = options.heartbeat}) {}

std::vector<std::string_view> const& event_streams::channel_names() {
  static std::vector<std::string_view> const names = {"cpu", "mem", "net", "room"};
  return names;
}

void event_streams::open(request const& asked, connection& on) {
  auto const& known = channel_names();
  auto const list = query_value(asked.query, "channels");
  auto const channels = list ? split(*list) : known;
  for (auto const name : channels) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      on.respond(400, "text/plain; charset=utf-8", "no such channel; there are cpu, mem, net and room\n");
      return;
    }
  }

  auto const last = ssewire::last_event_id(asked.field("Last-Event-ID"), asked.query);
  auto subscribed = broker_.subscribe(channels, last);
  if (!subscribed) {
    on.respond(200, "text/event-stream", come_back_later);
    return;
  }

  // HTTP/1.0 knows no chunks: there the body ends with the connection.
  bool const chunks = asked.minor > 0;
  auto const version = chunks ? ssewire::http_version::http_1_1 : ssewire::http_version::http_1_0;
  ssewire::stream_options how;
  how.body = chunks ? ssewire::framing::chunked : ssewire::framing::raw;
  http_fields head;
  for (auto const& field : ssewire::response_fields(version, how.body)) head.emplace_back(field.name, field.value);
  how.preamble = format_head(200, head);

  auto peer = std::make_unique<event_peer>(streams_);
  auto& its = *peer;
  on.upgrade(std::move(peer));
  auto const added = streams_.add({&on}, std::move(subscribed.subscription), std::move(how));
  if (added) {
    its.is(added.id);
  } else {
    on.abort();
  }
}

ssewire::publish_result event_streams::publish(std::string_view channel, std::string_view data) {
  auto const type = ssewire::event_type::from(channel);
  return type ? broker_.publish(channel, {.type = type.value, .data = data}) : ssewire::publish_result{{}, type.error};
}

event_streams::clock::time_point event_streams::run(clock::time_point now) {
  if (now >= next_tick_) {
    broker_.tick(now);
    next_tick_ = now + tick_interval;
  }
  auto const polled = streams_.poll(now);
  if (polled.more) return now;
  return (std::min)(next_tick_, polled.next.value_or(next_tick_));
}

void event_streams::drain(clock::time_point deadline) {
  broker_.drain(deadline, std::chrono::seconds(2));
  next_tick_ = {};
}

std::string event_streams::stats_json() const {
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
  json += "}\n";
  return json;
}

}  // namespace demo
