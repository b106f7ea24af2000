// SPDX-License-Identifier: MIT
// page.js - what the page shows. Only ever textContent: whatever an event holds, it is text here.

import { Chart } from "/chart.js";
import { count, events, Journal, place } from "/journal.js";
import { Ledger } from "/ledger.js";
import { Live } from "/live.js";
import { Story } from "/story.js";
import { Tape } from "/tape.js";

const channels = ["cpu", "mem", "net", "room", "story", "burst", "away", "stats"];
const keptLines = 200;
const longestAct = 60_000;  // ms; then its button works again, whatever has become of it

const byId = id => document.getElementById(id);
const put = (id, text) => { byId(id).textContent = text; };

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1024; ++unit; }
  return n.toFixed(unit && n < 100 ? 1 : 0) + "\u00a0" + units[unit];
}

const percent = n => n + "\u00a0%";
const rate = n => bytes(n) + "/s";

// ---- what the page knows -----------------------------------------------------------------------------------------

const ledger = new Ledger(["room"]);  // what is said there comes as it was sent
const journal = new Journal({ ledger, body: byId("journal"), outcome: byId("outcome"), said: byId("said"),
  region: byId("journal-section") });
const tape = new Tape(byId("tape"));
const story = new Story(byId("story"), byId("story-more"));
const charts = {
  cpu: new Chart(document.querySelector("#cpu .plot"), { unit: percent }),
  mem: new Chart(document.querySelector("#mem .plot"), { unit: percent }),
  net: new Chart(document.querySelector("#net .plot"), { lines: 2, max: 0, unit: rate }),
};
let log = 0;            // events a log of the server holds
let wasLive = false;    // since begin()
let reason = "";        // why the connection will be lost, if we asked for it
let act = null;         // the button that is at work
let lost = false;       // between a lost connection and the next position
let unreached = false;  // the server, by the act whose error is shown

// ---- figures -----------------------------------------------------------------------------------------------------

function showCores(cores) {
  const bars = byId("cores");
  while (bars.childElementCount < cores.length) bars.append(document.createElement("span"));
  while (bars.childElementCount > cores.length) bars.lastElementChild.remove();
  cores.forEach((busy, i) => bars.children[i].style.setProperty("--busy", busy));
}

function swatch(className, text) {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = text;
  return span;
}

// A box appears with the first thing to show in it.
const uncover = id => { byId(id).hidden = false; };

const show = {
  cpu(v, replayed) {
    put("cpu-value", percent(v.total.toFixed(1)));
    put("cpu-more", `${v.cores.length} ${v.cores.length === 1 ? "core" : "cores"}: ` +
      v.cores.slice(0, 8).map(n => percent(Math.round(n))).join(", ") + (v.cores.length > 8 ? ", \u2026" : "") +
      (v.load ? ` \u00b7 load ${v.load[0].toFixed(2)}` : ""));
    showCores(v.cores);
    charts.cpu.push(v.n, [v.total, ...v.cores], replayed);
  },
  mem(v, replayed) {
    put("mem-value", percent(v.used_percent.toFixed(1)));
    put("mem-more", `${bytes(v.available)} of ${bytes(v.total)} available`);
    charts.mem.push(v.n, [v.used_percent], replayed);
  },
  net(v, replayed) {
    const received = v.received + v.lo_received;
    const sent = v.sent + v.lo_sent;
    byId("net-value").replaceChildren(swatch("key-down", "\u2193\u00a0" + rate(received)), " ",
      swatch("key-up", "\u2191\u00a0" + rate(sent)));
    put("net-more", `of it ${rate(v.lo_received)} from this machine to itself`);
    charts.net.push(v.n, [received, sent], replayed);
  },
  stats(v) {
    uncover("stats");
    for (const cell of document.querySelectorAll("[data-stat]")) {
      const value = v[cell.dataset.stat];
      if (Number.isFinite(value)) cell.textContent = cell.dataset.unit === "bytes" ? bytes(value) : count(value);
    }
  },
  story(v, replayed) {
    if (v.client !== live.client) return;
    if (v.word === 1) story.begin(v.of);
    story.word(v.word, v.text, replayed);
    if (!story.running) byId("tell").ariaDisabled = "false";
  },
  burst() {},
  away() {},
};

const drawn = ["cpu", "mem", "net"];

function showLedger() {
  put("received", count(ledger.received));
  put("missing", count(ledger.missing));
  put("repeated", count(ledger.repeated));
  put("told", ledger.unknown === 0 ? count(ledger.told) : ledger.told === 0 ? "some" : count(ledger.told) + "+");
  byId("missing").dataset.good = ledger.missing === 0;
  byId("repeated").dataset.good = ledger.repeated === 0;
  byId("told").dataset.told = ledger.told > 0 || ledger.unknown > 0;
}

