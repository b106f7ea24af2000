// SPDX-License-Identifier: MIT
// peer.mjs - what better-sse offers to keep events. Arguments and output: see ../../peers.py.
// It has no store of its own. Its chat example pushes what the channel's `broadcast` event hands over into an array.
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createChannel } from "better-sse";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const [, directory, rounds, ...missed] = process.argv.slice(2);
const held = 100_000;

function heap() {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

// As text that has just come in: a string of its own, not a slice of the file's.
const anew = (text) => Buffer.from(text, "latin1").toString("latin1");
const digits = (corpus, i) => anew(String(i).padStart(corpus === "a" ? 7 : 10, "0"));

function records(corpus) {
  const stream = readFileSync(`${directory}/${corpus}.txt`, "latin1");
  return stream.split("\n\n").slice(0, -1).map((block) => {
    const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
    return { type: fields.event, data: fields.data };
  });
}

const wireBytes = (id, type, data) =>
  "id: \ndata: \n\n".length + id.length + data.length + (type ? `event: ${type}\n`.length : 0);

function seconds(run, times) {
  const processor = process.cpuUsage();
  const begin = process.hrtime.bigint();
  for (let i = 0; i < times; ++i) run();
  const clock = Number(process.hrtime.bigint() - begin) / 1e9;
  const { user, system } = process.cpuUsage(processor);
  return Math.min(clock, (user + system) / 1e6) / times;
}

let touched = 0;

function history(corpus, all) {
  const name = "better-sse history array";
  let wire = 0;
  const before = heap();
  const channel = createChannel({ state: { history: [] } });
  channel.on("broadcast", (...args) => channel.state.history.push(args));
  for (let i = 0; i < held; ++i) {
    const { type, data } = all[i % all.length];
    const id = digits(corpus, i);
    wire += wireBytes(id, type, data);
    channel.broadcast(anew(data), type, { eventId: id });
  }
  const { history: kept } = channel.state;
  console.log(["memory", corpus, held, wire, heap() - before, name].join(" "));

  for (const behind of missed.map(Number)) {
    const last = digits(corpus, held - 1 - behind);
    const replay = () => {
      let events = 0;
      const from = kept.findLastIndex(([, , id]) => id === last) + 1;
      for (let i = from; i < kept.length; ++i) {
        const [data] = kept[i];
        touched += data.charCodeAt(0) + data.charCodeAt(data.length - 1);
        ++events;
      }
      return events;
    };
    if (replay() !== behind) throw new Error(`${name} replays other events`);
    seconds(replay, 200); // warm
    const times = 1 + Math.floor(0.003 / (seconds(replay, 20) + 1e-7));
    const samples = Array.from({ length: Number(rounds) }, () => seconds(replay, times).toFixed(9));
    console.log(["replay", corpus, behind, ...samples, name].join(" "));
  }
}

for (const corpus of ["a", "b"]) {
  history(corpus, records(corpus));
}
if (touched === 0) throw new Error("nothing was read");
