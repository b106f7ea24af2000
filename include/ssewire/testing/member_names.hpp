// SPDX-License-Identifier: MIT
// member_names.hpp - which of the optional members a writer has, and which it has under another name by
// mistake. A driver detects them by name: `finished()` compiles, and is never called.
#pragma once

#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/cplusplus.hpp>
#include <ssewire/core/writer.hpp>

#include <string_view>
#include <type_traits>
#include <vector>

#include <ssewire/core/begin.hpp>

namespace ssewire {
inline namespace SSEWIRE_DETAIL_ABI {
namespace testing {

/// An optional member as it was found.
struct member_report {
  std::string_view name = {};  // finish, abort, on_closed, same_bytes_again
  bool found = false;          // a driver uses it
  bool unusable =
      false;  // there is one of this name, but private or with other parameters: a driver ignores it
  std::string_view misspelt = {};  // not found, but this is there, which can mean nothing else
  std::string_view perhaps = {};   // not found, but this is there, which may mean it
};

}  // namespace testing

namespace detail {

template <class Pointer>
constexpr bool points_to_function =
    std::is_member_function_pointer_v<Pointer> || std::is_function_v<std::remove_pointer_t<Pointer>>;

// A class with any member of that name, private or overloaded too, makes the name ambiguous in a class that
// is derived from it and from one that has the name as well. Of a final class only what can be used is found.
// clang-format off
#define SSEWIRE_DETAIL_MEMBER_NAME(member)                                                                   \
struct name_of_##member {                                                                                    \
  static constexpr std::string_view text = #member;                                                          \
  struct fallback {                                                                                          \
    int member;                                                                                              \
  };                                                                                                         \
  template <class W> struct both : W, fallback {};                                                           \
  template <class W> static constexpr bool callable() {                                                      \
    return requires(W & w) { w.member(); } || requires(W & w) { w.member(close_reason::none); };             \
  }                                                                                                          \
  template <class W> static constexpr bool of() {                                                            \
    if constexpr (std::is_class_v<W> && !std::is_final_v<W>) {                                               \
      return !requires { &both<W>::member; };                                                                \
    } else {                                                                                                 \
      return requires { &W::member; } || callable<W>();                                                      \
    }                                                                                                        \
  }                                                                                                          \
  template <class W> static constexpr bool is_function() {                                                   \
    if constexpr (requires { &W::member; }) return callable<W>() || points_to_function<decltype(&W::member)>; \
    return of<W>();                                                                                          \
  }                                                                                                          \
};
SSEWIRE_DETAIL_MEMBER_NAME(finish)
SSEWIRE_DETAIL_MEMBER_NAME(finished)
SSEWIRE_DETAIL_MEMBER_NAME(Finish)
SSEWIRE_DETAIL_MEMBER_NAME(Finished)
SSEWIRE_DETAIL_MEMBER_NAME(on_finish)
SSEWIRE_DETAIL_MEMBER_NAME(onFinish)
SSEWIRE_DETAIL_MEMBER_NAME(on_finished)
SSEWIRE_DETAIL_MEMBER_NAME(onFinished)
SSEWIRE_DETAIL_MEMBER_NAME(do_finish)
SSEWIRE_DETAIL_MEMBER_NAME(finsh)
SSEWIRE_DETAIL_MEMBER_NAME(finnish)
SSEWIRE_DETAIL_MEMBER_NAME(finalize)
SSEWIRE_DETAIL_MEMBER_NAME(finalise)
SSEWIRE_DETAIL_MEMBER_NAME(end_stream)
SSEWIRE_DETAIL_MEMBER_NAME(endStream)
SSEWIRE_DETAIL_MEMBER_NAME(end_response)
SSEWIRE_DETAIL_MEMBER_NAME(end)
SSEWIRE_DETAIL_MEMBER_NAME(done)
SSEWIRE_DETAIL_MEMBER_NAME(complete)
SSEWIRE_DETAIL_MEMBER_NAME(close)
SSEWIRE_DETAIL_MEMBER_NAME(eof)
SSEWIRE_DETAIL_MEMBER_NAME(shutdown)
SSEWIRE_DETAIL_MEMBER_NAME(abort)
SSEWIRE_DETAIL_MEMBER_NAME(aborted)
SSEWIRE_DETAIL_MEMBER_NAME(Abort)
SSEWIRE_DETAIL_MEMBER_NAME(Aborted)
SSEWIRE_DETAIL_MEMBER_NAME(on_abort)
SSEWIRE_DETAIL_MEMBER_NAME(onAbort)
SSEWIRE_DETAIL_MEMBER_NAME(on_aborted)
SSEWIRE_DETAIL_MEMBER_NAME(onAborted)
SSEWIRE_DETAIL_MEMBER_NAME(do_abort)
SSEWIRE_DETAIL_MEMBER_NAME(abrt)
SSEWIRE_DETAIL_MEMBER_NAME(abord)
SSEWIRE_DETAIL_MEMBER_NAME(cancel)
SSEWIRE_DETAIL_MEMBER_NAME(drop)
SSEWIRE_DETAIL_MEMBER_NAME(reset)
SSEWIRE_DETAIL_MEMBER_NAME(terminate)
SSEWIRE_DETAIL_MEMBER_NAME(kill)
SSEWIRE_DETAIL_MEMBER_NAME(disconnect)
SSEWIRE_DETAIL_MEMBER_NAME(on_closed)
SSEWIRE_DETAIL_MEMBER_NAME(onClosed)
SSEWIRE_DETAIL_MEMBER_NAME(OnClosed)
SSEWIRE_DETAIL_MEMBER_NAME(on_close)
SSEWIRE_DETAIL_MEMBER_NAME(onClose)
SSEWIRE_DETAIL_MEMBER_NAME(OnClose)
SSEWIRE_DETAIL_MEMBER_NAME(onclosed)
SSEWIRE_DETAIL_MEMBER_NAME(onclose)
SSEWIRE_DETAIL_MEMBER_NAME(do_on_closed)
SSEWIRE_DETAIL_MEMBER_NAME(on_cloesd)
SSEWIRE_DETAIL_MEMBER_NAME(closed_by)
SSEWIRE_DETAIL_MEMBER_NAME(on_stream_closed)
SSEWIRE_DETAIL_MEMBER_NAME(closed)
SSEWIRE_DETAIL_MEMBER_NAME(on_disconnect)
SSEWIRE_DETAIL_MEMBER_NAME(on_disconnected)
SSEWIRE_DETAIL_MEMBER_NAME(on_end)
SSEWIRE_DETAIL_MEMBER_NAME(on_done)
SSEWIRE_DETAIL_MEMBER_NAME(on_error)
SSEWIRE_DETAIL_MEMBER_NAME(onDisconnect)
SSEWIRE_DETAIL_MEMBER_NAME(stream_closed)
SSEWIRE_DETAIL_MEMBER_NAME(same_bytes_again)
SSEWIRE_DETAIL_MEMBER_NAME(sameBytesAgain)
SSEWIRE_DETAIL_MEMBER_NAME(SameBytesAgain)
SSEWIRE_DETAIL_MEMBER_NAME(same_byte_again)
SSEWIRE_DETAIL_MEMBER_NAME(same_bytes_agian)
SSEWIRE_DETAIL_MEMBER_NAME(same_buffer_again)
SSEWIRE_DETAIL_MEMBER_NAME(same_buffers_again)
SSEWIRE_DETAIL_MEMBER_NAME(same_bytes_again_)
SSEWIRE_DETAIL_MEMBER_NAME(SAME_BYTES_AGAIN)
SSEWIRE_DETAIL_MEMBER_NAME(kSameBytesAgain)
SSEWIRE_DETAIL_MEMBER_NAME(needs_same_bytes)
SSEWIRE_DETAIL_MEMBER_NAME(needs_same_bytes_again)
SSEWIRE_DETAIL_MEMBER_NAME(same_bytes)
SSEWIRE_DETAIL_MEMBER_NAME(same_buffer)
SSEWIRE_DETAIL_MEMBER_NAME(same_buffers)
SSEWIRE_DETAIL_MEMBER_NAME(sameBytes)
SSEWIRE_DETAIL_MEMBER_NAME(repeat_bytes)
SSEWIRE_DETAIL_MEMBER_NAME(retry_same_bytes)
#undef SSEWIRE_DETAIL_MEMBER_NAME
// clang-format on

template <class... Names> struct name_list {
  // The first of them that W has. A flag called `closed` is no misspelt function.
  template <class W, bool Data> static constexpr std::string_view first_of() {
    std::string_view found;
    ((found = found.empty() && (Data ? Names::template of<W>() : Names::template is_function<W>())
                  ? Names::text
                  : found),
     ...);
    return found;
  }
};

using misspelt_finish =
    name_list<name_of_finished, name_of_Finish, name_of_Finished, name_of_on_finish, name_of_onFinish,
              name_of_on_finished, name_of_onFinished, name_of_do_finish, name_of_finsh, name_of_finnish,
              name_of_finalize, name_of_finalise, name_of_end_stream, name_of_endStream,
              name_of_end_response>;
using perhaps_finish =
    name_list<name_of_end, name_of_done, name_of_complete, name_of_close, name_of_eof, name_of_shutdown>;
using misspelt_abort =
    name_list<name_of_aborted, name_of_Abort, name_of_Aborted, name_of_on_abort, name_of_onAbort,
              name_of_on_aborted, name_of_onAborted, name_of_do_abort, name_of_abrt, name_of_abord>;
using perhaps_abort = name_list<name_of_cancel, name_of_drop, name_of_reset, name_of_terminate, name_of_kill,
                                name_of_disconnect, name_of_close>;
using misspelt_on_closed = name_list<name_of_onClosed, name_of_OnClosed, name_of_on_close, name_of_onClose,
                                     name_of_OnClose, name_of_onclosed, name_of_onclose, name_of_do_on_closed,
                                     name_of_on_cloesd, name_of_closed_by, name_of_on_stream_closed>;
using perhaps_on_closed =
    name_list<name_of_closed, name_of_on_disconnect, name_of_on_disconnected, name_of_on_end, name_of_on_done,
              name_of_on_error, name_of_onDisconnect, name_of_stream_closed>;
using misspelt_same_bytes_again =
    name_list<name_of_sameBytesAgain, name_of_SameBytesAgain, name_of_same_byte_again,
              name_of_same_bytes_agian, name_of_same_buffer_again, name_of_same_buffers_again,
              name_of_same_bytes_again_, name_of_SAME_BYTES_AGAIN, name_of_kSameBytesAgain,
              name_of_needs_same_bytes, name_of_needs_same_bytes_again>;
using perhaps_same_bytes_again = name_list<name_of_same_bytes, name_of_same_buffer, name_of_same_buffers,
                                           name_of_sameBytes, name_of_repeat_bytes, name_of_retry_same_bytes>;

template <class W, class Right, class Misspelt, class Perhaps>
testing::member_report report_member(bool found) {
  testing::member_report out;
  out.name = Right::text;
  out.found = found;
  if (found) return out;
  out.unusable = Right::template of<W>();
  if (out.unusable) return out;
  constexpr bool data = std::is_same_v<Right, name_of_same_bytes_again>;
  out.misspelt = Misspelt::template first_of<W, data>();
  out.perhaps = Perhaps::template first_of<W, data>();
  return out;
}

// A constant of the class, not a function of that name and not a member of each object.
template <class W> constexpr bool declares_same_bytes_again() {
  if constexpr (requires { &W::same_bytes_again; }) {
    using pointer = decltype(&W::same_bytes_again);
    return std::is_pointer_v<pointer> && std::is_arithmetic_v<std::remove_pointer_t<pointer>>;
  } else {
    return false;
  }
}

}  // namespace detail

namespace testing {

/// What a driver finds in a writer, in the order finish, abort, on_closed, same_bytes_again.
template <class Writer> [[nodiscard]] std::vector<member_report> optional_members() {
  using W = std::remove_cv_t<Writer>;
  return {
      detail::report_member<W, detail::name_of_finish, detail::misspelt_finish, detail::perhaps_finish>(
          requires(W & w) { w.finish(); }),
      detail::report_member<W, detail::name_of_abort, detail::misspelt_abort, detail::perhaps_abort>(
          requires(W & w) { w.abort(); }),
      detail::report_member<W, detail::name_of_on_closed, detail::misspelt_on_closed,
                            detail::perhaps_on_closed>(requires(W & w) { w.on_closed(close_reason::none); }),
      detail::report_member<W, detail::name_of_same_bytes_again, detail::misspelt_same_bytes_again,
                            detail::perhaps_same_bytes_again>(detail::declares_same_bytes_again<W>()),
  };
}

}  // namespace testing
}  // namespace SSEWIRE_DETAIL_ABI
}  // namespace ssewire

#include <ssewire/core/end.hpp>
