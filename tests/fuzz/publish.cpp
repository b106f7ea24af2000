// SPDX-License-Identifier: MIT
// publish.cpp - fuzz target: whatever bytes are in events, channel names and last event IDs, a client gets
// exactly the events that were published to its channels, each once and in order, or a gap for those that are
// missing. An input is bytes of options, then steps. A step is a byte that says what to do, and the bytes
// that it needs.
#include <ssewire/broker/broker.hpp>
#include <ssewire/http/request.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/wire/parser.hpp>

#include <support/chunked_body.hpp>
#include <support/events.hpp>
#include <support/literal_parser.hpp>

#include <fuzz/laws.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using fuzz::law;
using ssewire::errc;
using ssewire::framing;
using ssewire::stream_state;
using support::quoted;
using support::recorded_event;

struct traits : ssewire::single_threaded_traits {
  static inline std::uint64_t runs = 0;
  static std::uint64_t epoch() noexcept { return runs; }
};
using broker = ssewire::basic_broker<traits>;

// ---- what was published ----

std::string decoded(std::string_view bytes) { return support::literal::repaired(bytes); }

/// As a client has it: line ends are LF, and what is not UTF-8 is U+FFFD.
recorded_event received(recorded_event e) {
  std::string data;
  for (std::size_t i = 0; i < e.data->size(); ++i) {
    if ((*e.data)[i] != '\r') {
      data += (*e.data)[i];
    } else if (e.data->substr(i, 2) != "\r\n") {
      data += '\n';
    }
  }
  e.data = decoded(data);
  e.type = decoded(e.type);
  return e;
}

struct channel {
  std::string name;
  std::vector<std::uint64_t> positions = {};  // of all it ever had
  std::vector<std::size_t> sizes = {};        // of their frames
  std::size_t held_from = 0;                  // how many it has forgotten
  std::size_t held_bytes = 0;
};

/// One run of a broker: all that was published, in one list.
struct history {
  ssewire::replay_limits limits;
  std::vector<recorded_event> events = {};  // the one at position p is events[p - 1]
  std::vector<std::size_t> channel_of = {};
  std::deque<channel> channels = {};

  std::size_t channel_named(std::string_view name) {
    auto const at =
        std::find_if(channels.begin(), channels.end(), [&](auto const& c) { return c.name == name; });
    auto const index = static_cast<std::size_t>(at - channels.begin());
    if (at == channels.end()) channels.push_back({std::string(name)});
    return index;
  }

  struct place {
    std::optional<std::uint64_t> position;
    std::string why_not;
  };

  /// What an ID says, by its letter: twelve of 0-9a-v, a hyphen, sixteen digits.
  [[nodiscard]] place read(std::string const& id) const {
    if (id.empty()) return {};
    auto const form = id.size() == 29 && id.find_first_not_of("0123456789abcdefghijklmnopqrstuv") == 12 &&
                      id[12] == '-' && id.find_first_not_of("0123456789", 13) == std::string::npos;
    if (!form) return {{}, "unknown"};
    if (id.substr(0, 12) != ssewire::position_id(traits::runs, 0).view().substr(0, 12))
      return {{}, "restart"};
    auto const position = std::stoull(id.substr(13));
    if (position > events.size()) return {{}, "unknown"};
    return {position, {}};
  }

  void publish(std::size_t to, recorded_event const& e, std::size_t frame_bytes) {
    events.push_back(received(e));
    channel_of.push_back(to);
    auto& c = channels[to];
    c.positions.push_back(events.size());
    c.sizes.push_back(frame_bytes);
    c.held_bytes += frame_bytes;
    while (c.positions.size() - c.held_from > 1 &&
           (c.positions.size() - c.held_from > limits.max_events || c.held_bytes > limits.max_bytes)) {
      c.held_bytes -= c.sizes[c.held_from++];
    }
  }
};

// ---- what a client gets ----

auto shown(recorded_event const& e) {
  return [&e](std::ostream& out) { out << e; };
}

