// SPDX-License-Identifier: MIT
// The adapter to nghttp2 between two sessions in memory: what a connection does not show, and publishers on
// two threads.
#include <ssewire/adapters/nghttp2.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/wire/parser.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::close_reason;
using events = ssewire::nghttp2_events<>;
using streams = ssewire::nghttp2_streams<>;
using fields = std::vector<std::pair<std::string, std::string>>;
using callbacks = std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>;
using session = std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)>;

callbacks make_callbacks() {
  nghttp2_session_callbacks* made = nullptr;
  nghttp2_session_callbacks_new(&made);
  return {made, &nghttp2_session_callbacks_del};
}

// All that one session has to send goes to the other. Returns how many bytes.
std::size_t carry(nghttp2_session* from, nghttp2_session* to) {
  std::size_t all = 0;
  std::uint8_t const* bytes = nullptr;
  for (ssize_t n = 0; (n = nghttp2_session_mem_send(from, &bytes)) > 0; all += static_cast<std::size_t>(n)) {
    REQUIRE(nghttp2_session_mem_recv(to, bytes, static_cast<std::size_t>(n)) == n);
  }
  return all;
}

// A client, and what it has received. It opens the windows only if `reads`.
struct client {
  struct response {
    std::string status;
    std::string body;
    std::optional<std::uint32_t> closed_with;
  };
  std::map<std::int32_t, response> responses;
  bool reads = true;
  session its{nullptr, &nghttp2_session_del};

