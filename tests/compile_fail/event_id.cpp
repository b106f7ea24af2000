// SPDX-License-Identifier: MIT
// A literal event ID that would end its line is a compile error, with and without exceptions.
// refused 1: event_id_must_not_contain_CR_LF_or_NUL
// refused 2: event_id_must_not_contain_CR_LF_or_NUL
// refused 3: event_id_must_not_contain_CR_LF_or_NUL
// refused 4: event_id_must_not_contain_CR_LF_or_NUL
// refused 5: event_id_must_not_contain_CR_LF_or_NUL
#include <ssewire/core/event.hpp>

#include <string_view>

#if REFUSED == 1
constexpr ssewire::event_id id = "tick\rdata: injected";
#elif REFUSED == 2
constexpr ssewire::event_id id = "tick\ndata: injected";
#elif REFUSED == 3
constexpr ssewire::event_id id = "tick\0";
#elif REFUSED == 4
constexpr char longer_than_its_text[8] = "tick";
constexpr ssewire::event_id id = longer_than_its_text;
#elif REFUSED == 5
std::string_view name();
std::string_view name() {
  ssewire::event const e = {.id = "tick\n"};
  return e.id.value();
}
constexpr ssewire::event_id id = "tick";
#else
constexpr char as_long_as_its_text[5] = "tick";
constexpr ssewire::event_id other = as_long_as_its_text;
static_assert(other == "tick");
std::string_view name();
std::string_view name() {
  ssewire::event const e = {.id = "tick\t"};
  return e.id.value();
}
constexpr ssewire::event_id id = "tick data: not injected";
#endif

static_assert(id.has_value());
