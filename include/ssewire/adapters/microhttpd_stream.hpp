// SPDX-License-Identifier: MIT
// microhttpd_stream.hpp - one event stream as the body of a response of libmicrohttpd; the part of
// microhttpd.hpp for servers that make their own decisions.
#pragma once

#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/socket_options.hpp>

#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The streams of a daemon, and a thread that looks at them five times a second: for heartbeats, and for
/// clients that go while their connection is suspended, which libmicrohttpd does not notice.
///
/// @par Lifetime  It must outlive the daemon.
template <class Traits = default_traits> class microhttpd_streams {
 public:
  microhttpd_streams() : watches_([this] { watch(); }) {}
  ~microhttpd_streams() { ending_ = true, watches_.join(); }

  /// A response whose body is this stream; null as libmicrohttpd has it. Queue it at once.
  ///
  /// @param to    The connection; the daemon has MHD_ALLOW_SUSPEND_RESUME.
  /// @param from  The stream's subscription.
  /// @param kept  Is kept as long as the stream.
  /// @throws      std::bad_alloc.
  MHD_Response* response(MHD_Connection* to, basic_subscription<Traits> from,
                         std::shared_ptr<void> kept = {}) {
    auto its = std::make_unique<stream>(*this, to, std::move(from), std::move(kept));
    auto* const made =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, &stream::read, its.get(),
                                          [](void* self) { delete static_cast<stream*>(self); });
    if (made != nullptr) (void)its.release();
    return made;
  }

 private:
  struct stream {
    stream(microhttpd_streams& all, MHD_Connection* connection, basic_subscription<Traits>&& from,
           std::shared_ptr<void>&& what)
        : of(all), to(connection),
          socket(MHD_get_connection_info(to, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd),
          kept(std::move(what)), body(std::move(from)) {
      set_socket_options(socket), body.set_hook(wake_hook::of(*this));
      std::unique_lock const held(of.guard_);
      of.open_.insert(this);
    }
    ~stream() {
      std::unique_lock const held(of.guard_);
      of.open_.erase(this);
    }

    // Only what is suspended may be resumed.
    void operator()(wake why) noexcept {
      why == wake::ready ? MHD_resume_connection(to) : void(::shutdown(socket, SHUT_RDWR));
    }
    static ssize_t read(void* self, std::uint64_t, char* bytes, std::size_t n) {
      auto& s = *static_cast<stream*>(self);
      std::unique_lock const held(s.of.guard_);
      auto const got = s.body.read(bytes, n);
      if (got.status == read_status::bytes) return static_cast<ssize_t>(got.bytes);
      if (got.status == read_status::complete) return MHD_CONTENT_READER_END_OF_STREAM;
      if (got.status == read_status::cut) return MHD_CONTENT_READER_END_WITH_ERROR;
      MHD_suspend_connection(s.to);  // before it is parked
      if (!s.body.park()) MHD_resume_connection(s.to);
      return 0;
    }

    // A client that has sent its last byte may have gone: then it answers a comment with a reset.
    void look(steady_time now) {
      pollfd peer = {socket, POLLRDHUP, 0};
      ::poll(&peer, 1, 0);
      if ((peer.revents & (POLLERR | POLLHUP)) != 0) return body.close(close_reason::peer_gone);
      if ((peer.revents & POLLRDHUP) != 0 && !std::exchange(asked, true)) (void)body.comment("");
      body.poll(now);
    }
    microhttpd_streams& of;
    MHD_Connection* to;
    int socket;
    bool asked = false;
    std::shared_ptr<void> kept;
    pull_stream<basic_subscription<Traits>> body;  // last: it ends before what its hook needs
  };

  void watch() {
    for (; !ending_; std::this_thread::sleep_for(std::chrono::milliseconds(200))) {
      std::unique_lock const held(guard_);
      for (auto* const each : open_) each->look(steady_time::clock::now());
    }
  }

  std::mutex guard_;  // of open_ and of all calls into streams
  std::set<stream*> open_;
  std::atomic<bool> ending_{false};
  std::thread watches_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
