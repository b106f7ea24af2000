// SPDX-License-Identifier: MIT
// support.mjs - the demo's process, the two browsers, and pages that are watched for errors.
//
// Everything that is waited for has a deadline, at least ten times what it takes; nothing here measures time.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import puppeteer from "puppeteer-core";

export const patience = 60_000;  // ms; nothing takes longer than 5 s, but for a story, which takes 10

function withDeadline(promise, what) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what}: not within ${patience} ms`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asks `question` until its answer is true.
export async function until(question, what) {
  const deadline = Date.now() + patience;
  while (!await question()) {
    assert(Date.now() < deadline, `${what}: not within ${patience} ms`);
    await new Promise(wake => setTimeout(wake, 50));
  }
}

export class Demo {
  static async start({ port = 0, options = [] } = {}) {
    const demo = new Demo();
    const binary = process.env.SSEWIRE_DEMO;
    assert(binary, "SSEWIRE_DEMO must name the demo's program; tests/browser/run.py does it");
    demo.process = spawn(binary, ["--port", String(port), "--interval", "100", ...options],
      { stdio: ["ignore", "pipe", "inherit"] });
    demo.ended = once(demo.process, "exit");
    const [line] = await withDeadline(Promise.race([once(demo.process.stdout, "data"),
      demo.ended.then(() => { throw new Error("the demo ended at once"); })]), "the demo's address");
    demo.address = String(line).trim();
    demo.port = Number(new URL(demo.address).port);
    return demo;
  }

  async stop(signal = "SIGTERM") {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill(signal);
    const [code] = await withDeadline(this.ended, "the demo's end");
    if (signal === "SIGTERM") assert.equal(code, 0, "the demo's exit code");
  }

  async post(path, body = "") {
    const answer = await fetch(this.address + path, { method: "POST", body });
    const text = await answer.text();
    assert.equal(answer.status, 200, `POST ${path}: ${text}`);
    return text;
  }

  async stats() { return (await fetch(this.address + "/stats")).json(); }
}

// Flags that keep a browser from asking outside addresses. The profile is new and empty: puppeteer makes one.
const chromiumFlags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

export function launch(name) {
  if (name === "firefox") {
    return puppeteer.launch({ browser: "firefox", executablePath: process.env.SSEWIRE_FIREFOX, headless: true,
      timeout: patience, protocolTimeout: patience });
  }
  const asRoot = process.getuid() === 0 ? ["--no-sandbox"] : [];
  return puppeteer.launch({ executablePath: process.env.SSEWIRE_CHROMIUM, headless: true, args: [...chromiumFlags, ...asRoot],
    timeout: patience, protocolTimeout: patience });
}

// A connection that the test has dropped, or answered by 500, is no error of the page, but the browsers call it one.
const ownDoing = /Firefox can.t establish a connection|net::ERR_(CONNECTION_RESET|CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|CONNECTION_ABORTED)|status of 500/;

// One browser's pages of one test.
export class Visit {
  requests = [];
  problems = [];
  #demos = [];

  static async begin(browser) {
    const visit = new Visit();
    visit.context = await browser.createBrowserContext();
    return visit;
  }

  async demo(given) {
    const demo = await Demo.start(given);
    this.#demos.push(demo);
    return demo;
  }

  async page(size = { width: 1280, height: 900 }) {
    const page = await this.context.newPage();
    page.setDefaultTimeout(patience);
    await page.setViewport(size);
    page.on("request", request => this.requests.push(request.url()));
    page.on("pageerror", error => this.#problem("exception: " + error.message));
    page.on("console", message => {
      const kind = message.type();
      if (message.location()?.url?.endsWith("/favicon.ico")) return;  // of a page that is no HTML and can name none
      if (kind === "error" || kind === "warn" || kind === "warning") this.#problem(`${kind}: ${message.text()}`);
    });
    // Firefox reports these to nobody else.
    await page.evaluateOnNewDocument(() => {
      globalThis.violations = [];
      addEventListener("securitypolicyviolation", e => violations.push(e.violatedDirective + " " + e.blockedURI));
    });
    return page;
  }

  #problem(text) {
    if (!ownDoing.test(text)) this.problems.push(text);
  }

  // The demo's page, live.
  async open(demo, size) {
    const page = await this.page(size);
    await page.goto(demo.address + "/");
    await when(page, () => globalThis.demo?.snapshot().state === "live");
    return page;
  }

  // A page of the demo's origin without any script of its own.
  async bare(demo) {
    const page = await this.page();
    await page.goto(demo.address + "/page.css");
    return page;
  }

  async end() {
    try {
      const violations = [];
      for (const page of await this.context.pages()) violations.push(...await page.evaluate(() => globalThis.violations ?? []));
      await this.context.close();
      const ours = new Set(this.#demos.map(demo => new URL(demo.address).origin));
      const foreign = this.requests.filter(url => !url.startsWith("data:") && !ours.has(new URL(url).origin));
      assert.deepEqual(violations, [], "violations of the content security policy");
      assert.deepEqual(this.problems, [], "errors in the console");
      assert.deepEqual(foreign, [], "requests to another origin");
      assert(this.requests.length > 0, "the requests were watched");
    } finally {
      for (const demo of this.#demos) await demo.stop();
    }
  }
}

// Not by animation frames: a tab in the background gets none.
export const when = (page, condition, ...given) =>
  page.waitForFunction(condition, { timeout: patience, polling: 50 }, ...given);

export const snapshot = page => page.evaluate(() => demo.snapshot());
export const textOf = (page, selector) => page.$eval(selector, element => element.textContent);
