# SPDX-License-Identifier: MIT
# embed.cmake - turns files into a header. Usage: cmake "-DINPUTS=page.html;page.css" -DOUTPUT=page_files.hpp -P embed.cmake
#
# Arrays of characters, not string literals: compilers bound the length of a literal (MSVC 16,380 bytes in
# one piece, clang warns above 65,536), and no byte of a file has to be escaped.

foreach(name IN ITEMS INPUTS OUTPUT)
  if(NOT DEFINED ${name})
    message(FATAL_ERROR "embed.cmake: -D${name}=... is missing")
  endif()
endforeach()

set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")

set(arrays "")
set(table "")
# Sixteen bytes a line: 32 hexadecimal digits first, while they are still easy to count.
string(REPEAT "[0-9a-f]" 32 sixteen)
foreach(input IN LISTS INPUTS)
  get_filename_component(file_name "${input}" NAME)
  get_filename_component(extension "${input}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED types_${extension})
    message(FATAL_ERROR "embed.cmake: ${file_name} is of no type known here")
  endif()
  file(READ "${input}" bytes HEX)
  if(bytes STREQUAL "")
    message(FATAL_ERROR "embed.cmake: ${input} is empty")
  endif()
  string(REGEX REPLACE "(${sixteen})" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  string(MAKE_C_IDENTIFIER "${file_name}" identifier)
  string(APPEND arrays "inline constexpr char ${identifier}[] = {\n${bytes}};\n\n")
  if(file_name STREQUAL "page.html")
    set(path "/")
  else()
    set(path "/${file_name}")
  endif()
  string(APPEND table "    {\"${path}\", \"${types_${extension}}\", {${identifier}, sizeof ${identifier}}},\n")
endforeach()

file(WRITE "${OUTPUT}" "// SPDX-License-Identifier: MIT
// page_files.hpp - the page's files, embedded by embed.cmake. Do not edit.

#pragma once

#include <string_view>

namespace demo {

${arrays}struct page_file {
  std::string_view path;
  std::string_view type;
  std::string_view bytes;
};

inline constexpr page_file page_files[] = {
${table}};

}  // namespace demo
")
