// SPDX-License-Identifier: MIT
// The answer of a language model, token by token, to the one client that asked. Tokens stop inside UTF-8
// sequences, events do not; what comes while the client is slow is merged into one event, nothing is lost;
// when it has gone, the model stops.

// Output:
//   -- a client that reads now and then
//   data: Cr
//
//   data: ème
//
//   data:  br
//
//   data: ûl
//
//   data: ée for 5 €,
//
//   data: s
//
//   data: ’il
//
//   data:  vous plaît, and
//
//   data: a p
//
//   data: iña colada 🍹🍹!
//
//   event: done
//   data:
//
//   -- finished after 25 tokens
//   -- a client that goes away
//   data: Cr
//
//   data: ème
//
//   data:  br
//
//   data: ûl
//
//   -- peer_gone after 5 tokens

#include <ssewire/stream/stream.hpp>
#include <ssewire/wire/text_buffer.hpp>

#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

namespace {

struct model {  // its tokens are three bytes each, whatever is in them
  std::string_view text = "Crème brûlée for 5 €, s’il vous plaît, and a piña colada 🍹🍹!";
  std::size_t tokens = 0;

  bool done() const { return 3 * tokens >= text.size(); }
  std::string_view next() { return text.substr(3 * tokens++, 3); }
};

struct client {  // and its socket, which holds 40 bytes until the client reads them
  std::string socket = {};
  bool gone = false;

  ssewire::write_result write(ssewire::buffers pieces) {
    if (gone) return {ssewire::write_status::closed, 0};
    auto const taken = pieces[0].substr(0, 40 - socket.size());
    socket += taken;
    return {socket.size() < 40 ? ssewire::write_status::ok : ssewire::write_status::again, taken.size()};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

void read(ssewire::stream<client>& answer) {
  std::cout << std::exchange(answer.writer().socket, {});
  answer.writable();
}

// Sends what is whole, but only when all before it has gone: until then it grows. False: nobody is there any
// more.
bool send(ssewire::utf8_text_buffer& text, ssewire::stream<client>& to) {
  if (to.pump() == ssewire::stream_state::idle && !text.ready().empty()) {
    if (to.send({.data = text.ready()}) == ssewire::errc::ok) text.consume();
  }
  return to.pump() != ssewire::stream_state::closed;
}

void answer(std::size_t reads_every, std::size_t goes_after) {
  ssewire::stream<client> to{{}};
  ssewire::utf8_text_buffer text;
  model of;
  while (!of.done()) {
    if (text.append(of.next()) != ssewire::errc::ok) to.close();  // 8 KiB wait: far too slow
    if (!send(text, to)) break;                                   // and the model stops
    if (of.tokens % reads_every == 0) read(to);
    to.writer().gone = of.tokens == goes_after;
  }
  text.end();
  while (!text.ready().empty() && send(text, to)) read(to);
  bool const whole = text.ready().empty() && to.send({.type = "done", .data = ""}) == ssewire::errc::ok;
  if (!whole) to.close();  // a client must not take it for the whole answer
  to.finish();
  while (to.pump() != ssewire::stream_state::closed) read(to);
  read(to);
  std::cout << "-- " << name(to.reason()) << " after " << of.tokens << " tokens\n";
}

}  // namespace

int main() {
  std::cout << "-- a client that reads now and then\n";
  answer(8, 1000);
  std::cout << "-- a client that goes away\n";
  answer(1, 4);
}
