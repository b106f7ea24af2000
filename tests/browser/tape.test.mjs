// SPDX-License-Identifier: MIT
// tape.test.mjs - the row of event IDs: what came before an incident, in it, and since. Nothing is drawn.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Tape } from "./tape.js";

globalThis.requestAnimationFrame = () => {};

function tape(events = 0) {
  const made = new Tape(null);
  for (let place = 1; place <= events; ++place) made.event(String(place), "cpu", false);
  return made;
}

// A segment in short: its kind and IDs, or what stands in their place.
const written = made => made.segments.map(({ kind, main, count, first = [], last = [] }) =>
  `${kind} ${main ?? `${count}: ${[...first, ...last].map(event => event.place).join(" ")}`}`);

const feed = (made, from, to, replayed) => {
  for (let place = from; place <= to; ++place) made.event(String(place), "cpu", replayed);
};

test("before the first incident there are the newest events", () => {
  assert.deepEqual(written(tape(0)), []);
  assert.deepEqual(written(tape(2)), ["newest 2: 1 2"]);
  assert.match(written(tape(100))[0], /^newest 24: 77 .* 100$/);
});

test("a cut, what is replayed, and what is live again", () => {
  const made = tape(5);
  made.cut();
  assert.deepEqual(written(made), ["before 3: 3 4 5", "away \u2026"]);
  feed(made, 6, 8, true);
  feed(made, 9, 9, false);
  assert.deepEqual(written(made), ["before 3: 3 4 5", "replayed 3: 6 7 8", "live 1: 9"]);
});

test("of many events the first and the last are kept, and all are counted", () => {
  const made = tape(5);
  made.cut();
  feed(made, 6, 11, true);
  assert.equal(written(made)[1], "replayed 6: 6 7 8 9 10 11");
  feed(made, 12, 12, true);
  assert.equal(written(made)[1], "replayed 7: 6 7 8 9 11 12");
});

test("a cut before the first event", () => {
  const made = tape(0);
  made.cut();
  feed(made, 1, 2, true);
  assert.deepEqual(written(made), ["before none", "replayed 2: 1 2"]);
});

test("a gap in an open stream is an incident of its own", () => {
  const made = tape(5);
  made.missed("burst", 250);
  feed(made, 256, 256, false);
  assert.deepEqual(written(made), ["before 3: 3 4 5", "missed 250", "live 1: 256"]);
  made.missed("burst", 7);
  assert.deepEqual(written(made), ["before 3: 4 5 256", "missed 7"]);
});

test("a gap after a cut belongs to it, and its number may come later", () => {
  const made = tape(5);
  made.cut();
  made.missed("burst", undefined);
  made.missed("room", undefined);
  assert.deepEqual(written(made), ["before 3: 3 4 5", "missed some", "missed some"]);
  made.missedAfterAll("burst", 1250);
  feed(made, 1300, 1300, true);
  assert.deepEqual(written(made), ["before 3: 3 4 5", "missed 1,250", "missed some", "replayed 1: 1300"]);
});

test("the next incident takes the place of the last", () => {
  const made = tape(5);
  made.cut();
  feed(made, 6, 6, true);
  made.cut();
  assert.deepEqual(written(made), ["before 3: 4 5 6", "away \u2026"]);
  made.over();
  assert.deepEqual(written(made), ["before 3: 4 5 6", "over 204"]);
  made.clear();
  assert.deepEqual(written(made), []);
});