/// One connection, reading what has come over the wire. It knows what it followed and what it presented, and
/// objects to each event that it should not have got, and to each that is missing without a word.
class client {
 public:
  struct place {
    std::size_t channel;
    std::size_t next = 0;      // index of the event that must come next
    bool lost_before = false;  // it came back too late: a gap must be told first
    bool skipping = false;     // told so, but not how many
  };

  client(history const& h, std::vector<place> places, std::string gap_without_channel)
      : history_(h), places_(std::move(places)), unplaced_(std::move(gap_without_channel)) {}

  /// Sent to this client alone, in this order.
  std::deque<recorded_event> expected_private = {};

  void receive(recorded_event const& e) {
    std::optional<std::uint64_t> position;
    if (e.id) {
      position = history_.read(*e.id).position;
      law(position.has_value(), "an event has the broker's ID or none", shown(e));
    }
    if (e.type == "ssewire.position") {
      law(!opened_ && e.data == "{}" && position, "the position is told once", shown(e));
      opened_ = true;
    } else if (e.type == "ssewire.gap") {
      gap(e);
    } else if (!position) {
      law(!expected_private.empty() && e == expected_private.front(),
          "what was sent to one client comes as it was", shown(e));
      expected_private.pop_front();
    } else {
      delivered(e, *position);
    }
    if (position) came_to(*position, e);
  }

  /// It has been told all there is.
  void complete() const {
    law(opened_ && unplaced_.empty() && expected_private.empty(), "in the end all was told");
    for (auto const& p : places_) {
      auto const& c = history_.channels[p.channel];
      law(!p.lost_before, "in the end every gap was told");
      law(p.next == c.positions.size(), "in the end every event was delivered or told",
          [&](std::ostream& out) {
            out << p.next << " of " << c.positions.size() << " of " << quoted(c.name);
          });
    }
  }

 private:
  void delivered(recorded_event const& e, std::uint64_t position) {
    law(opened_, "the position comes before the first event", shown(e));
    law(position >= 1, "position 0 is no event's", shown(e));
    auto want = history_.events[position - 1];
    want.id = e.id;
    law(e == want, "an event comes as it was published",
        [&](std::ostream& out) { out << e << "\nwant " << want; });
    law(position > seen_, "events come in their order, each once", shown(e));
    auto const of = history_.channel_of[position - 1];
    auto const at =
        std::find_if(places_.begin(), places_.end(), [&](place const& p) { return p.channel == of; });
    law(at != places_.end(), "an event comes to who follows its channel", shown(e));
    auto const& c = history_.channels[of];
    law(!at->lost_before, "a gap is told before what is behind it", shown(e));
    if (std::exchange(at->skipping, false)) {
      while (at->next < c.held_from && c.positions[at->next] < position) ++at->next;
    }
    law(at->next < c.positions.size() && c.positions[at->next] == position,
        "between two events none is missing without a word", shown(e));
    ++at->next;
  }

  // A gap is true: what it calls missing is no longer held.
  void gap(recorded_event const& e) {
    if (!unplaced_.empty()) {
      law(e.data == "{\"reason\":\"" + unplaced_ + "\"}", "an ID that says nothing is told first", shown(e));
      unplaced_.clear();
      return;
    }
    for (auto& p : places_) {
      auto const& c = history_.channels[p.channel];
      std::string name;
      for (char const byte : c.name)
        name += byte == '"' || byte == '\\' ? std::string{'\\', byte} : std::string{byte};
      auto const begin = "{\"reason\":\"trimmed\",\"channel\":\"" + name + "\"";
      if (p.lost_before) {
        if (*e.data != decoded(begin + "}")) continue;
        p.lost_before = false;
        p.skipping = true;
        return;
      }
      // What was forgotten when the gap was made is forgotten still; perhaps more is, meanwhile.
      for (auto next = p.next + 1; next <= c.held_from; ++next) {
        if (p.skipping || *e.data != decoded(begin + ",\"missed\":" + std::to_string(next - p.next) + "}"))
          continue;
        p.next = next;
        return;
      }
      if (!p.skipping) continue;
      // It was told of a gap whose end it has not seen, and lags again.
      for (auto missed = c.held_from - p.next; missed != 0; --missed) {
        if (*e.data != decoded(begin + ",\"missed\":" + std::to_string(missed) + "}")) continue;
        p.next += missed;
        return;
      }
    }
    law(false, "a gap is somebody's", shown(e));
  }

