// SPDX-License-Identifier: MIT
// ssewire.hpp - all of it: Server-Sent Events for the HTTP server a program already has.
#pragma once

#include <ssewire/detail/cplusplus.hpp>

#include <ssewire/broker.hpp>
#include <ssewire/channel_names.hpp>
#include <ssewire/errc.hpp>
#include <ssewire/event.hpp>
#include <ssewire/framing.hpp>
#include <ssewire/http_fields.hpp>
#include <ssewire/optional_text.hpp>
#include <ssewire/parser.hpp>
#include <ssewire/posted_stream.hpp>
#include <ssewire/pull_stream.hpp>
#include <ssewire/reactor.hpp>
#include <ssewire/refuse.hpp>
#include <ssewire/replay_buffer.hpp>
#include <ssewire/serializer.hpp>
#include <ssewire/serve_blocking.hpp>
#include <ssewire/stream.hpp>
#include <ssewire/text_pieces.hpp>
#include <ssewire/traits.hpp>
#include <ssewire/version.hpp>
#include <ssewire/writer.hpp>
#include <ssewire/writers.hpp>
