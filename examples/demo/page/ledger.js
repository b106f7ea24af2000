// SPDX-License-Identifier: MIT
// ledger.js - the proof: each channel numbers its events from 1; what is neither here nor told of is missing.

export class Ledger {
  #next = new Map();     // by channel: the number expected next
  #uncounted = new Set(); // channels that were said to miss events, but not how many
  #bare;                  // channels whose events bear no numbers

  received = 0;
  missing = 0;   // neither received nor told of
  repeated = 0;
  told = 0;      // missed, and a gap event stands for them
  unknown = 0;   // gap events of which nothing says how many events they stand for

  constructor(bare = []) { this.#bare = new Set(bare); }

  // A stream begins: `newest` holds each channel's last number before it.
  begin(newest) {
    this.#next = new Map(Object.entries(newest).map(([channel, n]) => [channel, n + 1]));
    this.#uncounted.clear();
  }

  // A gap event came. How many are missed is left out where the server cannot know.
  gap(channel, missed) {
    if (channel === undefined) return;
    if (missed === undefined && !this.numbers(channel)) {
      ++this.unknown;
    } else if (missed === undefined) {
      this.#uncounted.add(channel);
    } else {
      this.told += missed;
      this.#next.set(channel, this.next(channel) + missed);
    }
  }

  // An event came. Returns what its number tells; `told`: what a gap without a number turns out to have been.
  event(channel, n) {
    ++this.received;
    const found = this.numbers(channel) ? this.#compare(channel, n) : {};
    const { missing = 0, repeated = 0, told = 0 } = found;
    this.missing += missing;
    this.repeated += repeated;
    this.told += told;
    return { missing, repeated, told };
  }

  #compare(channel, n) {
    const skipped = n - this.next(channel);
    if (skipped < 0) return { repeated: 1 };
    this.#next.set(channel, n + 1);
    return this.#uncounted.delete(channel) ? { told: skipped } : { missing: skipped };
  }

  // Whether the channel's events bear numbers.
  numbers(channel) { return !this.#bare.has(channel); }

  next(channel) { return this.#next.get(channel) ?? 1; }
}
