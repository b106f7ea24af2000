// SPDX-License-Identifier: MIT
// proc_metrics.hpp - figures of this machine, each a small JSON object: something real to publish.
// Source: proc(5)

#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace demo {

/// Processor and network figures are differences, so they exist from the second sample on.
/// Not errors  a file that is missing or cannot be understood: its figure is absent until it can.
/// Threads     one sampler: one thread at a time.
class sampler {
 public:
  using clock = std::chrono::steady_clock;

  explicit sampler(std::string proc = "/proc") : proc_(std::move(proc)) {}

  /// Reads the files once. The functions below tell about the time between the last two calls.
  void sample(clock::time_point now);

  /// {"total":12.5,"cores":[20.0,5.0],"load":[0.42,0.40,0.38]}: percent; "load" is left out if unknown
  std::optional<std::string> cpu_json() const;

  /// {"total":16000000000,"available":9000000000,"used_percent":43.8}: bytes
  std::optional<std::string> mem_json() const;

  /// {"received":1200,"sent":300,"lo_received":0,"lo_sent":0}: bytes a second; all interfaces but lo, and lo
  std::optional<std::string> net_json() const;

 private:
  struct cpu_times {
    std::uint64_t busy = 0;
    std::uint64_t all = 0;
  };
  struct net_bytes {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };
  struct reading {
    clock::time_point when = {};
    std::map<int, cpu_times> cpus;  // by the number of the core, -1: all of them
    std::map<std::string, net_bytes> interfaces;
  };

  static double busy_percent(cpu_times before, cpu_times after);
  std::optional<std::string> contents(char const* name) const;
  std::map<int, cpu_times> read_cpus() const;
  std::map<std::string, net_bytes> read_interfaces() const;
  std::optional<std::string> read_memory() const;
  std::optional<std::string> read_load() const;

  std::string proc_;
  reading before_;
  reading after_;
  std::optional<std::string> memory_;
  std::optional<std::string> load_;
};

}  // namespace demo
