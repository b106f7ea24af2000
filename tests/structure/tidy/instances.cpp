// SPDX-License-Identifier: MIT
// instances.cpp - the templates of the public headers with real arguments: of a template that nobody uses
// clang-tidy sees less.
#include <ssewire/drivers/awaitable.hpp>
#include <ssewire/ssewire.hpp>

#include <coroutine>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tidy {

struct runs_at_once {
  template <class Task> void operator()(Task task) const { task(); }
};

struct resumes_at_once {
  void operator()(std::coroutine_handle<> waiting) const noexcept { waiting.resume(); }
};

bool read(ssewire::parser& from, std::string_view bytes);
bool read(ssewire::parser& from, std::string_view bytes) {
  std::string seen;
  auto const on_event = [&](ssewire::event const& e) { seen = e.data.value_or(""); };
  auto const on_comment = [&](std::string_view text) { seen = text; };
  (void)from.feed(bytes, on_event);
  (void)from.feed(bytes, on_event, on_comment);
  from.feed(bytes);
  return from.next() && seen.empty();
}

std::string write(ssewire::event const& e, std::span<char> room);
std::string write(ssewire::event const& e, std::span<char> room) {
  (void)ssewire::serialize(e, room);
  auto text = ssewire::serialize(e, ssewire::framing::chunked);
  ssewire::serialize(e, text);
  ssewire::serialize_comment("text", text);
  return text;
}

ssewire::close_reason serve(ssewire::subscription from, ssewire::string_writer& to);
ssewire::close_reason serve(ssewire::subscription from, ssewire::string_writer& to) {
  return ssewire::serve_blocking(std::move(from), to);
}

}  // namespace tidy

template class ssewire::basic_replay_buffer<>;
template class ssewire::basic_broker<>;
template class ssewire::basic_subscription<>;
template class ssewire::basic_batch<ssewire::default_traits>;
template class ssewire::stream<ssewire::string_writer>;
template class ssewire::stream<ssewire::string_writer, ssewire::subscription>;
template class ssewire::basic_reactor<ssewire::string_writer>;
template class ssewire::posted_stream<ssewire::string_writer, tidy::runs_at_once, ssewire::subscription>;
template class ssewire::pull_stream<ssewire::subscription>;
template class ssewire::awaitable<ssewire::pull_stream<ssewire::subscription>, tidy::resumes_at_once>;
template class ssewire::ostream_writer<std::ostream>;
template class ssewire::callback_writer<bool (*)(std::string_view)>;
