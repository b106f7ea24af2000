// SPDX-License-Identifier: MIT
// chart.js - lines over the last events of a channel. An event's place is its number, so what is missing is a hole.

const svg = "http://www.w3.org/2000/svg";
const height = 100;
const shortest = 24;  // events across the whole width, at the beginning

function shape(parent, name, className) {
  const made = document.createElementNS(svg, name);
  made.setAttribute("class", className);
  parent.append(made);
  return made;
}

// 1, 2 or 5 times a power of ten, at or above.
function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(step => step * power).find(step => step >= value);
}

export class Chart {
  #points = [];    // {n, values, replayed}
  #cuts = [];      // numbers in front of which the connection was lost
  #scheduled = false;
  #shapes;
  #thin = [];
  #root;
  #length;
  #max;
  #scale;
  #unit;

  // `lines`: how many values are drawn strong; all others are thin. `max`: of the scale; 0: of what is shown.
  // `unit`: the scale's top in words.
  constructor(plot, { lines = 1, max = 100, length = 120, unit = String } = {}) {
    const root = this.#root = plot.querySelector("svg");
    this.#scale = plot.querySelector(".scale");
    this.#unit = unit;
    this.#length = length;
    this.#max = max;
    root.setAttribute("viewBox", `0 0 ${length - 1} ${height}`);
    root.setAttribute("preserveAspectRatio", "none");
    const grid = shape(root, "path", "grid");
    grid.setAttribute("d", [25, 50, 75].map(y => `M0 ${y}H${length - 1}`).join(""));
    this.#shapes = {
      replayed: shape(root, "path", "replayed"),
      area: shape(root, "path", "area"),
      thin: shape(root, "g", "cores"),
      lines: Array.from({ length: lines }, (_, i) => shape(root, "path", "line-" + i)),
      cuts: shape(root, "path", "cut"),
    };
  }

  get size() { return this.#points.length; }

  push(n, values, replayed) {
    this.#points.push({ n, values, replayed });
    while (this.#points[0].n <= n - this.#length) this.#points.shift();
    this.#schedule();
  }

  cut() {
    const last = this.#points.at(-1);
    if (!last) return;
    this.#cuts.push(last.n + 0.5);
    this.#schedule();
  }

  clear() {
    this.#points = [];
    this.#cuts = [];
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    const points = this.#points;
    const last = points.at(-1)?.n ?? 0;
    const span = Math.min(Math.max(last - (points[0]?.n ?? 0) + 1, shortest), this.#length);
    const first = last - span + 1;
    const strong = this.#shapes.lines.length;
    const most = this.#max || rounded(Math.max(1024, ...points.flatMap(p => p.values.slice(0, strong))) * 1.05);
    this.#scale.textContent = points.length ? this.#unit(most) : "";
    const x = n => ((n - first) * (this.#length - 1) / (span - 1)).toFixed(2);
    const y = value => (height - Math.min(value / most, 1) * (height - 4)).toFixed(2);

    // Runs without a hole, each a list of points.
    const runs = [];
    for (const point of points) {
      const run = runs.at(-1);
      if (run?.at(-1).n === point.n - 1) run.push(point); else runs.push([point]);
    }
    const line = index => runs.map(run =>
      "M" + run.map(p => `${x(p.n)} ${y(p.values[index] ?? 0)}`).join("L")).join("");

    this.#shapes.lines.forEach((path, i) => path.setAttribute("d", line(i)));
    this.#shapes.area.setAttribute("d", runs.map(run =>
      `M${x(run[0].n)} ${height}L` + run.map(p => `${x(p.n)} ${y(p.values[0])}`).join("L") +
      `L${x(run.at(-1).n)} ${height}Z`).join(""));

    const others = Math.max(0, (points.at(-1)?.values.length ?? 0) - strong);
    while (this.#thin.length < others) this.#thin.push(shape(this.#shapes.thin, "path", "thin"));
    this.#thin.forEach((path, i) => path.setAttribute("d", i < others ? line(strong + i) : ""));

    this.#shapes.replayed.setAttribute("d", points.filter(p => p.replayed).map(p =>
      `M${x(p.n - 0.5)} 0H${x(p.n + 0.5)}V${height}H${x(p.n - 0.5)}Z`).join(""));
    this.#cuts = this.#cuts.filter(n => n >= first);
    this.#shapes.cuts.setAttribute("d", this.#cuts.map(n => `M${x(n)} 0V${height}`).join(""));
    this.#root.dataset.points = points.length;
  }
}
