// SPDX-License-Identifier: MIT
// options.hpp - the demo's command line.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace demo {

struct options {
  /// Only this machine, unless told otherwise.
  std::string host = "127.0.0.1";
  /// 0: any free one.
  std::uint16_t port = 8080;
  /// Events the log of each channel holds.
  std::size_t log = 1000;
  /// Between two samples of the machine.
  std::chrono::milliseconds interval{250};
  /// Silence on a stream before a heartbeat.
  std::chrono::milliseconds heartbeat{15000};
  /// Bytes, SO_SNDBUF of each connection; 0: the kernel's choice.
  std::size_t send_buffer = 0;
  /// `--help` was given; the rest was not looked at.
  bool help = false;
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
