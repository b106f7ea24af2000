// SPDX-License-Identifier: MIT
// suite.mjs - what the page and a plain EventSource must do in every browser.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, describe, test } from "node:test";

import { launch, patience, snapshot, textOf, until, Visit, when } from "./support.mjs";

const idForm = /^[0-9a-v]{12}-[0-9]{16}$/;
const quiet = ["--interval", "60000"];  // the server publishes nothing by itself

const epochOf = id => id.split("-")[0];
const place = id => Number(id.split("-")[1]);

// Collects, in a bare page, what a plain EventSource gets; `types` are all that anybody listens to.
const listen = (page, query, types) => page.evaluate((query, types) => {
  globalThis.seen = [];
  globalThis.source = new EventSource("/events?" + query);
  for (const type of types) {
    source.addEventListener(type, e => seen.push({ type, data: e.data, id: e.lastEventId }));
  }
}, query, types);

const seenOf = page => page.evaluate(() => seen);

// Reads a stream without a browser and without being cut; ends when `enough` says so.
async function read(address, target, enough) {
  const answer = await fetch(address + target);
  const decoder = new TextDecoder();
  const data = [];
  let rest = "";
  for await (const piece of answer.body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: {\"")) data.push(JSON.parse(line.slice(6)));  // {} is the library's own
    }
    if (enough(data)) return data;
  }
  throw new Error("the stream ended early");
}

