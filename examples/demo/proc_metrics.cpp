// SPDX-License-Identifier: MIT
// proc_metrics.cpp - figures of this machine, each a small JSON object: something real to publish.
// Source: proc(5)

#include "proc_metrics.hpp"

#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <locale>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace demo {
namespace {

// Not a stream: JSON wants a point whatever the locale is.
std::string decimal(double value, int places) {
  char text[64];
  auto const [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, places);
  return error == std::errc{} ? std::string(text, end) : "0";
}

double percent(double part, double whole) { return whole > 0 ? 100.0 * part / whole : 0.0; }

// A counter that went back (an interface set up anew, iowait by design) counts as one that stood still.
std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after > before ? after - before : 0;
}

}  // namespace

std::optional<std::string> sampler::contents(char const* name) const {
  std::ifstream file(proc_ + "/" + name);
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad() || text.empty()) return std::nullopt;
  return text;
}

void sampler::sample(clock::time_point now) {
  before_ = std::move(after_);
  after_ = {now, read_cpus(), read_interfaces()};
  memory_ = read_memory();
  load_ = read_load();
}

// "cpu  user nice system idle iowait irq softirq steal guest guest_nice", then the same for cpu0, cpu1...
std::map<int, sampler::cpu_times> sampler::read_cpus() const {
  std::map<int, cpu_times> cpus;
  std::istringstream lines(contents("stat").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, 3, "cpu") != 0) continue;
    std::istringstream words(line.substr(3));
    int core = -1;
    if (line.size() > 3 && line[3] != ' ') words >> core;
    cpu_times times;
    std::uint64_t ticks = 0;
    int column = 0;
    // The two guest columns are within user and nice already.
    for (; column < 8 && words >> ticks; ++column) {
      bool const idle = column == 3 || column == 4;
      times.all += ticks;
      if (!idle) times.busy += ticks;
    }
    if (column >= 4) cpus[core] = times;
  }
  return cpus;
}

// Two lines of headings, then "name: received_bytes (7 more) sent_bytes ..."
std::map<std::string, sampler::net_bytes> sampler::read_interfaces() const {
  std::map<std::string, net_bytes> interfaces;
  std::istringstream lines(contents("net/dev").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    auto const colon = line.rfind(':');
    if (colon == std::string::npos) continue;
    auto const first = line.find_first_not_of(' ');
    std::istringstream numbers(line.substr(colon + 1));
    net_bytes bytes;
    std::uint64_t skipped = 0;
    numbers >> bytes.received;
    for (int i = 0; i < 7; ++i) numbers >> skipped;
    if (numbers >> bytes.sent) interfaces[line.substr(first, colon - first)] = bytes;
  }
  return interfaces;
}

std::optional<std::string> sampler::read_memory() const {
  std::istringstream lines(contents("meminfo").value_or(""));
  std::optional<std::uint64_t> total;
  std::optional<std::uint64_t> available;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kibibytes = 0;
    if (!(words >> name >> kibibytes)) continue;
    if (name == "MemTotal:") total = kibibytes * 1024;
    if (name == "MemAvailable:") available = kibibytes * 1024;
  }
  if (!total || !available) return std::nullopt;
  auto const used = percent(static_cast<double>(growth(*available, *total)), static_cast<double>(*total));
  std::string json = "{\"total\":";
  json.append(std::to_string(*total)).append(",\"available\":").append(std::to_string(*available));
  return json.append(",\"used_percent\":").append(decimal(used, 1)).append("}");
}

std::optional<std::string> sampler::read_load() const {
  std::istringstream words(contents("loadavg").value_or(""));
  words.imbue(std::locale::classic());
  double one = 0;
  double five = 0;
  double fifteen = 0;
  if (!(words >> one >> five >> fifteen)) return std::nullopt;
  std::string json = "[";
  json.append(decimal(one, 2)).append(",").append(decimal(five, 2));
  return json.append(",").append(decimal(fifteen, 2)).append("]");
}

double sampler::busy_percent(cpu_times before, cpu_times after) {
  return percent(static_cast<double>(growth(before.busy, after.busy)),
                 static_cast<double>(growth(before.all, after.all)));
}

std::optional<std::string> sampler::cpu_json() const {
  auto const before = before_.cpus.find(-1);
  auto const after = after_.cpus.find(-1);
  if (before == before_.cpus.end() || after == after_.cpus.end()) return std::nullopt;
  std::string json = "{\"total\":";
  json.append(decimal(busy_percent(before->second, after->second), 1)).append(",\"cores\":[");
  bool first = true;
  for (auto const& [core, times] : after_.cpus) {
    auto const earlier = before_.cpus.find(core);
    if (core < 0 || earlier == before_.cpus.end()) continue;  // all of them, or one that was switched on
    json += std::exchange(first, false) ? "" : ",";
    json += decimal(busy_percent(earlier->second, times), 1);
  }
  json += "]";
  if (load_) json.append(",\"load\":").append(*load_);
  return json.append("}");
}

std::optional<std::string> sampler::mem_json() const { return memory_; }

std::optional<std::string> sampler::net_json() const {
  auto const seconds = std::chrono::duration<double>(after_.when - before_.when).count();
  if (before_.interfaces.empty() || after_.interfaces.empty() || seconds <= 0) return std::nullopt;
  net_bytes outside;
  net_bytes loopback;
  for (auto const& [name, bytes] : after_.interfaces) {
    auto const earlier = before_.interfaces.find(name);
    if (earlier == before_.interfaces.end()) continue;
    auto& sum = name == "lo" ? loopback : outside;
    sum.received += growth(earlier->second.received, bytes.received);
    sum.sent += growth(earlier->second.sent, bytes.sent);
  }
  auto const rate = [&](std::uint64_t bytes) { return decimal(static_cast<double>(bytes) / seconds, 0); };
  std::string json = "{\"received\":";
  json.append(rate(outside.received)).append(",\"sent\":").append(rate(outside.sent));
  json.append(",\"lo_received\":").append(rate(loopback.received));
  return json.append(",\"lo_sent\":").append(rate(loopback.sent)).append("}");
}

}  // namespace demo
