// SPDX-License-Identifier: MIT
// scheduler.hpp - runs a few tasks one at a time, chooses at each lock which task continues, and tries every
// choice.
//
// A world is what one schedule runs in. It is made anew for each schedule:
//   std::size_t tasks()         says how many tasks there are. A schedule calls them a, b, c ...
//   void run(std::size_t task)  does the work of a task. With scheduled_traits every lock() is a point where
//                               another task may go first. Up to its first point a task must not touch what
//                               the other tasks use, because that part runs before everything else.
//   std::string check()         says what is wrong at the end, or nothing.
//
// Tasks are fibers where ucontext exists: a change then costs a fifth of a microsecond. The thread sanitizer
// learns of the mutexes and not of the changes of fiber. So it reports data that no lock protects, although
// no two tasks ever run at the same time. Elsewhere, or with SSEWIRE_TEST_THREADED_TASKS, tasks are threads
// that hand over to each other, which is twenty times slower.
#pragma once

#include <ssewire/core/traits.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__GLIBC__) && !defined(SSEWIRE_TEST_THREADED_TASKS)
#define SSEWIRE_TEST_FIBERS 1
#include <ucontext.h>
#else
#define SSEWIRE_TEST_FIBERS 0
#include <semaphore>
#include <thread>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SSEWIRE_TEST_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define SSEWIRE_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SSEWIRE_TEST_ASAN 1
#elif __has_feature(thread_sanitizer)
#define SSEWIRE_TEST_TSAN 1
#endif
#endif
#ifndef SSEWIRE_TEST_ASAN
#define SSEWIRE_TEST_ASAN 0
#endif
#ifndef SSEWIRE_TEST_TSAN
#define SSEWIRE_TEST_TSAN 0
#endif
#if SSEWIRE_TEST_TSAN
#include <thread>
#endif

extern "C" {
#if SSEWIRE_TEST_ASAN
void __sanitizer_start_switch_fiber(void** fake_stack_save, void const* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack_save, void const** bottom_old, std::size_t* size_old);
#elif SSEWIRE_TEST_TSAN
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* at);
void __tsan_release(void* at);
void AnnotateIgnoreReadsBegin(char const* file, int line);
void AnnotateIgnoreReadsEnd(char const* file, int line);
void AnnotateIgnoreWritesBegin(char const* file, int line);
void AnnotateIgnoreWritesEnd(char const* file, int line);
#endif
}

namespace support {
namespace detail {

// Tells the thread sanitizer what orders the tasks. It must learn of no other order.
inline void acquired([[maybe_unused]] void* at) noexcept {
#if SSEWIRE_TEST_TSAN
  __tsan_acquire(at);
#endif
}
inline void releases([[maybe_unused]] void* at) noexcept {
#if SSEWIRE_TEST_TSAN
  __tsan_release(at);
#endif
}

// Hides the scheduler's own steps from the thread sanitizer: they are not under test.
struct unseen {
  unseen() noexcept {
#if SSEWIRE_TEST_TSAN
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
  }
  ~unseen() {
#if SSEWIRE_TEST_TSAN
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
  }
  unseen(unseen const&) = delete;
  unseen& operator=(unseen const&) = delete;
};

#if SSEWIRE_TEST_FIBERS && SSEWIRE_TEST_TSAN
// The standard library's reference counts are atomic only once the process has had a second thread. For the
// thread sanitizer the fibers are threads.
inline bool const had_a_second_thread = (std::thread([] {}).join(), true);
#endif

// A line of execution: a task's, or the caller's. Only one runs at a time, and hands over to another.
#if SSEWIRE_TEST_FIBERS
class execution {
 public:
  execution() {  // the caller's
#if SSEWIRE_TEST_TSAN
    fiber_ = __tsan_get_current_fiber();
#endif
  }
  explicit execution(void (*entry)())
      : stack_(new char[stack_bytes]), bottom_(stack_.get()), size_(stack_bytes) {
    getcontext(&at_);
    at_.uc_stack.ss_sp = stack_.get();
    at_.uc_stack.ss_size = stack_bytes;
    at_.uc_link = nullptr;
    makecontext(&at_, entry, 0);
#if SSEWIRE_TEST_TSAN
    fiber_ = __tsan_create_fiber(0);
#endif
  }
  execution(execution const&) = delete;
  execution& operator=(execution const&) = delete;

  /// The first call inside a task.
  static void entered() noexcept { arrived(nullptr); }

  void hand_over_to(execution& to) noexcept {
    from() = this;
#if SSEWIRE_TEST_ASAN
    __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.size_);
#elif SSEWIRE_TEST_TSAN
    constexpr unsigned no_order = 1;
    __tsan_switch_to_fiber(to.fiber_, no_order);
#endif
    swapcontext(&at_, &to.at_);
    arrived(fake_stack_);
  }

