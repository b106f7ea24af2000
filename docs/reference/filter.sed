# SPDX-License-Identifier: MIT
# What Doxygen reads instead of a header. No line is added or taken away, so its line numbers are true.

# `@par Complexity  O(n)`: Doxygen takes the whole line for the title, we mean the first word.
s,^\( */// *\)@par \([A-Z][a-z]*\)  *\([^ ]\),\1@heading{\2} \3,

# The inline namespace is no part of any name that a user writes.
s,^inline namespace SSEWIRE_DETAIL_ABI {$,,
s,^}  // namespace SSEWIRE_DETAIL_ABI$,,

# Doxygen takes a friend whose name is qualified for a member, and does not find the class of a specialization.
s,^ *friend detail::.*;$,,
s,^template <> struct std::is_error_code_enum<.*$,,
