// SPDX-License-Identifier: MIT
// options.hpp - the demo's command line.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace demo {

struct options {
  std::string host = "127.0.0.1";           ///< only this machine, unless told otherwise
  std::uint16_t port = 8080;                ///< 0: any free one
  std::size_t log = 1000;                   ///< events the log of each channel holds
  std::chrono::milliseconds interval{1000};    ///< between two samples of the machine
  std::chrono::milliseconds heartbeat{15000};  ///< silence on a stream before a heartbeat
  std::size_t send_buffer = 0;              ///< bytes, SO_SNDBUF of each connection; 0: the kernel's choice
  bool help = false;                        ///< `--help` was given; the rest was not looked at
};

/// Truth means success. Otherwise `error` is one line that names the option.
struct parsed_options {
  options value = {};
  std::string error = {};

  explicit operator bool() const noexcept { return error.empty(); }
};

/// Input       the arguments of main; `argv[0]` is skipped.
/// Not errors  an option given twice: the last one counts.
parsed_options parse_options(int argc, char const* const* argv);

/// What `--help` prints.
std::string usage(std::string const& program);

}  // namespace demo