 private:
  // Small, because asan clears the shadow of all of it at each change
  static constexpr std::size_t stack_bytes = 64 * 1024;

  static execution*& from() noexcept {
    static execution* last = nullptr;
    return last;
  }
  static void arrived([[maybe_unused]] void* fake_stack) noexcept {
#if SSEWIRE_TEST_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, &from()->bottom_, &from()->size_);
#endif
  }

  ucontext_t at_ = {};
  std::unique_ptr<char[]> stack_;
  [[maybe_unused]] void const* bottom_ = nullptr;
  [[maybe_unused]] std::size_t size_ = 0;
  [[maybe_unused]] void* fake_stack_ = nullptr;
  [[maybe_unused]] void* fiber_ = nullptr;
};
#else
class execution {
 public:
  execution() = default;  // the caller's
  explicit execution(void (*entry)()) {
    std::thread([this, entry] {
      go_.acquire();
      entry();
    }).detach();
  }
  static void entered() noexcept {}
  void hand_over_to(execution& to) noexcept {
    to.go_.release();
    go_.acquire();
  }

 private:
  std::binary_semaphore go_{0};
};
#endif

}  // namespace detail

/// The one scheduler of a test.
class scheduler {
 public:
  static constexpr std::size_t most_tasks = 6;
  static constexpr std::size_t nobody = most_tasks;

  /// Where a task may be interrupted, besides at its locks.
  enum class points : unsigned char {
    /// Nowhere: what lies between two locks is one step.
    locks,
    /// Also after each unlock().
    locks_and_unlocks,
  };
  /// In which order the choices at one point are tried. All of them are tried, so the set of schedules stays
  /// the same.
  enum class order : unsigned char { fewest_changes_first, last_task_first };

  static scheduler& get() {
    // Its fibers are never destroyed, because some may be stuck.
    static auto* const only = new scheduler;
    return *only;
  }

  // ---- for tasks ----

  /// A point where another task may go first. Outside of tasks it does nothing.
  void step() {
    wait("a step", [] { return true; });
  }

  /// The task continues once `holds()` is true. `holds` must not change anything. Outside of tasks it must be
  /// true.
  template <class Condition> void wait(char const* what, Condition const& holds) {
    detail::unseen const own;
    if (running_ == nobody || one_step_) {
      if (holds()) return;
      std::fprintf(stderr, "nobody can end this wait for %s\n", what);
      std::abort();
    }
    tasks_[running_].waits = {what, [](void const* c) { return (*static_cast<Condition const*>(c))(); },
                              &holds};
    choose();
  }

  /// Makes a call one step with what comes before it: its locks are no points. The call must not wait.
  template <class Call> void as_one_step(Call const& call) {
    auto const outer = std::exchange(one_step_, true);
    call();
    one_step_ = outer;
  }

  /// Which task runs; `nobody` outside of tasks.
  [[nodiscard]] std::size_t running() const {
    detail::unseen const own;
    return running_;
  }
  /// Whether all tasks have ended except the one that asks. That is the running one, or the one whose wait()
  /// condition calls this.
  [[nodiscard]] bool others_ended() const {
    detail::unseen const own;
    auto const self = asked_ == nobody ? running_ : asked_;
    for (std::size_t i = 0; i < count_; ++i) {
      if (i != self && !tasks_[i].ended) return false;
    }
    return true;
  }

  /// Makes a call into the library and notes its instant: when the call first got the lock. Instants have one
  /// order.
  template <class Call> decltype(auto) at(std::uint64_t& instant, Call const& call) {
    struct note {
      scheduler& s;
      std::uint64_t& to;
      ~note() {
        detail::unseen const own;
        to = s.tasks_[s.running_].first_lock;
      }
    };
    {
      detail::unseen const own;
      tasks_[running_].first_lock = 0;
    }
    note const when{*this, instant};
    return call();
  }

  void locked() {
    detail::unseen const own;
    auto& first = tasks_[running_].first_lock;
    ++locks_;
    if (first == 0) first = locks_;
  }
  void unlocked() {
    bool point;
    {
      detail::unseen const own;
      point = points_ == points::locks_and_unlocks;
    }
    if (point) step();
  }

  // ---- for explore() ----

  struct choice {
    std::size_t taken = 0;
    std::size_t of = 0;
  };
  struct result {
    std::string wrong;     // what is wrong with the schedule itself: no task can continue
    std::string schedule;  // which task continued, wherever there was a choice
    double weight = 1;     // its share of all schedules, if each choice is a fair one
    bool stuck = false;    // tasks are still inside the world, so it must not be destroyed
  };

