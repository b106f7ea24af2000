// SPDX-License-Identifier: MIT
// options.cpp - the demo's command line.

#include "options.hpp"

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace demo {
namespace {

struct range {
  std::uint64_t least;
  std::uint64_t most;
};

constexpr range port_range{0, 65535};
constexpr range log_range{1, 1'000'000};
constexpr range interval_range{50, 60'000};
constexpr range heartbeat_range{50, 3'600'000};
constexpr range send_buffer_range{0, 16 * 1024 * 1024};

std::optional<std::uint64_t> number_in(std::string_view text, range allowed) {
  std::uint64_t value = 0;
  auto const* last = text.data() + text.size();
  auto const [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc{} || end != last) return std::nullopt;
  if (value < allowed.least || value > allowed.most) return std::nullopt;
  return value;
}

std::string out_of_range(std::string_view name, std::string_view text, range allowed) {
  return std::string(name) + ": '" + std::string(text) + "' is not a number from " +
         std::to_string(allowed.least) + " to " + std::to_string(allowed.most);
}

/// Puts one option's value in its place. Returns the error, empty on success.
std::string apply(options& to, std::string_view name, std::string_view text) {
  auto const number = [&](range allowed, auto store) -> std::string {
    auto const value = number_in(text, allowed);
    if (!value) return out_of_range(name, text, allowed);
    store(*value);
    return {};
  };
  auto const milliseconds = [](std::uint64_t n) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(n));
  };
  if (name == "--host") {
    if (text.empty()) return "--host: the address is empty";
    to.host = text;
    return {};
  }
  if (name == "--port") return number(port_range, [&](auto n) { to.port = static_cast<std::uint16_t>(n); });
  if (name == "--log") return number(log_range, [&](auto n) { to.log = static_cast<std::size_t>(n); });
  if (name == "--interval") return number(interval_range, [&](auto n) { to.interval = milliseconds(n); });
  if (name == "--heartbeat") return number(heartbeat_range, [&](auto n) { to.heartbeat = milliseconds(n); });
  return number(send_buffer_range, [&](auto n) { to.send_buffer = static_cast<std::size_t>(n); });
}

bool takes_value(std::string_view name) {
  return name == "--host" || name == "--port" || name == "--log" || name == "--interval" ||
         name == "--heartbeat" || name == "--send-buffer";
}

}  // namespace

parsed_options parse_options(int argc, char const* const* argv) {
  parsed_options result;
  for (int i = 1; i < argc; ++i) {
    std::string_view const argument = argv[i];
    auto const equals = argument.substr(0, 2) == "--" ? argument.find('=') : std::string_view::npos;
    auto const name = argument.substr(0, equals);

    if (argument == "--help" || argument == "-h") {
      result.value.help = true;
      return result;
    }
    if (!takes_value(name)) {
      result.error = "unknown option '" + std::string(argument) + "'; --help lists them";
      return result;
    }
    std::string_view text;
    if (equals != std::string_view::npos) {
      text = argument.substr(equals + 1);
    } else if (i + 1 < argc) {
      text = argv[++i];
    } else {
      result.error = std::string(name) + ": the value is missing";
      return result;
    }
    result.error = apply(result.value, name, text);
    if (!result.error.empty()) return result;
  }
  return result;
}

std::string usage(std::string const& program) {
  return "usage: " + program +
         " [options]\n"
         "  --host ADDR          address or name to listen on (127.0.0.1)\n"
         "  --port N             port to listen on, 0 for any free one (8080)\n"
         "  --log N              events the log of each channel holds (1000)\n"
         "  --interval MS        time between two samples of the machine (250)\n"
         "  --heartbeat MS       silence on a stream before a heartbeat (15000)\n"
         "  --send-buffer BYTES  SO_SNDBUF of each connection, 0 for the kernel's choice (0)\n"
         "  --help               this text\n";
}

}  // namespace demo
