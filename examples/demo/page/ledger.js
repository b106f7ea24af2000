// SPDX-License-Identifier: MIT
// ledger.js - the proof: each channel numbers its events from 1; what is neither here nor told of is missing.

export class Ledger {
  #next = new Map();     // by channel: the number expected next
  #uncounted = new Set(); // channels that were said to miss events, but not how many

  received = 0;
  missing = 0;   // neither received nor told of
  repeated = 0;
  told = 0;      // missed, and a gap event stands for them

  // A stream begins: `newest` holds each channel's last number before it.
  begin(newest) {
    this.#next = new Map(Object.entries(newest).map(([channel, n]) => [channel, n + 1]));
    this.#uncounted.clear();
  }

  // A gap event came. How many are missed is left out where the server cannot know.
  gap(channel, missed) {
    if (channel === undefined) return;
    if (missed === undefined) {
      this.#uncounted.add(channel);
    } else {
      this.told += missed;
      this.#next.set(channel, this.next(channel) + missed);
    }
  }

  // An event came. Returns how many a gap without a number turns out to have been; 0 otherwise.
  event(channel, n) {
    ++this.received;
    const skipped = n - this.next(channel);
    if (skipped < 0) {
      ++this.repeated;
      return 0;
    }
    this.#next.set(channel, n + 1);
    if (this.#uncounted.delete(channel)) {
      this.told += skipped;
      return skipped;
    }
    this.missing += skipped;
    return 0;
  }

  next(channel) { return this.#next.get(channel) ?? 1; }
}
