// SPDX-License-Identifier: MIT
// Posted streams on a pool of threads, each on a strand of its own. Other threads publish and complete
// writes. Nothing here asserts how long anything takes: a lost wake-up shows as a hang, which ctest ends.
#include <ssewire/broker/broker.hpp>
#include <ssewire/drivers/posted_stream.hpp>

#include <support/events.hpp>
#include <support/random.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ssewire::broker;
using ssewire::close_reason;
using ssewire::write_status;

/// Runs closures on threads, those of one strand one after the other.
class pool {
 public:
  class strand {
   public:
    explicit strand(pool& of) : pool_(of) {}
    void post(std::function<void()> task) {
      std::unique_lock const held(pool_.guard_);
      if (pool_.stopped_) return;
      tasks_.push_back(std::move(task));
      if (!std::exchange(queued_, true)) pool_.enqueue(*this);
    }
    /// Is this code run by it?
    [[nodiscard]] bool is_here() const { return current == this; }

   private:
    friend pool;
    pool& pool_;
    std::deque<std::function<void()>> tasks_;
    bool queued_ = false;  // or being run
  };

  explicit pool(std::size_t threads) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  }
  ~pool() { stop(); }

  strand& make_strand() {
    std::unique_lock const held(guard_);
    return strands_.emplace_back(*this);
  }

  /// The threads end; what was not begun never is, and is destroyed here.
  void stop() {
    {
      std::unique_lock const held(guard_);
      stopped_ = true;
      changed_.notify_all();
    }
    for (auto& t : threads_) t.join();
    threads_.clear();
    for (auto& s : strands_) std::exchange(s.tasks_, {}).clear();
  }

 private:
  void enqueue(strand& s) {
    ready_.push_back(&s);
    changed_.notify_one();
  }

  void run() {
    std::unique_lock held(guard_);
    for (;;) {
      while (!stopped_ && ready_.empty()) changed_.wait(held);
      if (stopped_) return;
      auto& s = *ready_.front();
      ready_.pop_front();
      auto task = std::move(s.tasks_.front());
      s.tasks_.pop_front();
      held.unlock();
      current = &s;
      task();
      task = nullptr;  // what it holds dies on the strand
      current = nullptr;
      held.lock();
      s.queued_ = !s.tasks_.empty();
      if (s.queued_) enqueue(s);
    }
  }

  static thread_local strand const* current;

  std::mutex guard_;
  std::condition_variable changed_;
  std::deque<strand> strands_;
  std::deque<strand*> ready_;
  std::vector<std::thread> threads_;
  bool stopped_ = false;
};
thread_local pool::strand const* pool::current = nullptr;

struct to_strand {
  pool::strand* on;

  template <class Task> void operator()(Task task) const { on->post(std::move(task)); }
};

/// A number that others wait for.
class counter {
 public:
  void add_one() {
    std::unique_lock const held(guard_);
    ++count_;
    changed_.notify_all();
  }
  void wait_for(std::size_t n) {
    std::unique_lock held(guard_);
    while (count_ < n) changed_.wait(held);
  }

 private:
  std::mutex guard_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

struct sink_writer;
using stream = ssewire::posted_stream<sink_writer, to_strand, ssewire::subscription>;

/// What one stream got. Touched on its strand only, and read when its writer is gone.
struct sink {
  explicit sink(pool& p, std::uint64_t seed = 1) : on(&p.make_strand()), random(seed) {}

  pool::strand* on;
  std::shared_ptr<stream> of = {};  // the program's reference
  stream* plain = nullptr;          // while there is one
  counter* gone = nullptr;          // counts writers that are
  counter* seen = nullptr;          // counts what was taken
  ssewire::parser parser = {};
  std::string last_id = {};
  std::size_t events = 0;
  std::size_t gaps = 0;
  std::vector<close_reason> closed = {};
  bool in_order = true;
  bool always_on_its_strand = true;
  support::random random;

