// SPDX-License-Identifier: MIT
// A program for a standard library without std::mutex: mingw with win32 threads, or a stand-in for one.
// refused 1: no std::mutex here: use ssewire::single_threaded_traits
// refused 2: no std::mutex here: use ssewire::single_threaded_traits
// refused 3: no std::mutex here: use ssewire::single_threaded_traits
#include <ssewire/ssewire.hpp>
#ifdef __cpp_lib_shared_mutex
#error "this standard library has threads: the test would prove nothing"
#endif

#include <cstdio>
#include <string>
#include <utility>

namespace {

using traits = ssewire::single_threaded_traits;

int failed = 0;

void must(bool good, char const* what) {
  if (good) return;
  ++failed;
  std::printf("not so: %s\n", what);
}

void serialize_and_parse() {
  auto const text = ssewire::serialize({.type = "said", .data = "one\ntwo", .id = "7"});
  must(text == "id: 7\nevent: said\ndata: one\ndata: two\n\n", "an event is serialized");
  ssewire::parser p;
  int events = 0;
  p.feed(text, [&](ssewire::event const& e) { events += e.data == "one\ntwo" && e.type.name() == "said"; });
  must(events == 1, "and parsed");
}

void replay() {
  ssewire::replay_buffer buffer;
  auto const first = buffer.append({.data = "one"});
  must(first && buffer.append({.data = "two"}), "a replay_buffer takes events");
  auto const rest = buffer.after(first.value.view());
  must(rest.outcome() == ssewire::resume_outcome::resumed && rest.size() == 1,
       "and gives what follows an ID");
}

void publish_and_read() {
  ssewire::basic_broker<traits> broker;
  ssewire::pull_stream<ssewire::basic_subscription<traits>> stream(broker.subscribe("news").value);
  must(static_cast<bool>(broker.publish("news", {.data = "hello"})), "a broker takes an event");
  char room[4096];
  std::string got;
  for (auto said = stream.read(room, sizeof room); said.bytes != 0; said = stream.read(room, sizeof room)) {
    got.append(room, said.bytes);
  }
  must(got.find("data: hello\n") != got.npos, "and its stream has it");
}

void write_through_a_reactor() {
  ssewire::basic_broker<traits> broker;
  std::string got;
  auto const signal = [] {};
  ssewire::basic_reactor<ssewire::string_writer, traits> reactor(ssewire::loop_signal::of(signal));
  (void)reactor.add(ssewire::string_writer(got), broker.subscribe("news").value);
  must(static_cast<bool>(broker.publish("news", {.data = "hello"})), "a broker takes an event");
  reactor.poll(ssewire::steady_time{});
  must(got.find("data: hello\n") != got.npos, "and its reactor writes it");
}

}  // namespace

int main() {
#if REFUSED == 1
  ssewire::broker broker;
#elif REFUSED == 2
  ssewire::pull_stream<ssewire::subscription> stream;
#elif REFUSED == 3
  using reactor = ssewire::basic_reactor<ssewire::string_writer>;
  must(sizeof(reactor) != 0, "");
#endif
  serialize_and_parse();
  replay();
  publish_and_read();
  write_through_a_reactor();
  std::puts(failed == 0 ? "all of it works" : "some of it does not");
  return failed == 0 ? 0 : 1;
}
