// SPDX-License-Identifier: MIT
// Mistakes of somebody's first day, and what the compiler says about them.
// refused 1: true and false cannot say
// refused 2: true and false cannot say
// refused 3: true and false cannot say
// refused 4: true and false cannot say
// refused 5: a writer has: void on_closed(ssewire::close_reason, ssewire::ending), its last call
// refused 6: a writer has: void on_closed(ssewire::close_reason, ssewire::ending), its last call
// refused 7: a writer has: ssewire::write_result write(ssewire::buffers)
// refused 8: event_type::from(text) checks it
// refused 9: event_id::from(text) checks it
// refused 10: no non-static data member named
// refused 11: a name, names in braces, or a range of texts
// refused 12: a name, names in braces, or a range of texts
// refused 13: the callable does not take what it is called with
#include <ssewire/ssewire.hpp>

#include <string>
#include <utility>
#include <vector>

struct post_at_once {
  template <class Task> void operator()(Task task) const { task(); }
};

struct good {
  ssewire::write_result write(ssewire::buffers) { return {}; }
  void on_closed(ssewire::close_reason, ssewire::ending) {}
};
struct answers_bool {
  bool write(ssewire::buffers) { return true; }
  void on_closed(ssewire::close_reason, ssewire::ending) {}
};
struct has_no_end {
  ssewire::write_result write(ssewire::buffers) { return {}; }
};
struct has_the_old_end : has_no_end {
  void finish() {}
  void abort() {}
  void on_closed(ssewire::close_reason) {}
};
struct calls_it_send {
  ssewire::write_result send(ssewire::buffers) { return {}; }
  void on_closed(ssewire::close_reason, ssewire::ending) {}
};

void first_day(ssewire::broker& broker, std::string const& text);
void first_day(ssewire::broker& broker, [[maybe_unused]] std::string const& text) {
#if REFUSED == 1
  ssewire::stream<answers_bool> stream{answers_bool{}};
#elif REFUSED == 2
  ssewire::reactor<answers_bool> reactor;
  (void)reactor.add(answers_bool{});
#elif REFUSED == 3
  answers_bool to;
  (void)ssewire::serve_blocking(broker.subscribe("news").value, to);
#elif REFUSED == 4
  (void)ssewire::post_stream(answers_bool{}, post_at_once{});
#elif REFUSED == 5
  ssewire::stream<has_no_end> stream{has_no_end{}};
#elif REFUSED == 6
  ssewire::stream<has_the_old_end> stream{has_the_old_end{}};
#elif REFUSED == 7
  ssewire::stream<calls_it_send> stream{calls_it_send{}};
#elif REFUSED == 8
  broker.publish("news", ssewire::event{.type = text, .data = "x"});
#elif REFUSED == 9
  broker.publish("news", ssewire::event{.data = "x", .id = text});
#elif REFUSED == 10
  broker.publish("news", ssewire::event{.event = "said", .data = "x"});
#elif REFUSED == 11
  broker.publish(std::vector<int>{1, 2}, {.data = "x"});
#elif REFUSED == 12
  (void)broker.subscribe(17);
#elif REFUSED == 13
  auto const takes_nothing = [] {};
  (void)ssewire::wake_hook::of(takes_nothing);
#else
  ssewire::stream<good> stream{good{}};
  ssewire::reactor<good> reactor;
  (void)reactor.add(good{});
  good to;
  (void)ssewire::serve_blocking(broker.subscribe("news").value, to);
  (void)ssewire::post_stream(good{}, post_at_once{});
  broker.publish("news", {.type = ssewire::event_type::from(text).value, .data = "x"});
  broker.publish(std::vector<std::string>{"a", "b"}, {.data = "x"});
  auto const takes_why = [](ssewire::wake) {};
  (void)ssewire::wake_hook::of(takes_why);
#endif
}
