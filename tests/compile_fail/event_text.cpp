// SPDX-License-Identifier: MIT
// Text known only at run time does not turn into an event type or ID implicitly: it must go through from().
// refused 1: ssewire::
// refused 2: ssewire::
// refused 3: ssewire::
// Also text of char8_t, through as_text(), which data does not need.
// refused 4: ssewire::
#include <ssewire/core/event.hpp>

#include <string>
#include <string_view>

bool use(std::string const& text, char const* pointer);
bool use(std::string const& text, char const* pointer) {
#if REFUSED == 1
  ssewire::event const e = {.type = std::string_view(text)};
#elif REFUSED == 2
  ssewire::event const e = {.id = text};
#elif REFUSED == 3
  ssewire::event const e = {.type = pointer};
#elif REFUSED == 4
  ssewire::event const e = {.type = u8"x"};
#else
  ssewire::event const e = {.type = ssewire::event_type::from(pointer).value,
                            .data = u8"x",
                            .id = ssewire::event_id::from(text).value};
#endif
  return e.type.empty() && pointer == text;
}