  // The client will present this ID: what lies before it must have been delivered or told.
  void came_to(std::uint64_t position, recorded_event const& e) {
    law(position >= seen_, "the client's ID never goes back", shown(e));
    seen_ = position;
    law(unplaced_.empty(), "no ID passes a gap that was not told", shown(e));
    for (auto& p : places_) {
      auto const& c = history_.channels[p.channel];
      law(!p.lost_before, "no ID passes a gap of a channel that was not told", shown(e));
      while (p.skipping && p.next < c.held_from && c.positions[p.next] <= position) ++p.next;
      law(p.next == c.positions.size() || c.positions[p.next] > position,
          "no ID passes an event that is to come", shown(e));
    }
  }

  history const& history_;
  std::vector<place> places_;
  std::string unplaced_;
  std::uint64_t seen_ = 0;
  bool opened_ = false;
};

// ---- the wire ----

/// Takes some bytes and then says `again`, or `pending`.
struct wire {
  std::string* bytes;
  std::size_t const* at_a_time;  // 0: writes are pending
  bool* blocked;

  ssewire::write_result write(ssewire::buffers b) {
    law(!*blocked, "a writer that said again is left alone");
    std::string all;
    for (auto const part : b) all += part;
    law(!all.empty(), "a writer is offered something");
    if (*at_a_time == 0) {
      *bytes += all;
      return {ssewire::write_status::pending, 0};
    }
    auto const n = (std::min)(all.size(), *at_a_time);
    *bytes += all.substr(0, n);
    *blocked = n < all.size() && n % 2 != 0;
    return {*blocked ? ssewire::write_status::again : ssewire::write_status::ok, n};
  }
  void on_closed(ssewire::close_reason, ssewire::ending) noexcept {}
};

/// One response, and who reads it.
struct connection {
  std::string bytes = {};
  std::size_t at_a_time = 1 << 20;
  bool blocked = false;
  framing body;
  client reader;
  ssewire::parser parser = {};
  support::events got = {};
  std::size_t read = 0;  // of `bytes`, or of the chunks in them
  ssewire::stream<wire, ssewire::basic_subscription<traits>> out;

  connection(ssewire::basic_subscription<traits> from, framing how, client reads)
      : body(how), reader(std::move(reads)),
        out(wire{&bytes, &at_a_time, &blocked}, std::move(from),
            ssewire::stream_options{.body = how, .max_outbox_bytes = 4096}) {}

  /// Sends and reads: a few writes, or until there is nothing left. False: the stream is over.
  bool pump(bool all) {
    for (int turn = 0; turn < (all ? 100'000 : 2); ++turn) {
      auto const state = out.pump();
      take();
      if (state == stream_state::closed) return false;
      if (state == stream_state::idle) return true;
      if (state == stream_state::blocked) {
        blocked = false;
        out.writable();
      }
      if (state == stream_state::pending) out.written(true);
    }
    law(!all, "a stream comes to its end");
    return true;
  }

  void take() {
    auto const plain = unframed();
    law(plain.size() >= read, "what was sent stays sent");
    auto const result = parser.feed(std::string_view(plain).substr(read), [&](ssewire::event const& e) {
      got.push_back(support::record(e));
      reader.receive(got.back());
    });
    law(result.error == errc::ok, "what was sent can be read");
    read = plain.size();
  }

  std::string unframed() const {
    if (body == framing::raw) return bytes;
    auto const chunked = support::decode_chunked(bytes);
    law(chunked.error.empty(), "a chunked body is one",
        [&](std::ostream& o) { o << chunked.error << quoted(bytes); });
    return chunked.body;
  }

  /// The second oracle: the literal parser reads the same events from the same bytes.
  void end() {
    auto const plain = unframed();
    auto const literal = support::literal::parse(plain);
    law(literal.events == got && literal.last_event_id == parser.last_event_id(),
        "both parsers read the same events",
        [&](std::ostream& o) { o << "bytes " << quoted(plain) << "\n got " << got << "\nwant " << literal; });
  }
};

// ---- steps ----

struct play {
  fuzz::input& in;
  ssewire::broker_options options = {};
  framing body = framing::raw;
  std::unique_ptr<broker> real = {};
  history published = {};
  std::unique_ptr<connection> now = {};
  std::string last_id = {};  // what the client has kept
  std::vector<std::string> following = {"a"};

