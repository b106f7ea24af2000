// SPDX-License-Identifier: MIT
// story.cpp - a text that arrives word by word, and whose reader is cut off midway.

#include "story.hpp"

#include <algorithm>
#include <chrono>

namespace demo {
namespace {

constexpr auto pause = std::chrono::milliseconds(80);

// Without quotation marks, backslashes and control characters: it goes into JSON as it is.
constexpr std::string_view text =
    "The keeper of the lighthouse wrote one line for every ship that passed. He numbered the lines, because "
    "fog makes people forget what they have already read. One night the wire to the harbour broke in the "
    "middle "
    "of a sentence. He did not shout, and he did not begin again. He went on writing, line after line, by "
    "the "
    "light he kept for others. When the wire was mended, the harbour asked a single question: what came "
    "after "
    "line forty-one? He read it out, and the next, and the next, until the two of them had reached the "
    "present. "
    "Nobody on the ships had noticed anything. That, he thought, is what a number is for, and he wrote it "
    "down.";

std::vector<std::string_view> const& split_text() {
  static auto const words = [] {
    std::vector<std::string_view> all;
    for (auto rest = text; !rest.empty();) {
      auto const word = rest.substr(0, rest.find(' '));
      all.push_back(word);
      rest.remove_prefix((std::min)(rest.size(), word.size() + 1));
    }
    return all;
  }();
  return words;
}

}  // namespace

std::size_t story_teller::words() noexcept { return split_text().size(); }

story_teller::answer story_teller::tell(std::string_view client, clock::time_point now) {
  auto const its = [&](telling const& story) { return story.client == client; };
  if (std::any_of(tellings_.begin(), tellings_.end(), its)) return answer::told_already;
  if (tellings_.size() >= at_once) return answer::too_many;
  tellings_.push_back({std::string(client), ++told_, 0, now});
  return answer::begun;
}

void story_teller::say(telling& story) {
  auto const& words = split_text();
  std::string json = "{\"client\":\"" + story.client + "\",\"story\":" + std::to_string(story.number);
  json.append(",\"word\":").append(std::to_string(story.next_word + 1));
  json.append(",\"of\":").append(std::to_string(words.size()));
  json.append(",\"text\":\"").append(words[story.next_word]).append("\"}");
  streams_.publish_numbered("story", json);
  // The reader's connection goes, the story does not: nothing here knows who listens.
  if (++story.next_word == words.size() / 2) streams_.drop(story.client);
}

story_teller::clock::time_point story_teller::run(clock::time_point now) {
  auto next = clock::time_point::max();
  for (auto& story : tellings_) {
    if (story.due <= now) {
      say(story);
      story.due = (std::max)(story.due + pause, now);
    }
    next = (std::min)(next, story.due);
  }
  std::erase_if(tellings_, [](telling const& story) { return story.next_word == words(); });
  return next;
}

}  // namespace demo
