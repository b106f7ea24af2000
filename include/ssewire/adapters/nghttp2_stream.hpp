// SPDX-License-Identifier: MIT
// nghttp2_stream.hpp - one response of nghttp2, an event stream or a text; the part of nghttp2.hpp for
// servers that make their own decisions and keep their own streams.
#pragma once

#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/callback.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/http/refuse.hpp>

#include <nghttp2/nghttp2.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// One response. It is not movable.
///
/// @par Lifetime  Until on_stream_close_callback is called for its stream, or the connection ends.
/// @par Threads   The session's.
template <class Traits = default_traits> class nghttp2_stream {
 public:
  /// A response that opens a stream.
  ///
  /// @param from  The stream's subscription.
  /// @param kept  Is kept until the stream ends.
  /// @param wake  Makes the session's thread call act(). Publishers call it on their threads.
  nghttp2_stream(basic_subscription<Traits> from, std::shared_ptr<void> kept, callback<void()> wake)
      : wake_(wake), kept_(std::move(kept)), events_(std::move(from)) {
    events_.set_hook(wake_hook::of(*this));
  }
  /// Another response, with its body.
  explicit nghttp2_stream(std::string body) : text_(std::move(body)), is_text_(true) {}

  /// Submits the response. Then, as after all calls, send what the session has.
  ///
  /// @return  As nghttp2_submit_response().
  /// @throws  std::bad_alloc.
  int submit(nghttp2_session* to, std::int32_t id, http_response const& what) {
    std::vector<nghttp2_nv> fields;
    auto const add = [&](std::string_view name, std::string_view value) {
      auto* const bytes = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
      auto* const more = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
      fields.push_back({bytes, more, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    };
    auto const status = std::to_string(what.status);
    add(":status", status);
    for (auto const& [name, value] : what.fields) add(name, value);
    nghttp2_data_provider const body = {{.ptr = this}, &read};
    bool const has_body = !is_text_ || !text_.empty();
    return nghttp2_submit_response(to, id, fields.data(), fields.size(), has_body ? &body : nullptr);
  }

  /// Resumes the stream, or resets it and no other, if it was woken for that.
  void act(nghttp2_session* in, std::int32_t id) noexcept {
    if (is_evicted_.exchange(false)) {
      nghttp2_submit_rst_stream(in, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
      kept_.reset();  // now: the connection may send nothing for long
    } else if (is_ready_.exchange(false)) {
      nghttp2_session_resume_data(in, id);
    }
  }

  /// See pull_stream::poll().
  std::optional<steady_time> poll(steady_time now) noexcept { return events_.poll(now); }

  /// The stream's hook.
  void operator()(wake why) noexcept {
    (why == wake::ready ? is_ready_ : is_evicted_) = true;
    wake_();
  }

 private:
  static ssize_t read(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t n, std::uint32_t* flags,
                      nghttp2_data_source* from, void*) {
    auto& s = *static_cast<nghttp2_stream*>(from->ptr);
    auto* const bytes = reinterpret_cast<char*>(to);
    if (s.is_text_) {
      auto const taken = s.text_.copy(bytes, n);
      s.text_.erase(0, taken);
      if (s.text_.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return static_cast<ssize_t>(taken);
    }
    for (;;) {
      auto const got = s.events_.read(bytes, n);
      if (got.status == read_status::complete) *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (got.status == read_status::cut) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
      if (got.status != read_status::nothing) return static_cast<ssize_t>(got.bytes);
      if (s.events_.park()) return NGHTTP2_ERR_DEFERRED;  // only now: it is deferred when this has returned
    }
  }

  callback<void()> wake_ = {};
  std::string text_;
  bool is_text_ = false;
  std::atomic<bool> is_ready_{false};
  std::atomic<bool> is_evicted_{false};
  std::shared_ptr<void> kept_;
  pull_stream<basic_subscription<Traits>> events_{
      basic_subscription<Traits>()};  // last: its hook needs these
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
