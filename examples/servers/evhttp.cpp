// SPDX-License-Identifier: MIT
// evhttp.cpp - the program of app.hpp on libevent's HTTP server: one loop serves all streams.
#include <ssewire/adapters/evhttp.hpp>

#include "app.hpp"
#include <arpa/inet.h>
#include <event2/thread.h>
#include <netinet/in.h>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <thread>

namespace {

template <int (*Act)(ssewire::broker&, std::string_view, std::string_view)>
void act(evhttp_request* request, void* broker) {
  auto* const input = evhttp_request_get_input_buffer(request);
  std::string body(evbuffer_get_length(input), '\0');
  evbuffer_remove(input, body.data(), body.size());
  int const status = Act(*static_cast<ssewire::broker*>(broker), evhttp_request_get_uri(request), body);
  evhttp_send_reply(request, status, nullptr, nullptr);
}
int sign_out(ssewire::broker& broker, std::string_view target, std::string_view) {
  return app::sign_out(broker, target);
}

}  // namespace

int main(int argc, char** argv) {
  ssewire::broker broker(app::limits());
  evthread_use_pthreads();  // event_base_loopbreak() is called on another thread
  auto* const loop = event_base_new();
  auto* const http = evhttp_new(loop);
  auto const methods = EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_OPTIONS;
  evhttp_set_allowed_methods(http, static_cast<ev_uint16_t>(methods));
  {
    ssewire::evhttp_events<> events(
        loop, broker, app::streams(), [](auto const& asked, evhttp_request*) { return app::who(asked); },
        argc > 1 ? std::stoul(argv[1]) : 1000);
    evhttp_set_cb(http, "/events", events.answer, &events);
    evhttp_set_cb(http, "/say", &act<app::say>, &broker);
    evhttp_set_cb(http, "/sign-out", &act<sign_out>, &broker);

    auto* const listens = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    sockaddr_in at = {};
    socklen_t size = sizeof at;
    getsockname(evhttp_bound_socket_get_fd(listens), reinterpret_cast<sockaddr*>(&at), &size);
    std::thread serving([&] { event_base_loop(loop, EVLOOP_NO_EXIT_ON_EMPTY); });
    std::cout << "http://127.0.0.1:" << ntohs(at.sin_port) << std::endl;
    app::wait_for_the_end();
    events.drain(std::chrono::seconds(3));
    event_base_loopbreak(loop);
    serving.join();
  }
  evhttp_free(http);
  event_base_free(loop);
}
