// SPDX-License-Identifier: MIT
// poco.cpp - the program of app.hpp on POCO's HTTP server: each stream takes a thread of a pool.
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/ssewire.hpp>

#include "app.hpp"
#include "socket_writer.hpp"
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/ThreadPool.h>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <utility>

namespace net = Poco::Net;

namespace {

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::event_service<net::HTTPServerRequest> events;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}
};

struct stream_handler : net::HTTPRequestHandler {
  server& of;
  explicit stream_handler(server& s) : of(s) {}

  void handleRequest(net::HTTPServerRequest& request, net::HTTPServerResponse& response) override {
    // As for HTTP/2: POCO writes the fields of the connection itself.
    auto const asked =
        of.events.at().read(request.getMethod(), request.getURI(), ssewire::http_version::http_2,
                            [&](char const* name) { return request.get(name, ""); });
    auto const made = of.events.open(asked, request);
    auto const& said = made.response;
    response.setStatusAndReason(static_cast<net::HTTPResponse::HTTPStatus>(said.status));
    for (auto const& [name, value] : said.fields) response.set(std::string(name), value);
    if (!made.stream) {
      if (said.body.empty()) response.send();  // to HEAD, or a 204: it has no length
      if (!said.body.empty()) response.sendBuffer(said.body.data(), said.body.size());
      return;
    }
    response.send().flush();  // the head. The body has no length, and ends with the connection
    // Not by the stream that send() returns: it has no timeout, and after one does not say what it has sent.
    app::socket_writer to(dynamic_cast<net::HTTPServerRequestImpl&>(request).socket().impl()->sockfd());
    auto const alive = [&] { return to.is_there(); };
    ssewire::serve_blocking(std::move(made.stream->from), to, {},
                            {.alive = ssewire::callback<bool()>::of(alive)});
  }
};

struct act_handler : net::HTTPRequestHandler {
  server& of;
  explicit act_handler(server& s) : of(s) {}

  void handleRequest(net::HTTPServerRequest& request, net::HTTPServerResponse& response) override {
    std::string body(1'000'000, '\0');
    request.stream().read(body.data(), static_cast<std::streamsize>(body.size()));
    body.resize(static_cast<std::size_t>(request.stream().gcount()));
    auto const& target = request.getURI();
    int const status = target.starts_with("/say")        ? app::say(of.broker, target, body)
                       : target.starts_with("/sign-out") ? app::sign_out(of.broker, target)
                                                         : 404;
    response.setStatusAndReason(static_cast<net::HTTPResponse::HTTPStatus>(status));
    response.sendBuffer("", 0);
  }
};

struct handlers : net::HTTPRequestHandlerFactory {
  server& of;
  explicit handlers(server& s) : of(s) {}

  net::HTTPRequestHandler* createRequestHandler(net::HTTPServerRequest const& request) override {
    if (request.getURI().starts_with("/events")) return new stream_handler(of);
    return new act_handler(of);
  }
};

}  // namespace

int main(int argc, char** argv) {
  int const most_streams = argc > 1 ? std::stoi(argv[1]) : 64;
  server s(static_cast<std::size_t>(most_streams));
  Poco::ThreadPool threads(2, most_streams + 1);  // the last one is for other requests
  net::ServerSocket listens(net::SocketAddress("127.0.0.1", 0));
  auto* const how = new net::HTTPServerParams;  // POCO counts the references
  how->setKeepAlive(false);  // a connection that waits for its next request would take that thread
  net::HTTPServer http(new handlers(s), threads, listens, how);
  http.start();
  std::cout << "http://127.0.0.1:" << listens.address().port() << std::endl;
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  http.stopAll(true);
  threads.joinAll();
}