  void take(std::string_view bytes) {
    always_on_its_strand = always_on_its_strand && on->is_here();
    (void)parser.feed(bytes, [this](ssewire::event const& e) {
      auto const id = std::string(e.id.value());
      if (!id.empty() && (id < last_id || (e.type.empty() && id == last_id))) in_order = false;
      if (!id.empty()) last_id = id;
      if (e.type.value() == "ssewire.gap") ++gaps;
      if (e.type.empty()) ++events;
    });
    if (seen != nullptr) seen->add_one();
  }
};

/// A transport that sends on a thread of its own: what is pending is read there.
class transport {
 public:
  transport() : thread_([this] { run(); }) {}
  ~transport() { stop(); }
  /// Sends what it has been given.
  void stop() {
    {
      std::unique_lock const held(guard_);
      stopped_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }
  void send(sink& to, std::vector<std::string_view> pieces, std::shared_ptr<stream> from) {
    std::unique_lock const held(guard_);
    jobs_.push_back({&to, std::move(pieces), std::move(from)});
    changed_.notify_all();
  }

 private:
  struct job {
    sink* to;
    std::vector<std::string_view> pieces;
    std::shared_ptr<stream> from;
  };
  void run();

  std::mutex guard_;
  std::condition_variable changed_;
  std::deque<job> jobs_;
  bool stopped_ = false;
  std::thread thread_;
};

struct sink_writer {
  sink* to;
  transport* by;  // none: takes a part, perhaps says `again`, and is told writable() by a task

  sink_writer(sink* s, transport* t) : to(s), by(t) {}
  sink_writer(sink_writer&& other) noexcept : to(std::exchange(other.to, nullptr)), by(other.by) {}
  ~sink_writer() {
    if (to == nullptr) return;
    to->always_on_its_strand = to->always_on_its_strand && to->on->is_here();
    if (to->gone != nullptr) to->gone->add_one();
  }

