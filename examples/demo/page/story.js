// SPDX-License-Identifier: MIT
// story.js - the words of one story as they come, with a mark where the connection was cut.

export class Story {
  words = [];       // as received
  inOrder = true;
  cuts = [];        // in words
  #text;
  #more;
  #mark = null;     // of the cut that is open
  #of = 0;

  constructor(text, more) {
    this.#text = text;
    this.#more = more;
  }

  get running() { return this.#of > 0 && this.words.length < this.#of; }

  begin(of) {
    this.words = [];
    this.inOrder = true;
    this.cuts = [];
    this.#mark = null;
    this.#of = of;
    this.#text.replaceChildren();
    this.#text.setAttribute("aria-busy", "true");
    this.#more.textContent = `0 of ${of} words`;
  }

  cut(lastId) {
    if (!this.running) return;
    const mark = this.#mark = document.createElement("span");
    mark.className = "cut";
    mark.setAttribute("role", "img");
    this.#label(`Cut after ${lastId}`);
    this.#text.append(mark);
  }

  resumed(id) {
    if (!this.#mark) return;
    this.#label(`${this.#mark.title}, resumed at ${id}`);
    this.cuts.push(this.#mark.title);
    this.#mark = null;
  }

  #label(text) {
    this.#mark.title = text;
    this.#mark.setAttribute("aria-label", text);
  }

  word(number, text, replayed) {
    if (!this.#of) return;
    this.inOrder &&= number === this.words.length + 1;
    this.words.push(text);
    const span = document.createElement("span");
    span.textContent = text + " ";
    if (replayed) span.className = "replayed";
    this.#text.append(span);
    const done = !this.running;
    if (done) this.#text.setAttribute("aria-busy", "false");
    this.#more.textContent = `${this.words.length} of ${this.#of} words` +
      (!this.inOrder ? ", out of order!" : done ? ": complete, in order, none twice" : "");
  }

  // No word will come any more.
  abandon(why) {
    this.#mark = null;
    if (!this.running) return;
    this.#of = 0;
    this.#text.setAttribute("aria-busy", "false");
    this.#more.textContent = why;
  }
}
