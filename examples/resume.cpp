// SPDX-License-Identifier: MIT
// A client that comes back gets what it missed, or is told that something is missing. The log here holds two
// events.

// Output:
//   -- back after one event: resumed
//   id: 0123456789ab-0000000000000001
//   event: ssewire.position
//   retry: 3000
//   data: {}
//
//   id: 0123456789ab-0000000000000002
//   data: two
//
//   -- back after the log has moved on: gap
//   id: 0123456789ab-0000000000000003
//   event: ssewire.gap
//   data: {"reason":"trimmed","channel":"news"}
//
//   id: 0123456789ab-0000000000000003
//   event: ssewire.position
//   retry: 3000
//   data: {}
//
//   id: 0123456789ab-0000000000000004
//   data: four
//
//   id: 0123456789ab-0000000000000005
//   data: five
//

#include <ssewire/broker/broker.hpp>

#include <iostream>
#include <string_view>

namespace {

void come_back(ssewire::broker& broker, std::string_view last_event_id) {
  auto client = broker.subscribe("news", {.last_event_id = last_event_id}).value;
  std::cout << (client.outcome() == ssewire::resume_outcome::resumed ? "resumed\n" : "gap\n");
  ssewire::batch next;
  while (client.pull(next, 4096) == ssewire::pull_status::ready) std::cout << next.text();
}

}  // namespace

int main() {
  ssewire::broker broker({.replay = {.max_events = 2}});
  auto const seen = broker.publish("news", {.data = "one"}).value;
  broker.publish("news", {.data = "two"});
  std::cout << "-- back after one event: ";
  come_back(broker, seen.view());

  for (auto const* const text : {"three", "four", "five"}) broker.publish("news", {.data = text});
  std::cout << "-- back after the log has moved on: ";
  come_back(broker, seen.view());
}
