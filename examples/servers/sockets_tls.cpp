// SPDX-License-Identifier: MIT
// sockets_tls.cpp - the program of app.hpp over TLS by OpenSSL: a thread for each connection until it asks
// for a stream, and one thread for all streams. The second argument is a file with a certificate and its key.
#include <ssewire/adapters/openssl.hpp>
#include <ssewire/adapters/sockets.hpp>

#include "app.hpp"
#include "loopback.hpp"
#include "request_reader.hpp"
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace {

struct server {
  ssewire::broker broker{app::limits()};
  ssewire::socket_events<ssewire::tls_socket> events;

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {}

  // Answers the requests of a connection. Returns whether the last one has taken it over.
  bool serve(SSL* tls) {
    app::request_reader from;
    char bytes[4096];
    for (std::size_t got = 0; ::SSL_read_ex(tls, bytes, sizeof bytes, &got) == 1;) {
      auto is = from.read({bytes, got});
      for (; is == app::request_reader::state::complete; is = from.next()) {
        auto const& r = from.current();
        if (r.target.starts_with("/events")) {
          auto const field = [&](char const* name) { return r.field(name); };
          events.answer(r.method, r.target, r.version, field, ssewire::tls_socket(tls));
          return true;
        }
        int const status = r.target.starts_with("/say")        ? app::say(broker, r.target, r.body)
                           : r.target.starts_with("/sign-out") ? app::sign_out(broker, r.target)
                                                               : 404;
        auto const text = app::empty_response(status, r.keep_alive());
        if (::SSL_write_ex(tls, text.data(), text.size(), &got) != 1 || !r.keep_alive()) return false;
      }
      if (is == app::request_reader::state::refused) return false;
    }
    return false;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL's writes raise it when a client has gone
  auto* const context = ::SSL_CTX_new(::TLS_server_method());
  if (::SSL_CTX_use_certificate_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
      ::SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
    return 1;

  static server s(std::stoul(argv[1]));  // the threads of requests may outlive main
  app::loopback const here;
  std::cout << "https://127.0.0.1:" << here.port << std::endl;
  std::thread streams([] { s.events.run(); });
  std::thread([&] {
    for (;;) {
      int const socket = ::accept(here.socket, nullptr, nullptr);
      if (socket < 0) continue;
      std::thread([socket, context] {
        auto* const tls = ::SSL_new(context);
        ::SSL_set_fd(tls, socket);
        if (::SSL_accept(tls) == 1 && s.serve(tls)) return;
        ::SSL_shutdown(tls);
        ::SSL_free(tls);
        ::close(socket);
      }).detach();
    }
  }).detach();
  app::wait_for_the_end();
  s.events.drain(std::chrono::seconds(3));
  s.events.stop();
  streams.join();
  std::_Exit(0);  // the other threads wait for clients
}
