// SPDX-License-Identifier: MIT
// paused_server.cpp - the server of a test that stops it for a while. It uses the event loop of
// docs/writer.md, or serve_blocking on a thread for each connection with the README's writer. The test makes
// both headers from the documents.
//
// Usage: paused_server loop|threads CONNECTIONS
// Prints its port, then "ready" when so many clients have connected. On its input, a number publishes an
// event of so many bytes; "stats" is answered by a line that counts the streams that are open, have stalled
// and have lost their peer. Ends with its input.

#include <ssewire/ssewire.hpp>

#include "documents.hpp"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr timeval send_timeout = {3, 0};  // the loop has it as its stall time

std::size_t closes(ssewire::broker const& broker, ssewire::close_reason why) {
  return static_cast<std::size_t>(broker.stats().closes[static_cast<std::size_t>(why)]);
}

std::vector<int> accept_all(std::size_t count) {
  int const listener = ::socket(AF_INET, SOCK_STREAM, 0);
  int const small = 4096;  // so that an event does not fit
  ::setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener, 1000) != 0)
    std::abort();
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
  std::cout << ntohs(at.sin_port) << std::endl;
  std::vector<int> sockets;
  while (sockets.size() < count) sockets.push_back(::accept(listener, nullptr, nullptr));
  ::close(listener);
  return sockets;
}

void obey(ssewire::broker& broker) {
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "stats") {
      std::cout << broker.stats().subscribers << ' ' << closes(broker, ssewire::close_reason::stalled) << ' '
                << closes(broker, ssewire::close_reason::peer_gone) << std::endl;
    } else {
      broker.publish("news", {.data = std::string(std::stoul(line), 'x')});
    }
  }
}

void run_loop(ssewire::broker& broker, std::vector<int> const& sockets) {
  documents::event_loop loop;
  for (int const socket : sockets) {
    ::fcntl(socket, F_SETFL, O_NONBLOCK);
    loop.add(socket, std::move(broker.subscribe("news").value));
  }
  std::atomic<bool> over{false};
  std::thread turns([&] {
    while (!over) loop.turn();
  });
  obey(broker);
  over = true;
  broker.publish("news", {.data = "wakes the loop"});
  turns.join();
}

void run_threads(ssewire::broker& broker, std::vector<int> const& sockets) {
  std::vector<std::thread> threads;
  for (int const socket : sockets) {
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &send_timeout, sizeof send_timeout);
    threads.emplace_back([&broker, socket] {
      documents::socket_writer to{socket};
      ssewire::serve_blocking(std::move(broker.subscribe("news").value), to);
      ::close(socket);
    });
  }
  while (broker.stats().subscribers != sockets.size()) std::this_thread::yield();
  obey(broker);
  broker.drain({}, {});
  broker.tick({});
  for (auto& one : threads) one.join();
}

}  // namespace

int main(int, char** argv) {
  ssewire::broker broker;
  auto const sockets = accept_all(std::stoul(argv[2]));
  std::string(argv[1]) == "loop" ? run_loop(broker, sockets) : run_threads(broker, sockets);
}
