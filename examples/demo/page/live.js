// SPDX-License-Identifier: MIT
// live.js - one EventSource that recovers also where the browser gives up, and that knows when it is over.

const shortestPause = 500;
const longestPause = 8000;

// States: connecting, live, reconnecting, away (closed by us), ended (by the server, for good).
export class Live {
  #source = null;
  #retry = 0;   // timer
  #pause = shortestPause;
  #types;
  #channels;
  #on;

  state = "";
  client = "";
  lastId = "";

  // `on.state(state)` and `on.event(type, data, id)`.
  constructor(channels, types, on) {
    this.#channels = channels;
    this.#types = types;
    this.#on = on;
  }

  begin() {
    // Not randomUUID(): that exists on trustworthy addresses only.
    const bytes = crypto.getRandomValues(new Uint8Array(9));
    this.client = Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
    this.lastId = "";
    this.#enter("connecting");
    this.#connect();
  }

  leave() {
    this.#stop();
    this.#enter("away");
  }

  comeBack() {
    this.#enter("reconnecting");
    this.#connect();
  }

  // The page is being put away. Without a word: nobody reads it.
  #stop() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  suspend() { this.#stop(); }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.#on.state(state);
  }

  #connect() {
    this.#stop();
    const query = new URLSearchParams({ channels: this.#channels.join(","), client: this.client });
    // A new EventSource knows nothing of the old one's last event ID; the server looks here too.
    if (this.lastId) query.set("lastEventId", this.lastId);
    const source = this.#source = new EventSource("/events?" + query);
    source.onopen = () => {
      if (source !== this.#source) return;
      this.#pause = shortestPause;
      this.#enter("live");
    };
    source.onerror = () => {
      if (source !== this.#source) return;
      if (this.state !== "connecting") this.#enter("reconnecting");
      if (source.readyState === EventSource.CLOSED) this.#givenUp();
    };
    for (const type of this.#types) {
      source.addEventListener(type, event => {
        if (source !== this.#source) return;
        this.lastId = event.lastEventId || this.lastId;
        this.#on.event(type, event.data, event.lastEventId);
      });
    }
  }

  // The browser will not try again. Either it was told so, or the answer was none that it understands.
  async #givenUp() {
    this.#stop();
    let ended = false;
    try {
      const answer = await fetch("/client?client=" + this.client, { cache: "no-store" });
      ended = (await answer.json()).ended === true;
    } catch { /* the server is not there; later */ }
    if (this.#source || this.state === "away") return;
    if (ended) return this.#enter("ended");
    this.#retry = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, longestPause);
  }
}
