// SPDX-License-Identifier: MIT
// peer.mjs - eventsource-parser on the bench's corpora. Arguments and output: see ../../peers.py.
// Two rows: bytes as they come from a socket, decoded to text first; and text that somebody else has decoded.
import { readFileSync } from "node:fs";
import { createParser } from "eventsource-parser";

const [, directory, rounds, ...chunks] = process.argv.slice(2);

function cut(bytes, chunk) {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += chunk) pieces.push(bytes.subarray(at, at + chunk));
  return pieces;
}

function fromBytes(pieces, onEvent) {
  const decoder = new TextDecoder();
  const parser = createParser({ onEvent });
  for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
}

function fromText(pieces, onEvent) {
  const parser = createParser({ onEvent });
  for (const piece of pieces) parser.feed(piece);
}

const rows = [
  ["eventsource-parser", fromBytes, (pieces) => pieces],
  ["eventsource-parser, text given", fromText, (pieces) => pieces.map((piece) => piece.toString("latin1"))],
];

function digest(parse, pieces) {
  let events = 0;
  let hash = 2166136261;
  const add = (text) => {
    for (let i = 0; i < text.length; ++i) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  };
  parse(pieces, (event) => {
    ++events;
    add(`${event.id ?? ""}\n${event.event || "message"}\n${event.data}\n\n`);
  });
  return `${events} ${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

let events = 0;
let touched = 0;
function touch({ data }) {
  ++events;
  if (data.length > 0) touched += data.charCodeAt(0) + data.charCodeAt(data.length - 1);
}

function seconds(parse, pieces, times) {
  const processor = process.cpuUsage();
  const begin = process.hrtime.bigint();
  for (let i = 0; i < times; ++i) parse(pieces, touch);
  const clock = Number(process.hrtime.bigint() - begin) / 1e9;
  const { user, system } = process.cpuUsage(processor);
  return Math.min(clock, (user + system) / 1e6) / times;
}

for (const corpus of ["a", "b", "c"]) {
  const bytes = readFileSync(`${directory}/${corpus}.txt`); // ASCII: a character is a byte
  for (const chunk of chunks) {
    for (const [name, parse, prepare] of rows) {
      const pieces = prepare(cut(bytes, Number(chunk)));
      const told = digest(parse, pieces);
      const times = 1 + Math.floor(0.05 / Math.min(seconds(parse, pieces, 1), seconds(parse, pieces, 2)));
      seconds(parse, pieces, times); // warm
      const samples = Array.from({ length: Number(rounds) }, () => seconds(parse, pieces, times).toFixed(9));
      console.log(["row", corpus, chunk, told, samples.join(" "), name].join(" "));
    }
  }
}
if (events === 0 || touched === 0) throw new Error("nothing was read");