  client() {
    auto const on = make_callbacks();
    nghttp2_session_callbacks_set_on_header_callback(
        on.get(), [](auto, auto frame, auto name, auto size, auto value, auto value_size, auto, void* self) {
          if (std::string(name, name + size) == ":status")
            static_cast<client*>(self)->responses[frame->hd.stream_id].status.assign(value,
                                                                                     value + value_size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        on.get(), [](nghttp2_session* s, auto, auto id, auto bytes, auto size, void* self) {
          auto& me = *static_cast<client*>(self);
          me.responses[id].body.append(bytes, bytes + size);
          nghttp2_session_consume_connection(s, size);
          if (me.reads) nghttp2_session_consume_stream(s, id, size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        on.get(), [](auto, auto id, auto code, void* self) {
          static_cast<client*>(self)->responses[id].closed_with = code;
          return 0;
        });
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_session* made = nullptr;
    nghttp2_session_client_new2(&made, on.get(), this, options);
    nghttp2_option_del(options);
    its.reset(made);
    nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, nullptr, 0);
  }

  std::int32_t ask(fields more) {
    more.insert(more.begin(), {{":method", "GET"}, {":scheme", "http"}, {":path", "/events"}});
    std::vector<nghttp2_nv> all;
    for (auto& [name, value] : more) {
      all.push_back({reinterpret_cast<std::uint8_t*>(name.data()),
                     reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                     NGHTTP2_NV_FLAG_NONE});
    }
    return nghttp2_submit_request(its.get(), nullptr, all.data(), all.size(), nullptr, nullptr);
  }
  void reset(std::int32_t id) { nghttp2_submit_rst_stream(its.get(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL); }
};

// A server's end of a connection to the client.
struct connection {
  using answerer = std::function<void(connection&, std::int32_t)>;

  ssewire::nghttp2_events<>& of;
  client& to;
  answerer answer = [](connection& c, std::int32_t id) { c.of.answer(*c.its_streams, id, c.requests[id]); };
  std::function<void()> flush = [this] { flushed += carry(its.get(), to.its.get()); };
  std::map<std::int32_t, ssewire::nghttp2_request> requests;
  std::size_t flushed = 0;  // bytes
  std::size_t flushes = 0;
  std::mutex guard;
  std::vector<streams::task> posted;
  bool post_throws = false;
  session its{nullptr, &nghttp2_session_del};
  std::optional<streams> its_streams;

  connection(ssewire::nghttp2_events<>& serves, client& peer) : of(serves), to(peer) {
    auto const on = make_callbacks();
    nghttp2_session_callbacks_set_on_header_callback(
        on.get(), [](auto, auto frame, auto name, auto size, auto value, auto value_size, auto, void* self) {
          auto& request = static_cast<connection*>(self)->requests[frame->hd.stream_id];
          return request.add(name, size, value, value_size);
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(on.get(), [](auto, auto frame, void* self) {
      auto& me = *static_cast<connection*>(self);
      if (frame->hd.type == NGHTTP2_HEADERS) me.answer(me, frame->hd.stream_id);
      return 0;
    });
    nghttp2_session_callbacks_set_on_stream_close_callback(on.get(), [](auto, auto id, auto, void* self) {
      static_cast<connection*>(self)->its_streams->closed(id);
      return 0;
    });
    nghttp2_session* made = nullptr;
    nghttp2_session_server_new(&made, on.get(), this);
    its.reset(made);
    nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, nullptr, 0);
    auto const post = [this](auto task) {
      std::unique_lock const held(guard);
      if (post_throws) throw std::bad_alloc();
      posted.push_back(task);
    };
    its_streams.emplace(made, post, [this] {
      flush();
      ++flushes;  // the function still exists, whatever it has destroyed
    });
  }

  // Until neither end has anything to send.
  void exchange() {
    while (carry(to.its.get(), its.get()) + carry(its.get(), to.its.get()) != 0) {
    }
  }
  std::size_t run_posted() {
    std::vector<streams::task> tasks;
    {
      std::unique_lock const held(guard);
      tasks.swap(posted);
    }
    for (auto const& each : tasks) each();
    return tasks.size();
  }
  // A stream that has begun.
  std::int32_t open(fields more = {{":authority", "a.example"}}) {
    auto const id = to.ask(std::move(more));
    exchange();
    return id;
  }
};

std::vector<std::string> said(client const& by, std::int32_t id) {
  std::vector<std::string> all;
  ssewire::parser parser;
  auto const fed = parser.feed(by.responses.at(id).body, [&](ssewire::event const& e) {
    if (e.type.value() == "said") all.emplace_back(e.data);
  });
  CHECK(fed);
  return all;
}

ssewire::broker_options const ticked_by_program = {.ticks = ssewire::ticked_by::program};

struct both {
  ssewire::broker broker{ticked_by_program};
  events serves{broker, "news"};
  client to;
  connection its{serves, to};

  void say(std::string_view text) { (void)broker.publish("news", {.type = "said", .data = text}); }
};

void add(ssewire::nghttp2_request& to, std::string_view name, std::string_view value, int answer = 0) {
  auto const bytes = [](std::string_view s) { return reinterpret_cast<std::uint8_t const*>(s.data()); };
  CHECK(to.add(bytes(name), name.size(), bytes(value), value.size()) == answer);
}

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a request keeps its fields, and puts cookies together again") {
  ssewire::nghttp2_request request;
  add(request, ":path", "/events");
  add(request, "cookie", "a=1");
  add(request, "cookie", "b=2");
  add(request, "accept", "text/event-stream");
  add(request, "accept", "*/*");
  CHECK(request[":path"] == "/events");
  CHECK(request["cookie"] == "a=1; b=2");
  CHECK(request["accept"] == "text/event-stream, */*");
  CHECK(request["absent"].empty());
}

TEST_CASE("a request holds most_bytes of fields, and refuses the byte after") {
  std::string const value(ssewire::nghttp2_request::most_bytes - 1, 'x');
  ssewire::nghttp2_request most, more;
  add(most, "a", value);
  CHECK(most["a"] == value);
  add(more, "a", value + 'x', NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE);
  ssewire::nghttp2_request many;
  add(many, "a", value);
  add(many, "b", "", NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE);
}

TEST_CASE("events that are published wake a stream by one task, and it sends them") {
  both b;
  auto const id = b.its.open();
  CHECK(b.to.responses[id].status == "200");
  CHECK(b.its.flushed == 0);
  for (char const* const text : {"1", "2", "3"}) b.say(text);
  CHECK(said(b.to, id).empty());
  CHECK(b.its.run_posted() == 1);
  CHECK(said(b.to, id) == texts{"1", "2", "3"});
  CHECK(b.its.flushed > 0);
  b.say("4");
  CHECK(b.its.run_posted() == 1);
  CHECK(said(b.to, id) == texts{"1", "2", "3", "4"});
}

TEST_CASE("the authority is the host: a page of it may read the stream, and one of another may not") {
  both b;
  auto const own = b.its.open({{":authority", "a.example:8080"}, {"origin", "http://a.example:8080"}});
  auto const host = b.its.open({{"host", "a.example"}, {"origin", "https://a.example"}});
  auto const both_differ =
      b.its.open({{":authority", "b.example"}, {"host", "a.example"}, {"origin", "https://a.example"}});
  CHECK(b.to.responses[own].status == "200");
  CHECK(b.to.responses[host].status == "200");
  CHECK(b.to.responses[both_differ].status == "403");
  CHECK(b.to.responses[both_differ].closed_with == NGHTTP2_NO_ERROR);
}

TEST_CASE("a stream that closes ends its subscription before the callback returns") {
  both b;
  auto const closed = b.its.open(), stays = b.its.open();
  CHECK(b.broker.subscribers("news") == 2);
  b.to.reset(closed);
  carry(b.to.its.get(), b.its.its.get());
  CHECK(b.broker.subscribers("news") == 1);
  b.say("1");
  b.its.run_posted();
  CHECK(said(b.to, stays) == texts{"1"});
  CHECK(said(b.to, closed).empty());
}

TEST_CASE("the end of the connection ends all streams, and a task that was posted before does nothing") {
  both b;
  for (int i = 0; i < 20; ++i) b.its.open();
  b.say("1");
  CHECK(b.broker.subscribers("news") == 20);
  b.its.its_streams.reset();
  CHECK(b.broker.subscribers("news") == 0);
  b.its.its.reset();
  CHECK(b.its.run_posted() == 1);
  CHECK(b.its.flushed == 0);
}

TEST_CASE("flush may end the connection") {
  both b;
  b.its.open();
  b.its.flush = [&] {
    auto& c = b.its;
    c.its_streams.reset();
    c.its.reset();
  };
  SUBCASE("when streams were woken") {
    b.say("1");
    b.its.run_posted();
  }
  SUBCASE("when time passes") { CHECK(b.its.its_streams->poll(ssewire::steady_time(1h))); }
  CHECK(b.its.flushes == 1);
  CHECK(b.broker.subscribers("news") == 0);
}

TEST_CASE("an answer that comes too late opens no stream") {
  both b;
  b.its.answer = [](auto&, auto) {};
  auto const id = b.its.open();
  SUBCASE("the stream has gone") {
    b.to.reset(id);
    b.its.exchange();
    b.serves.answer(*b.its.its_streams, id, b.its.requests[id]);
    CHECK(b.broker.subscribers("news") == 0);
  }
  SUBCASE("it is still there") {
    b.serves.answer(*b.its.its_streams, id, b.its.requests[id]);
    CHECK(b.broker.subscribers("news") == 1);
    b.its.exchange();
    CHECK(b.to.responses[id].status == "200");
  }
}

TEST_CASE("what the program throws is the status 500 of its stream, and of no other") {
  ssewire::broker broker(ticked_by_program);
  events serves(broker, {.channels = {"news"}}, [](auto const&, ssewire::nghttp2_request const& request) {
    if (!request["bad"].empty()) throw std::bad_alloc();
    return ssewire::verdict();
  });
  client to;
  connection its(serves, to);
  auto const stays = its.open(), thrown = its.open({{":authority", "a.example"}, {"bad", "1"}});
  CHECK(to.responses[thrown].status == "500");
  CHECK(to.responses[thrown].closed_with == NGHTTP2_NO_ERROR);
  CHECK(to.responses[stays].status == "200");
  CHECK(!to.responses[stays].closed_with);
}

TEST_CASE("a stream whose window stays shut for the stall time is reset, and no other") {
  both b;
  auto const reading = b.its.open();
  b.to.reads = false;
  auto const stalled = b.its.open();
  b.say(std::string(100'000, 'x'));
  b.its.run_posted();
  b.its.exchange();
  CHECK(b.to.responses[stalled].body.size() == NGHTTP2_INITIAL_WINDOW_SIZE);
  nghttp2_session_consume_stream(b.to.its.get(), reading, b.to.responses[reading].body.size());
  b.to.reads = true;
  b.its.exchange();
  CHECK(said(b.to, reading).size() == 1);
  ssewire::steady_time const start(1h);
  for (auto now = start; now < start + 59s; now += 1s) CHECK(b.its.its_streams->poll(now));
  b.its.exchange();
  CHECK(!b.to.responses[stalled].closed_with);
  b.its.its_streams->poll(start + 61s);
  CHECK(b.to.responses[stalled].closed_with == NGHTTP2_CANCEL);
  CHECK(b.broker.stats().closes[static_cast<std::size_t>(close_reason::stalled)] == 1);
  CHECK(b.broker.subscribers("news") == 1);
  b.say("after");
  b.its.run_posted();
  CHECK(said(b.to, reading).back() == "after");
  CHECK(b.to.responses[reading].body.find("\n:\n") != std::string::npos);  // a heartbeat
}

TEST_CASE("what is kept with a stream is free once the broker has ended it, though nothing can be sent") {
  both b;
  auto place = std::make_shared<int>();
  b.its.answer = [&](connection& c, std::int32_t id) {
    auto from = b.broker.subscribe("news");
    c.its_streams->respond(id, {.status = 200, .opens_stream = true}, std::move(from.value), place);
  };
  b.to.reads = false;
  auto const id = b.its.open();
  b.say(std::string(100'000, 'x'));
  b.its.run_posted();
  b.its.exchange();
  CHECK(place.use_count() == 2);
  auto const flush = std::exchange(b.its.flush, [] {});
  ssewire::steady_time const now(1h);
  b.broker.drain(now, now);
  b.broker.tick(now + 1s);
  b.its.run_posted();
  CHECK(place.use_count() == 1);
  CHECK(!b.to.responses[id].closed_with);
  flush();
  CHECK(b.to.responses[id].closed_with == NGHTTP2_CANCEL);
}

TEST_CASE("what a task would do that could not be posted, the next one does, or poll()") {
  both b;
  auto const id = b.its.open();
  b.its.post_throws = true;
  b.say("1");
  b.its.post_throws = false;
  CHECK(b.its.run_posted() == 0);
  CHECK(said(b.to, id).empty());
  SUBCASE("poll") { b.its.its_streams->poll(ssewire::steady_time(1h)); }
  SUBCASE("a task for another stream") {
    b.its.open();
    b.say("2");
    CHECK(b.its.run_posted() == 1);
  }
  REQUIRE(!said(b.to, id).empty());
  CHECK(said(b.to, id).front() == "1");
  b.say("3");
  CHECK(b.its.run_posted() == 1);
  CHECK(said(b.to, id).back() == "3");
}

TEST_CASE("two threads publish, streams come and go, and each reads one event after the other") {
  ssewire::broker broker;
  events serves(broker, "news");
  constexpr int rounds = 200, a_round = 8;
  std::atomic<int> begun = 0, published = 0;
  auto const publish = [&](char name) {
    for (int i = 0; i < rounds * a_round; ++i) {
      while (i / a_round >= begun) std::this_thread::yield();  // or the log would go on past the streams
      (void)broker.publish("news", {.type = "said", .data = name + std::to_string(i)});
      ++published;
    }
  };
  client to;
  std::optional<connection> its(std::in_place, serves, to);
  auto const check = [&](std::int32_t id) {
    std::map<char, int> next;
    auto const all = said(to, id);
    for (auto const& text : all) {
      int const number = std::stoi(text.substr(1));
      auto const at = next.try_emplace(text[0], number).first;
      CHECK(number == at->second);
      at->second = number + 1;
    }
    return all.size();
  };
  auto const stays = its->open();
  std::thread threads[] = {std::thread(publish, 'a'), std::thread(publish, 'b')};
  std::size_t read = 0;
  while (begun < rounds) {
    std::vector<std::int32_t> some;
    for (int i = 0; i < 4; ++i) some.push_back(its->open());
    int const before = published;
    ++begun;
    while (published == before) std::this_thread::yield();  // or the streams would be gone before an event
    its->run_posted();
    for (auto const id : some) {  // while they are woken
      to.reset(id);
      its->exchange();
      read += check(id);
    }
    client another;
    connection brief(serves, another);
    for (int i = 0; i < 4; ++i) brief.open();
    its->run_posted();
  }
  for (auto& thread : threads) thread.join();
  while (its->run_posted() != 0) its->exchange();
  CHECK(check(stays) == 2 * rounds * a_round);
  CHECK(read > 0);
  CHECK(broker.subscribers("news") == 1);
  its.reset();
  CHECK(broker.subscribers("news") == 0);
}
