// SPDX-License-Identifier: MIT
// Bytes from a socket, cut anywhere, become events. The parser remembers where to resume.

// Output:
//   message: "first"
//   tick: "two\nlines"
//   resume after 8, in 1500 ms

#include <ssewire/wire/parser.hpp>

#include <iostream>
#include <string_view>

int main() {
  ssewire::parser parser;
  auto const print = [](ssewire::event const& e) {
    std::cout << e.type.name() << ": \"";
    for (char const c : *e.data) {
      if (c == '\n') {
        std::cout << "\\n";
      } else {
        std::cout << c;
      }
    }
    std::cout << "\"\n";
  };
  for (std::string_view const chunk :
       {"retry: 15", "00\ndata: fi", "rst\n\nid: 8\r", "\nevent: tick\rdata: two\nda",
        "ta: lines\n\n: a comment\n\ndata: the connection brea"}) {
    if (auto const fed = parser.feed(chunk, print); !fed) std::cout << ssewire::message(fed.error) << '\n';
  }
  parser.finish();
  std::cout << "resume after " << parser.last_event_id() << ", in "
            << parser.reconnection_time()->milliseconds << " ms\n";
}
