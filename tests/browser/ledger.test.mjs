// SPDX-License-Identifier: MIT
// ledger.test.mjs - the proof on the page can fail: whatever goes wrong with the numbers, it sees.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Journal } from "./journal.js";
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

test("a channel without numbers is counted, and its gap is told, not measured", () => {
  const ledger = new Ledger(["room"]);
  ledger.event("room");
  ledger.gap("room", undefined);
  ledger.event("room");
  const { received, missing, repeated, told, unknown } = ledger;
  assert.deepEqual({ received, missing, repeated, told }, sums(2, 0, 0, 0));
  assert.equal(unknown, 1);
});

// ---- the journal -------------------------------------------------------------------------------------------------

function element() {
  return { dataset: {}, childElementCount: 0, append() {}, prepend() {} };
}

function written() {
  globalThis.document = { createElement: element };
  const ledger = new Ledger(["room"]);
  const outcome = element();
  const said = element();
  const journal = new Journal({ ledger, body: element(), outcome, said, region: element() });
  return {
    journal, outcome, said, verdicts: () => journal.rows.map(row => row.verdict),
    event: (channel, n) => journal.event(channel, ledger.event(channel, n)),
    missed(channel, missed) { journal.missed(channel, missed, "e-1", "e-2", 100); ledger.gap(channel, missed); },
    late(channel) { journal.cameTooLate(channel, "e-1", "e-2"); ledger.gap(channel, undefined); },
  };
}

test("each row has its own sums", () => {
  const page = written();
  page.missed("burst", 250);
  page.missed("cpu", 3);
  page.event("mem", 2);  // the first is missing, and that is nobody's gap
  page.event("cpu", 4);
  page.event("burst", 252);
  assert.deepEqual(page.verdicts(), [{ missing: 1, repeated: 0, told: 250 }, { missing: 0, repeated: 0, told: 3 }]);
});

test("a gap within a replay is not the lost connection's", () => {
  const page = written();
  page.journal.lost("Dropped", "e-1");
  page.journal.replays(2);
  page.journal.position("e-1");
  page.missed("burst", 5);
  page.event("burst", 6);
  page.event("cpu", 2);
  assert.deepEqual(page.verdicts(), [{ missing: 1, repeated: 0, told: 0 }, { missing: 0, repeated: 0, told: 5 }]);
});

test("none missing is never said while a gap is open", () => {
  const page = written();
  page.journal.lost("Dropped", "e-1");
  page.journal.replays(0);
  page.late("cpu");
  page.journal.position("e-1");
  assert.deepEqual(page.verdicts(), [null]);
  page.event("cpu", 8);
  assert.deepEqual(page.verdicts(), [{ missing: 0, repeated: 0, told: 7 }]);
  assert.match(page.outcome.textContent, /^7 events missed/);
  assert.match(page.said.textContent, /own numbers say 7/);
});

test("nor where the numbers show no hole", () => {
  const page = written();
  page.journal.lost("Dropped", "e-1");
  page.journal.replays(1);
  page.late("cpu");
  page.journal.position("e-1");
  page.event("cpu", 1);
  assert.deepEqual(page.verdicts(), [{ missing: 0, repeated: 0, told: 0 }]);
  assert.match(page.said.textContent, /the gap event says so\. By their own numbers, you have all/);
});

test("a gap that nothing can count is told as it is", () => {
  const page = written();
  page.journal.lost("Dropped", "e-1");
  page.journal.replays(1);
  page.late("room");
  page.journal.position("e-1");
  page.event("room");
  assert.deepEqual(page.verdicts(), [{ missing: 0, repeated: 0, told: 0, uncounted: ["room"] }]);
  assert.match(page.said.textContent, /events of .room. are missing; how many is not known/);
});

test("what a gap waits for may never come", () => {
  const page = written();
  page.missed("burst", 5);
  page.missed("room", 2);
  page.journal.lost("Dropped", "e-1");
  assert.deepEqual(page.verdicts(), [{ missing: 0, repeated: 0, told: 5 }, { missing: 0, repeated: 0, told: 2 }, null]);
});
