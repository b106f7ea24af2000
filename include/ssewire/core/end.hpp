// SPDX-License-Identifier: MIT
// end.hpp - the last include of every header: of our macros only the version's are left. No include guard.

#undef SSEWIRE_DETAIL_ABI
