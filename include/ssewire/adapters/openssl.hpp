// SPDX-License-Identifier: MIT
// openssl.hpp - a connection over TLS by OpenSSL, from 1.1.1, for the streams of sockets.hpp:
// `ssewire::socket_events<ssewire::tls_socket> events(broker, "news")`.
#pragma once

#include <ssewire/adapters/plain_socket.hpp>
#include <ssewire/core/writer.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {

/// Owns a TLS connection and its socket.
class tls_socket {
 public:
  /// After `again` OpenSSL wants the same bytes.
  static constexpr bool same_bytes_again = true;

  /// Takes a connection over whose handshake is done.
  ///
  /// @param tls  It has a socket of its own, by SSL_set_fd(); both are closed with this.
  /// @throws     std::logic_error if SIGPIPE has its default action. OpenSSL writes so that it is raised, and
  ///   the first closed tab would end the process. Call `signal(SIGPIPE, SIG_IGN)`.
  explicit tls_socket(SSL* tls) : tls_(tls), below_(::SSL_get_fd(tls)) {
    struct sigaction now = {};
    if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
      throw std::logic_error("ssewire::tls_socket: ignore SIGPIPE, or a closed tab ends this process");
    // A gathered write of the library's is larger than a record.
    ::SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }

  /// The connection.
  [[nodiscard]] SSL* tls() const noexcept { return tls_.get(); }
  /// Its socket; -1: it is closed.
  [[nodiscard]] int fd() const noexcept { return below_.fd(); }

  /// Encrypts and sends what the kernel has room for.
  write_result write(buffers pieces) noexcept {
    auto const piece = pieces.front();  // the others are offered again
    ::ERR_clear_error();
    std::size_t taken = 0;
    int const done = ::SSL_write_ex(tls_.get(), piece.data(), piece.size(), &taken);
    if (done == 1) return {write_status::ok, taken};
    return {is_patient(done) ? write_status::again : write_status::closed, 0};
  }
  /// Reads, and throws away.
  arrival discard() noexcept {
    char unwanted[4096];
    ::ERR_clear_error();
    std::size_t got = 0;
    int const done = ::SSL_read_ex(tls_.get(), unwanted, sizeof unwanted, &got);
    if (done == 1) return arrival::more;
    if (is_patient(done)) return arrival::nothing;
    // With OpenSSL 3 an end without a farewell is an error of the protocol. Nothing that counts is cut off.
    return ::SSL_get_error(tls_.get(), done) == SSL_ERROR_ZERO_RETURN ? arrival::end : below_.discard();
  }
  /// Sends the end, after all that was written.
  void finish() noexcept {
    ::ERR_clear_error();
    (void)::SSL_shutdown(tls_.get());
    below_.finish();
  }
  /// Closes with a reset.
  void cut() noexcept { below_.cut(); }
  /// Closes.
  void close() noexcept { below_.close(); }

 private:
  [[nodiscard]] bool is_patient(int done) const noexcept {
    int const why = ::SSL_get_error(tls_.get(), done);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
  }
  struct deleter {
    void operator()(SSL* tls) const noexcept { ::SSL_free(tls); }
  };

  std::unique_ptr<SSL, deleter> tls_;
  plain_socket below_;
};

}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
