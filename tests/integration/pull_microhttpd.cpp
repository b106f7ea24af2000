// SPDX-License-Identifier: MIT
// pull_microhttpd.cpp - event streams of a libmicrohttpd server, by pull_stream. Prints its port. Then each
// line of its input is an order: "publish <data>", "wait <n>" (until it has n subscribers), or "stop".
// pull_microhttpd_test.py drives it; so does reload_storm_test.py, with an argument that limits users (see
// user_limits.hpp) and leaves the heartbeats as they are by default.
#include <ssewire/ssewire.hpp>

#include "user_limits.hpp"
#include <microhttpd.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

// ---- the adapter ----

class mhd_stream;

struct mhd_streams {
  std::mutex guard;  // of all calls into streams: the server's thread reads them, the timer's polls them
  std::vector<mhd_stream*> all;
};

class mhd_stream {
 public:
  mhd_stream(mhd_streams& of, MHD_Connection* to, ssewire::subscription from, ssewire::timing_options timing)
      : of_(of), connection_(to),
        socket_(MHD_get_connection_info(to, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd),
        stream_(std::move(from), {}, timing) {
    stream_.set_hook(ssewire::wake_hook::of(*this));
    std::unique_lock const held(of_.guard);
    of_.all.push_back(this);
  }
  ~mhd_stream() {
    std::unique_lock const held(of_.guard);
    std::erase(of_.all, this);
  }

  // On a publisher's thread, or the timer's. Only what is suspended may be resumed.
  void operator()(ssewire::wake why) noexcept {
    why == ssewire::wake::ready ? MHD_resume_connection(connection_) : void(::shutdown(socket_, SHUT_RDWR));
  }

  static ssize_t read(void* self, std::uint64_t, char* to, std::size_t n) {
    auto& s = *static_cast<mhd_stream*>(self);
    std::unique_lock const held(s.of_.guard);
    auto const got = s.stream_.read(to, n);
    switch (got.status) {
    case ssewire::read_status::bytes: return static_cast<ssize_t>(got.bytes);
    case ssewire::read_status::complete: return MHD_CONTENT_READER_END_OF_STREAM;
    case ssewire::read_status::cut: return MHD_CONTENT_READER_END_WITH_ERROR;
    case ssewire::read_status::nothing: break;
    }
    MHD_suspend_connection(s.connection_);  // first this
    if (!s.stream_.park()) MHD_resume_connection(s.connection_);
    return 0;
  }
  static void free(void* self) { delete static_cast<mhd_stream*>(self); }

  // Each second it looks at the socket, because a suspended connection does not.
  void poll(ssewire::steady_time now) {
    stream_.poll(now);
    if (now < next_look_) return;
    next_look_ = now + 1s;
    char byte = 0;
    auto const got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0) (void)stream_.send({});  // gone, or only silent from now on: a blank line finds out
    if (got < 0 && errno != EAGAIN) stream_.close(ssewire::close_reason::peer_gone);
  }

 private:
  mhd_streams& of_;
  MHD_Connection* connection_;
  int socket_;
  ssewire::steady_time next_look_;
  ssewire::pull_stream<ssewire::subscription> stream_;  // last: it ends before what its hook needs
};

// ---- a server ----

struct server {
  ssewire::timing_options timing;
  ssewire::broker broker;
  mhd_streams streams;

  explicit server(std::string_view mode) : broker(options(mode)) {
    if (mode.empty()) timing = {.heartbeat = 200ms, .stall_time = 3s};
  }

  static ssewire::broker_options options(std::string_view mode) {
    ssewire::broker_options its = {.replay = {.max_bytes = 64 << 20}};
    limit_users(mode, its);
    return its;
  }

  static std::string_view value_of(MHD_Connection* to, MHD_ValueKind kind, char const* name) {
    auto const* const value = MHD_lookup_connection_value(to, kind, name);
    return value == nullptr ? std::string_view() : value;
  }

