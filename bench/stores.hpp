// SPDX-License-Identifier: MIT
// stores.hpp - stand-ins for what one writes by hand to replay events, each in a few lines of the standard
// library: what the broker's log is compared with. None of them trims, locks, or says that something is
// missing.
#pragma once

#include <corpora.hpp>

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

/// The i-th of any number of events like the corpus's: its IDs have 7 digits on (a) and 10 on (b), so that
/// an event has 168 bytes on the wire and 76.
inline record numbered(corpus const& c, std::size_t i) {
  auto r = c.records[i % c.records.size()];
  r.id = detail::digits(i, c.name == 'a' ? 7 : 10);
  return r;
}

inline std::string wire_of(record const& r) {
  std::string text;
  detail::append_event(text, r);
  text.shrink_to_fit();
  return text;
}

/// The fields of each event: it is serialized again for each client. An ID is searched from the newest one
/// on.
class strings_store {
 public:
  void append(record r) { held_.push_back(std::move(r)); }

  template <class Visit> void after(std::string_view id, Visit visit) const {
    auto at = held_.end();
    while (at != held_.begin() && std::prev(at)->id != id) --at;
    for (; at != held_.end(); ++at) visit(at->data);
  }

 private:
  std::deque<record> held_;
};

/// The serialized event, shared with whoever sends it. An ID is searched from the newest one on.
class frames_store {
 public:
  void append(record r) { held_.push_back(std::make_shared<std::string const>(wire_of(r))); }

  template <class Visit> void after(std::string_view id, Visit visit) const {
    auto at = held_.end();
    while (at != held_.begin() && std::string_view(**std::prev(at)).substr(4, id.size()) != id) --at;
    for (; at != held_.end(); ++at) visit(std::string_view(**at));
  }

 private:
  std::deque<std::shared_ptr<std::string const>> held_;
};

/// The serialized event by its ID.
class map_store {
 public:
  void append(record r) { held_.emplace_hint(held_.end(), r.id, wire_of(r)); }

  template <class Visit> void after(std::string_view id, Visit visit) const {
    for (auto at = held_.upper_bound(id); at != held_.end(); ++at) visit(at->second);
  }

 private:
  std::map<std::string, std::string, std::less<>> held_;
};

}  // namespace bench