  /// Runs one schedule. Takes the choices in `path`, then always the first one, and adds those to `path`.
  template <class World>
  result run(World& world, std::vector<choice>& path, points where, order how, std::string_view replay) {
    detail::unseen const own;
    path_ = &path;
    depth_ = 0;
    steps_ = 0;
    points_ = where;
    order_ = how;
    replay_ = replay;
    replays_ = !replay.empty();
    now_ = {};
    count_ = world.tasks();
    world_ = &world;
    body_ = [](void* w, std::size_t i) { static_cast<World*>(w)->run(i); };
    for (std::size_t i = 0; i < count_; ++i) {
      if (!executions_[i]) executions_[i] = std::make_unique<detail::execution>(&scheduler::entry);
      tasks_[i] = {};
    }
    detail::releases(this);
    primed_ = 0;
    go_to(nobody, 0);
    detail::acquired(this);
    if (!replays_ && depth_ != path.size() && now_.wrong.empty())
      now_.wrong = "not the same as before: the choices end early";
    if (now_.stuck) {
      for (auto& e : executions_) lost_.push_back(std::move(e));  // they stay where they are for ever
    }
    return std::move(now_);
  }

  /// Keeps the world of a stuck schedule. Tasks are inside it, so it can never be destroyed.
  void keep(void* world) { kept_.push_back(world); }

 private:
  struct condition {
    char const* what = "";
    bool (*holds)(void const*) = [](void const*) { return true; };
    void const* of = nullptr;
  };
  struct task_state {
    condition waits;
    bool ended = false;
    std::uint64_t first_lock = 0;
  };

  scheduler() = default;

  [[nodiscard]] static char letter(std::size_t task) noexcept { return static_cast<char>('a' + task); }

  static void entry() {
    detail::execution::entered();
    for (;;) {
      auto& s = get();
      void (*body)(void*, std::size_t);
      void* world;
      std::size_t task;
      {
        detail::unseen const own;
        detail::acquired(&s);
        body = s.body_;
        world = s.world_;
        task = s.running_;
      }
      body(world, task);
      {
        detail::unseen const own;
        detail::releases(&s);
        s.tasks_[task].ended = true;
        s.choose();
      }
    }
  }

  void go_to(std::size_t from, std::size_t next) {
    if (next == from) return;
    running_ = next;
    auto& before = from == nobody ? caller_ : *executions_[from];
    before.hand_over_to(next == nobody ? caller_ : *executions_[next]);
  }

  // Chooses which task continues. No task runs meanwhile.
  void choose() {
    auto const before = running_;
    bool const begins = primed_ < count_;
    if (begins && ++primed_ < count_) return go_to(before, primed_);
    std::array<std::size_t, most_tasks> able = {};
    std::size_t n = 0;
    auto const ask = [&](std::size_t i) {
      asked_ = i;
      if (!tasks_[i].ended && tasks_[i].waits.holds(tasks_[i].waits.of)) able[n++] = i;
    };
    if (order_ == order::fewest_changes_first) {
      if (!begins) ask(before);
      for (std::size_t i = 0; i < count_; ++i) {
        if (begins || i != before) ask(i);
      }
    } else {
      for (auto i = count_; i-- > 0;) ask(i);
    }
    asked_ = nobody;
    constexpr std::size_t endless = 100'000;
    auto next = nobody;
    if (n == 0 || ++steps_ > endless) {
      for (std::size_t i = 0; i < count_; ++i) {
        if (tasks_[i].ended) continue;
        if (!now_.stuck) now_.wrong = n == 0 ? "nobody can go on:" : "it never ends:";
        now_.stuck = true;
        now_.wrong += std::string(" ") + letter(i) + " waits for " + tasks_[i].waits.what + ";";
      }
    } else {
      next = able[n == 1 ? 0 : decide(able, n)];
    }
    go_to(before, next);
  }

  std::size_t decide(std::array<std::size_t, most_tasks> const& able, std::size_t n) {
    std::size_t taken = 0;
    if (replays_) {
      if (depth_ < replay_.size()) {
        while (taken < n && letter(able[taken]) != replay_[depth_]) ++taken;
      }
      if (taken == n) {
        now_.wrong = "the schedule does not fit";
        taken = 0;
      }
      ++depth_;
    } else if (depth_ < path_->size()) {
      auto const& known = (*path_)[depth_++];
      if (known.of != n) now_.wrong = "not the same as before: another number of choices";
      taken = known.taken < n ? known.taken : 0;
    } else {
      path_->push_back({0, n});
      ++depth_;
    }
    now_.schedule += letter(able[taken]);
    now_.weight /= static_cast<double>(n);
    return taken;
  }

