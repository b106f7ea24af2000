// SPDX-License-Identifier: MIT
// Random histories of a broker against the oracle. SSEWIRE_HISTORIES: how many; SSEWIRE_SEED: run this one only.
#include <ssewire/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/random.hpp>
#include <support/stream_model.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::pull_status;
using ssewire::resume_outcome;
using ssewire::start_at;
using ssewire::wake;
using traits = support::epoch_traits;
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
using batch = ssewire::basic_batch<traits>;

constexpr std::size_t channel_count = 5;

struct client {
  support::model_client model;
  subscription stream;
  ssewire::lag_policy policy = ssewire::lag_policy::tell;
  bool parked = false;
  unsigned ready = 0;  // wake-ups that came
  unsigned evicted = 0;
  unsigned owed = 0;  // wake-ups that must have come
  bool must_evict = false;

  void operator()(wake why) noexcept { ++(why == wake::ready ? ready : evicted); }
};

struct history {
  support::random random;
  ssewire::broker_options options;
  std::unique_ptr<broker> real;
  support::model_broker model;
  std::vector<std::unique_ptr<client>> clients;
  ssewire::time_point now = ssewire::time_point{} + std::chrono::hours(1);
  std::uint64_t epoch;
  std::uint64_t events_published = 0;
  std::uint64_t* gaps_told;
  std::size_t ticks;  // of a hundred steps