function showId(id) {
  const cut = id.indexOf("-") + 1;
  byId("last-id").title = id || "none yet";
  const digits = id ? place(id) : "none yet";
  put("last-epoch", id.slice(0, cut));
  put("last-zeros", id ? id.slice(cut, id.length - digits.length) : "");
  put("last-sequence", digits);
  put("epoch", id.slice(0, Math.max(cut - 1, 0)));
}

// ---- the room ----------------------------------------------------------------------------------------------------

function addLine(text, id) {
  const list = byId("room");
  const follow = list.scrollHeight - list.scrollTop - list.clientHeight < 8;
  list.querySelector(".hint")?.remove();
  const item = document.createElement("li");
  item.textContent = text;
  const mark = swatch("id", place(id));
  mark.title = id;
  item.append(mark);
  list.append(item);
  while (list.childElementCount > keptLines) list.firstElementChild.remove();
  if (follow) list.scrollTop = list.scrollHeight;
}

// ---- the stream --------------------------------------------------------------------------------------------------

function parsed(data) {
  try { return JSON.parse(data) ?? {}; } catch { return {}; }
}

function onGap(data, id, before) {
  const gap = parsed(data);
  if (gap.reason === "trimmed" && gap.channel) {
    if (gap.missed === undefined) journal.cameTooLate(gap.channel, before, id);
    else journal.missed(gap.channel, gap.missed, before, id, log);
    ledger.gap(gap.channel, gap.missed);
    tape.missed(gap.channel, gap.missed);
  } else if (gap.reason === "restart") {
    journal.restarted();
    tape.missed("restart");
  } else {
    journal.say("Events may be missing, and the stream says so.", "The server does not know the last event " +
      "ID that the browser sent. Nobody can tell how many events are missing.", "told");
    tape.missed("unknown");
  }
  finishAct(byId("freeze"));
}

let before = "";  // the last event ID in front of the current event

function onCounted(type, found, id, replayed) {
  journal.event(type, found);
  if (found.told > 0) tape.missedAfterAll(type, found.told);
  tape.event(place(id), type, replayed);
}

function onEvent(type, data, id) {
  switch (type) {
    case "demo.hello": {
      const hello = parsed(data);
      log = hello.log;
      ledger.begin(hello.n);
      journal.beginsAnew();
      story.abandon("The stream began anew, without the rest of the story.");
      finishAct(byId("freeze"));
      byId("tell").ariaDisabled = "false";
      for (const chart of Object.values(charts)) chart.clear();
      break;
    }
    case "demo.replay": journal.replays(parsed(data).replayed); break;
    case "ssewire.gap": onGap(data, id, before); break;
    case "ssewire.position":
      journal.position(id);
      if (lost) story.resumed(id);
      lost = false;
      break;
    case "room":
      onCounted(type, ledger.event(type), id, journal.replaying);
      addLine(data, id);
      break;
    default: {
      const figures = parsed(data);
      const replayed = journal.replaying;
      onCounted(type, ledger.event(type, figures.n), id, replayed);
      if (drawn.includes(type)) {
        uncover("machine");
        uncover(type);
      }
      show[type](figures, replayed);
    }
  }
  before = id;
  showId(id);
  showLedger();
}

const stateWords = {
  connecting: "connecting",
  live: "live",
  reconnecting: "reconnecting",
  away: "away",
  ended: "ended for good",
};

function onLost() {
  lost = true;
  put("act-error", "");
  const why = reason || (story.running ? "Cut in the middle of the story" : "Connection lost");
  reason = "";
  journal.lost(why, live.lastId);
  journal.say(`${why}.`, `You have event ${place(live.lastId)}. The server goes on publishing. The browser ` +
    "comes back with that ID.");
  tape.cut();
  story.cut(live.lastId);
  for (const chart of Object.values(charts)) chart.cut();
}

function onState(state) {
  const pill = byId("state");
  pill.dataset.state = state;
  put("state-word", stateWords[state]);
  byId("ended").hidden = state !== "ended";
  for (const id of ["drop", "freeze", "late", "end"]) byId(id).ariaDisabled = String(state !== "live" || act !== null);
  if (state !== "live") finishAct(byId("freeze"));  // it cannot go on
  if (state === "live") {
    wasLive = true;
    if (unreached) put("act-error", "");
    unreached = false;
    if (act && act !== byId("freeze")) finishAct(act);
    if (journal.rows.length === 0) {
      journal.say("Your stream is live.", "Press a button. What happens to your stream is shown here.");
    }
  } else if (state === "ended") {
    journal.over();
    journal.say("Your stream has ended for good.",
      "The server answered 204, so the browser does not ask again.", "told");
    tape.over();
    story.abandon("The stream was ended; the rest of the story does not come.");
    byId("tell").ariaDisabled = "true";
    finishAct(act);
  } else if (wasLive && (state === "reconnecting" || state === "away") && !lost) {
    onLost();
  }
}

