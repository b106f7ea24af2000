// SPDX-License-Identifier: MIT
// beast_stream.hpp - one event stream on a connection of Boost.Beast; the part of beast.hpp for servers that
// make their own decisions.
#pragma once

#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/stream/options.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

namespace detail {

// Gives a connection's executor a task.
struct beast_post {
  boost::beast::tcp_stream::executor_type to;
  template <class Task> void operator()(Task task) const { boost::asio::post(to, std::move(task)); }
};

// Writes to a connection, and owns it.
template <class Stream, class Source> struct beast_writer {
  using stream = posted_stream<beast_writer, beast_post, Source>;
  static constexpr bool has_tls = requires(Stream & s) {
    s.async_shutdown([](boost::system::error_code) {});
  };

  Stream to;
  boost::asio::steady_timer timer;
  std::shared_ptr<void> kept;
  stream* of = nullptr;
  std::array<char, 1024> unwanted = {};
  bool is_over = false;
  bool lingers = false;  // what was sent last is still on its way

  write_result write(buffers pieces) {
    std::vector<boost::asio::const_buffer> parts;
    for (auto const piece : pieces) parts.emplace_back(piece.data(), piece.size());
    boost::asio::async_write(to, parts,
                             [s = of->shared_from_this()](auto error, std::size_t) { s->written(!error); });
    return {write_status::pending, 0};
  }
  void on_closed(close_reason, ending how) {
    is_over = true;
    timer.cancel();
    auto& below = boost::beast::get_lowest_layer(to);
    if (how == ending::cut) return below.close();
    below.cancel();  // the read: a limit of time is for reads that begin after it
    lingers = true;
    if constexpr (!has_tls) {
      boost::system::error_code ignored;
      below.socket().shutdown(boost::asio::socket_base::shutdown_send, ignored);
    }
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
  // What the client sends is thrown away: unread bytes would make a close a reset. Its end is the stream's.
  static void listen(std::shared_ptr<stream> const& s) {
    auto& its = s->writer();
    its.to.async_read_some(boost::asio::buffer(its.unwanted), [s, &its](auto error, std::size_t) {
      if (!error) return listen(s);
      if (!its.is_over) return s->close(close_reason::peer_gone);
      if (!std::exchange(its.lingers, false)) return;
      boost::beast::get_lowest_layer(its.to).expires_after(std::chrono::seconds(2));
      if constexpr (has_tls) its.to.async_shutdown([s](boost::system::error_code) {});
      if constexpr (!has_tls) listen(s);
    });
  }
};

}  // namespace detail

/// Serves one stream on a connection whose request was read. It lives until it has ended.
///
/// @param to    The connection.
/// @param from  The source: a subscription. Or nothing: then the stream sends only the preamble, and ends.
/// @param how   With the response's head as its preamble.
/// @param kept  Is kept as long as the stream.
/// @par Threads  The connection's executor; with several threads it must be a strand.
template <class Stream, class Source = no_source>
void beast_stream(Stream to, Source from, stream_options how, std::shared_ptr<void> kept = {}) {
  auto const executor = to.get_executor();
  using writer = detail::beast_writer<Stream, Source>;
  auto const s = post_stream(writer{std::move(to), boost::asio::steady_timer(executor), std::move(kept)},
                             detail::beast_post{executor}, std::move(from), std::move(how));
  s->writer().of = s.get();
  writer::listen(s);
  if constexpr (std::is_same_v<Source, no_source>) s->finish();
  writer::tick(s);
}

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
