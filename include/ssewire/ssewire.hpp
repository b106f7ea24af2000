// SPDX-License-Identifier: MIT
// ssewire.hpp - all of it: Server-Sent Events for the HTTP server a program already has.
#pragma once

#include <ssewire/core/cplusplus.hpp>

#include <ssewire/broker/batch.hpp>
#include <ssewire/broker/broker.hpp>
#include <ssewire/broker/filter.hpp>
#include <ssewire/broker/options.hpp>
#include <ssewire/broker/presence.hpp>
#include <ssewire/broker/stats.hpp>
#include <ssewire/broker/subscription.hpp>
#include <ssewire/core/channel_names.hpp>
#include <ssewire/core/clock.hpp>
#include <ssewire/core/close_reason.hpp>
#include <ssewire/core/errc.hpp>
#include <ssewire/core/event.hpp>
#include <ssewire/core/event_header.hpp>
#include <ssewire/core/framing.hpp>
#include <ssewire/core/optional_text.hpp>
#include <ssewire/core/position.hpp>
#include <ssewire/core/process.hpp>
#include <ssewire/core/traits.hpp>
#include <ssewire/core/try_call.hpp>
#include <ssewire/core/utf8.hpp>
#include <ssewire/core/version.hpp>
#include <ssewire/core/wake.hpp>
#include <ssewire/core/writer.hpp>
#include <ssewire/drivers/posted_stream.hpp>
#include <ssewire/drivers/pull_stream.hpp>
#include <ssewire/drivers/reactor.hpp>
#include <ssewire/drivers/serve_blocking.hpp>
#include <ssewire/drivers/timing.hpp>
#include <ssewire/http/refuse.hpp>
#include <ssewire/http/request.hpp>
#include <ssewire/http/response_fields.hpp>
#include <ssewire/log/publish_result.hpp>
#include <ssewire/log/replay_buffer.hpp>
#include <ssewire/log/resume_outcome.hpp>
#include <ssewire/log/retention.hpp>
#include <ssewire/stream/stream.hpp>
#include <ssewire/stream/writers.hpp>
#include <ssewire/wire/parser.hpp>
#include <ssewire/wire/serializer.hpp>
#include <ssewire/wire/text_buffer.hpp>
