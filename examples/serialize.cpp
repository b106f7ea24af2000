// SPDX-License-Identifier: MIT
// The smallest use: an event becomes bytes for your own send(). Whatever is in the text stays one event.

// Output:
//   id: 7
//   event: greeting
//   retry: 3000
//   data: Hello,
//   data: world
//
//   data: no injection:
//   data: event: evil
//   data: data: this is text
//
//   : still here
//
//   this type is refused: the event type contains CR, LF or NUL; nothing was written; fix the caller

#include <ssewire/core/event.hpp>
#include <ssewire/wire/serializer.hpp>

#include <chrono>
#include <iostream>
#include <string>

int main() {
  using namespace std::chrono_literals;
  std::string out;
  ssewire::serialize({.type = "greeting", .data = "Hello,\nworld", .id = "7", .retry = 3s}, out);
  ssewire::serialize({.data = "no injection:\revent: evil\r\ndata: this is text"}, out);
  ssewire::serialize_comment("still here", out);
  std::cout << out;

  std::string const from_outside = "tick\nid: 1";
  if (auto const type = ssewire::event_type::from(from_outside); !type) {
    std::cout << "this type is refused: " << ssewire::message(type.error) << '\n';
  }
}
