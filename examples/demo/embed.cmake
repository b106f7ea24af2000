# SPDX-License-Identifier: MIT
# embed.cmake - turns a page into a header. Usage: cmake -DINPUT=page.html -DOUTPUT=page.hpp -P embed.cmake
#
# An array of characters, not a string literal: compilers bound the length of a literal (MSVC 16,380 bytes in
# one piece, clang warns above 65,536), and no byte of the page has to be escaped.

foreach(name IN ITEMS INPUT OUTPUT)
  if(NOT DEFINED ${name})
    message(FATAL_ERROR "embed.cmake: -D${name}=... is missing")
  endif()
endforeach()

file(READ "${INPUT}" bytes HEX)
if(bytes STREQUAL "")
  message(FATAL_ERROR "embed.cmake: ${INPUT} is empty")
endif()
# Sixteen bytes a line: 32 hexadecimal digits first, while they are still easy to count.
string(REPEAT "[0-9a-f]" 32 sixteen)
string(REGEX REPLACE "(${sixteen})" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")

get_filename_component(input_name "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "// SPDX-License-Identifier: MIT
// page.hpp - ${input_name}, embedded by embed.cmake. Do not edit.

#pragma once

#include <string_view>

namespace demo {

inline constexpr char page_bytes[] = {
${bytes}};

inline constexpr std::string_view page_html(page_bytes, sizeof page_bytes);

}  // namespace demo
")
