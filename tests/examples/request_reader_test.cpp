// SPDX-License-Identifier: MIT
// The reader of requests that some servers of examples/servers/ share.
#include "../../examples/servers/request_reader.hpp"
#include <doctest/doctest.h>

#include <string>
#include <string_view>

using app::request_reader;
using state = app::request_reader::state;

namespace {

// 0: complete; -1: needs more; else the status that refuses it.
int read(std::string_view bytes) {
  request_reader whole;
  auto const as_number = [](request_reader const& r, state s) {
    return s == state::refused ? r.refused_status() : s == state::complete ? 0 : -1;
  };
  int const status = as_number(whole, whole.read(bytes));
  request_reader byte_by_byte;
  state last = state::needs_more;
  for (char const byte : bytes) last = byte_by_byte.read({&byte, 1});
  CHECK(as_number(byte_by_byte, last) == status);
  return status;
}

std::string const get = "GET /events HTTP/1.1\r\n";
std::string const post = "POST /say HTTP/1.1\r\n";

}  // namespace

TEST_CASE("requests follow one another in slices of any size") {
  std::string const both = "\r\nPOST /say?to=a HTTP/1.1\r\nhost: x\r\ncontent-LENGTH: \t5 \r\n\r\na\r\n\r\n"
                           "GET /events?a HTTP/1.0\r\nCookie: user=a; b\r\nCookie: second\r\n\r\n";
  for (std::size_t first = 0; first <= both.size(); ++first) {
    request_reader reader;
    auto now = reader.read(std::string_view(both).substr(0, first));
    if (now == state::needs_more)
      now = reader.read(std::string_view(both).substr(first));
    else
      CHECK(reader.read(std::string_view(both).substr(first)) == state::complete);
    REQUIRE(now == state::complete);
    CHECK(reader.current().method == "POST");
    CHECK(reader.current().target == "/say?to=a");
    CHECK(reader.current().field("HOST") == "x");
    CHECK(reader.current().body == "a\r\n\r\n");
    CHECK(reader.current().keep_alive());
    REQUIRE(reader.next() == state::complete);
    CHECK(reader.current().method == "GET");
    CHECK(reader.current().version == ssewire::http_version::http_1_0);
    CHECK(reader.current().field("cookie") == "user=a; b");
    CHECK(reader.current().field("host") == "");
    CHECK(reader.current().body == "");
    CHECK_FALSE(reader.current().keep_alive());
    CHECK(reader.next() == state::needs_more);
  }
}

TEST_CASE("the request line is a method, a target and a version") {
  CHECK(read("GET / HTTP/1.1\r\n\r\n") == 0);
  CHECK(read("GET / HTTP/1.1\r\n") == -1);
  CHECK(read("GET  HTTP/1.1\r\n\r\n") == 400);
  CHECK(read(" / HTTP/1.1\r\n\r\n") == 400);
  CHECK(read("GET\r\n\r\n") == 400);
  CHECK(read("GET / a HTTP/1.1\r\n\r\n") == 400);
  CHECK(read("GET / HTTP/2.0\r\n\r\n") == 505);
  CHECK(read("GET / \r\n\r\n") == 505);
}

TEST_CASE("a field that others may read differently is refused") {
  CHECK(read(get + "a: b\r\n\r\n") == 0);
  CHECK(read(get + "a:\r\n\r\n") == 0);
  CHECK(read(get + "a\r\n\r\n") == 400);
  CHECK(read(get + ": b\r\n\r\n") == 400);
  CHECK(read(get + "a : b\r\n\r\n") == 400);
  CHECK(read(get + "a: b\r\n c\r\n\r\n") == 400);
  CHECK(read(get + "a: b\nc: d\r\n\r\n") == 400);
  CHECK(read(get + "a: b\rc: d\r\n\r\n") == 400);
  CHECK(read(get + "a: b" + std::string(1, '\0') + "\r\n\r\n") == 400);
}

TEST_CASE("a body has one length, of digits") {
  CHECK(read(post + "Content-Length: 1\r\n\r\n") == -1);
  CHECK(read(post + "Content-Length: 1\r\n\r\na") == 0);
  CHECK(read(post + "Content-Length: 0\r\n\r\n") == 0);
  CHECK(read(post + "Content-Length:\r\n\r\n") == 400);
  CHECK(read(post + "Content-Length: +1\r\n\r\n") == 400);
  CHECK(read(post + "Content-Length: 0\r\ncontent-length: 0\r\n\r\n") == 400);
  CHECK(read(post + "Transfer-Encoding: chunked\r\n\r\n") == 501);
}

TEST_CASE("what it keeps is bounded") {
  CHECK(read(get + "a: " + std::string(request_reader::most_head_bytes - get.size() - 7, 'x') + "\r\n\r\n") ==
        0);
  CHECK(read(get + "a: " + std::string(request_reader::most_head_bytes - get.size() - 6, 'x') + "\r\n\r\n") ==
        431);
  CHECK(read(std::string(request_reader::most_head_bytes, 'x')) == -1);
  CHECK(read(std::string(request_reader::most_head_bytes + 1, 'x')) == 431);
  auto const most = request_reader::most_body_bytes;
  CHECK(read(post + "Content-Length: " + std::to_string(most) + "\r\n\r\n") == -1);
  CHECK(read(post + "Content-Length: " + std::to_string(most + 1) + "\r\n\r\n") == 413);
  CHECK(read(post + "Content-Length: 99999999999999999999999999\r\n\r\n") == 413);
}

TEST_CASE("a response without a body says so, and whether another request may follow") {
  CHECK(app::empty_response(200, true) == "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
  CHECK(app::empty_response(400, false) == "HTTP/1.1 400 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