  void restart() {
    hang_up();
    ++traits::runs;
    published = {options.replay};
    real = std::make_unique<broker>(options);
  }

  bool good_name(std::string_view name) const {
    auto const bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    return !name.empty() && name.size() <= options.max_channel_name_bytes &&
           std::none_of(name.begin(), name.end(), bad);
  }

  recorded_event take_event(unsigned fields) {
    recorded_event e;
    if (fields & 1) e.type = in.text();
    if (fields & 2) e.retry = in.number();
    e.data = in.text();
    if (!ssewire::event_type::from(e.type)) e.type.clear();
    return e;
  }

  void publish_one(unsigned how) {
    auto const to = how & 8 ? in.text() : following.front();
    auto const own = take_event(how);
    auto const e = support::view(own);
    auto const done = real->publish(to, e);
    auto with_id = e;
    ssewire::position_id const id(traits::runs, published.events.size() + 1);
    with_id.id = id;
    auto const size = ssewire::serialized_size(with_id);
    auto error = errc::ok;
    if (size > options.replay.max_bytes) error = errc::event_too_large;
    if (own.type.substr(0, 8) == "ssewire.") error = errc::type_reserved;
    if (!good_name(to)) error = errc::channel_name_refused;
    law(done.error == error, "publish refuses what it says it refuses", [&](std::ostream& out) {
      out << done.error << " for " << own << " on " << quoted(to) << "\nwant " << error;
    });
    if (!done) return;
    law(done.value.view() == id.view(), "IDs are given in order");
    published.publish(published.channel_named(to), own, size);
  }

  std::string presented(unsigned how) {
    if (how % 4 == 0) return last_id;
    if (how % 4 == 1) return in.text();
    if (how % 4 == 2) return ssewire::last_event_id({}, in.text());
    // One of this run, or almost.
    std::string id(ssewire::position_id(traits::runs, in.byte()).view());
    if (auto const at = in.byte(); at % 2 != 0) id[at / 2 % id.size()] = static_cast<char>(in.byte());
    return id;
  }

  struct joined {
    ssewire::basic_subscription<traits> subscription;
    client reader;
  };

  std::optional<joined> join(std::string const& id, unsigned how) {
    auto const start = how & 8 ? ssewire::start_at::beginning() : ssewire::start_at::now();
    auto const lag = how & 16 ? ssewire::lag_policy::close : ssewire::lag_policy::tell;
    std::vector<std::string_view> const names(following.begin(), following.end());
    auto made = real->subscribe(names, {.last_event_id = id, .start = start, .lag = lag});
    bool const good = std::all_of(names.begin(), names.end(), [&](auto name) { return good_name(name); });
    law(made.error == (good ? errc::ok : errc::channel_name_refused), "bad names are refused, and no others");
    if (!good) return {};

    std::vector<client::place> places;
    std::uint64_t lost = 0;
    for (auto const name : names) {
      auto const index = published.channel_named(name);
      auto const same = [&](client::place const& p) { return p.channel == index; };
      if (std::any_of(places.begin(), places.end(), same)) continue;
      places.push_back({index});
      auto const& c = published.channels[index];
      if (c.held_from != 0) lost = (std::max)(lost, c.positions[c.held_from - 1]);
    }
    auto const [position, why_not] = published.read(id);
    auto const from = position.value_or(how & 8 ? lost : published.events.size());
    for (auto& p : places) {
      auto const& c = published.channels[p.channel];
      while (p.next < c.positions.size() && c.positions[p.next] <= from) ++p.next;
      p.lost_before = p.next < c.held_from;
    }
    auto const outcome = made.value.outcome();
    law((outcome == ssewire::resume_outcome::fresh) == id.empty(), "who presents nothing is new");
    law((outcome == ssewire::resume_outcome::unknown) == !why_not.empty(),
        "an ID that is not ours says nothing", [&](std::ostream& out) { out << quoted(id); });
    return joined{std::move(made.value), client(published, std::move(places), why_not)};
  }

