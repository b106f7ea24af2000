// SPDX-License-Identifier: MIT
// routes.hpp - the server's resources: how each is asked for, and what answers.

#pragma once

#include "burst.hpp"
#include "connection.hpp"
#include "event_streams.hpp"
#include "http.hpp"
#include "story.hpp"

#include <string>

namespace demo {

/// What the resources act upon.
struct demo_site {
  event_streams& streams;
  story_teller& stories;
  burst& bursts;
};

/// The counters of all of it, as a JSON object.
std::string stats_json(demo_site const& site);

/// Answers one request.
void answer(demo_site const& site, request const& asked, connection& on);

}  // namespace demo
