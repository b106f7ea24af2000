// SPDX-License-Identifier: MIT
// clients.mjs - real clients of JavaScript against refusals_server: a line of JSON for each that says what it
// saw. refusals_test.py copies it to where its packages are.
// Usage: clients.mjs ADDRESS CLIENT..., of node, chromium, firefox.
import { readFileSync } from "node:fs";
import { EventSource as NodeEventSource } from "eventsource";
import { launch } from "./support.mjs";

const [address, ...clients] = process.argv.slice(2);
const kinds = ["later", "later-503", "never-401"];
const say = seen => console.log(JSON.stringify(seen));

// Until it is admitted or has stopped for good. Runs in pages, too.
const eventSource = (Source, client, kind, url) => new Promise(done => {
  const source = new Source(url);
  const seen = { client, kind, errors: 0 };
  source.onmessage = () => { source.close(); done({ ...seen, end: "admitted" }); };
  source.onerror = error => {
    ++seen.errors;
    if (error.code) seen.status = error.code;
    if (source.readyState === 2) done({ ...seen, end: "stopped" });
  };
});

// As its README says: what cannot be mended is thrown out of onerror, and the end of a stream is an error.
const withHandlers = (fetchEventSource, client, kind, url) => {
  class Fatal extends Error {}
  const seen = { client, kind, errors: 0 };
  const stop = new AbortController();
  return fetchEventSource(url, {
    signal: stop.signal,
    openWhenHidden: true,
    async onopen(response) {
      if (response.ok && response.headers.get("content-type") === "text/event-stream") return;
      seen.status = response.status;
      if (response.status >= 400 && response.status < 500 && response.status !== 429) throw new Fatal();
      throw new Error();
    },
    onmessage() { seen.end = "admitted"; stop.abort(); },
    onclose() { throw new Error(); },
    onerror(error) { ++seen.errors; if (error instanceof Fatal) throw error; },
  }).then(() => seen, () => ({ ...seen, end: "stopped" }));
};

// With its defaults. It asks again whatever the status was: at the fifth error the program gives up.
const withDefaults = (fetchEventSource, client, kind, url) => {
  const seen = { client, kind, errors: 0, end: "stopped" };
  const stop = new AbortController();
  return fetchEventSource(url, {
    signal: stop.signal,
    openWhenHidden: true,
    onmessage() { seen.end = "admitted"; stop.abort(); },
    onerror(error) { if (++seen.errors === 5) throw error; },
  }).then(() => seen, () => ({ ...seen, end: "asks for ever" }));
};

function fetchEventSourceScript() {
  const folder = "node_modules/@microsoft/fetch-event-source/lib/cjs";
  const part = name => readFileSync(`${folder}/${name}.js`, "utf8") + "\n";
  return `(() => { const parse = {}, all = {};
    (exports => { ${part("parse")} })(parse);
    ((exports, require) => { ${part("fetch")} })(all, () => parse);
    globalThis.fetchEventSource = all.fetchEventSource; })()`;
}

async function inBrowser(name) {
  const browser = await launch(name);
  try {
    const page = await browser.newPage();
    await page.goto(address + "/");
    await page.evaluate(fetchEventSourceScript());
    await page.evaluate(`globalThis.ways = {
      eventSource: (...its) => (${eventSource})(EventSource, ...its),
      withHandlers: (...its) => (${withHandlers})(fetchEventSource, ...its),
      withDefaults: (...its) => (${withDefaults})(fetchEventSource, ...its) }`);
    const version = await browser.version();
    const ask = async (way, client, kind) => {
      const its = [client, kind, `/${client}/${kind}`];
      say({ version, ...await page.evaluate((how, ...given) => ways[how](...given), way, ...its) });
    };
    const ways = [["eventSource", name]];
    if (name === "chromium") {
      ways.push(["withHandlers", "fetch-event-source"], ["withDefaults", "fetch-event-source-defaults"]);
    }
    await Promise.all(kinds.flatMap(kind => ways.map(([way, client]) => ask(way, client, kind))));
  } finally {
    await browser.close();
  }
}

async function inNode() {
  const client = "node-eventsource", version = process.version;
  await Promise.all(kinds.map(async kind =>
    say({ version, ...await eventSource(NodeEventSource, client, kind, `${address}/${client}/${kind}`) })));
}

await Promise.all(clients.map(client => client === "node" ? inNode() : inBrowser(client)));