const live = new Live(channels, [...channels, "ssewire.position", "ssewire.gap", "demo.hello", "demo.replay"],
  { state: onState, event: onEvent });

function begin() {
  wasLive = lost = false;
  reason = before = "";
  live.begin();
  tape.clear();
  showId("");
  put("curl", `curl -N '${location.origin}/events?channels=${channels.slice(0, 5).join(",")}'`);
}

// ---- the buttons -------------------------------------------------------------------------------------------------

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "text/plain;charset=utf-8" }, body });
  if (!answer.ok) throw new Error((await answer.text()).trim() || "the server answered " + answer.status);
  return answer;
}

let actTimer = 0;

function finishAct(which) {
  if (!which || act !== which) return;
  clearTimeout(actTimer);
  act = null;
  for (const id of ["drop", "freeze", "late", "end"]) byId(id).ariaDisabled = String(live.state !== "live");
}

// `what` does it; until something has come of it no other of these buttons works.
function onAct(id, what) {
  const button = byId(id);
  button.addEventListener("click", async () => {
    if (button.ariaDisabled === "true") return;
    act = button;
    for (const other of ["drop", "freeze", "late", "end"]) byId(other).ariaDisabled = "true";
    actTimer = setTimeout(() => finishAct(button), longestAct);
    put("act-error", "");
    try {
      await what();
    } catch (error) {
      reason = "";
      unreached = error instanceof TypeError && live.state !== "live";
      put("act-error", "That did not work: " + error.message);
      finishAct(button);
    }
  });
}

onAct("drop", () => {
  reason = "Dropped by the server";
  return post("/drop?client=" + live.client);
});

onAct("freeze", async () => {
  const { events: published } = await (await post("/freeze?client=" + live.client)).json();
  journal.say("The server writes nothing to you now.", `Meanwhile it publishes ${events(published)} on ` +
    `\u201cburst\u201d. Its log holds ${count(log)}.`);
});

onAct("late", async () => {
  reason = "Went away";
  live.leave();
  try {
    const { events: published } = await (await post("/burst")).json();
    journal.say("Away.", `Meanwhile the server publishes ${events(published)} on \u201cburst\u201d. Its ` +
      `log holds ${count(log)}.`);
    while ((await (await fetch("/stats", { cache: "no-store" })).json()).burst_left > 0) {
      await new Promise(wake => setTimeout(wake, 100));
    }
  } finally {
    live.comeBack();
  }
});

onAct("end", () => {
  reason = "Ended by the server";
  return post("/end?client=" + live.client);
});

byId("anew").addEventListener("click", () => {
  begin();
  journal.say("A new stream.", "It begins now. What came before is not its past.");
  byId("drop").focus();
});

byId("tell").addEventListener("click", async () => {
  if (byId("tell").ariaDisabled === "true") return;
  byId("tell").ariaDisabled = "true";
  put("story-error", "");
  try {
    await post("/story?client=" + live.client);  // its first word may be here before the answer
  } catch (error) {
    byId("tell").ariaDisabled = String(live.state === "ended");
    put("story-error", "No story: " + error.message);
  }
});

byId("say").addEventListener("submit", async event => {
  event.preventDefault();
  const input = byId("text");
  const text = input.value;
  put("say-error", "");
  try {
    await post("/room", text);
    if (input.value === text) input.value = "";
  } catch (error) {
    put("say-error", "Not sent: " + error.message);
  }
  input.focus();
});

byId("copy").addEventListener("click", async () => {
  const line = byId("curl");
  try {
    await navigator.clipboard.writeText(line.textContent);
    put("copy", "Copied");
    put("copied", "The command was copied.");
  } catch {
    // Not allowed here, such as on an address without TLS: then at least it is selected.
    getSelection().selectAllChildren(line);
    put("copied", "The command is selected.");
  }
  setTimeout(() => { put("copy", "Copy"); put("copied", ""); }, 2000);
});

// A page in the browser's cache of pages must hold no connection, and goes on where it was when it is taken out.
addEventListener("pagehide", () => live.suspend());
addEventListener("pageshow", event => { if (event.persisted && live.state !== "ended") live.comeBack(); });

// For a look from the console, and for the tests.
globalThis.demo = {
  snapshot: () => ({
    state: live.state, client: live.client, lastId: live.lastId, log,
    received: ledger.received, missing: ledger.missing, repeated: ledger.repeated, told: ledger.told,
    unknown: ledger.unknown,
    rows: journal.rows.map(({ what, before, resumed, replayed, verdict }) => ({ what, before, resumed, replayed, verdict })),
    story: { words: story.words, inOrder: story.inOrder, running: story.running },
    tape: tape.segments.map(({ kind, count, main, small }) => ({ kind, count, main, small })),
    points: Object.fromEntries(Object.entries(charts).map(([name, chart]) => [name, chart.size])),
  }),
};

begin();
