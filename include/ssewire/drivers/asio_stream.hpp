// SPDX-License-Identifier: MIT
// asio_stream.hpp - one event stream on a connection of Asio, Boost.Asio or Boost.Beast, none of which it
// includes: the adapters name what they call alike.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/socket_options.hpp>
#include <ssewire/stream/options.hpp>
#include <ssewire/stream/source.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// Gives a connection's executor a task.
template <class Io, class Executor> struct asio_post {
  Executor to;
  template <class Task> void operator()(Task task) const { Io::post(to, std::move(task)); }
};

// Writes to a connection, and owns it.
template <class Io, class Stream, class Source> struct asio_writer {
  using stream = posted_stream<asio_writer, asio_post<Io, typename Stream::executor_type>, Source>;
  static constexpr bool has_tls = requires(Stream & s) {
    s.async_shutdown([](auto) {});
  };
  static constexpr auto patience = std::chrono::seconds(2);  // for the peer to read the rest

  Stream to;
  typename Io::timer timer;
  std::shared_ptr<void> kept;
  std::function<void(close_reason)> ended;
  stream* of = nullptr;
  std::array<char, 1024> unwanted = {};
  bool is_over = false;
  bool lingers = false;  // what was sent last is still on its way

  write_result write(buffers pieces) {
    auto const done = [s = of->shared_from_this()](auto error, std::size_t) { s->written(!error); };
    using part = typename Io::const_buffer;
    if (pieces.size() == 1) {  // without a list the socket is written to by send, not by sendmsg
      Io::async_write(to, part(pieces.front().data(), pieces.front().size()), done);
    } else {
      std::vector<part> parts;
      for (auto const piece : pieces) parts.emplace_back(piece.data(), piece.size());
      Io::async_write(to, parts, done);
    }
    return {write_status::pending, 0};
  }
  void on_closed(close_reason why, ending how) {
    is_over = true;
    kept.reset();
    timer.cancel();
    if (auto const tell = std::exchange(ended, nullptr)) tell(why);
    auto& below = Io::below(to);
    typename Io::error_code ignored;
    if (how == ending::cut) {
      below.set_option(typename Io::linger(true, 0), ignored);
      below.close(ignored);
      return;
    }
    lingers = true;
    below.cancel(ignored);  // the read goes on below, without or as a part of what ends the connection
    if constexpr (!has_tls) below.shutdown(std::decay_t<decltype(below)>::shutdown_send, ignored);
  }

  // Heartbeats, and the end of a peer that takes nothing.
  static void tick(std::shared_ptr<stream> const& s) {
    auto const next = s->poll(steady_time::clock::now());
    if (!next) return;
    s->writer().timer.expires_at(*next);
    s->writer().timer.async_wait([s](auto error) {
      if (!error) tick(s);
    });
  }
  // A peer that has sent its last byte may go on to read. One that has gone answers a comment with a reset.
  static void ask(std::shared_ptr<stream> const& s) {
    (void)s->comment("");
    auto& below = Io::below(s->writer().to);
    below.async_wait(std::decay_t<decltype(below)>::wait_error,
                     [s](auto) { s->close(close_reason::peer_gone); });
  }
  // What the client sends is thrown away: unread bytes would make a close a reset.
  static void hear(std::shared_ptr<stream> const& s) {
    auto& its = s->writer();
    its.to.async_read_some(Io::buffer(its.unwanted), [s, &its](auto error, std::size_t) {
      if (!error) return hear(s);
      if (!its.is_over && (has_tls || error != Io::eof)) return s->close(close_reason::peer_gone);
      if (!its.is_over) return ask(s);
      if (!std::exchange(its.lingers, false)) return its.timer.cancel(), void();
      its.timer.expires_after(patience);
      its.timer.async_wait([s, &its](auto) {
        typename Io::error_code ignored;
        Io::below(its.to).close(ignored);
      });
      if constexpr (has_tls) its.to.async_shutdown([s, &its](auto) { its.timer.cancel(); });
      if constexpr (!has_tls) hear(s);
    });
  }
};

}  // namespace detail

/// Serves one stream on a connection whose request was read. It lives until it has ended.
///
/// @tparam Io    What the adapters of Asio and Beast name alike.
/// @param to     The connection: a socket, or TLS on one.
/// @param from   The source: a subscription. Or no_source(): then the preamble is all that it sends.
/// @param how    With the response's head as its preamble.
/// @param kept   Is kept as long as the stream.
/// @param ended  Is called when the stream has ended, with the reason; it must not wait. Empty: nothing is.
/// @throws       std::bad_alloc; the connection is closed then.
/// @par Threads  The connection's executor; with several threads it must be a strand.
template <class Io, class Stream, class Source>
void asio_stream(Stream to, Source from, stream_options how, std::shared_ptr<void> kept = {},
                 std::function<void(close_reason)> ended = {}) {
  auto const executor = to.get_executor();
  using writer = detail::asio_writer<Io, Stream, Source>;
  using post = detail::asio_post<Io, typename Stream::executor_type>;
  set_socket_options(Io::below(to).native_handle());
  auto const s =
      post_stream(writer{std::move(to), typename Io::timer(executor), std::move(kept), std::move(ended)},
                  post{executor}, std::move(from), std::move(how));
  s->writer().of = s.get();
  writer::hear(s);
  if constexpr (std::is_same_v<Source, no_source>) s->finish();
  writer::tick(s);
}

/// Sends an answer, and serves its stream if it opens one; see asio_stream().
///
/// @param to     The connection.
/// @param what   What event_service::open_raw() returned.
/// @param ended  Is called when the answer's stream has ended.
template <class Io, class Stream, class Answer>
void asio_answer(Stream to, Answer what, std::function<void(close_reason)> ended = {}) {
  stream_options how = {.body = what.body, .preamble = std::move(what.bytes)};
  if (!what.stream) {
    asio_stream<Io>(std::move(to), no_source(), std::move(how), {}, std::move(ended));
  } else {
    auto from = std::move(what.stream->from);
    asio_stream<Io>(std::move(to), std::move(from), std::move(how), std::move(what.stream), std::move(ended));
  }
}

/// The same as an operation of Asio, which completes when the stream has ended, with its close_reason.
///
/// @param to     The connection.
/// @param what   What event_service::open_raw() returned.
/// @param token  How it completes: `asio::use_awaitable`, or a function.
template <class Io, class Stream, class Answer, class Token>
auto async_asio_answer(Stream to, Answer what, Token&& token) {
  auto const start = [](auto handler, Stream on, Answer with) {
    auto const executor = Io::executor_of(handler, on.get_executor());
    auto const its = std::make_shared<decltype(handler)>(std::move(handler));
    asio_answer<Io>(std::move(on), std::move(with), [its, executor](close_reason why) {
      Io::post(executor, [its, why] { std::move (*its)(why); });
    });
  };
  return Io::initiate(start, std::forward<Token>(token), std::move(to), std::move(what));
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
