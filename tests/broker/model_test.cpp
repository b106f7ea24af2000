// SPDX-License-Identifier: MIT
// Compares random histories of a broker with the oracle. SSEWIRE_HISTORIES: how many; SSEWIRE_SEED: run only
// this one.
#include <ssewire/broker/broker.hpp>

#include <support/broker_bytes.hpp>
#include <support/random.hpp>
#include <support/stream_model.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using ssewire::close_reason;
using ssewire::errc;
using ssewire::pull_status;
using ssewire::start_at;
using ssewire::wake;
using support::model_event;
using support::model_filter;
using support::name_of;
using traits = support::cloning_traits;
using broker = ssewire::basic_broker<traits>;
using subscription = ssewire::basic_subscription<traits>;
using batch = ssewire::basic_batch<traits>;

constexpr std::size_t channel_count = 8;

struct filter_threw {};

struct client {
  support::model_client model;
  subscription stream;
  ssewire::lag_policy policy = ssewire::lag_policy::tell;
  std::string user;
  bool parked = false;
  bool is_sending = false;  // a batch, of which something may come back
  unsigned ready = 0;       // wake-ups that came
  unsigned evicted = 0;
  unsigned owed = 0;                        // wake-ups that must have come
  close_reason ended = close_reason::none;  // by the broker, which said so by the hook
  std::string farewell;                     // what it gets before that
  ssewire::steady_time expires = (ssewire::steady_time::max)();
  std::uint64_t number = 0;   // in the order of joining
  std::size_t throws_in = 0;  // calls of its filter; 0: never
  std::size_t publishes = 0;  // so often its filter publishes something

  void operator()(wake why) noexcept { ++(why == wake::ready ? ready : evicted); }
};

