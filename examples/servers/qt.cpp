// SPDX-License-Identifier: MIT
// qt.cpp - the program of app.hpp on Qt HTTP Server 6.4: all streams share a reactor, on Qt's loop.
#include <ssewire/drivers/event_service.hpp>
#include <ssewire/drivers/reactor.hpp>

#include "app.hpp"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <QCoreApplication>
#include <QHttpServer>
#include <QTcpSocket>
#include <QTimer>
#include <string>
#include <thread>
#include <utility>

namespace {

struct writer {
  QTcpSocket* to;

  // The socket takes all bytes, and keeps those that the kernel does not take.
  ssewire::write_result write(ssewire::buffers pieces) {
    if (to->bytesToWrite() >= 64 * 1024) return {ssewire::write_status::again, 0};
    std::size_t taken = 0;
    for (auto const piece : pieces) {
      to->write(piece.data(), static_cast<qint64>(piece.size()));
      taken += piece.size();
    }
    return {ssewire::write_status::ok, taken};
  }
  void on_closed(ssewire::close_reason, ssewire::ending how) {
    if (how == ssewire::ending::cut) return to->abort();
    to->disconnectFromHost();  // after what it keeps, for which the client has two seconds
    QTimer::singleShot(std::chrono::seconds(2), to, [socket = to] { socket->abort(); });
  }
};

struct server {
  using service = ssewire::event_service<QHttpServerRequest>;

  ssewire::broker broker{app::limits()};
  service events;
  ssewire::reactor<writer> streams{ssewire::loop_signal::of(*this)};
  QTimer timer;  // last: no slot below is called without it

  explicit server(std::size_t most_streams)
      : events(
            broker, app::streams(), [](auto const& asked, auto const&) { return app::who(asked); },
            most_streams) {
    timer.setSingleShot(true);
    timer.callOnTimeout([this] { turn(); });
  }

  // On a publisher's thread.
  void operator()() noexcept {
    QMetaObject::invokeMethod(
        &timer, [this] { turn(); }, Qt::QueuedConnection);
  }
  void turn() {
    auto const now = ssewire::steady_time::clock::now();
    auto const asked = streams.poll(now);
    if (!asked.more && !asked.next) return;
    auto const left = asked.more ? ssewire::steady_duration(0) : *asked.next - now;
    timer.start(std::chrono::ceil<std::chrono::milliseconds>((std::max)(left, ssewire::steady_duration(0))));
  }

  void serve(QHttpServerRequest const& request, QHttpServerResponder reply) {
    using method = QHttpServerRequest::Method;
    auto const asked =
        events.at().read(request.method() == method::Get       ? "GET"
                         : request.method() == method::Head    ? "HEAD"
                         : request.method() == method::Options ? "OPTIONS"
                                                               : "other",
                         request.url().toEncoded().toStdString(), ssewire::http_version::http_1_1,
                         [&](char const* name) { return request.value(name).toStdString(); });
    auto const made = events.open(asked, request, ssewire::framing::chunked);
    auto const& said = made.response;
    reply.writeStatusLine(static_cast<QHttpServerResponder::StatusCode>(said.status));
    reply.writeHeader("Connection", "close");
    for (auto const& [name, value] : said.fields) {
      if (name != "Connection")
        reply.writeHeader(QByteArray(name.data(), static_cast<qsizetype>(name.size())), value.c_str());
    }
    if (!said.body.empty()) reply.writeHeader("Content-Length", QByteArray::number(said.body.size()));
    reply.writeBody(said.body.data(), static_cast<qint64>(said.body.size()));
    auto* const socket = reply.socket();
    if (!made.stream) return socket->disconnectFromHost();

    // Otherwise Qt would answer further requests in the middle of the stream, and keep what nobody reads.
    QObject::disconnect(socket, &QTcpSocket::readyRead, nullptr, nullptr);
    QObject::connect(socket, &QTcpSocket::readyRead, socket, [socket] { socket->readAll(); });
    socket->setSocketOption(QAbstractSocket::LowDelayOption, 1);
    int const ms = 60'000;  // after this time without an acknowledgement the client has gone
    setsockopt(static_cast<int>(socket->socketDescriptor()), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);

    auto const added =
        streams.add(writer{socket}, std::move(made.stream->from), {.body = ssewire::framing::chunked});
    if (!added) return socket->abort();
    QObject::connect(socket, &QTcpSocket::bytesWritten, &timer, [this, socket, id = *added] {
      if (socket->bytesToWrite() != 0) return;
      streams.writable(id);
      timer.start(0);
    });
    // The place is free when all that was written is sent, and so drain() waits for that, too.
    QObject::connect(socket, &QTcpSocket::disconnected, &timer, [this, id = *added, kept = made.stream] {
      streams.close(id, ssewire::close_reason::peer_gone);
    });
    timer.start(0);
  }
};

}  // namespace

int main(int argc, char** argv) {
  QCoreApplication qt(argc, argv);
  server s(argc > 1 ? std::stoul(argv[1]) : 1000);
  QHttpServer http;
  http.route("/events", [&](QHttpServerRequest const& request, QHttpServerResponder&& reply) {
    s.serve(request, std::move(reply));
  });
  auto const act = [&](auto how) {
    return [&s, how](QHttpServerRequest const& request) {
      auto const status =
          how(s.broker, request.url().toEncoded().toStdString(), request.body().toStdString());
      return QHttpServerResponse(static_cast<QHttpServerResponse::StatusCode>(status));
    };
  };
  http.route("/say", act(&app::say));
  http.route("/sign-out", act([](auto& broker, auto target, auto) { return app::sign_out(broker, target); }));
  std::cout << "http://127.0.0.1:" << http.listen(QHostAddress::LocalHost) << std::endl;
  std::thread stops([&] {
    app::wait_for_the_end();
    s.events.drain(std::chrono::seconds(3));
    QMetaObject::invokeMethod(&qt, &QCoreApplication::quit, Qt::QueuedConnection);
  });
  qt.exec();
  stops.join();
}
