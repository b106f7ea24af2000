// SPDX-License-Identifier: MIT
// journal.js - what happened to the stream: one row for each lost connection and for each gap, and the last in words.

const keptRows = 30;

export const count = n => n.toLocaleString("en");
export const events = n => count(n) + (n === 1 ? " event" : " events");

// Of an ID, what a reader needs: its place. The epoch before it is the same for a whole run of the server.
export const place = id => id ? String(Number(id.slice(id.indexOf("-") + 1))) : "none";

const columns = [["time", "Time"], ["what", "Event"], ["before", "Last ID before"], ["resumed", "Resumed at"],
  ["replayed", "Replayed"], ["missing", "Missing"]];

class Row {
  #cells;
  #ledger;
  #start;

  constructor(what, before, ledger, body) {
    this.what = what;
    this.before = before;
    this.resumed = null;
    this.replayed = null;  // null: not said yet
    this.left = 0;         // of the replayed ones, still to come
    this.verdict = null;   // {missing, repeated, told} once all has come
    this.#ledger = ledger;
    this.#start = { missing: ledger.missing, repeated: ledger.repeated, told: ledger.told };

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

  settle() {
    const l = this.#ledger;
    const got = this.verdict = { missing: l.missing - this.#start.missing, repeated: l.repeated - this.#start.repeated,
      told: l.told - this.#start.told };
    const cell = this.#cells.missing;
    cell.textContent = got.missing || got.repeated
      ? `${count(got.missing)}, untold; ${count(got.repeated)} repeated`
      : got.told ? count(got.told) + ", told" : "none";
    cell.className = "missing " + (got.missing || got.repeated ? "bad" : got.told ? "told" : "good");
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
  #said;
  #region;
  #open = null;       // the lost connection that is not settled yet
  #gaps = new Map();  // by channel: the gap whose number the next event confirms

  constructor({ ledger, body, said, region }) {
    this.#ledger = ledger;
    this.#body = body;
    this.#said = said;
    this.#region = region;
  }

  say(text, told = false) {
    this.#said.textContent = text;
    this.#said.dataset.told = told;
  }

  #add(what, before) {
    this.#region.hidden = false;
    const row = new Row(what, before, this.#ledger, this.#body);
    this.rows.push(row);
    return row;
  }

  lost(what, lastId) {
    this.#open = this.#add(what, lastId);
    this.#gaps.clear();
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
    this.#gaps.clear();
  }

  // A stream begins that is not the one before: it says so itself.
  beginsAnew() {
    this.#open?.give("unknown, told");
    this.#gaps.clear();
  }

  restarted() {
    this.say("The server was restarted: this is another epoch. What was published while it was away is not known " +
      "to it; the gap event says so, and the stream begins anew.", true);
  }

  // A gap with its number: the stream was open and did not read.
  missed(channel, missed, before, id, log) {
    const row = this.#add(`Not reading: ${events(missed)} of \u201c${channel}\u201d missed`, before);
    row.resumeAt(id);
    row.set("replayed", "\u2013");
    this.#gaps.set(channel, { row, words: `The server could not write to you, and \u201c${channel}\u201d moved on by more ` +
      `than the ${events(log)} its log holds. You missed ${events(missed)} of it. The gap event says exactly that` });
  }

  // A gap without a number: we came back too late. The next event of the channel tells how many.
  cameTooLate(channel) {
    this.#gaps.set(channel, { row: null, words: "" });
  }

  // An event with an ID came; `counted` is what Ledger.event returned.
  event(channel, counted) {
    const gap = this.#gaps.get(channel);
    if (gap) {
      this.#gaps.delete(channel);
      if (gap.row) {
        gap.row.settle();
        const { missing, repeated } = gap.row.verdict;
        this.say(gap.words + (missing || repeated ? ", and the events\u2019 own numbers contradict it!" :
          ", and the events\u2019 own numbers agree."), true);
      } else if (counted === 0) {
        // The ID we came back with lies before a gap that we were told of already.
        this.say(`The log has moved past your last event ID, and the gap event says so, but by their own numbers you ` +
          `have all events of \u201c${channel}\u201d but those that you were told of before.`, true);
      } else {
        this.say(`You came back too late: the log had moved past your last event ID. The gap event says so, without a ` +
          `number, for nobody counts for who is away. The events\u2019 own numbers do: you missed ${events(counted)} ` +
          `of \u201c${channel}\u201d.`, true);
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
    this.#open = null;
    if (row.verdict) return;
    row.settle();
    const { missing, repeated, told } = row.verdict;
    if (told) return;  // it has been said in words
    this.say(`${row.what}. You had event ${place(row.before)}, the stream went on at ${place(row.resumed)}, and ` +
      `${row.replayed === 1 ? "1 event was" : count(row.replayed) + " events were"} replayed: ` +
      (missing || repeated ? `${missing} missing, ${repeated} repeated!` : "none missing, none twice."));
  }
}
