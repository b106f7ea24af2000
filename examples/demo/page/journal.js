// SPDX-License-Identifier: MIT
// journal.js - what happened to the stream: the last of it in words, and a row for each cut and each gap.

const keptRows = 30;

export const count = n => n.toLocaleString("en");
export const events = n => count(n) + (n === 1 ? " event" : " events");

// Of an ID, what a reader needs: its place. The epoch before it is the same for a whole run of the server.
export const place = id => id ? String(Number(id.slice(id.indexOf("-") + 1))) : "none";

const columns = [["time", "Time"], ["what", "Event"], ["before", "Last ID before"],
  ["resumed", "Resumed after"], ["replayed", "Replayed"], ["missing", "Missing"]];

class Row {
  #cells;

  constructor(what, before, body) {
    this.what = what;
    this.before = before;
    this.resumed = null;
    this.replayed = null;  // null: not said yet
    this.left = 0;         // of the replayed ones, still to come
    this.sums = { missing: 0, repeated: 0, told: 0 };  // its own, of nothing else
    this.uncounted = new Set();  // channels that miss events, and the number is not known (yet)
    this.late = false;           // a gap event without a number came, and something is said about it
    this.verdict = null;         // the sums once all has come

    const row = document.createElement("tr");
    this.#cells = Object.fromEntries(columns.map(([name, label]) => {
      const cell = document.createElement("td");
      cell.className = name === "before" || name === "resumed" ? "id " + name : name;
      cell.dataset.label = label;
      row.append(cell);
      return [name, cell];
    }));
    this.set("time", new Date().toLocaleTimeString("en-GB"));
    this.set("what", what);
    this.set("before", place(before), before);
    for (const name of ["resumed", "replayed", "missing"]) this.set(name, "\u2026");
    body.prepend(row);
    while (body.childElementCount > keptRows) body.lastElementChild.remove();
  }

  set(name, text, title = "") {
    this.#cells[name].textContent = text;
    if (title) this.#cells[name].title = title;
  }

  resumeAt(id) {
    this.resumed = id;
    this.set("resumed", place(id), id);
  }

  add({ missing, repeated, told }) {
    this.sums.missing += missing;
    this.sums.repeated += repeated;
    this.sums.told += told;
  }

  settle() {
    const got = this.verdict = { ...this.sums };
    const some = this.uncounted.size > 0;
    if (some) got.uncounted = [...this.uncounted];
    const told = [...(got.told ? [count(got.told)] : []), ...(some ? ["some"] : [])].join(" and ");
    const cell = this.#cells.missing;
    const wrong = got.missing || got.repeated ?
      `${count(got.missing)}, unreported; ${count(got.repeated)} repeated` : "";
    cell.textContent = [wrong, told && told + ", reported"].filter(Boolean).join("; ") || "none";
    cell.className = "missing " + (wrong ? "bad" : told ? "told" : "good");
  }

  // There is nothing to compare with.
  give(text) {
    for (const name of ["resumed", "replayed"]) this.set(name, "\u2013");
    this.#cells.missing.textContent = text;
    this.#cells.missing.className = "missing told";
    this.verdict = { unknown: true };
  }
}

export class Journal {
  rows = [];
  #ledger;
  #body;
  #outcome;
  #said;
  #region;
  #open = null;       // the lost connection that is not settled yet
  #gaps = new Map();  // by channel: the gap whose number the next event confirms, or tells

  constructor({ ledger, body, outcome, said, region }) {
    this.#ledger = ledger;
    this.#body = body;
    this.#outcome = outcome;
    this.#said = said;
    this.#region = region;
  }

  // `tone`: "" for what is on its way, else good, told or bad.
  say(outcome, text, tone = "") {
    this.#outcome.textContent = outcome;
    this.#outcome.dataset.tone = tone;
    this.#said.textContent = text;
  }

  #add(what, before) {
    this.#region.hidden = false;
    const row = new Row(what, before, this.#body);
    this.rows.push(row);
    return row;
  }

