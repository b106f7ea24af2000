// SPDX-License-Identifier: MIT
#include <ssewire/broker/broker.hpp>
#include <ssewire/core/traits.hpp>

#include <support/broker_bytes.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <thread>
#include <unordered_set>

TEST_CASE("no run of 10,000 has the epoch of another, in the 60 bits that are used") {
  std::unordered_set<std::uint64_t> epochs;
  std::unordered_set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) {
    auto const epoch = ssewire::default_traits::epoch();
    CHECK(epochs.insert(epoch).second);
    CHECK(ids.insert(std::string(ssewire::position_id(epoch, 1).view())).second);
  }
}

TEST_CASE("every bit of an epoch is used by some run") {
  std::uint64_t ever = 0;
  std::uint64_t always = ~std::uint64_t{0};
  for (int i = 0; i < 200; ++i) {
    auto const epoch = ssewire::default_traits::epoch();
    ever |= epoch;
    always &= epoch;
  }
  CHECK(ever == ~std::uint64_t{0});
  CHECK(always == 0);
}

TEST_CASE("a broker that is restarted gives no ID twice") {
  std::unordered_set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    ssewire::broker b;
    CHECK(ids.insert(std::string(b.publish("a", {.data = "x"}).value.view())).second);
  }
}

TEST_CASE("this_thread is the same on one thread and differs between two") {
  using traits = ssewire::default_traits;
  auto const here = traits::this_thread();
  CHECK((here == traits::this_thread()));
  std::thread second([&] { CHECK((traits::this_thread() != here)); });
  second.join();
}

TEST_CASE("a broker of one thread works, with hooks that publish, park and close") {
  ssewire::basic_broker<ssewire::single_threaded_traits> b;
  auto s = b.subscribe("a").value;
  std::string got;
  int calls = 0;
  auto hook = [&](ssewire::wake) {
    ++calls;
    got += support::pull_all(s);
    if (calls == 2) {
      s.close();
      return;
    }
    CHECK(s.park());
    CHECK(b.publish("a", {.data = "two"}));
  };
  s.set_hook(ssewire::wake_hook::of(hook));
  CHECK(support::pull(s).find("ssewire.position") != std::string::npos);
  CHECK(s.park());
  CHECK(b.publish("a", {.data = "one"}));
  CHECK(calls == 2);
  CHECK(got.find("data: one\n") < got.find("data: two\n"));
  CHECK(got.find("data: two\n") != std::string::npos);
  CHECK(b.stats().subscribers == 0);
  b.drain({}, {});
  b.tick({});
}