  void connect(unsigned how) {
    hang_up();
    if (how & 4) {
      following.assign(1 + in.byte() % 3, {});
      for (auto& name : following) name = in.text();
    }
    auto made = join(presented(how), how);
    if (made) {
      now = std::make_unique<connection>(std::move(made->subscription), body, std::move(made->reader));
    } else {
      following = {"a"};
    }
  }

  void pump(bool all) {
    if (!now || now->pump(all)) return;
    auto const why = now->out.reason();
    law(why == ssewire::close_reason::lagged || why == ssewire::close_reason::drained,
        "a stream ends for a reason", [&](std::ostream& out) { out << name(why); });
    if (why == ssewire::close_reason::drained) now->reader.complete();
    hang_up();
  }

  void drain() {
    real->drain({}, {});
    law(real->publish("a", {.data = "x"}).error == errc::closed, "nothing is published while it drains");
    pump(true);
    law(!now, "a drained stream ends");
    restart();
  }

  /// The same without a stream: what the client has not got yet, in batches.
  void pull_the_rest() {
    auto made = join(last_id, 0);
    if (!made) return;
    ssewire::parser parser;
    ssewire::basic_batch<traits> batch;
    while (made->subscription.pull(batch, 100) == ssewire::pull_status::ready) {
      law(batch.text().size() == batch.bytes(), "a batch knows its size");
      parser.feed(batch.text(), [&](ssewire::event const& e) { made->reader.receive(support::record(e)); });
    }
    made->reader.complete();
  }

  void hang_up() {
    if (!now) return;
    now->end();
    last_id = now->parser.last_event_id();
    now.reset();
  }

  void send_private(unsigned how) {
    if (!now) return;
    auto own = take_event(how);
    if (own.type.substr(0, 8) == "ssewire.") own.type.clear();
    if (now->out.send(support::view(own)) == errc::ok) now->reader.expected_private.push_back(received(own));
  }

  void run() {
    auto const limits = in.byte();
    options.replay.max_events = 1 + limits % 8;
    if (limits & 8) options.replay.max_bytes = 64 + in.byte() * 4;
    if (limits & 16) options.max_channel_name_bytes = 8;
    body = limits & 32 ? framing::chunked : framing::raw;
    traits::runs = 0;
    restart();
    for (int step = 0; step < 100 && !in.empty(); ++step) {
      auto const what = in.byte();
      auto const how = what / 8;
      switch (what % 8) {
      case 0:
      case 1:
      case 2: publish_one(how); break;
      case 3: connect(how); break;
      case 4: pump(how % 2 != 0); break;
      case 5: send_private(how); break;
      case 6:
        if (now) now->at_a_time = how == 31 ? 0 : how == 30 ? 1 << 20 : 1 + how * how;
        break;
      default:
        if (how == 31) {
          restart();
        } else if (how == 30) {
          drain();
        } else if (how & 1) {
          hang_up();
        } else if (now) {
          (void)now->out.comment(in.text());
        }
      }
    }
    pump(true);
    if (now) now->reader.complete();
    hang_up();
    pull_the_rest();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  fuzz::input in(data, size);
  play{in}.run();
  return 0;
}
