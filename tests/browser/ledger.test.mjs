// SPDX-License-Identifier: MIT
// ledger.test.mjs - the proof on the page can fail: whatever goes wrong with the numbers, it sees.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Ledger } from "./ledger.js";

function after(...steps) {
  const ledger = new Ledger();
  ledger.begin({ cpu: 6 });
  for (const [what, ...given] of steps) ledger[what](...given);
  const { received, missing, repeated, told } = ledger;
  return { received, missing, repeated, told };
}

const sums = (received, missing, repeated, told) => ({ received, missing, repeated, told });

test("what follows is neither missing nor repeated", () => {
  assert.deepEqual(after(["event", "cpu", 7], ["event", "cpu", 8]), sums(2, 0, 0, 0));
});

test("a channel nobody has heard of begins with 1", () => {
  assert.deepEqual(after(["event", "mem", 1], ["event", "mem", 2]), sums(2, 0, 0, 0));
  assert.deepEqual(after(["event", "mem", 2]), sums(1, 1, 0, 0));
});

test("a hole is missing, also before the first event", () => {
  assert.deepEqual(after(["event", "cpu", 8]), sums(1, 1, 0, 0));
  assert.deepEqual(after(["event", "cpu", 7], ["event", "cpu", 11], ["event", "cpu", 12]), sums(3, 3, 0, 0));
});

test("what was there before is repeated, and changes nothing else", () => {
  assert.deepEqual(after(["event", "cpu", 7], ["event", "cpu", 7], ["event", "cpu", 8]), sums(3, 0, 1, 0));
  assert.deepEqual(after(["event", "cpu", 6], ["event", "cpu", 7]), sums(2, 0, 1, 0));
});

test("a gap with its number must be exact", () => {
  assert.deepEqual(after(["gap", "cpu", 3], ["event", "cpu", 10]), sums(1, 0, 0, 3));
  assert.deepEqual(after(["gap", "cpu", 3], ["event", "cpu", 11]), sums(1, 1, 0, 3));
  assert.deepEqual(after(["gap", "cpu", 3], ["event", "cpu", 9]), sums(1, 0, 1, 3));
});

test("a gap is of one channel", () => {
  assert.deepEqual(after(["gap", "mem", 3], ["event", "cpu", 10]), sums(1, 3, 0, 3));
  assert.deepEqual(after(["gap", undefined, undefined], ["event", "cpu", 10]), sums(1, 3, 0, 0));
});

test("a gap without a number is counted by the next event, once", () => {
  assert.deepEqual(after(["gap", "cpu", undefined], ["event", "cpu", 10]), sums(1, 0, 0, 3));
  assert.deepEqual(after(["gap", "cpu", undefined], ["event", "cpu", 10], ["event", "cpu", 12]), sums(2, 1, 0, 3));
});

test("a stream that begins anew is measured from there", () => {
  assert.deepEqual(after(["event", "cpu", 7], ["begin", {}], ["event", "cpu", 1]), sums(2, 0, 0, 0));
});
