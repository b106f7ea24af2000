// SPDX-License-Identifier: MIT
// evhttp_writer.hpp - writes one event stream to a request of evhttp; the part of evhttp.hpp for servers that
// make their own decisions. Its driver is a reactor on the thread of evhttp's loop.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/socket_options.hpp>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Writes to a request whose reply it has begun.
class evhttp_writer {
 public:
  /// What happens to the reply: call the reactor's writable() and close(). Set them after its add().
  struct events {
    /// What was written is sent.
    std::function<void()> writable = {};
    /// The client has gone. It ends the stream.
    std::function<void()> gone = {};
    /// Is kept as long as the writer.
    std::shared_ptr<void> kept = {};
  };

  /// Begins a reply with status 200; its fields are set already.
  explicit evhttp_writer(evhttp_request* request) : its_(std::make_unique<reply>(reply{request, {}})) {
    auto* const connection = evhttp_request_get_connection(request);
    evhttp_connection_set_closecb(connection, &on_gone, its_.get());
    evhttp_send_reply_start(request, HTTP_OK, "OK");
    auto* const below = evhttp_connection_get_bufferevent(connection);
    set_socket_options(bufferevent_getfd(below));
    bufferevent_enable(below, EV_READ);  // or evhttp does not look whether the client is still there
  }

  /// Where to say what happens to the reply.
  [[nodiscard]] events& on() noexcept { return its_->on; }

  /// Takes bytes while less than 64 KiB wait.
  write_result write(buffers pieces) {
    constexpr std::size_t most_waiting = 64 * 1024;
    auto* const connection = evhttp_request_get_connection(its_->to);
    auto* const waiting = bufferevent_get_output(evhttp_connection_get_bufferevent(connection));
    if (evbuffer_get_length(waiting) >= most_waiting) return {write_status::again, 0};
    std::unique_ptr<evbuffer, decltype(&evbuffer_free)> const chunk(evbuffer_new(), &evbuffer_free);
    std::size_t taken = 0;
    for (auto const piece : pieces) {
      if (chunk == nullptr || evbuffer_add(chunk.get(), piece.data(), piece.size()) != 0) break;
      taken += piece.size();
    }
    if (taken == 0) return {write_status::closed, 0};  // no memory
    evhttp_send_reply_chunk_with_cb(its_->to, chunk.get(), &on_sent, its_.get());
    return {write_status::ok, taken};
  }

  /// Ends the reply, or cuts its connection.
  void on_closed(close_reason, ending how) {
    if (its_->to == nullptr) return;  // the client has gone, and evhttp has freed the connection
    auto* const request = std::exchange(its_->to, nullptr);
    auto* const connection = evhttp_request_get_connection(request);
    evhttp_connection_set_closecb(connection, nullptr, nullptr);
    if (how == ending::cut) {
      evhttp_connection_free(connection);
    } else {
      evhttp_send_reply_end(request);
    }
  }

 private:
  // It stays where it is while its writer is moved.
  struct reply {
    evhttp_request* to;
    events on;
  };

  static void on_gone(evhttp_connection*, void* self) {
    auto* const request = std::exchange(static_cast<reply*>(self)->to, nullptr);
    auto const gone = std::move(static_cast<reply*>(self)->on.gone);
    if (gone) gone();  // destroys the reply
    // evhttp no longer owns the request. This call frees it.
    if (evhttp_request_get_connection(request) == nullptr) evhttp_send_reply_end(request);
  }
  static void on_sent(evhttp_connection*, void* self) {
    if (auto const writable = static_cast<reply*>(self)->on.writable) writable();
  }

  std::unique_ptr<reply> its_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