export function suite(name) {
  describe(name, { timeout: 9 * patience }, () => {
    let browser;
    before(async () => { browser = await launch(name); });
    after(() => browser?.close());

    // Each test: its own server, its own cookies and cache, and nothing wrong in the console.
    const check = (title, body) => test(title, { timeout: 3 * patience }, async () => {
      const visit = await Visit.begin(browser);
      let failed = true;
      try {
        await body(visit);
        failed = false;
      } finally {
        await visit.end().catch(error => { if (!failed) throw error; });
      }
    });

    check("live events are drawn", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      await when(page, () => Object.values(demo.snapshot().points).every(points => points >= 5));
      await when(page, () => document.querySelector("[data-stat=published]").textContent !== "\u2013");
      const shown = await page.evaluate(() => ({
        lines: [...document.querySelectorAll(".chart [class^=line]")].map(path => path.getAttribute("d")),
        cores: document.querySelectorAll("#cpu .thin").length,
        bars: document.querySelectorAll("#cores span").length,
        scales: [...document.querySelectorAll(".scale")].map(scale => scale.textContent),
        id: document.querySelector("#last-id").textContent,
        epoch: document.querySelector("#epoch").textContent,
        curl: document.querySelector("#curl").textContent,
        subscribers: document.querySelector("[data-stat=subscribers]").textContent,
      }));
      assert.equal(shown.lines.length, 4);
      for (const line of shown.lines) assert.match(line, /^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+){4,}$/);
      assert(shown.cores >= 1);
      assert.equal(shown.cores, shown.bars);
      for (const scale of shown.scales) assert.match(scale, /^\d.*(%|B\/s)$/);
      assert.match(shown.id, idForm);
      assert.equal(shown.epoch, epochOf(shown.id));
      assert.equal(shown.subscribers, "1");
      assert.equal(shown.curl, `curl -N '${server.address}/events?channels=cpu,mem,net,room,story'`);
    });

    check("what is said in one tab is seen in all, once and as text", async visit => {
      const server = await visit.demo();
      const one = await visit.open(server);
      const other = await visit.open(server);
      const texts = ["hello", "<b>&amp;</b>", "\u{1F600} caf\u00e9"];
      await one.bringToFront();
      for (const [i, text] of texts.entries()) {
        await one.type("#text", text);
        await one.keyboard.press("Enter");
        await when(one, n => document.querySelectorAll("#room li .id").length === n, i + 1);
        await when(one, () => document.querySelector("#text").value === "");
      }
      for (const page of [one, other]) {
        await when(page, n => document.querySelectorAll("#room li .id").length === n, texts.length);
        assert.deepEqual(await page.$$eval("#room li", lines => lines.map(line => line.firstChild.data)), texts);
      }
    });

    check("a dropped connection loses nothing and repeats nothing", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      for (let drops = 1; drops <= 3; ++drops) {
        await when(page, points => demo.snapshot().points.cpu >= points, drops * 3);
        await page.click("#drop");
        await when(page, n => demo.snapshot().rows.length === n && demo.snapshot().rows.at(-1).verdict, drops);
        const row = (await snapshot(page)).rows.at(-1);
        assert.equal(row.what, "Dropped by the server");
        assert.match(row.before, idForm);
        assert.equal(row.resumed, row.before, "the page is on all channels: the stream goes on exactly there");
        assert(row.replayed >= 1, "something was published meanwhile");
        assert.deepEqual(row.verdict, { missing: 0, repeated: 0, told: 0 });
        assert.match(await textOf(page, "#outcome"), /^\d+ events? replayed: none lost, none twice\.$/);
        await when(page, () => document.querySelector("#drop").ariaDisabled === "false");
      }
      const { missing, repeated, told, points } = await snapshot(page);
      assert.deepEqual({ missing, repeated, told }, { missing: 0, repeated: 0, told: 0 });
      assert(points.cpu > 9);
    });

    check("every drop has something to replay, though nothing else is published", async visit => {
      const server = await visit.demo({ options: quiet });
      const page = await visit.open(server);
      for (let drops = 1; drops <= 20; ++drops) {
        await page.click("#drop");
        await when(page, n => demo.snapshot().rows[n - 1]?.verdict, drops);
        const { rows, tape } = await snapshot(page);
        assert.equal(rows.at(-1).replayed, 3, `after drop ${drops}`);
        assert.deepEqual(rows.at(-1).verdict, { missing: 0, repeated: 0, told: 0 });
        assert.deepEqual(tape.map(({ kind }) => kind), ["before", "replayed"]);
        assert.equal(tape[1].count, 3);
        assert.equal(await textOf(page, "#outcome"), "3 events replayed: none lost, none twice.");
        const replayed = () => page.$$eval("#tape .replayed b", all => all.map(e => e.textContent.trim()));
        const ids = ["3", ...[2, 1, 0].map(back => String(drops * 3 - back))];  // their number, and they
        await until(async () => String(await replayed()) === String(ids), "the replayed IDs");
        await when(page, () => document.querySelector("#drop").ariaDisabled === "false");
      }
      assert.equal((await snapshot(page)).received, 60);
    });

    // What of these is seen only in part, or not at all, without scrolling. The row of IDs cuts off what does
    // not fit.
    const outside = (page, ...selectors) => page.evaluate(selectors => {
      const out = scrollX || scrollY ? ["the page was scrolled"] : [];
      for (const selector of selectors) {
        const found = [...document.querySelectorAll(selector)].filter(e => e.checkVisibility());
        if (found.length === 0) out.push(`${selector} is not there`);
        for (const e of found) {
          const { left, top, right, bottom } = e.getBoundingClientRect();
          const row = e.closest("#tape")?.getBoundingClientRect() ?? { left: 0, right: innerWidth };
          if (left < row.left - 1 || top < 0 || right > row.right + 1 || bottom > innerHeight) {
            const place = [left, top, right, bottom].map(Math.round);
            out.push(`${selector}: ${place} in ${innerWidth} x ${innerHeight}`);
          }
        }
      }
      return out;
    }, selectors);

    for (const [device, width, height] of [["desk", 1280, 800], ["phone", 390, 844]]) {
      const result = ["#outcome", "#said", "#tape", "#tape .segment", "#tape .chip:not(.newest *)"];
      check(`the first screen of a ${device} has headline, buttons, and what they do`, async visit => {
        const server = await visit.demo();
        const page = await visit.open(server, { width, height });
        assert.equal(await textOf(page, "h1"),
          "Server-Sent Events for C++ servers. Nothing lost, or the stream says what.");
        await when(page, () => demo.snapshot().points.cpu >= 5);
        assert.deepEqual(await outside(page, "h1", ".act button", "#outcome", "#said", "#tape", "#ledger"),
          []);
        await page.click("#drop");
        await when(page, () => demo.snapshot().state === "reconnecting");
        await when(page, () => document.querySelector("#tape .away"));
        assert.deepEqual(await outside(page, "#drop", ...result, "#ledger"), []);
        const acts = [["#drop", "replayed"], ["#freeze", "missed"], ["#late", "missed"]];
        for (const [n, [button, kind]] of acts.entries()) {
          if (n > 0) {
            await when(page, id => document.querySelector(id).ariaDisabled === "false", button);
            await page.click(button);
          }
          await when(page, n => demo.snapshot().rows[n]?.verdict, n);
          await when(page, kind => document.querySelector("#tape ." + kind), kind);
          await when(page, () => document.querySelector("#tape .live"));
          assert.deepEqual(await outside(page, button, ...result, ...n === 0 ? ["#ledger"] : []), []);
        }
      });

      check(`nothing empty has a frame at the start, on a ${device}`, async visit => {
        const server = await visit.demo({ options: quiet });
        const page = await visit.open(server, { width, height });
        assert.equal((await snapshot(page)).received, 0);
        const seen = await page.evaluate(() => {
          const visible = what => [...document.querySelectorAll(what)].filter(e => e.checkVisibility());
          const framed = visible("main *:not(button, input)").filter(e =>
            parseFloat(getComputedStyle(e).borderBottomWidth) > 0);
          const contents = document.createRange();
          const empty = framed.filter(e => {
            contents.selectNodeContents(e);
            const { paddingTop, paddingBottom } = getComputedStyle(e);
            const inner = e.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
            return !/\w/.test(e.textContent) || contents.getBoundingClientRect().height < inner / 2;
          });
          const bare = visible("main dd").filter(e => !/\w/.test(e.textContent));
          return { framed: framed.length, empty: [...empty, ...bare].map(e => e.outerHTML) };
        });
        assert(seen.framed >= 1);
        assert.deepEqual(seen.empty, []);
        // They come with the first thing to show.
        await server.post("/room", "hello");
        await when(page, () => getComputedStyle(document.querySelector("#room")).borderBottomWidth !== "0px");
      });
    }

    check("a plain EventSource is dropped: the IDs go on, none missing, none repeated", async visit => {
      const server = await visit.demo();
      const page = await visit.bare(server);
      await listen(page, "channels=cpu,mem,net&client=plain", ["cpu", "mem", "net", "demo.hello", "demo.replay"]);
      for (let drops = 1; drops <= 3; ++drops) {
        await when(page, n => seen.filter(e => e.type === "cpu").length >= n, drops * 10);
        await server.post("/drop?client=plain");
        await when(page, n => seen.filter(e => e.type === "demo.replay").length === n, drops);
      }
      await when(page, () => seen.at(-1).type !== "demo.replay");
      const seen = await seenOf(page);
      const hello = JSON.parse(seen[0].data);
      assert.equal(seen[0].type, "demo.hello");
      assert.equal(hello.log, 1000);
      for (const channel of ["cpu", "mem", "net"]) {
        const numbers = seen.filter(e => e.type === channel).map(e => JSON.parse(e.data).n);
        const first = (hello.n[channel] ?? 0) + 1;
        assert.deepEqual(numbers, numbers.map((_, i) => first + i), channel);
      }
      const ids = seen.filter(e => e.type.length === 3).map(e => e.id);
      for (const id of ids) assert.match(id, idForm);
      for (let i = 1; i < ids.length; ++i) assert(ids[i - 1] < ids[i], `${ids[i - 1]} before ${ids[i]}`);
    });

    check("a stream dropped before its first event can be resumed", async visit => {
      const server = await visit.demo();
      const page = await visit.bare(server);
      // Nobody listens to the position event: it must work all the same.
      await listen(page, "channels=room&client=early", ["room", "demo.hello", "demo.replay"]);
      await when(page, () => seen.length === 1);
      await server.post("/drop?client=early");
      const id = (await server.post("/room", "while you were away")).trim();
      await when(page, () => seen.length === 3);
      const [hello, replay, event] = await seenOf(page);
      assert.equal(hello.type, "demo.hello");
      assert.deepEqual(replay.type + replay.data, 'demo.replay{"replayed":1}');
      assert.deepEqual(event, { type: "room", data: "while you were away", id });
    });

    check("a story is complete and in order although it is cut", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      const uncut = read(server.address, "/events?channels=story", words => words.length > 0 && words.at(-1).word === words[0].of);
      uncut.catch(() => {});
      await until(async () => (await server.stats()).subscribers === 2, "the reader that is not cut");
      // Until it is pressed: the wait below would not say that a click had missed the button.
      await until(async () => {
        await page.click("#tell");
        return await page.$eval("#tell", button => button.ariaDisabled) === "true";
      }, "the button to be pressed");
      await when(page, () => demo.snapshot().story.words.length > 0 && !demo.snapshot().story.running).catch(async error => {
        const { story, state, rows } = await snapshot(page);
        throw new Error(`${error.message}; ${JSON.stringify({ state, rows, running: story.running, words: story.words.length })}`);
      });
      const { story, rows, client } = await snapshot(page);
      const expected = (await uncut).filter(word => word.client === client).map(word => word.text);
      assert(expected.length > 100);
      assert.deepEqual(story.words, expected);
      assert(story.inOrder);
      assert.equal((await textOf(page, "#story")).trim(), expected.join(" "));
      assert.match(await textOf(page, "#story-more"), /complete, in order, none twice/);
      assert.equal(rows.length, 1);
      assert.equal(rows[0].what, "Cut in the middle of the story");
      assert(rows[0].replayed >= 1);
      assert.deepEqual(rows[0].verdict, { missing: 0, repeated: 0, told: 0 });
      const marks = await page.$$eval("#story .cut", all => all.map(mark =>
        ({ title: mark.title, label: mark.getAttribute("aria-label"), next: mark.nextSibling.className })));
      const title = `Cut after ${rows[0].before}, resumed at ${rows[0].resumed}`;
      assert.deepEqual(marks, [{ title, label: title, next: "replayed" }]);
    });

    check("a reader that the log has passed is told the exact number", async visit => {
      const server = await visit.demo({ options: ["--log", "100"] });
      const page = await visit.open(server);
      const plain = await visit.bare(server);
      await listen(plain, "channels=burst&client=slow", ["burst", "ssewire.gap", "demo.hello"]);
      await when(plain, () => seen.length === 1);
      await page.bringToFront();
      await page.click("#freeze");
      await when(page, () => demo.snapshot().rows.at(-1)?.verdict);
      const { rows, told, missing, repeated } = await snapshot(page);
      assert.deepEqual({ told, missing, repeated }, { told: 250, missing: 0, repeated: 0 });
      assert.match(rows[0].what, /^Not reading: 250 events of .burst. missed$/);
      assert.equal(await textOf(page, "#outcome"), "250 events missed, and the stream says so.");
      assert.match(await textOf(page, "#said"), /says that you missed 250, and the events.*numbers agree/);
      assert.equal(await textOf(page, "#told"), "250");
      await when(plain, () => seen.filter(e => e.type === "burst").length === 350);
      assert.deepEqual((await seenOf(plain)).filter(e => e.type === "ssewire.gap"), [], "who reads misses nothing");

      // The same for the plain one, with the number against the events' own.
      await server.post("/freeze?client=slow");
      await when(plain, () => seen.length >= 1 + 350 + 1 + 100);
      const seen = await seenOf(plain);
      const gaps = seen.filter(e => e.type === "ssewire.gap");
      assert.deepEqual(gaps.map(gap => JSON.parse(gap.data)), [{ reason: "trimmed", channel: "burst", missed: 250 }]);
      const at = seen.indexOf(gaps[0]);
      const numberAt = i => JSON.parse(seen[i].data).n;
      assert.equal(numberAt(at + 1) - numberAt(at - 1) - 1, 250);
      assert(place(gaps[0].id) < place(seen[at + 1].id));
    });

    check("who comes back too late is told so", async visit => {
      const server = await visit.demo({ options: ["--log", "100"] });
      const page = await visit.open(server);
      await when(page, () => demo.snapshot().points.cpu >= 3);
      await page.click("#late");
      await when(page, () => demo.snapshot().rows.at(-1)?.verdict);
      const { rows, told, missing, repeated, state } = await snapshot(page);
      assert.equal(state, "live");
      assert.deepEqual({ told, missing, repeated }, { told: 250, missing: 0, repeated: 0 });
      assert.equal(rows[0].what, "Went away");
      assert.deepEqual(rows[0].verdict, { missing: 0, repeated: 0, told: 250 });
      assert(rows[0].replayed >= 100);
      assert.equal(await textOf(page, "#outcome"), "250 events missed, and the stream says so.");
      assert.match(await textOf(page, "#said"), /of .burst. are missing, but not how many.*say 250/);
      const resumed = visit.requests.filter(url => url.includes("lastEventId="));
      assert.equal(new URL(resumed[0]).searchParams.get("lastEventId"), rows[0].before);
    });

    check("where nothing tells how many are missing, the page says that some are", async visit => {
      const server = await visit.demo({ options: ["--log", "100"] });
      const page = await visit.open(server);
      await server.post("/room", "before");
      await when(page, () => document.querySelector("#room li .id"));
      // The page stays away until the room, too, has moved on by more than the log holds.
      await page.evaluate(() => {
        const ask = globalThis.fetch;
        globalThis.awayFor = true;
        globalThis.fetch = (what, how) => what === "/stats" && awayFor
          ? Promise.resolve(Response.json({ burst_left: 1 })) : ask(what, how);
      });
      await page.click("#late");
      await when(page, () => demo.snapshot().state === "away");
      for (let said = 1; said <= 120; ++said) await server.post("/room", `line ${said}`);
      await until(async () => (await server.stats()).burst_left === 0, "the end of the burst");
      await page.evaluate(() => { awayFor = false; });
      await when(page, () => demo.snapshot().rows.at(-1)?.verdict);
      const { rows, missing, repeated, unknown } = await snapshot(page);
      assert.deepEqual({ missing, repeated, unknown }, { missing: 0, repeated: 0, unknown: 1 });
      assert.equal(rows.length, 1);
      assert.deepEqual(rows[0].verdict.uncounted, ["room"]);
      assert(rows[0].verdict.told >= 250);
      assert.match(await textOf(page, "#journal .missing"), /^\d+ and some, reported$/);
      assert.match(await textOf(page, "#said"), /events of .room. are missing; how many is not known/);
      assert.match(await textOf(page, "#told"), /^\d+\+$/);
      assert.equal(await page.$$eval("#room li .id", lines => lines.length), 101);
      // Later rows have their own sums.
      await when(page, () => document.querySelector("#drop").ariaDisabled === "false");
      await page.click("#drop");
      await when(page, () => demo.snapshot().rows[1]?.verdict);
      assert.deepEqual((await snapshot(page)).rows[1].verdict, { missing: 0, repeated: 0, told: 0 });
    });

    check("the server is killed while it does not write: the buttons work again", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      await page.click("#tell");
      await when(page, () => demo.snapshot().story.running);
      await page.click("#freeze");
      await when(page, () => /writes nothing to you/.test(document.querySelector("#outcome").textContent));
      await server.stop("SIGKILL");
      await when(page, () => demo.snapshot().state === "reconnecting");
      const { lastId } = await snapshot(page);
      await visit.demo({ port: server.port });
      await when(page, old => demo.snapshot().state === "live" && !demo.snapshot().lastId.startsWith(old), epochOf(lastId));
      assert.deepEqual(await page.$$eval(".act button", all => all.map(button => button.ariaDisabled)), Array(4).fill("false"));
      assert.match(await textOf(page, "#story-more"), /began anew, without the rest of the story/);
      for (const mark of await page.$$eval("#story .cut", all => all.map(cut => cut.title))) {
        assert.doesNotMatch(mark, /resumed/, "the story was not");
      }
    });

    check("the server is killed and started again: the page recovers and says so", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      await when(page, () => demo.snapshot().points.cpu >= 3);
      await server.stop("SIGKILL");
      await when(page, () => document.querySelector("#state").textContent === "reconnecting");
      const { lastId } = await snapshot(page);
      await visit.demo({ port: server.port });
      await when(page, old => demo.snapshot().state === "live" && !demo.snapshot().lastId.startsWith(old), epochOf(lastId));
      await when(page, () => demo.snapshot().points.cpu >= 3);
      assert.match(await textOf(page, "#outcome"), /The server was restarted, and the stream says so/);
      const now = await snapshot(page);
      assert.equal(now.rows.length, 1);
      assert.equal(now.rows[0].before, lastId);
      assert.equal(epochOf(now.rows[0].resumed), epochOf(now.lastId));
      assert.deepEqual({ missing: now.missing, repeated: now.repeated }, { missing: 0, repeated: 0 });
      assert.equal(await textOf(page, "#epoch"), epochOf(now.lastId));
      assert.equal(await textOf(page, "#journal .missing"), "unknown, reported");
    });

    check("where the browser gives up the page does not", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      await when(page, () => demo.snapshot().points.cpu >= 3);
      await server.stop("SIGKILL");
      // After this answer an EventSource is closed for good.
      const asked = [];
      const wrong = http.createServer((request, response) => {
        asked.push(request.url);
        response.writeHead(500, { Connection: "close" }).end();
      });
      wrong.listen(server.port, "127.0.0.1");
      await once(wrong, "listening");
      await until(() => asked.filter(url => url.startsWith("/events")).length >= 2, "a second EventSource");
      const { lastId } = await snapshot(page);
      wrong.close();
      wrong.closeAllConnections();
      await once(wrong, "close");
      assert(asked.some(url => url.startsWith("/client?client=")));
      assert.equal(new URL(asked.filter(url => url.startsWith("/events")).at(-1), server.address).searchParams
        .get("lastEventId"), lastId);
      await visit.demo({ port: server.port });
      await when(page, () => demo.snapshot().state === "live" && demo.snapshot().points.cpu >= 3);
      assert.match(await textOf(page, "#outcome"), /The server was restarted/);
    });

    check("an error goes when the page is live again, unless the server has said it", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      const { client } = await snapshot(page);
      await page.evaluate(() => {
        const ask = globalThis.fetch;
        globalThis.answer = () => Promise.reject(new TypeError("not reached"));
        globalThis.fetch = (what, how) => what.startsWith("/drop") || what === "/burst" ? answer() : ask(what, how);
      });
      await page.click("#drop");
      await when(page, () => /not reached/.test(document.querySelector("#act-error").textContent));
      await server.post("/drop?client=" + client);
      await when(page, () => demo.snapshot().rows[0]?.verdict);
      assert.equal(await textOf(page, "#act-error"), "");
      await page.click("#late");
      await when(page, () => demo.snapshot().rows[1]?.verdict);
      assert.equal(await textOf(page, "#act-error"), "");
      await page.evaluate(() => { globalThis.answer = () => Promise.resolve(new Response("not now", { status: 503 })); });
      await page.click("#late");
      await when(page, () => demo.snapshot().rows[2]?.verdict);
      assert.match(await textOf(page, "#act-error"), /not now/);
    });

    check("a stream that is ended for good stays ended", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      const first = (await snapshot(page)).client;
      await page.click("#tell");
      await when(page, () => demo.snapshot().story.running);
      await page.click("#end");
      await when(page, () => demo.snapshot().state === "ended");
      const asked = visit.requests.length;
      assert.equal(await textOf(page, "#state"), "ended for good");
      assert.match(await textOf(page, "#outcome"), /ended for good/);
      assert.match(await textOf(page, "#said"), /204/);
      assert.match(await textOf(page, "#story-more"), /The stream was ended/);
      assert.equal(await page.$eval("#tell", button => button.ariaDisabled), "true");
      // Another page has come back from two drops, each after its 0.8 s, before this one may have asked again.
      const other = await visit.bare(server);
      const own = visit.requests.length - asked;
      await listen(other, "channels=room&client=other", ["demo.hello", "demo.replay"]);
      for (let events = 1; events <= 3; ++events) {
        await when(other, n => seen.length === n, events);
        await server.post("/drop?client=other");
      }
      assert.equal((await server.stats()).refused_as_ended, 1);
      assert.deepEqual(visit.requests.slice(asked + own).filter(url => url.includes(first)), []);
      assert.equal((await snapshot(page)).state, "ended");

      await page.bringToFront();
      await page.click("#anew");
      await when(page, () => demo.snapshot().state === "live" && demo.snapshot().points.cpu >= 2);
      assert.notEqual((await snapshot(page)).client, first);
      assert.equal(await page.$eval("#tell", button => button.ariaDisabled), "false");
      assert(await page.$eval("#ended", note => note.hidden));
    });

    check("the keyboard reaches everything", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      const all = ["skip", "drop", "freeze", "late", "end", "tell", "room", "text", "Send", "copy"];
      const reached = [];
      // Not one step further: that would be the browser's own buttons.
      while (reached.length < all.length) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate(() => {
          const e = document.activeElement;
          return e.id || e.className || e.textContent.trim();
        }));
      }
      assert.deepEqual(reached, all);
      const shown = await page.$$eval("a, button, input, [tabindex='0']", found => found.filter(e =>
        e.checkVisibility()).length);
      assert.equal(shown, all.length, "there is nothing else to reach");

      await page.focus("#drop");
      await page.keyboard.press("Enter");
      await when(page, () => demo.snapshot().rows[0]?.verdict);
      assert.equal(await page.evaluate(() => document.activeElement.id), "drop", "the focus stays where it was");
      await when(page, () => document.querySelector("#end").ariaDisabled === "false");
      await page.focus("#end");
      await page.keyboard.press(" ");
      await when(page, () => demo.snapshot().state === "ended");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await when(page, () => demo.snapshot().state === "live");
      assert.equal(await page.evaluate(() => document.activeElement.id), "drop");

      // Copied where the browser allows it, selected elsewhere.
      await page.focus("#copy");
      await page.keyboard.press("Enter");
      await when(page, () => document.querySelector("#copied").textContent !== "");
      const copied = await textOf(page, "#copied");
      if (copied !== "The command was copied.") {
        assert.equal(copied, "The command is selected.");
        assert.equal(await page.evaluate(() => String(getSelection())), await textOf(page, "#curl"));
      }

      // Every control and picture has a name.
      assert.deepEqual(await page.$$eval("button, input, [role=img], table, [role=region]", all => all.filter(e =>
        !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim() || e.labels?.length))
        .map(e => e.outerHTML)), []);
    });

    // docs/images are made by: SSEWIRE_SCREENSHOTS=docs/images tests/browser/run.py ...
    // Each shows the first screen after a drop, with a gap before it.
    const pictures = process.env.SSEWIRE_SCREENSHOTS;
    if (pictures && name === "chromium") {
      const wide = { width: 1280, height: 800 };
      const phone = { width: 390, height: 844, deviceScaleFactor: 2 };
      const looks = [["wide-light", "light", wide], ["wide-dark", "dark", wide], ["phone", "light", phone]];
      for (const [look, scheme, size] of looks) check(`screenshots: ${look}`, async visit => {
        const server = await visit.demo({ options: ["--interval", "250"] });
        const page = await visit.open(server, size);
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        await when(page, () => demo.snapshot().points.cpu >= 40);
        await page.click("#freeze");
        await when(page, () => demo.snapshot().rows[0]?.verdict && demo.snapshot().points.cpu >= 60);
        await page.click("#drop");
        await when(page, () => demo.snapshot().rows[1]?.verdict);
        await when(page, () => demo.snapshot().tape.some(part => part.kind === "live" && part.count >= 12));
        await page.mouse.move(0, 0);
        await page.evaluate(() => document.activeElement.blur());
        await page.evaluate(() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn))));
        await page.screenshot({ path: `${pictures}/demo-${look}.png` });
      });
    }

    check("no size needs sideways scrolling", async visit => {
      const server = await visit.demo();
      const page = await visit.open(server);
      await page.click("#drop");
      await when(page, () => demo.snapshot().rows[0]?.verdict);
      await page.click("#freeze");
      await when(page, () => demo.snapshot().rows[1]?.verdict);
      for (const width of [360, 710, 768, 820, 900, 1280, 1920]) {
        await page.setViewport({ width, height: 800 });
        await when(page, w => innerWidth === w, width);
        for (const selector of ["html", "#journal-region"]) {
          const [needed, there] = await page.$eval(selector, e => [e.scrollWidth, e.clientWidth]);
          assert(needed <= there, `${selector} at ${width} px: ${needed} > ${there}`);
        }
      }
    });
  });
}
