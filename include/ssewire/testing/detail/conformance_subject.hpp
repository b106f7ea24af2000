// SPDX-License-Identifier: MIT
// conformance_subject.hpp - a harness and its writer behind one type. The checks are then compiled once,
// however many writers there are.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/testing/harness.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace detail {

struct conformance_subject {
  std::function<void(testing::driver_calls&)> connect;
  std::function<std::string(std::size_t)> read;
  std::function<write_result(buffers)> write;
  std::function<void(close_reason, ending)> on_closed;
  std::function<void()> destroy;
  std::function<void()> run, close_peer;  // null: the harness has none
  std::function<testing::far_end()> sees;
  std::function<std::size_t()> releases;
  bool may_block = false;
  bool takes_everything = false;
  bool same_bytes = false;
};

template <class Harness> conformance_subject subject_of(Harness& h) {
  using Writer = decltype(h.connect(std::declval<testing::driver_calls&>()));
  check_writer<Writer>();
  static_assert(std::move_constructible<Writer>, "a driver takes its writer by moving it");

  conformance_subject out;
  auto const to = std::make_shared<std::unique_ptr<Writer>>();
  out.connect = [&h, to](testing::driver_calls& calls) {
    Writer first = h.connect(calls);
    Writer second(std::move(first));  // as a writer moves on its way into a driver
    *to = std::make_unique<Writer>(std::move(second));
  };
  out.read = [&h](std::size_t most) { return std::string(h.read(most)); };
  out.write = [to](buffers b) { return (*to)->write(b); };
  out.on_closed = [to](close_reason why, ending how) { (*to)->on_closed(why, how); };
  out.destroy = [to] { to->reset(); };
  if constexpr (requires { h.run(); }) out.run = [&h] { h.run(); };
  if constexpr (requires { h.close_peer(); }) out.close_peer = [&h] { h.close_peer(); };
  if constexpr (requires { h.sees(); }) out.sees = [&h]() -> testing::far_end { return h.sees(); };
  if constexpr (requires { h.releases(); }) {
    out.releases = [&h] { return static_cast<std::size_t>(h.releases()); };
  }
  if constexpr (requires { Harness::may_block; }) out.may_block = Harness::may_block;
  if constexpr (requires { Harness::takes_everything; }) out.takes_everything = Harness::takes_everything;
  if constexpr (requires { Harness::same_bytes_again; }) out.same_bytes = Harness::same_bytes_again;
  return out;
}

}  // namespace detail
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
