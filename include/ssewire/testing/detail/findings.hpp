// SPDX-License-Identifier: MIT
// findings.hpp - gathers the report of check_writer(), with each problem once.
#pragma once

#include <ssewire/core/cplusplus.hpp>
#include <ssewire/testing/conformance_report.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

class findings {
 public:
  explicit findings(std::uint64_t seed) { report_.seed = seed; }

  void begin_check(std::string name) {
    check_ = std::move(name);
    ++report_.checks;
  }
  void end_check() { check_.clear(); }
  [[nodiscard]] std::string const& check_name() const noexcept { return check_; }

  // Keeps the words of the first time. Later checks that find the same problem are counted. Their numbers
  // differ, so problems are compared without digits.
  void problem(std::string const& words) {
    auto key = without_numbers(words);
    for (auto& one : said_) {
      if (one.key != key) continue;
      if (one.last_check != report_.checks) ++one.repeated;
      one.last_check = report_.checks;
      return;
    }
    said_.push_back({std::move(key), report_.checks, 0});
    report_.problems.push_back(check_.empty() ? words : check_ + ": " + words);
  }
  void remark(std::string words) { report_.remarks.push_back(std::move(words)); }
  void wrote() noexcept { ++report_.writes; }
  void arrived(std::size_t bytes) noexcept { report_.bytes += bytes; }

  [[nodiscard]] std::size_t arrived_bytes() const noexcept { return report_.bytes; }
  [[nodiscard]] std::string text() const { return report_.text(); }

  testing::conformance_report take() {
    for (std::size_t i = 0; i < said_.size(); ++i) {
      if (said_[i].repeated == 0) continue;
      report_.problems[i] += "; " + std::to_string(said_[i].repeated) + " more of the checks found that";
    }
    return std::move(report_);
  }

 private:
  struct said {  // for each problem in the report
    std::string key;
    std::size_t last_check;
    std::size_t repeated;  // the number of later checks that found it
  };

  static std::string without_numbers(std::string const& words) {
    std::string key;
    for (char const c : words.substr(0, words.find(" (at byte "))) {
      if (c < '0' || c > '9') key += c;
    }
    return key;
  }

  testing::conformance_report report_;
  std::vector<said> said_;
  std::string check_;
};

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