bool contains(std::vector<errc> const& list, errc what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

struct history {
  support::random random;
  ssewire::broker_options options;
  std::unique_ptr<broker> real;
  support::model_broker model;
  std::vector<std::unique_ptr<client>> clients;
  ssewire::steady_time now = ssewire::steady_time{} + std::chrono::hours(1);
  ssewire::steady_time latest = (ssewire::steady_time::max)();  // no tick goes beyond this
  std::uint64_t epoch;
  std::map<std::string, std::uint64_t, std::less<>> told;                // by the presence hook
  std::map<std::pair<std::string, std::string>, std::uint64_t> told_of;  // of a channel's user
  std::array<std::uint64_t, ssewire::errc_count> refused = {};
  std::array<std::uint64_t, 5> outcomes = {};
  std::uint64_t delivered = 0;
  std::uint64_t gaps = 0;
  std::uint64_t bytes_published = 0;
  ssewire::broker_stats* met;  // what all brokers have met
  std::size_t ticks;           // of a hundred steps
  std::size_t own_ids;         // of a hundred events
  bool with_admission_limits = false;
  bool telling = false;
  bool replaces = false;                   // the stream that connects takes the place of another one
  std::uint64_t joined = 0;                // streams until now
  std::vector<std::string> closed_before;  // of users and channels, in order
  bool burst = false;                      // more events on one channel than a batch has room for runs
  bool cloned = false;  // this is the child of a fork(), and the broker has not noticed yet

  history(std::uint64_t seed, ssewire::broker_stats& all) : random(seed), epoch(seed), met(&all) {
    ticks = random.one_in(3) ? 25 : 5;
    own_ids = random.one_in(2) ? 0 : 10 + random.below(60);
    options.replay.max_events = random.below(random.one_in(2) ? 7 : 120);
    options.replay.max_bytes = random.one_in(2) ? 150 + random.below(3000) : 12'000 + random.below(40'000);
    if (random.one_in(2)) options.replay.max_age = std::chrono::milliseconds(800);
    if (random.one_in(2)) options.channel_expiry = std::chrono::milliseconds(400 + random.below(1600));
    if (random.one_in(3)) options.max_expired_channels = random.below(channel_count);
    if (random.one_in(3)) {
      limit_all_together();
    } else if (random.one_in(3)) {
      limit_admission();
    }
    if (random.one_in(2)) options.on_presence = ssewire::presence_hook::of(*this);
    start_broker();
    for (std::size_t i = 0; i < 1 + random.below(4); ++i) clients.push_back(std::make_unique<client>());
  }

  void limit_all_together() {
    if (!random.one_in(3)) options.max_events_in_all = random.below(40);
    if (random.one_in(2)) options.max_log_bytes = 600 + random.below(12'000);
  }

  void limit_admission() {
    with_admission_limits = true;
    if (random.one_in(2)) options.max_subscribers = random.below(5);
    if (random.one_in(2)) options.max_subscribers_per_channel = 1 + random.below(2);
    if (random.one_in(2)) options.max_subscribers_per_user = 1 + random.below(2);
    if (random.one_in(2)) options.at_user_limit = ssewire::user_limit::replace_oldest;
    if (random.one_in(2)) options.max_channels = 1 + random.below(channel_count);
    if (random.one_in(2)) options.max_channels_per_stream = 1 + random.below(4);
  }

  void start_broker() {
    traits::next = ++epoch;
    real = std::make_unique<broker>(options);
    model = {.options = options, .epoch = epoch};
    model.channels.resize(channel_count);
    cloned = false;
    told.clear();
    told_of.clear();
    refused = {};
    outcomes = {};
    closed_before.clear();
    delivered = gaps = bytes_published = 0;
  }

  // The presence hook: its calls chain, and never overlap. Who comes and goes meanwhile is not heard of.
  void operator()(ssewire::presence const& p) {
    CHECK_UNARY(!std::exchange(telling, true));
    auto& before = told[std::string(p.channel)];
    CHECK(p.before == before);
    CHECK(p.now != before);
    CHECK(p.now == real->subscribers(p.channel));
    before = p.now;
    if (p.user.empty()) {
      CHECK((p.user_before == 0 && p.user_now == 0));
    } else {
      CHECK(p.user_before ==
            std::exchange(told_of[{std::string(p.channel), std::string(p.user)}], p.user_now));
      CHECK(p.user_now - p.user_before == p.now - p.before);
    }
    if (!with_admission_limits && random.one_in(4)) {
      auto const visitor = real->subscribe(p.channel);
      notice();
      if (visitor) ++outcomes[0];
    }
    telling = false;
  }

  // Who asks whether a channel is followed.
  auto followed() const {
    return [this](std::size_t channel) { return followers(channel) != 0; };
  }
  std::size_t followers(std::size_t channel) const {
    return static_cast<std::size_t>(std::count_if(clients.begin(), clients.end(), [&](auto const& c) {
      return c->stream && c->model.follows(channel);
    }));
  }

  // What was told of users, and how many there are, against those whose streams are there.
  void check_users() {
    for (std::size_t channel = 0; channel < channel_count; ++channel) {
      std::map<std::string, std::uint64_t> users;
      for (auto const& c : clients) {
        if (c->stream && !c->user.empty() && c->model.follows(channel)) ++users[c->user];
      }
      CHECK(real->users(name_of(channel)) == users.size());
      if (options.on_presence.call == nullptr) continue;
      for (std::string const user : {"u", "v"}) CHECK(told_of[{name_of(channel), user}] == users[user]);
    }
  }

  // ---- a fork ----

  void clone() {
    cloned = true;
    traits::cloned(epoch + 1);
  }

  // The child has come to what makes it begin anew.
  void notice() {
    if (model.draining || !std::exchange(cloned, false)) return;
    model.begin_anew(++epoch);
    if (!telling) model.sweep(followed());  // or it is in the midst of a change of who follows what
  }

  // ---- publish ----

  std::string some_data() {
    auto size = random.below(40);
    if (random.one_in(6)) size = random.below(400);
    if (random.one_in(25)) size = random.below(9 * 1024);
    std::string data(size, 'x');
    for (std::size_t i = 0; i < size; i += 1 + random.below(200)) data[i] = "ab\n: d"[random.below(6)];
    return data + 'e';  // not a final line end that a reader could lose
  }

  std::string some_own_id() {
    auto const position = [&](std::uint64_t of) { return std::string(ssewire::position_id(of, 3).view()); };
    if (!random.one_in(12)) return 'k' + std::to_string(random.below(25));
    switch (random.below(9)) {
    case 0: return {};
    case 1: return std::string(128, "ab"[random.below(2)]);
    case 2: return std::string(129, 'a');
    case 3: return "a b";
    case 4: return "\x7f";
    case 5: return "caf\xC3\xA9";
    case 6: return position(epoch);
    case 7: return position(epoch + 7);
    default: return position(epoch).substr(1);
    }
  }

  model_event some_event() {
    model_event e;
    char const* const types[] = {"", "", "a", "another.type"};
    e.type = random.one_in(150) ? "ssewire.gap" : random.pick(types);
    if (random.below(100) < own_ids) e.own_id = some_own_id();
    e.data = some_data();
    return e;
  }

  std::vector<std::size_t> some_channels(std::size_t most) {
    if (burst) return {0};
    std::vector<std::size_t> some;
    for (auto n = 1 + random.below(most); n != 0; --n) {
      auto const c = random.below(random.one_in(2) ? 2 : channel_count);  // two busy ones beside idle ones
      if (std::find(some.begin(), some.end(), c) == some.end()) some.push_back(c);
    }
    return some;
  }

  void publish() {
    auto const to = some_channels(random.one_in(4) ? 4 : 1);
    std::vector<model_event> events(random.one_in(5) ? random.below(6) : 1);
    auto const tag = random.one_in(2) ? 0 : random.below(3);
    for (auto& e : events) {
      e = some_event();
      e.tag = tag;
    }
    auto const refused_before = model.objections_before(to, events);
    if (!events.empty() && refused_before.empty()) notice();
    auto const objections = model.objections(to, events);
    auto const done = publish_for_real(to, events);
    if (events.empty()) {
      CHECK((done.error == errc::ok || contains(objections, done.error)));
      return;
    }
    CHECK((objections.empty() ? done.error == errc::ok : contains(objections, done.error)));
    ++refused[static_cast<std::size_t>(done.error)];
    if (done.error != errc::ok) return;

    model.publish(to, events);
    for (auto const& e : events) bytes_published += support::model_broker::frame_size(e);
    CHECK(done.value.view() == ssewire::position_id(epoch, model.last()).view());
    keep_limits_of_all();
    for (auto& c : clients) {
      if (!c->parked) continue;
      if (std::none_of(to.begin(), to.end(), [&](auto at) { return c->model.follows(at); })) continue;
      c->parked = false;
      ++c->owed;  // one, however many events and channels
    }
  }

  ssewire::result<ssewire::position_id> publish_for_real(std::vector<std::size_t> const& to,
                                                         std::vector<model_event> const& events) {
    std::vector<std::string> names;
    for (auto const c : to) names.push_back(name_of(c));
    std::vector<std::string_view> views(names.begin(), names.end());
    std::vector<ssewire::event> raw;
    for (auto const& e : events) {
      raw.push_back({.type = ssewire::event_type::from(e.type).value, .data = e.data});
      if (e.own_id) raw.back().id = ssewire::event_id::from(*e.own_id).value;
    }
    auto const tag = events.empty() ? 0 : events[0].tag;
    if (raw.size() == 1 && to.size() == 1 && !random.one_in(4))
      return real->publish(views[0], raw[0], {.tag = tag});
    if (random.one_in(4)) views.push_back(views[0]);  // counts once
    return real->publish(std::span<std::string_view const>(views), std::span<ssewire::event const>(raw),
                         {.tag = tag});
  }

  // What the limits of all channels took is the oldest, and no more than the count allows; of memory only
  // the broker knows. The newest event of all stays.
  void keep_limits_of_all() {
    auto const newest = model.last() - 1;
    auto const s = real->stats();
    auto const taken = s.trims[4] - model.trims[4];
    std::uint64_t old = 0;
    for (auto const& c : model.channels) {
      old += std::min<std::uint64_t>(c.held(),
                                     c.index_after(newest) - (std::min)(c.index_after(newest), c.held_from));
    }
    auto const held = model.held();
    auto const most = options.max_events_in_all;
    auto const too_many = held > most ? (std::min)(held - most, old) : 0;
    CHECK(taken >= too_many);
    if (options.max_log_bytes > 1'000'000) CHECK(taken == too_many);
    CHECK((s.log_bytes <= options.max_log_bytes || taken == old));
    model.forget_oldest(taken, newest, [&](std::size_t channel) {
      ssewire::subscribe_options how;
      how.start = start_at::beginning();
      ++outcomes[0];
      return real->subscribe(name_of(channel), how).value.backlog();
    });
    model.sweep(followed());
  }

  // ---- time ----

  void tick() {
    if (random.one_in(3)) settle();
    now = (std::min)(now + std::chrono::milliseconds(random.below(random.one_in(8) ? 3000 : 300)), latest);
    real->tick(now);
    model.tick(now, followed());
    std::uint64_t half_old = 0;
    for (auto const& m : model.marks) {
      if (now - m.when >= options.replay.max_age / 2) half_old = m.position;
    }
    for (auto& c : clients) {
      if (!c->stream) continue;
      bool const closes = c->model.opened && c->policy == ssewire::lag_policy::close;
      // Of a stream with a filter its next pull decides.
      bool const filtered = c->model.filter.is_set() || c->model.next_filter;
      if (c->expires <= now) end(*c, close_reason::expired);
      bool const lags = closes && ((!filtered && c->model.must_be_closed(model)) ||
                                   (c->model.may_be_closed(model) && c->evicted != 0));
      if (lags) end(*c, close_reason::lagged);
      CHECK(c->stream.reason() == c->ended);
      // It has skipped something behind an ID that will soon be too old.
      if (c->parked && c->model.filter.is_set() && c->model.seen < half_old && c->model.skipped(model)) {
        c->parked = false;
        c->model.owed_position = true;
        c->model.owed_by = 0;
        ++c->owed;
      }
    }
    if (model.draining) take_turns();
  }

  // ---- connect ----

  // Everybody waits.
  void settle() {
    for (auto& c : clients) {
      if (c->is_sending) continue;
      pull_all(*c);
      if (c->stream) park(*c);
    }
  }

  std::string some_id(client const& c) {
    auto const position = [&](std::uint64_t of, std::uint64_t at) {
      return std::string(ssewire::position_id(of, at).view());
    };
    switch (random.below(10)) {
    case 0: return {};
    case 1: return position(epoch, random.below(model.last() + 1));
    case 2: return position(epoch, model.last() + 1 + random.below(5));
    case 3: return position(epoch + 1 + random.below(3), random.below(50));
    case 4: {
      auto forged = position(epoch, random.below(model.last() + 1));
      forged[random.below(forged.size())] = random.byte();
      return forged;
    }
    case 5: return std::string(random.below(200), random.byte());
    case 6: return some_own_id();
    case 7: return model.last() == 0 ? std::string() : model.id_at(1 + random.below(model.last()));
    default: return std::string(c.model.parser.last_event_id());
    }
  }

  model_filter some_filter() {
    using by = model_filter::by;
    by const kinds[] = {by::type, by::tag, by::id, by::refuse_all};
    if (random.one_in(2)) return {};
    return {random.pick(kinds), random.below(2)};
  }

  // What the broker gets in its place; it throws and publishes when the test wants it to.
  ssewire::event_filter real_filter(client& c, model_filter admits) {
    if (!admits.is_set()) return {};
    return [this, &c, admits](ssewire::event_header const& e) {
      if (c.publishes != 0) {
        --c.publishes;
        publish();
      }
      if (c.throws_in != 0 && --c.throws_in == 0) throw filter_threw();
      return admits.admits(e.type, e.id, e.tag);
    };
  }

  // Whether a user has as many streams that go on as one may have.
  bool is_full(std::string const& user) const {
    auto const of_user = [&](auto const& c) {
      return c->stream && c->ended == close_reason::none && c->user == user;
    };
    return !user.empty() &&
           static_cast<std::size_t>(std::count_if(clients.begin(), clients.end(), of_user)) >=
               options.max_subscribers_per_user;
  }

  // Before it has joined: whose place a stream of this user takes.
  client* replaced_by(std::string const& user) const {
    client* oldest = nullptr;
    for (auto const& c : clients) {
      bool const may = c->stream && c->number != 0 && c->ended == close_reason::none && c->user == user;
      if (may && (oldest == nullptr || c->number < oldest->number)) oldest = c.get();
    }
    return replaces ? oldest : nullptr;
  }

  // The broker has ended it.
  static void end(client& c, close_reason why, std::string_view farewell = {}) {
    if (c.ended != close_reason::none) return;
    c.ended = why;
    c.farewell = farewell;
    c.parked = false;
  }

  // From outside, and perhaps from inside of whatever goes on.
  void end_some() {
    bool const with = random.one_in(2);
    std::string_view const words = with ? "event: bye\ndata: x\n\n" : "";
    auto const last = with ? std::optional(ssewire::event{.type = "bye", .data = "x"}) : std::nullopt;
    auto const end_all = [&](close_reason why, auto matches) {
      std::uint64_t ended = 0;
      for (auto& c : clients) {
        if (!c->stream || c->ended != close_reason::none || !matches(*c)) continue;
        end(*c, why, words);
        ++ended;
      }
      return ended;
    };
    switch (random.below(3)) {
    case 0: {
      char const* const users[] = {"u", "v", "nobody"};
      std::string const user = random.pick(users);
      auto const ended = real->close_user(user, last);
      closed_before.push_back("user " + user);
      CHECK(*ended == end_all(close_reason::revoked, [&](client const& c) { return c.user == user; }));
      break;
    }
    case 1: {
      auto const channel = random.below(channel_count);
      CHECK(*real->close_channel(name_of(channel), last) == followers(channel));
      closed_before.push_back("channel " + name_of(channel));
      end_all(close_reason::channel_closed, [&](client const& c) { return c.model.follows(channel); });
      break;
    }
    default: {
      auto& c = *clients[random.below(clients.size())];
      auto const id = c.stream.id();
      CHECK(bool(id) == (c.stream && c.ended == close_reason::none));
      CHECK(*real->close(id, close_reason::finished, last) == bool(id));
      if (id) end(c, close_reason::finished, words);
    }
    }
    CHECK(real->closes() == closed_before.size());
  }

  std::vector<errc> objections_to(std::vector<std::size_t> const& channels, std::string const& user,
                                  std::uint64_t as_of) const {
    std::vector<errc> found;
    auto const count = [&](auto matches) {
      return static_cast<std::size_t>(std::count_if(clients.begin(), clients.end(), matches));
    };
    if (!model.fit(channels)) found.push_back(errc::too_many_channels);
    if (count([](auto const& c) { return bool(c->stream); }) >= options.max_subscribers)
      found.push_back(errc::too_many_subscribers);
    if (options.at_user_limit == ssewire::user_limit::refuse_newest && is_full(user))
      found.push_back(errc::user_full);
    for (auto i = as_of; i < closed_before.size(); ++i) {
      bool const of_user = !user.empty() && closed_before[i] == "user " + user;
      if (of_user || std::any_of(channels.begin(), channels.end(),
                                 [&](auto at) { return closed_before[i] == "channel " + name_of(at); }))
        found.push_back(errc::revoked);
    }
    for (auto const c : channels) {
      if (followers(c) >= options.max_subscribers_per_channel) found.push_back(errc::channel_full);
    }
    return found;
  }

  void connect(client& c) {
    auto channels = some_channels(random.one_in(3) ? 4 : 1);
    if (!c.model.places.empty() && !random.one_in(4)) {  // as before
      channels.clear();
      for (auto const& p : c.model.places) channels.push_back(p.channel);
    }
    auto const presented = random.one_in(3) ? some_id(c) : std::string(c.model.parser.last_event_id());
    auto const admits = random.one_in(3) ? c.model.filter : some_filter();
    char const* const users[] = {"", "u", "v"};
    std::string const user = random.pick(users);
    ssewire::subscribe_options how;
    start_at const starts[] = {start_at::now(), start_at::beginning(), start_at::last(random.below(12))};
    how.start = random.pick(starts);
    how.lag = random.one_in(4) ? ssewire::lag_policy::close : ssewire::lag_policy::tell;
    how.filter = real_filter(c, admits);
    how.user = user;

    std::vector<std::string> names;
    for (auto const at : channels) names.push_back(name_of(at));
    if (random.one_in(4)) names.push_back(names[0]);  // counts once
    std::vector<std::string_view> const views(names.begin(), names.end());
    if (channels.size() <= options.max_channels_per_stream) notice();
    auto const as_of = random.one_in(3) ? random.below(closed_before.size() + 1) : closed_before.size();
    if (random.one_in(2)) how.as_of = as_of;
    if (random.one_in(6)) how.expires = now + std::chrono::milliseconds(random.below(2000));
    auto const objections = objections_to(channels, user, how.as_of.value_or(closed_before.size()));
    replaces = is_full(user);
    c.throws_in = c.publishes = 0;
    how.last_event_id = presented;
    auto made = real->subscribe(std::span(views), how);
    CHECK((objections.empty() ? made.error == errc::ok : contains(objections, made.error)));
    ++refused[static_cast<std::size_t>(made.error)];
    if (made.error != errc::ok) return;
    c.stream = std::move(made.value);
    c.stream.set_hook(ssewire::wake_hook::of(c));
    c.policy = how.lag;
    c.user = user;
    c.parked = false;
    c.ready = c.evicted = c.owed = 0;
    c.ended = close_reason::none;
    c.farewell.clear();
    c.expires = how.expires.value_or((ssewire::steady_time::max)());
    c.number = 0;
    if (auto* const oldest = replaced_by(user)) end(*oldest, close_reason::replaced);
    c.number = ++joined;
    for (auto const at : channels) {
      model.make(at);
      if (admits.is_set()) model.filter_on(at);
    }
    auto const outcome = c.model.connect(model, channels, presented, how.start, admits);
    CHECK(c.stream.outcome() == outcome);
    CHECK(c.stream.backlog() == c.model.backlog(model));
    ++outcomes[static_cast<std::size_t>(outcome)];
  }

  // ---- an open stream ----

  // True: there was nothing.
  bool pull(client& c) {
    batch pulled;
    if (c.ended != close_reason::none) return pull_the_end(c);
    auto const room = random.one_in(3) ? support::all_room : random.below(random.one_in(2) ? 300 : 12'000);
    bool const closes = c.model.opened && c.policy == ssewire::lag_policy::close;
    bool const must_close = closes && c.model.must_be_closed(model);
    c.throws_in = random.one_in(12) ? 1 + random.below(4) : 0;
    c.publishes = random.one_in(12) ? 1 + random.below(8) : 0;
    auto status = pull_status::nothing;
    auto const seen_before = c.model.seen;
    try {
      status = c.stream.pull(pulled, room);
    } catch (filter_threw const&) {
      c.model.pulled_at = model.last();
      c.model.count_nothing();
      return false;
    }
    c.model.pulled_at = model.last();
    if (c.model.filter.is_set())
      c.model.count_nothing();  // it may have found no room for all that was admitted
    auto const bytes = support::bytes_of(pulled);
    if (status == pull_status::closed) {
      CHECK_UNARY(closes);
      CHECK_UNARY(c.model.may_be_closed(model));
      CHECK(c.stream.reason() == close_reason::lagged);
      CHECK_UNARY(bytes.empty());
      cut(c);
      return true;
    }
    CHECK_UNARY(!must_close);
    if (status != pull_status::ready) {
      CHECK(status == (c.model.is_its_turn ? pull_status::draining : pull_status::nothing));
      CHECK_UNARY(bytes.empty());
      c.model.caught_up(model);
      return true;
    }
    if (!random.one_in(3)) {
      count(bytes);
      c.model.receive(model, bytes);
      return false;
    }
    auto const taken = random.below(bytes.size() + 1);
    auto const begun = whole_frames(bytes, taken);
    if (random.one_in(3)) {
      c.model.receive(model, std::string_view(bytes).substr(0, taken));
      auto const rest = c.stream.give_back(pulled, taken);
      CHECK_UNARY(std::string_view(bytes).substr(taken, begun - taken) == rest);
      count(std::string_view(bytes).substr(0, begun));
      cut(c);  // in the middle of a frame, often
      return true;
    }
    c.model.receive(model, std::string_view(bytes).substr(0, begun));
    c.model.begin_sending(model, seen_before);
    c.is_sending = true;
    if (random.one_in(2)) while_it_is_sent(c);
    c.is_sending = false;
    auto const rest = c.stream.give_back(pulled, taken);
    CHECK_UNARY(std::string_view(bytes).substr(taken, begun - taken) == rest);
    count(std::string_view(bytes).substr(0, begun));
    c.model.end_sending(begun == bytes.size() ? support::never : comes_back_after(c, bytes.substr(begun)));
    return false;
  }

  // Of one that the broker has ended: what it is to get before that, and nothing else.
  bool pull_the_end(client& c) {
    batch pulled;
    auto const status = c.stream.pull(pulled, random.below(300));
    CHECK(support::bytes_of(pulled) == c.farewell);
    CHECK(status == (c.farewell.empty() ? pull_status::closed : pull_status::ready));
    CHECK(c.stream.reason() == c.ended);
    if (!std::exchange(c.farewell, {}).empty()) return false;
    cut(c);
    return true;
  }

  // What has gone when so much was taken: all notices of the library, which come first, and whole frames.
  static std::size_t whole_frames(std::string_view bytes, std::size_t taken) {
    for (std::size_t end = 0;;) {
      auto const size = bytes.find("\n\n", end) + 2 - end;
      bool const notice = bytes.substr(end, size).find("event: ssewire.") != std::string_view::npos;
      if (end == bytes.size() || (end >= taken && !notice)) return end;
      end += size;
    }
  }

  // The position before the first event of these frames.
  std::uint64_t comes_back_after(client const& c, std::string_view frames) const {
    auto const id = frames.substr(4, frames.find('\n') - 4);
    auto position = c.model.seen + 1;
    while (model.id_at(position) != id) ++position;
    return position - 1;
  }

  // Others publish, time passes, and its own writer changes what it follows.
  void while_it_is_sent(client& c) {
    for (auto n = 1 + random.below(4); n != 0; --n) {
      switch (random.below(5)) {
      case 0: tick(); break;
      case 1: change(c); break;
      case 2: end_some(); break;
      default: publish();
      }
    }
  }

  // Whole frames, which the broker takes for sent.
  void count(std::string_view frames) {
    ssewire::parser reader;
    (void)reader.feed(frames, [&](ssewire::event const& e) {
      if (e.type.value() == "ssewire.gap") ++gaps;
      if (e.type.value().rfind("ssewire.", 0) != 0) ++delivered;
    });
    CHECK_UNARY(!reader.has_partial_event());
  }

  void pull_all(client& c) {
    while (c.stream && !pull(c)) {
    }
  }

  void park(client& c) {
    auto const& m = c.model;
    bool const may = m.opened && !m.owed_position && !m.is_its_turn && m.due(model) == support::never &&
                     !m.must_lag(model) && c.ended == close_reason::none;
    bool const parked = c.stream.park();
    CHECK((may || !parked));
    if (may && !m.may_have_news(model) && !m.may_lag(model)) CHECK_UNARY(parked);
    c.parked = parked;
  }

  // Its channels or its filter. While it is parked that wakes it.
  void change(client& c) {
    auto const channel = random.below(channel_count);
    auto const name = name_of(channel);
    bool const follows = c.model.follows(channel);
    bool changes = true;
    // A filter changes where the stream stands, a channel joins where the broker does: one after the other.
    bool const may_filter = !c.model.owed_position || c.model.next_filter || !c.model.opened;
    bool const may_join = !c.model.next_filter;
    if (random.one_in(3)) {
      if (!may_filter) return;
      auto const admits = some_filter();
      auto const done = c.stream.set_filter(real_filter(c, admits));
      changes = c.ended == close_reason::none;
      CHECK(done == (changes ? errc::ok : errc::closed));
      if (changes) c.model.set_filter(admits);
      for (auto const& p : c.model.places) {
        if (changes && admits.is_set()) model.filter_on(p.channel);
      }
    } else if (follows && random.one_in(4)) {
      CHECK(c.stream.join(name) ==
            (c.ended != close_reason::none || model.draining ? errc::closed : errc::ok));
      return;
    } else if (follows) {
      auto const only = c.model.places.size() == 1;
      changes = c.ended == close_reason::none && !only;
      CHECK(c.stream.leave(name) == (c.ended != close_reason::none ? errc::closed
                                     : only                        ? errc::no_channel
                                                                   : errc::ok));
      if (changes) c.model.leave(channel);
      model.sweep(followed());
    } else if (may_join) {
      changes = join(c, channel);
    } else {
      return;
    }
    if (changes && std::exchange(c.parked, false)) ++c.owed;
  }

  bool join(client& c, std::size_t channel) {
    std::vector<errc> objections;
    if (c.ended != close_reason::none || model.draining) objections.push_back(errc::closed);
    if (c.model.places.size() >= options.max_channels_per_stream || !model.fit({channel}))
      objections.push_back(errc::too_many_channels);
    if (followers(channel) >= options.max_subscribers_per_channel) objections.push_back(errc::channel_full);
    auto const done = c.stream.join(name_of(channel));
    CHECK((objections.empty() ? done == errc::ok : contains(objections, done)));
    ++refused[static_cast<std::size_t>(done)];
    if (done != errc::ok) return false;
    model.make(channel);
    if (c.model.filter.is_set()) model.filter_on(channel);
    c.model.join(model, channel);
    model.sweep(followed());
    return true;
  }

  void cut(client& c) {
    check_wakes(c);
    c.stream.close(close_reason::peer_gone);
    c.parked = false;
    model.sweep(followed());
  }

  static void check_wakes(client const& c) {
    CHECK(c.ready == c.owed);
    CHECK(c.evicted == (c.ended != close_reason::none ? 1 : 0));
  }

  // ---- the whole ----

  void check_stats() {
    auto const s = real->stats();
    CHECK(s.published == model.last());
    CHECK(s.published_bytes == bytes_published);
    CHECK(s.delivered == delivered);
    CHECK(s.gaps == gaps);
    for (std::size_t i = 0; i < s.trims.size(); ++i) CHECK(s.trims[i] == model.trims[i]);
    for (std::size_t i = 0; i < s.resumes.size(); ++i) CHECK(s.resumes[i] == outcomes[i]);
    for (auto const e : {errc::id_in_use, errc::too_many_subscribers, errc::user_full, errc::channel_full})
      CHECK(s.refusals[static_cast<std::size_t>(e)] == refused[static_cast<std::size_t>(e)]);
    CHECK(s.events == model.held());
    std::size_t bytes = 0;
    for (auto const& c : model.channels) bytes += model.held_bytes(c);
    CHECK(s.frame_bytes == bytes);
    CHECK(s.log_bytes >= s.frame_bytes);
    CHECK((s.log_bytes == 0) == (s.events == 0));
    CHECK(s.pinned_bytes == 0);  // no batch lives
    CHECK(s.channels == model.used());
    CHECK(s.expired_channels == model.remembered.size());
    std::size_t open = 0;
    for (auto const& c : clients) open += c->stream ? 1U : 0U;
    CHECK(s.subscribers == open);
    for (std::size_t c = 0; c < channel_count; ++c) {
      CHECK(real->subscribers(name_of(c)) == followers(c));
      if (options.on_presence.call != nullptr) CHECK(told[name_of(c)] == followers(c));
    }
    check_users();
    for (auto const& c : clients) check_wakes(*c);
  }

  void restart() {
    end_run();
    real.reset();
    for (auto& c : clients) {
      if (!c->stream) continue;
      CHECK(c->evicted == 1);
      CHECK(c->stream.reason() != close_reason::none);
      CHECK(support::pull(c->stream) == c->farewell);
      CHECK_UNARY(support::pull(c->stream).empty());
      c->stream = {};
      c->parked = false;
      c->ended = close_reason::drained;
    }
    start_broker();
  }

  void end_run() {
    auto const s = real->stats();
    met->published += s.published;
    met->gaps += s.gaps;
    met->lags += s.lags;
    met->replayed += s.replayed;
    met->filtered += s.filtered;
    for (std::size_t i = 0; i < s.trims.size(); ++i) met->trims[i] += s.trims[i];
    for (std::size_t i = 0; i < s.resumes.size(); ++i) met->resumes[i] += s.resumes[i];
    for (std::size_t i = 0; i < s.refusals.size(); ++i) met->refusals[i] += s.refusals[i];
    for (std::size_t i = 0; i < s.closes.size(); ++i) met->closes[i] += s.closes[i];
  }

  // A client's departure is as far into the first half as its retry is into the spread: both are even.
  void take_turns() {
    constexpr std::uint64_t whole = std::uint64_t{1} << 32;
    for (auto& c : clients) {
      if (!c->stream || c->ended != close_reason::none) continue;
      auto const part =
          static_cast<double>(c->stream.drain_retry().milliseconds - options.least_retry.milliseconds) /
          static_cast<double>(whole);
      auto const gone = static_cast<double>((now - model.draining->began).count());
      auto const all = static_cast<double>(model.draining->half.count());
      if (gone >= all || gone > all * part)
        c->model.is_its_turn = true;  // and stays so, whatever the clock does
      if (c->model.is_its_turn && std::exchange(c->parked, false)) ++c->owed;
    }
  }

  void drain() {
    auto const half = std::chrono::milliseconds(random.one_in(3) ? 0 : random.below(3000));
    real->drain(now, now + 2 * half, ssewire::reconnection_time(std::uint64_t{1} << 32));
    model.draining = {now, half};
    take_turns();
    CHECK(real->subscribe("c0").error == errc::closed);
    auto const deadline = now + 2 * half;
    latest = deadline - std::chrono::milliseconds(1);
    for (;;) {
      for (int i = 0; i < 3; ++i) publish();
      if (random.one_in(8)) end_some();
      for (auto& c : clients) {
        if (!c->stream) continue;
        if (random.one_in(3)) change(*c);
        if (c->model.is_its_turn || random.one_in(2)) pull_all(*c);
        if (c->stream && random.one_in(2)) park(*c);
        if (c->stream) check_wakes(*c);
      }
      tick();
      if (now >= deadline - std::chrono::milliseconds(1)) break;
    }
    for (auto& c : clients) {
      if (!c->stream || c->ended != close_reason::none) continue;
      CHECK(c->stream.reason() == close_reason::none);
      pull_all(*c);  // asks whether it is told that it drains
      if (c->stream) check_wakes(*c);
    }
    now = deadline;
    real->tick(now);
    for (auto& c : clients) {
      if (!c->stream) continue;
      CHECK(c->evicted ==
            (c->ended != close_reason::none ? 2 : 1));  // one that was ended and goes on hears of force, too
      c->stream.close();
    }
  }

  void run() {
    auto const steps = 20 + random.below(80);
    for (std::size_t step = 0; step < steps; ++step) {
      auto& c = *clients[random.below(clients.size())];
      auto const what = random.below(100);
      if (what < 45) {
        auto n = 1 + random.below(random.one_in(4) ? 12 : 2);
        burst = random.one_in(25);
        if (burst) n = 100;
        for (; n != 0; --n) publish();
        burst = false;
      } else if (what < 45 + ticks) {
        tick();
      } else if (what < 46 + ticks) {
        if (random.one_in(3)) restart();
      } else if (what < 47 + ticks) {
        if (random.one_in(3)) clone();
      } else if (what < 49 + ticks) {
        end_some();
      } else if (!c.stream) {
        connect(c);
      } else if (what < 83) {
        pull(c);
        if (c.stream && random.one_in(2)) pull_all(c);
      } else if (what < 91) {
        park(c);
      } else if (what < 96) {
        change(c);
      } else {
        cut(c);
      }
      check_stats();
    }
    for (auto& c : clients) pull_all(*c);
    drain();
    end_run();
  }
};

std::uint64_t from_environment(char const* name, std::uint64_t otherwise) {
  auto const* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever happens, a client gets every event of its channels once and in order, or is told") {
  auto const count = from_environment("SSEWIRE_HISTORIES", 1000);
  auto const only = from_environment("SSEWIRE_SEED", 0);
  ssewire::broker_stats met;
  for (std::uint64_t seed = only == 0 ? 1 : only; seed <= (only == 0 ? count : only); ++seed) {
    INFO("SSEWIRE_SEED=" << seed);
    history h(seed, met);
    h.run();
  }
  MESSAGE((only == 0 ? count : 1) << " histories, " << met.published << " events, " << met.replayed
                                  << " replayed, " << met.filtered << " filtered, " << met.gaps
                                  << " gaps told, " << met.lags << " of them to open streams");
  if (only != 0) return;
  CHECK(met.gaps > count / 4);  // or the test has stopped testing
  if (count < 500) return;
  for (auto const n : {met.lags, met.replayed, met.filtered}) CHECK(n > count / 4);
  for (auto const n : met.trims) CHECK(n != 0);
  for (auto const n : met.resumes) CHECK(n != 0);
  for (auto const e : {errc::id_in_use, errc::too_many_channels, errc::too_many_subscribers,
                       errc::channel_full, errc::user_full, errc::revoked, errc::closed})
    CHECK(met.refusals[static_cast<std::size_t>(e)] != 0);
  for (auto const why : {close_reason::revoked, close_reason::expired, close_reason::replaced,
                         close_reason::channel_closed, close_reason::finished, close_reason::lagged})
    CHECK(met.closes[static_cast<std::size_t>(why)] != 0);
}
