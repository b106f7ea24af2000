// SPDX-License-Identifier: MIT
// server_in_memory.hpp - a server without a network, correct writers for it, and what a test of the
// conformance suite asks of its report.
#pragma once

#include <ssewire/testing/writer_conformance.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace support {

using namespace std::chrono_literals;
using ssewire::buffers;
using ssewire::close_reason;
using ssewire::ending;
using ssewire::write_result;
using ssewire::write_status;
using ssewire::testing::check_writer;
using ssewire::testing::conformance_report;
using ssewire::testing::driver_calls;
using ssewire::testing::far_end;

// A server in memory: a send buffer of 6,000 bytes between the writer and its peer, and one loop.
struct connection {
  explicit connection(driver_calls& d) : driver(&d) {}

  driver_calls* driver;
  std::string buffer;
  std::size_t room = 6000;
  bool peer_open = true;
  bool wants_writable = false;
  far_end end = far_end::open;
  std::size_t releases = 0;
  std::deque<std::function<bool()>> tasks;  // each runs once a turn until it returns true

  std::size_t put(std::string_view bytes) {
    auto const n = (std::min)(bytes.size(), room - (std::min)(room, buffer.size()));
    buffer += bytes.substr(0, n);
    return n;
  }
};

struct tls_writer;

template <class Writer> struct in_memory {
  static constexpr bool same_bytes_again = std::is_same_v<Writer, tls_writer>;

  std::shared_ptr<connection> c;

  Writer connect(driver_calls& driver) {
    c = std::make_shared<connection>(driver);
    Writer out{};
    out.c = c;
    return out;
  }
  std::string read(std::size_t most) {
    auto out = c->buffer.substr(0, most);
    c->buffer.erase(0, most);
    return out;
  }
  void run() {
    for (auto n = c->tasks.size(); n > 0; --n) {
      auto task = std::move(c->tasks.front());
      c->tasks.pop_front();
      if (!task()) c->tasks.push_back(std::move(task));
    }
    if (c->wants_writable && (c->buffer.size() < c->room / 2 || !c->peer_open)) {
      c->wants_writable = false;
      c->driver->writable();
    }
  }
  void close_peer() { c->peer_open = false; }
  far_end sees() const { return c->buffer.empty() ? c->end : far_end::open; }
  std::size_t releases() const { return c->releases; }
};

inline std::string flat(buffers pieces) {
  std::string all;
  for (auto const piece : pieces) all += piece;
  return all;
}

// A correct writer: it takes what there is room for.
struct try_writer {
  std::shared_ptr<connection> c;

  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    std::size_t taken = 0;
    for (auto const piece : pieces) {
      auto const n = c->put(piece);
      taken += n;
      if (n < piece.size()) {
        c->wants_writable = true;
        return {write_status::again, taken};
      }
    }
    return {write_status::ok, taken};
  }
  void on_closed(close_reason, ending how) {
    if (how == ending::complete) {
      c->end = far_end::ended;
    } else {
      c->end = far_end::dropped;
    }
    ++c->releases;
  }
};

// A correct writer: the loop sends what is pending, and calls written().
struct completing_writer : try_writer {
  write_result write(buffers pieces) {
    if (!c->peer_open) return {write_status::closed, 0};
    auto left = std::vector<std::string_view>(pieces.begin(), pieces.end());
    c->tasks.push_back([at = c.get(), left, first = std::size_t{0}]() mutable {
      while (first < left.size() && at->peer_open) {
        left[first].remove_prefix(at->put(left[first]));
        if (!left[first].empty()) {
          if (at->end != far_end::dropped) return false;
          at->peer_open = false;  // the write under way fails
          break;
        }
        ++first;
      }
      at->driver->written(at->peer_open);
      return true;
    });
    return {write_status::pending, 0};
  }
};

// A correct writer: like a TLS library, it must be offered the rest of a record again, the same bytes.
struct tls_writer : try_writer {
  std::string record;

  write_result write(buffers pieces) {
    auto const all = flat(pieces);
    if (!record.empty() && all != record) return {write_status::closed, 0};
    record.clear();
    if (!c->peer_open) return {write_status::closed, 0};
    if (c->room - (std::min)(c->room, c->buffer.size()) < (std::min)(all.size(), c->room / 2)) {
      record = all;
      c->wants_writable = true;
      return {write_status::again, 0};
    }
    return {write_status::ok, c->put(all)};
  }
};

inline ssewire::testing::conformance_options quick() {
  ssewire::testing::conformance_options out;
  out.patience = 100ms;  // anything that is silent for so long here stays silent
  return out;
}

inline void passes(conformance_report const& report) {
  INFO(report.text());
  CHECK(report.problems == std::vector<std::string>{});
  CHECK(bool(report));
  CHECK(report.checks >= 10);
  CHECK(report.bytes > 1'000'000);
}

inline void complains(conformance_report const& report, std::string_view words) {
  INFO(report.text());
  INFO(words);
  CHECK_FALSE(bool(report));
  CHECK(std::any_of(report.problems.begin(), report.problems.end(),
                    [&](auto const& problem) { return problem.find(words) != problem.npos; }));
  CHECK(report.text().find(words) != std::string::npos);
}

}  // namespace support
