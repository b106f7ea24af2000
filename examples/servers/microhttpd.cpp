// SPDX-License-Identifier: MIT
// microhttpd.cpp - the program of app.hpp on libmicrohttpd: one thread asks each stream for bytes.
#include <ssewire/adapters/microhttpd.hpp>

#include "app.hpp"

#include <chrono>
#include <cstddef>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::microhttpd_events<> events;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, MHD_Connection*) { return app::who(asked); },
            most_streams) {}

  static MHD_Result handle(void* self, MHD_Connection* to, char const* url, char const* method,
                           char const* version, char const* data, std::size_t* size, void** of_request) {
    auto& s = *static_cast<server*>(self);
    if (std::string_view(url) == "/events") return s.events.answer(to, method, version);
    if (*of_request == nullptr) {  // the first of several calls for a request with a body
      *of_request = new std::string();
      return MHD_YES;
    }
    auto& body = *static_cast<std::string*>(*of_request);
    if (*size != 0) {
      body.append(data, std::exchange(*size, 0));
      return MHD_YES;
    }
    auto const argument = [to](char const* name) {
      auto const* const value = MHD_lookup_connection_value(to, MHD_GET_ARGUMENT_KIND, name);
      return std::string("?") + name + '=' + (value == nullptr ? "" : value);
    };
    int const status = std::string_view(url) == "/say"        ? app::say(s.broker, argument("to"), body)
                       : std::string_view(url) == "/sign-out" ? app::sign_out(s.broker, argument("user"))
                                                              : 404;
    auto* const response = MHD_create_response_from_buffer(0, nullptr, MHD_RESPMEM_PERSISTENT);
    auto const queued = MHD_queue_response(to, static_cast<unsigned>(status), response);
    MHD_destroy_response(response);
    return queued;
  }
  static void forget(void*, MHD_Connection*, void** of_request, MHD_RequestTerminationCode) {
    delete static_cast<std::string*>(*of_request);
  }
};

int main(int argc, char** argv) {
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  auto* const daemon = MHD_start_daemon(MHD_ALLOW_SUSPEND_RESUME | MHD_USE_EPOLL_INTERNAL_THREAD, 0, nullptr,
                                        nullptr, &server::handle, &s, MHD_OPTION_NOTIFY_COMPLETED,
                                        &server::forget, nullptr, MHD_OPTION_END);
  if (daemon == nullptr) return 1;
  std::cout << "http://127.0.0.1:" << MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port
            << std::endl;
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  MHD_stop_daemon(daemon);
}
