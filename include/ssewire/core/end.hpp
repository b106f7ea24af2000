// SPDX-License-Identifier: MIT
// end.hpp - the last include of every header: no macro of ours but the version's is left. No include guard.

#undef SSEWIRE_DETAIL_ABI
