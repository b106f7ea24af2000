// SPDX-License-Identifier: MIT
// civetweb.cpp - the program of app.hpp on CivetWeb: each stream takes a thread of the server's pool.
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/ssewire.hpp>

#include "app.hpp"
#include "request_reader.hpp"
#include "socket_writer.hpp"
#include <civetweb.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

namespace {

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::event_service<mg_connection*> events;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto*) { return app::who(asked); }, most_streams) {}
};

// CivetWeb shows its socket to nobody, and only the socket knows that a client has gone. On Linux it can be
// found, by the client's address and our port. CivetWeb keeps it open until the handler returns.
int socket_of(mg_request_info const& its) {
  sockaddr_storage at = {};
  char host[NI_MAXHOST], port[NI_MAXSERV];
  auto const is = [&](auto* name, int fd, char const* address, int number) {
    socklen_t size = sizeof at;
    auto* const any = reinterpret_cast<sockaddr*>(&at);
    return name(fd, any, &size) == 0 && (any->sa_family == AF_INET || any->sa_family == AF_INET6) &&
           getnameinfo(any, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) ==
               0 &&
           port == std::to_string(number) && (address == nullptr || host == std::string_view(address));
  };
  for (auto const& each : std::filesystem::directory_iterator("/proc/self/fd")) {
    int const fd = std::stoi(each.path().filename());
    if (is(&getpeername, fd, its.remote_addr, its.remote_port) &&
        is(&getsockname, fd, nullptr, its.server_port))
      return fd;
  }
  return -1;
}

int events(mg_connection* to, void* self) {
  auto& s = *static_cast<server*>(self);
  auto const& its = *mg_get_request_info(to);
  bool const old = std::string_view(its.http_version) == "1.0";
  auto const body = old ? ssewire::framing::raw : ssewire::framing::chunked;
  auto const target = std::string("?") + (its.query_string == nullptr ? "" : its.query_string);
  auto const asked = s.events.at().read(
      its.request_method, target, old ? ssewire::http_version::http_1_0 : ssewire::http_version::http_1_1,
      [&](char const* name) { return mg_get_header(to, name); });
  auto const made = s.events.open(asked, to, body);
  auto const& said = made.response;
  // In one call. CivetWeb's own calls for a response's head send each field alone, and race for the date.
  auto head = ssewire::response_head(said) + said.body;
  if (!made.stream) {
    mg_write(to, head.data(), head.size());
    return said.status;
  }
  // Not by mg_write(), which waits for ever for a client that does not read.
  app::socket_writer writer(socket_of(its));
  auto const alive = [&] { return writer.is_there(); };
  ssewire::serve_blocking(std::move(made.stream->from), writer, {.body = body, .preamble = std::move(head)},
                          {.alive = ssewire::callback<bool()>::of(alive)});
  return said.status;  // and CivetWeb closes the connection
}

int act(mg_connection* to, void* self) {
  auto& broker = static_cast<server*>(self)->broker;
  auto const& its = *mg_get_request_info(to);
  auto const target = std::string("?") + (its.query_string == nullptr ? "" : its.query_string);
  std::string body;
  char part[4096];
  for (int n = 0; body.size() < 1'000'000 && (n = mg_read(to, part, sizeof part)) > 0;)
    body.append(part, static_cast<std::size_t>(n));
  int const status = std::string_view(its.local_uri) == "/say" ? app::say(broker, target, body)
                                                               : app::sign_out(broker, target);
  auto const text = app::empty_response(status, false);
  mg_write(to, text.data(), text.size());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t const most_streams = argc > 1 ? std::stoul(argv[1]) : 64;
  server s(most_streams);
  auto const threads = std::to_string(most_streams + 1);  // the last one is for other requests
  // A connection that is kept for its next request would take that thread, so enable_keep_alive stays "no".
  char const* options[] = {"listening_ports", "127.0.0.1:0", "num_threads", threads.c_str(), nullptr};
  mg_callbacks const none = {};
  auto* const http = mg_start(&none, nullptr, options);
  mg_server_port at = {};
  if (http == nullptr || mg_get_server_ports(http, 1, &at) != 1) return 1;
  mg_set_request_handler(http, "/events", &events, &s);
  mg_set_request_handler(http, "/say", &act, &s);
  mg_set_request_handler(http, "/sign-out", &act, &s);
  std::cout << "http://127.0.0.1:" << at.port << std::endl;
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  mg_stop(http);
}