  // What an open gap waits for will not come: what the gap event said is all there is.
  #giveUpGaps() {
    for (const { row } of this.#gaps.values()) {
      if (!row.verdict) row.settle();
    }
    this.#gaps.clear();
  }

  #await(channel, gap) {
    const old = this.#gaps.get(channel)?.row;
    if (old && old !== this.#open) old.settle();
    this.#gaps.set(channel, gap);
  }

  lost(what, lastId) {
    this.#giveUpGaps();
    if (this.#open && !this.#open.verdict && this.#open.uncounted.size > 0) this.#open.settle();
    this.#open = this.#add(what, lastId);
    return this.#open;
  }

  replays(n) {
    const row = this.#open;
    if (!row) return;
    row.replayed = row.left = n;
    row.set("replayed", count(n));
  }

  // The position event: where the stream stands now.
  position(id) {
    const row = this.#open;
    if (!row) return;
    row.resumeAt(id);
    this.#settleIfDone();
  }

  // No stream follows.
  over() {
    this.#open?.give("ended");
    this.#open = null;
    this.#giveUpGaps();
  }

  // A stream begins that is not the one before: it says so itself.
  beginsAnew() {
    this.#open?.give("unknown, reported");
    this.#giveUpGaps();
  }

  restarted() {
    this.say("The server was restarted, and the stream says so.", "The new server knows nothing of what " +
      "the old one published. Its gap event says that events may be missing. From here on none are.", "told");
  }

  // A gap with its number: the stream was open and did not read.
  missed(channel, missed, before, id, log) {
    const row = this.#add(`Not reading: ${events(missed)} of \u201c${channel}\u201d missed`, before);
    row.resumeAt(id);
    row.set("replayed", "\u2013");
    row.add({ missing: 0, repeated: 0, told: missed });
    const gap = { row, counted: true, outcome: `${events(missed)} missed, and the stream says so.`, words:
      `The server could not write to you, and its log of ${events(log)} of \u201c${channel}\u201d moved ` +
      `on. The gap event says that you missed ${count(missed)}` };
    if (this.#ledger.numbers(channel)) {
      this.#await(channel, gap);
    } else {
      row.settle();
      this.say(gap.outcome, gap.words + ".", "told");
    }
  }

  // A gap without a number: we came back too late. The next event of the channel tells how many, if it has a number.
  cameTooLate(channel, before, id) {
    let row = this.#open;
    if (!row) {
      row = this.#add(`Events of \u201c${channel}\u201d missed`, before);
      row.resumeAt(id);
      row.set("replayed", "\u2013");
    }
    row.uncounted.add(channel);
    row.late = true;
    if (this.#ledger.numbers(channel)) {
      this.#await(channel, { row });
    } else {
      this.#sayUncounted(row);
      if (row !== this.#open) row.settle();
    }
  }

  #sayUncounted({ uncounted, sums }) {
    const names = [...uncounted].map(name => `\u201c${name}\u201d`).join(", ");
    const others = sums.told ?
      ` Of the other channels you missed ${events(sums.told)}, by the events\u2019 own numbers.` : "";
    this.say("Events missed, and the stream says so.", "You came back too late: the log had moved on. " +
      `The gap event says that events of ${names} are missing; how many is not known.${others}`, "told");
  }

  // An event with an ID came; `found` is what Ledger.event returned.
  event(channel, found) {
    const gap = this.#gaps.get(channel);
    (gap?.row ?? this.#open)?.add(found);
    if (gap) {
      this.#gaps.delete(channel);
      gap.row.uncounted.delete(channel);
      if (gap.row !== this.#open) gap.row.settle();
      if (gap.counted) {
        const { missing, repeated } = gap.row.verdict;
        const wrong = missing || repeated;
        this.say(gap.outcome, gap.words + (wrong ? ", and the events\u2019 own numbers contradict it!" :
          ", and the events\u2019 own numbers agree."), wrong ? "bad" : "told");
      } else if (found.told === 0) {
        // The ID we came back with lies before a gap that we were told of already.
        this.say("The gap event stands for nothing new.", "The log had moved on, and the gap event says " +
          `so. By their own numbers, you have all events of \u201c${channel}\u201d but those that were ` +
          "reported before.", "told");
      } else {
        this.say(`${events(found.told)} missed, and the stream says so.`, "You came back too late: the log " +
          `had moved on. The gap event says that events of \u201c${channel}\u201d are missing, but not how ` +
          `many. The events\u2019 own numbers say ${count(found.told)}.`, "told");
      }
    }
    if (this.#open && this.#open.replayed !== null) {
      --this.#open.left;
      this.#settleIfDone();
    }
  }

  get replaying() { return (this.#open?.left ?? 0) > 0; }

  #settleIfDone() {
    const row = this.#open;
    if (row.left > 0 || row.resumed === null) return;
    if (row.verdict) {
      this.#open = null;
      return;
    }
    if ([...this.#gaps.values()].some(gap => gap.row === row)) return;  // the next event tells
    this.#open = null;
    row.settle();
    if (row.uncounted.size > 0) return this.#sayUncounted(row);
    const { missing, repeated, told } = row.verdict;
    if (told || row.late) return;  // it has been said in words
    const wrong = missing || repeated;
    this.say(`${events(row.replayed)} replayed: ` + (wrong ? `${missing} lost, ${repeated} repeated!` :
      "none lost, none twice."), `${row.what} after event ${place(row.before)}. The browser came back with ` +
      "that ID and got what it had missed.", wrong ? "bad" : "good");
  }
}