  detail::execution caller_;
  std::array<std::unique_ptr<detail::execution>, most_tasks> executions_;
  std::array<task_state, most_tasks + 1> tasks_;  // and one for `nobody`
  std::size_t count_ = 0;
  std::size_t running_ = nobody;
  // How many tasks have come to their first point.
  std::size_t primed_ = 0;
  // The task whose condition is being evaluated.
  std::size_t asked_ = nobody;
  std::uint64_t locks_ = 0;
  std::size_t steps_ = 0;
  bool one_step_ = false;
  points points_ = points::locks;
  order order_ = order::fewest_changes_first;
  std::string_view replay_;
  bool replays_ = false;
  std::vector<choice>* path_ = nullptr;
  std::size_t depth_ = 0;
  result now_;
  void* world_ = nullptr;
  void (*body_)(void*, std::size_t) = nullptr;
  std::vector<std::unique_ptr<detail::execution>> lost_;
  std::vector<void*> kept_;
};

/// Locks and waits that hand control to the scheduler. Memory and this_thread() are the default's; the epoch
/// is 0.
struct scheduled_traits : ssewire::default_traits {
  class mutex {
   public:
    void lock() {
      auto& s = scheduler::get();
      s.wait("a lock", [this] { return !held(); });
      s.locked();
      held_.store(true, std::memory_order_relaxed);
      detail::acquired(this);
    }
    void unlock() {
      detail::releases(this);
      held_.store(false, std::memory_order_relaxed);
      scheduler::get().unlocked();
    }
    [[nodiscard]] bool held() const noexcept { return held_.load(std::memory_order_relaxed); }

   private:
    friend struct scheduled_traits;
    std::atomic<bool> held_{false};  // relaxed: it must not order anything
  };

  /// No wait ends without a notification.
  class condition_variable {
   public:
    void wait(std::unique_lock<mutex>& lock) {
      auto& m = *lock.mutex();
      auto& s = scheduler::get();
      auto const calls = calls_.load(std::memory_order_relaxed);
      detail::releases(&m);
      m.held_.store(false, std::memory_order_relaxed);
      s.wait("notify_all", [&] { return calls_.load(std::memory_order_relaxed) != calls && !m.held(); });
      s.locked();
      m.held_.store(true, std::memory_order_relaxed);
      detail::acquired(&m);
    }
    void notify_all() noexcept { calls_.fetch_add(1, std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> calls_{0};
  };

  static std::size_t this_thread() noexcept { return scheduler::get().running(); }
  static std::uint64_t epoch() noexcept { return 0; }
};

/// What explore() has found.
struct exploration {
  std::uint64_t schedules = 0;
  // In one schedule.
  std::size_t most_choices = 0;
  // The sum of all schedules' shares: 1 if none was left out and none ran twice.
  double weight = 0;
  // The last schedule; if one failed, that is the one.
  std::string schedule;
  // What is wrong, and how to run that schedule again.
  std::string failure;
  // Only one schedule was asked for.
  bool replayed = false;

  /// Whether all schedules ran and none failed.
  [[nodiscard]] bool complete() const { return schedules != 0 && !replayed && failure.empty(); }
};

struct explore_options {
  scheduler::points points = scheduler::points::locks;
  scheduler::order order = scheduler::order::fewest_changes_first;
  /// One schedule, as a failure prints it. Empty: all of them.
  std::string_view replay = {};
};

/// What SSEWIRE_SCHEDULE=name:letters in the environment asks for: one schedule of this exploration
/// (`replay`) or of another one (`elsewhere`).
struct asked_schedule {
  bool elsewhere = false;
  std::string_view replay = {};

  explicit asked_schedule(std::string_view name) {
    auto const* const text = std::getenv("SSEWIRE_SCHEDULE");
    if (text == nullptr || *text == '\0') return;
    std::string_view const asked = text;
    auto const colon = (std::min)(asked.rfind(':'), asked.size());
    elsewhere = asked.substr(0, colon) != name;
    if (!elsewhere && colon != asked.size()) replay = asked.substr(colon + 1);
  }
};

/// Runs every schedule of the worlds that `make()` returns, until one fails.
template <class Make> exploration explore(std::string_view name, Make make, explore_options how = {}) {
  exploration all;
  all.replayed = !how.replay.empty();
  auto& s = scheduler::get();
  std::vector<scheduler::choice> path;
  for (bool more = true; more && all.failure.empty();) {
    auto world = make();
    auto one = s.run(*world, path, how.points, how.order, how.replay);
    if (one.stuck) {
      s.keep(world.release());
    } else if (one.wrong.empty()) {
      one.wrong = world->check();
    }
    ++all.schedules;
    all.weight += one.weight;
    all.most_choices = (std::max)(all.most_choices, one.schedule.size());
    all.schedule = one.schedule;
    if (!one.wrong.empty())
      all.failure = one.wrong + "\nagain: SSEWIRE_SCHEDULE='" + std::string(name) + ':' + one.schedule + "'";
    while (!path.empty() && path.back().taken + 1 == path.back().of) path.pop_back();
    more = !path.empty();
    if (more) ++path.back().taken;
  }
  return all;
}

}  // namespace support
