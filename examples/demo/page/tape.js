// SPDX-License-Identifier: MIT
// tape.js - the stream as a row of event IDs: before the last incident, in it, and since.

const keptFirst = 4;
const keptLast = 2;
const keptNewest = 24;  // before the first incident; the page cuts off the old ones that do not fit
const keptBefore = 3;

// Of more events than these a narrow page shows the first ones and the last one.
const narrowFirst = 3;

const labels = {
  newest: "Newest events",
  before: "You had",
  missed: "Missed, reported",
  replayed: "Replayed",
  live: "Live again",
  away: "Away",
  over: "Over",
};

const counted = ({ kind }) => kind === "replayed" || kind === "live";
const numberOf = segment => counted(segment) ? " " + segment.count.toLocaleString("en") : "";

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function chip(main, small = "", className = "chip") {
  const made = element("span", className);
  made.append(element("b", "", main));
  if (small) made.append(element("small", "", small));
  return made;
}

// The events of a segment, as chips; "\u2026" for those that are left out.
function chips(segment) {
  const { count, first, last } = segment;
  const spare = i => counted(segment) && i >= narrowFirst && i < count - 1;
  const made = first.map(({ place, channel }, i) => chip(place, channel, spare(i) ? "chip spare" : "chip"));
  if (spare(narrowFirst)) {
    made.push(element("span", count > first.length + last.length ? "left-out" : "left-out narrow", "\u2026"));
  }
  return made.concat(last.map(({ place, channel }, i) =>
    chip(place, channel, spare(count - last.length + i) ? "chip spare" : "chip")));
}

export class Tape {
  segments = [];  // {kind, count, first, last} of events, or {kind, main, small}
  #root;
  #recent = [];   // the newest events
  #scheduled = false;

  constructor(root) { this.#root = root; }

  // A stream begins that has nothing to do with the one before.
  clear() {
    this.segments = [];
    this.#recent = [];
    this.#schedule();
  }

  event(place, channel, replayed) {
    this.#recent.push({ place, channel });
    if (this.#recent.length > keptNewest) this.#recent.shift();
    if (this.segments.length === 0 || this.segments[0].kind === "newest") {
      this.segments = [{ kind: "newest", count: this.#recent.length, first: [], last: this.#recent }];
    } else {
      this.#inIncident({ place, channel }, replayed ? "replayed" : "live");
    }
    this.#schedule();
  }

  #inIncident(event, kind) {
    if (this.segments.at(-1).kind === "away") this.segments.pop();
    if (this.segments.at(-1).kind !== kind) this.segments.push({ kind, count: 0, first: [], last: [] });
    const segment = this.segments.at(-1);
    ++segment.count;
    if (segment.first.length < keptFirst) {
      segment.first.push(event);
    } else {
      segment.last.push(event);
      if (segment.last.length > keptLast) segment.last.shift();
    }
  }

  #begin(segment) {
    const had = this.#recent.slice(-keptBefore);
    const before = had.length ? { count: had.length, first: [], last: had } : { main: "none", small: "yet" };
    this.segments = [{ kind: "before", ...before }, segment];
    this.#schedule();
  }

  cut() { this.#begin({ kind: "away", main: "\u2026", small: "no events" }); }

  // A gap event came; how many events it stands for may be told later.
  missed(channel, n) {
    const segment = { kind: "missed", channel, ...this.#missing(channel, n) };
    const last = this.segments.at(-1)?.kind;
    if (last === "away") this.segments.pop();
    if (last === "away" || last === "missed" || last === "replayed") this.segments.push(segment);
    else this.#begin(segment);
    this.#schedule();
  }

  missedAfterAll(channel, n) {
    const segment = this.segments.find(one => one.kind === "missed" && one.channel === channel);
    if (segment) Object.assign(segment, this.#missing(channel, n));
    this.#schedule();
  }

  #missing(channel, n) {
    return { main: n === undefined ? "some" : n.toLocaleString("en"), small: channel };
  }

  over() {
    if (this.segments.at(-1)?.kind === "away") this.segments.pop();
    this.segments.push({ kind: "over", main: "204", small: "the end" });
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    this.#root.hidden = this.segments.length === 0;
    this.#root.replaceChildren(...this.segments.map(segment => {
      const group = element("div", "segment " + segment.kind);
      const row = element("div", "chips");
      row.append(...segment.main ? [chip(segment.main, segment.small)] : chips(segment));
      const label = element("p", "segment-label", labels[segment.kind]);
      label.append(element("b", "", numberOf(segment)));
      group.append(label, row);
      return group;
    }));
    const words = this.segments.map(segment => labels[segment.kind] + numberOf(segment) +
      (segment.main ? ` ${segment.main} ${segment.small}` : ""));
    this.#root.setAttribute("aria-label", "Event IDs. " + words.join("; "));
  }
}
