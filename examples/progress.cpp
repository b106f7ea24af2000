// SPDX-License-Identifier: MIT
// A progress bar: one job, for the one client that waits for it. While the client is slow only the newest
// figure counts, so those before it are left out, on purpose; the result is not. When the client has gone,
// the job stops.

// Output:
//   -- a client that reads now and then
//   event: progress
//   data: 10
//
//   event: progress
//   data: 40
//
//   event: progress
//   data: 70
//
//   event: progress
//   data: 100
//
//   event: done
//   data: result.pdf
//
//   -- the response ends here
//   -- finished at 100 %
//   -- a client that goes away
//   event: progress
//   data: 10
//
//   event: progress
//   data: 20
//
//   -- peer_gone at 30 %

#include <ssewire/stream/stream.hpp>

#include <iostream>
#include <string>
#include <utility>

namespace {

struct client {  // and its socket, which holds one event until the client reads it
  std::string socket = {};
  bool gone = false;

  ssewire::write_result write(ssewire::buffers pieces) {
    if (gone) return {ssewire::write_status::closed, 0};
    socket += pieces[0];
    return {ssewire::write_status::again, pieces[0].size()};
  }
  void on_closed(ssewire::close_reason, ssewire::ending how) {
    if (how == ssewire::ending::complete) {
      socket += "-- the response ends here\n";
    }
  }
};

void read(ssewire::stream<client>& bar) {
  std::cout << std::exchange(bar.writer().socket, {});
  bar.writable();
}

void run_job(int reads_every, int goes_at) {
  ssewire::stream<client> bar{{}};
  int percent = 0;
  while (percent < 100 && bar.state() != ssewire::stream_state::closed) {
    percent += 10;  // this is the job
    if (bar.pump() == ssewire::stream_state::idle) {
      (void)bar.send({.type = "progress", .data = std::to_string(percent)});  // the next figure is as good
      bar.pump();
    }
    if (percent % reads_every == 0) read(bar);
    bar.writer().gone = percent >= goes_at;
  }
  if (bar.send({.type = "done", .data = "result.pdf"}) != ssewire::errc::ok)
    bar.close();  // without its result
  bar.finish();
  while (bar.pump() != ssewire::stream_state::closed) read(bar);
  read(bar);
  std::cout << "-- " << name(bar.reason()) << " at " << percent << " %\n";
}

}  // namespace

int main() {
  std::cout << "-- a client that reads now and then\n";
  run_job(30, 1000);
  std::cout << "-- a client that goes away\n";
  run_job(10, 20);
}
