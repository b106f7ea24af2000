// SPDX-License-Identifier: MIT
// endpoint.cpp - fuzz target: whatever a request holds, no stream is opened for an origin or a channel that
// is not allowed, no field of an answer has a line end, and a token does not stay in a redacted target. An
// input is bytes of options, then texts, each ended by a NUL: method, target, values of the request fields.
#include <ssewire/http/endpoint.hpp>

#include <fuzz/laws.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace {

using fuzz::law;

bool allow_letters(std::string_view name) {
  return !name.empty() && name.size() <= 3 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

ssewire::endpoint made(unsigned choice) {
  ssewire::endpoint_options options;
  if (choice & 1u) options.methods = ssewire::stream_methods::get_and_post;
  if (choice & 2u) options.channels = {"fixed"};
  if (choice & 4u) {
    options.channel_parameter = "c";
    options.allows_channel = allow_letters;
  }
  if (choice & 8u) options.origins = {"https://a.example"};
  if (choice & 16u) options.origins.push_back("*");
  if (choice & 32u) options.with_credentials = true;
  if (choice & 64u) options.token_parameter = "t";
  if (choice & 128u) options.later = ssewire::later_as::status_503;
  return ssewire::endpoint(options);
}

struct request {
  std::string_view method, target, origin, host, accept, last_event_id, authorization, cookie;

  explicit request(std::string_view input) {
    for (auto* text : {&method, &target, &origin, &host, &accept, &last_event_id, &authorization, &cookie}) {
      auto const end = input.find('\0');
      *text = input.substr(0, end);
      input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    }
  }
  [[nodiscard]] std::string_view operator()(std::string_view name) const {
    return name == "Origin"          ? origin
           : name == "Host"          ? host
           : name == "Accept"        ? accept
           : name == "Last-Event-ID" ? last_event_id
           : name == "Authorization" ? authorization
           : name == "Cookie"        ? cookie
                                     : std::string_view();
  }
};

bool is_clean(ssewire::http_response const& answer) {
  return std::all_of(answer.fields.begin(), answer.fields.end(), [](ssewire::response_field const& f) {
    return !f.name.empty() && f.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
  });
}

// As Fetch and RFC 9110 have it, without the library: a page of another origin names it.
bool may_come_from(std::string_view origin, std::string_view host, unsigned choice) {
  auto const trimmed = [](std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
  };
  auto const lower = [&](std::string_view text) {
    std::string out(trimmed(text));
    for (auto& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return out;
  };
  origin = trimmed(origin);
  if (origin.empty() || (choice & 16u) != 0) return true;
  if ((choice & 8u) != 0 && origin == "https://a.example") return true;
  auto const authority = origin.find("://");
  return authority != std::string_view::npos && lower(origin.substr(authority + 3)) == lower(host) &&
         !lower(host).empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size < 2) return 0;
  unsigned const choice = data[0];
  auto const version = static_cast<ssewire::http_version>(data[1] % 4);
  std::string_view const input(reinterpret_cast<char const*>(data) + 2, size - 2);
  auto const at = made(choice);
  request const from(input);
  auto const asked = at.read(from.method, from.target, version, from);
  auto const tell = [&](std::ostream& out) {
    out << "options " << choice << ", method " << from.method << ", target " << from.target << ", origin "
        << from.origin << ", host " << from.host;
  };

  if (asked) {
    law(may_come_from(from.origin, from.host, choice), "no stream for an origin that is not allowed", tell);
    law(!asked.channels.empty(), "no stream without a channel", tell);
    for (auto const& channel : asked.channels) {
      bool const fixed = (choice & 2u) != 0 && channel == "fixed";
      law(fixed || ((choice & 4u) != 0 && allow_letters(channel)),
          "no stream for a channel that is not allowed", tell);
    }
    bool const by_post = from.method == "POST" && (choice & 1u) != 0;
    law(from.method == "GET" || from.method == "HEAD" || by_post, "no stream for another method", tell);
  }
  for (std::size_t e = 0; e < ssewire::errc_count; ++e) {
    auto const error = static_cast<ssewire::errc>(e);
    auto const answer = at.answer(asked, error, ssewire::framing::chunked);
    law(is_clean(answer), "no line end in a field", tell);
    law(!answer.opens_stream || (asked && error == ssewire::errc::ok && from.method != "HEAD"),
        "a stream is opened only for who may have it", tell);
    law(answer.status >= 200 && answer.status <= 599, "each answer has a status", tell);
    law(from.method != "HEAD" || answer.body.empty() || !asked, "HEAD has no body", tell);
  }
  auto const shown = ssewire::redacted(from.target, "t");
  for (auto const& token : ssewire::query_values(ssewire::query_of(shown), "t"))
    law(token == "***", "a token does not stay in a redacted target", tell);
  law(ssewire::query_values(ssewire::query_of(shown), "c") ==
          ssewire::query_values(ssewire::query_of(from.target), "c"),
      "what is no token stays", tell);
  law(asked.bearer().size() <= asked.authorization.size() + asked.token.size(), "a token is the client's",
      tell);
  if (auto const value = ssewire::cookie(from.cookie, "s"))
    law(value->find(';') == std::string_view::npos, "a cookie ends at its semicolon", tell);
  return 0;
}