  history(std::uint64_t seed, std::uint64_t& gaps) : random(seed), epoch(seed), gaps_told(&gaps) {
    ticks = random.one_in(3) ? 25 : 5;
    options.replay.max_events = 1 + random.below(random.one_in(2) ? 6 : 60);
    options.replay.max_bytes = random.one_in(2) ? 150 + random.below(3000) : 12'000 + random.below(40'000);
    if (random.one_in(2)) options.replay.max_age = std::chrono::milliseconds(800);
    if (random.one_in(2)) options.channel_expiry = std::chrono::milliseconds(400 + random.below(1600));
    if (random.one_in(3)) options.max_expired_channels = random.below(channel_count);
    start_broker();
    for (std::size_t i = 0; i < 1 + random.below(4); ++i) clients.push_back(std::make_unique<client>());
  }

  void start_broker() {
    traits::next = ++epoch;
    real = std::make_unique<broker>(options);
    model = {.limits = options.replay, .epoch = epoch};
    model.channels.resize(channel_count);
    model.channel_expiry = options.channel_expiry;
    model.max_expired = options.max_expired_channels;
  }

  void publish() {
    auto const to = random.below(random.one_in(2) ? 2 : channel_count);  // two busy ones beside idle ones
    auto size = random.below(40);
    if (random.one_in(6)) size = random.below(400);
    if (random.one_in(25)) size = random.below(9 * 1024);
    std::string data(size, 'x');
    for (std::size_t i = 0; i < size; i += 1 + random.below(200)) data[i] = random.pick("ab\n: d");
    for (auto& c : data) {
      if (c == '\0') c = '0';
    }
    data += 'e';  // not a final line end that a reader could lose
    auto const size_of_frame = support::model_broker::frame_size(data);
    auto const done = real->publish("c" + std::to_string(to), {.data = data});
    if (size_of_frame > options.replay.max_bytes) {
      CHECK(done.error == ssewire::errc::event_too_large);
      return;
    }
    if (model.drained_at) {
      CHECK(done.error == ssewire::errc::closed);
      return;
    }
    REQUIRE(done.error == ssewire::errc::ok);
    model.publish(to, std::move(data));
    ++events_published;
    CHECK(done.id.view() == ssewire::position_id(epoch, model.last()).view());
    for (auto& c : clients) {
      if (!c->parked) continue;
      for (auto const& p : c->model.places) {
        if (p.channel != to || !c->parked) continue;
        c->parked = false;
        ++c->owed;
      }
    }
  }

  // Who asks whether a channel is followed.
  auto followed() const {
    return [this](std::size_t channel) {
      for (auto const& c : clients) {
        if (!c->stream) continue;
        for (auto const& p : c->model.places) {
          if (p.channel == channel) return true;
        }
      }
      return false;
    };
  }

  void tick() {
    now += std::chrono::milliseconds(random.below(random.one_in(8) ? 3000 : 300));
    real->tick(now);
    model.tick(now, followed());
    for (auto& c : clients) {
      bool const lost =
          c->stream && c->model.opened && c->policy == ssewire::lag_policy::close && c->model.lags(model);
      if (lost) c->must_evict = true;
      if (c->stream) CHECK(c->stream.reason() == (lost ? close_reason::lagged : close_reason::none));
    }
  }

  std::string some_id(client const& c) {
    switch (random.below(8)) {
    case 0: return {};
    case 1: return std::string(ssewire::position_id(epoch, random.below(model.last() + 1)).view());
    case 2: return std::string(ssewire::position_id(epoch, model.last() + 1 + random.below(5)).view());
    case 3: return std::string(ssewire::position_id(epoch + 1 + random.below(3), random.below(50)).view());
    case 4: {
      auto forged = std::string(ssewire::position_id(epoch, random.below(model.last() + 1)).view());
      forged[random.below(forged.size())] = random.byte();
      return forged;
    }
    case 5: return std::string(random.below(200), random.byte());
    default: return std::string(c.model.parser.last_event_id());
    }
  }

  void connect(client& c) {
    std::vector<std::size_t> channels(1 + random.below(random.one_in(3) ? 4 : 1));
    for (auto& at : channels) at = random.below(channel_count);
    if (!c.model.places.empty() && !random.one_in(4)) {  // as before
      channels.clear();
      for (auto const& p : c.model.places) channels.push_back(p.channel);
    }
    auto const presented = random.one_in(3) ? some_id(c) : std::string(c.model.parser.last_event_id());
    ssewire::subscribe_options how;
    start_at const starts[] = {start_at::now(), start_at::beginning(), start_at::last(random.below(12))};
    how.start = random.pick(starts);
    how.lag = random.one_in(4) ? ssewire::lag_policy::close : ssewire::lag_policy::tell;

    std::vector<std::string> names;
    for (auto const at : channels) names.push_back("c" + std::to_string(at));
    std::vector<std::string_view> const views(names.begin(), names.end());
    auto made = real->subscribe(std::span(views), presented, how);
    REQUIRE(made.error == ssewire::errc::ok);
    c.stream = std::move(made.subscription);
    c.stream.set_hook(ssewire::wake_hook::of(c));
    c.policy = how.lag;
    c.parked = false;
    c.ready = c.evicted = c.owed = 0;
    c.must_evict = false;
    for (auto const at : channels) model.make(at);
    CHECK(c.stream.outcome() == c.model.connect(model, channels, presented, how.start));
  }

  // True: there was nothing.
  bool pull(client& c) {
    batch pulled;
    auto const room = random.one_in(3) ? support::all_room : random.below(random.one_in(2) ? 300 : 12'000);
    auto const status = c.stream.pull(pulled, room);
    auto const bytes = support::bytes_of(pulled);
    if (status == pull_status::closed) {
      CHECK(c.policy == ssewire::lag_policy::close);
      CHECK_UNARY(c.model.lags(model));
      CHECK(c.stream.reason() == close_reason::lagged);
      CHECK_UNARY(bytes.empty());
      cut(c);
      return true;
    }
    if (status != pull_status::frames) {
      CHECK(status == (model.drained_at ? pull_status::draining : pull_status::nothing));
      CHECK_UNARY(bytes.empty());
      c.model.check_complete(model);
      return true;
    }
    CHECK_UNARY(!(c.model.opened && c.policy == ssewire::lag_policy::close && c.model.lags(model)));
    if (!random.one_in(3)) {
      c.model.receive(model, bytes);
      return false;
    }
    auto const taken = random.below(bytes.size() + 1);
    c.model.receive(model, std::string_view(bytes).substr(0, taken));
    auto const rest = c.stream.give_back(pulled, taken);
    CHECK_UNARY(std::string_view(bytes).substr(taken, rest.size()) == rest);
    if (random.one_in(3)) {
      cut(c);  // in the middle of a frame, often
      return true;
    }
    c.model.receive(model, rest);
    return false;
  }

  void park(client& c) {
    bool const quiet = c.model.opened && !c.model.has_news(model) && !model.drained_at;
    bool const parked = c.stream.park();
    CHECK(parked == quiet);
    if (parked) c.parked = true;
  }

  void cut(client& c) {
    check_wakes(c);
    c.stream.close(close_reason::peer_gone);
    c.parked = false;
    model.sweep(followed());
  }

  static void check_wakes(client const& c) {
    CHECK(c.ready == c.owed);
    CHECK(c.evicted == (c.must_evict ? 1 : 0));
  }

  void check_stats() {
    auto const s = real->stats();
    CHECK(s.published == model.last());
    CHECK(s.trimmed == model.trimmed);
    CHECK(s.events == model.last() - model.trimmed);
    std::size_t bytes = 0;
    for (auto const& c : model.channels) bytes += c.held_bytes;
    CHECK(s.frame_bytes == bytes);
    CHECK(s.log_bytes >= s.frame_bytes);
    std::size_t open = 0;
    for (auto const& c : clients) open += c->stream ? 1U : 0U;
    CHECK(s.subscribers == open);
    std::size_t used = 0;
    for (auto const& c : model.channels) used += c.exists ? 1U : 0U;
    CHECK(s.channels == used);
    CHECK(s.expired_channels == model.remembered.size());
    if (used == 0) CHECK(s.log_bytes == 0);
  }

  void restart() {
    add_gaps();
    real.reset();
    for (auto& c : clients) {
      if (!c->stream) continue;
      CHECK(c->evicted == 1);
      CHECK(c->stream.reason() != close_reason::none);
      CHECK_UNARY(support::pull(c->stream).empty());
      c->stream = {};
      c->parked = false;
    }
    start_broker();
  }

  void add_gaps() { *gaps_told += real->stats().gaps; }

  void drain() {
    real->drain(now + std::chrono::seconds(5));
    model.drained_at = model.last();
    for (auto& c : clients) {
      if (std::exchange(c->parked, false)) ++c->owed;
    }
    CHECK(real->subscribe("c0").error == ssewire::errc::closed);
    for (int i = 0; i < 6; ++i) publish();
    for (auto& c : clients) {
      while (c->stream && !pull(*c)) {
      }
      if (c->stream) check_wakes(*c);
    }
    now += std::chrono::seconds(5);
    real->tick(now);
    for (auto& c : clients) {
      if (!c->stream) continue;
      CHECK(c->evicted == 1);
      c->stream.close();
    }
  }

  void run() {
    auto const steps = 20 + random.below(80);
    for (std::size_t step = 0; step < steps; ++step) {
      auto& c = *clients[random.below(clients.size())];
      auto const what = random.below(100);
      if (what < 50) {
        for (auto n = 1 + random.below(random.one_in(4) ? 12 : 2); n != 0; --n) publish();
      } else if (what < 50 + ticks) {
        tick();
      } else if (what < 51 + ticks) {
        if (random.one_in(3)) restart();
      } else if (!c.stream) {
        connect(c);
      } else if (what < 85) {
        pull(c);
        if (c.stream && random.one_in(2)) {
          while (c.stream && !pull(c)) {
          }
        }
      } else if (what < 95) {
        park(c);
      } else {
        cut(c);
      }
      check_stats();
    }
    for (auto& c : clients) {
      while (c->stream && !pull(*c)) {
      }
    }
    drain();
    add_gaps();
  }
};

std::uint64_t from_environment(char const* name, std::uint64_t otherwise) {
  auto const* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever happens, a client gets every event of its channels once and in order, or is told") {
  auto const count = from_environment("SSEWIRE_HISTORIES", 2000);
  auto const only = from_environment("SSEWIRE_SEED", 0);
  std::uint64_t gaps = 0;
  std::uint64_t events = 0;
  for (std::uint64_t seed = only == 0 ? 1 : only; seed <= (only == 0 ? count : only); ++seed) {
    INFO("SSEWIRE_SEED=" << seed);
    history h(seed, gaps);
    h.run();
    events += h.events_published;
  }
  MESSAGE((only == 0 ? count : 1) << " histories, " << events << " events, " << gaps << " gaps told");
  if (only == 0) CHECK(gaps > count / 4);  // or the test has stopped testing
}