  ssewire::write_result write(ssewire::buffers b) {
    if (by != nullptr && !to->random.one_in(4)) {
      by->send(*to, {b.begin(), b.end()}, to->plain->shared_from_this());
      return {write_status::pending, 0};
    }
    auto const part = b[0].substr(0, 1 + to->random.below(b[0].size()));
    to->take(part);
    if (by != nullptr || to->random.one_in(2)) return {write_status::ok, part.size()};
    to->on->post([of = to->plain->weak_from_this()] {
      if (auto const s = of.lock()) s->writable();
    });
    return {write_status::again, part.size()};
  }
  void on_closed(close_reason why, ssewire::ending) {
    to->closed.push_back(why);
    to->of.reset();
  }
};

void transport::run() {
  std::unique_lock held(guard_);
  for (;;) {
    while (jobs_.empty() && !stopped_) changed_.wait(held);
    if (jobs_.empty()) return;
    auto j = std::move(jobs_.front());
    jobs_.pop_front();
    held.unlock();
    std::string bytes;
    for (auto const piece : j.pieces) bytes += piece;
    auto& strand = *j.to->on;
    strand.post([to = j.to, bytes = std::move(bytes), s = std::move(j.from)] {
      to->take(bytes);
      s->written(true);
    });
    held.lock();
  }
}

/// Makes a stream on its strand, which is where it stays.
void begin(broker& b, sink& to, transport* by, ssewire::lag_policy lag, counter& begun) {
  to.on->post([&b, &to, by, lag, &begun] {
    auto from = b.subscribe("c", {.lag = lag});
    to.of = ssewire::post_stream(sink_writer(&to, by), to_strand{to.on}, std::move(from.value), {}, {0s, 0s});
    to.plain = to.of.get();
    to.plain->start();
    begun.add_one();
  });
}

TEST_CASE("streams on strands of a pool lose no event and no wake-up") {
  constexpr std::size_t publishers = 4;
  constexpr std::size_t events_each = 500;
  broker b({.replay = {.max_events = 100'000, .max_bytes = 64u << 20}});
  pool threads(3);
  transport net;
  counter begun;
  counter gone;
  std::deque<sink> sinks;
  for (std::size_t i = 0; i < 6; ++i) {
    auto& s = sinks.emplace_back(threads, i);
    s.gone = &gone;
    begin(b, s, i % 2 == 0 ? &net : nullptr, ssewire::lag_policy::tell, begun);
  }
  begun.wait_for(sinks.size());
  std::vector<std::thread> publishing;
  for (std::size_t p = 0; p < publishers; ++p) {
    publishing.emplace_back([&b] {
      for (std::size_t i = 0; i < events_each; ++i) {
        b.publish("c", {.data = "x"});
        if (i % 64 == 0) std::this_thread::yield();  // lets the streams fall asleep now and then
      }
    });
  }
  for (auto& t : publishing) t.join();
  b.drain({}, {});
  gone.wait_for(sinks.size());
  threads.stop();
  for (auto const& s : sinks) {
    CHECK(s.in_order);
    CHECK(s.always_on_its_strand);
    CHECK(s.gaps == 0);
    CHECK(s.events == publishers * events_each);
    CHECK(s.closed == std::vector<close_reason>{close_reason::drained});
  }
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("each event alone wakes a stream that sleeps") {
  // The publisher waits for the event to arrive before it sends the next: a wake-up that is lost hangs here.
  struct counting_writer {
    counter* seen;
    ssewire::write_result write(ssewire::buffers b) {
      std::size_t n = 0;
      for (auto const piece : b) n += piece.size();
      seen->add_one();
      return {write_status::ok, n};
    }
    void on_closed(close_reason, ssewire::ending) noexcept {}
  };
  broker b;
  pool threads(2);
  counter seen;
  auto& on = threads.make_strand();
  std::shared_ptr<ssewire::posted_stream<counting_writer, to_strand, ssewire::subscription>> s;
  on.post([&] {
    s = ssewire::post_stream(counting_writer{&seen}, to_strand{&on}, std::move(b.subscribe("c").value));
    s->start();
  });
  for (std::size_t i = 1; i <= 1000; ++i) {
    seen.wait_for(i);
    b.publish("c", {.data = "x"});
  }
  seen.wait_for(1001);
  counter ended;
  on.post([&] {
    s->close();
    s.reset();
    ended.add_one();
  });
  ended.wait_for(1);
}

/// Publishes, and lets time pass, until it is destroyed.
class publishing {
 public:
  explicit publishing(broker& b) {
    for (int p = 0; p < 2; ++p) {
      threads_.emplace_back([&] {
        while (!done_.load(std::memory_order_relaxed)) b.publish("c", {.data = "x"});
      });
    }
    threads_.emplace_back([&] {
      for (auto now = ssewire::steady_time{}; !done_.load(std::memory_order_relaxed); now += 1s) b.tick(now);
    });
  }
  ~publishing() {
    done_ = true;
    for (auto& t : threads_) t.join();
  }

 private:
  std::atomic<bool> done_ = false;
  std::vector<std::thread> threads_;
};

TEST_CASE("a writer that keeps its executor's thread holds up nobody else") {
  broker b({.replay = {.max_events = 100}});
  pool stuck(1);
  pool threads(1);
  auto& strand = stuck.make_strand();
  counter blocked;
  counter released;
  counter over;
  struct blocking_writer {
    counter& blocked;
    counter& released;
    counter& over;
    ssewire::write_result write(ssewire::buffers) {
      blocked.add_one();
      released.wait_for(1);
      return {write_status::closed, 0};
    }
    void on_closed(close_reason why, ssewire::ending) {
      CHECK(why == close_reason::peer_gone);
      over.add_one();
    }
  };
  std::shared_ptr<ssewire::posted_stream<blocking_writer, to_strand, ssewire::subscription>> held;
  auto from = b.subscribe("c");
  strand.post([&] {
    held = ssewire::post_stream(blocking_writer{blocked, released, over}, to_strand{&strand},
                                std::move(from.value));
    held->start();
  });
  blocked.wait_for(1);

  // It is inside write() and stays there.
  counter begun;
  counter seen;
  counter gone;
  sink other(threads);
  other.seen = &seen;
  other.gone = &gone;
  begin(b, other, nullptr, ssewire::lag_policy::tell, begun);
  begun.wait_for(1);
  seen.wait_for(1);
  for (int i = 0; i < 1500; ++i) REQUIRE(b.publish("c", {.data = "x"}));
  b.tick({});
  CHECK(b.stats().subscribers == 2);
  CHECK(b.subscribe("c"));
  b.drain({}, {});
  gone.wait_for(1);
  CHECK(other.closed == std::vector<close_reason>{close_reason::drained});
  CHECK(other.in_order);
  CHECK(other.events > 0);
  CHECK(b.stats().subscribers == 1);
  released.add_one();
  over.wait_for(1);
  CHECK(b.stats().subscribers == 0);
  stuck.stop();
}

TEST_CASE("streams begin, are removed, dropped, ended and evicted while publishers publish") {
  broker b({.replay = {.max_events = 8}});
  pool threads(3);
  transport net;
  counter begun;
  counter gone;
  std::deque<sink> sinks;
  {
    publishing const others(b);
    support::random random(5);
    for (std::size_t i = 0; i < 150; ++i) {
      auto& s = sinks.emplace_back(threads, i);
      s.gone = &gone;
      begin(b, s, random.one_in(2) ? &net : nullptr,
            random.one_in(2) ? ssewire::lag_policy::close : ssewire::lag_policy::tell, begun);
      auto& victim = sinks[random.below(sinks.size())];
      auto const how = random.below(4);
      victim.on->post([&victim, how] {
        auto const of = victim.of;
        if (!of) return;
        if (how == 0) of->close();
        if (how == 1) of->finish();
        if (how == 2) (void)of->send({.data = "own"});
        if (how == 3) (void)of->poll({});
      });
      if (random.one_in(4)) begun.wait_for(i);
    }
    for (auto& s : sinks) {
      s.on->post([&s] {
        if (auto const of = s.of) of->close();
      });
    }
    gone.wait_for(sinks.size());
    threads.stop();  // tasks that came too late point to the sinks
  }
  for (auto const& s : sinks) {
    CHECK(s.in_order);
    CHECK(s.always_on_its_strand);
    CHECK(s.closed.size() == 1);
  }
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("the last reference, dropped on the strand, ends the stream there, whoever publishes") {
  broker b;
  pool threads(2);
  counter begun;
  counter gone;
  std::deque<sink> sinks;
  {
    publishing const others(b);
    for (std::size_t i = 0; i < 300; ++i) {
      auto& s = sinks.emplace_back(threads, i);
      s.gone = &gone;
      begin(b, s, nullptr, ssewire::lag_policy::tell, begun);
      s.on->post([&s] { s.of.reset(); });
    }
    gone.wait_for(sinks.size());
    threads.stop();  // tasks that came too late point to the sinks
  }
  for (auto const& s : sinks) {
    CHECK(s.always_on_its_strand);
    CHECK(s.closed == std::vector<close_reason>{close_reason::removed});
  }
  CHECK(b.stats().subscribers == 0);
}

TEST_CASE("an executor stops, with tasks and completions under way, while publishers publish") {
  for (int round = 0; round < 20; ++round) {
    broker b;
    std::deque<sink> sinks;
    {
      publishing const others(b);
      transport net;
      pool threads(2);
      counter begun;
      for (std::size_t i = 0; i < 6; ++i)
        begin(b, sinks.emplace_back(threads, i), i % 2 == 0 ? &net : nullptr, ssewire::lag_policy::tell,
              begun);
      begun.wait_for(sinks.size());
      threads.stop();
      net.stop();
      // No executor is left: this thread is all that calls the streams, besides the hooks, whose tasks are
      // lost.
      for (auto& s : sinks) {
        auto const of = std::move(s.of);
        of->close();
      }
    }
    for (auto const& s : sinks) {
      CHECK(s.in_order);
      CHECK(s.closed == std::vector<close_reason>{close_reason::removed});
    }
    CHECK(b.stats().subscribers == 0);
  }
}

}  // namespace