  static MHD_Result refuse(MHD_Connection* to, ssewire::errc why) {
    bool const program =
        MHD_lookup_connection_value_n(to, MHD_GET_ARGUMENT_KIND, "program", 7, nullptr, nullptr);
    auto no = refused(why, program ? "program" : "");
    auto* const response =
        MHD_create_response_from_buffer(no.body.size(), no.body.data(), MHD_RESPMEM_MUST_COPY);
    for (auto const& field : no.fields)
      MHD_add_response_header(response, std::string(field.name).c_str(), field.value.c_str());
    auto const queued = MHD_queue_response(to, static_cast<unsigned>(no.status), response);
    MHD_destroy_response(response);
    return queued;
  }

  static MHD_Result handle(void* self, MHD_Connection* to, char const*, char const*, char const*, char const*,
                           std::size_t*, void**) {
    auto& s = *static_cast<server*>(self);
    auto joined = s.broker.subscribe("news", {.last_event_id = value_of(to, MHD_HEADER_KIND, "Last-Event-ID"),
                                              .user = value_of(to, MHD_GET_ARGUMENT_KIND, "user")});
    if (!joined) return refuse(to, joined.error);
    auto* const stream = new mhd_stream(s.streams, to, std::move(joined.value), s.timing);
    auto* const response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, &mhd_stream::read,
                                                             stream, &mhd_stream::free);
    for (auto const& field : ssewire::response_fields(ssewire::http_version::http_1_1))
      MHD_add_response_header(response, std::string(field.name).c_str(), std::string(field.value).c_str());
    auto const queued = MHD_queue_response(to, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return queued;
  }
};

int main(int count, char** arguments) {
  server s(count > 1 ? arguments[1] : "");
  auto* const daemon = MHD_start_daemon(MHD_ALLOW_SUSPEND_RESUME | MHD_USE_EPOLL_INTERNAL_THREAD, 0, nullptr,
                                        nullptr, &server::handle, &s, MHD_OPTION_END);
  if (daemon == nullptr) return 1;
  std::cout << "port " << MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port << std::endl;

  std::atomic<bool> stop{false};
  std::thread timer([&] {
    for (; !stop.load(); std::this_thread::sleep_for(50ms)) {
      std::unique_lock const held(s.streams.guard);
      for (auto* const stream : s.streams.all) stream->poll(ssewire::steady_time::clock::now());
    }
  });
  auto const wait_for = [&](std::uint64_t n) {
    while (s.broker.subscribers("news") != n) std::this_thread::sleep_for(1ms);
  };

  std::string order;
  while (std::cin >> order && order != "stop") {
    if (order == "publish") {
      std::string data;
      std::cin >> data;
      s.broker.publish("news", {.data = data});
    } else if (order == "publish_large") {
      s.broker.publish("news", {.data = std::string(1'000'000, 'l')});
    } else if (order == "wait") {
      std::uint64_t n = 0;
      std::cin >> n;
      wait_for(n);
    }
    std::cout << "done" << std::endl;
  }
  // The order of a shutdown: libmicrohttpd must not be stopped while connections are suspended.
  auto const began = ssewire::steady_time::clock::now();
  s.broker.drain(began, began + 1s);
  for (auto now = began; s.broker.stats().subscribers != 0 && now < began + 2s;
       now = ssewire::steady_time::clock::now()) {
    s.broker.tick(now);  // from the deadline on, who is left goes by force
    std::this_thread::sleep_for(1ms);
  }
  MHD_quiesce_daemon(daemon);
  for (bool left = true; left; std::this_thread::sleep_for(1ms)) {
    std::unique_lock const held(s.streams.guard);
    left = !s.streams.all.empty();
  }
  MHD_stop_daemon(daemon);
  stop = true;
  timer.join();
  std::cout << "stopped, subscribers " << s.broker.stats().subscribers << std::endl;
  say_reasons(s.broker);
}
