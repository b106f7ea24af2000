// SPDX-License-Identifier: MIT
// A server on bare sockets, with a thread for each connection, that refuses its clients. refusals_test.py and
// real clients send it requests. A path is /CLIENT/KIND and whatever follows. The answer depends on KIND:
//   later, later-503   refused twice, then admitted; the first time told to wait: 6 s (503: 2 s)
//   never-401          refused
//   numbers            what the broker's channel of JSON holds, by subscribe() and pull()
// GET /hits: each CLIENT/KIND with the time of its requests, in milliseconds. Any other GET: a page.
#include <ssewire/ssewire.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

struct response {
  std::string head;
  std::string body;
};

response whole(int status, std::vector<ssewire::response_field> const& fields, std::string body) {
  auto head = "HTTP/1.1 " + std::to_string(status) + " \r\n";
  bool closes = false;
  for (auto const& field : fields) {
    head.append(field.name).append(": ").append(field.value).append("\r\n");
    closes = closes || field.name == "Connection";
  }
  if (!closes) head += "Connection: close\r\n";
  head += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return {std::move(head), std::move(body)};
}

response stream_of(std::string body) {
  std::string head = "HTTP/1.1 200 OK\r\n";  // the end of the connection is the body's
  for (auto const& field : ssewire::response_fields(ssewire::http_version::http_1_0))
    head.append(field.name).append(": ").append(field.value).append("\r\n");
  return {head + "\r\n", std::move(body)};
}

// What a client of a language model reads; a page reads it, too.
std::string admitted() {
  auto text = ssewire::serialize(
      {.data = R"({"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
               R"({"index":0,"delta":{"role":"assistant","content":"admitted"},"finish_reason":null}]})"});
  ssewire::serialize({.data = "[DONE]"}, text);
  return text;
}

class refusing_server {
 public:
  refusing_server() {
    for (std::string_view const data : {"{\"n\":1}", "{\"n\":2}", "{\"n\":3}"})
      (void)broker_.publish("numbers", {.type = "number", .data = data});
  }

  response answer(std::string_view path) {
    if (path == "/hits") return whole(200, {{"Content-Type", "application/json"}}, hits_json());
    auto const client_and_kind = path.substr(1, path.find('/', path.find('/', 1) + 1) - 1);
    auto const slash = client_and_kind.find('/');
    auto const kind = slash == path.npos ? std::string_view() : client_and_kind.substr(slash + 1);
    if (kind != "later" && kind != "later-503" && kind != "never-401" && kind != "numbers")
      return whole(200, {{"Content-Type", "text/html"}}, "<!doctype html><title>refusals</title>");

    auto const times = hit(client_and_kind);
    if (kind == "never-401") {
      auto no = ssewire::refuse(ssewire::refusal::never, {.never_status = 401});
      no.fields.push_back({"WWW-Authenticate", "Bearer"});
      return whole(no.status, no.fields, no.body);
    }
    if (kind == "numbers") return stream_of(numbers());
    if (times == 3) return stream_of(admitted());
    ssewire::refuse_options how = {.least_retry = times == 1 ? 6s : 100ms, .spread = 100ms};
    if (kind == "later-503") {
      how.later = ssewire::later_as::status_503;
      how.least_retry = times == 1 ? 2s : 100ms;
      how.spread = 0s;
    }
    auto const no = ssewire::refuse(ssewire::errc::too_many_subscribers, how);
    return whole(no.status, no.fields, no.body);
  }

 private:
  std::string numbers() {
    auto joined = broker_.subscribe("numbers", {.start = ssewire::start_at::beginning()});
    std::string text;
    ssewire::batch next;
    while (joined.value.pull(next, 4096) == ssewire::pull_status::ready) text += next.text();
    return text;
  }

  std::size_t hit(std::string_view who) {
    std::lock_guard const held(guard_);
    auto& times = hits_[std::string(who)];
    times.push_back((std::chrono::steady_clock::now() - began_) / 1ms);
    return times.size();
  }

  std::string hits_json() {
    std::lock_guard const held(guard_);
    std::string json = "{";
    for (auto const& [who, times] : hits_) {
      json += (json.size() > 1 ? ",\"" : "\"") + who + "\":[";
      for (auto const time : times) json += (json.back() == '[' ? "" : ",") + std::to_string(time);
      json += ']';
    }
    return json + "}";
  }

  ssewire::broker broker_;
  std::mutex guard_;
  std::map<std::string, std::vector<std::int64_t>> hits_;
  std::chrono::steady_clock::time_point const began_ = std::chrono::steady_clock::now();
};

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    auto const sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// One request of a test's own clients: a path without blanks, a body whose length is said.
std::string read_request(int socket) {
  std::string bytes;
  char chunk[4096];
  for (std::size_t end = 0;;) {
    auto const got = ::recv(socket, chunk, sizeof chunk, 0);
    if (got <= 0) return {};
    bytes.append(chunk, static_cast<std::size_t>(got));
    if (end == 0) {
      auto const blank = bytes.find("\r\n\r\n");
      if (blank == bytes.npos) continue;
      end = blank + 4;
      for (std::string_view const name : {"\r\nContent-Length: ", "\r\ncontent-length: "}) {
        auto const at = bytes.find(name);
        if (at < blank) end += std::stoul(bytes.substr(at + name.size()));
      }
    }
    if (bytes.size() >= end) return bytes;
  }
}

void serve(refusing_server& server, int socket) {
  auto const bytes = read_request(socket);
  auto const begin = bytes.find(' ') + 1;
  if (auto const end = bytes.find(' ', begin); begin != 0 && end > begin && end != bytes.npos) {
    auto const said = server.answer(std::string_view(bytes).substr(begin, end - begin));
    if (send_all(socket, said.head) && send_all(socket, said.body)) {
      ::shutdown(socket, SHUT_WR);
      char rest[256];
      while (::recv(socket, rest, sizeof rest, 0) > 0) {
      }
    }
  }
  ::close(socket);
}

}  // namespace

int main() {
  refusing_server server;
  int const listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, any, size) != 0 || ::listen(listener, 64) != 0) return 1;
  if (::getsockname(listener, any, &size) != 0) return 1;
  std::printf("%d\n", static_cast<int>(ntohs(address.sin_port)));
  std::fflush(stdout);
  for (int socket; (socket = ::accept(listener, nullptr, nullptr)) >= 0;)
    std::thread([&server, socket] { serve(server, socket); }).detach();  // until the test ends this process
}
