# SPDX-License-Identifier: MIT
# What Doxygen reads instead of a header. No line is added or taken away, so its line numbers are true.

# `@par Complexity  O(n)`: Doxygen takes the whole line for the title, we mean the first word.
s,^\( */// *\)@par \([A-Z][a-z]*\)  *\([^ ]\),\1@heading{\2} \3,
# `@throws  std::bad_alloc, and what f throws`: it takes the first word for the name of an exception.
s,^\( */// *\)@throws  *\([^ ]\),\1@heading{Throws} \2,

# The inline namespace is no part of any name that a user writes.
s,^inline namespace SSEWIRE_DETAIL_ABI {$,,
s,^}  // namespace SSEWIRE_DETAIL_ABI$,,

# Doxygen takes these for members, functions or classes of their own: a friend with a qualified name, a deduction guide,
# the declaration of an enumeration before its definition, a specialization in namespace std.
s,^ *friend detail::.*;$,,
s,^\(template <[^;]*> \)*[a-z_]*([^;{]*) *-> *[a-z_]*<.*>;$,,
s,^enum class \[\[nodiscard\]\] [a-z]* : unsigned char;$,,
s,^template <> struct std::.*;$,,
