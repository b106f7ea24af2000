// SPDX-License-Identifier: MIT
// A stream without a broker: progress of one job for the one client that waits for it. The writer is all you write.

// Output:
//   event: progress
//   data: 25 %
//
//   event: progress
//   data: 50 %
//
//   event: progress
//   data: 75 %
//
//   event: done
//   data: result.pdf
//
//   -- the response ends here

#include <ssewire/stream.hpp>

#include <iostream>
#include <string>

namespace {

struct to_stdout {
  ssewire::write_result write(ssewire::buffers pieces) {
    std::size_t bytes = 0;
    for (auto const piece : pieces) {
      std::cout << piece;
      bytes += piece.size();
    }
    return {std::cout ? ssewire::write_status::ok : ssewire::write_status::closed, bytes};
  }
  void finish() { std::cout << "-- the response ends here\n"; }
};

} // namespace

int main() {
  ssewire::stream<to_stdout> response{{}};
  for (int percent = 25; percent < 100; percent += 25) {
    auto const text = std::to_string(percent) + " %";
    response.send({.type = "progress", .data = text});
    if (response.pump() == ssewire::stream_state::closed) return 0; // nobody waits any more
  }
  response.send({.type = "done", .data = "result.pdf"});
  response.finish();
  response.pump();
}
