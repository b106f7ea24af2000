// SPDX-License-Identifier: MIT
// event_service.hpp - what the adapters of all servers share: an endpoint, its broker, who may have a stream,
// how many there are, and how they end.
#pragma once

#include <ssewire/broker/broker.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/extremes.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/drivers/open_stream.hpp>
#include <ssewire/http/endpoint.hpp>
#include <ssewire/http/refuse.hpp>
#include <ssewire/http/response_fields.hpp>
#include <ssewire/http/response_head.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Serves the requests of one endpoint from one broker. `Request` is the server's.
///
/// @par Lifetime  The broker must outlive it, and so must whoever holds an answer's place.
/// @par Threads   Any thread may make any call at any time.
template <class Request, class Traits = default_traits> class event_service {
 public:
  /// Says who a request is from, or refuses it.
  using authenticate = std::function<verdict(stream_request const&, Request const&)>;

  /// An open stream, which counts among most_streams as long as this lives.
  struct place {
    /// The stream's subscription. Give it to a driver.
    basic_subscription<Traits> from = {};

    /// One more stream.
    explicit place(std::shared_ptr<std::atomic<std::size_t>> count)
        : count_(std::move(count)), number_(++*count_) {}
    place(place const&) = delete;
    place& operator=(place const&) = delete;
    /// One less. The subscription ends before.
    ~place() {
      from.close();
      --*count_;
    }

   private:
    friend event_service;
    std::shared_ptr<std::atomic<std::size_t>> count_;
    std::size_t number_;  // of those that are open
  };

  /// The answer to a request.
  struct answer {
    /// What to send.
    http_response response = {};
    /// Null unless the response opens a stream.
    std::shared_ptr<place> stream = {};
  };

  /// The answer to a request on a connection that this program writes to itself.
  struct raw_answer {
    /// The head, and the body unless there is a stream: the stream's preamble.
    std::string bytes = {};
    /// How the stream is framed.
    framing body = framing::raw;
    /// As in `answer`.
    std::shared_ptr<place> stream = {};
  };

  /// A service of an endpoint with these options.
  ///
  /// @param events        The broker.
  /// @param at            The endpoint's options.
  /// @param who           Empty: everybody may have a stream, and it is nobody's.
  /// @param most_streams  Streams at the same time, beside the broker's own limits: as many as the server has
  ///   threads for, where each takes one.
  event_service(basic_broker<Traits>& events, endpoint_options at, authenticate who, std::size_t most_streams)
      : events_(events), at_(std::move(at)), who_(std::move(who)), most_streams_(most_streams) {}

  /// The endpoint: read() its requests by it.
  [[nodiscard]] endpoint const& at() const noexcept { return at_; }
  /// Streams that are open.
  [[nodiscard]] std::size_t streams() const noexcept { return *count_; }

  /// Asks your program who the request is from, and subscribes.
  ///
  /// @param asked    What at().read() returned.
  /// @param request  The server's request, for your program.
  /// @param body     Who frames the stream; see response_fields().
  /// @throws         std::bad_alloc, and what `authenticate` throws; then there is no stream.
  [[nodiscard]] answer open(stream_request const& asked, Request const& request,
                            framing body = framing::raw) {
    auto const as_of = events_.closes();
    auto who = asked && who_ ? who_(asked, request) : verdict();
    std::shared_ptr<place> its;
    if (asked.kind == request_kind::stream && who.refused == errc::ok) {
      its = std::make_shared<place>(count_);
      if (its->number_ > most_streams_) who.refused = errc::too_many_subscribers;
    }
    auto opened = open_stream(at_, events_, asked, who, as_of, steady_time::clock::now(), body);
    if (!opened.response.opens_stream) return {std::move(opened.response), {}};
    its->from = std::move(opened.from);
    return {std::move(opened.response), std::move(its)};
  }

  /// Reads a request, and opens it as open() does, for a connection of HTTP/1.x that ends with the answer.
  ///
  /// @param method   For this and the next three see endpoint::read().
  /// @param target   As it was sent.
  /// @param version  HTTP/1.0 or HTTP/1.1.
  /// @param field    `field(name)` returns the value of a request field.
  /// @param request  The server's request, for your program.
  /// @throws         As open().
  template <class Field>
  [[nodiscard]] raw_answer open_raw(optional_text method, optional_text target, http_version version,
                                    Field&& field, Request const& request) {
    auto const body = version == http_version::http_1_0 ? framing::raw : framing::chunked;
    auto made = open(at_.read(method, target, version, field), request, body);
    auto bytes = response_head(made.response) + made.response.body;
    return {std::move(bytes), made.stream ? body : framing::raw, std::move(made.stream)};
  }

  /// Ends all streams of the broker, each at its own time, and waits until those of this service have ended;
  /// or for a second more than `time`. Then stop the server. Call it on a thread that serves no streams.
  void drain(steady_duration time) {
    auto const began = steady_time::clock::now();
    // With no time at all, the tick that forces would come before a stream could end in order.
    auto const step = detail::larger(time / 50, steady_duration(std::chrono::milliseconds(10)));
    events_.drain(began, began + time);
    while (streams() != 0 && steady_time::clock::now() < began + time + std::chrono::seconds(1)) {
      std::this_thread::sleep_for(step);
      events_.tick(steady_time::clock::now());
    }
  }

 private:
  basic_broker<Traits>& events_;
  endpoint at_;
  authenticate who_;
  std::size_t most_streams_;
  std::shared_ptr<std::atomic<std::size_t>> count_ = std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
