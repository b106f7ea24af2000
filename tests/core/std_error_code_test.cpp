// SPDX-License-Identifier: MIT
#include <ssewire/core/std_error_code.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <ostream>
#include <set>
#include <string>
#include <system_error>
#include <type_traits>

namespace {

using ssewire::errc;

static_assert(std::is_error_code_enum_v<errc>);
static_assert(!std::is_error_condition_enum_v<errc>, "it cannot be both: comparisons would be ambiguous");
static_assert(std::is_convertible_v<errc, std::error_code>);

TEST_CASE("an errc becomes a std::error_code") {
  std::error_code const code = errc::closed;
  CHECK(code.value() == static_cast<int>(errc::closed));
  CHECK(std::string(code.category().name()) == "ssewire");
  CHECK(code.message() == ssewire::message(errc::closed));
  CHECK(bool(code));
  CHECK(code == errc::closed);
  CHECK(errc::closed == code);
  CHECK(code != errc::outbox_full);
  CHECK(errc::outbox_full != code);
}

TEST_CASE("errc::ok is no error") {
  std::error_code const code = errc::ok;
  CHECK(!code);
  CHECK(code == errc::ok);
  CHECK(code.message() == "no error");
}

TEST_CASE("every errc has a text of its own, and any other number is unknown") {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < ssewire::errc_count; ++i) {
    auto const error = static_cast<errc>(i);
    CHECK(make_error_code(error).message() == ssewire::message(error));
    CHECK(seen.insert(make_error_code(error).message()).second);
  }
  auto const& category = ssewire::errc_category();
  CHECK(category.message(static_cast<int>(ssewire::errc_count)) == "unknown error");
  CHECK(category.message(-1) == "unknown error");
  CHECK(category.message(256) == "unknown error");  // its last byte is that of errc::ok
}

TEST_CASE("a failed allocation is std::errc::not_enough_memory too, and nothing else is") {
  CHECK(std::error_code(errc::no_memory) == std::errc::not_enough_memory);
  CHECK(std::error_code(errc::no_memory) == errc::no_memory);
  CHECK(std::error_code(errc::closed) != std::errc::not_enough_memory);
  CHECK(std::error_code(errc::closed) != std::errc::broken_pipe);
}

// What a second shared library with hidden symbols has.
ssewire::detail::errc_category const of_another_library;

TEST_CASE("the error of another library's category is the same error, by the category's name") {
  std::error_code const theirs(static_cast<int>(errc::closed), of_another_library);
  std::error_code const ours = errc::closed;
  CHECK(theirs == errc::closed);
  CHECK(errc::closed == theirs);
  CHECK(theirs != errc::outbox_full);
  CHECK(theirs == make_error_condition(errc::closed));
  CHECK(theirs != make_error_condition(errc::outbox_full));
  CHECK(ours == std::error_condition(static_cast<int>(errc::closed), of_another_library));
  CHECK(theirs.default_error_condition() == ours);
  CHECK(std::error_code(static_cast<int>(errc::no_memory), of_another_library) ==
        std::errc::not_enough_memory);
  CHECK(theirs != ours);  // the standard compares addresses: the header says so
}

TEST_CASE("an error of the same number and another category is another error") {
  std::error_code const other(static_cast<int>(errc::closed), std::generic_category());
  CHECK(other != errc::closed);
  CHECK(other != make_error_condition(errc::closed));
  CHECK(std::error_code(errc::closed) !=
        std::error_condition(static_cast<int>(errc::closed), std::generic_category()));
}

TEST_CASE("it can be thrown") {
  try {
    throw std::system_error(errc::too_many_subscribers, "GET /events");
  } catch (std::system_error const& e) {
    CHECK(e.code() == errc::too_many_subscribers);
    CHECK(std::string(e.what()).find("max_subscribers is reached") != std::string::npos);
  }
}

}  // namespace
