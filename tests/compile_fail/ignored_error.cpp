// SPDX-License-Identifier: MIT
// If ignoring an error would lose something, the compiler warns, and these tests make the warning an error. A
// refused publish is counted, so its error need not be looked at.
// refused 1: nodiscard
// refused 2: nodiscard
// refused 3: nodiscard
// refused 4: nodiscard
// refused 5: nodiscard
// refused 6: nodiscard
// refused 7: nodiscard
// refused 8: nodiscard
// refused 9: nodiscard
// refused 10: nodiscard
#include <ssewire/ssewire.hpp>

#include <string>

struct post_at_once {
  template <class Task> void operator()(Task task) const { task(); }
};

using posted = ssewire::posted_stream<ssewire::string_writer, post_at_once>;

void calls(ssewire::stream<ssewire::string_writer>& stream, ssewire::reactor<ssewire::string_writer>& reactor,
           posted& post, ssewire::pull_stream<ssewire::subscription>& pull, ssewire::subscription& from,
           ssewire::broker& broker, ssewire::utf8_text_buffer& text, ssewire::stream_id id);
void calls([[maybe_unused]] ssewire::stream<ssewire::string_writer>& stream,
           [[maybe_unused]] ssewire::reactor<ssewire::string_writer>& reactor, [[maybe_unused]] posted& post,
           [[maybe_unused]] ssewire::pull_stream<ssewire::subscription>& pull,
           [[maybe_unused]] ssewire::subscription& from, ssewire::broker& broker,
           [[maybe_unused]] ssewire::utf8_text_buffer& text, [[maybe_unused]] ssewire::stream_id id) {
#if REFUSED == 1
  stream.send({.data = "token"});
#elif REFUSED == 2
  reactor.send(id, {.data = "token"});
#elif REFUSED == 3
  post.send({.data = "token"});
#elif REFUSED == 4
  pull.send({.data = "token"});
#elif REFUSED == 5
  stream.comment("token");
#elif REFUSED == 6
  from.join("news");
#elif REFUSED == 7
  reactor.leave(id, "news");
#elif REFUSED == 8
  from.set_filter({});
#elif REFUSED == 9
  text.append("token");
#elif REFUSED == 10
  pull.comment("token");
#else
  if (stream.send({.data = "token"}) != ssewire::errc::ok) return;
  (void)stream.send({.data = "token"});
#endif
  broker.publish("news", {.data = "headline"});
}
