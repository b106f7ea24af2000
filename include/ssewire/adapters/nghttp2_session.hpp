// SPDX-License-Identifier: MIT
// nghttp2_session.hpp - the responses of one session of nghttp2; the part of nghttp2.hpp for servers that
// make their own decisions.
#pragma once

#include <ssewire/adapters/nghttp2_stream.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/callback.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/drivers/timing.hpp>
#include <ssewire/http/refuse.hpp>

#include <nghttp2/nghttp2.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// The responses of one session.
///
/// @par Lifetime  Destroy it when the connection ends: nghttp2_session_del() reports no stream's end.
/// @par Threads   The session's. Publishers may be on any.
template <class Traits = default_traits> class nghttp2_streams {
  struct session;

 public:
  /// Wakes streams.
  struct task {
    /// Of which session. If it has ended, the task does nothing.
    std::weak_ptr<session> of;
    /// Call it once, on the session's thread, and not from a callback of nghttp2.
    void operator()() const {
      if (auto const its = of.lock()) its->act();
    }
  };

  /// @param to     The session.
  /// @param post   `post(task)` makes the session's thread call `task()` soon, but not at once. Publishers
  ///   call it on their threads. It must not wait for the session's.
  /// @param flush  `flush()` sends what the session has; resuming a stream does not. It may destroy this.
  nghttp2_streams(nghttp2_session* to, std::function<void(task)> post, std::function<void()> flush)
      : its_(std::make_shared<session>(to, std::move(post), std::move(flush))) {}
  nghttp2_streams& operator=(nghttp2_streams&&) = delete;
  /// Ends all streams.
  ~nghttp2_streams() { its_->open.clear(); }

  /// Submits a response, if its stream still exists. Without memory it resets the stream.
  ///
  /// @param id    The stream.
  /// @param what  The response.
  /// @param from  The subscription of the stream that the response opens, if it does.
  /// @param kept  Is kept as long as that stream.
  void respond(std::int32_t id, http_response const& what, basic_subscription<Traits> from = {},
               std::shared_ptr<void> kept = {}) noexcept {
    if (nghttp2_session_get_stream_local_close(its_->to, id) != 0) return;  // it has ended
    int error = NGHTTP2_ERR_NOMEM;
    detail::try_call([&] { error = its_->add(id, what, from, kept).submit(its_->to, id, what); });
    if (error != 0) nghttp2_submit_rst_stream(its_->to, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
  }

  /// A stream has ended: call it in on_stream_close_callback, for every stream.
  void closed(std::int32_t id) noexcept { its_->open.erase(id); }

  /// Lets time pass, for all streams: sends heartbeats, and resets streams whose client takes nothing.
  ///
  /// @return  When to call it again, if no stream opens before; nothing: never.
  std::optional<steady_time> poll(steady_time now) {
    auto const s = its_;  // flush() may destroy this
    std::optional<steady_time> next;
    for (auto& [id, each] : s->open) next = detail::earlier(next, each.poll(now));
    s->act();
    return next;
  }

 private:
  using stream = nghttp2_stream<Traits>;
  struct session : std::enable_shared_from_this<session> {
    session(nghttp2_session* its, std::function<void(task)>&& how, std::function<void()>&& send)
        : to(its), post(std::move(how)), flush(std::move(send)) {}
    stream& add(std::int32_t id, http_response const& what, basic_subscription<Traits>& from,
                std::shared_ptr<void>& kept) {
      if (!what.opens_stream) return open.try_emplace(id, what.body).first->second;
      return open.try_emplace(id, std::move(from), std::move(kept), callback<void()>::of(*this))
          .first->second;
    }
    void operator()() noexcept {  // on a publisher's thread
      if (is_posted.exchange(true)) return;
      if (!detail::try_call([&] { post({this->weak_from_this()}); })) is_posted = false;  // poll() does it
    }
    void act() {
      is_posted = false;  // first, because what is woken meanwhile must post again
      for (auto& [id, each] : open) each.act(to, id);
      flush();
    }

    nghttp2_session* to;
    std::function<void(task)> post;
    std::function<void()> flush;
    std::atomic<bool> is_posted{false};
    std::map<std::int32_t, stream> open;
  };

  std::shared_ptr<session> its_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
